"""A table of `film.analyze` -> drawings, one function each; `report` has the figures in numbers, and what is written.

Drawings can be read in print and without colour: the scale is a place or a height too, and runs from ECS to LS. Only
spans of the kind `shot` count; titles, empty spans and transitions are grey, where they are shown.
"""

import math

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MultipleLocator, NullLocator

from ..labels import COLORS, GREYS, NAMES, SCALE, STEP
from .table import printable, thumbnail

TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds
MOST_TICKS = 10
MOST_EDGES = 300  # shots: beyond these, white lines between bars would be all one sees
LONGEST_NAME = 40  # characters of a film's name in a drawing


def only_shots(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are shots, without titles, empty spans and transitions."""
    return table[table["kind"] == "shot"]


def timeline(table: pd.DataFrame, thumbnails: int = 6) -> Figure:
    """The film from left to right, one bar a shot, higher where the camera is closer; above it the longest shots."""
    figure, (top, axes) = plt.subplots(2, 1, figsize=(11, 4.4), height_ratios=(1, 2), layout="constrained")
    height = [len(SCALE) - STEP[label] if label else 0.4 for label in table["label"]]
    colors = [COLORS.get(row.label, GREYS.get(row.kind, "white")) for row in table.itertuples()]
    line = {"edgecolor": "white", "lw": 0.4} if len(table) <= MOST_EDGES else {"snap": False}  # bars under a pixel
    axes.bar(table["start_seconds"], height, table["seconds"], color=colors, align="edge", **line)
    axes.set(yticks=range(1, 6), yticklabels=SCALE[::-1], ylim=(0, 5.3))
    _time_axis(axes, table)
    _legend(figure, table)
    top.set_axis_off()
    longest = only_shots(table[table["thumbnail"] != ""]).nlargest(thumbnails, "seconds").sort_values("shot")
    for place, row in enumerate(longest.itertuples()):
        box = top.inset_axes(((place + 0.02) / thumbnails, 0, 0.96 / thumbnails, 0.85))
        box.imshow(thumbnail(table, row))
        box.set_title(f"shot {row.shot}: {row.label or row.kind}, {row.seconds:.1f} s", fontsize=8)
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
    colors = [COLORS.get(label, "white") for label in table["label"]]
    bars = {"bottom": steps - 0.15, "color": colors, "align": "edge", "snap": False}
    axes.bar(table["start_seconds"], 0.3, table["seconds"], **bars)
    axes.plot(
        times,
        mean,
        color="black",
        lw=1.8,
        label=f"moving average over {window:.0f} s" if window >= 10 else f"moving average over {window:.2g} s",
    )
    axes.set(yticks=range(5), yticklabels=SCALE, ylim=(4.4, -0.4))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    _time_axis(axes, table)
    return figure


def cutting_rate(table: pd.DataFrame, window: int | None = None) -> Figure:
    """How fast is the cutting over time? A column from the top down for each shot, as long as the shot lasts, so that
    fast passages are peaks; and the moving average of the lengths of `window` shots (None: a thirtieth of them, but
    three at least). Columns over twice as long as 95 % of the shots are cut off.

    The columns, and the axis that runs downward, are those of Cinemetrics (its help page, "Interpreting the graph",
    http://cinemetrics.lv/dbhelp.php); over the time of the film instead of the number of the shot, as K. Brisson, "Side
    by Side: Data Analysis Across Films", cinemetrics.lv, 2011, has it.
    """  # noqa: D205
    shots = only_shots(table)
    window = window or max(3, len(shots) // 30)
    figure, axes = plt.subplots(figsize=(11, 3), layout="constrained")
    axes.bar(shots["start_seconds"], shots["seconds"], shots["seconds"], color="#BBBBBB", align="edge")
    mean = shots["seconds"].rolling(window, center=True, min_periods=1).mean()
    middle = (shots["start_seconds"] + shots["end_seconds"]) / 2
    axes.plot(
        middle, mean, color="black", lw=1.8, marker="." * (len(shots) < 30), label=f"moving average of {window} shots"
    )
    if len(shots):
        average = shots["seconds"].mean()
        axes.axhline(average, color="#CC6677", ls="--", lw=1.2, label=f"ASL {average:.2f} s")
        axes.set_ylim(1.05 * min(shots["seconds"].max(), 2 * shots["seconds"].quantile(0.95)), 0)
    axes.set_ylabel("shot length, seconds\n(fast cutting is above)")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    _time_axis(axes, table)
    return figure


def shares(table: pd.DataFrame) -> Figure:
    """Of each class, the share of the time and of the number: left of the shots that have a label, right of the whole
    film, with titles, empty spans and transitions.
    """  # noqa: D205
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.2), width_ratios=(5, 8), layout="constrained", sharey=True)
    of_shots, whole = only_shots(table), table["label"].where(table["label"] != "", table["kind"])
    _share_bars(axes[0], of_shots[of_shots["label"] != ""], whole, SCALE)
    _share_bars(axes[1], table, whole, (*SCALE, *GREYS))
    axes[0].set(title="of the shots", ylabel="share", yticks=[])
    axes[1].set_title("of the whole film")
    axes[1].legend(frameon=False)
    return figure


def _share_bars(axes, rows: pd.DataFrame, what: pd.Series, names: tuple[str, ...]) -> None:
    """Shares of time and number of `rows` that belong to each of `names`; `what` says to which a row belongs."""
    what = what[rows.index]
    part = {
        "by time": rows["seconds"].groupby(what).sum() / (rows["seconds"].sum() or 1),
        "by number": what.value_counts(normalize=True),
    }
    for place, (title, share) in enumerate(part.items()):
        colors, hatch = [{**COLORS, **GREYS}[name] for name in names], (None, "////")[place]
        at, share = np.arange(len(names)) + 0.4 * place - 0.2, share.reindex(names, fill_value=0)
        bars = axes.bar(at, share, 0.4, color=colors, edgecolor="black", lw=0.6, hatch=hatch)
        axes.bar_label(bars, [f"{value:.0%}" for value in share], fontsize=7)
        axes.bar(0, 0, color="white", edgecolor="black", hatch=hatch, label=title)
    axes.set_xticks(range(len(names)), names)
    axes.spines[["top", "right"]].set_visible(False)


def lengths(table: pd.DataFrame) -> Figure:
    """Shot length against scale: a dot a shot, a line at the median of each class; dashed, the average of all."""
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    shots = only_shots(table)
    spread = np.random.default_rng(0).uniform(-0.25, 0.25, len(shots))
    for step, label in enumerate(SCALE):
        chosen = (shots["label"] == label).to_numpy()
        length = shots["seconds"][chosen]
        axes.scatter(step + spread[chosen], length, s=22, color=COLORS[label], edgecolor="black", lw=0.5)
        axes.hlines(length.median(), step - 0.35, step + 0.35, color="black", lw=2)
    if len(shots):
        mean = shots["seconds"].mean()
        axes.axhline(mean, color="black", ls="--", lw=1, label=f"ASL {mean:.2f} s")
        axes.legend(frameon=False)
    axes.set(xticks=range(5), xticklabels=SCALE, xlim=(-0.5, 4.5), ylabel="shot length, seconds")
    axes.spines[["top", "right"]].set_visible(False)
    _length_axis(axes, "y", shots["seconds"])
    return figure


def histogram(table: pd.DataFrame) -> Figure:
    """How many shots are how long; lines at the average (ASL) and the median shot length (MSL).

    The axis is logarithmic, as shot lengths are skewed; B. Salt compares them with lognormal distributions (after
    K. Brisson, "Side by Side: Data Analysis Across Films", cinemetrics.lv, 2011).
    """
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    length = only_shots(table)["seconds"]
    _length_axis(axes, "x", length)
    if len(length):
        bins = np.geomspace(*axes.get_xlim(), 1 + min(40, max(8, round(2 * math.sqrt(len(length))))))
        axes.hist(length, bins, color="#BBBBBB", edgecolor="white", lw=0.5)
        for name, value, line in (("ASL", length.mean(), "--"), ("MSL", length.median(), ":")):
            axes.axvline(value, color="black", ls=line, lw=1.4, label=f"{name} {value:.2f} s")
        axes.legend(frameon=False)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="shot length, seconds", ylabel="shots")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def transition_counts(table: pd.DataFrame) -> pd.DataFrame:
    """How often a shot of one class (rows) is followed by one of another (columns): int (5, 5), in order of SCALE.

    Neighbours are shots with a cut or a transition between them; those with a title or an empty span between do not
    count.
    """
    labels = table.loc[table["kind"] != "transition", "label"]
    pairs = pd.DataFrame({"from": labels.to_numpy()[:-1], "to": labels.to_numpy()[1:]})
    counts = pd.crosstab(pairs["from"], pairs["to"]).reindex(index=SCALE, columns=SCALE, fill_value=0)
    return counts.astype(int).rename_axis(index="from", columns="to")


def transitions(table: pd.DataFrame) -> Figure:
    """The matrix of `transition_counts`: from which scale to which does the film cut?"""
    counts = transition_counts(table).to_numpy()
    figure, axes = plt.subplots(figsize=(4.4, 4), layout="constrained")
    axes.imshow(counts, cmap="Greys", vmin=0, vmax=max(1, counts.max()))
    for (row, column), count in np.ndenumerate(counts):
        axes.text(column, row, count, ha="center", va="center", color="white" if 2 * count > counts.max() else "black")
    axes.set(xticks=range(5), xticklabels=SCALE, yticks=range(5), yticklabels=SCALE, xlabel="to", ylabel="from")
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0, labelbottom=False, labeltop=True)
    axes.spines[:].set_visible(False)
    return figure


def compare(films: pd.DataFrame) -> Figure:
    """One bar a film, divided by the share of time of each class, its ASL beside it; `films` has rows of `summary`."""
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.45 * len(films)), layout="constrained")
    left, rows = np.zeros(len(films)), range(len(films))
    for label in SCALE:
        bars = axes.barh(rows, films[label], left=left, color=COLORS[label], edgecolor="white", label=label)
        dark = label in ("ECS", "LS", "MS")
        words = [f"{label} {share:.0%}" if share >= 0.08 else "" for share in films[label]]
        axes.bar_label(bars, words, label_type="center", fontsize=8, color="white" if dark else "black")
        left += films[label].to_numpy(float)
    for row, length in enumerate(films["ASL"]):
        axes.text(1.01, row, f"ASL {length:.1f} s" if length == length else "no shot", va="center", fontsize=8)
    axes.invert_yaxis()
    names = [printable(str(name)) for name in films.index]
    names = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in names]
    axes.set_yticks(rows, names, parse_math=False)  # names may have a $
    axes.set(xlim=(0, 1), xticks=[], xlabel="share of the time of all shots")
    axes.spines[:].set_visible(False)
    return figure


def _legend(figure: Figure, table: pd.DataFrame) -> None:
    """What the colours mean, below the drawing; of what is no shot, only what the film has."""
    entries = [Patch(color=COLORS[label], label=f"{label} {NAMES[label]}") for label in SCALE]
    kinds = [kind for kind in GREYS if (table["kind"] == kind).any()]
    entries += [Patch(color=GREYS[kind], label=kind) for kind in kinds]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=8)


def _time_axis(axes, table: pd.DataFrame) -> None:
    """Times as 0:02.5, 1:40 or 1:02:30, as many as have room."""
    end = table["end_seconds"].max()
    step = next((step for step in TICKS if end / step <= MOST_TICKS), TICKS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))

    def name(x: float, _: int) -> str:
        minutes, seconds = divmod(round(x, 1), 60)
        seconds = f"{seconds:02.0f}" if step >= 1 else f"{seconds:04.1f}"
        hours, minutes = divmod(round(minutes), 60)
        return f"{hours}:{minutes:02}:{seconds}" if end >= 3600 else f"{minutes}:{seconds}"

    axes.xaxis.set_major_formatter(name)
    axes.set(xlim=(0, end), xlabel="time in the film")
    axes.spines[["top", "right"]].set_visible(False)


def _length_axis(axes, side: str, seconds: pd.Series) -> None:
    """A logarithmic axis of shot lengths, with ticks at 1, 2, 5, 10 ..."""
    low, high = (seconds.min() / 2, seconds.max() * 2) if len(seconds) else (0.5, 20)
    getattr(axes, f"set_{side}scale")("log")
    getattr(axes, f"set_{side}lim")(low, high)
    axis = getattr(axes, f"{side}axis")
    ticks = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")
