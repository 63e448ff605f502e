"""The `Recipe` of a training run, and the frames, targets and order of each epoch that follow from it; no framework."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from ..dataset import measured
from ..pictures import load_frame, read_image, resize, trim_bars
from .augment import augment, flip
from .targets import epoch_rows, hard_targets, soft_targets
from .teacher import Teacher, cut


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run gives. Two equal recipes give the same run on one machine."""

    initial: str | Path | None = "imagenet"
    """Start: "imagenet", the path of a weights file, or None for random weights."""
    height: int = 144
    width: int = 256
    """Pixels that the network sees."""
    pad: bool = False
    """Keep each picture's shape on black instead of squeezing it."""
    epochs: int = 12
    batch_size: int = 32
    lr: float = 4e-4
    """Peak learning rate of AdamW; warms up over 5 % of the steps, then falls as a cosine."""
    weight_decay: float = 0.02
    head_epochs: int = 0
    """The first so many of `epochs` train the new head alone, so that it does not spoil what the start knows.

    Kumar et al. 2022, arXiv 2202.10054.
    """
    head_lr: float = 1e-3
    """Learning rate of those."""
    frozen: int = 4
    """So many first blocks stay as they are: edges and textures need no retraining, and it saves a third."""
    average: float = 0.99
    """Decay of the running average of the weights, which is what is measured and kept."""
    soft: bool = True
    """Soft targets from the annotators' votes, instead of the label alone."""
    inherited: str = "one"
    """Frames that have their label from a neighbour: "one" random frame of each shot an epoch, "all", or "out"."""
    balance: float = 0.0
    """0: classes as frequent as they are; 1: equally frequent."""
    source_weights: dict = dataclasses.field(default_factory=dict)
    """How many times an epoch frames of a source are shown, 1 where not named."""
    film_augment: bool = True
    """The augmentation of `augment`, instead of mirroring alone."""
    crops: int = 0
    """So many crops that a teacher has labelled are shown in an epoch, beside the frames."""
    parts: float = 0.0
    """Weight of the second task: to measure persons as the teacher does."""
    seed: int = 0

    def as_dict(self) -> dict:
        """The recipe with the name of its start, not the folder: moved data do not make it another run."""
        start = self.initial and Path(self.initial).name
        return {**dataclasses.asdict(self), "initial": start}

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of the train split that are used, with their weights.

        Raises ValueError where there is nothing to train on, or nothing to measure on.
        """
        rows = table[table["split"] == "train"]
        if self.inherited == "out" and "inherited" in rows:
            rows = rows[rows["inherited"].astype(int) == 0]
        if self.source_weights and "source" in rows:
            rows = rows.assign(weight=rows["source"].map(self.source_weights).fillna(1.0))
        for split, part in (("train", rows), ("val", measured(table, "val"))):
            if part.empty:
                raise ValueError(f"no frames to use are in split {split}; training takes some in train and some in val")
        return rows.reset_index(drop=True)

    def views(self, rows: pd.DataFrame, teacher: Teacher | None) -> tuple[pd.DataFrame, np.ndarray]:
        """All that can be shown of `rows`, and what the network should answer, float32 (N, 5).

        The first rows are those of `rows`, whole; with a teacher come its crops of them, and its targets. `box` is the
        view as shares of the frame, None for the whole; `view` the position in `teacher.poses`.
        """
        if teacher is None:
            return rows.assign(box=None, view=-1), soft_targets(rows) if self.soft else hard_targets(rows)
        views = teacher.views(rows)
        views["box"] = [None if whole else box for whole, *box in views[["whole", "x0", "y0", "x1", "y1"]].to_numpy()]
        whole = views[views["whole"]].set_index("path")
        if missing := set(rows["path"]) - set(whole.index):
            raise ValueError(f"the teacher does not know {min(missing)}; it is of another data set: train without one")
        views = pd.concat([whole.loc[rows["path"]].reset_index(), views[~views["whole"]]], ignore_index=True)
        return views, teacher.targets[views["view"]]

    def order(self, rows: pd.DataFrame, epoch: int, targets: np.ndarray | None = None) -> np.ndarray:
        """Positions in `views` that epoch number `epoch` shows, in their order.

        `rows` alone decides on the whole frames; crops are drawn without their labels, by `targets`: each class
        as often as another, as far as the square root goes.
        """
        rng = np.random.default_rng((self.seed, epoch))
        chosen = epoch_rows(rows, rng, self.inherited == "one", self.balance)
        if not self.crops or targets is None:
            return chosen
        answers = targets[len(rows) :].argmax(axis=1)
        share = 1 / np.sqrt(np.bincount(answers, minlength=targets.shape[1])[answers])
        crops = rng.choice(len(answers), min(self.crops, len(answers)), replace=False, p=share / share.sum())
        return rng.permutation(np.concatenate([chosen, len(rows) + crops]))

    def frame(self, file: str, epoch: int | None = None, position: int = 0, box=None) -> tuple[np.ndarray, np.ndarray]:
        """A frame (or the `box` of it) as the network sees it, uint8 RGB, and the map of `augment`.

        With an `epoch` it is a random variant for training. The seed names run, epoch and position: the same pixels
        whatever the number of readers.
        """
        if box is None:
            rgb = load_frame(file, self.height, self.width, pad=self.pad)
        else:
            rgb = resize(cut(trim_bars(read_image(file)), box), self.height, self.width, self.pad)
        if epoch is None:
            return rgb, np.eye(2, 3)
        rng = np.random.default_rng((self.seed, epoch, position))
        return (augment if self.film_augment else flip)(rgb, rng)


def learned_from(recipe: Recipe, views: pd.DataFrame, targets: np.ndarray) -> dict:
    """What makes a run this one and no other, as its checkpoint keeps it: recipe, and a name of the data it sees."""
    data = hashlib.sha256("\n".join(views["path"]).encode() + targets.tobytes()).hexdigest()[:16]
    return {"recipe": json.loads(json.dumps(recipe.as_dict())), "data set": data}


def check_run(run: dict, learned: dict, folder: Path) -> None:
    """Raise ValueError when `run`, a checkpoint in `folder`, has not `learned` from the same."""
    for what, value in learned.items():
        if run.get(what, value) != value:
            raise ValueError(f"{folder}: holds a run of another {what}; remove it or name another folder")
