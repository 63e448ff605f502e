"""The table of a film, one row a shot: written, and read back with what a person corrected.

Columns of a table:
- `shot`: int, from 1. `start`, `end`: SMPTE timecode.
- `start_seconds`, `end_seconds`: from the first frame on. `seconds`: how long the shot is.
- `kind`: `shot`; `title` (title card, logo, credits, screen text), `empty` (black, white, one colour) or `transition`
  (a dissolve, a fade). Only a shot has a label and counts in shares and lengths.
- `label`: one of the five classes, or "" where the kind is not `shot`. `confidence`: its probability, from 0 to 1.
  `ECS`, `CS`, `MS`, `FS`, `LS`: the probabilities, which are empty where nothing is seen.
- `is_shot`: how sure it is, from 0 to 1, that there is a scale to be seen; below 0.5 it is a title. Empty where the
  weights do not tell.
- `frames`: int, how many were classified. `agreement`: share of these, from 0 to 1, whose own label is the shot's.
- `check`: 1 for the shots to look at first, else 0; `why` says the reasons. Who has looked may write 0.
- `corrected`: 1 where a person changed label, kind or cuts, else 0.
- `scale_at_start`, `scale_at_end`: labels of the first and the last third, where these differ; else "".
- `thumbnail`: a file, from the table's folder on, or "".
- Columns that a person added are kept behind these, as text.

`attrs` of a table: `made_from` (film, weights, settings), `rate` (timecode frames/s), `drop_frame` (whether timecode
is drop-frame), `start_frame` (number of the first one), `size` (height and width of the film in pixels, as it lies in
the file; None where an older version did not say), `audio_channels` (of the film; 0 without sound), `analysed` (what
the analysis said of the shots, from which corrections are told), `replaced` (all that it said of shots whose cuts a
person changed, until these are changed back), `bars` (what was trimmed and when, see `bars.runs`), `media` (where the
film lies; in the JSON file from the table's folder on), `note` (what went wrong on the way), `work_seconds` (where the
time went), `versions`, and, once the table is in a file, `folder` and `name` (where it lies, and that file's name
without its ending).
"""

import contextlib
import csv
import hashlib
import io
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from opentimelineio.opentime import RationalTime
from PIL import Image

from ..files import read_table, write
from ..labels import SCALE
from ..pictures import FrameError, check_file, read_image
from .corrections import COUNTS, NUMBERS, SHARES, TEXTS, TIMECODES, TIMES, apply, corrected, replaced, said
from .shot import CHANGES

RECORD = ("made_from", "rate", "start_frame", "note", "work_seconds", "versions", "shots")
LATER_COLUMNS = {"check": 0, "corrected": 0, "is_shot": None, "why": "", "kind": ""}
LATER = {"drop_frame": None, "audio_channels": 0, "media": None, "size": None, "bars": []}
LATER |= {"analysed": None, "replaced": []}
"""What may be missing from a file that an older version wrote, and what stands for it."""
RESULTS = (".json", ".otio", ".edl", ".fcpxml", ".xml", ".eaf", ".vtt", ".html", "_cinemetrics.csv")
RESULTS += ("_contact_sheet.jpg", "_timeline.png", "_rhythm.png", "_cutting_rate.png", "_shares.png", "_lengths.png")
RESULTS += ("_histogram.png", "_transitions.png")
"""How the names of the files end that lie beside a table: what `report.export` writes."""
LONGEST = 255  # bytes: what file systems take as a name
FORMULA = re.compile(r"'*(?:[=@\t\r]|[+-](?![\d.,]+$))")
"""How a text begins that spreadsheets would compute; an apostrophe before it makes it plain text."""


def save(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV, and as JSON beside it, there with its `attrs`.

    In the CSV file an apostrophe stands before texts that a spreadsheet would take for a formula; `load` removes it.
    """
    path = Path(path)
    record = {name: value for name, value in table.attrs.items() if name not in ("folder", "name")}
    if record.get("media"):
        with contextlib.suppress(ValueError):  # another drive
            record["media"] = Path(os.path.relpath(record["media"], path.parent.resolve())).as_posix()
    record["shots"] = records(table)
    write(beside(path, ".json"), json.dumps(record, indent=1) + "\n")
    write(path, to_csv(table))


def to_csv(table: pd.DataFrame) -> str:
    """The text of a table's CSV file, see `save`."""
    table = table.copy()
    for name in table.columns.difference(NUMBERS):
        table[name] = table[name].map(_inert)
    return table.to_csv(index=False, header=list(map(_inert, table.columns)))


def _inert(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    cell = re.sub("\r\n?", "\n", cell)  # which is not quoted, and would tear the line
    return f"'{cell}" if FORMULA.match(cell) else cell


def _as_written(cell: str) -> str:
    """The opposite of `_inert`."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def records(table: pd.DataFrame) -> list[dict]:
    """One dict a row, as JSON has it: None where nothing is known."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def load(path: str | Path) -> pd.DataFrame:
    """The table of a CSV file that `save` wrote, its JSON file beside it, with what a person changed since.

    It may be as any spreadsheet saves it (`files.read_table`), with decimal points or commas; columns may have been
    moved and added, rows sorted, numbers rounded. A person may change labels, kinds, `check` and cuts: move `end` of a
    shot with `start` of the next (timecode or seconds), cut a shot by one more row, whose `shot` is empty or that of
    the shot, and join two by removing the row of one. Shots are numbered anew; `corrections.apply` has the rules.

    Where a label was corrected, `confidence`, `agreement` and the scales at start and end are empty, and `check` is 0:
    they were said of another label. A shot that was cut off has no thumbnail. Raises FileNotFoundError or ValueError,
    naming the file, and the line where one is wrong.
    """
    path = check_file(path)
    record = _record(path)
    shots, lines = record.pop("shots"), _lines(path)
    if record["drop_frame"] is None:
        record["drop_frame"] = ";" in shots[0]["start"]
    try:
        rows = apply(lines, shots, record)
    except ValueError as error:
        raise ValueError(
            f"{path}, {error}; or move the table away, with its .json file and its folder of pictures, and analyse the"
            " film again"
        ) from error
    record["replaced"] = replaced(rows, shots, record)
    table = pd.DataFrame(rows)
    table = table[[*shots[0], *(name for name in lines[0][1] if name not in shots[0])]]
    table = table.astype(dict.fromkeys(NUMBERS, float) | dict.fromkeys(COUNTS, int) | dict.fromkeys(TEXTS, "str"))
    table.attrs = record
    for name, seconds in zip(TIMECODES, TIMES, strict=False):
        table[name] = [timecode_at(time, record) for time in table[seconds]]
    changed = corrected(table)
    table["corrected"] = changed.astype(int)
    table["confidence"] = table[list(SCALE)].max(axis=1)  # a label may be the first one again
    table.loc[changed | (table["kind"] != "shot"), ["confidence", "agreement"]] = np.nan
    table.loc[changed, "check"] = 0
    table.loc[changed, CHANGES] = ""
    table.loc[table["check"] == 0, "why"] = ""
    if record["media"]:
        table.attrs["media"] = os.path.normpath(path.parent.resolve() / record["media"])
    table.attrs |= {"folder": str(path.parent), "name": path.stem}
    return table


def _lines(path: Path) -> list[tuple[int, dict]]:
    """The rows of a CSV file, each with the number of its line; ValueError if it is none of this program."""
    text, delimiter = read_table(path, "label")
    reader, lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), []
    with _named_errors(path, reader):
        names = [_as_written(name.strip()) for name in next(filter(any, reader), [])]
    wrong = [name for name in (*NUMBERS, *TEXTS) if name not in (*names, *LATER_COLUMNS)]
    wrong += [name for name in set(names) if name and names.count(name) > 1]
    if wrong:
        raise ValueError(
            f"{path}, line 1: not a table of this program (missing or doubled: {', '.join(wrong)}); keep all"
            " columns, and save as CSV"
        )
    with _named_errors(path, reader):
        line = reader.line_num + 1
        for cells in reader:
            row = [*itertools.zip_longest(names, cells, fillvalue="")]
            if any(cell.strip() for name, cell in row if not name):
                raise ValueError(f"{path}, line {line}: a cell without a column name; name it in line 1, or empty it")
            if any(map(str.strip, cells)):
                cells = {name: _as_written(cell) for name, cell in row if name}
                lines.append(
                    (line, {name: str("" if value is None else value) for name, value in LATER_COLUMNS.items()} | cells)
                )
            line = reader.line_num + 1
    if not lines:
        raise ValueError(f"{path}, line {line}: all rows are missing; move it away and analyse the film again")
    return lines


@contextlib.contextmanager
def _named_errors(path: Path, reader) -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not CSV ({error}); save it as CSV again") from error


def _record(csv: Path) -> dict:
    """What the table in the file `csv` was made from."""
    path = beside(csv, ".json")
    try:
        record = json.loads(path.read_text(encoding="utf-8-sig"))
        record = {name: record[name] for name in RECORD} | {name: record.get(name, LATER[name]) for name in LATER}
        names = sorted((*NUMBERS, *TEXTS), key=[*record["shots"][0], *LATER_COLUMNS].index)
        for name in ("shots", "replaced"):
            record[name] = [_shot(shot, names) for shot in record[name]]
        _check_kinds(record, int | float, "rate", "start_frame", "audio_channels")
        _check_kinds(record, str, "note")
        _check_kinds(record, list, "bars")
        _check_kinds(record, str | None, "media")
        _check_kinds(record["made_from"], str, "film")
        if record["rate"] <= 0 or record["start_frame"] < 0:
            raise ValueError("no rate, or no start")
        return record | {"analysed": record["analysed"] or _as_analysed(record["shots"], record)}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{path}: not there, or not the record of an analysis; move {csv.name} and what lies beside it away and"
            " analyse the film again"
        ) from error


def _shot(shot: dict, names: list[str]) -> dict:
    """A row of a record with the columns `names`, also those that an older version did not write."""
    shot = LATER_COLUMNS | shot
    shot["kind"] = shot["kind"] or ("shot" if shot["label"] else "empty")
    _check_kinds(shot, int | float, *COUNTS, *TIMES)
    _check_kinds(shot, int | float | None, *SHARES)
    _check_kinds(shot, str, *TEXTS)
    return {name: shot[name] for name in names}


def _as_analysed(shots: list[dict], record: dict) -> list[list]:
    """What the analysis said of shots, where a record tells only what they are."""
    sure = record["made_from"].get("weights", {}).get("unsure below") or 0
    rows = []
    for shot in shots:
        known = {name: shot[name] for name in SCALE if shot[name] is not None}
        label = max(known, key=known.get, default="")
        check = int(bool(known) and known[label] < sure)
        rows.append({**shot, "label": label, "kind": "shot" if label else "empty", "check": check})
    return said(rows)


def _check_kinds(record: dict, kind, *names: str) -> None:
    """TypeError where values of a record are of another kind."""
    if wrong := [name for name in names if not isinstance(record[name], kind)]:
        raise TypeError(f"{', '.join(wrong)}: no {kind}")


def thumbnail(table: pd.DataFrame, shot) -> Image.Image:
    """The RGB picture of a shot, one of `table.itertuples()`; a grey one where its file is lost or damaged."""
    with contextlib.suppress(OSError, FrameError):
        return Image.fromarray(read_image(Path(table.attrs["folder"]) / shot.thumbnail))
    return Image.new("RGB", (256, 144), "#888888")


def timecode_at(seconds: float, attrs: dict) -> str:
    """SMPTE timecode of a time in a film that has these `attrs` of a table: rate, start_frame, drop_frame."""
    return timecode(attrs["start_frame"] + round(seconds * attrs["rate"]), attrs["rate"], attrs["drop_frame"])


def timecode(frame: int, rate: float, drop_frame: bool) -> str:
    """SMPTE timecode of a frame at a `rate` in frames/s; it begins again after 24 hours."""
    if not drop_frame:
        rate = round(rate)  # else OpenTimelineIO's day at 29.97 is the shorter one of drop-frame
    return RationalTime(frame, rate).to_timecode(rate, drop_frame)


def printable(text: str, mark: str = "\ufffd") -> str:
    """`text` as one line of valid Unicode: `mark` stands for control characters, and for bytes that are no text."""
    return "".join(character if character.isprintable() else mark for character in text)


def beside(csv: Path, end: str) -> Path:
    """The file of results beside the table `csv`: its name with another end, shortened where that gets too long."""
    stem = csv.stem
    if len(os.fsencode(stem + end)) > LONGEST:
        end = f"~{short_digest(stem)}{end}"
        while len(os.fsencode(stem + end)) > LONGEST:
            stem = stem[:-1]
    return csv.with_name(stem + end)


def short_digest(name: str) -> str:
    """Eight hexadecimal digits that tell a file name from others."""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
