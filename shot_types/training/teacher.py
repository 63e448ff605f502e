"""A teacher that measures persons: poses -> shot scale, for soft targets on frames and on crops of them.

MoveNet (Google, Apache-2.0) finds up to six persons in a frame, each with 17 key points and a box. How large a head
is, and how far down a body can be seen, is what a shot scale is defined by; so a small forest on these measures knows
the scale of any crop of a frame, where the label of the frame does not hold any more. A `Teacher` keeps, for frames
and crops of the train split, the poses and the soft targets. `training/Pose_Teacher.ipynb` makes one.

A pose is float (6, 56): for each person y, x and score of 17 key points in COCO's order, then the box (top, left,
bottom, right) and its score; coordinates are shares of the height and width of the picture.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold
from tqdm.auto import tqdm

from ..files import replacing
from ..pictures import read_image, trim_bars

PARTS = ((0,), (1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
"""Nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles: left and right count as one."""
SIZES = 55
"""Numbers that `sizes` gives."""
SEEN = 0.25  # scores above this are a person, or a visible key point
BOX = ("x0", "y0", "x1", "y1")
WHOLE = (0.0, 0.0, 1.0, 1.0)
MIN_CROP = 60  # pixels of height: below this a crop shows too little


def measures(pose: np.ndarray, aspect: float) -> np.ndarray:
    """What tells the scale in one pose (6, 56) of a picture of `aspect` (width / height): float (72,).

    For the two largest persons: box, sizes of face and shoulders, heights of the body's parts and the score of each
    key point; then how many persons there are, and the tallest and smallest.
    """
    points, boxes = pose[:, :51].reshape(6, 17, 3).astype(float), pose[:, 51:].astype(float)
    heights, widths = boxes[:, 2] - boxes[:, 0], (boxes[:, 3] - boxes[:, 1]) * aspect
    largest = np.argsort(-boxes[:, 4] * heights * widths * (boxes[:, 4] > 0.15))
    out = [aspect]
    for person in largest[:2]:
        y, x, score = points[person].T
        level = [np.average(y[list(part)], weights=score[list(part)] + 1e-6) for part in PARTS]
        _, eyes, _, shoulders, _, _, hips, knees, ankles = level
        across = [np.hypot(y[a] - y[b], (x[a] - x[b]) * aspect) for a, b in ((1, 2), (3, 4), (5, 6))]
        out += [boxes[person, 4], heights[person], widths[person], boxes[person, 0], boxes[person, 2], *across]
        out += [shoulders - eyes, hips - shoulders, ankles - hips, eyes, shoulders, hips, knees, ankles, *score]
    sure = boxes[:, 4] > 0.2
    tallest, smallest = (heights[sure].max(), heights[sure].min()) if sure.any() else (0, 0)
    visible = points[..., 2]
    return np.array([*out, sure.sum(), tallest, smallest, visible.max(), (visible > 0.3).sum()])


def sizes(pose: np.ndarray) -> np.ndarray:
    """The `measures` of a pose that a network sees squeezed to 16:9 and perhaps mirrored: float32 (55,).

    The aspect is left out, and of left and right the mean score counts.
    """
    values, out = measures(pose, 16 / 9)[1:], []
    for person in (values[:33], values[33:66]):
        out += [*person[:16], *(person[16:][list(part)].mean() for part in PARTS)]
    return np.array([*out, *values[66:]], np.float32)


def moved(pose: np.ndarray, place: np.ndarray, height: int, width: int) -> np.ndarray:
    """The pose in a picture of `height` x `width` pixels after the map `place` of `augment`; boxes stay upright."""
    out, size = pose.astype(float), np.array([width, height])
    points, corners = out[:, :51].reshape(6, 17, 3), out[:, 51:55].reshape(6, 2, 2)

    def go(at):  # y, x as shares -> the same after the map
        return ((at[..., ::-1] * size - 0.5) @ place[:, :2].T + place[:, 2] + 0.5)[..., ::-1] / size[::-1]

    points[..., :2] = go(points[..., :2])
    corners[:] = np.sort(go(corners), axis=1)
    return out


def persons(pose: np.ndarray, place: np.ndarray, height: int, width: int, usual) -> tuple[np.ndarray, np.ndarray]:
    """What the second task asks of a picture of `height` x `width` after the map `place` of `augment`.

    Its `part_map`, and its `sizes`, float32 (55,), in deviations from what is `usual` (`Teacher.usual_sizes`).
    """
    pose = moved(pose, place, height, width)
    size = np.clip((sizes(pose) - usual[0]) / usual[1], -3, 3)
    return part_map(pose, height, width), size.astype(np.float32)


def propose_crop(shape: tuple[int, int], pose: np.ndarray, rng: np.random.Generator) -> tuple[float, ...]:
    """A random closer view of a picture of `shape` (height, width): left, top, right, bottom as shares of it.

    Mostly about a person, where there is one; between 1.2 and 4.5 times as close; often of another frame shape.
    """
    height, width = shape
    zoom = np.exp(rng.uniform(np.log(1.2), np.log(np.clip(height / MIN_CROP, 1.3, 4.5))))
    h, w = height / zoom, width / zoom
    if rng.random() < 0.4:
        aspect = rng.uniform(1.33, 2.39)
        h = min(height, np.sqrt(h * w / aspect))
        w = min(width, h * aspect)
    persons = np.flatnonzero(pose[:, 55] > SEEN)
    if len(persons) and rng.random() < 0.8:
        points = pose[persons[rng.integers(len(persons))], :51].reshape(17, 3)
        seen = points[:, 2] > 0.2
        about_nose = (seen[0] and rng.random() < 0.6) or not seen.any()
        y, x, _ = points[0 if about_nose else rng.choice(np.flatnonzero(seen))]
        top, left = y * height - rng.uniform(0.25, 0.6) * h, x * width - rng.uniform(0.3, 0.7) * w
    else:
        top, left = rng.uniform(0, height - h), rng.uniform(0, width - w)
    top, left = np.clip(top, 0, height - h), np.clip(left, 0, width - w)
    return int(left) / width, int(top) / height, int(left + w) / width, int(top + h) / height


def find_poses(rows: pd.DataFrame, find, crops: dict[str, int], cache: str | Path) -> tuple[pd.DataFrame, np.ndarray]:
    """The poses (N, 6, 56) of the frames in `rows` and of random crops of them; and these views, as in `Teacher.table`.

    The views' `aspect` is width / height.
    `find` maps a picture to its pose (`MoveNet`). `crops` says how many crops of a frame of each `source`; only
    frames of the train split whose label is their own are cropped. `cache` is an .npz file that is written every
    200 frames, from which a second call goes on.
    """
    cache = Path(cache)
    views, poses, done = [], [], set()
    if cache.exists():
        with np.load(cache) as file:
            views = list(zip(file["path"], *file["view"].T, file["aspect"], strict=True))
            poses, done = list(file["poses"]), set(file["path"])
    left = rows[~rows["path"].isin(done)]
    for number, row in enumerate(tqdm(left.itertuples(), total=len(left), unit="frame", mininterval=5), start=1):
        rgb = trim_bars(read_image(row.file))
        rng = np.random.default_rng(int.from_bytes(row.path.encode()[-8:], "little") % 2**32)  # the same in any order
        pose = find(rgb)
        own = row.split == "train" and not int(getattr(row, "inherited", 0))
        boxes = [WHOLE]
        for _ in range(crops.get(getattr(row, "source", ""), crops["other"]) if own else 0):
            boxes.append(propose_crop(rgb.shape[:2], pose, rng))
        for box in boxes:
            view = cut(rgb, box)
            if min(view.shape[:2]) >= 40 or box == WHOLE:
                views.append((row.path, *box, view.shape[1] / view.shape[0]))
                poses.append(pose if box == WHOLE else find(view))
        if number % 200 == 0 or number == len(left):
            table = pd.DataFrame(views, columns=["path", *BOX, "aspect"])
            columns = {"path": table["path"].to_numpy(str), "view": table[list(BOX)].to_numpy(float)}
            with replacing(cache) as part, part.open("wb") as file:
                np.savez_compressed(file, **columns, aspect=table["aspect"].to_numpy(float), poses=np.stack(poses))
    return pd.DataFrame(views, columns=["path", *BOX, "aspect"]), np.stack(poses)


def whole(views: pd.DataFrame) -> np.ndarray:
    """Which of the views are frames, not crops of them."""
    return np.isclose(views[list(BOX)].to_numpy(float), WHOLE, atol=1e-4).all(axis=1)


def fit_forest(x: np.ndarray, targets: np.ndarray, seed: int = 0):
    """Learn soft `targets` (N, 5) from `measures` (N, 72): a function from measures to probabilities.

    The mean of boosted trees and of extremely randomised ones; each row counts once a class, with its share.
    """
    row, label = np.nonzero(targets > 0.01)
    weight = targets[row, label]
    boosted = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=8, l2_regularization=2, random_state=seed
    )
    extra = ExtraTreesClassifier(500, min_samples_leaf=3, n_jobs=2, random_state=seed)
    models = [model.fit(x[row], label, weight) for model in (boosted, extra)]
    return lambda x: np.mean([model.predict_proba(x) for model in models], axis=0).astype(np.float32)


def out_of_fold(x: np.ndarray, targets: np.ndarray, groups, learn: np.ndarray, folds: int = 5) -> np.ndarray:
    """What forests say of rows whose `groups` (films) they have not seen; they learn from the rows in `learn` alone."""
    out = np.empty_like(targets)
    for train, test in GroupKFold(folds).split(x, groups=groups):
        seen = train[learn[train]]
        out[test] = fit_forest(x[seen], targets[seen])(x[test])
    return out


def cut(rgb: np.ndarray, box) -> np.ndarray:
    """The part of a picture in `box`: left, top, right, bottom as shares of width and height. A view."""
    height, width = rgb.shape[:2]
    left, top, right, bottom = np.round(np.array(box) * (width, height, width, height)).astype(int)
    return rgb[top:bottom, left:right]


def part_map(pose: np.ndarray, height: int, width: int, stride: int = 16) -> np.ndarray:
    """Where the body's parts are: float32 (9, height / stride, width / stride), rounded up; 1 at a key point."""
    rows, columns = -(-height // stride), -(-width // stride)
    points = pose[pose[:, 55] > 0.2, :51].reshape(-1, 17, 3).astype(np.float32)
    out = np.zeros((len(PARTS), rows, columns), np.float32)
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    for number, part in enumerate(PARTS):
        for point_y, point_x, score in points[:, list(part)].reshape(-1, 3):
            if score > SEEN:
                at_x, at_y = point_x * width / stride - 0.5, point_y * height / stride - 0.5
                spot = np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * 0.7**2)) * min(1.0, 1.5 * score)
                np.maximum(out[number], spot, out=out[number])
    return out


@dataclass
class Teacher:
    """What is known of frames and crops of the train split beyond their labels."""

    table: pd.DataFrame
    """One row a view: `path` as in frames.csv; `x0`, `y0`, `x1`, `y1`: the view as shares of the frame."""
    targets: np.ndarray
    """What the network should answer, float32 (N, 5), rows sum to 1."""
    poses: np.ndarray
    """(N, 6, 56), see the module."""

    def save(self, path: str | Path) -> None:
        """Write everything to one .npz file; poses and targets keep three decimals."""
        with replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file,
                path=self.table["path"].to_numpy(str),
                view=self.table[list(BOX)].to_numpy(np.float32),
                targets=np.round(self.targets * 1000).astype(np.uint16),
                poses=np.round(np.clip(self.poses, -1, 2) * 1000).astype(np.int16),
            )

    @classmethod
    def load(cls, path: str | Path) -> "Teacher":
        """Read what `save` wrote."""
        with np.load(path) as file:
            table = pd.DataFrame(file["view"], columns=list(BOX)).assign(path=file["path"])
            targets = file["targets"].astype(np.float32)
            return cls(table, targets / targets.sum(axis=1, keepdims=True), file["poses"].astype(np.float32) / 1000)

    def usual_sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the `sizes` of all views, each (55,)."""
        known = np.stack([sizes(pose) for pose in self.poses])
        return known.mean(0), known.std(0) + 1e-3

    def views(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The views of the frames in `rows` (with `path`), joined to them; `whole` says which are not crops.

        `view` is the position in `targets` and `poses`.
        """
        table = self.table.assign(view=np.arange(len(self.table)), whole=whole(self.table))
        return rows.merge(table, on="path", how="inner", validate="one_to_many").reset_index(drop=True)


def blend(*parts: tuple[float, np.ndarray]) -> np.ndarray:
    """Probabilities proportional to the product of `parts`, each (weight, probabilities (N, 5)) to its weight."""
    logits = sum(weight * np.log(np.maximum(proba, 1e-3)) for weight, proba in parts)
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (proba / proba.sum(axis=1, keepdims=True)).astype(np.float32)
