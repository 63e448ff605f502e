"""What an epoch shows: which rows, in what order, with which target, augmented how. The same for both frameworks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..dataset import measured
from ..labels import LABELS
from ..pictures import load_frame, read_image
from .augment import VARIANTS, widescreen
from .recipe import Recipe

VOTES = ("seen_label", "second_label")


@dataclass(frozen=True)
class Samples:
    """Item i is a pair: uint8 RGB (height, width, 3), and the float32 target (5,), columns in the order of LABELS.

    A random generator named by seed, epoch and position draws the variant of a frame: the same pixels in either
    framework, whatever the number of workers that read.
    """

    files: Sequence[str]
    targets: np.ndarray
    """float32 (N, 5), rows sum to 1."""
    recipe: Recipe
    epoch: int | None = None
    """Number of the epoch whose variants are drawn; None: frames as they are served."""
    variants: Sequence[str] = ()
    """For each file, what of `augment.VARIANTS` is drawn."""

    def __len__(self) -> int:
        """How many frames are shown."""
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Frame and target number `i`; FileNotFoundError or FrameError, naming the file."""
        source, height, width = self.files[i], self.recipe.height, self.recipe.width
        if self.epoch is None:
            rgb = load_frame(source, height, width)
        else:
            variant, rng = self.variants[i], np.random.default_rng((self.recipe.seed, self.epoch, i))
            if variant == "photograph":
                source = widescreen(read_image(source), rng)
            rgb = VARIANTS[variant](load_frame(source, height, width), rng)
        return np.array(rgb), self.targets[i]  # a copy: frameworks want it writable and in one piece


def split(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to train on and those to measure on; ValueError where there are none."""
    train, val = table[table["split"] == "train"].reset_index(drop=True), measured(table, "val")
    for name, rows in (("train", train), ("val", val)):
        if rows.empty:
            raise ValueError(f"no frames to use are in split {name}; training takes some in train and some in val")
    return train, val


def of_epoch(rows: pd.DataFrame, recipe: Recipe, epoch: int) -> Samples:
    """What epoch number `epoch` shows of the train `rows`, in its random order; every epoch has the same length.

    Raises ValueError where every frame is shown 0 times.
    """
    rng = np.random.default_rng((recipe.seed, epoch))
    order = rng.permutation(len(rows))
    times = repeats(rows, recipe)
    order = order[times[order] > 0]
    count = times.sum()
    if recipe.one_a_shot and "shot" in rows:
        order = order[~rows["shot"].iloc[order].duplicated().to_numpy()]
        count = pd.Series(times).groupby(rows["shot"].to_numpy()).mean().sum()
    # Systematic sampling: a frame with 2.4 is shown two or three times, and the sum is always the same.
    places = np.cumsum(times[order]) / times[order].sum() * max(1, round(count)) + rng.random()
    order = np.repeat(order, np.diff(np.floor(places), prepend=0).astype(int))
    order = rng.permutation(order)
    variants = np.full(len(rows), recipe.augment, object)
    if "source" in rows:
        variants[rows["source"].isin(recipe.photographs)] = "photograph"
    shown = rows["file"].iloc[order].tolist()
    return Samples(shown, targets(rows, recipe)[order], recipe, epoch, variants[order].tolist())


def of_table(rows: pd.DataFrame, recipe: Recipe) -> Samples:
    """The frames of `rows`, in order, as they are served, with their labels as targets."""
    return Samples(rows["file"].tolist(), hard_targets(rows), recipe)


def repeats(rows: pd.DataFrame, recipe: Recipe) -> np.ndarray:
    """How often an epoch shows each row, float (N,): its `weight`, times what the recipe repeats."""
    times = rows["weight"].to_numpy(float) if "weight" in rows else np.ones(len(rows))
    for column, values in recipe.repeats.items():
        if column in rows:
            times = times * rows[column].map(values).fillna(1).to_numpy(float)
    if not times.sum() > 0:
        raise ValueError("every frame of train is shown 0 times; give some a weight above 0")
    return times


def targets(rows: pd.DataFrame, recipe: Recipe) -> np.ndarray:
    """What a network should answer for each of `rows`, float32 (N, 5), rows sum to 1."""
    return soft_targets(rows) if recipe.soft_labels else hard_targets(rows)


def hard_targets(rows: pd.DataFrame) -> np.ndarray:
    """One-hot rows, float32 (N, 5), columns in the order of LABELS."""
    return np.eye(len(LABELS), dtype=np.float32)[[LABELS.index(label) for label in rows["label"]]]


def soft_targets(rows: pd.DataFrame) -> np.ndarray:
    """Mean of the label and of every annotator's vote, float32 (N, 5), rows sum to 1.

    Who hesitates ("MS/CS") gives half a vote to each. Without annotators' columns this is `hard_targets`.
    """
    total, count = hard_targets(rows), np.ones((len(rows), 1), np.float32)
    for column in (column for column in VOTES if column in rows):
        for row, text in enumerate(rows[column].astype(str)):
            seen = [LABELS.index(part) for part in text.split("/") if part in LABELS]
            if seen:
                total[row, seen] += 1 / len(seen)
                count[row] += 1
    return total / count
