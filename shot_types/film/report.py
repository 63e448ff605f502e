"""A table of `film.analyze` -> its figures in numbers, a contact sheet, and with `export` all files beside it."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import opentimelineio as otio
import pandas as pd
from matplotlib import pyplot as plt
from PIL import Image, ImageDraw, ImageOps

from ..files import write
from ..labels import COLORS, GREYS, SCALE, STEP
from .annotations import to_cinemetrics, to_elan
from .exports import to_chapters, to_edl, to_otio, to_page
from .figures import (
    compare,
    cutting_rate,
    histogram,
    lengths,
    only_shots,
    rhythm,
    shares,
    timeline,
    transition_counts,
    transitions,
)
from .table import beside, printable, save, thumbnail
from .timelines import to_fcpxml, to_xmeml

__all__ = [
    "compare",
    "comparison",
    "comparison_files",
    "contact_sheet",
    "export",
    "side_by_side",
    "summary",
    "transition_counts",
]

DRAWINGS = (timeline, rhythm, cutting_rate, shares, lengths, histogram, transitions)
COMPARISON = "film,shots,"  # how a file of `comparison` begins


def summary(table: pd.DataFrame) -> pd.Series:
    """One film in figures: shots, minutes, average and median shot length (ASL, MSL) in seconds, mean scale (0 is ECS,
    4 is LS) over the time, of each class the share of the time of all shots that have a label, and of titles, empty
    spans and transitions the share of the time of the film.

    Only shots are counted and have lengths; `minutes` are those of the whole film.
    """  # noqa: D205
    shots = only_shots(table)
    time = shots.groupby("label")["seconds"].sum().reindex(SCALE, fill_value=0.0)
    share, length = time / (time.sum() or 1), shots["seconds"]
    figures = {"shots": len(shots), "minutes": table["seconds"].sum() / 60}
    figures |= {"ASL": length.mean(), "MSL": length.median()}
    mean = sum(share[label] * STEP[label] for label in SCALE) if time.sum() else np.nan
    others = table.groupby("kind")["seconds"].sum().reindex(list(GREYS), fill_value=0.0) / table["seconds"].sum()
    return pd.Series({**figures, "mean scale": mean, **share, **others})


def contact_sheet(
    table: pd.DataFrame, width: int = 200, only_checked: bool = False, checked_first: bool = False
) -> Image.Image:
    """One RGB thumbnail a shot, in order, framed in the colour of its label, in grey what is no shot; `width` pixels.

    Shots whose `check` is 1 have a mark in the corner; `only_checked` leaves the others out, `checked_first` puts them
    in front.
    """
    rows = table[table["check"] == 1] if only_checked else table
    if checked_first:
        rows = rows.sort_values("check", ascending=False, kind="stable")
    columns = max(4, math.ceil(math.sqrt(len(rows))))
    height = width * 9 // 16
    cell = (width + 12, height + 28)
    sheet = Image.new("RGB", (columns * cell[0], max(1, math.ceil(len(rows) / columns)) * cell[1]), "white")
    draw = ImageDraw.Draw(sheet)
    if rows.empty:
        draw.text((6, 6), "no shot to look at first", fill="black", font_size=12)
    for place, row in enumerate(rows.itertuples()):
        x, y = place % columns * cell[0] + 6, place // columns * cell[1] + 6
        frame = COLORS.get(row.label, GREYS.get(row.kind, "black"))
        draw.rectangle((x - 4, y - 4, x + width + 3, y + height + 3), fill=frame)
        sheet.paste(ImageOps.pad(thumbnail(table, row), (width, height), color="#eeeeee"), (x, y))
        if row.check:
            draw.rectangle((x + width - 22, y, x + width - 1, y + 21), fill="white", outline="black")
            draw.text((x + width - 11, y + 11), "?", fill="black", font_size=16, anchor="mm")
        draw.text((x, y + height + 6), f"{row.shot}  {row.label or row.kind}  {row.start}", fill="black", font_size=12)
    return sheet


def export(table: pd.DataFrame) -> list[Path]:
    """Write all there is beside the table's CSV file, which takes over corrections too; returns the files."""
    csv = _csv(table)
    save(table, csv)
    return [csv, beside(csv, ".json"), *export_copies(table)]


def export_copies(table: pd.DataFrame) -> list[Path]:
    """As `export`, without the table itself and its JSON file, which stay as they are."""
    csv = _csv(table)
    files = {
        ".otio": otio.adapters.write_to_string(to_otio(table), "otio_json"),
        ".edl": to_edl(table),
        ".fcpxml": to_fcpxml(table),
        ".xml": to_xmeml(table),
        ".eaf": to_elan(table),
        ".vtt": to_chapters(table),
        ".html": to_page(table),
        "_cinemetrics.csv": to_cinemetrics(table),
        "_contact_sheet.jpg": _bytes(contact_sheet(table).save, "JPEG"),
    }
    for draw in DRAWINGS:
        files[f"_{draw.__name__}.png"] = _png(draw(table))
    for end, data in files.items():
        write(beside(csv, end), data)
    return [beside(csv, end) for end in files]


def _csv(table: pd.DataFrame) -> Path:
    return Path(table.attrs["folder"], f"{table.attrs['name']}.csv")


def comparison(tables: Sequence[pd.DataFrame], out: str | Path) -> tuple[pd.DataFrame, list[Path]]:
    """Films side by side: their rows of `summary`, named after their results, and the files written to `out`.

    These are comparison.csv and comparison.png, which take the place of earlier ones; with a number in their names
    where a film has that name, or another file.
    """
    films = side_by_side(tables)
    number, csv = 1, Path(out, "comparison.csv")
    while _is_taken(csv):
        number += 1
        csv = Path(out, f"comparison ({number}).csv")
    picture = csv.with_suffix(".png")
    text, drawing = comparison_files(films)
    write(csv, text)
    write(picture, drawing)
    return films, [csv, picture]


def side_by_side(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The `summary` of each film, one row a film, named after its results."""
    films = pd.DataFrame({table.attrs["name"]: summary(table) for table in tables}).T.rename_axis("film")
    return films.astype({"shots": int})


def comparison_files(films: pd.DataFrame) -> tuple[str, bytes]:
    """What `side_by_side` gives as the text of a CSV file and as a PNG picture."""
    text = films.rename(index=lambda name: printable(str(name))).to_csv(float_format="%.4f")
    return text, _png(compare(films))


def _is_taken(csv: Path) -> bool:
    """Whether a film's results, finished or not, or another file have the name of the comparison `csv`."""
    if csv.with_suffix(".json").exists() or csv.with_suffix(".part").exists():
        return True
    return csv.exists() and not csv.read_bytes().startswith(COMPARISON.encode())


def _png(figure: plt.Figure) -> bytes:
    data = _bytes(figure.savefig, "png", dpi=150)
    plt.close(figure)
    return data


def _bytes(save_as, kind: str, **options) -> bytes:
    data = io.BytesIO()
    save_as(data, format=kind, **options)
    return data.getvalue()
