"""Files: what their endings say, written never by half, and their checksums."""

import contextlib
import csv
import hashlib
import io
import locale
import os
import re
import secrets
import shutil
import stat
import tempfile
import warnings
from collections import Counter
from collections.abc import Container, Iterator
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


def list_files(folder: str | Path, suffixes: Container[str]) -> tuple[list[Path], str]:
    """Files below `folder` with one of `suffixes` (small letters, with dot), sorted, and counts of others by ending.

    The second is a text such as "2 .txt, 1 without", "" if there are no others. Hidden files and folders do not count.
    Warns of folders that cannot be read, and of links to folders. A file of no bytes is one too, and so is a link to
    nothing, which fails where it is read.
    """

    def left(error: OSError) -> None:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return
        if Path(error.filename) == Path(folder):
            raise error
        warnings.warn(f"{error.filename}: left out, as it cannot be read ({error.strerror})", stacklevel=4)

    found, others = [], Counter()
    for place, folders, files in os.walk(folder, onerror=left):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in folders):
            if path.is_symlink():
                warnings.warn(f"{path}: left out, as a link to a folder; name it too", stacklevel=3)
        for path in (Path(place, name) for name in files if not name.startswith(".")):
            if os.path.isfile(path) or not os.path.exists(path):  # noqa: PTH110, PTH113 - no errors where rights lack
                if path.suffix.lower() in suffixes:
                    found.append(path)
                else:
                    others[path.suffix.lower() or "without"] += 1
    return sorted(found), ", ".join(f"{count} {ending}" for ending, count in sorted(others.items()))


@contextlib.contextmanager
def naming(path: Path, instead_of: Path | None = None) -> Iterator[None]:
    """OSErrors that name no file, as of a full disk, or `instead_of`, name `path`."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename in (None, str(instead_of)):
            error.filename = str(path)
        raise


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
        with naming(path, instead_of=part):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.touch()
            yield part
            if old and hasattr(os, "chown"):
                with contextlib.suppress(PermissionError):  # only an administrator gives files to others
                    os.chown(part, old.st_uid, old.st_gid)
                part.chmod(stat.S_IMODE(old.st_mode))
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write(path: str | Path, data: str | bytes) -> None:
    """Write text (UTF-8) or bytes to the file `path`."""
    with replacing(path) as part:
        part.write_bytes(data.encode(errors="surrogateescape") if isinstance(data, str) else data)


def read_table(path: str | Path, column: str, *, raw: bool = False) -> tuple[str, str]:
    """The text of a CSV file as any spreadsheet saves it, and what stands between its cells.

    Commas, semicolons, tabs or bars: what makes `column` one of the first line's. UTF-8, UTF-16 or, as far as it is
    neither, what the system writes; with `raw`, bytes that are no UTF-8 stay in it as they stand in names of files.
    """
    data = Path(path).read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    elif raw:
        text = data.decode("utf-8-sig", "surrogateescape")
    else:
        text = data.decode("cp1252", "replace")
        for encoding in (locale.getencoding(), "utf-8-sig"):
            with contextlib.suppress(UnicodeDecodeError):
                text = data.decode(encoding)
    text = re.sub(r"\Asep=.(?=[\r\n])", "", text)  # a line that tells Excel what stands between cells
    for between in ",;\t|":
        with contextlib.suppress(csv.Error):
            head = next(filter(any, csv.reader(io.StringIO(text, newline=""), delimiter=between)), [])
            if column in map(str.strip, head):
                return text, between
    return text, ","


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
