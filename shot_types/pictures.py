"""Pictures to RGB arrays: read as a person would see them, black bars trimmed, resized for a network.

`load_frame` is the only preprocessing of this project: training and serving both call it, so a file gives
the same numbers in both. Every array is uint8 RGB of shape (height, width, 3).
"""

import functools
import io
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from .files import VIDEO_SUFFIXES, list_files

MIN_SIDE = 16  # pixels: below this no person can see a shot scale either
MAX_PIXELS = 178_000_000  # more would take over half a gigabyte for one picture; Pillow's own limit is near
BLACK = 24  # bars are darker than this (video black is 16 where a range flag was lost)
TOLERANCE = 8  # grey levels by which coding noise moves a flat bar
# Formats that Pillow knows, but reads not at all or in part.
NO_PICTURES = {"BUFR", "EPS", "FLI", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
MENDABLE = 1 << 28  # bytes: larger files that cannot be read are not looked into
PNG = b"\x89PNG\r\n\x1a\n"
JPEG_END = b"\xff\xd9"
JPEG_ROWS = 18  # of one row of blocks, and two that wait for it
PNG_PICTURE = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"}
_TURN = Image.Transpose
UPRIGHT = {2: _TURN.FLIP_LEFT_RIGHT, 3: _TURN.ROTATE_180, 4: _TURN.FLIP_TOP_BOTTOM, 5: _TURN.TRANSPOSE}
UPRIGHT |= {6: _TURN.ROTATE_270, 7: _TURN.TRANSVERSE, 8: _TURN.ROTATE_90}
"""How a picture of each Exif orientation is turned and mirrored."""


class Trimmed(np.ndarray):
    """An RGB array from which nothing more is to be trimmed; `rgb.view(Trimmed)` makes one."""


class FrameError(ValueError):
    """A picture, video or array that cannot be used; the message names it and says what to do."""


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those that are read, the frequent ones first; for some others Pillow starts programs, such as Ghostscript."""
    Image.init()
    return tuple(name for name in Image.ID if name not in NO_PICTURES)


@functools.cache
def picture_suffixes() -> frozenset[str]:
    """Endings of the formats that are read, in small letters with their dot."""
    formats = {*_formats(), "MPO"}  # which is JPEG at first sight
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


def list_pictures(folder: str | Path) -> list[Path]:
    """Picture files below `folder`, sorted, hidden ones left out; FrameError when there are none."""
    return _listed(folder)[0]


def find_pictures(folder: str | Path) -> list[Path]:
    """As `list_pictures`, with a warning that counts by their endings the files that are left out."""
    found, others = _listed(folder)
    if others:
        warnings.warn(f"{folder}: files left out, as Pillow reads no such pictures: {others}", stacklevel=3)
    return found


def _listed(folder: str | Path) -> tuple[list[Path], str]:
    found, others = list_files(folder, picture_suffixes())
    if not found:
        raise FrameError(f"{folder}: no pictures in this folder; expected files such as a.jpg, a.png or a.tif")
    return found, others


def check_file(path: str | Path) -> Path:
    """`path` as a Path if it is a file with something in it; FileNotFoundError or FrameError if not."""
    if path == "":
        raise FrameError("the path is empty; name a file")
    path = Path(path)
    if path.is_dir():
        raise FrameError(f"{path}: is a folder; name a file, or a folder with some that can be read")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise FrameError(f"{path}: the file is empty; get it again")
    return path


def read_image(path: str | Path, min_size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture as a person would see it: uint8 RGB (height, width, 3).

    Exif rotation is applied, transparency lies on white, 16-bit pictures keep their brightness, and of an
    animation the first frame counts. What is damaged beside the picture (Exif data, text, profiles, the end marker of
    a JPEG) does not matter. With `min_size` (height, width) a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size,
    never below `min_size`, which is several times faster.

    Raises FileNotFoundError or FrameError, naming the file.
    """
    return np.array(_read(path, min_size))


def _read(path: str | Path, min_size: tuple[int, int] | None) -> Image.Image:
    """As `read_image`, the picture of Pillow, in RGB."""
    path = check_file(path)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise FrameError(f"{path}: a video, not a picture; take frames from it with video.read_video_frame")
    try:
        with _quiet:
            try:
                return _decode(path, min_size)
            except (OSError, SyntaxError, ValueError):
                mended = _mended(path)
                if mended is None:
                    raise
                return _decode(io.BytesIO(mended), min_size)
    except Image.DecompressionBombError as error:
        limit = MAX_PIXELS // 1_000_000
        raise FrameError(f"{path}: more than {limit} million pixels declared; make it smaller first") from error
    except PermissionError as error:
        raise FrameError(f"{path}: may not be read; ask for the rights to") from error
    except UnidentifiedImageError as error:
        raise FrameError(f"{path}: not a picture that Pillow can read; convert it to JPEG or PNG") from error
    except Exception as error:  # the readers of Pillow raise many kinds
        raise FrameError(f"{path}: the picture is damaged ({error}); get it again") from error


class _Quiet:
    """No warnings of Pillow while any thread reads; `warnings.catch_warnings` alone serves one thread at a time."""

    def __init__(self):
        self.lock, self.readers = threading.Lock(), 0

    def __enter__(self):
        with self.lock:
            if not self.readers:
                self.before = warnings.catch_warnings()
                self.before.__enter__()
                warnings.filterwarnings("ignore", module="PIL")
            self.readers += 1

    def __exit__(self, *error):
        with self.lock:
            self.readers -= 1
            if not self.readers:
                self.before.__exit__(*error)


_quiet = _Quiet()


def _decode(file: Path | io.BytesIO, min_size: tuple[int, int] | None) -> Image.Image:
    with Image.open(file, formats=_formats()) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if min_size and image.format == "JPEG":
            image.draft(None, min_size if _orientation(image) >= 5 else min_size[::-1])  # stored on its side
        return _rgb(image)


def _mended(path: Path) -> bytes | None:
    """A picture file that can be read, from one of which nothing is lost but its end or what lies beside the picture.

    None where there is no such file to be had.
    """
    with path.open("rb") as file:
        data = file.read(len(PNG))
        if path.stat().st_size > MENDABLE or not data.startswith((PNG, b"\xff\xd8")):
            return None
        data += file.read()
    if not data.startswith(PNG):
        return data + JPEG_END if _rows_lost(data) <= JPEG_ROWS else None
    chunks, at = [PNG], len(PNG)
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        chunk, stored = data[at + 4 : at + 8 + size], data[at + 8 + size : at + 12 + size]
        right = struct.pack(">I", zlib.crc32(chunk))
        if kind in (b"IDAT", b"IEND"):  # damaged pixels show as such; a damaged head would be another picture
            stored = right
        if kind in PNG_PICTURE and (stored == right or kind != b"eXIf"):
            chunks.append(struct.pack(">I", len(chunk) - 4) + chunk + stored)
        at += 12 + size
    return b"".join(chunks)


def _rows_lost(data: bytes) -> int:
    """How many rows a decoder does not reach that gets a JPEG file without its end."""
    scan = data.rfind(b"\xff\xda")
    count = data[scan + 4] if 0 < scan < len(data) - 4 else 0
    with Image.open(io.BytesIO(data)) as image:
        if image.info.get("progressive"):  # each scan is of the whole picture; the last ones add the finest detail only
            return 0 if data[scan + 7 + 2 * count : scan + 8 + 2 * count] == b"\x10" else image.height
        image.draft("YCbCr", image.size)  # in which no picture has the zeros of rows that are not reached
        try:
            image.load()
        except OSError:
            box = image.im.getbbox()
            return image.height - box[3] if box else image.height
        return image.height  # it is not the end that is missing


def _orientation(image: Image.Image) -> int:
    """As Exif data have it, from 1 to 8; 1 where they are damaged."""
    try:
        with _quiet:
            orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever Pillow raises of them, the picture is not concerned
        return 1
    return orientation if orientation in range(1, 9) else 1


def _rgb(image: Image.Image) -> Image.Image:
    """A Pillow picture of any mode in RGB, upright; see `read_image`."""
    image.load()  # whereby Pillow turns TIFF itself
    if (orientation := _orientation(image)) in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_to_8_bit(np.asarray(image, dtype=np.float64)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Integers beyond 255 are taken as 16-bit, floats within 0..1 as a share of white; what is no number is black."""
    values = np.nan_to_num(values, posinf=0, neginf=0)
    top = values.max(initial=0)
    scale = 255 if top <= 1 else 1 if top <= 255 else 255 / 65535
    return np.clip(values * scale, 0, 255).astype(np.uint8)


def check_array(rgb: np.ndarray, name: str = "array") -> np.ndarray:
    """Return `rgb` if it is uint8 (height, width, 3) and large enough; FrameError naming `name` if not."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise FrameError(
            f"{name}: expected a uint8 RGB array (height, width, 3), got {rgb.dtype} {rgb.shape}; convert it"
        )
    if min(rgb.shape[:2]) < MIN_SIDE:
        raise FrameError(
            f"{name}: {rgb.shape[1]} x {rgb.shape[0]} pixels are too few; give at least {MIN_SIDE} x {MIN_SIDE}"
        )
    return rgb


def trim_bars(rgb: np.ndarray) -> np.ndarray:
    """Cut off letterbox and pillarbox bars; a view of `rgb`, the whole of it where there are none.

    A bar is flat, black, equally wide on both sides and ends in one straight line. Darkness that belongs
    to the picture (night, a fade) ends unevenly or not at all, and stays.
    """
    height, width = rgb.shape[:2]
    edges = (rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1])
    if not any(np.median(edge) < BLACK for edge in edges):  # the usual case, decided cheaply
        return rgb
    # Not the brightest channel: JPEG lets colour bleed into a bar, but hardly any brightness.
    red, green, blue = (rgb[..., channel].astype(np.uint16) for channel in range(3))
    brightness = (red + 2 * green + blue) >> 2
    top = _bar(brightness)
    brightness = brightness[top : height - top]
    left = _bar(brightness.T)
    return rgb[top : height - top, left : width - left]


def _bar(brightness: np.ndarray) -> int:
    """Height of the bars above and below a (rows, columns) array of brightness, 0 if there are none."""
    rows, columns = brightness.shape
    sides = []
    for side in (brightness, brightness[::-1]):
        level = np.median(side[0])
        if level >= BLACK:
            return 0
        bright = side > level + TOLERANCE
        flat = bright.mean(axis=1) <= 0.02
        if flat.all():  # a fade: nothing tells bar from picture
            return 0
        sides.append((int(np.argmin(flat)), bright))
    bar = min(size for size, _ in sides)
    if bar < 2 or rows - 2 * bar < 0.4 * rows:
        return 0
    straight = 0
    for _, bright in sides:
        near = bright[: bar + rows // 10]
        start = np.argmax(near, axis=0)[near.any(axis=0)]  # where each column's picture begins
        if len(start) < 0.05 * columns:
            continue  # dark up to here: says nothing either way
        at_edge = (start >= bar - 2) & (start <= bar + 2)
        if at_edge.mean() < 0.5:
            return 0
        straight += 1
    # One row more: scaling and coding smear the line between bar and picture.
    return bar + 1 if straight else 0


def resize(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """The whole picture, squeezed to uint8 (height, width, 3) with an antialiased bilinear filter."""
    return _resized(Image.fromarray(rgb), height, width)


def _resized(image: Image.Image, height: int, width: int) -> np.ndarray:
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def load_frame(source, height: int, width: int) -> np.ndarray:
    """A path, a Pillow picture or an RGB uint8 array -> what a network receives, uint8 (height, width, 3).

    Black bars are trimmed, except from an array that is `Trimmed`. Raises FileNotFoundError or FrameError, naming the
    file.
    """
    image, name = None, "array"
    if isinstance(source, str | Path):
        image, name = _read(source, (height, width)), str(source)
    elif isinstance(source, Image.Image):
        name = getattr(source, "filename", "") or "picture"
        try:
            image = _rgb(source)
        except Exception as error:  # Pillow reads what it opened here, and its readers raise many kinds
            raise FrameError(f"{name}: the picture is damaged or closed ({error}); open it again") from error
    elif not isinstance(source, np.ndarray):
        raise FrameError(f"{type(source).__name__}: give a path, a PIL picture or a uint8 RGB array")
    rgb = check_array(source if image is None else np.asarray(image), name)
    trimmed = rgb if isinstance(source, Trimmed) else trim_bars(rgb)
    if image is None or trimmed.shape != rgb.shape:  # else another copy would take longer than to look for bars
        return resize(trimmed, height, width)
    return _resized(image, height, width)
