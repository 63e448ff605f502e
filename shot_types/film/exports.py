"""A table of a film -> files that other programs open: for editing programs, for players, for a browser."""

import base64
import contextlib
import csv
import io
import itertools
import json
import os
import re
from pathlib import Path
from urllib.parse import quote

import opentimelineio as otio
import pandas as pd
from opentimelineio.opentime import RationalTime, TimeRange

from ..labels import COLORS, GREY, NAMES, SCALE
from .table import KINDS, printable, thumbnail, timecode, to_csv

MARKERS = {"ECS": "PURPLE", "CS": "CYAN", "MS": "GREEN", "FS": "YELLOW", "LS": "RED", "": "BLACK"}
"""What editing programs have nearest to COLORS."""


def to_otio(table: pd.DataFrame) -> otio.schema.Timeline:
    """One clip a shot, which carries a marker named after its scale, at its first frame; with sound, one below it too.

    The timeline begins with the film's own timecode. The media's URL leads from the table's folder to the film.
    """
    rate, attrs = table.attrs["rate"], table.attrs
    zero, frames = RationalTime(attrs["start_frame"], rate), _frames(table)
    media = otio.schema.ExternalReference(_url(table), TimeRange(zero, RationalTime(frames[-1], rate)))
    name = Path(printable(attrs["made_from"]["film"])).stem
    timeline = otio.schema.Timeline(name, global_start_time=zero)
    kinds = otio.schema.TrackKind
    for kind in [kinds.Video, kinds.Audio] if attrs["audio_channels"] else [kinds.Video]:
        track = otio.schema.Track("shots" if kind == kinds.Video else "sound", kind=kind)
        for row, start, end in zip(table.itertuples(), frames, frames[1:], strict=False):
            shot = TimeRange(zero + RationalTime(start, rate), RationalTime(end - start, rate))
            clip = otio.schema.Clip(_clip_name(row), media.deepcopy(), shot)
            clip.metadata["cmx_3600"] = {"reel": _reel(attrs["made_from"]["film"])}
            if kind == kinds.Video:
                said = {label: value for label in SCALE if (value := getattr(row, label)) == value}
                clip.metadata["shot_types"] = {"label": row.label, "probabilities": said}
                at = TimeRange(shot.start_time, RationalTime(1, rate))
                clip.markers.append(otio.schema.Marker(row.label or "none", at, MARKERS[row.label]))
            track.append(clip)
        timeline.tracks.append(track)
    return timeline


def _reel(film: str) -> str:
    """What CMX 3600 takes as the name of a reel, up to 8 letters and digits; AX and BL stand for none and for black."""
    stem = "".join(filter(str.isalnum, Path(film).stem.encode("ascii", "ignore").decode()))[:8].upper()
    return "FILM" if stem in ("", "AX", "BL") else stem


def _clip_name(row) -> str:
    return f"{row.shot:04d} {row.label}".strip()


def _frames(table: pd.DataFrame) -> list[int]:
    """Where shots start, and where the last one ends, in frames of timecode from the first one on.

    None is shorter than a frame, also of a film with more frames than timecode has.
    """
    frames = [
        round(seconds * table.attrs["rate"]) for seconds in (*table["start_seconds"], table["end_seconds"].iloc[-1])
    ]
    return list(itertools.accumulate(frames, lambda before, now: max(now, before + 1)))


def _url(table: pd.DataFrame) -> str:
    """The film's URL, from the table's folder on, as `opentimelineio.url_utils.filepath_from_url` reads it."""
    # It decodes twice: of "50%25" it would make "50%".
    return _quoted(re.sub(rb"%(?=[0-9A-Fa-f]{2})", b"%25", os.fsencode(_media(table).as_posix())))


def _media(table: pd.DataFrame) -> Path:
    """The film, from the table's folder on where that can be."""
    path = Path(table.attrs["media"] or table.attrs["made_from"]["film"])
    if path.is_absolute() and "folder" in table.attrs:
        with contextlib.suppress(ValueError):  # another drive
            path = Path(os.path.relpath(path, Path(table.attrs["folder"]).resolve()))
    return path


def _quoted(path: bytes) -> str:
    if Path(os.fsdecode(path)).is_absolute():
        return "file://" + "/" * (not path.startswith(b"/")) + quote(path, safe="/:")
    return quote(path)


def to_edl(table: pd.DataFrame) -> str:
    """CMX 3600: one event a shot, with a locator that says its scale.

    Source times are the film's own timecode, drop-frame or not as that is. Record times, those of locators too, begin
    at 00:00:00:00. With sound, events are for picture and sound. What the format does not hold: times begin again at
    00:00:00:00 after 23:59:59, as timecode does, and event numbers, of three digits, at 001 after 999.
    """
    attrs, frames, film = table.attrs, _frames(table), printable(table.attrs["made_from"]["film"])
    channels = ("V", "B", "AA/V")[min(attrs["audio_channels"], 2)]
    mode = "DROP FRAME" if attrs["drop_frame"] else "NON-DROP FRAME"
    lines = [f"TITLE: {Path(film).stem[:70]}", f"FCM: {mode}"]
    for row, *shot in zip(table.itertuples(), frames, frames[1:], strict=False):
        record = [_timecode(frame, attrs) for frame in shot]
        source = [_timecode(frame + attrs["start_frame"], attrs) for frame in shot]
        lines += [
            f"{(row.shot - 1) % 999 + 1:03}  {_reel(film):8} {channels:5} C        {' '.join(source + record)}",
            f"* FROM CLIP NAME:  {_clip_name(row)}",
            f"* FROM CLIP: {film}",
            # With colons in either mode: OpenTimelineIO's reader, for one, skips others.
            f"* LOC: {record[0].replace(';', ':')} {MARKERS[row.label]:7} {row.label or 'NONE'}",
        ]
    return "\n".join(lines) + "\n"


def _timecode(frame: int, attrs: dict) -> str:
    return timecode(frame, attrs["rate"], attrs["drop_frame"])


def to_chapters(table: pd.DataFrame) -> str:
    """WebVTT chapters, one a shot."""
    cues = ["WEBVTT\n"]
    for row in table.itertuples():
        name = f"{row.label} {NAMES[row.label]}" if row.label else "no picture"
        cues.append(f"{row.shot}\n{clock(row.start_seconds)} --> {clock(row.end_seconds)}\n{name}\n")
    return "\n".join(cues)


def to_page(table: pd.DataFrame) -> str:
    """One web page that plays the film, where that lies, and needs no other file: to look at shots and correct them.

    It holds the cells of the table's CSV file as they stand there, and saves them so with what a person changed.
    """
    pictures = []
    for shot in table.itertuples():
        data = io.BytesIO()
        thumbnail(table, shot).save(data, "JPEG")
        pictures.append("data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode())
    columns, *shots = csv.reader(io.StringIO(to_csv(table), newline=""))
    said = {name: table.attrs[name] for name in ("made_from", "rate", "note", "versions")}
    said |= {"columns": columns, "shots": shots, "pictures": pictures, "kinds": KINDS, "scale": SCALE, "names": NAMES}
    said |= {"colors": COLORS, "grey": GREY, "video": _quoted(os.fsencode(_media(table).as_posix()))}
    said["csv"] = table.attrs.get("name", Path(table.attrs["made_from"]["film"]).stem) + ".csv"
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return template.replace("null /* the film */", json.dumps(said).replace("<", "\\u003c"))


def clock(seconds: float) -> str:
    """Hours, minutes and seconds with three decimals, as WebVTT has them: 00:00:01.335."""
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"
