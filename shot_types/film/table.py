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
is drop-frame), `start_frame` (number of the first one), `audio_channels` (of the film; 0 without sound), `media` (where
the film lies; in the JSON file from the table's folder on), `note` (what went wrong on the way), `work_seconds` (where
the time went), `versions`, and, once the table is in a file, `folder` and `name` (where it lies, and that file's name
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
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import pandas as pd
from opentimelineio.opentime import RationalTime
from PIL import Image

from ..files import read_table, write
from ..labels import LABELS, SCALE
from ..pictures import FrameError, check_file, read_image

TIMES = ["start_seconds", "end_seconds", "seconds"]
COUNTS = ["shot", "frames", "check", "corrected"]
SHARES = ["confidence", *SCALE, "is_shot", "agreement"]
NUMBERS = [*COUNTS, *TIMES, *SHARES]
CHANGES = ["scale_at_start", "scale_at_end"]
TIMECODES = ["start", "end"]
TEXTS = [*TIMECODES, "kind", "label", "why", *CHANGES, "thumbnail"]
KINDS = ("shot", "title", "empty", "transition")
RECORD = ("made_from", "rate", "start_frame", "note", "work_seconds", "versions", "shots")
LATER_COLUMNS = {"check": 0, "corrected": 0, "is_shot": None, "why": "", "kind": ""}
LATER = {"drop_frame": None, "audio_channels": 0, "media": None}  # may be missing from a record, as LATER_COLUMNS may
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
    table = table.copy()
    for name in table.columns.difference(NUMBERS):
        table[name] = table[name].map(_inert)
    write(beside(path, ".json"), json.dumps(record, indent=1) + "\n")
    write(path, table.to_csv(index=False, header=list(map(_inert, table.columns))))


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
    """The table of a CSV file that `save` wrote, its JSON file beside it; a person may have changed labels and `check`.

    It may be as any spreadsheet saves it (`files.read_table`), with decimal points or commas; columns may have been
    moved and added, numbers rounded. These and the thumbnails are as in the JSON file, labels, `check` and added
    columns as in the CSV file.

    A corrected label is not that of the highest probability. `confidence`, `agreement` and the scales at start and
    end are empty there, and `check` is 0: they were said of another label. Raises FileNotFoundError or ValueError,
    naming the file, and the line where one is wrong.
    """
    path = check_file(path)
    record = _record(path)
    shots, lines = record.pop("shots"), _lines(path)
    if problem := check_rows(lines, shots):
        raise ValueError(
            f"{path}, {problem}; change labels only, or move the table away, with its .json file and its folder of"
            " pictures, and analyse the film again"
        )
    rows = {row["shot"]: row for _, row in lines}
    rows = [rows[shot["shot"]] for shot in shots]
    table = pd.DataFrame(shots)
    added = [name for name in lines[0][1] if name not in table.columns]
    for name in ("label", "check", *added):
        table[name] = [row[name] for row in rows]
    table = table.astype(dict.fromkeys(NUMBERS, float) | dict.fromkeys(COUNTS, int) | dict.fromkeys(TEXTS, "str"))
    changed = corrected(table)
    table["confidence"] = table[list(SCALE)].max(axis=1)  # a label may be the first one again
    table.loc[changed, ["confidence", "agreement"]] = np.nan
    table.loc[changed, "check"] = 0
    table.loc[changed, CHANGES] = ""
    if record["drop_frame"] is None:
        record["drop_frame"] = ";" in table["start"].iloc[0]
    if record["media"]:
        record["media"] = os.path.normpath(path.parent.resolve() / record["media"])
    table.attrs = {**record, "folder": str(path.parent), "name": path.stem}
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
            f"{path}, line 1: not a table of this program (missing or doubled: {', '.join(wrong)}); change labels only,"
            " and save as CSV"
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


def check_rows(lines: list[tuple[int, dict]], shots: list[dict]) -> str | None:
    """What is wrong first, as "line 5: ...", with rows that a person may have edited; None if nothing is.

    `lines`: the number of a line and its cells, as text; numbers and labels of rows that are right are put in their
    place. `shots`: the rows as the analysis wrote them.
    """
    seen, known = {}, {shot["shot"]: shot for shot in shots}
    for line, row in lines:
        for name in NUMBERS:
            text = row[name]
            row[name] = _number(text)
            if row[name] is None and (text.strip() or name not in SHARES):
                return f"line {line}: {name} is {text!r}, which is no number"
        if row["check"] not in (0, 1):
            return f"line {line}: check is {row['check']}; use 1 or 0"
        number = row["shot"]
        if number not in known:
            return f"line {line}: shot {number} is none of the film's {len(shots)}"
        if number in seen:
            return f"line {line}: shot {number} is in line {seen[number]} already"
        seen[number] = line
        row["label"] = row["label"].strip().upper()
        if row["label"] not in (*LABELS, ""):
            return f"line {line}: label of shot {number} is {row['label']!r}; use {', '.join(SCALE)} or nothing"
        for name, was in known[number].items():
            if name in TIMECODES:
                same = row[name].strip() == was
            elif name in ("kind", "why", "corrected", "is_shot"):
                same = True
            elif name in CHANGES:
                same = row[name].strip().upper() in (was, "")
            else:
                same = name not in NUMBERS or name == "check" or None in (was, row[name]) or _shows(row[name], was)
            if not same:
                return f"line {line}: {name} of shot {number} is {row[name]}, and the analysis wrote {was}"
    for shot in known:
        if shot not in seen:
            after = seen.get(shot - 1, lines[0][0] - 1)
            return f"line {after + 1}: the row of shot {shot} is missing, which was here"
    return None


def _number(text: str) -> Decimal | None:
    """A number as spreadsheets write it, with a decimal point or comma; None if it is none."""
    text = re.sub(r"[\s']", "", text)
    if "." in text and "," in text:  # the first is for thousands
        text = text.replace(min(".,", key=text.rindex), "")
    with contextlib.suppress(InvalidOperation):
        number = Decimal(text.replace(",", "."))
        return number if number.is_finite() else None
    return None


def _shows(number: Decimal, value: float) -> bool:
    """Whether `number` may be `value` rounded, to one decimal at least."""
    return abs(float(number) - value) <= 0.501 * 10.0 ** min(number.as_tuple().exponent, -1)


def corrected(table: pd.DataFrame) -> np.ndarray:
    """Where the label is not that of the highest probability: bool (shots,)."""
    said = table[list(SCALE)].fillna(-1).to_numpy(float)
    return table["label"].to_numpy() != np.where(said.max(axis=1) < 0, "", np.array(SCALE)[said.argmax(axis=1)])


def edited(table: pd.DataFrame) -> bool:
    """Whether a person entered something in a table: other labels, what is checked, more columns."""
    sure = table.attrs["made_from"].get("weights", {}).get("unsure below") or 0
    unlike = table["check"] != (table["confidence"] < sure)
    return bool(corrected(table).any() or unlike.any() or table.columns.difference([*NUMBERS, *TEXTS]).any())


def _record(csv: Path) -> dict:
    """What the table in the file `csv` was made from."""
    path = beside(csv, ".json")
    try:
        record = json.loads(path.read_text(encoding="utf-8-sig"))
        record = {name: record[name] for name in RECORD} | {name: record.get(name, LATER[name]) for name in LATER}
        shots = record["shots"]
        for shot in shots:
            for name, value in LATER_COLUMNS.items():
                shot.setdefault(name, value)
            shot["kind"] = shot["kind"] or ("shot" if shot["label"] else "empty")
        names = sorted((*NUMBERS, *TEXTS), key=list(shots[0]).index)
        shots = [{name: shot[name] for name in names} for shot in shots]
        for shot in shots:
            _check_kinds(shot, int | float, *COUNTS, *TIMES)
            _check_kinds(shot, int | float | None, *SHARES)
            _check_kinds(shot, str, *TEXTS)
        _check_kinds(record, int | float, "rate", "start_frame", "audio_channels")
        _check_kinds(record, str, "note")
        _check_kinds(record, str | None, "media")
        _check_kinds(record["made_from"], str, "film")
        if record["rate"] <= 0 or record["start_frame"] < 0:
            raise ValueError("no rate, or no start")
        return record | {"shots": shots}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{path}: not there, or not the record of an analysis; move {csv.name} and what lies beside it away and"
            " analyse the film again"
        ) from error


def _check_kinds(record: dict, kind, *names: str) -> None:
    """TypeError where values of a record are of another kind."""
    if wrong := [name for name in names if not isinstance(record[name], kind)]:
        raise TypeError(f"{', '.join(wrong)}: no {kind}")


def thumbnail(table: pd.DataFrame, shot) -> Image.Image:
    """The RGB picture of a shot, one of `table.itertuples()`; a grey one where its file is lost or damaged."""
    with contextlib.suppress(OSError, FrameError):
        return Image.fromarray(read_image(Path(table.attrs["folder"]) / shot.thumbnail))
    return Image.new("RGB", (256, 144), "#888888")


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
