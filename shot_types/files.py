"""Files: what their endings say, written never by half, and their checksums."""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".ppm"}
VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"}


@contextlib.contextmanager
def replacing(path: str | Path, ending: str = ".part") -> Iterator[Path]:
    """Another name to write to, with that `ending`; it becomes `path` when all went well, else what was there stays.

    A symbolic link is followed; a file keeps its mode, and its owner where the system allows that. A pipe, a device
    or an open file (`/dev/stdout`) receives the whole content at the end. Raises OSError, naming the file.
    """
    path, old = Path(path), None
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; name a file in it")
    with contextlib.suppress(FileNotFoundError):
        old = path.stat()
    if old and (not stat.S_ISREG(old.st_mode) or re.match("/dev/(fd/|std)|/proc/", str(path))):
        with tempfile.TemporaryDirectory() as folder:
            yield (part := Path(folder, f"new{ending}"))
            # Appended, because an open file is not to be cut; and who reads a pipe may have had enough.
            with part.open("rb") as new, contextlib.suppress(BrokenPipeError), path.open("ab") as file:
                shutil.copyfileobj(new, file)
        return
    path = Path(os.path.realpath(path))
    part = path.with_name(f"{path.name[:16]}.{secrets.token_hex(8)}{ending}")  # short, and nobody else's
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        yield part
        if old and hasattr(os, "chown"):
            with contextlib.suppress(PermissionError):  # only an administrator gives files to others
                os.chown(part, old.st_uid, old.st_gid)
            part.chmod(stat.S_IMODE(old.st_mode))
        part.replace(path)
    except OSError as error:
        if error.errno and error.filename in (None, str(part)):
            error.filename = str(path)
        raise
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
