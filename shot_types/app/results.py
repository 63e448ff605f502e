"""The results of one film as the page shows and changes them: its table, saved with a version, and what follows."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
from pathlib import Path
from urllib.parse import quote

import matplotlib
import pandas as pd

from ..film import load, save
from ..film.analysis import with_thumbnails
from ..film.exports import cells, to_page
from ..film.report import export_copies, summary
from ..film.table import RESULTS, beside, records, to_csv
from ..film.work import Work
from ..labels import SCALE

matplotlib.use("agg")  # figures are drawn in threads, in which no window can be opened
DRAWING = threading.Lock()
"""Held while figures are drawn: Matplotlib's pyplot has one state for all threads."""
WHAT = {
    ".csv": "table: one row a shot",
    ".json": "the same, with all settings",
    ".otio": "timeline (OpenTimelineIO)",
    ".edl": "EDL (CMX 3600): editing programs",
    ".fcpxml": "Final Cut Pro, DaVinci Resolve",
    ".xml": "Final Cut Pro 7 XML: Premiere Pro, DaVinci Resolve",
    ".eaf": "ELAN annotation",
    ".vtt": "chapters (WebVTT): players",
    ".html": "this film's page, in one file",
    "_cinemetrics.csv": "lengths for Cinemetrics",
    "_contact_sheet.jpg": "contact sheet",
    "_timeline.png": "figure: timeline",
    "_rhythm.png": "figure: rhythm",
    "_cutting_rate.png": "figure: cutting rate",
    "_shares.png": "figure: shares of the scales",
    "_lengths.png": "figure: lengths by scale",
    "_histogram.png": "figure: histogram of lengths",
    "_transitions.png": "figure: which scale follows which",
}
COLUMNS = ("shot", "start", "end", "seconds", "kind", "label", "confidence", "check", "thumbnail")
KNOWN = 200  # versions of which it is still told what was changed since


class ConflictError(ValueError):
    """The table was saved elsewhere meanwhile: `changed` lists what, `version` is that of the table now."""

    def __init__(self, name: str, changed: list[str], version: str):
        super().__init__(f"{name}: changed in another window meanwhile; reload the page, and make your changes again")
        self.changed, self.version = changed, version


class Results:
    """The results of a film; its methods may be called from any thread."""

    def __init__(self, work: Work, path: Path, url: str):
        """`work`: where they lie. `path`: the film. `url`: of what is served of it, with a slash at the end."""
        self.work, self.path, self.url = work, path, url
        self.lock, self.exporting = threading.RLock(), threading.Lock()  # who exports keeps nobody waiting
        self.known: dict[str, dict] = {}
        self.read: tuple | None = None
        self.trouble = ""
        """Why the files for other programs are older than the table, in one sentence; "" where they are not."""

    def table(self) -> pd.DataFrame:
        """As `film.load`, read again only where the file is another; not to be changed."""
        with self.lock:
            if not self.work.csv.exists():
                raise FileNotFoundError(
                    f"{self.work.csv}: no table yet, or it was moved; let the film be analysed again"
                )
            stamp = [path.stat().st_mtime_ns for path in (self.work.csv, beside(self.work.csv, ".json"))]
            if self.read is None or self.read[0] != stamp:
                table = load(self.work.csv)
                self.read = (stamp, table, {"shots": len(table), "shares": summary(table)[list(SCALE)].to_dict()})
            return self.read[1]

    def figures(self) -> dict:
        """`shots`: how many rows; `shares`: of the time of shots, by label."""
        with self.lock:
            self.table()
            return self.read[2]

    def rows(self) -> list[dict]:
        """What the front page shows of each shot that is found so far; the thumbnail as a URL, or ""."""
        found = records(self.table()) if self.is_finished() else self.work.so_far()
        rows = [{name: row.get(name) for name in COLUMNS} for row in found]
        return [row | {"thumbnail": row["thumbnail"] and self.url + quote(row["thumbnail"])} for row in rows]

    def page(self, save_url: str) -> str:
        """The film's page, which saves to `save_url`; it can as long as nobody else has saved meanwhile."""
        with self.lock:
            table = self.table()
            return to_page(table, {"url": save_url, "version": self._version(table), "video": f"{self.url}video"})

    def save(self, text: bytes, version: str) -> dict:
        """Take over the CSV `text` of a page that began with `version`; `follow` does the rest.

        Gives `version`, `changed` (how many differences there are) and `shots`, the cells of the table as it is saved.
        Raises ConflictError; ValueError with the line that is wrong, and then nothing is changed.
        """
        with self.lock:
            present = self.table()
            if version != (now := self._version(present)):
                before = self.known.get(version)
                changed = _differences(before, _said(present)) if before else ["more than this server knows of"]
                raise ConflictError(self.work.csv.name, changed, now)
            table = self._checked(text)
            table.attrs |= {name: present.attrs[name] for name in ("media", "folder", "name")}
            if self._version(table) != now:
                save(table, self.work.csv)
                with contextlib.suppress(FileNotFoundError):  # a film that was moved: no new pictures
                    with_thumbnails(table, self.path, self.work)
            table = self.table()
            changed = _differences(_said(present), _said(table))
            return {"version": self._version(table), "changed": len(changed), "shots": cells(table)["shots"]}

    def _checked(self, text: bytes) -> pd.DataFrame:
        """The table that `text` would be in place of the present one, read from a copy."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, self.work.csv.name)
            copy.write_bytes(text)
            shutil.copy(beside(self.work.csv, ".json"), beside(copy, ".json"))
            try:
                return load(copy)
            except ValueError as error:
                raise ValueError(str(error).replace(f"{copy}", copy.name)) from error

    def follow(self) -> None:
        """Write the exports again where they are older than the table, or missing.

        They get the table's time, so that those which a save overtakes are seen to be older. Where one cannot be
        written, ValueError says so, and `trouble` until it can be.
        """
        try:
            self._follow()
            self.trouble = ""
        except (ValueError, OSError) as error:
            self.trouble = f"the files for other programs cannot be written: {error}"
            raise ValueError(self.trouble) from error

    def _follow(self) -> None:
        files = [beside(self.work.csv, end) for end in RESULTS if end != ".json"]
        with self.exporting:
            while not all(file.exists() and file.stat().st_mtime_ns >= self._time() for file in files):
                with self.lock:
                    table, since = self.table(), self._time()
                with DRAWING:
                    written = export_copies(table)
                for file in written:
                    os.utime(file, ns=(since, since))

    def is_finished(self) -> bool:
        """Whether all shots are found, and in the table."""
        return self.work.csv.exists() and not self.work.part.exists()

    def _time(self) -> int:
        return self.work.csv.stat().st_mtime_ns

    def files(self) -> list[dict]:
        """Name and purpose of all files for other programs."""
        files = {beside(self.work.csv, end): what for end, what in WHAT.items()}
        return [{"name": file.name, "what": what} for file, what in files.items() if file.exists()]

    def file(self, name: str) -> Path:
        """A thumbnail of the table or one of `files`, by its name; FileNotFoundError if it is none of these."""
        if name in [file["name"] for file in self.files()]:
            if name not in (self.work.csv.name, beside(self.work.csv, ".json").name):
                self.follow()
            return self.work.csv.with_name(name)
        finished, path = self.is_finished(), Path(name)
        known = name in set(self.table()["thumbnail"]) if finished else path.parent.as_posix() == self.work.shots.name
        path = (self.work.shots if finished else self.work.part_shots) / path.name
        if name and known and path.is_file():
            return path
        raise FileNotFoundError(f"{name}: no file of this film; go back to its page")

    def _version(self, table: pd.DataFrame) -> str:
        """A digest of what a person can change; what was said of it is kept."""
        version = hashlib.sha256(to_csv(table.drop(columns="thumbnail")).encode()).hexdigest()[:16]
        self.known[version] = _said(table)
        while len(self.known) > KNOWN:
            del self.known[next(iter(self.known))]
        return version


def _said(table: pd.DataFrame) -> dict[tuple, dict]:
    """What is compared of each row: by start and end, its number and what a person may change."""
    names = ["shot", "kind", "label", "check"]
    times = zip(table["start_seconds"], table["end_seconds"], strict=True)
    return dict(zip(times, table[names].to_dict("records"), strict=True))


def _word(value: object) -> object:
    return "none" if value == "" else value


def _differences(before: dict[tuple, dict], after: dict[tuple, dict]) -> list[str]:
    """One text each, such as "shot 3: label MS -> CS"; shots have the numbers that they have `after`, or had."""
    texts = [
        (start, f"shot {row['shot']}: {name} {_word(before[start, end][name])} -> {_word(row[name])}")
        for (start, end), row in after.items()
        for name in ("kind", "label", "check")
        if (start, end) in before and before[start, end][name] != row[name]
    ]
    for rows, others, what in ((before, after, "gone"), (after, before, "new")):
        times = [(time, row["shot"]) for time, row in rows.items() if time not in others]
        texts += [(start, f"shot {number}, {start:.2f} to {end:.2f} seconds: {what}") for (start, end), number in times]
    return [text for _, text in sorted(texts, key=lambda text: text[0])]
