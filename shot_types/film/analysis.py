"""A film -> a table, one row a shot: when it is, how close the camera is, how sure that is.

    from shot_types import film, load_classifier
    table = film.analyze("film.mp4", load_classifier("pytorch"), out="analysis")

The film is decoded once: every frame goes to PySceneDetect in small, a few of each shot go to the classifier, and
no more than the shot that is running is in memory. Finished shots are in a file at once: a second call goes on where
the first was stopped; after the end it gives the table as it lies there, labels that a person corrected included.
"""

import contextlib
import json
import math
import shutil
import sys
from collections.abc import Iterator
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import av
import numpy as np
import pandas as pd
import scenedetect
from opentimelineio.opentime import RationalTime
from PIL import Image
from scenedetect.common import FrameTimecode, Timecode
from tqdm import tqdm

from ..files import write
from ..labels import LABELS, SCALE
from ..pictures import FrameError, check_file, trim_bars
from ..video import Video

DETECTORS = {name: f"{name.title()}Detector" for name in ("adaptive", "content", "hash", "histogram", "threshold")}
CUT_WIDTH = 256  # pixels: to which PySceneDetect itself reduces a film
MIN_HEIGHT = 360  # pixels: larger films are reduced to this for the classifier, over twice what it looks at
THUMBNAIL = 144  # pixels, height
FLAT = 3.0  # grey levels: a frame that varies less is black leader, the end of a fade or one colour: it has no scale
MICRO = 1_000_000  # times are whole microseconds
NUMBERS = ["shot", "start_seconds", "end_seconds", "seconds", "confidence", *SCALE, "frames", "agreement"]
TEXTS = ["start", "end", "label", "scale_at_start", "scale_at_end", "thumbnail"]


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
    progress: bool | None = None,
) -> pd.DataFrame:
    """Every shot of a film and its scale, one row each.

    Columns: `shot` (from 1), `start` and `end` (SMPTE timecode, drop-frame at 29.97 and 59.94 frames/s),
    `start_seconds` and `end_seconds` from the first frame, `seconds`, `label`, `confidence`, the five probabilities
    from near to far, `frames` (looked at), `agreement` (share of these whose own label is the shot's),
    `scale_at_start` and `scale_at_end` where first and last third differ, `thumbnail` (a file in `out`). A shot that
    shows nothing (black, one colour) has no label. `attrs`: what it was made from, and where the time went.

    `classifier` has `card` and `predict_proba` as those of `load_classifier`. `options` go to the `detector`, one
    of DETECTORS; no shot is shorter than `min_shot` seconds. Frames are taken `every` so many seconds; a shot with
    more than `most` drops every other one and doubles the distance. `out` receives NAME.csv, NAME.json, the folder
    NAME_shots and, while the work goes on, NAME.part and NAME.part_shots. `progress`: a bar, or None for one on
    terminals only.

    Raises FileNotFoundError, FrameError or ValueError, naming the file; also where the table of other weights or
    settings has labels that a person corrected, which stays. A film that breaks off is analysed up to
    there, and `attrs["note"]` and a line on the error stream say so.
    """
    path, out = check_file(path), Path(out)
    if detector not in DETECTORS:
        raise ValueError(f"detector {detector!r} is unknown; use one of {', '.join(DETECTORS)}")
    if not (min_shot > 0 and every > 0 and most >= 4):
        raise ValueError(f"min_shot {min_shot}, every {every}, most {most}: give seconds above 0, and 4 or more frames")
    options = {"min_scene_len": float(min_shot), **(options or {})}
    try:
        finder = getattr(scenedetect, DETECTORS[detector])(**options)
    except TypeError as error:
        raise ValueError(f"options of the {detector} detector: {error}; see PySceneDetect's documentation") from None
    weights = {key: classifier.card.get(key) for key in ("network", "sha256", "temperature")}
    made_from = {"film": path.name, "bytes": path.stat().st_size, "weights": weights, "detector": detector}
    made_from = json.loads(json.dumps({**made_from, "options": options, "every": every, "most": most}, default=str))
    done, part, folder, fresh = (out / f"{path.stem}{end}" for end in (".csv", ".part", "_shots", ".part_shots"))
    rows, earlier = _started(part, made_from), _finished(done, made_from)
    if earlier is not None and (rows is None or _corrected(earlier).any()):
        return earlier
    with Video(path, MIN_HEIGHT) as video:
        if not rows:
            shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, exist_ok=True)
        rows = rows or []
        write(part, "".join(json.dumps(line) + "\n" for line in (made_from, *rows)))
        work = _Pass(video, finder, classifier, round(every * MICRO), most, progress)
        with part.open("a", encoding="utf-8") as file:
            for row in work.rows(rows, fresh):
                if row["thumbnail"]:
                    row["thumbnail"] = f"{folder.name}/{row['thumbnail']}"
                print(json.dumps(row), file=file, flush=True)
                rows.append(row)
    table = pd.DataFrame(rows).drop(columns="taken")
    seconds = {name: round(value, 3) for name, value in work.seconds.items()}
    versions = {module.__name__: module.__version__ for module in (scenedetect, np, pd)}
    versions |= {"shot-types": version("shot-types"), "python": sys.version.split()[0]}
    table.attrs = {"made_from": made_from, "rate": work.rate, "start_frame": work.start_frame, "note": work.note}
    table.attrs |= {"work_seconds": seconds, "versions": versions}
    _finished(done, made_from)  # again: a person may have corrected labels meanwhile
    if any(fresh.iterdir()):  # not where an earlier run was stopped just after this
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    else:
        fresh.rmdir()
    save(table, done)
    part.unlink(missing_ok=True)
    return load(done)


def _started(part: Path, made_from: dict) -> list[dict] | None:
    """Rows of the shots that an earlier run finished; None where there was none with the same weights and settings."""
    rows = None
    with contextlib.suppress(FileNotFoundError, ValueError):  # ValueError: the line at which the work was stopped
        first, *lines = part.read_text(encoding="utf-8").splitlines()
        if json.loads(first) == made_from:
            rows = []
            for line in lines:
                row = json.loads(line)
                if not isinstance(row, dict) or "taken" not in row:
                    break
                rows.append(row)
    return rows


def _finished(done: Path, made_from: dict) -> pd.DataFrame | None:
    """The table that lies there, if it is made from the same; ValueError if from other and a person corrected it."""
    table = load(done) if done.exists() else None
    if table is None or table.attrs["made_from"] == made_from:
        return table
    if _corrected(table).any():
        raise ValueError(
            f"{done}: has corrected labels and is from other weights, settings or film; move it away, or choose another"
            " `out`"
        )
    return None


class _Sample(NamedTuple):
    time: int  # microseconds
    rgb: np.ndarray  # at most MIN_HEIGHT lines


class _Pass:
    """One pass over an open video, from the first shot that is not done to the end. Times are whole microseconds."""

    def __init__(self, video: Video, finder, classifier, every: int, most: int, progress: bool | None):
        self.video, self.finder, self.classifier, self.every, self.most = video, finder, classifier, every, most
        self.hidden = None if progress is None else not progress
        self.seconds, self.note = {"decoding": 0.0, "cut detection": 0.0, "classifying": 0.0}, ""
        near = RationalTime.nearest_smpte_timecode_rate(1 / video.frame_seconds)
        self.rate = near if abs(near * video.frame_seconds - 1) < 0.01 else 30.0  # 15 frames/s have no timecode
        tag = video.stream.metadata.get("timecode") or video.container.metadata.get("timecode")
        self.start_frame = 0
        with contextlib.suppress(ValueError):
            self.start_frame = int(RationalTime.from_timecode(tag, self.rate).value) if tag else 0

    @contextlib.contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        began = perf_counter()
        yield
        self.seconds[name] += perf_counter() - began

    def rows(self, done: list[dict], folder: Path) -> Iterator[dict]:
        """The shots after those `done`, each as soon as its end is found; thumbnails go to `folder`."""
        # Decoding starts one shot earlier, so that the detector knows at the first cut what it knew the last time.
        since, start = (round(done[-1][key] * MICRO) for key in ("start_seconds", "end_seconds")) if done else (0, 0)
        taken = done[-1]["taken"] if done else []  # when the shot that is running had been looked at already
        known, number, samples, gap = max(taken, default=start - 1), len(done), [], self.every
        for now, frame in self._frames(since):
            with self._clock("cut detection"):
                if frame:
                    at = FrameTimecode(Timecode(now, Fraction(1, MICRO)), fps=self.rate)
                    cuts = self.finder.process_frame(at, self._small(frame))
                else:
                    cuts = self.finder.post_process(at)
            times = [round(cut.seconds * MICRO) for cut in cuts] + ([] if frame else [now])
            cuts = [time for time in times if time > start]
            # Detectors answer late; the frame at hand when they do is in the new shot, however short that will be.
            wait = gap if len(samples) > 1 else gap // 2
            due = now > known and (cuts or not samples or now - samples[-1].time >= wait)
            if frame and (due or now in taken):
                if len(samples) >= self.most:
                    samples, gap = samples[::2], 2 * gap
                with self._clock("classifying"):
                    samples.append(_Sample(now, self.video.picture(frame, MIN_HEIGHT)))
            for cut in cuts:
                number += 1
                before = [sample for sample in samples if sample.time < cut]
                row = self._row(number, start, cut, before, folder)
                start, samples, gap = cut, samples[len(before) :], self.every
                yield row | {"taken": [sample.time for sample in samples]}

    def _frames(self, since: int) -> Iterator[tuple[int, object]]:
        """Time and frame, from `since` on; at the end, or where the film breaks off, the end's time and None."""
        path, last, broken = self.video.path, -1, False
        total = self.video.seconds
        frames, frame_time = self.video.decode(since / MICRO), round(self.video.frame_seconds * MICRO)
        with tqdm(total=math.ceil(total), desc=path.name, unit="s", disable=self.hidden, leave=False) as bar:
            while True:
                try:
                    with self._clock("decoding"):
                        frame = next(frames, None)
                except FrameError:
                    frame, broken = None, True
                if frame is None:
                    break
                time = round(frame.time * MICRO)
                last = time if time > last else last + frame_time  # some files have no times, or not for all frames
                if last >= since:
                    yield last, frame
                    bar.update(last // MICRO - bar.n)
        if last < 0:
            raise FrameError(f"{path}: no frame of the video can be read; get it again")
        end = last + frame_time
        if broken or end / MICRO < total - max(1, total / 100):
            self.note = f"{path}: breaks off at {end / MICRO:.1f} of {total:.1f} seconds; analysed up to there"
            tqdm.write(f"note: {self.note}", file=sys.stderr)
        yield end, None

    def _row(self, number: int, start: int, end: int, samples: list[_Sample], folder: Path) -> dict:
        seen = [sample for sample in samples if sample.rgb[::4, ::4].std(axis=(0, 1)).max() >= FLAT]
        seen = seen[1:] or seen  # the first may lie in a dissolve or a fade: it is for shots that have no other
        row = {"shot": number, "start": self._timecode(start), "end": self._timecode(end)}
        row |= {"start_seconds": start / MICRO, "end_seconds": end / MICRO, "seconds": (end - start) / MICRO}
        row |= {"label": "", "confidence": None, **dict.fromkeys(SCALE), "frames": len(seen), "agreement": None}
        row |= {"scale_at_start": "", "scale_at_end": "", "thumbnail": ""}
        if seen:
            with self._clock("classifying"):
                proba = self.classifier.predict_proba([sample.rgb for sample in seen])
            mean, third = proba.mean(axis=0), max(1, len(seen) // 3)
            row |= {label: round(float(mean[LABELS.index(label)]), 4) for label in SCALE}
            row["label"] = max(SCALE, key=row.get)
            row["confidence"] = row[row["label"]]
            row["agreement"] = round(float(np.mean(proba.argmax(axis=1) == mean.argmax())), 4)
            ends = [LABELS[part.mean(axis=0).argmax()] for part in (proba[:third], proba[-third:])]
            if len(seen) >= 4 and ends[0] != ends[1]:
                row |= {"scale_at_start": ends[0], "scale_at_end": ends[1]}
        if samples:
            middle = min(seen or samples, key=lambda sample: abs(2 * sample.time - start - end))
            row["thumbnail"] = f"{number:04d}.jpg"
            thumbnail = Image.fromarray(trim_bars(middle.rgb))
            thumbnail.thumbnail((4 * THUMBNAIL, THUMBNAIL))
            thumbnail.save(folder / row["thumbnail"], quality=85)
        return row

    def _small(self, frame: av.VideoFrame) -> np.ndarray:
        """For cut detection: as it lies in the file, blue first, the same size for all frames, quickly made."""
        height = max(2, round(CUT_WIDTH * self.video.shape[0] / self.video.shape[1]))
        return frame.to_ndarray(format="bgr24", width=CUT_WIDTH, height=height, interpolation="FAST_BILINEAR")

    def _timecode(self, time: int) -> str:
        return RationalTime(self.start_frame + round(time / MICRO * self.rate), self.rate).to_timecode()


def save(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table of `analyze` as CSV, and as JSON beside it, there with what it was made from."""
    record = {name: value for name, value in table.attrs.items() if name != "folder"}
    record["shots"] = json.loads(table.to_json(orient="records"))
    write(Path(path).with_suffix(".json"), json.dumps(record, indent=1) + "\n")
    write(Path(path), table.to_csv(index=False))


def load(path: str | Path) -> pd.DataFrame:
    """The table of a CSV file that `save` wrote, its JSON file beside it; a person may have changed labels.

    A corrected label is not that of the highest probability. `confidence`, `agreement` and the scales at start and
    end are empty there: they were said of another label. Raises FileNotFoundError or ValueError, naming the file.
    """
    path = check_file(path)
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", dtype=dict.fromkeys(TEXTS, "str")).dropna(how="all")
        table[TEXTS] = table[TEXTS].fillna("")
        table[NUMBERS] = table[NUMBERS].astype(float)
        table = table.astype({"shot": int, "frames": int}).sort_values("shot", ignore_index=True)
        if table.empty or table[["start_seconds", "end_seconds", "seconds"]].isna().to_numpy().any():
            raise ValueError("rows or times are missing")
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: not a table of this program ({error}); change labels only, save with commas"
        ) from None
    table["label"] = table["label"].str.strip().str.upper()
    for row in table[~table["label"].isin([*LABELS, ""])].itertuples():
        raise ValueError(f"{path}: shot {row.shot} is labelled {row.label!r}; use {', '.join(SCALE)} or nothing")
    corrected = _corrected(table)
    table.loc[corrected, ["confidence", "agreement"]] = np.nan
    table.loc[corrected, ["scale_at_start", "scale_at_end"]] = ""
    table.attrs = {**_record(path), "folder": str(path.parent)}
    return table


def _corrected(table: pd.DataFrame) -> np.ndarray:
    """Where the label is not that of the highest probability."""
    said = table[list(SCALE)].fillna(-1).to_numpy(float)
    return table["label"].to_numpy() != np.where(said.max(axis=1) < 0, "", np.array(SCALE)[said.argmax(axis=1)])


def _record(csv: Path) -> dict:
    """What the table in the file `csv` was made from."""
    path = csv.with_suffix(".json")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {name: record[name] for name in ("made_from", "rate", "start_frame", "note", "work_seconds", "versions")}
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path}: not there, or not the record of an analysis; move {csv.name} away and analyse the film again"
        ) from None
