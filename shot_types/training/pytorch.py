"""Training of the PyTorch model: `train` runs a `Recipe` on a data set, with a checkpoint every epoch."""

import math
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from ..dataset import measured
from ..files import replacing
from ..pytorch import build, pick_device, to_input
from .recipe import Recipe, check_run, learned_from
from .targets import hard_targets, scores
from .teacher import PARTS, SIZES, Teacher, persons


class FrameDataset(Dataset):
    """Frames as uint8 RGB tensors (height, width, 3), their targets, and where there are poses `part_map` and `sizes`.

    `boxes` are the views of `Recipe.views`, `usual` mean and deviation of the sizes; augmented when `epoch` is given.
    """

    def __init__(self, files, targets, recipe, epoch=None, boxes=None, poses=None, usual=(0, 1)):
        self.files, self.targets, self.recipe, self.epoch = list(files), targets, recipe, epoch
        self.boxes, self.poses, self.usual = [None] * len(self.files) if boxes is None else list(boxes), poses, usual

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        rgb, place = self.recipe.frame(self.files[i], self.epoch, i, self.boxes[i])
        parts = size = np.zeros(0, np.float32)
        if self.poses is not None:
            parts, size = persons(self.poses[i], place, self.recipe.height, self.recipe.width, self.usual)
        return tuple(map(torch.from_numpy, (rgb.copy(), self.targets[i], parts, size)))


class PersonsHead(nn.Module):
    """The second task, dropped after training: to measure persons as the teacher does.

    Where the parts of bodies are, from the features at 1/16 and 1/32 of the size; and how large persons are and what
    can be seen of them, from the features that the classes come from.
    """

    def __init__(self):
        super().__init__()
        self.sizes = nn.Linear(1280, SIZES)
        self.middle, self.last = nn.Conv2d(112, len(PARTS), 1), nn.Conv2d(960, len(PARTS), 1)
        for layer in (self.middle, self.last):
            nn.init.constant_(layer.bias, -3.0)  # parts are rare

    def forward(self, network: nn.Module, x, parts, sizes) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, 5) of `network`, as it gives them itself, and the loss of this task."""
        for number, block in enumerate(network.features):
            x = block(x)
            if number == 12:
                middle = x
        pooled = network.classifier[:3](network.avgpool(x).flatten(1))
        coarse = nn.functional.adaptive_max_pool2d(parts, x.shape[2:])
        loss = sum(
            nn.functional.binary_cross_entropy_with_logits(answer, truth, pos_weight=torch.tensor(4.0))
            for answer, truth in ((self.middle(middle), parts), (self.last(x), coarse))
        )
        # Twice: so weighted, both halves are about as large as the loss of the first task.
        loss = loss + 2 * nn.functional.smooth_l1_loss(self.sizes(pooled), sizes, beta=0.5)
        return network.classifier[3](pooled), loss


class Task(nn.Module):
    """What is learned: batch, targets and measures of persons -> the two losses. `head` is None where there are none.

    Under torchrun, DistributedDataParallel wraps this module.
    """

    def __init__(self, network: nn.Module, head: PersonsHead | None):
        super().__init__()
        self.network, self.head = network, head

    def forward(self, x, y, parts, sizes) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy of the network against the targets `y`, and the loss of the head, 0 without one."""
        if self.head is None:
            return nn.functional.cross_entropy(self.network(x), y), x.new_zeros(())
        logits, extra = self.head(self.network, x, parts, sizes)
        return nn.functional.cross_entropy(logits, y), extra


def join_processes() -> tuple[int, int]:
    """Rank of this process and how many torchrun started; 0 and 1 without it. Each takes the GPU of its number."""
    if not dist.is_torchelastic_launched():
        return 0, 1
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return dist.get_rank(), dist.get_world_size()


def predict_logits(network: nn.Module, table: pd.DataFrame, recipe: Recipe, workers: int = 2) -> np.ndarray:
    """Logits, float32 (N, 5), of a network in training for the frames of `table`, in order."""
    data = FrameDataset(table["file"], hard_targets(table), recipe)
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        loader = DataLoader(data, batch_size=2 * recipe.batch_size, num_workers=workers)
        return np.concatenate([network(to_input(x.to(device))).float().cpu().numpy() for x, *_ in loader])


def train(
    table: pd.DataFrame, recipe: Recipe, folder: str | Path, workers: int = 2, teacher: Teacher | None = None
) -> pd.DataFrame:
    """Train on the split "train" of a table from `dataset.read_dataset`; measure each epoch on "val".

    A `teacher` gives its targets, its crops and, where the recipe has weight on them, the measures of persons.

    `folder` gets a checkpoint after every epoch, so that a second call goes on where the first was stopped, and
    `best.pt`: the averaged weights of the epoch that was best on val, a plain state dict. Returns one row an
    epoch: losses, scores, seconds. Raises ValueError when `folder` holds a run of another recipe or data set.

    Under torchrun every process calls this, and each takes batches of the recipe's size, so two processes learn from
    twice as many frames in a step; the first one measures and writes, and the others return the losses alone.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rank, processes = join_processes()
    device = pick_device()
    torch.manual_seed(0)  # one start for every seed: only runs from one start can be averaged
    rows, val = recipe.rows(table), measured(table, "val")
    views, targets = recipe.views(rows, teacher)
    learned = learned_from(recipe, views, targets)
    checkpoint = _checkpoint(folder, learned)
    history = checkpoint.get("history", [])
    if len(history) == recipe.epochs:
        return pd.DataFrame(history)
    poses, usual = None, (0, 1)
    if teacher is not None and recipe.parts:
        poses, usual = teacher.poses[views["view"]], teacher.usual_sizes()
    network = build(recipe.initial).to(device, memory_format=torch.channels_last)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True)
    head = PersonsHead().to(device)
    optimizer = _optimizer(nn.ModuleList([network, head]), recipe)
    together = processes * recipe.batch_size
    schedule = _schedule(optimizer, recipe, max(1, len(recipe.order(rows, 0, targets)) // together))
    state = {"network": network, "averaged": averaged, "head": head, "optimizer": optimizer, "schedule": schedule}
    for name, part in state.items() if checkpoint else ():
        part.load_state_dict(checkpoint[name])
    for epoch in range(len(history), recipe.epochs):
        began = time.perf_counter()
        # For dropout: a resumed run goes on as the whole one would.
        torch.manual_seed(1000 * recipe.seed + epoch + 10**6 * rank)
        chosen = recipe.order(rows, epoch, targets)
        shown, seen = views.iloc[chosen], None if poses is None else poses[chosen]
        data = FrameDataset(shown["file"], targets[chosen], recipe, epoch, shown["box"], seen, usual)
        mine = range(rank, len(data) // processes * processes, processes)
        loader = DataLoader(
            data, recipe.batch_size, sampler=mine, num_workers=workers, drop_last=len(mine) >= recipe.batch_size
        )
        fixed = network.features if epoch < recipe.head_epochs else network.features[: recipe.frozen]
        network.train().requires_grad_(True)
        fixed.eval().requires_grad_(False)
        task = Task(network, head if poses is not None else None)
        task = DistributedDataParallel(task) if processes > 1 else task
        losses = []
        for x, *truth in tqdm(loader, desc=f"epoch {epoch + 1}/{recipe.epochs}", mininterval=2, leave=False):
            loss, extra = task(to_input(x.to(device)), *(part.to(device) for part in truth))
            optimizer.zero_grad()
            (loss + recipe.parts * extra).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            averaged.update_parameters(network)
            losses.append(loss.item())
        loss = torch.tensor(losses, dtype=torch.float64, device=device).mean()
        if processes > 1:
            dist.all_reduce(loss)
        history.append({"epoch": epoch + 1, "loss": loss.item() / processes})
        if rank:
            continue
        figures = scores(val, predict_logits(averaged.module, val, recipe, workers))
        history[-1] |= {**figures, "seconds": time.perf_counter() - began}
        if figures["val loss"] == min(row["val loss"] for row in history):
            best = {name: value.cpu() for name, value in averaged.module.state_dict().items()}  # opens without a GPU
            save(best, folder / "best.pt")
        state_dicts = {name: part.state_dict() for name, part in state.items()}
        save({**state_dicts, "history": history, **learned}, folder / "last.pt")
    return pd.DataFrame(history)


def save(value: dict, path: str | Path) -> None:
    """`torch.save`; `path` is never half written."""
    with replacing(path) as part:
        torch.save(value, part)


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
    """AdamW; biases and batch norm are not decayed. What has no gradient, being fixed for an epoch or all, stays."""
    groups = {True: [], False: []}
    for parameter in network.parameters():
        groups[parameter.ndim > 1].append(parameter)
    decayed = {"params": groups[True], "weight_decay": recipe.weight_decay}
    return torch.optim.AdamW([decayed, {"params": groups[False], "weight_decay": 0.0}], lr=recipe.lr)


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate after each of `steps` an epoch: constant for the head alone, then warm-up and cosine."""
    first, total = recipe.head_epochs * steps, (recipe.epochs - recipe.head_epochs) * steps
    warm = max(1, total // 20)

    def factor(step):
        if step < first:
            return recipe.head_lr / recipe.lr
        step -= first
        return min(1, (step + 1) / warm) * (0.5 + 0.5 * math.cos(math.pi * min(1, step / max(1, total))))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _checkpoint(folder: Path, learned: dict) -> dict:
    """The last checkpoint in `folder`, empty when there is none; ValueError when it comes of something else learned."""
    path = folder / "last.pt"
    if not path.exists():
        return {}
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    check_run(checkpoint, learned, folder)
    return checkpoint
