"""A table of a film -> files that other programs open: OpenTimelineIO, EDL, chapters, page; and what all such share."""

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

from ..labels import COLORS, GREYS, NAMES, SCALE
from .corrections import KINDS
from .table import printable, thumbnail, timecode, to_csv

MARKERS = {"ECS": "PURPLE", "CS": "CYAN", "MS": "GREEN", "FS": "YELLOW", "LS": "RED", "": "BLACK"}
"""What editing programs have nearest to COLORS; the last one is for what is no shot."""


def to_otio(table: pd.DataFrame) -> otio.schema.Timeline:
    """One clip a shot, which carries a marker named after its scale, at its first frame; with sound, one below it too.

    What is no shot is a clip as well, named after its kind: title, empty, transition.

    The timeline begins with the film's own timecode. The media's URL leads from the table's folder to the film.
    """
    rate, attrs = table.attrs["rate"], table.attrs
    zero, frames = RationalTime(attrs["start_frame"], rate), frame_numbers(table)
    # OpenTimelineIO's own reader decodes twice: of "50%25" it would make "50%".
    url = re.sub("%25(?=[0-9A-Fa-f]{2})", "%2525", media_url(table))
    media = otio.schema.ExternalReference(url, TimeRange(zero, RationalTime(frames[-1], rate)))
    timeline = otio.schema.Timeline(film_name(table), global_start_time=zero)
    kinds = otio.schema.TrackKind
    for kind in [kinds.Video, kinds.Audio] if attrs["audio_channels"] else [kinds.Video]:
        track = otio.schema.Track("shots" if kind == kinds.Video else "sound", kind=kind)
        for row, start, end in zip(table.itertuples(), frames, frames[1:], strict=False):
            shot = TimeRange(zero + RationalTime(start, rate), RationalTime(end - start, rate))
            clip = otio.schema.Clip(clip_name(table, row), media.deepcopy(), shot)
            clip.metadata["cmx_3600"] = {"reel": _reel(attrs["made_from"]["film"])}
            if kind == kinds.Video:
                said = {label: value for label in SCALE if (value := getattr(row, label)) == value}
                clip.metadata["shot_types"] = {"kind": row.kind, "label": row.label, "probabilities": said}
                at = TimeRange(shot.start_time, RationalTime(1, rate))
                clip.markers.append(otio.schema.Marker(row.label or row.kind, at, MARKERS[row.label]))
            track.append(clip)
        timeline.tracks.append(track)
    return timeline


def _reel(film: str) -> str:
    """What CMX 3600 takes as the name of a reel, up to 8 letters and digits; AX and BL stand for none and for black."""
    stem = "".join(filter(str.isalnum, Path(film).stem.encode("ascii", "ignore").decode()))[:8].upper()
    return "FILM" if stem in ("", "AX", "BL") else stem


def film_name(table: pd.DataFrame) -> str:
    """The film's file name without its ending, as one printable line."""
    return Path(printable(table.attrs["made_from"]["film"])).stem


def clip_name(table: pd.DataFrame, row) -> str:
    """How other programs call a shot, one of `table.itertuples()`: "my film 0003 MS", "my film 0004 title"."""
    return f"{film_name(table)} {row.shot:04d} {row.label or row.kind}"


def frame_numbers(table: pd.DataFrame) -> list[int]:
    """Where shots start, and where the last one ends, in frames of timecode from the first one on.

    None is shorter than a frame, also of a film with more frames than timecode has.
    """
    frames = [
        round(seconds * table.attrs["rate"]) for seconds in (*table["start_seconds"], table["end_seconds"].iloc[-1])
    ]
    return list(itertools.accumulate(frames, lambda before, now: max(now, before + 1)))


def media_path(table: pd.DataFrame) -> Path:
    """The film, from the table's folder on where there is a way."""
    path = Path(table.attrs["media"] or table.attrs["made_from"]["film"])
    if path.is_absolute() and "folder" in table.attrs:
        with contextlib.suppress(ValueError):  # another drive
            path = Path(os.path.relpath(path, Path(table.attrs["folder"]).resolve()))
    return path


def media_url(table: pd.DataFrame) -> str:
    """The film's URL, from the table's folder on where there is a way."""
    path = media_path(table)
    name = os.fsencode(path.as_posix())
    if path.is_absolute():
        return "file://" + "/" * (not name.startswith(b"/")) + quote(name, safe="/:")
    return quote(name)


def to_edl(table: pd.DataFrame) -> str:
    """CMX 3600: one event a shot, with a locator that says its scale.

    Source times are the film's own timecode, drop-frame or not as that is. Record times, those of locators too, begin
    at 00:00:00:00. With sound, events are for picture and sound. What the format does not hold: times begin again at
    00:00:00:00 after 23:59:59, as timecode does, and event numbers, of three digits, at 001 after 999.
    """
    attrs, frames, film = table.attrs, frame_numbers(table), printable(table.attrs["made_from"]["film"])
    channels = ("V", "B", "AA/V")[min(attrs["audio_channels"], 2)]
    mode = "DROP FRAME" if attrs["drop_frame"] else "NON-DROP FRAME"
    lines = [f"TITLE: {film_name(table)[:70]}", f"FCM: {mode}"]
    for row, *shot in zip(table.itertuples(), frames, frames[1:], strict=False):
        record = [_timecode(frame, attrs) for frame in shot]
        source = [_timecode(frame + attrs["start_frame"], attrs) for frame in shot]
        lines += [
            f"{(row.shot - 1) % 999 + 1:03}  {_reel(film):8} {channels:5} C        {' '.join(source + record)}",
            f"* FROM CLIP NAME:  {clip_name(table, row)}",
            f"* FROM CLIP: {film}",
            # With colons in either mode: OpenTimelineIO's reader, for one, skips others.
            f"* LOC: {record[0].replace(';', ':')} {MARKERS[row.label]:7} {row.label or row.kind.upper()}",
        ]
    return "\n".join(lines) + "\n"


def _timecode(frame: int, attrs: dict) -> str:
    return timecode(frame, attrs["rate"], attrs["drop_frame"])


def to_chapters(table: pd.DataFrame) -> str:
    """WebVTT chapters, one a shot."""
    cues = ["WEBVTT\n"]
    for row in table.itertuples():
        name = f"{row.label} {NAMES[row.label]}" if row.label else row.kind
        cues.append(f"{row.shot}\n{clock(row.start_seconds)} --> {clock(row.end_seconds)}\n{name}\n")
    return "\n".join(cues)


def to_page(table: pd.DataFrame, save: dict | None = None) -> str:
    """One web page that plays the film, where that lies, and needs no other file: to look at shots and correct them.

    It holds the cells of the table's CSV file as they stand there, and saves them so with what a person changed: as a
    download or, where a server gives the page, to that. Then `save` has `url`, to which the text of the file is PUT,
    `version` for the header If-Match, and `video`, the film's URL; thumbnails are read from the server as well.
    """
    pictures = [_picture(table, shot, linked=save is not None) for shot in table.itertuples()]
    said = {name: table.attrs[name] for name in ("made_from", "rate", "note", "versions")}
    said |= {**cells(table), "pictures": pictures, "kinds": KINDS, "scale": SCALE, "names": NAMES}
    said |= {"colors": COLORS | GREYS, "video": save["video"] if save else media_url(table), "save": save}
    said["csv"] = table.attrs.get("name", Path(table.attrs["made_from"]["film"]).stem) + ".csv"
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return template.replace("null /* the film */", json.dumps(said).replace("<", "\\u003c"))


def cells(table: pd.DataFrame) -> dict:
    """The texts in the table's CSV file: `columns`, and `shots` with a list for each."""
    columns, *shots = csv.reader(io.StringIO(to_csv(table), newline=""))
    return {"columns": columns, "shots": shots}


def _picture(table: pd.DataFrame, shot, linked: bool) -> str:
    """The URL of a thumbnail, from the table's folder on if it may be `linked` and there is one, else with its data."""
    if linked and shot.thumbnail:
        return quote(shot.thumbnail)
    data = io.BytesIO()
    thumbnail(table, shot).save(data, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def clock(seconds: float) -> str:
    """Hours, minutes and seconds with three decimals, as WebVTT has them: 00:00:01.335."""
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"
