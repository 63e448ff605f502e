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

PARTS = ((0,), (1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
"""Nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles: left and right count as one."""
SEEN = 0.25  # scores above this are a person, or a visible key point
MIN_CROP = 60  # pixels of height: below this a crop shows too little


def measures(pose: np.ndarray, aspect: float) -> np.ndarray:
    """What tells the scale in one pose (6, 56) of a picture of `aspect` (width / height): float (79,).

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
    top, left = rng.uniform(0, height - h), rng.uniform(0, width - w)
    if len(persons) and rng.random() < 0.8:
        points = pose[rng.choice(persons), :51].reshape(17, 3)
        visible = np.flatnonzero(points[:, 2] > 0.2)
        point = points[0 if not len(visible) or (0 in visible and rng.random() < 0.6) else rng.choice(visible)]
        top = point[0] * height - rng.uniform(0.25, 0.6) * h
        left = point[1] * width - rng.uniform(0.3, 0.7) * w
    top, left = np.clip(top, 0, height - h), np.clip(left, 0, width - w)
    return left / width, top / height, (left + w) / width, (top + h) / height


def cut(rgb: np.ndarray, box) -> np.ndarray:
    """The part of a picture in `box`: left, top, right, bottom as shares of width and height. A view."""
    height, width = rgb.shape[:2]
    left, top, right, bottom = np.round(np.array(box) * (width, height, width, height)).astype(int)
    return rgb[top:bottom, left:right]


def part_map(pose: np.ndarray, place: np.ndarray, height: int, width: int, stride: int = 16) -> np.ndarray:
    """Where the body's parts are: float32 (9, height / stride, width / stride), 1 at a key point, falling off around.

    `place` is the map of `augment` for a picture of `height` x `width` pixels, `pose` that of the picture before it.
    """
    rows, columns = height // stride, width // stride
    points = pose[pose[:, 55] > 0.2, :51].reshape(-1, 17, 3).astype(np.float32)
    out = np.zeros((len(PARTS), rows, columns), np.float32)
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    for number, part in enumerate(PARTS):
        for point_y, point_x, score in points[:, list(part)].reshape(-1, 3):
            if score > SEEN:
                at_x, at_y = place @ (point_x * width - 0.5, point_y * height - 0.5, 1) / stride - 0.5
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
        path = Path(path)
        part = path.with_name("part-" + path.name)
        views = self.table[["x0", "y0", "x1", "y1"]].to_numpy(np.float32)
        np.savez_compressed(
            part,
            path=self.table["path"].to_numpy(str),
            view=views,
            targets=np.round(self.targets * 1000).astype(np.uint16),
            poses=np.round(np.clip(self.poses, -1, 2) * 1000).astype(np.int16),
        )
        part.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> "Teacher":
        """Read what `save` wrote."""
        with np.load(path) as file:
            table = pd.DataFrame(file["view"], columns=["x0", "y0", "x1", "y1"]).assign(path=file["path"])
            targets = file["targets"].astype(np.float32)
            return cls(table, targets / targets.sum(axis=1, keepdims=True), file["poses"].astype(np.float32) / 1000)

    def views(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The views of the frames in `rows` (with `path`), joined to them; `whole` says which are not crops.

        `view` is the position in `targets` and `poses`.
        """
        table = self.table.assign(view=np.arange(len(self.table)), whole=(self.table["x1"] - self.table["x0"]) > 0.999)
        return rows.merge(table, on="path", how="inner", validate="one_to_many").reset_index(drop=True)


def blend(*parts: tuple[float, np.ndarray]) -> np.ndarray:
    """Probabilities proportional to the product of `parts`, each (weight, probabilities (N, 5)) to its weight."""
    logits = sum(weight * np.log(np.maximum(proba, 1e-3)) for weight, proba in parts)
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (proba / proba.sum(axis=1, keepdims=True)).astype(np.float32)
