"""The data-set contract: a folder with `frames.csv` and pictures; checks, counts, splits by group.

`frames.csv` has the columns `path` (relative to its folder), `label`, `group` (film, video or near-duplicate
cluster: what must stay on one side of a split) and `split` (train, val or test). Optional columns:

- `shot`: frames of one shot share it; training then draws one frame of each shot an epoch,
- `source`: where the frame is from, for breakdowns,
- `weight`: how often training shows the frame, a number from 0 on, 1 if empty,
- `seen_label`, `second_label`: what annotators saw; `MS/CS` is one who hesitated between the two,
- `inherited`: 1 for a frame that has its label from a neighbour in its shot; left out of val and test,
- `ambiguous`: 1 where annotator and source do not agree, or the annotator was not sure,
- `insert`: 1 for an object or a detail without a person. In these three an empty cell means 0.
"""

import contextlib
import csv
import io
import itertools
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from .files import read_table, replacing
from .labels import LABELS, SCALE
from .pictures import FrameError, list_pictures

COLUMNS = ("path", "label", "group", "split")
SPLITS = ("train", "val", "test")
FLAGS = ("inherited", "ambiguous", "insert")


class DatasetError(ValueError):
    """A data set that breaks the contract; the message names the file, the place and the remedy."""


def read_dataset(folder: str | Path) -> pd.DataFrame:
    """Read `folder`/frames.csv, check it against the contract, and return it with absolute `file` paths.

    `weight` is float, `inherited`, `ambiguous` and `insert` are int, where the table has them; what has no numbers
    is text. It may be as any spreadsheet saves it, but for the encoding: UTF-8 or UTF-16. Raises FileNotFoundError or
    DatasetError.
    """
    folder = Path(folder).resolve()
    path = folder / "frames.csv"
    table = _read_csv(path)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise DatasetError(f"{path}: columns missing: {', '.join(missing)}; name them so in line 1")
    # Names of files may have bytes that are no UTF-8; what another encoding makes of a table is in no folder.
    lost = [bool(re.search("[\udc80-\udcff]", name)) and not (folder / name).exists() for name in table["path"]]
    _refuse(path, table["path"], pd.Series(lost, table.index, bool), "save the table as UTF-8")
    for column, allowed in (("label", LABELS), ("split", SPLITS)):
        _refuse(path, table[column], ~table[column].isin(allowed), f"use {', '.join(allowed)}")
    if "weights" in table:
        raise DatasetError(f"{path}: column 'weights' is unknown; name it weight")
    if "weight" in table:
        weight = pd.to_numeric(table["weight"].replace("", "1"), errors="coerce")
        wrong = ~(np.isfinite(weight) & (weight >= 0))
        _refuse(path, table["weight"], wrong, "use numbers from 0 on, with a point for decimals, as in 1.5")
        table["weight"] = weight.astype(float)
    for column in (column for column in FLAGS if column in table):
        flag = pd.to_numeric(table[column].replace("", "0"), errors="coerce")
        _refuse(path, table[column], ~flag.isin((0, 1)), "use 0, 1 or an empty cell, which means 0")
        table[column] = flag.astype(int)
    _refuse(path, table["path"], table["path"] == "", "name a file")
    for row in table.index[table["path"].duplicated()]:
        raise DatasetError(
            f"{path}: {table['path'][row]!r} is there twice, again in line {_line(path, row)}; keep one row a file"
        )
    _refuse_divided(path, table, "group", "split", "keep a group on one side")
    if "shot" in table:
        table["shot"] = table["shot"].where(table["shot"] != "", table["path"])  # a frame without is a shot of its own
        _refuse_divided(path, table, "shot", "group", "name it film_shot")
    table["file"] = [str(folder / name) for name in table["path"]]
    return table.reset_index(drop=True)


def _read_csv(path: Path) -> pd.DataFrame:
    """The rows that are not empty, as they are written, columns that are checked as text."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; dataset.from_folders makes it from one subfolder a class")
    texts = dict.fromkeys((*COLUMNS, "shot", "weight", *FLAGS), str)
    text, between = read_table(path, "label", raw=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of rows longer than the header
            table = pd.read_csv(
                io.StringIO(text),
                sep=between,
                dtype=texts,
                keep_default_na=False,
                index_col=False,
                encoding_errors="surrogateescape",
            )
    except (ValueError, pd.errors.ParserWarning) as error:  # for an empty file or a torn one
        rows = _rows(path)
        size = len(next(rows, (1, []))[1])
        line = next((line for line, row in rows if len(row) > size), 1)
        raise DatasetError(f"{path}: not a CSV table (line {line}: {error}); save it with commas, as UTF-8") from error
    if doubled := [name for name in texts if f"{name}.1" in table]:  # as pandas names the second one
        raise DatasetError(f"{path}: columns doubled in line 1: {', '.join(doubled)}; keep one of each")
    if between != "," and "weight" in table:
        table["weight"] = table["weight"].str.replace(",", ".")  # where commas are for decimals
    return table[(table[table.columns.intersection(COLUMNS)] != "").any(axis=1)]


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table that are not blank, the names of columns first, each with the number of its line."""
    text, between = read_table(path, "label", raw=True)
    reader, line = csv.reader(io.StringIO(text, newline=""), delimiter=between), 1
    for row in reader:
        if len(row) > 1 or any(map(str.strip, row)):
            yield line, row
        line = reader.line_num + 1


def _line(path: Path, row: int) -> int:
    """The line of a row, from 0 on."""
    return next(itertools.islice(_rows(path), row + 1, None))[0]


def _refuse(path: Path, column: pd.Series, wrong: pd.Series, remedy: str) -> None:
    """DatasetError that names the first line where `wrong`, if any is."""
    if wrong.any():
        row, name = wrong.idxmax(), column.name
        first = f"first in line {_line(path, row)}: {column[row]!r}"
        raise DatasetError(f"{path}: {wrong.sum()} rows with an unknown {name}, {first}; {remedy}")


def _refuse_divided(path: Path, table: pd.DataFrame, by: str, column: str, remedy: str) -> None:
    """DatasetError that names the first line whose `column` is another than before with the same `by`, if any is."""
    other = table[column] != table.groupby(by)[column].transform("first")
    if other.any():
        row = other.idxmax()
        name = f"{by} {table[by][row]!r} is in more than one {column}"
        raise DatasetError(f"{path}: {name}, line {_line(path, row)} shows; {remedy}")


def measured(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of `split` that figures are computed on: inherited frames are left out."""
    table = table[table["split"] == split]
    if "inherited" in table:
        table = table[table["inherited"] == 0]
    return table.reset_index(drop=True)


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """Frames of each split and of All (rows) by class from near to far and in All (columns); 0 where there are none."""
    numbers = pd.crosstab(table["split"], table["label"]).reindex(index=SPLITS, columns=SCALE, fill_value=0)
    numbers.loc["All"] = numbers.sum()
    return numbers.assign(All=numbers.sum(axis=1)).rename_axis(index="split", columns="label")


def gaps(table: pd.DataFrame) -> list[str]:
    """What keeps classes of a split table from being learnt or measured, one sentence a class; [] if nothing does."""
    sides, sentences = [side for side in SPLITS if (table["split"] == side).any()], []
    for label in SCALE:
        rows = table[table["label"] == label]
        lacking = [side for side in sides if side not in set(rows["split"])]
        if rows.empty:
            sentences.append(f"class {label} has no frames: the network will not know it; add some")
        elif rows["group"].nunique() == 1:
            film = rows["group"].iloc[0]
            sentences.append(
                f"class {label} has frames of one film alone, {film!r}, all in {rows['split'].iloc[0]}: it cannot be"
                " both learnt and measured; add frames of other films"
            )
        elif lacking:
            sentences.append(f"class {label} has no frames in {' and '.join(lacking)}; add frames of other films")
    return sentences


def split_by_group(table: pd.DataFrame, fractions=(0.6, 0.2, 0.2), seed: int = 0) -> pd.DataFrame:
    """A copy of a table with `label` and `group`, with the column `split`: train, val, test by `fractions`.

    A group is never divided. Groups are placed one by one, the largest first, each on the side that lacks the
    largest share of what it wants of the group's classes, so that every class comes near its share. The same
    seed gives the same split on any machine.
    """
    _check_fractions(fractions)
    counts = pd.crosstab(table["group"], table["label"])
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts.to_numpy().sum(axis=1)[order], kind="stable")]
    totals = counts.to_numpy().sum(axis=0)
    used = np.array(fractions) > 0
    wanted = np.outer(np.array(fractions)[used], totals)  # (sides in use, classes)
    lacking = wanted.copy()
    side = np.empty(len(counts), int)
    for group in order:
        content = counts.to_numpy()[group]
        want = ((lacking / wanted) * content).sum(axis=1)
        side[group] = np.argmax(want.round(9))  # so that a last digit, which machines disagree on, decides nothing
        lacking[side[group]] -= content
    names = dict(zip(counts.index, np.array(SPLITS)[used][side], strict=True))
    return table.assign(split=table["group"].map(names))


def official_split(table: pd.DataFrame) -> pd.DataFrame:
    """A copy with the split that MovieShots publishes (`official_split`), which divides films: see `divided_groups`.

    A shot is on one side, so its group becomes film and shot. Raises DatasetError where the split is not given.
    """
    if table["official_split"].isna().any():
        raise DatasetError("not every shot has an official split; read v1_split_trailer.json")
    return table.assign(split=table["official_split"], group=table["movie"] + "_" + table["shot"])


def leaking_split_by_frame(table: pd.DataFrame, fractions=(0.6, 0.2, 0.2), seed: int = 0) -> pd.DataFrame:
    """LEAKS: a copy of a table of frames (`path`), each put on a side at random, so that shots and films are divided.

    Test frames then have near-duplicates in train, and figures are too good. It is here only to repeat the protocol
    of works that split so. Each frame becomes a group of its own.
    """
    _check_fractions(fractions)
    order = np.random.default_rng(seed).permutation(len(table))
    side = np.searchsorted(np.cumsum(fractions)[:-1] * len(table), order, side="right")
    return table.assign(split=np.array(SPLITS)[side], group=table["path"])


def divided_groups(table: pd.DataFrame, by: str = "group") -> int:
    """How many values of the column `by` (groups, films, shots) are on more than one side of the split."""
    return int((table.groupby(by)["split"].nunique() > 1).sum())


def _check_fractions(fractions) -> None:
    if len(fractions) != len(SPLITS) or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise DatasetError(f"fractions are {fractions}; give three from 0 on that sum to 1: train, val, test")


def from_folders(folder: str | Path, fractions=(0.6, 0.2, 0.2), seed: int = 0) -> pd.DataFrame:
    """Make `folder`, with one subfolder of pictures a class (ECS, CS, MS, FS, LS), a data set: write its frames.csv.

    A file name up to its last "_" is the group (`alien_0012.jpg`: film `alien`); a name without one is a group
    of its own. Warns of each class in `gaps`. Returns the table as `read_dataset` does. Raises FileNotFoundError or
    DatasetError.
    """
    folder = Path(folder)
    csv = folder / "frames.csv"
    if csv.exists():
        raise DatasetError(f"{csv}: exists already; remove it to make it anew")
    rows = []
    for label in LABELS:
        with contextlib.suppress(FrameError):  # no such subfolder, or nothing in it
            files = list_pictures(folder / label)
            rows += [(path.relative_to(folder).as_posix(), label, _film(path)) for path in files]
    if not rows:
        raise DatasetError(
            f"{folder}: no subfolder is named like a class and holds pictures; expected {', '.join(LABELS)}"
        )
    table = split_by_group(pd.DataFrame(rows, columns=["path", "label", "group"]), fractions, seed)
    if table["split"].nunique() < np.count_nonzero(fractions):
        raise DatasetError(f"{folder}: too few films to split; give frames of more, in files named film_number.jpg")
    alone = [] if table["group"].duplicated().any() else ["no two pictures are of one film; name them film_number.jpg"]
    for sentence in (*alone, *gaps(table)):
        warnings.warn(f"{folder}: {sentence}", stacklevel=2)
    write_csv(table, csv)
    return read_dataset(folder)


def _film(path: Path) -> str:
    return path.stem.rpartition("_")[0] or path.stem


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV; `path` is never half written."""
    with replacing(path) as part:
        table.to_csv(part, index=False, errors="surrogateescape")
