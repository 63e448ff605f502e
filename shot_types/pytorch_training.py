"""Training of the PyTorch model: `train` runs a `Recipe` on a data set, with a checkpoint every epoch."""

import dataclasses
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from .augment import augment, flip
from .dataset import epoch_rows, hard_targets, measured, soft_targets
from .frames import load_frame
from .pytorch import build, pick_device, to_input
from .report import scores


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run gives. Two equal recipes give the same run on one machine."""

    initial: str | None = "imagenet"
    """Start: "imagenet", the path of a state dict, or None for random weights."""
    height: int = 144
    width: int = 256
    """Pixels that the network sees."""
    pad: bool = False
    """Keep each picture's shape on black instead of squeezing it."""
    epochs: int = 12
    small_epochs: int = 0
    """So many first epochs at two thirds of the size: less than half the time, for features that carry over."""
    batch_size: int = 32
    lr: float = 1e-3
    """Peak learning rate of AdamW; warms up over 5 % of the steps, then falls as a cosine."""
    weight_decay: float = 0.02
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
    seed: int = 0


class FrameDataset(Dataset):
    """Frames as uint8 RGB tensors (height, width, 3) with their targets; augmented when `epoch` is given."""

    def __init__(self, files, targets, size, recipe, epoch=None):
        self.files, self.targets, self.size, self.recipe, self.epoch = list(files), targets, size, recipe, epoch

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        rgb = load_frame(self.files[i], *self.size, pad=self.recipe.pad)
        if self.epoch is not None:
            # The seed names run, epoch and frame: the same pixels whatever the number of workers.
            rng = np.random.default_rng((self.recipe.seed, self.epoch, i))
            rgb = augment(rgb, rng) if self.recipe.film_augment else flip(rgb, rng)
        return torch.from_numpy(rgb.copy()), torch.from_numpy(self.targets[i])


def training_rows(table: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The rows of the train split that `recipe` uses, with its weights."""
    rows = table[table["split"] == "train"].reset_index(drop=True)
    if recipe.inherited == "out" and "inherited" in rows:
        rows = rows[rows["inherited"].astype(int) == 0].reset_index(drop=True)
    if recipe.source_weights:
        rows["weight"] = rows["source"].map(recipe.source_weights).fillna(1.0)
    return rows


def predict_logits(network: nn.Module, table: pd.DataFrame, recipe: Recipe, workers: int = 2) -> np.ndarray:
    """Logits, float32 (N, 5), of a network in training for the frames of `table`, in order."""
    size = recipe.height, recipe.width
    data = FrameDataset(table["file"], hard_targets(table), size, recipe)
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        loader = DataLoader(data, batch_size=2 * recipe.batch_size, num_workers=workers)
        return np.concatenate([network(to_input(x.to(device))).float().cpu().numpy() for x, _ in loader])


def train(table: pd.DataFrame, recipe: Recipe, folder: str | Path, workers: int = 2) -> pd.DataFrame:
    """Train on the split "train" of a table from `dataset.read_dataset`; measure each epoch on "val".

    `folder` gets a checkpoint after every epoch, so that a second call goes on where the first was stopped, and
    `best.pt`: the averaged weights of the epoch that was best on val, a plain state dict. Returns one row an
    epoch: losses, scores, seconds. Raises ValueError when `folder` holds a run of another recipe.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    device = pick_device()
    torch.manual_seed(recipe.seed)
    rows, val = training_rows(table, recipe), measured(table, "val")
    targets = soft_targets(rows) if recipe.soft else hard_targets(rows)
    network = build(recipe.initial).to(device, memory_format=torch.channels_last)
    network.features[: recipe.frozen].requires_grad_(False)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True)
    optimizer = _optimizer(network, recipe)

    def order(epoch):
        rng = np.random.default_rng((recipe.seed, epoch))
        return epoch_rows(rows, rng, recipe.inherited == "one", recipe.balance)

    schedule = _schedule(optimizer, recipe.epochs * max(1, len(order(0)) // recipe.batch_size))
    state = {"network": network, "averaged": averaged, "optimizer": optimizer, "schedule": schedule}
    history = _resume(folder, recipe, state)
    for epoch in range(len(history), recipe.epochs):
        began = time.perf_counter()
        torch.manual_seed(1000 * recipe.seed + epoch)  # for dropout: a resumed run goes on as the whole one would
        scale = 2 / 3 if epoch < recipe.small_epochs else 1
        size = round(recipe.height * scale), round(recipe.width * scale)
        chosen = order(epoch)
        data = FrameDataset(rows["file"].iloc[chosen], targets[chosen], size, recipe, epoch)
        loader = DataLoader(data, recipe.batch_size, num_workers=workers, drop_last=len(data) >= recipe.batch_size)
        network.train()
        network.features[: recipe.frozen].eval()
        losses = []
        for x, y in tqdm(loader, desc=f"epoch {epoch + 1}/{recipe.epochs}", mininterval=2, leave=False):
            loss = nn.functional.cross_entropy(network(to_input(x.to(device))), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            averaged.update_parameters(network)
            losses.append(loss.item())
        figures = scores(val, predict_logits(averaged.module, val, recipe, workers))
        history.append({"epoch": epoch + 1, "loss": float(np.mean(losses)), **figures})
        history[-1]["seconds"] = time.perf_counter() - began
        if history[-1]["score"] == max(row["score"] for row in history):
            _save(averaged.module.state_dict(), folder / "best.pt")
        state_dicts = {name: part.state_dict() for name, part in state.items()}
        _save({**state_dicts, "history": history, "recipe": _as_dict(recipe)}, folder / "last.pt")
    return pd.DataFrame(history)


def average_weights(files: list[Path]) -> dict:
    """The mean of the weights of several runs from one start, as a state dict.

    A "model soup": Wortsman et al. 2022, arXiv 2203.05482.
    """
    states = [torch.load(file, map_location="cpu", weights_only=True) for file in files]
    return {
        name: torch.stack([state[name].float() for state in states]).mean(0).to(value.dtype)
        for name, value in states[0].items()
    }


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; biases and batch norm are not decayed."""
    groups = {True: [], False: []}
    for parameter in network.parameters():
        if parameter.requires_grad:
            groups[parameter.ndim > 1].append(parameter)
    decayed = {"params": groups[True], "weight_decay": recipe.weight_decay}
    return torch.optim.AdamW([decayed, {"params": groups[False], "weight_decay": 0.0}], lr=recipe.lr)


def _schedule(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    warm = max(1, steps // 20)

    def factor(step):
        return min(1, (step + 1) / warm) * (0.5 + 0.5 * math.cos(math.pi * min(1, step / steps)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _as_dict(recipe: Recipe) -> dict:
    """The recipe with the name of its start, not the folder: moved data do not make it another run."""
    return {**dataclasses.asdict(recipe), "initial": recipe.initial and Path(recipe.initial).name}


def _save(value: dict, path: Path) -> None:
    part = path.with_suffix(".part")
    torch.save(value, part)
    part.replace(path)


def _resume(folder: Path, recipe: Recipe, state: dict) -> list[dict]:
    """Put the last checkpoint of `folder` into `state`; the history so far, empty when there is none."""
    path = folder / "last.pt"
    if not path.exists():
        return []
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    if checkpoint["recipe"] != _as_dict(recipe):
        raise ValueError(f"{folder}: holds a run of another recipe; remove it or name another folder")
    for name, part in state.items():
        part.load_state_dict(checkpoint[name])
    return checkpoint["history"]
