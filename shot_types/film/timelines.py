"""A table of a film -> XML for editing programs: FCPXML (Final Cut Pro), Final Cut Pro 7 XML (Premiere, Resolve).

Not written by OpenTimelineIO's adapters: that for the latter loses drop-frame timecode, the sound's channels and the
colours of markers, that for the former has FCPXML 1.8 and stops at 29.97 frames/s.
"""

from fractions import Fraction
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import pandas as pd

from ..labels import COLORS, GREYS, NAMES
from .exports import MARKERS, clip_name, film_name, frame_numbers, media_url
from .table import printable, timecode

PREMIERE = {"PURPLE": 4289825711, "CYAN": 4292277273, "YELLOW": 4281049552, "RED": 4281740498, "BLACK": 4294967295}
"""Colours of markers as Premiere Pro writes them, 0xAABBGGRR; it has no black, so white, and green is without one."""


def to_fcpxml(table: pd.DataFrame) -> str:
    """FCPXML 1.10: one asset clip a shot, with a marker and a keyword named after its scale, or after its kind.

    Times are exact fractions of a second; the sequence begins with the film's own timecode. The film's URL leads from
    the table's folder to it. The format has no colours of markers; keywords select shots of a scale instead.
    Source: Apple's DTD of this version, "FCPXML Reference", developer.apple.com.
    """
    attrs, frames = table.attrs, frame_numbers(table)
    frame = 1 / exact_rate(attrs["rate"])
    start, total = _seconds(attrs["start_frame"] * frame), _seconds(frames[-1] * frame)
    drop = "DF" if attrs["drop_frame"] else "NDF"
    root = Element("fcpxml", version="1.10")
    resources = SubElement(root, "resources")
    height, width = attrs["size"] or (None, None)
    size = {"width": str(width), "height": str(height)} if width else {}
    SubElement(resources, "format", id="r1", frameDuration=_seconds(frame), **size)
    asset = {"id": "r2", "name": printable(attrs["made_from"]["film"]), "start": start, "duration": total}
    asset |= {"hasVideo": "1", "format": "r1", "videoSources": "1"}
    sound = {"hasAudio": "1", "audioSources": "1", "audioChannels": str(attrs["audio_channels"])}
    asset = SubElement(resources, "asset", asset | (sound if attrs["audio_channels"] else {}))
    SubElement(asset, "media-rep", kind="original-media", src=media_url(table))
    event = SubElement(SubElement(root, "library"), "event", name=film_name(table))
    project = SubElement(event, "project", name=film_name(table))
    sequence = SubElement(project, "sequence", format="r1", duration=total, tcStart=start, tcFormat=drop)
    spine = SubElement(sequence, "spine")
    for row, begin, end in zip(table.itertuples(), frames, frames[1:], strict=False):
        at, length = _seconds((attrs["start_frame"] + begin) * frame), _seconds((end - begin) * frame)
        clip = {"ref": "r2", "offset": at, "name": clip_name(table, row), "start": at, "duration": length}
        clip = SubElement(spine, "asset-clip", clip | {"format": "r1", "tcFormat": drop})
        SubElement(clip, "marker", start=at, duration=_seconds(frame), value=row.label or row.kind)
        SubElement(clip, "keyword", start=at, duration=length, value=row.label or row.kind)
    return _text(root, "fcpxml")


def to_xmeml(table: pd.DataFrame) -> str:
    """Final Cut Pro 7 XML (xmeml 5): one clip a shot on a video track, and on one audio track a channel, linked.

    Each clip of the picture has a marker at its first frame, named and coloured after its scale. Times are frames; the
    sequence and the file begin with the film's own timecode, drop-frame or not. The film's URL leads from the table's
    folder to it.
    Source: "Final Cut Pro 7 XML Interchange Format", Apple 2010.
    """
    attrs, frames = table.attrs, frame_numbers(table)
    root = Element("xmeml", version="5")
    sequence = SubElement(root, "sequence", id="sequence-1")
    _fields(sequence, name=film_name(table), duration=frames[-1])
    _rate(sequence, attrs)
    _timecode(sequence, attrs)
    media = SubElement(sequence, "media")
    size = attrs["size"]
    shots = [*zip(table.itertuples(), frames, frames[1:], strict=False)]
    for track in range(1 + attrs["audio_channels"]):
        if track < 2:
            kind = SubElement(media, "audio" if track else "video")
        if not track:
            _picture_format(SubElement(kind, "format"), attrs, size)
        part = SubElement(kind, "track")
        for row, begin, end in shots:
            item = SubElement(part, "clipitem", id=f"clipitem-{row.shot}-{track}")
            _fields(item, name=clip_name(table, row), enabled="TRUE", duration=frames[-1])
            _rate(item, attrs)
            _fields(item, start=begin, end=end, **{"in": begin, "out": end})
            file = SubElement(item, "file", id="file-1")
            if not track and not begin:  # told once, and from then on by its id
                _file(file, table, frames[-1], size)
            if track:
                _fields(SubElement(item, "sourcetrack"), mediatype="audio", trackindex=track)
            else:
                _marker(item, row, begin)
            _links(item, row, attrs["audio_channels"])
    return _text(root, "xmeml")


def _marker(item: Element, row, frame: int) -> None:
    marker, color = SubElement(item, "marker"), {**COLORS, **GREYS}[row.label or row.kind]
    _fields(marker, name=row.label or row.kind, comment=NAMES.get(row.label, row.kind), **{"in": frame, "out": -1})
    red, green, blue = bytes.fromhex(color[1:])
    _fields(SubElement(marker, "color"), alpha=0, red=red, green=green, blue=blue)
    if color := PREMIERE.get(MARKERS[row.label]):
        _fields(marker, pproColor=color)


def _links(item: Element, row, channels: int) -> None:
    """What belongs to a clip: its picture, and its channels of sound."""
    for track in range(1 + channels) if channels else ():
        link = SubElement(item, "link")
        _fields(link, linkclipref=f"clipitem-{row.shot}-{track}", mediatype="audio" if track else "video")
        _fields(link, trackindex=track or 1, clipindex=row.shot)


def _file(file: Element, table: pd.DataFrame, frames: int, size: tuple[int, int] | None) -> None:
    attrs = table.attrs
    _fields(file, name=printable(attrs["made_from"]["film"]), pathurl=media_url(table))
    _rate(file, attrs)
    _fields(file, duration=frames)
    _timecode(file, attrs)
    media = SubElement(file, "media")
    _picture_format(SubElement(media, "video"), attrs, size)
    if attrs["audio_channels"]:
        _fields(SubElement(media, "audio"), channelcount=attrs["audio_channels"])


def _picture_format(parent: Element, attrs: dict, size: tuple[int, int] | None) -> None:
    sample = SubElement(parent, "samplecharacteristics")
    _rate(sample, attrs)
    if size:
        _fields(sample, width=size[1], height=size[0])


def _rate(parent: Element, attrs: dict) -> None:
    ntsc = exact_rate(attrs["rate"]).denominator > 1
    _fields(SubElement(parent, "rate"), timebase=round(attrs["rate"]), ntsc=str(ntsc).upper())


def _timecode(parent: Element, attrs: dict) -> None:
    """The film's first timecode."""
    place, frame = SubElement(parent, "timecode"), attrs["start_frame"]
    _rate(place, attrs)
    _fields(place, string=timecode(frame, attrs["rate"], attrs["drop_frame"]), frame=frame)
    _fields(place, displayformat="DF" if attrs["drop_frame"] else "NDF")


def _fields(parent: Element, **fields: object) -> None:
    for name, value in fields.items():
        SubElement(parent, name).text = str(value)


def exact_rate(rate: float) -> Fraction:
    """Frames/s without rounding: 29.97 is 30000/1001, 24 is 24."""
    whole = round(rate)
    return Fraction(whole) if abs(rate - whole) < 0.005 else Fraction(1000 * whole, 1001)


def _seconds(time: Fraction) -> str:
    """A time as FCPXML has it: 1001/30000s, 5s."""
    return f"{time}s"


def _text(root: Element, kind: str) -> str:
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE {kind}>\n{tostring(root, encoding="unicode")}\n'
