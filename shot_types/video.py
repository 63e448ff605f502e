"""Films to frames and back: FFmpeg through PyAV. A frame is a uint8 RGB array (height, width, 3); times in seconds."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np

from .pictures import FrameError, check_file

Frame = av.VideoFrame
"""A decoded frame, as `Video.decode` gives them; `Video.picture` makes an array of it."""


def read_video_frame(path: str | Path, seconds: float | None = None, frame: int | None = None) -> np.ndarray:
    """The picture that a player shows at `seconds`, or frame number `frame` (from 0): uint8 RGB (height, width, 3).

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


def spread_video_frames(
    path: str | Path, count: int = 3, every: float | None = None, side: int | None = None, threads: int = 0
) -> Iterator[tuple[float, np.ndarray]]:
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


def write_video(path: str | Path, pictures: Sequence[np.ndarray], rate: float = 24) -> None:
    """An H.264 video of uint8 RGB pictures of one size, even in height and width, `rate` of them a second."""
    height, width = pictures[0].shape[:2]
    with av.open(str(Path(path).absolute()), "w") as container:
        stream = container.add_stream("libx264", rate, height=height, width=width, pix_fmt="yuv420p")
        for rgb in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode())  # what the encoder holds back


class Video(contextlib.AbstractContextManager):
    """An open video file, to be closed with `with`; errors of FFmpeg become FrameErrors that name the file.

    `shape` is (height, width) in pixels, `frame_seconds` how long a frame is shown, `seconds` how long the video is
    by what the file says of itself.
    """

    def __init__(self, path: str | Path, min_height: int | None = None):
        """With `min_height`, in pixels, decoders that can (MPEG-1, 2 and 4, Motion JPEG) give 1/2, 1/4 or 1/8 of the
        size, not below it. Raises FileNotFoundError or FrameError, naming the file.
        """  # noqa: D205
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
            ) from error

    def decode(self, seconds: float) -> Iterator[av.VideoFrame]:
        """Frames in order of time, from a key frame at or before `seconds`; times count from the first frame.

        Raises FrameError where the file breaks off.
        """
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
        """Upright, with square pixels; where it is larger, its shorter side reduced to `side` pixels.

        uint8 RGB (height, width, 3).
        """
        width = frame.width * (self.stream.sample_aspect_ratio or 1)
        scale = min(1, side / min(width, frame.height)) if side else 1
        size = {"width": max(1, round(width * scale)), "height": max(1, round(frame.height * scale))}
        rgb = frame.to_ndarray(format="rgb24", **size, interpolation="AREA" if scale < 1 else None)
        return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))
