"""Where the shots of a film begin: hard cuts, fades through black or one colour, and dissolves.

`CutFinder` sees every frame in small and answers at most two seconds late. Hard cuts are found by the rule of
PySceneDetect's AdaptiveDetector, a change that stands out from those beside it; here on luma and chroma as they lie in
the film, without a conversion to hue and saturation. Added are what that rule takes wrongly (flashes) or cannot see
(fades, dissolves). What it knows reaches back to the last boundary or LOOK seconds: a run that starts at an earlier
boundary finds the same ones from LOOK seconds after it. `SceneDetect` gives PySceneDetect's own detectors the same
interface.
"""

from bisect import bisect_left
from collections import deque
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np
import scenedetect
from scenedetect.common import FrameTimecode, Timecode

from ..video import Frame, Planes, Video

DETECTORS = {name: f"{name.title()}Detector" for name in ("adaptive", "content", "hash", "histogram", "threshold")}
WIDTH = 128  # pixels: to which films are reduced; finer detail, which moves by leaps, is none of a cut
SCENE_WIDTH = 256  # pixels: to which PySceneDetect itself reduces a film
MICRO = 1_000_000  # times are whole microseconds
VERSION = 1  # of the rules and their numbers: results of another version are not mixed with these
CHROMA = 4  # weight of the two chroma planes: their values vary about a quarter as much as luma's
UNDONE = 0.4  # of a change: where the picture comes as near again to what was before, it was a flash
FLAT = 1.5  # grey levels, standard deviation: a frame that varies less is black, white or one colour
TEXT = 0.15  # of a picture: if no more differs from the black that it comes from, it is a title
LEAD = 1.0  # seconds: black before a title that is its own, and no row of the table
MINOR = 0.5  # of a cut's change: one below that, so near to it, belongs to it, as where a flash ends or begins
NEAR = 1.5  # shortest shots: so long after a cut a minor change belongs to it; before it, one
DOUBTFUL = 0.75  # of both thresholds: what reaches it, but not the thresholds, is perhaps a cut that is missed
GRID = (32, 18)  # cells (width, height), in which dissolves are looked for: motion within a cell does not matter
WINDOWS = (0.5, 1.0, 1.5, 2.0)  # seconds: dissolves are looked for in
LOOK = max(WINDOWS)
DIFFERENT = 0.5  # correlation of luma, up to which both ends of a dissolve are different pictures; else it is light
MOVED = 0.5  # response of phase correlation, 0 to 1, from which both ends are one picture that has moved
OFF_LINE = 0.35  # of the change: so far may a frame of a dissolve lie from a mixture of both ends
STEP = 0.34  # of the change: from one frame to the next; a dissolve takes four frames or more
PLATEAU = 0.1  # of the change: what is mixed less is not yet, or no more, part of the dissolve


class Event(NamedTuple):
    """A boundary, or a doubt. Times are whole microseconds."""

    kind: str  # "cut", "fade" (to or from one colour), "transition" (a dissolve), or "doubt": perhaps a missed cut
    start: int
    end: int


class _Seen(NamedTuple):
    time: int
    planes: Planes
    grid: np.ndarray  # float32 (height, width, 3) of GRID: luma and chroma
    score: float
    flat: bool


class CutFinder:
    """Boundaries in a stream of small frames; the options have names and meaning of PySceneDetect's AdaptiveDetector.

    `min_scene_len`: seconds; no shot is shorter, except black (or one colour) at the beginning and before a fade in.
    Black from which a title fades in within LEAD seconds belongs to the title.
    `adaptive_threshold`: so many times the mean change of the `window_width` frames before and after is a cut, if it
    is `min_content_val` or more: mean absolute difference of luma, in grey levels, and CHROMA times those of chroma.
    """

    def __init__(
        self,
        min_scene_len: float = 0.25,
        adaptive_threshold: float = 3.0,
        min_content_val: float = 10.0,
        window_width: int = 2,
    ):
        self.ratio, self.least, self.width = adaptive_threshold, min_content_val, int(window_width)
        self.shortest = round(min_scene_len * MICRO)
        self.seen: deque[_Seen] = deque()
        self.next = 0  # index in `seen` of the first frame that is not decided
        self.last: int | None = None  # time of the last boundary
        self.change = 0.0  # score of the last boundary, if it was a cut
        self.news = False  # whether a shot may have begun at the last frame, or not long before it

    @staticmethod
    def small(video: Video, frame: Frame) -> Planes:
        return video.planes(frame, WIDTH)

    def add(self, time: int, planes: Planes) -> list[Event]:
        """What is sure after the frame at `time`, in order of time."""
        before = self.seen[-1] if self.seen else None
        same = before is not None and before.planes.y.shape == planes.y.shape
        score = _distance(before.planes, planes) if same else 0.0
        flat = float(cv2.meanStdDev(planes.y)[1][0, 0]) < FLAT
        self.seen.append(_Seen(time, planes, _grid(planes), score, flat))
        if self.last is None:
            self.last = time
        known = self.seen[max(0, len(self.seen) - 1 - self.width)].time
        events = self._decide(known - self.shortest)
        gradual = any(event.kind in ("fade", "transition") for event in events)
        turned = before is not None and flat != before.flat
        usual = max((self.seen[k].score for k in self._beside(len(self.seen) - 1)), default=0.0)
        self.news = gradual or turned or score >= max(self.least, 2 * usual)
        return events

    def end(self) -> list[Event]:
        """What is still open at the end of the film; of its last frames, too few to tell, nothing is said."""
        return self._decide(self.seen[-1].time) if self.seen else []

    def _decide(self, until: int) -> list[Event]:
        """Decide on the frames up to the time `until` that have the window's frames after them."""
        events = []
        while self.next < len(self.seen) - self.width and self.seen[self.next].time <= until:
            event = self._at(self.next) if self.next else None
            if event:
                events.append(event)
                if event.kind != "doubt":
                    self.last, self.change = event.end, self.seen[self.next].score if event.kind == "cut" else 0.0
            self.next += 1
        while self.seen and self.next and self.seen[0].time < self.seen[self.next - 1].time - 1.1 * LOOK * MICRO:
            self.seen.popleft()
            self.next -= 1
        return events

    def _at(self, i: int) -> Event | None:
        now, before = self.seen[i], self.seen[i - 1]
        jump = min(self._stands_out(i) / self.ratio, now.score / self.least)
        from_black, since = before.flat and not now.flat, now.time - self.last
        early = since < self.shortest
        minor = since < NEAR * self.shortest and now.score < MINOR * self.change
        in_time = not early or (from_black and not self.last)  # black at the beginning may be shorter
        if jump >= 1 and in_time and not (minor or self._undone(i) or self._before_larger(i)):
            return Event("cut", now.time, now.time)
        if self._turns_flat(i) and (not early or (from_black and jump < 1)) and not self._undone(i):
            return Event("fade", now.time, now.time)
        if early or minor:
            return None
        if DOUBTFUL <= jump < 1 and not self._undone(i):
            return Event("doubt", now.time, now.time)
        return self._dissolve(i)

    def _stands_out(self, i: int) -> float:
        """The change at frame i over the mean of those beside it; the window ends at the last boundary."""
        beside = [self.seen[k].score for k in self._beside(i) if self.seen[k].time > self.last]
        mean = sum(beside) / len(beside) if beside else 0.0
        return min(self.seen[i].score / max(mean, 1e-3), 255.0)

    def _beside(self, i: int) -> list[int]:
        return [k for k in range(max(1, i - self.width), min(len(self.seen), i + self.width + 1)) if k != i]

    def _before_larger(self, i: int) -> bool:
        """Whether a cut follows, within the length of a shot, whose change makes that at frame i a minor one."""
        k = i + 1
        while k < len(self.seen) and self.seen[k].time - self.seen[i].time < self.shortest:
            if MINOR * self.seen[k].score > self.seen[i].score and self._stands_out(k) >= self.ratio:
                return True
            k += 1
        return False

    def _undone(self, i: int) -> bool:
        """Whether the change at frame i begins or ends a flash: what was before is back within a shot's length."""
        seen, limit = self.seen, UNDONE * self.seen[i].score
        if seen[i].flat or seen[i - 1].flat:  # black leaves no glow, and beside it many pictures are alike
            limit /= 2
        k = i + 1
        while k < len(seen) and seen[k].time - seen[i].time < self.shortest:
            if _distance(seen[i - 1].planes, seen[k].planes) <= limit:
                return True
            k += 1
        k = i - 2
        while k >= 0 and seen[i - 1].time - seen[k].time < self.shortest:
            if _distance(seen[k].planes, seen[i].planes) <= limit:
                return True
            k -= 1
        return False

    def _turns_flat(self, i: int) -> bool:
        """Whether the film goes to one colour or comes from it at frame i, for the length of a shot at least."""
        seen, flat = self.seen, self.seen[i].flat
        if flat == seen[i - 1].flat or flat == seen[max(0, i - 1 - self.width)].flat:  # a glimpse of it is a flash
            return False
        k = i + 1
        while k < len(seen) and seen[k].time - seen[i].time < self.shortest:
            if seen[k].flat != flat:
                return False
            k += 1
        return flat or not self._is_title(i, k - 1)

    def _is_title(self, i: int, k: int) -> bool:
        """Whether all since the last boundary is one colour up to frame i, on which text comes up until frame k."""
        lead = [seen for seen in self.seen if self.last <= seen.time < self.seen[i].time]
        if self.seen[i].time - self.last > LEAD * MICRO or not all(seen.flat for seen in lead):
            return False
        before, after = self.seen[i - 1].planes.y, self.seen[k].planes.y
        return before.shape == after.shape and float((cv2.absdiff(before, after) > 2 * FLAT).mean()) < TEXT

    def _dissolve(self, i: int) -> Event | None:
        """The dissolve that has just ended at frame i."""
        end = self.seen[i]
        for window in WINDOWS:
            first = bisect_left(self.seen, end.time - round(window * MICRO), key=lambda seen: seen.time)
            start = self.seen[first]
            if end.time - start.time < 0.9 * window * MICRO or start.time < self.last or start.flat or end.flat:
                return None
            held = max(2, (i - first) // 8)
            changes = ((first, i), (first, first + held), (i - held, i))
            whole, *ends = (cv2.norm(self.seen[a].grid, self.seen[b].grid, cv2.NORM_L1) for a, b in changes)
            if whole < self.least * start.grid.size / 2 or max(ends) > 0.3 * whole:
                continue
            span = _mixture(np.stack([self.seen[k].grid for k in range(first, i + 1)]), held)
            if span and not _moved(start.planes.y, end.planes.y):
                return Event("transition", self.seen[first + span[0]].time, self.seen[first + span[1]].time)
        return None


class SceneDetect:
    """A detector of PySceneDetect, with the interface of CutFinder; it says "cut" only. `name`: one of DETECTORS."""

    def __init__(self, name: str, **options):
        self.detector = getattr(scenedetect, DETECTORS[name])(**options)
        self.now: FrameTimecode | None = None
        self.news = False

    @staticmethod
    def small(video: Video, frame: Frame) -> np.ndarray:
        return video.small(frame, SCENE_WIDTH)

    def add(self, time: int, small: np.ndarray) -> list[Event]:
        self.now = FrameTimecode(Timecode(time, Fraction(1, MICRO)), fps=float(MICRO))
        events = self._events(self.detector.process_frame(self.now, small))
        self.news = bool(events)
        return events

    def end(self) -> list[Event]:
        return self._events(self.detector.post_process(self.now)) if self.now else []

    def _events(self, cuts: list[FrameTimecode]) -> list[Event]:
        times = [round(cut.seconds * MICRO) for cut in cuts]
        return [Event("cut", time, time) for time in times]


def finder_of(name: str, options: dict) -> CutFinder | SceneDetect:
    """The detector of that name; ValueError if there is none, or if it does not know an option."""
    if name not in DETECTORS:
        raise ValueError(f"detector {name!r} is unknown; use one of {', '.join(DETECTORS)}")
    try:
        return CutFinder(**options) if name == "adaptive" else SceneDetect(name, **options)
    except TypeError as error:
        raise ValueError(f"options of the {name} detector: {error}; see PySceneDetect's documentation") from error


def _mixture(grids: np.ndarray, held: int) -> tuple[int, int] | None:
    """Between which of these frames one picture dissolves into another, if all are mixtures of the first and last."""
    change = (grids[-1] - grids[0]).ravel()
    away = (grids - grids[0]).reshape(len(grids), -1)
    share = away @ change / (change @ change)
    off = np.linalg.norm(away - share[:, None] * change, axis=1) / np.linalg.norm(change)
    step = np.diff(share)
    if off.max() > OFF_LINE or step.max() > STEP or step.min() < -PLATEAU:
        return None
    if share[held] > PLATEAU or share[-1 - held] < 1 - PLATEAU:
        return None
    if np.corrcoef(grids[0][..., 0].ravel(), grids[-1][..., 0].ravel())[0, 1] > DIFFERENT:
        return None
    return int(np.flatnonzero(share <= PLATEAU)[-1]), int(np.flatnonzero(share >= 1 - PLATEAU)[0])


def _moved(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two lumas show the same picture in another place, as in a pan."""
    _, response = cv2.phaseCorrelate(
        one.astype(np.float32), other.astype(np.float32), cv2.createHanningWindow(one.shape[::-1], cv2.CV_32F)
    )
    return response > MOVED


def _distance(a: Planes, b: Planes) -> float:
    """Mean absolute difference of luma, and CHROMA times those of chroma, in grey levels."""
    if a.y.shape != b.y.shape:
        return 255.0
    luma = cv2.norm(a.y, b.y, cv2.NORM_L1) / a.y.size
    return luma + CHROMA * (cv2.norm(a.u, b.u, cv2.NORM_L1) + cv2.norm(a.v, b.v, cv2.NORM_L1)) / a.u.size


def _grid(planes: Planes) -> np.ndarray:
    return np.dstack([cv2.resize(plane, GRID, interpolation=cv2.INTER_AREA) for plane in planes]).astype(np.float32)
