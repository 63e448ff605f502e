"""A table of `film.analyze` -> figures, a contact sheet, and with `export` those and all other files beside it.

Figures can be read in print and without colour: the scale is a place or a height too, and runs from ECS to LS.
"""

import io
import math
from pathlib import Path

import numpy as np
import opentimelineio as otio
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageOps

from ..files import write
from ..labels import COLORS, SCALE, STEP
from .exports import clock, to_chapters, to_edl, to_otio, to_page
from .table import beside, printable, save, thumbnail


def summary(table: pd.DataFrame) -> pd.Series:
    """One film in figures: shots, minutes, average and median shot in seconds, mean scale (0 is ECS, 4 is LS) over
    the time, and of each class the share of the time of all shots that have a label.
    """  # noqa: D205
    time = table.groupby("label")["seconds"].sum().reindex(SCALE, fill_value=0.0)
    share, length = time / (time.sum() or 1), table["seconds"]
    figures = {"shots": len(table), "minutes": length.sum() / 60, "average shot": length.mean()}
    mean = sum(share[label] * STEP[label] for label in SCALE) if time.sum() else np.nan
    return pd.Series({**figures, "median shot": length.median(), "mean scale": mean, **share})


def timeline(table: pd.DataFrame, thumbnails: int = 6) -> Figure:
    """The film from left to right, one bar a shot, higher where the camera is closer; above it the longest shots."""
    figure, (top, axes) = plt.subplots(2, 1, figsize=(11, 4), height_ratios=(1, 2), layout="constrained")
    height = [len(SCALE) - STEP[label] if label else 0.1 for label in table["label"]]
    colors = [COLORS.get(label, "black") for label in table["label"]]
    axes.bar(table["start_seconds"], height, table["seconds"], color=colors, align="edge", edgecolor="white", lw=0.4)
    axes.set(yticks=range(1, 6), yticklabels=SCALE[::-1], ylim=(0, 5.3))
    _time_axis(axes, table)
    top.set_axis_off()
    longest = table[table["thumbnail"] != ""].nlargest(thumbnails, "seconds").sort_values("shot")
    for place, row in enumerate(longest.itertuples()):
        box = top.inset_axes(((place + 0.02) / thumbnails, 0, 0.96 / thumbnails, 0.85))
        box.imshow(thumbnail(table, row))
        box.set_title(f"shot {row.shot}: {row.label or 'none'}, {row.seconds:.1f} s", fontsize=8)
        box.set_axis_off()
    return figure


def rhythm(table: pd.DataFrame, window: float | None = None) -> Figure:
    """How close is the camera over time? The scale of each shot, and its moving average over `window` seconds
    (None: a tenth of the film).
    """  # noqa: D205
    end = table["end_seconds"].max()
    window = window or end / 10
    times = np.linspace(0, end, 2000, endpoint=False)
    shot = np.searchsorted(table["end_seconds"], times, side="right")
    steps = table["label"].map({**STEP, "": np.nan}).astype(float)
    now = pd.Series(steps.to_numpy()[shot])
    mean = now.rolling(max(1, round(2000 * window / end)), center=True, min_periods=1).mean()
    figure, axes = plt.subplots(figsize=(11, 3), layout="constrained")
    axes.hlines(steps, table["start_seconds"], table["end_seconds"], color="#999999", lw=3, label="each shot")
    axes.plot(times, mean, color="black", lw=1.8, label=f"moving average over {window:.3g} s")
    axes.set(yticks=range(5), yticklabels=SCALE, ylim=(4.4, -0.4))
    axes.legend(loc="upper right", bbox_to_anchor=(1, 1.22), ncols=2, frameon=False)
    _time_axis(axes, table)
    return figure


def shares(table: pd.DataFrame) -> Figure:
    """Of each class, the share of the shots and of the time, among the shots that have a label."""
    named = table[table["label"] != ""]
    part = {
        "of the time": named.groupby("label")["seconds"].sum() / (named["seconds"].sum() or 1),
        "of the shots": named["label"].value_counts(normalize=True),
    }
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    for place, (name, share) in enumerate(part.items()):
        colors, hatch = [COLORS[label] for label in SCALE], (None, "////")[place]
        at, share = np.arange(5) + 0.4 * place - 0.2, share.reindex(SCALE, fill_value=0)
        bars = axes.bar(at, share, 0.4, color=colors, edgecolor="black", lw=0.6, hatch=hatch)
        axes.bar_label(bars, [f"{value:.0%}" for value in share], fontsize=8)
        axes.bar(0, 0, color="white", edgecolor="black", hatch=hatch, label=name)
    axes.set(xticks=range(5), xticklabels=SCALE, yticks=[], ylabel="share")
    axes.legend(frameon=False)
    return figure


def lengths(table: pd.DataFrame) -> Figure:
    """Shot length against scale: a dot a shot, a line at the median of each class; dashed, the average of all."""
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    spread = np.random.default_rng(0).uniform(-0.25, 0.25, len(table))
    for step, label in enumerate(SCALE):
        chosen = (table["label"] == label).to_numpy()
        length = table["seconds"][chosen]
        axes.scatter(step + spread[chosen], length, s=22, color=COLORS[label], edgecolor="black", lw=0.5)
        axes.hlines(length.median(), step - 0.35, step + 0.35, color="black", lw=2)
    mean = table["seconds"].mean()
    axes.axhline(mean, color="black", ls="--", lw=1, label=f"average shot length {mean:.2f} s")
    axes.set(xticks=range(5), xticklabels=SCALE, xlim=(-0.5, 4.5), yscale="log", ylabel="shot length, seconds")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend(frameon=False)
    return figure


def compare(films: pd.DataFrame) -> Figure:
    """One bar a film, divided by the share of time of each class; `films` has the rows of `summary`."""
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.45 * len(films)), layout="constrained")
    left, rows = np.zeros(len(films)), range(len(films))
    for label in SCALE:
        bars = axes.barh(rows, films[label], left=left, color=COLORS[label], edgecolor="white", label=label)
        dark = label in ("ECS", "LS", "MS")
        words = [f"{label} {share:.0%}" if share >= 0.08 else "" for share in films[label]]
        axes.bar_label(bars, words, label_type="center", fontsize=8, color="white" if dark else "black")
        left += films[label].to_numpy(float)
    axes.invert_yaxis()
    axes.set_yticks(rows, [printable(str(name)) for name in films.index], parse_math=False)  # names may have a $
    axes.set(xlim=(0, 1), xticks=[], xlabel="share of the time")
    axes.spines[:].set_visible(False)
    return figure


def _time_axis(axes, table: pd.DataFrame) -> None:
    axes.xaxis.set_major_formatter(lambda x, _: clock(x).removeprefix("00:").rstrip("0").rstrip("."))
    axes.set(xlim=(0, table["end_seconds"].max()), xlabel="time in the film")
    axes.spines[["top", "right"]].set_visible(False)


def contact_sheet(table: pd.DataFrame, width: int = 200) -> Image.Image:
    """One thumbnail a shot, in order, framed in the colour of its label; `width` pixels each."""
    columns = max(4, math.ceil(math.sqrt(len(table))))
    height = width * 9 // 16
    cell, rows = (width + 12, height + 28), math.ceil(len(table) / columns)
    sheet = Image.new("RGB", (columns * cell[0], rows * cell[1]), "white")
    draw = ImageDraw.Draw(sheet)
    for place, row in enumerate(table.itertuples()):
        x, y = place % columns * cell[0] + 6, place // columns * cell[1] + 6
        draw.rectangle((x - 4, y - 4, x + width + 3, y + height + 3), fill=COLORS.get(row.label, "black"))
        sheet.paste(ImageOps.pad(thumbnail(table, row), (width, height), color="#eeeeee"), (x, y))
        draw.text((x, y + height + 6), f"{row.shot}  {row.label or 'none'}  {row.start}", fill="black", font_size=12)
    return sheet


def export(table: pd.DataFrame) -> list[Path]:
    """Write all there is beside the table's CSV file, which takes over corrections too; returns the files."""
    csv = Path(table.attrs["folder"], f"{table.attrs['name']}.csv")
    save(table, csv)
    files = {
        ".otio": otio.adapters.write_to_string(to_otio(table), "otio_json"),
        ".edl": to_edl(table),
        ".vtt": to_chapters(table),
        ".html": to_page(table),
        "_contact_sheet.jpg": _bytes(contact_sheet(table).save, "JPEG"),
    }
    for draw in (timeline, rhythm, shares, lengths):
        figure = draw(table)
        files[f"_{draw.__name__}.png"] = _bytes(figure.savefig, "png", dpi=150)
        plt.close(figure)
    for end, data in files.items():
        write(beside(csv, end), data)
    return [beside(csv, end) for end in (".csv", ".json", *files)]


def _bytes(save_as, kind: str, **options) -> bytes:
    data = io.BytesIO()
    save_as(data, format=kind, **options)
    return data.getvalue()
