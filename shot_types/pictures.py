"""Pictures to RGB arrays: read as a person would see them, black bars trimmed, resized for a network.

`load_frame` is the only preprocessing of this project: training and serving both call it, so a file gives
the same numbers in both. Every array is uint8 RGB of shape (height, width, 3).
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from .files import PICTURE_SUFFIXES, VIDEO_SUFFIXES

MIN_SIDE = 16  # pixels: below this no person can see a shot scale either
MAX_PIXELS = 180_000_000  # more would take over half a gigabyte for one picture
BLACK = 24  # bars are darker than this (video black is 16 where a range flag was lost)
TOLERANCE = 8  # grey levels by which coding noise moves a flat bar


class FrameError(ValueError):
    """A picture, video or array that cannot be used; the message names it and says what to do."""


def list_pictures(folder: str | Path) -> list[Path]:
    """Picture files below `folder`, sorted, hidden ones left out; FrameError when there are none."""
    folder = Path(folder)
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()
        if not any(name.startswith(".") for name in path.relative_to(folder).parts)
    )
    if not found:
        raise FrameError(f"{folder}: no pictures in this folder; expected {', '.join(sorted(PICTURE_SUFFIXES))}")
    return found


def check_file(path: str | Path) -> Path:
    """`path` as a Path if it is a file with something in it; FileNotFoundError or FrameError if not."""
    path = Path(path)
    if path.is_dir():
        raise FrameError(f"{path}: is a folder, not a file; name a file in it")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise FrameError(f"{path}: the file is empty; get it again")
    return path


def read_image(path: str | Path, min_size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture as a person would see it: uint8 RGB (height, width, 3).

    Exif rotation is applied, transparency lies on white, 16-bit pictures keep their brightness, and of an
    animation the first frame counts. With `min_size` (height, width) a JPEG may be decoded at 1/2, 1/4 or
    1/8 of its size, never below `min_size`, which is several times faster.

    Raises FileNotFoundError or FrameError, naming the file.
    """
    path = check_file(path)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise FrameError(f"{path}: a video, not a picture; take frames from it with video.read_video_frame")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                if min_size and image.format == "JPEG":
                    turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # stored on its side
                    image.draft(None, min_size if turned else min_size[::-1])
                return to_rgb(image)
    except Image.DecompressionBombError as error:
        limit = MAX_PIXELS // 1_000_000
        raise FrameError(f"{path}: more than {limit} million pixels declared; make it smaller first") from error
    except UnidentifiedImageError as error:
        raise FrameError(f"{path}: not a picture that Pillow can read; convert it to JPEG or PNG") from error
    except Exception as error:  # the readers of Pillow raise many kinds
        raise FrameError(f"{path}: the picture is damaged ({error}); get it again") from error


def to_rgb(image: Image.Image) -> np.ndarray:
    """A Pillow picture of any mode as uint8 RGB (height, width, 3), upright; see `read_image`."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_to_8_bit(np.asarray(image, dtype=np.float64)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Integers beyond 255 are taken as 16-bit, floats within 0..1 as a share of white."""
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
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))


def load_frame(source, height: int, width: int) -> np.ndarray:
    """A path, a Pillow picture or an RGB uint8 array -> what a network receives, uint8 (height, width, 3).

    Raises FileNotFoundError or FrameError, naming the file.
    """
    if isinstance(source, str | Path):
        rgb = check_array(read_image(source, (height, width)), str(source))
    elif isinstance(source, Image.Image):
        rgb = check_array(to_rgb(source), getattr(source, "filename", "") or "picture")
    elif isinstance(source, np.ndarray):
        rgb = check_array(source)
    else:
        raise FrameError(f"{type(source).__name__}: give a path, a PIL picture or a uint8 RGB array")
    return resize(trim_bars(rgb), height, width)
