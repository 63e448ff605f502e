"""The probe of a network fitted: shots against title cards, credits, black or flashed frames, screen graphics.

The shots are labelled frames of a data set, and some with titles laid over them. What is no shot is in its `none.csv`
(`path`, relative to its folder, `group` and `split`); because that is little, it is varied as film varies, and made
title cards and fields of one colour are added. The network stays as it is.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ..dataset import SPLITS, DatasetError, measured
from ..pictures import load_frame
from ..probe import Probe
from .augment import film
from .titles import FIELDS, field, title_card, titled_shot

C = 1e-4
"""Inverse strength of scikit-learn's L2 penalty, on standardised features; chosen on val."""
LOST = 0.0025
"""Share of the shots of val, with and without titles, that may be taken for none: this sets the line."""
COUNTS = {"shots": 2000, "varied": 400, "titled": 800, "none": 784, "cards": 600, "fields": 120}
"""How many pictures of each kind a probe is fitted on, besides those of `none.csv` as they are."""

Picture = Callable[[], np.ndarray]
"""Makes a frame as a network receives it, uint8 RGB (height, width, 3)."""


def read_none(folder: str | Path) -> pd.DataFrame:
    """`folder`/none.csv with absolute `file` paths: places without a shot. FileNotFoundError or DatasetError."""
    path = Path(folder).resolve() / "none.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; list frames without a shot in it: path, group, split")
    table = pd.read_csv(path, dtype=str)
    if missing := {"path", "group", "split"} - set(table):
        raise DatasetError(f"{path}: columns missing: {', '.join(sorted(missing))}; name them so in line 1")
    if (wrong := ~table["split"].isin(SPLITS)).any():
        raise DatasetError(f"{path}: split {table['split'][wrong.idxmax()]!r} is unknown; use {', '.join(SPLITS)}")
    return table.assign(file=[str(path.parent / name) for name in table["path"]])


def served(files: Sequence[str], height: int, width: int) -> list[Picture]:
    """The pictures in `files` as they are served."""
    return [partial(load_frame, file, height, width) for file in files]


def titled(files: Sequence[str], height: int, width: int, seed: int = 0) -> list[Picture]:
    """The pictures in `files` with text laid over each, as it is drawn from `seed` and its position."""
    return [partial(_titled, file, height, width, (seed, i)) for i, file in enumerate(files)]


def to_fit(
    table: pd.DataFrame, none: pd.DataFrame, height: int, width: int, counts: dict = COUNTS, seed: int = 0
) -> tuple[dict[str, list[Picture]], dict[str, list[Picture]]]:
    """What a probe is fitted on, by kind: shots, and what is none, from the train splits of both tables.

    Raises ValueError where one of them has no rows in train.
    """
    shots, places = measured(table, "train")["file"].tolist(), none.loc[none["split"] == "train", "file"].tolist()
    if not shots or not places:
        raise ValueError("no frames in split train; a probe takes labelled ones, and some without a shot")
    shots = [shots[i] for i in np.random.default_rng(seed).permutation(len(shots))]
    size = (height, width)

    def some(files: list[str], kind: str) -> list[tuple[str, tuple[int, ...]]]:
        place = list(counts).index(kind)
        return [(files[i % len(files)], (seed, place, i)) for i in range(counts[kind])]

    kept = {
        "shots": served(shots[: counts["shots"]], *size),
        "varied": [partial(_varied, file, *size, key) for file, key in some(shots[::-1], "varied")],
        "titled": [partial(_titled, file, *size, key) for file, key in some(shots, "titled")],
    }
    left = {
        "places": served(places, *size),
        "none": [partial(_varied, file, *size, key) for file, key in some(places, "none")],
        "cards": [partial(_card, file, *size, key) for file, key in some(shots, "cards")],
        "fields": [partial(_field, kind, *size, key) for kind, key in some(list(FIELDS), "fields")],
    }
    return kept, left


def _varied(file: str, height: int, width: int, key: tuple[int, ...]) -> np.ndarray:
    return film(load_frame(file, height, width), np.random.default_rng(key), bars=0)


def _titled(file: str, height: int, width: int, key: tuple[int, ...]) -> np.ndarray:
    shot = load_frame(file, 2 * height, 2 * width)  # letters are drawn large and get smaller with the picture
    return load_frame(titled_shot(shot, np.random.default_rng(key)), height, width)


def _card(file: str, height: int, width: int, key: tuple[int, ...]) -> np.ndarray:
    backdrop = load_frame(file, 2 * height, 2 * width)
    return load_frame(title_card(backdrop, np.random.default_rng(key)), height, width)


def _field(kind: str, height: int, width: int, key: tuple[int, ...]) -> np.ndarray:
    return field(height, width, kind, np.random.default_rng(key))


def features(network, pictures: Sequence[Picture], batch_size: int = 32) -> np.ndarray:
    """What the probe of a `network` sees of each picture, float32 (N, C); threads make pictures meanwhile."""
    found = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(pictures), batch_size):
            frames = list(pool.map(lambda make: make(), pictures[start : start + batch_size]))
            found.append(network.with_features(np.stack(frames))[1])
    return np.concatenate(found)


def fit(shots: np.ndarray, none: np.ndarray, c: float = C) -> Probe:
    """A logistic regression that tells features of `shots` (N, C) from those of `none` (M, C), which weigh the same.

    Features are standardised for the fit, and the probe takes them as they are.
    """
    values, truth = np.concatenate([shots, none]), np.repeat([True, False], [len(shots), len(none)])
    scaler = StandardScaler().fit(values)
    model = LogisticRegression(C=c, class_weight="balanced", max_iter=2000).fit(scaler.transform(values), truth)
    weight = model.coef_[0] / scaler.scale_
    return Probe(weight.astype(np.float32), float(model.intercept_[0] - weight @ scaler.mean_))


def with_line(probe: Probe, shots: np.ndarray, lost: float = LOST) -> Probe:
    """The probe with its bias so that `is_shot` is below 0.5 for at most the share `lost` of these `shots` (N, C)."""
    values = np.sort(shots @ probe.weight)
    place = int(lost * len(values))
    return Probe(probe.weight, float(np.nextafter(-values[place], np.float32(np.inf), dtype=np.float32)) + 1e-4)


def score(is_shot: np.ndarray) -> dict[str, float | int]:
    """How many of `is_shot`, float (N,), are below 0.5; their share with its 95 % interval by Wilson (1927)."""
    count, total = int((is_shot < 0.5).sum()), len(is_shot)
    interval = binomtest(count, total).proportion_ci(method="wilson")
    share = {"share": count / total, "low": interval.low, "high": interval.high}
    return {"taken for none": count, "of": total} | {name: round(float(value), 4) for name, value in share.items()}
