"""Files: what their endings say, written never by half, and their checksums."""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

# What FFmpeg's demuxers and muxers of films call their files, and what people do; not those of sound, pictures and
# subtitles, and not .avs and the like, which name other files.
VIDEO_ENDINGS = """
    264 265 266 3g2 3gp 3gp2 3gpp amv apv asf avc avi bik bk2 cavs cdxl cpk dav dif divx dv dvr-ms evc f4v flc fli flm
    flv gxf h261 h263 h264 h265 h266 h26l hevc imx ipu ism ismv ivf ivr kux lvf lxf m1v m2p m2t m2ts m2v m4v mj2 mjpeg
    mjpg mk3d mkv mod mov moflex mp4 mpe mpeg mpg mpv mts mxf mxg nsv nut obu ogm ogv ogx paf psp qt rcv rm rmvb roq
    ser smk swf tod tp trp ts ty ty+ usm vc1 viv vob vro vvc webm wm wmv wtv xesc xmv y4m
"""
VIDEO_SUFFIXES = {f".{ending}" for ending in VIDEO_ENDINGS.split()}


def list_files(folder: str | Path, suffixes: Container[str]) -> list[Path]:
    """Files below `folder` with one of `suffixes` (small letters, with dot), sorted; hidden files and folders left out.

    A file of no bytes is one too.
    """
    return [path for path in _seen(folder) if path.suffix.lower() in suffixes]


def left_out(folder: str | Path, taken: Iterable[Path]) -> str:
    """Which endings the files below `folder` have besides those `taken`, with counts; "" if there are none."""
    taken = set(taken)
    counts = Counter(path.suffix.lower() or "without" for path in _seen(folder) if path not in taken)
    return ", ".join(f"{count} {ending}" for ending, count in sorted(counts.items()))


def _seen(folder: str | Path) -> list[Path]:
    folder = Path(folder)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(name.startswith(".") for name in path.relative_to(folder).parts)
    )


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
