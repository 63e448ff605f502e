"""Files to RGB arrays: pictures (Pillow), video frames (PyAV), black bars trimmed, resized for a network.

`load_frame` is the only preprocessing of this project: training and serving both call it, so a file gives
the same numbers in both. Every array is uint8 RGB of shape (height, width, 3).
"""

import contextlib
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".ppm"}
VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"}
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
        raise FrameError(f"{path}: a video, not a picture; take frames from it with frames.read_video_frame")
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
    except Image.DecompressionBombError:
        limit = MAX_PIXELS // 1_000_000
        raise FrameError(f"{path}: more than {limit} million pixels declared; make it smaller first") from None
    except UnidentifiedImageError:
        raise FrameError(f"{path}: not a picture that Pillow can read; convert it to JPEG or PNG") from None
    except Exception as error:  # the readers of Pillow raise many kinds
        raise FrameError(f"{path}: the picture is damaged ({error}); get it again") from None


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


def read_video_frame(path: str | Path, seconds: float | None = None, frame: int | None = None) -> np.ndarray:
    """The picture that a player shows at `seconds`, or frame number `frame` (from 0): uint8 RGB.

    `seconds` counts from the first frame and is fast in long files; `frame` decodes from the start. Raises
    FileNotFoundError or FrameError, naming the file.
    """
    if (seconds is None) == (frame is None):
        raise FrameError(f"{path}: give either seconds or frame")
    if (frame if seconds is None else seconds) < 0:
        raise FrameError(f"{path}: no frame before the start of the video; give 0 or more")
    with Video(path) as video:
        shown = None
        for number, following in enumerate(video.decode(seconds or 0)):
            if frame is None and shown and following.time > seconds + 0.001:  # files may round times to milliseconds
                return video.picture(shown)
            shown = following
            if number == frame:
                return video.picture(shown)
        if shown is None:
            raise FrameError(f"{path}: the video has no frames; get it again")
        if frame is None and seconds <= shown.time + video.frame_seconds:
            return video.picture(shown)
        end = f"{number + 1} frames" if frame is not None else f"{shown.time + video.frame_seconds:.2f} seconds"
        raise FrameError(f"{path}: asked for a frame after the end; the video has {end}")


def sample_video_frames(path: str | Path, every: float = 1.0) -> Iterator[tuple[float, np.ndarray]]:
    """Pairs of time in seconds and picture (uint8 RGB), one each `every` seconds, from the first frame on.

    One picture is in memory at a time. Raises FileNotFoundError or FrameError, naming the file.
    """
    if not every > 0:
        raise FrameError(f"{path}: every is {every}; give the seconds between two frames, above 0")
    with Video(path) as video:
        taken = 0
        for shown in video.decode(0):
            if shown.time + 1e-6 >= taken * every:
                yield shown.time, video.picture(shown)
                taken = int((shown.time + 1e-6) / every) + 1
        if not taken:
            raise FrameError(f"{path}: the video has no frames; get it again")


def spread_video_frames(path, count=3, every=None, side=None, threads=0) -> Iterator[tuple[float, np.ndarray]]:
    """Pairs of time in seconds and picture (uint8 RGB), evenly spread: each from the middle of its part of the video.

    There are `count` parts, or as many of `every` seconds as fit; a video of fewer frames gives fewer pictures.
    With `side`, larger pictures are scaled to that shorter side, in pixels. `threads` decode, one a core if 0.
    Raises FileNotFoundError or FrameError, naming the file; also where it is cut short.
    """
    with Video(path) as video:
        stream, index, seconds = video.stream, video.stream.index_entries, video.seconds
        stream.codec_context.thread_count = threads
        if len(index) and index[-1].pos + index[-1].size > video.path.stat().st_size:
            raise FrameError(f"{path}: the file is cut short; get it again")
        parts = max(1, round(seconds / every)) if every else min(count, stream.frames or count)
        middles = [(part + 0.5) * seconds / parts for part in range(parts)]
        for shown in video.decode(0):
            if (end := shown.time + video.frame_seconds / 2 + 1e-6) > middles[0]:  # a bit more, for rounding
                yield shown.time, video.picture(shown, side)
                middles = [middle for middle in middles if middle >= end]
            if not middles:
                return
        raise FrameError(f"{path}: the video ends before the {seconds:.2f} seconds it declares; get it again")


class Video(contextlib.AbstractContextManager):
    """An open video file; errors of FFmpeg become FrameErrors that name the file."""

    def __init__(self, path: str | Path, min_height: int | None = None):
        """With `min_height` decoders that can (MPEG-1, 2 and 4, Motion JPEG) give 1/2, 1/4 or 1/8, not below it."""
        self.path, self.min_height = check_file(path), min_height
        self._open()
        self.shape = self.stream.height, self.stream.width  # as the file begins; frames may change
        self.frame_seconds = float(1 / (self.stream.average_rate or 25))
        self.seconds = float((self.stream.duration or 0) * self.stream.time_base)
        if not self.seconds:  # as in Matroska, which says when all ends, and in a tag, when the picture does
            end = (self.container.duration or 0) / av.time_base
            with contextlib.suppress(KeyError, ValueError):
                hours, minutes, seconds = map(float, self.stream.metadata["DURATION"].split(":"))
                end = 3600 * hours + 60 * minutes + seconds
            self.seconds = max(0.0, end - float((self.stream.start_time or 0) * self.stream.time_base))

    def _open(self):
        with self._named_errors():
            self.container = av.open(str(self.path.absolute()))  # absolute: a colon in a name is no protocol
        if not self.container.streams.video or self.container.format.name == "tty":  # text, to FFmpeg
            self.container.close()
            raise FrameError(f"{self.path}: no video stream in this file; give a film or a clip")
        self.stream = self.container.streams.video[0]
        self.stream.thread_type = "AUTO"
        if self.min_height and self.stream.height >= 2 * self.min_height:
            halvings = min(3, (self.stream.height // self.min_height).bit_length() - 1)
            self.stream.codec_context.options = {"lowres": str(halvings)}

    def __exit__(self, *_):
        self.container.close()

    @contextlib.contextmanager
    def _named_errors(self):
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise FrameError(
                f"{self.path}: not a video that FFmpeg can read ({error.strerror}); get it again"
            ) from None

    def decode(self, seconds: float) -> Iterator[av.VideoFrame]:
        """Frames in order of time, from a key frame at or before `seconds`; times count from the first frame."""
        start, first = self.stream.start_time or 0, []
        if seconds > 0:
            at = start + int(seconds / self.stream.time_base)
            with contextlib.suppress(av.error.FFmpegError, OSError):
                self.container.seek(at, stream=self.stream)
                first = list(itertools.islice(self.container.decode(self.stream), 1))
            if not first or first[0].pts is None or first[0].pts > at:  # some formats seek too far, or not at all
                self.container.close()
                self._open()
                first = []
        with self._named_errors():
            for frame in itertools.chain(first, self.container.decode(self.stream)):
                frame.pts = (frame.pts or 0) - start
                yield frame

    def picture(self, frame: av.VideoFrame, side: int | None = None) -> np.ndarray:
        """Upright, with square pixels; where it is larger, its shorter side reduced to `side` pixels."""
        width = frame.width * (self.stream.sample_aspect_ratio or 1)
        scale = min(1, side / min(width, frame.height)) if side else 1
        size = {"width": max(1, round(width * scale)), "height": max(1, round(frame.height * scale))}
        rgb = frame.to_ndarray(format="rgb24", **size, interpolation="AREA" if scale < 1 else None)
        return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))


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


def resize(rgb: np.ndarray, height: int, width: int, pad: bool = False) -> np.ndarray:
    """Resize to uint8 (height, width, 3) with an antialiased bilinear filter.

    The whole picture is kept: squeezed to the new shape, or with `pad` in its own shape on black.
    """
    fit = ImageOps.pad if pad else Image.Image.resize
    return np.asarray(fit(Image.fromarray(rgb), (width, height), Image.Resampling.BILINEAR))


def load_frame(source, height: int, width: int, pad: bool = False) -> np.ndarray:
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
    return resize(trim_bars(rgb), height, width, pad)
