"""Where the results of a film lie in a folder: under a name of its own, with one run at work, to go on when stopped."""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

import pandas as pd

from ..files import naming
from .corrections import edited, said
from .table import RESULTS, beside, load, printable, save, short_digest

try:
    from fcntl import LOCK_EX, LOCK_NB, flock

    def lock(file: IO) -> None:
        """Take a lock of the system on an open file, which ends with it; BlockingIOError where another has it."""
        flock(file, LOCK_EX | LOCK_NB)

except ImportError:  # Windows
    import msvcrt

    def lock(file: IO) -> None:
        """The same; PermissionError where another has it."""
        file.seek(1 << 30)  # far from what is written: others cannot read locked bytes there
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)


PIECE, PIECES = 1 << 20, 16  # bytes, and how many: what of a film tells it from others


def locked(path: Path, refusal: str) -> tuple[IO[bytes], bool]:
    """A file to append to, which others cannot lock until it is closed; whether the file system has such locks.

    Raises ValueError, saying the `refusal`, where another has locked it.
    """
    file = path.open("ab")
    try:
        lock(file)
    except (BlockingIOError, PermissionError) as error:
        file.close()
        raise ValueError(refusal) from error
    except OSError:  # a file system without locks
        return file, False
    return file, True


def identity(path: Path) -> dict:
    """What tells a film from others, wherever it lies: name, size in bytes, and a SHA-256 of size and content.

    Of files over 16 MB, 16 pieces of 1 MB count, evenly spread.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for number in range(PIECES):
            file.seek(max(number * PIECE, number * (size - PIECE) // (PIECES - 1)))
            digest.update(file.read(PIECE))
    return {"film": path.name, "bytes": size, "digest": digest.hexdigest()}


def _csv(folder: Path, name: str) -> Path:
    return beside(folder / f"{name}.csv", ".csv")


def own_name(folder: Path, path: Path, film: dict, taken: Collection[str] = ()) -> str:
    """The name of a film's results in `folder`: its own, or with a number where other results or files have it.

    `film`: its `identity`. `taken`: names that are given away already.
    """
    for number in itertools.count(1):
        name = path.stem if number == 1 else f"{path.stem} ({number})"
        csv = _csv(folder, name)
        if name not in taken and not _is_foreign(csv) and all(_is_same(film, other) for other in _films(csv)):
            return name


def _folder(csv: Path, end: str) -> Path:
    """A folder of thumbnails beside the table `csv`, under a name that tables and one line can hold."""
    plain = printable(csv.stem, "_")
    if plain != csv.stem or plain.endswith(".part"):  # of a film x.part, else that of unfinished work on the film x
        plain += f"~{short_digest(csv.stem)}"
    return beside(csv.with_name(f"{plain}.csv"), end)


def _is_foreign(csv: Path) -> bool:
    """Whether files that no analysis wrote, such as subtitles or a half loaded film, have the names of results."""
    part = beside(csv, ".part")
    if part.is_file():
        with part.open("rb") as file:
            return file.read(1) not in (b"", b"{")
    if csv.exists():
        return part.exists()
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return not json.loads(beside(csv, ".json").read_bytes())["made_from"]
    others = [part, *(beside(csv, end) for end in RESULTS), _folder(csv, "_shots"), _folder(csv, ".part_shots")]
    return any(path.exists() for path in others)


def _films(csv: Path) -> Iterator[dict]:
    """The films whose finished or unfinished results have the name of the table `csv`."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # not a record: `load` says so
        if csv.exists():
            yield dict(json.loads(beside(csv, ".json").read_bytes())["made_from"])
    with contextlib.suppress(OSError, ValueError, TypeError), beside(csv, ".part").open(encoding="utf-8") as file:
        yield dict(json.loads(next(file, "")))


def _is_same(film: dict, other: dict) -> bool:
    """Whether two films are the same; a record may lack the digest."""
    key = "digest" if "digest" in other else "film"
    return film["bytes"] == other.get("bytes") and film[key] == other.get(key)


class Work:
    """The results of one film in a folder, finished or not.

    Finished are NAME.csv, NAME.json and the folder NAME_shots with thumbnails. While the work goes on, NAME.part has a
    line of JSON for what it is made from and one for each shot that is done, and thumbnails are in NAME.part_shots.
    Who works on it has a lock of the system on NAME.part, which ends with the process.
    """

    def __init__(self, folder: Path, name: str, made_from: dict):
        """`made_from`: film, weights and settings, as JSON has them; results that were made from other are not ours."""
        self.made_from = made_from
        self.csv = _csv(folder, name)
        self.part = beside(self.csv, ".part")
        self.shots, self.part_shots = (_folder(self.csv, end) for end in ("_shots", ".part_shots"))
        self.rows: list[dict] = []
        """One dict a shot."""

    def finished(self) -> pd.DataFrame | None:
        """The table that lies there, if nothing is left to do; ValueError if a person changed that of other work."""
        table = self._same()
        if table is None or not (edited(table) or self._unfinished() is None):
            return None
        return table

    def _same(self) -> pd.DataFrame | None:
        if not all(_is_same(self.made_from, other) for other in _films(self.csv)):
            raise ValueError(f"{self.csv}: has the results of another film; choose another `out` or `name`")
        table = load(self.csv) if self.csv.exists() else None
        if table is None:
            return None
        if self._is_ours(table.attrs["made_from"]):
            table.attrs["made_from"] = self.made_from
            return table
        if edited(table):
            raise ValueError(
                f"{self.csv}: has corrected labels, or what else a person entered, and is from other weights or"
                " settings; move it away, with its .json file and its folder of pictures, or choose another `out`"
            )
        return None

    def _is_ours(self, made_from: dict) -> bool:
        same = {name: self.made_from[name] for name in self.made_from if name not in ("film", "digest")}
        return _is_same(self.made_from, made_from) and all(made_from.get(name) == same[name] for name in same)

    def _unfinished(self) -> list[bytes] | None:
        """The lines of NAME.part, as far as they are whole; None if they are of other work, or there are none."""
        lines = []
        with contextlib.suppress(FileNotFoundError, ValueError):  # ValueError: the line at which the work was stopped
            for line in self.part.read_bytes().splitlines(keepends=True):
                row = json.loads(line) if line.endswith(b"\n") else None
                if not (isinstance(row, dict) and ("taken" in row if lines else self._is_ours(row))):
                    break
                lines.append(line)
        return lines or None

    def so_far(self) -> list[dict]:
        """The rows that are found while the work goes on, in this process or another, or lie there since it stopped."""
        rows = []
        with contextlib.suppress(FileNotFoundError, ValueError):
            for line in self.part.read_bytes().splitlines(keepends=True)[1:]:
                if line.endswith(b"\n"):
                    rows.append(json.loads(line))
        return rows

    def remove(self) -> None:
        """Remove the results, finished or not, with all that `report.export` wrote beside them."""
        for folder in (self.shots, self.part_shots):
            shutil.rmtree(folder, ignore_errors=True)
        for path in (self.csv, *(beside(self.csv, end) for end in RESULTS), self.part):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def begin(self) -> Iterator[None]:
        """Make the files of unfinished work, or what of them is whole; until the end, no other run can do so.

        Raises ValueError where another run is at work, or where nothing can be written.
        """
        if _is_foreign(self.csv):
            raise ValueError(
                f"{self.csv}: other files have the names of its results; choose another `out` or `name`, or move them"
            )
        with naming(self.csv), contextlib.ExitStack() as stack:
            try:
                self.part.parent.mkdir(parents=True, exist_ok=True)
                self.file = stack.enter_context(self._locked())
                lines = self._unfinished() or []
                if len(lines) < 2:
                    shutil.rmtree(self.part_shots, ignore_errors=True)
                self.part_shots.mkdir(exist_ok=True)
            except OSError as error:
                raise ValueError(
                    f"{self.csv}: cannot be written ({error.strerror}); choose another `out`, or rename the film"
                ) from error
            if self._same() is not None and not lines:
                raise ValueError(f"{self.csv}: another run has just written it; call again")
            self.file.truncate(sum(map(len, lines)))
            if not lines:
                self._write(self.made_from)
            self.rows = [json.loads(line) for line in lines[1:]]
            yield

    def _locked(self) -> IO[bytes]:
        while True:
            file, is_locked = locked(
                self.part, f"{self.csv}: another run is at work on it; wait for its end, or choose another `out`"
            )
            if not is_locked:
                return file
            if self.part.exists() and os.path.samestat(os.fstat(file.fileno()), self.part.stat()):
                return file
            file.close()  # the other run has just finished and removed it

    def _write(self, line: dict) -> None:
        self.file.write(json.dumps(line).encode() + b"\n")
        self.file.flush()

    def add(self, rows: Iterator[dict]) -> None:
        """Keep each row as it comes; its thumbnail, a name in `part_shots`, becomes that of the finished table."""
        for row in rows:
            if row["thumbnail"]:
                row["thumbnail"] = f"{self.shots.name}/{row['thumbnail']}"
            self._write(row)
            self.rows.append(row)

    def finish(self, attrs: dict) -> pd.DataFrame:
        """Write the table of all rows and give it as it lies there; `attrs` are all but `made_from`, `folder`, `name`.

        Raises ValueError where a person has meanwhile changed the table of other work.
        """
        table = pd.DataFrame(self.rows).drop(columns=["taken", "damaged", "bars"], errors="ignore")
        table.attrs = {"made_from": self.made_from, **attrs, "analysed": said(self.rows)}
        self._same()
        csv, shots = (Path(os.path.realpath(path)) for path in (self.csv, self.shots))  # links stay
        csv.unlink(missing_ok=True)  # else, stopped here, it would lie beside the thumbnails of this one
        if any(self.part_shots.iterdir()):  # not where an earlier run was stopped just after this
            shutil.rmtree(shots, ignore_errors=True)
            shutil.move(self.part_shots, shots)
        else:
            self.part_shots.rmdir()
        save(table, self.csv)
        if os.name == "nt":
            self.file.close()  # Windows removes no open file
        self.part.unlink(missing_ok=True)
        return load(self.csv)
