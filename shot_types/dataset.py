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
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from .files import replacing
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
    is text. Raises FileNotFoundError or DatasetError.
    """
    folder = Path(folder).resolve()
    csv = folder / "frames.csv"
    table = _read_csv(csv)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise DatasetError(f"{csv}: columns missing: {', '.join(missing)}; separate columns by commas")
    for column, allowed in (("label", LABELS), ("split", SPLITS)):
        _refuse(csv, table[column], ~table[column].isin(allowed), f"use {', '.join(allowed)}")
    if "weights" in table:
        raise DatasetError(f"{csv}: column 'weights' is unknown; name it weight")
    if "weight" in table:
        weight = pd.to_numeric(table["weight"].replace("", "1"), errors="coerce")
        wrong = ~(np.isfinite(weight) & (weight >= 0))
        _refuse(csv, table["weight"], wrong, "use numbers from 0 on, with a point for decimals, as in 1.5")
        table["weight"] = weight.astype(float)
    for column in (column for column in FLAGS if column in table):
        flag = pd.to_numeric(table[column].replace("", "0"), errors="coerce")
        _refuse(csv, table[column], ~flag.isin((0, 1)), "use 0, 1 or an empty cell, which means 0")
        table[column] = flag.astype(int)
    for path in table["path"][table["path"].duplicated()]:
        raise DatasetError(f"{csv}: {path!r} is there twice; keep one row a file")
    sides = table.groupby("group")["split"].nunique()
    if (sides > 1).any():
        raise DatasetError(f"{csv}: group {sides.idxmax()!r} is in more than one split; keep a group on one side")
    if "shot" in table:
        table["shot"] = table["shot"].where(table["shot"] != "", table["path"])  # a frame without is a shot of its own
        films = table.groupby("shot")["group"].nunique()
        if (films > 1).any():
            raise DatasetError(f"{csv}: shot {films.idxmax()!r} is in more than one group; name it film_shot")
    table["file"] = [str(folder / path) for path in table["path"]]
    return table


def _read_csv(csv: Path) -> pd.DataFrame:
    """The table as it is written, columns that are checked as text."""
    if not csv.is_file():
        raise FileNotFoundError(f"{csv}: no such file; dataset.from_folders makes it from one subfolder a class")
    texts = dict.fromkeys(("path", "label", "group", "shot", "weight", *FLAGS), str)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of rows longer than the header
            return pd.read_csv(csv, dtype=texts, keep_default_na=False, index_col=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserWarning) as error:  # for an empty file, a torn one, another encoding
        raise DatasetError(f"{csv}: not a CSV table ({error}); save it with commas, as UTF-8") from error


def _refuse(csv: Path, column: pd.Series, wrong: pd.Series, remedy: str) -> None:
    """DatasetError that names the first line where `wrong`, if any is."""
    if wrong.any():
        row, name = wrong.idxmax(), column.name
        first = f"first in line {row + 2}: {column[row]!r}"
        raise DatasetError(f"{csv}: {wrong.sum()} rows with an unknown {name}, {first}; {remedy}")


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
