"""Files: what their endings say, written never by half, and their checksums."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".ppm"}
VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"}


@contextlib.contextmanager
def replacing(path: str | Path, ending: str = ".part") -> Iterator[Path]:
    """Another name to write to, with that `ending`; it becomes `path` when all went well, else what was there stays."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; name a file in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}{ending}")  # no other process writes to that
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write(path: str | Path, data: str | bytes) -> None:
    """Write text (UTF-8) or bytes to the file `path`."""
    with replacing(path) as part:
        part.write_bytes(data.encode(errors="surrogateescape") if isinstance(data, str) else data)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
