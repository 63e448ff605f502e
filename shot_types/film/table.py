"""The table of a film, one row a shot: written, read back with what a person corrected, and work that was stopped.

Columns of a table:
- `shot`: int, from 1. `start`, `end`: SMPTE timecode, drop-frame at 29.97 and 59.94 frames/s.
- `start_seconds`, `end_seconds`: from the first frame on. `seconds`: how long the shot is.
- `label`: one of the five classes, or "" where nothing is to be seen (black, one colour). `confidence`: its
  probability, from 0 to 1. `ECS`, `CS`, `MS`, `FS`, `LS`: the probabilities, which are empty where nothing is seen.
- `frames`: int, how many were classified. `agreement`: share of these, from 0 to 1, whose own label is the shot's.
- `scale_at_start`, `scale_at_end`: labels of the first and the last third, where these differ; else "".
- `thumbnail`: a file, from the table's folder on, or "".

`attrs` of a table: `made_from` (film, weights, settings), `rate` (timecode frames/s), `start_frame` (number of the
first one), `note` (what went wrong on the way), `work_seconds` (where the time went), `versions`, and `folder` (where
the table lies, once it is in a file).
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ..files import write
from ..labels import LABELS, SCALE
from ..pictures import check_file

TIMES = ["start_seconds", "end_seconds", "seconds"]
NUMBERS = ["shot", *TIMES, "confidence", *SCALE, "frames", "agreement"]
TEXTS = ["start", "end", "label", "scale_at_start", "scale_at_end", "thumbnail"]
RECORD = ("made_from", "rate", "start_frame", "note", "work_seconds", "versions")


def save(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV, and as JSON beside it, there with its `attrs`."""
    record = {name: value for name, value in table.attrs.items() if name != "folder"}
    record["shots"] = json.loads(table.to_json(orient="records"))
    write(Path(path).with_suffix(".json"), json.dumps(record, indent=1) + "\n")
    write(Path(path), table.to_csv(index=False))


def load(path: str | Path) -> pd.DataFrame:
    """The table of a CSV file that `save` wrote, its JSON file beside it; a person may have changed labels.

    A corrected label is not that of the highest probability. `confidence`, `agreement` and the scales at start and
    end are empty there: they were said of another label. Raises FileNotFoundError or ValueError, naming the file.
    """
    path = check_file(path)
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", dtype=dict.fromkeys(TEXTS, "str")).dropna(how="all")
        table[TEXTS] = table[TEXTS].fillna("")
        table[NUMBERS] = table[NUMBERS].astype(float)
        table = table.astype({"shot": int, "frames": int}).sort_values("shot", ignore_index=True)
        if table.empty or table[TIMES].isna().to_numpy().any():
            raise ValueError("rows or times are missing")
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: not a table of this program ({error}); change labels only, save with commas"
        ) from error
    table["label"] = table["label"].str.strip().str.upper()
    for row in table[~table["label"].isin([*LABELS, ""])].itertuples():
        raise ValueError(f"{path}: shot {row.shot} is labelled {row.label!r}; use {', '.join(SCALE)} or nothing")
    changed = corrected(table)
    table.loc[changed, ["confidence", "agreement"]] = np.nan
    table.loc[changed, ["scale_at_start", "scale_at_end"]] = ""
    table.attrs = {**_record(path), "folder": str(path.parent)}
    return table


def corrected(table: pd.DataFrame) -> np.ndarray:
    """Where the label is not that of the highest probability: bool (shots,)."""
    said = table[list(SCALE)].fillna(-1).to_numpy(float)
    return table["label"].to_numpy() != np.where(said.max(axis=1) < 0, "", np.array(SCALE)[said.argmax(axis=1)])


def _record(csv: Path) -> dict:
    """What the table in the file `csv` was made from."""
    path = csv.with_suffix(".json")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {name: record[name] for name in RECORD}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not there, or not the record of an analysis; move {csv.name} away and analyse the film again"
        ) from error


def thumbnail(table: pd.DataFrame, shot) -> Image.Image:
    """The RGB picture of a shot, one of `table.itertuples()`; a grey one where its file is lost or damaged."""
    with contextlib.suppress(OSError):
        return Image.open(Path(table.attrs["folder"]) / shot.thumbnail).convert("RGB")
    return Image.new("RGB", (256, 144), "#888888")


class Work:
    """The results of one film in a folder, finished or not.

    Finished are NAME.csv, NAME.json and the folder NAME_shots with thumbnails. While the work goes on, NAME.part has a
    line of JSON for what it is made from and one for each shot that is done, and thumbnails are in NAME.part_shots.
    """

    def __init__(self, folder: Path, name: str, made_from: dict):
        """`made_from`: film, weights and settings, as JSON has them; results that were made from other are not ours."""
        self.made_from = made_from
        ends = (".csv", ".part", "_shots", ".part_shots")
        self.csv, self.part, self.shots, self.part_shots = (folder / f"{name}{end}" for end in ends)
        self.rows = self._unfinished()
        """One dict a shot; None where no work with the same weights and settings was stopped."""

    def _unfinished(self) -> list[dict] | None:
        rows = None
        with contextlib.suppress(FileNotFoundError, ValueError):  # ValueError: the line at which the work was stopped
            first, *lines = self.part.read_text(encoding="utf-8").splitlines()
            if json.loads(first) == self.made_from:
                rows = []
                for line in lines:
                    row = json.loads(line)
                    if not isinstance(row, dict) or "taken" not in row:
                        break
                    rows.append(row)
        return rows

    def finished(self) -> pd.DataFrame | None:
        """The table that lies there, if nothing is left to do; ValueError if a person corrected that of other work."""
        table = self._same()
        return table if table is not None and (self.rows is None or corrected(table).any()) else None

    def _same(self) -> pd.DataFrame | None:
        table = load(self.csv) if self.csv.exists() else None
        if table is None or table.attrs["made_from"] == self.made_from:
            return table
        if corrected(table).any():
            raise ValueError(
                f"{self.csv}: has corrected labels and is from other weights, settings or film; move it away, or"
                " choose another `out`"
            )
        return None

    def begin(self) -> None:
        """Make the files of unfinished work, or what of them is whole."""
        if not self.rows:
            shutil.rmtree(self.part_shots, ignore_errors=True)
        self.part_shots.mkdir(parents=True, exist_ok=True)
        self.rows = self.rows or []
        write(self.part, "".join(json.dumps(line) + "\n" for line in (self.made_from, *self.rows)))

    def add(self, rows: Iterator[dict]) -> None:
        """Keep each row as it comes; its thumbnail, a name in `part_shots`, becomes that of the finished table."""
        with self.part.open("a", encoding="utf-8") as file:
            for row in rows:
                if row["thumbnail"]:
                    row["thumbnail"] = f"{self.shots.name}/{row['thumbnail']}"
                print(json.dumps(row), file=file, flush=True)
                self.rows.append(row)

    def finish(self, attrs: dict) -> pd.DataFrame:
        """Write the table of all rows and give it as it lies there; `attrs` are all but `made_from` and `folder`.

        Raises ValueError where a person has meanwhile corrected the table of other work.
        """
        table = pd.DataFrame(self.rows).drop(columns="taken")
        table.attrs = {"made_from": self.made_from, **attrs}
        self._same()
        if any(self.part_shots.iterdir()):  # not where an earlier run was stopped just after this
            shutil.rmtree(self.shots, ignore_errors=True)
            self.part_shots.rename(self.shots)
        else:
            self.part_shots.rmdir()
        save(table, self.csv)
        self.part.unlink(missing_ok=True)
        return load(self.csv)
