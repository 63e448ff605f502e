"""A table of a film -> files that other programs open: for editing programs, for players, for a browser."""

import base64
import io
import json
from pathlib import Path

import opentimelineio as otio
import pandas as pd
from opentimelineio.opentime import RationalTime, TimeRange

from ..labels import COLORS, NAMES, SCALE
from .table import thumbnail

MARKERS = {"ECS": "PURPLE", "CS": "CYAN", "MS": "GREEN", "FS": "YELLOW", "LS": "RED", "": "BLACK"}
"""What editing programs have nearest to COLORS."""


def to_otio(table: pd.DataFrame) -> otio.schema.Timeline:
    """One clip a shot, which carries a marker named after its scale, at its first frame."""
    rate, first, name = table.attrs["rate"], table.attrs["start_frame"], Path(table.attrs["made_from"]["film"])
    zero = RationalTime(first, rate)
    frames = [round(seconds * rate) for seconds in (*table["start_seconds"], table["end_seconds"].iloc[-1])]
    whole = TimeRange(zero, RationalTime(frames[-1], rate))
    track = otio.schema.Track("shots", kind=otio.schema.TrackKind.Video)
    for row, start, end in zip(table.itertuples(), frames, frames[1:], strict=False):
        shot = TimeRange(zero + RationalTime(start, rate), RationalTime(end - start, rate))
        media = otio.schema.ExternalReference(name.name, whole)
        clip = otio.schema.Clip(f"{row.shot:04d} {row.label}".strip(), media, shot)
        clip.metadata["cmx_3600"] = {"reel": "".join(filter(str.isalnum, name.stem))[:8].upper() or "FILM"}
        said = {label: value for label in SCALE if (value := getattr(row, label)) == value}
        clip.metadata["shot_types"] = {"label": row.label, "probabilities": said}
        at = TimeRange(shot.start_time, RationalTime(1, rate))
        clip.markers.append(otio.schema.Marker(row.label or "none", at, MARKERS[row.label]))
        track.append(clip)
    timeline = otio.schema.Timeline(name.stem, global_start_time=zero)
    timeline.tracks.append(track)
    return timeline


def to_edl(table: pd.DataFrame) -> str:
    """CMX 3600: one event a shot, with a locator that says its scale. The format is made for up to 999 events."""
    title, *lines = otio.adapters.write_to_string(to_otio(table), "cmx_3600").splitlines()
    mode = "DROP FRAME" if ";" in table["start"].iloc[0] else "NON-DROP FRAME"
    # Locators with colons in either mode: the library's own reader, for one, skips others.
    lines = [line.replace(";", ":") if line.startswith("* LOC") else line for line in lines]
    return "\n".join([title, f"FCM: {mode}", *lines]) + "\n"


def to_chapters(table: pd.DataFrame) -> str:
    """WebVTT chapters, one a shot."""
    cues = ["WEBVTT\n"]
    for row in table.itertuples():
        name = f"{row.label} {NAMES[row.label]}" if row.label else "no picture"
        cues.append(f"{row.shot}\n{clock(row.start_seconds)} --> {clock(row.end_seconds)}\n{name}\n")
    return "\n".join(cues)


def to_page(table: pd.DataFrame) -> str:
    """One web page that needs no other file: the timeline, and a table with thumbnails to sort and to filter."""
    rows = json.loads(table.to_json(orient="records"))
    for row, shot in zip(rows, table.itertuples(), strict=True):
        data = io.BytesIO()
        thumbnail(table, shot).save(data, "JPEG")
        row["thumbnail"] = "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
    attrs = {name: value for name, value in table.attrs.items() if name != "folder"}
    data = json.dumps({"shots": rows, "colors": COLORS, "names": NAMES, "scale": SCALE, **attrs})
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return template.replace("null /* the film */", data.replace("</", "<\\/"))


def clock(seconds: float) -> str:
    """Hours, minutes and seconds with three decimals, as WebVTT has them: 00:00:01.335."""
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"
