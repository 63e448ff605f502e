"""A film -> a table, one row a shot: when it is, how close the camera is, how sure that is.

    from shot_types import film, load_classifier
    table = film.analyze("film.mp4", load_classifier("pytorch"), out="analysis")

A few key frames say which bars the film has. Then it is decoded once: every frame goes to the detector of cuts in
small, a few of each shot go to the classifier, and no more than the shot that is running is in memory. Finished shots
are in a file at once: a second call goes on where the first was stopped; after the end it gives the table as it lies
there, with what a person corrected.
"""

import contextlib
import json
import math
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import scenedetect
from opentimelineio.opentime import RationalTime
from PIL import Image
from tqdm import tqdm

from ..labels import SCALE
from ..pictures import MIN_SIDE, FrameError, Trimmed, check_file, trim_bars
from ..video import Frame, Video, key_frames, read_video_frame
from .bars import Bars, Box, runs
from .cuts import LOOK, VERSION, Event, finder_of
from .shot import columns, is_dark, is_flat
from .table import printable, save, timecode_at
from .work import Work, identity, own_name

MIN_HEIGHT = 360  # pixels: larger films are reduced to this for the classifier, over twice what it looks at
THUMBNAIL = 144  # pixels, height
MICRO = 1_000_000  # times are whole microseconds
DROPPING = {30000 / 1001, 60000 / 1001}  # frames/s at which timecode drops numbers, unless the film's own does not
AHEAD = 4  # shots that may wait for the classifier, with their frames
PLACES = 20  # so many damaged places are named


def analyze(
    path: str | Path,
    classifier,
    out: str | Path = "analysis",
    *,
    detector: str = "adaptive",
    options: dict | None = None,
    min_shot: float = 0.25,
    every: float = 0.75,
    most: int = 16,
    name: str | None = None,
    progress: bool | Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """Every shot of a film and its scale, one row each; `shot_types.film.table` describes columns and `attrs`.

    `classifier` has `card` and `predict_proba` as those of `load_classifier`. `options` go to the `detector`, one
    of DETECTORS (`adaptive` is `cuts.CutFinder`, others are PySceneDetect's); no shot is shorter than `min_shot`
    seconds. Frames are taken `every` so many seconds; a shot with more than `most` drops every other one and doubles
    the distance. `out` receives NAME.csv, NAME.json, the folder NAME_shots and, while the work goes on, NAME.part and
    NAME.part_shots. `name` is that of the film, unless given; where another film's results or files that no analysis
    wrote have it, a number is added, and a line on the error stream says so. A film is known by its content, wherever
    it lies. `progress`: a bar, or None for one on terminals only; or a function, which is called after each frame with
    the seconds from the film's start to there.

    Raises FileNotFoundError, FrameError or ValueError, naming the file; also where the table of other weights or
    settings has what a person entered, which stays, where another run is at work on the same film in `out`,
    and where `out` cannot be written. A film that breaks off is analysed up to there, one with damaged frames without
    these; `attrs["note"]` and a line on the error stream say so, and when.
    """
    path = check_file(path)
    if not (min_shot > 0 and every > 0 and most >= 4):
        raise ValueError(f"min_shot {min_shot}, every {every}, most {most}: give seconds above 0, and 4 or more frames")
    options = {"min_scene_len": float(min_shot), **(options or {})}
    finder = finder_of(detector, options)
    weights = {key: classifier.card.get(key) for key in ("network", "sha256", "temperature", "unsure below")}
    made_from = {**identity(path), "weights": weights, "detector": detector}
    made_from |= {"options": options, "every": every, "most": most}
    if detector == "adaptive":
        made_from["cuts"] = VERSION
    if name is None and (name := own_name(Path(out), path, made_from)) != path.stem:
        note = f"note: {path}: another film has its name in {out}, or other files; its results are {name}.csv ..."
        tqdm.write(printable(note), file=sys.stderr)
    media = path.parent.resolve() / path.name
    work = Work(Path(out), name, json.loads(json.dumps(made_from, default=str)))
    finished = work.finished()
    if finished is not None:
        finished.attrs["media"] = str(media)
        return with_thumbnails(finished, path, work)
    with Video(path, MIN_HEIGHT) as video:
        run = _Pass(video, finder, classifier, round(every * MICRO), most, progress)
        with work.begin():
            work.add(run.rows(work.rows, work.part_shots))
            seconds = {name: round(value, 3) for name, value in run.seconds.items()}
            versions = {module.__name__: module.__version__ for module in (scenedetect, np, pd)}
            versions |= {"shot-types": version("shot-types"), "python": sys.version.split()[0]}
            attrs = {**run.clock, "media": str(media), "audio_channels": video.audio_channels, "note": run.note}
            attrs |= {"size": list(video.shape), "bars": runs(work.rows)}
            return work.finish({**attrs, "work_seconds": seconds, "versions": versions})


def with_thumbnails(table: pd.DataFrame, path: Path, work: Work) -> pd.DataFrame:
    """The same table, saved with a picture of each shot that a person cut off from another.

    `path`: the film. `work`: the results whose table it is.
    """
    new = table[table["thumbnail"] == ""]
    if len(new):
        work.shots.mkdir(exist_ok=True)
    for row in new.itertuples():
        with contextlib.suppress(FrameError):  # of a damaged place there is none
            picture = trim_bars(read_video_frame(path, (row.start_seconds + row.end_seconds) / 2))
            file = work.shots / f"at_{row.start_seconds:.3f}.jpg"
            _write_thumbnail(picture, file)
            table.loc[row.Index, "thumbnail"] = f"{work.shots.name}/{file.name}"
    if (table["thumbnail"][new.index] != "").any():
        save(table, work.csv)
    return table


def _write_thumbnail(rgb: np.ndarray, path: Path) -> None:
    thumbnail = Image.fromarray(rgb)
    thumbnail.thumbnail((4 * THUMBNAIL, THUMBNAIL))
    thumbnail.save(path, quality=85)


class _Sample(NamedTuple):
    time: int  # microseconds
    rgb: np.ndarray  # uint8 (height, width, 3), at most MIN_HEIGHT lines


class _Span(NamedTuple):
    number: int
    start: int  # microseconds
    end: int
    kind: str  # "shot" or "transition"
    doubt: bool  # whether there may be a cut in it


class _Samples:
    """Frames of the shot that is running, for the classifier. Times are whole microseconds."""

    def __init__(self, every: int, most: int, taken: list[int], start: int):
        """`taken`: when an earlier run had looked at the shot that begins at `start`; the same frames come again."""
        self.every, self.most, self.taken = every, most, taken
        self.known = max(taken, default=start - 1)
        self.list: list[_Sample] = []
        self.gap, self.news = every, False

    def due(self, now: int, news: bool) -> bool:
        """Whether to take the frame at `now`; `news`: a shot may have begun, which can be a very short one."""
        wait = self.gap // 2 if self.news or len(self.list) < 2 else self.gap
        due = news or not self.list or now - self.list[-1].time >= wait
        return now in self.taken or (now > self.known and due)

    def add(self, sample: _Sample, news: bool) -> None:
        self.news = news
        if len(self.list) >= self.most:
            self.list, self.gap = self.list[::2], 2 * self.gap
        self.list.append(sample)

    def end(self, cut: int) -> list[_Sample]:
        """The samples of the shot that ends at `cut`; those after it stay."""
        before = [sample for sample in self.list if sample.time < cut]
        self.list, self.gap = self.list[len(before) :], self.every
        return before


class _Pass:
    """One pass over an open video, from the first shot that is not done to the end. Times are whole microseconds."""

    def __init__(self, video: Video, finder, classifier, every: int, most: int, progress: bool | Callable | None):
        height, width = video.shape
        if min(height, width) < MIN_SIDE:
            wanted = f"{MIN_SIDE} x {MIN_SIDE}"
            raise FrameError(f"{video.path}: {width} x {height} pixels are too few; give at least {wanted}")
        self.video, self.finder, self.classifier, self.every, self.most = video, finder, classifier, every, most
        self.doubts: list[int] = []
        self.tell = progress if callable(progress) else None
        self.hidden = None if progress is None else bool(self.tell) or not progress
        self.seconds, self.note = {"decoding": 0.0, "cut detection": 0.0, "classifying": 0.0}, ""
        near = RationalTime.nearest_smpte_timecode_rate(1 / video.frame_seconds)
        self.rate = near if abs(near * video.frame_seconds - 1) < 0.01 else 30.0  # 15 frames/s have no timecode
        self.start_frame, self.drop_frame = 0, self.rate in DROPPING
        with contextlib.suppress(ValueError):
            tag = video.timecode if self.drop_frame else video.timecode.replace(";", ":")  # such a rate drops nothing
            self.start_frame = int(RationalTime.from_timecode(tag, self.rate).value)
            self.drop_frame = self.drop_frame and ";" in tag
        self.clock = {"rate": self.rate, "drop_frame": self.drop_frame, "start_frame": self.start_frame}
        with self._clock("decoding"):
            self.bars = Bars(key_frames(video.path, MIN_HEIGHT))

    @contextlib.contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        began = perf_counter()
        yield
        self.seconds[name] += perf_counter() - began

    def rows(self, done: list[dict], folder: Path) -> Iterator[dict]:
        """The shots after those `done`, each as soon as its end is found; thumbnails go to `folder`.

        `taken`: when the shot after it had been looked at by then, `damaged`: seconds of damaged frames up to then, and
        `bars`: those of the shot, for a run that goes on from there.
        """
        # Decoding starts a shot earlier, so that the detector knows at the first cut what it knew the last time.
        start = round(done[-1]["end_seconds"] * MICRO) if done else 0
        starts = [round(row["start_seconds"] * MICRO) for row in done]
        since = max((time for time in starts if time <= start - LOOK * MICRO), default=0)
        number, samples = len(done), _Samples(self.every, self.most, done[-1]["taken"] if done else [], start)
        self.damaged = {second for row in done for second in row.get("damaged", [])}
        self.bars.now = Box(*done[-1]["bars"]) if done and done[-1].get("bars") else None
        pool, ahead = ThreadPoolExecutor(1), deque()  # shots are classified one by one while decoding goes on
        try:
            for now, frame in self._frames(since):
                cuts = [(time, kind) for time, kind in self._cuts(now, frame) if time > start]
                if frame and samples.due(now, self.finder.news):
                    with self._clock("decoding"):
                        samples.add(_Sample(now, self.video.picture(frame, MIN_HEIGHT)), self.finder.news)
                for cut, kind in cuts:
                    number += 1
                    span = _Span(number, start, cut, kind, any(start < time < cut for time in self.doubts))
                    row = pool.submit(self._row, span, samples.end(cut), folder)
                    start = cut
                    damaged = [second for second in self.video.damaged if second not in self.damaged]
                    self.damaged.update(damaged)
                    ahead.append((row, {"taken": [sample.time for sample in samples.list], "damaged": damaged}))
                while ahead and (frame is None or len(ahead) > AHEAD or ahead[0][0].done()):
                    row, known = ahead.popleft()
                    yield row.result() | known
        finally:
            pool.shutdown(cancel_futures=True)

    def _frames(self, since: int) -> Iterator[tuple[int, Frame | None]]:
        """Time and frame, from `since` on; at the end, or where the film breaks off, the end's time and None."""
        video, last, broken = self.video, -1, False
        # Where the clock may jump, only who has seen all jumps knows the time.
        frames = video.decode(0 if video.clock_may_jump else since / MICRO)
        with tqdm(
            total=math.ceil(video.seconds), desc=video.path.name, unit="s", disable=self.hidden, leave=False
        ) as bar:
            while True:
                try:
                    with self._clock("decoding"):
                        frame = next(frames, None)
                except FrameError:
                    frame, broken = None, True
                if frame is None:
                    break
                last = max(round(frame.time * MICRO), last + 1)
                if last >= since:
                    yield last, frame
                    bar.update(last // MICRO - bar.n)
                    if self.tell:
                        self.tell(last / MICRO)
        if last < 0:
            raise FrameError(f"{video.path}: no frame of the video can be read; get it again")
        self._say(broken)
        yield max(round(video.end * MICRO), last + 1), None

    def _say(self, broken: bool) -> None:
        """Note what of the film is missing, if anything is."""
        end, total, damaged = self.video.end, self.video.seconds, sorted({*self.damaged, *self.video.damaged})
        said = []
        if damaged:
            places = [f"{second:.2f}" for second in damaged[:PLACES]] + ["more"] * (len(damaged) > PLACES)
            said.append(f"frames at {', '.join(places)} seconds are damaged or missing; analysed without them")
        if broken or (not self.video.jumped and end < total - max(1, total / 100)):
            of = f" of {total:.1f}" * (total > end)
            said.append(f"breaks off at {end:.1f}{of} seconds; analysed up to there")
        if said:
            self.note = f"{self.video.path}: {'; '.join(said)}"
            tqdm.write(printable(f"note: {self.note}"), file=sys.stderr)

    def _cuts(self, now: int, frame: Frame | None) -> list[tuple[int, str]]:
        """When rows end and their kind, as far as the detector says it at this frame; at the film's end, that too."""
        with self._clock("cut detection"):
            events = self.finder.add(now, self.finder.small(self.video, frame)) if frame else self.finder.end()
        self.doubts += [event.start for event in events if event.kind == "doubt"]
        return [row for event in events for row in _ends(event)] + ([] if frame else [(now, "shot")])

    def _row(self, span: _Span, samples: list[_Sample], folder: Path) -> dict:
        """The row of a shot; what nothing is known of is empty there. Of a transition, no frame is classified."""
        number, start, end, kind, doubt = span
        seen = [] if kind == "transition" else _telling(samples)
        seen = seen[1:] or seen  # the first may lie in a dissolve or a fade: it is for shots that have no other
        bars = self.bars.of([sample.rgb for sample in seen])
        if bars:
            samples, seen = ([_Sample(time, bars.trim(rgb)) for time, rgb in kept] for kept in (samples, seen))
            seen = _telling(seen)
        row = {"shot": number, "start": timecode_at(start / MICRO, self.clock)}
        row["end"] = timecode_at(end / MICRO, self.clock)
        row |= {"start_seconds": start / MICRO, "end_seconds": end / MICRO, "seconds": (end - start) / MICRO}
        row |= {"kind": kind if kind == "transition" else "empty"}
        row |= {"label": "", "confidence": None, **dict.fromkeys(SCALE)}
        row |= {"is_shot": None, "frames": len(seen), "agreement": None, "check": 0, "why": "", "corrected": 0}
        row |= {"scale_at_start": "", "scale_at_end": "", "thumbnail": "", "bars": self.bars.now}
        if seen:
            with self._clock("classifying"):
                proba, is_shot = self._answers([sample.rgb.view(Trimmed) for sample in seen])
            dark = sum(is_dark(sample.rgb) for sample in seen) > len(seen) / 2
            row |= columns(proba, is_shot, dark, doubt, row["seconds"], self.classifier.card.get("unsure below", 0))
        if samples:
            middle = min(seen or samples, key=lambda sample: abs(2 * sample.time - start - end))
            row["thumbnail"] = f"{number:04d}.jpg"
            _write_thumbnail(middle.rgb, folder / row["thumbnail"])
        return row

    def _answers(self, pictures: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (frames, 5) and `is_shot` (frames,), which is NaN where the classifier does not tell."""
        if hasattr(self.classifier, "predict_arrays"):
            return self.classifier.predict_arrays(pictures)
        proba = self.classifier.predict_proba(pictures)
        return proba, np.full(len(proba), np.nan)


def _ends(event: Event) -> list[tuple[int, str]]:
    """When rows end by an event of the detector, and what they are: "shot" or "transition"."""
    if event.kind == "doubt":
        return []
    return [(event.start, "shot"), (event.end, "transition")] if event.kind == "transition" else [(event.end, "shot")]


def _telling(samples: list[_Sample]) -> list[_Sample]:
    """Those that may have a scale: not flat, and not too small, as sizes may change."""
    samples = [sample for sample in samples if min(sample.rgb.shape[:2]) >= MIN_SIDE]
    return [sample for sample in samples if not is_flat(sample.rgb)]
