"""What a person changed in the table of a film: labels, kinds, cuts and `check`, tested and taken over.

Rows are dicts, one a shot, with the columns that `table` describes. Those of the file hold text.
"""

import contextlib
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

import numpy as np
import pandas as pd
from opentimelineio.opentime import RationalTime

from ..labels import SCALE
from .shot import CHANGES

TIMES = ["start_seconds", "end_seconds", "seconds"]
COUNTS = ["shot", "frames", "check", "corrected"]
SHARES = ["confidence", *SCALE, "is_shot", "agreement"]
NUMBERS = [*COUNTS, *TIMES, *SHARES]
TIMECODES = ["start", "end"]
TEXTS = [*TIMECODES, "kind", "label", "why", *CHANGES, "thumbnail"]
KINDS = ("shot", "title", "empty", "transition")
FIXED = ["frames", *SCALE, "confidence", "agreement", *CHANGES]
"""What nobody but the program says; other numbers there are a mistake."""
DAY = 24 * 3600  # seconds, after which timecode begins again
NEAR = 0.6  # frames: cuts that are written less precisely are still the same


def apply(lines: Iterable[tuple[int, dict]], shots: list[dict], attrs: dict) -> list[dict]:
    """The rows as they are to be after what a person did to `lines`: the number of a line, and its cells.

    `shots`: the rows as they were; `attrs`: those of the table. The result is in order of time and numbered anew. A row
    with the times of one of `shots`, or of `attrs["replaced"]`, is that one again; another that `shots` has not has the
    label and the kind of the shot it was cut from, unless it says others. Raises ValueError, "line 5: ...", where
    something is no answer, or where shots do not cover the film without gap and overlap.
    """
    known, taken = {shot["shot"]: shot for shot in shots}, {}
    spans = by_span([*attrs["replaced"], *shots])
    cuts = [shots[0]["start_seconds"], *(shot["end_seconds"] for shot in spans.values())]
    rows = []
    for line, cells in lines:
        row = _read(line, cells)
        old = known.get(row["shot"])
        row = _timed(line, row, old, cuts, attrs)
        whole = old and span(row) == span(old)
        if whole and row["shot"] in taken:
            raise ValueError(f"line {line}: shot {old['shot']} is in line {taken[row['shot']]} already; remove one")
        if whole:
            taken[row["shot"]] = line
        rows.append((line, row, old))
    rows.sort(key=lambda row: row[1]["start_seconds"])
    _joined(rows, shots, attrs["rate"])
    seen, result = set(), []
    for number, (line, row, old) in enumerate(rows, 1):
        if old is not None and old["shot"] in seen:
            old = None  # the second part of a shot whose row was copied
        seen.add(old and old["shot"])
        result.append(_answered(line, row, old, spans.get(span(row)), shots) | {"shot": number})
    return result


def _read(line: int, cells: dict) -> dict:
    """The cells of a row, numbers as such and None where there are none."""
    row = dict(cells)
    for name in NUMBERS:
        row[name] = number = _number(cells[name])
        if number is None and cells[name].strip():
            raise ValueError(f"line {line}: {name} is {cells[name]!r}, which is no number")
    if row["check"] not in (0, 1, None):
        raise ValueError(f"line {line}: check is {row['check']}; use 1 or 0")
    row["label"], row["kind"] = row["label"].strip().upper(), row["kind"].strip().lower()
    if row["label"] not in (*SCALE, ""):
        raise ValueError(f"line {line}: label is {row['label']!r}; use {', '.join(SCALE)} or nothing")
    if row["kind"] not in (*KINDS, ""):
        raise ValueError(f"line {line}: kind is {row['kind']!r}; use {', '.join(KINDS)}")
    return row


def _timed(line: int, row: dict, old: dict | None, cuts: list[float], attrs: dict) -> dict:
    """The row with the times that it says; of numbers and timecodes those count which are not as they were."""
    said = {}
    for name, code in zip(TIMES, TIMECODES, strict=False):
        number, text = row[name], row[code].strip()
        if old and (number is None or _shows(number, old[name])):
            number = None
        if old and text in ("", old[code]):
            text = ""
        time = float(number) if number is not None else None
        if text:
            by_code = _seconds(line, code, text, attrs)
            if time is not None and abs(time - by_code) > max(NEAR / attrs["rate"], 0.51 * _unit(number)):
                raise ValueError(f"line {line}: {name} is {number} and {code} is {text}; change one of them alone")
            time = by_code if time is None or _unit(number) > 0.5 / attrs["rate"] else time
        if time is None and old is None:
            raise ValueError(f"line {line}: a new row without {name}; write the seconds, or the timecode in {code}")
        said[name] = old[name] if time is None else _cut_near(time, cuts, attrs["rate"])
    length = said["end_seconds"] - said["start_seconds"]
    if length <= 0:
        raise ValueError(
            f"line {line}: a shot from {said['start_seconds']:.2f} to {said['end_seconds']:.2f} seconds; it has to end"
            " after its start"
        )
    seconds = row["seconds"]
    if seconds is not None and not _shows(seconds, length) and not (old and _shows(seconds, old["seconds"])):
        raise ValueError(
            f"line {line}: seconds is {seconds}, and from start to end it is {length:.2f}; change start or end"
        )
    return row | said


def _seconds(line: int, name: str, text: str, attrs: dict) -> float:
    """From the film's start to a timecode."""
    rate, drop = attrs["rate"], attrs["drop_frame"]
    rate = rate if drop else float(round(rate))
    try:
        frame = RationalTime.from_timecode(text if drop else text.replace(";", ":"), rate).value
    except ValueError as error:
        raise ValueError(f"line {line}: {name} is {text!r}; write a timecode such as 00:01:02:03") from error
    return round((frame - attrs["start_frame"]) % (DAY * round(rate)) / attrs["rate"], 6)


def _cut_near(time: float, cuts: list[float], rate: float) -> float:
    """The one of `cuts` that is meant, or `time` where none is within a frame."""
    nearest = min(cuts, key=lambda cut: abs(cut - time))
    return nearest if abs(nearest - time) <= NEAR / rate else time


def _joined(rows: list[tuple[int, dict, dict | None]], shots: list[dict], rate: float) -> None:
    """Let rows in order of time begin where the ones before end; ValueError where these are apart."""
    first, last, end = shots[0]["start_seconds"], shots[-1]["end_seconds"], None
    for line, row, _ in rows:
        before = first if end is None else end
        if (gap := row["start_seconds"] - before) and abs(gap) > NEAR / rate:
            where = "the film begins" if end is None else "the one before it ends"
            raise ValueError(
                f"line {line}: starts at {row['start_seconds']:.2f} seconds, and {where} at {before:.2f}:"
                f" {'a gap' if gap > 0 else 'they overlap'}; move one of the two, or put back the row that is missing"
            )
        row["start_seconds"], end = before, row["end_seconds"]
    line, row, _ = rows[-1]
    if abs(end - last) > NEAR / rate:
        raise ValueError(
            f"line {line}: the last shot ends at {end:.2f} seconds, and the film at {last:.2f}; move the end there, or"
            " put back the row that is missing"
        )
    row["end_seconds"] = last


def _answered(line: int, row: dict, old: dict | None, same: dict | None, shots: list[dict]) -> dict:
    """What is known of a row, with the label and the kind that a person gave it.

    `old`: the shot of its number, `same`: that of its times, which may be another once shots were numbered anew.
    """
    if old is not None and (same is None or same is old):
        _unchanged(line, row, old)
    if same is not None:
        base = same
    elif old is None:
        middle = (row["start_seconds"] + row["end_seconds"]) / 2
        base = next(shot for shot in reversed(shots) if shot["start_seconds"] <= middle)
        base = {**base, **dict.fromkeys(SHARES), "frames": 0, "scale_at_start": "", "scale_at_end": "", "thumbnail": ""}
    else:
        base = old
        middle = (old["start_seconds"] + old["end_seconds"]) / 2
        if not row["start_seconds"] <= middle < row["end_seconds"]:
            base = {**base, "thumbnail": ""}  # of a picture that is elsewhere
    kind, label = row["kind"] or base["kind"], row["label"]
    if old is None and not row["label"]:
        label = base["label"] if kind == "shot" else ""
    if kind != "shot" and label and label != base["label"]:
        if kind != base["kind"]:
            raise ValueError(f"line {line}: a {kind} with the label {label}; empty the label, or write the kind shot")
        kind = "shot"  # who gives a label has seen one
    if kind == "shot" and not label:
        known = [name for name in SCALE if base[name] is not None]
        if base["kind"] == "shot" or not known:
            raise ValueError(
                f"line {line}: a shot without label; use {', '.join(SCALE)}, or write title or empty as its kind"
            )
        label = max(known, key=base.get)
    added = {name: cell for name, cell in row.items() if name not in (*NUMBERS, *TEXTS)}
    times = {name: row[name] for name in TIMES[:2]}
    times["seconds"] = round(times["end_seconds"] - times["start_seconds"], 6)
    check = int(base["check"] if row["check"] is None else row["check"])
    return base | times | {"kind": kind, "label": label if kind == "shot" else "", "check": check} | added


def _unchanged(line: int, row: dict, old: dict) -> None:
    for name in FIXED:
        if name in CHANGES:
            same = row[name].strip().upper() in (old[name], "")
        else:
            same = None in (row[name], old[name]) or _shows(row[name], old[name])
        if not same:
            raise ValueError(
                f"line {line}: {name} of shot {old['shot']} is {row[name]}, and the analysis wrote {old[name]}; change"
                " labels, kinds, cuts and check only"
            )


def _number(text: str) -> Decimal | None:
    """A number as spreadsheets write it, with a decimal point or comma; None if it is none."""
    text = re.sub(r"[\s']", "", text)
    if "." in text and "," in text:  # the first is for thousands
        text = text.replace(min(".,", key=text.rindex), "")
    with contextlib.suppress(InvalidOperation):
        number = Decimal(text.replace(",", "."))
        return number if number.is_finite() else None
    return None


def _unit(number: Decimal) -> float:
    """What one more in the last decimal of a number is."""
    return 10.0 ** number.as_tuple().exponent


def _shows(number: Decimal, value: float) -> bool:
    """Whether `number` may be `value` rounded, to one decimal at least."""
    return abs(float(number) - value) <= 0.501 * min(_unit(number), 0.1)


def span(shot: dict) -> tuple[float, float]:
    """Start and end of a shot in seconds."""
    return shot["start_seconds"], shot["end_seconds"]


def by_span(shots: Iterable[dict]) -> dict[tuple[float, float], dict]:
    """The shots, each by its start and end; of two with the same, the last one."""
    return {span(shot): shot for shot in shots}


def said(shots: Iterable[dict]) -> list[list]:
    """What an analysis says of shots, from which a person's corrections are told: cuts, kind, label and `check`."""
    return [[shot[name] for name in ("start_seconds", "end_seconds", "kind", "label", "check")] for shot in shots]


def corrected(table: pd.DataFrame) -> np.ndarray:
    """Where cuts, kind or label are not those of the analysis: bool (shots,)."""
    analysed = {tuple(row[:4]) for row in table.attrs["analysed"]}
    return np.array([tuple(row[:4]) not in analysed for row in said(table.to_dict("records"))])


def replaced(rows: list[dict], shots: list[dict], attrs: dict) -> list[dict]:
    """The rows that the analysis wrote of shots which are no longer among `rows`.

    `shots`: the rows as they were before; `attrs`: those of the table then.
    """
    analysed, now = {tuple(row[:2]) for row in attrs["analysed"]}, by_span(rows)
    before = by_span([*attrs["replaced"], *shots])
    return [shot for times, shot in before.items() if times in analysed and times not in now]


def edited(table: pd.DataFrame) -> bool:
    """Whether a person entered something in a table: other cuts, kinds, labels, what is checked, more columns."""
    return said(table.to_dict("records")) != table.attrs["analysed"] or bool(
        table.columns.difference([*NUMBERS, *TEXTS]).any()
    )
