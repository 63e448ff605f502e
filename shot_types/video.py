"""Films to frames and back: FFmpeg through PyAV. A frame is a uint8 RGB array (height, width, 3); times in seconds."""

import contextlib
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from .pictures import FrameError, check_file

LISTS = {"concat", "dash", "hls", "imf", "lavfi", "mlv", "rtp", "rtsp", "sap", "sdp", "vobsub", "webm_dash_manifest"}
FORMATS = ",".join(sorted(av.formats_available - LISTS - {"image2", "image2pipe"}))
"""What may be read: no format whose files name other files or addresses, which FFmpeg would open."""
PICTURES = {"adf", "bin", "ico", "idf", "tty", "xbin"}  # to FFmpeg, and text; besides those whose names end with _pipe
STILLS = {"avif", "heic", "heim", "heis", "heix", "mif1"}  # of the brands of MP4 and its kin
REDUCING = {"amv", "flv", "h263", "jpeg2000", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4"}
REDUCING |= {"msmpeg4v2", "wmv1"}
"""Decoders that can give less than the whole size; most others give a broken picture if they are asked to."""
JUMP = 10.0  # seconds: a longer step of a clock that may jump is no still picture, as FFmpeg's own tool sees it
FRAME_THREADS = av.codec.codec.Capabilities.frame_threads
MATRICES = {0, 1, 2, 4, 5, 6, 7, 9}  # of colours, from which FFmpeg converts to RGB; 2 says nothing of them
ERRORS = 10_000  # as many packets in a row that cannot be read are the end
FAR = 100  # packets, behind the place sought, among which a key frame is looked for
RESUMED = {"flv", "mpegts", "ogg"}  # of which FFmpeg may leave the rest unread, after damage or where parts are joined

Frame = av.VideoFrame
"""A decoded frame, as `Video.decode` gives them; `Video.picture` makes an array of it."""


class Planes(NamedTuple):
    """A frame in small, as films hold it: luma and chroma, uint8; 16 to 235, or 128 where there is no colour."""

    y: np.ndarray  # (height, width)
    u: np.ndarray  # half as high and wide
    v: np.ndarray


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
        if frame is None and seconds <= video.end:
            return video.picture(shown)
        end = f"{number + 1} frames" if frame is not None else f"{video.end:.2f} seconds"
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


def key_frames(
    path: str | Path, side: int, every: float = 2.0, least: int = 12, most: int = 60
) -> Iterator[np.ndarray]:
    """Key frames spread over a video, upright, as uint8 RGB (height, width, 3), the shorter side reduced to `side`.

    One about each `every` seconds, but not fewer than `least` nor more than `most` where the file has as many; those
    that cannot be had, as from damaged files or those that cannot be sought in, are left out in silence.
    """
    with contextlib.suppress(FrameError), Video(path, side) as video:
        stream, seen = video.stream, set()
        stream.codec_context.thread_count = 1  # which starts no threads for a single frame
        count = min(most, max(least, round(video.seconds / every)))
        for part in range(count):
            at = (stream.start_time or 0) + int((part + 0.5) * video.seconds / count / stream.time_base)
            with contextlib.suppress(av.error.FFmpegError, OSError, FrameError):
                video.container.seek(at, stream=stream)
                packets = itertools.islice(video.container.demux(stream), FAR)
                packet = next((packet for packet in packets if packet.size and packet.is_keyframe), None)
                if packet is None or (place := packet.pts or packet.dts) in seen:
                    continue
                seen.add(place)
                for frame in [*packet.decode(), *stream.codec_context.decode(None)][:1]:
                    if not frame.is_corrupt:
                        yield video.picture(_in_known_colours(frame), side)


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

    `shape` is (height, width) in pixels, `frame_seconds` how long a frame is shown on average, `seconds` how long the
    video is by what the file says of itself. While it is decoded, `end` is when the last frame given ends, `damaged`
    has the seconds at which frames cannot be decoded or are not whole, and `jumped` says whether the clock has.
    """

    def __init__(self, path: str | Path, min_height: int | None = None):
        """With `min_height`, in pixels, decoders that can (REDUCING) give 1/2, 1/4 or 1/8 of the size, not below it.

        Raises FileNotFoundError or FrameError, naming the file; also for pictures, songs with a cover and playlists.
        """
        self.path, self.min_height = check_file(path), min_height
        self.damaged: list[float] = []
        self.end, self.jumped = 0.0, False
        self._open()
        self.shape = self.stream.height, self.stream.width  # as the file begins; frames may change
        self.frame_seconds = float(1 / (self.stream.average_rate or 25))
        self.seconds = _declared(self.stream)
        if not self.seconds:
            start = float((self.stream.start_time or 0) * self.stream.time_base)
            self.seconds = max(0.0, (self.container.duration or 0) / av.time_base - start)

    def _open(self, first: int = 0):
        """From byte `first` on."""
        options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "skip_initial_bytes": str(first)}
        options["merge_pmt_versions"] = "1"  # the parts of a joined MPEG-TS are one stream
        with self._named_errors():
            try:
                path = str(self.path.absolute())  # in which a colon is no protocol
                self.container = av.open(path, options=options, metadata_errors="replace")
            except av.error.ArgumentError as error:  # what FFmpeg says of a format that is not in FORMATS
                raise FrameError(
                    f"{self.path}: a playlist or a picture, not a film; give the film itself, pictures go to"
                    " `shot-types classify`"
                ) from error
        self.stream = _film(self.container)
        kind, brand = self.container.format.name, self.container.metadata.get("major_brand")
        still = self.stream and self.stream.frames == 1 and (kind == "gif" or brand in STILLS)
        if still or kind in PICTURES or kind.endswith("_pipe"):
            self.container.close()
            raise FrameError(f"{self.path}: a picture or a text, not a film; pictures go to `shot-types classify`")
        if not self.stream:
            self.container.close()
            raise FrameError(f"{self.path}: no video stream in this file that can be decoded; give a film or a clip")
        self.stream.thread_type = "AUTO"
        halvings = min(3, (self.stream.height // (self.min_height or 1)).bit_length() - 1)
        if self.min_height and halvings > 0 and self.stream.codec_context.name in REDUCING:
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

    @property
    def timecode(self) -> str:
        """What the file says is the timecode of its first frame; "" if it says nothing."""
        parts = self.stream, self.container, *self.container.streams
        tags = [tag for part in parts for key, tag in part.metadata.items() if key.lower() == "timecode"]
        return next(filter(None, tags), "")

    @property
    def audio_channels(self) -> int:
        """Of the first sound that can be decoded; 0 where there is none."""
        return next((sound.codec_context.channels for sound in self.container.streams.audio if sound.codec_context), 0)

    @property
    def clock_may_jump(self) -> bool:
        """Whether files of this format may be joined from parts with a clock each, as MPEG-TS and MPEG-PS."""
        return bool(self.container.format.flags & av.format.Flags.ts_discont.value)

    def decode(self, seconds: float) -> Iterator[av.VideoFrame]:
        """Frames in order of time, from a key frame at or before `seconds`; times count from the first frame.

        Damaged frames cost themselves and those that rest on them. A clock that jumps goes on by the frame's length.
        Raises FrameError where the file breaks off.
        """
        with self._named_errors():
            events = self._events()
            head = _to_first_frame(events)
            if not head or head[-1][1] is None:
                return
            start = head[-1][0] or 0
            late = 6 if self._by_dts else 1.5  # frames; by decoding times, those that wait for others are late
            if self._key is not None and (len(head) > 1 or start > self._key + late * self._usual):
                start, head = self._key, [(self._key, None), *head]  # the first frames are damaged; they count
            if seconds > 0:
                at = start + int(seconds / self.stream.time_base)
                head = []
                with contextlib.suppress(av.error.FFmpegError, OSError):
                    self.container.seek(at, stream=self.stream)
                    events = self._events()
                    head = _to_first_frame(events)
                if not head or head[-1][0] is None or head[-1][0] > at:  # some formats seek too far, or not at all
                    self.container.close()
                    self._open()
                    head, events = [], self._events()
            yield from self._timed(itertools.chain(head, events), start)

    def _events(self) -> Iterator[tuple[int | None, av.VideoFrame | None]]:
        """Each frame and its time on the stream's clock; for one that is damaged, the time and None (too)."""
        context, errors, broken = self.stream.codec_context, 0, None
        packets, sent, shown, self._key = self.container.demux(self.stream), deque(maxlen=64), None, None
        position, skip, resumed = None, 1, False
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError) as error:
                broken, errors = error, errors + 1
                if errors == ERRORS:
                    break
                packets = self.container.demux(self.stream)  # goes on behind it
                continue
            except IndexError:  # PyAV's at the end, where streams began that were not there at first
                packet = None
            if packet is None:
                skip *= 2
                if position is None or not self._resume(position + skip):
                    break
                packets, context = self.container.demux(self.stream), self.stream.codec_context
                resumed = self.container.format.name != "mpegts"  # where parts are joined, and nothing is lost
                continue
            if packet.size and not packet.is_discard:  # as before the beginning that an edit list sets
                time = packet.dts if packet.pts is None or self._by_dts else packet.pts
                if broken or resumed:
                    yield time, None
                broken, errors, position, skip, resumed = None, 0, packet.pos, 1, False
                if self._key is None and (packet.is_keyframe or not self.clock_may_jump):
                    self._key = time  # recordings of broadcasts may begin with frames that rest on earlier ones
                if sent and None not in (time, sent[-1]) and time < sent[-1] - 0.5 / self.stream.time_base:
                    sent.clear()  # of another clock
                sent.append(time)
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                if self._key is not None and sent:  # errors come as late as threads are many
                    late = context.thread_count if context.codec.capabilities & FRAME_THREADS else 1
                    yield sent[-min(len(sent), max(1, late))], None
                continue
            for frame in frames:
                shown = frame.dts if frame.pts is None or self._by_dts else frame.pts
                if frame.is_corrupt:
                    yield shown, None
                yield shown, frame
        if broken:
            raise broken
        latest = max((time for time in sent if time is not None), default=None)
        if None not in (latest, shown) and latest > shown + 0.75 * self._usual:
            yield latest, None

    def _resume(self, first: int) -> bool:
        """Go on reading at this byte, behind what FFmpeg takes for the end; False where nothing follows."""
        name, before = self.container.format.name, (self.container, self.stream)
        if name not in RESUMED or first > 0.9 * self.path.stat().st_size:  # sound may go on for a moment
            return False
        try:
            if name == "mpegts":  # of another programme, perhaps
                self._open(first)
                before[0].close()
            else:
                self.container.seek(first, stream=self.stream, unsupported_byte_offset=True)
        except (av.error.FFmpegError, FrameError):
            self.container, self.stream = before
            return False
        return True

    @property
    def _by_dts(self) -> bool:
        """Whether the file has decoding times only, as AVI does."""
        return self.container.format.name == "avi"

    @property
    def _usual(self) -> int:
        """How long a frame is shown on average, on the stream's clock."""
        return max(1, round(self.frame_seconds / self.stream.time_base))

    def _timed(self, events: Iterator, start: int) -> Iterator[av.VideoFrame]:
        """The frames of `_events`, `pts` and with it `time` counted from `start` and always growing."""
        unit, usual = self.stream.time_base, self._usual
        ahead = round(max(JUMP, 3 * self.frame_seconds) / unit)
        length, last, shift = usual, None, -start
        even, uneven, gap, lost = 0, 0, None, None
        for clock, frame in events:
            time = None if clock is None else clock + shift
            if frame is None:
                near = time is not None and abs(time - (last or 0)) <= ahead
                self.damaged.append(max(0.0, round(float(time * unit), 2)) if near else round(self.end, 2))
                continue
            if last is None:
                time = time or 0
            else:
                step = 0 if time is None else time - last
                jump = step > ahead and (self.clock_may_jump or 0 < self.seconds < time * unit - JUMP)
                if step <= 0 or jump:
                    if step < -0.5 / unit or jump:
                        self.jumped, shift = True, shift + length - step
                    time = last + length
                # Where frames are evenly spread, one longer step is frames that are lost.
                if abs(time - last - usual) <= usual / 4:
                    even, lost, gap = even + 1, gap, None
                elif time - last > 1.5 * usual and gap is None:
                    gap = round(self.end, 2)
                else:
                    uneven += 1
                if lost is not None and even > 4 * uneven + 8 and all(at < lost for at in self.damaged[-9:]):
                    self.damaged.append(lost)
                lost = None
            length, last, frame.pts = frame.duration or usual, time, time
            _in_known_colours(frame)
            shown = float(length * unit)
            rounded = abs(shown - self.frame_seconds) < unit  # as in files that count milliseconds
            self.end = float(time * unit) + (self.frame_seconds if rounded else shown)
            if float(time * unit) < self.seconds < self.end - self.frame_seconds:
                self.end = self.seconds  # MP4 has lengths in the order of decoding
            yield frame
        if gap is not None and even > 4 * uneven + 8 and all(at < gap for at in self.damaged[-9:]):
            self.damaged.append(gap)

    def picture(self, frame: av.VideoFrame, side: int | None = None) -> np.ndarray:
        """Upright, with square pixels; where it is larger, its shorter side reduced to `side` pixels.

        uint8 RGB (height, width, 3).
        """
        width = frame.width * (self.stream.sample_aspect_ratio or 1)
        scale = min(1, side / min(width, frame.height)) if side else 1
        size = {"width": max(1, round(width * scale)), "height": max(1, round(frame.height * scale))}
        with self._named_errors():
            rgb = frame.to_ndarray(format="rgb24", **size, interpolation="AREA" if scale < 1 else None, threads=1)
        return np.ascontiguousarray(_upright(rgb, frame))

    def planes(self, frame: av.VideoFrame, width: int) -> Planes:
        """As it lies in the file, one size for all frames, quickly made: luma of `width` pixels, chroma of half."""
        width = width // 2 * 2
        height = max(2, round(width * self.shape[0] / self.shape[1] / 2) * 2)
        with self._named_errors():
            small = frame.reformat(width, height, "yuv420p", interpolation="AREA", threads=1).to_ndarray()
        u, v = small[height:].reshape(2, height // 2, width // 2)
        return Planes(small[:height], u, v)

    def small(self, frame: av.VideoFrame, width: int) -> np.ndarray:
        """As it lies in the file, blue first, one size for all frames, quickly made: uint8 BGR (height, width, 3)."""
        height = max(2, round(width * self.shape[0] / self.shape[1]))
        with self._named_errors():
            frame = frame.reformat(width, height, "bgr24", interpolation="FAST_BILINEAR", threads=1)
            return frame.to_ndarray()


def _declared(stream: av.VideoStream) -> float:
    """Seconds that a stream says it lasts, 0 if it does not; Matroska says in a tag when the picture ends."""
    seconds = float((stream.duration or 0) * stream.time_base)
    if not seconds:
        with contextlib.suppress(KeyError, ValueError):
            hours, minutes, rest = map(float, stream.metadata["DURATION"].split(":"))
            start = float((stream.start_time or 0) * stream.time_base)
            seconds = max(0.0, 3600 * hours + 60 * minutes + rest - start)
    return seconds


def _film(container: av.container.InputContainer) -> av.VideoStream | None:
    """The largest video stream that is neither a cover nor over in a moment, as covers without their flag are."""
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if stream.codec_context and not stream.disposition & cover]
    longest = max(map(_declared, streams), default=0)
    streams = [stream for stream in streams if not 0 < _declared(stream) < longest / 2]
    return max(streams, key=lambda stream: (stream.width * stream.height, stream.frames), default=None)


def _to_first_frame(events: Iterator) -> list:
    """What `Video._events` gives up to the first frame, with it."""
    head = []
    for event in events:
        head.append(event)
        if event[1]:
            break
    return head


def _in_known_colours(frame: av.VideoFrame) -> av.VideoFrame:
    if frame.colorspace not in MATRICES:
        frame.colorspace = 2
    return frame


def _upright(rgb: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """`rgb` turned and mirrored as the display matrix of `frame` says, to the nearest quarter turn."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # beside it lies a kind of data that PyAV does not know
        return np.rot90(rgb, round(frame.rotation / 90))
    if matrix is None:
        return rgb
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32)
    if abs(int(b)) > abs(int(a)):
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    return rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
