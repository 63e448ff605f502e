"""Which files the page may name: those below one folder, and uploads, which get names of their own."""

import re
from pathlib import Path
from typing import NamedTuple

from ..files import VIDEO_SUFFIXES

RESULTS, UPLOADS = "shot_types_analysis", "shot_types_uploads"
LONGEST = 80  # letters of a name


class Places(NamedTuple):
    """The one `folder` that is read, and where in it results and uploads are written."""

    folder: Path

    @property
    def results(self) -> Path:
        """The folder of tables and what lies beside them."""
        return self.folder / RESULTS

    @property
    def uploads(self) -> Path:
        """The folder of films that came through the browser."""
        return self.folder / UPLOADS

    def below(self, path: str) -> Path:
        """The file or folder that `path` names from the folder on, links followed; ValueError if that is elsewhere."""
        try:
            found = (self.folder / path).resolve()
        except (ValueError, OSError) as error:  # a zero byte, links in a circle
            raise ValueError(f"{path!r}: no name of a file; choose one from the list") from error
        if not found.is_relative_to(self.folder.resolve()):
            raise ValueError(
                f"{path}: not below the folder of this server; move it there, or start with another --folder"
            )
        return found

    def film(self, path: str) -> Path:
        """As `below`, of a film; ValueError if it has not the ending of one, FileNotFoundError if it is not there."""
        found = self.below(path)
        if found.suffix.lower() not in VIDEO_SUFFIXES:
            raise ValueError(f"{path}: no film, by its ending; choose a file such as a.mp4, a.mkv or a.mov")
        if not found.is_file():
            raise FileNotFoundError(f"{path}: no such film; choose one from the list")
        return found

    def browse(self, path: str) -> dict:
        """Folders and films in a folder, hidden ones and results left out; ValueError, FileNotFoundError."""
        place = self.below(path)
        if not place.is_dir():
            raise FileNotFoundError(f"{path}: no such folder; choose one from the list")
        folders, films = [], []
        for entry in sorted(place.iterdir(), key=lambda entry: entry.name.casefold()):
            if entry.name.startswith(".") or entry.name in (RESULTS, UPLOADS):
                continue
            name = entry.relative_to(place).as_posix()
            inside = "/".join(filter(None, [path.strip("/"), name]))
            try:
                size = self.below(inside).stat().st_size
            except (ValueError, OSError):
                continue  # a link that leads elsewhere, or nowhere
            if entry.is_dir():
                folders.append(name)
            elif entry.suffix.lower() in VIDEO_SUFFIXES:
                films.append({"name": name, "path": inside, "size": size})
        return {"path": path, "folders": folders, "films": films}

    def new_upload(self, name: str) -> Path:
        """Where an upload goes that the client calls `name`: letters, digits and spaces of it, and its ending.

        Raises ValueError where that is not the ending of a film.
        """
        stem, dot, ending = re.split(r"[\\/]", name)[-1].rpartition(".")
        if dot + ending.lower() not in VIDEO_SUFFIXES:
            raise ValueError(f"{name}: no film, by its ending; drop a file such as a.mp4, a.mkv or a.mov")
        stem = re.sub(r"[^\w ()-]+", "_", stem).strip("_ ")[:LONGEST].strip() or "film"
        number, path = 1, self.uploads / f"{stem}.{ending.lower()}"
        while path.exists():
            number += 1
            path = path.with_name(f"{stem} ({number}).{ending.lower()}")
        return path
