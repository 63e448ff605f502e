"""MovieShots as published -> a data set of the contract: annotations, their problems, frames of the shots.

The files hold `{movie: {shot: {"scale": {"label", "value"}, "movement": {"label", "value"}}}}`, some with levels
above (train, val and test in `v1_split_trailer.json`), and `v2_full_trailer.json` has no scale. A shot is the video
`<movie>/shot_<shot>.mp4`. The data set: Rao et al., ECCV 2020, arXiv 2008.03548.
"""

import io
import json
import multiprocessing
import os
import re
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from ..cores import cores
from ..dataset import SPLITS, DatasetError, write_csv
from ..files import write
from ..labels import LABELS
from ..pictures import FrameError, resize, trim_bars
from ..video import spread_video_frames

VIDEO, FRAME = "{}/shot_{}.mp4", "frames/{}/{}_{}.jpg"  # of a movie, a shot and the number of a frame


def read_annotations(path: str | Path) -> pd.DataFrame:
    """A published annotation file, whichever it is, as a table of text: one row a shot, in the order of the file.

    `movie`, `shot`, `label`, `movement`, `official_split`; what the file does not say is missing (NaN), and so is a
    label that cannot be trusted, see `annotation_problems`. Raises FileNotFoundError; DatasetError without any shot.
    """
    shots, problems = _read(Path(path))
    if not shots:
        raise DatasetError(f"{path}: no shots in this file ({' '.join(problems[0][2:])}); get it again")
    return pd.DataFrame(shots.values(), columns=["movie", "shot", "label", "movement", "official_split"], dtype="str")


def annotation_problems(path: str | Path) -> pd.DataFrame:
    """What is wrong with the shots of an annotation file, or with all of it: `movie`, `shot`, `problem`, `detail`."""
    return pd.DataFrame(_read(Path(path))[1], columns=["movie", "shot", "problem", "detail"], dtype="str")


def _read(path: Path) -> tuple[dict[tuple[str, str], list], list[tuple[str, str, str, str]]]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; name an annotation file of MovieShots")
    try:
        tree = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=tuple)  # pairs: a key may come twice
    except ValueError as error:
        return {}, [("", "", "broken JSON", str(error))]
    shots, problems = {}, []
    for *above, movie, shot, entry in _walk(tree, "") if tree and isinstance(tree, tuple) else [("", "", {})]:
        if not all(re.fullmatch(r"[\w-]+", key) for key in (movie, shot)):  # they become names of files
            problems.append((movie, shot, "not a shot", ""))
            continue
        label = _label(entry, "scale")
        if label not in LABELS:
            problems.append((movie, shot, "unknown label" if label else "no scale", str(label or "")))
            label = None
        row = [movie, shot, label, _label(entry, "movement"), next((key for key in above if key in SPLITS), None)]
        known = shots.setdefault((movie, shot), row)
        if known is not row:
            same = known[2] == label
            problems.append((movie, shot, "listed twice" if same else "two labels", f"{known[2]}, {label}"))
            known[2] = label if same else None
    return shots, problems


def _walk(node: tuple, *keys: str):
    """Every leaf of the nesting: the keys that lead to it, and its annotations."""
    for key, value in node:
        entry = dict(value) if isinstance(value, tuple) else {}
        if entry and not {"scale", "movement"} & entry.keys():
            yield from _walk(value, *keys, key)
        else:
            yield *keys, key, entry


def _label(entry: dict, name: str) -> str | None:
    return dict(entry[name]).get("label") if isinstance(entry.get(name), tuple) else None


def extract_frames(table, videos, out, count=3, every=None, height=256, workers=None) -> pd.DataFrame:
    """Write `out`/frames/<movie>/<shot>_<number>.jpg from `videos`/<movie>/shot_<shot>.mp4, for each row of `table`.

    A shot gives `count` frames evenly spread over it, or one each `every` seconds; bars are trimmed, and pictures
    scaled to `height` pixels. `workers` processes, one a core if None. An interrupted run goes on where it was.
    Prints an estimate after the first shots, progress, and the result. Shots without frames are returned, and written
    to `out`/problems.csv: `movie`, `shot`, `problem`. Raises DatasetError when `out` holds frames of other settings.
    """
    out, workers, began = Path(out), workers or cores(), time.perf_counter()
    settings, text = out / "settings.json", json.dumps({"count": count, "every": every, "height": height})
    if settings.exists() and settings.read_text() != text:
        raise DatasetError(f"{out}: holds frames made with {settings.read_text()}; remove it or name another folder")
    write(settings, text)
    for left in out.glob("frames/*/*.part"):  # by a run that was killed
        left.unlink()
    shots = [tuple(row) for row in table[["movie", "shot"]].to_numpy()]
    todo = [shot for shot in shots if not (out / FRAME.format(*shot, 1)).exists()]
    np.random.default_rng(0).shuffle(todo)  # the first shots are typical: they make the estimate
    print(f"{len(shots)} shots, {len(shots) - len(todo)} of them done already; {workers} processes")
    problems, written = [], 0
    work = partial(_extract, videos=Path(videos), out=out, count=count, every=every, height=height)
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _stay_with_parent)
    try:
        for done, (shot, size, problem) in enumerate(tqdm(pool.map(work, todo), total=len(todo), unit="shot"), 1):
            written += size
            problems += [(*shot, problem)] if problem else []
            if done == min(40, len(todo)):  # enough to tell
                rate, space = done / (time.perf_counter() - began), written / done * len(shots) / 1e6
                tqdm.write(f"estimate: {rate:.1f} shots/s, {len(todo) / rate / 60:.0f} minutes, {space:.0f} MB in all")
    finally:
        pool.shutdown(cancel_futures=True)
        found = pd.DataFrame(sorted(problems), columns=["movie", "shot", "problem"], dtype="str")
        write_csv(found, out / "problems.csv")
    seconds, space = time.perf_counter() - began, sum(file.stat().st_size for file in out.glob("frames/*/*.jpg")) / 1e6
    print(f"{len(todo)} shots in {seconds:.0f} s, {len(todo) / seconds:.1f} shots/s; {space:.1f} MB on disk in all")
    print(f"{len(found)} shots without frames, listed in {out.name}/problems.csv")
    return found


def frame_table(table: pd.DataFrame, out: str | Path) -> pd.DataFrame:
    """The frames in `out` of the shots of `table` (`movie`, `shot`, `label`, `group`, `split`), for its frames.csv."""
    files = sorted(Path(out).glob("frames/*/*.jpg"))
    rows = [(file.parent.name, file.stem.rpartition("_")[0], file.relative_to(out).as_posix()) for file in files]
    table = table.merge(pd.DataFrame(rows, columns=["movie", "shot", "path"], dtype="str"), on=["movie", "shot"])
    return table.assign(shot=table["movie"] + "_" + table["shot"])[["path", "label", "group", "split", "shot"]]


def _stay_with_parent() -> None:
    """A worker leaves interruption to its parent, and ends when the parent is gone, however that came."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _extract(shot: tuple[str, str], videos, out, count, every, height) -> tuple[tuple[str, str], int, str | None]:
    """Write the frames of one shot: (movie, shot), bytes written, problem or None."""
    pictures = []
    try:
        for _, rgb in spread_video_frames(videos / VIDEO.format(*shot), count, every, side=2 * height, threads=1):
            rgb = trim_bars(rgb)
            picture = Image.fromarray(resize(rgb, height, max(1, round(height * rgb.shape[1] / rgb.shape[0]))))
            picture.save(buffer := io.BytesIO(), "JPEG", quality=90)
            pictures.append(buffer.getvalue())
    except (FrameError, FileNotFoundError) as error:
        return shot, 0, str(error)
    for number in range(len(pictures), 0, -1):  # the first frame comes last: where it is, the shot is complete
        write(out / FRAME.format(*shot, number), pictures[number - 1])
    return shot, sum(map(len, pictures)), None
