"""Training of the PyTorch model: `train` runs a `Recipe` on a data set, with a checkpoint every epoch.

    from shot_types.dataset import read_dataset
    from shot_types.training.pytorch import Recipe, train
    history = train(read_dataset("my_frames"), Recipe(epochs=6), "runs/first")

Under `torchrun --nproc-per-node 2 script.py` two processes learn together, each on a GPU of its own.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ..files import replacing
from ..pytorch import build, pick_device, to_input

# The room above comes first: it says how threads wait, and keeps TensorFlow possible beside PyTorch.
# isort: split
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from . import samples
from .recipe import Recipe
from .runs import check_run, is_best, learned_from, scores


def train(table: pd.DataFrame, recipe: Recipe, folder: str | Path, workers: int = 2) -> pd.DataFrame:
    """Train on the split "train" of a table from `dataset.read_dataset`; measure each epoch on "val".

    `folder` gets a checkpoint after every epoch, so that a second call goes on where the first was stopped, and
    `best.pt`: the averaged weights of the epoch that was best on val, a plain state dict. `workers` processes read.
    Returns one row an epoch: losses, scores, seconds. Raises ValueError when `folder` holds a run of another recipe
    or data set, or a split is empty.

    Under torchrun every process calls this, and each takes batches of the recipe's size, so two processes learn from
    twice as many frames in a step; the first one measures and writes, and the others return the losses alone.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rank, processes = join_processes()
    rows, val = samples.split(table)
    learned = learned_from(recipe, rows, val)
    checkpoint = read_checkpoint(folder, learned)
    history = checkpoint.get("history", [])
    if len(history) == recipe.epochs:
        return pd.DataFrame(history)

    torch.manual_seed(0)  # one start for every seed: only runs from one start can be averaged
    network = build(recipe.initial).to(pick_device(), memory_format=torch.channels_last)
    steps = max(1, len(samples.of_epoch(rows, recipe, 0)) // (recipe.batch_size * processes))
    ema = moving_average(network, recipe, steps)
    for epoch in range(len(history), recipe.epochs):
        began = time.perf_counter()
        for name, part in (("network", network), ("ema", ema)) if checkpoint else ():
            part.load_state_dict(checkpoint[name])
        if epoch == recipe.head_epochs > 0:  # all layers go on from the averaged head
            network.load_state_dict(ema.module.state_dict())
            ema = moving_average(network, recipe, steps)
        if epoch in (0, recipe.head_epochs) or checkpoint:
            optimizer, scheduler = optimizer_and_schedule(network, recipe, epoch < recipe.head_epochs, steps)
        parts = {"network": network, "ema": ema, "optimizer": optimizer, "scheduler": scheduler}
        for name in ("optimizer", "scheduler") if checkpoint and epoch != recipe.head_epochs else ():
            parts[name].load_state_dict(checkpoint[name])
        checkpoint = {}
        torch.manual_seed(1000 * recipe.seed + epoch + 10**6 * rank)  # dropout: resumed as it would have gone on
        freeze(network, len(network.features) if epoch < recipe.head_epochs else recipe.frozen)
        shown = samples.of_epoch(rows, recipe, epoch)
        loader = batches(shown, recipe.batch_size, workers, range(rank, len(shown) // processes * processes, processes))
        loader = tqdm(loader, desc=f"epoch {epoch + 1}/{recipe.epochs}", mininterval=2, leave=False)
        loss = train_one_epoch(network, loader, optimizer, scheduler, ema)
        history.append({"epoch": epoch + 1, "loss": loss})
        if rank:
            continue
        history[-1] |= scores(val, predict_logits(ema.module, val, recipe, workers))
        history[-1]["seconds"] = time.perf_counter() - began
        if is_best(history):
            save(cpu_state(ema.module), folder / "best.pt")
        states = {name: part.state_dict() for name, part in parts.items()}
        save({**states, "history": history, **learned}, folder / "last.pt")
    return pd.DataFrame(history)


def train_one_epoch(
    network: nn.Module, loader: Iterable, optimizer: torch.optim.Optimizer, scheduler: LRScheduler, ema: AveragedModel
) -> float:
    """One pass over the batches of `loader`, uint8 (N, height, width, 3) and targets (N, 5); returns the mean loss."""
    device = next(network.parameters()).device
    processes = dist.get_world_size() if dist.is_initialized() else 1
    learner = DistributedDataParallel(network) if processes > 1 else network
    learning = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    losses = []
    for x, y in loader:
        loss = nn.functional.cross_entropy(learner(to_input(x.to(device))), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learning, 5.0)
        optimizer.step()
        scheduler.step()
        ema.update_parameters(network)
        losses.append(loss.detach())
    mean = torch.stack(losses).double().mean()
    if processes > 1:
        dist.all_reduce(mean)
    return mean.item() / processes


def moving_average(network: nn.Module, recipe: Recipe, steps: int) -> AveragedModel:
    """The EMA of the weights and of batch norm's statistics, with `steps` an epoch."""
    decay = recipe.decay(recipe.epochs * steps)
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def batches(shown: samples.Samples, size: int, workers: int, order: Iterable[int] | None = None) -> DataLoader:
    """Batches of `Samples` as tensors: uint8 (N, height, width, 3) and float32 (N, 5).

    In training the `order` of positions is given, and a last batch that is not full is left out.
    """
    whole = order is None or len(order) < size
    return DataLoader(shown, size, sampler=order, num_workers=workers, drop_last=not whole)


def optimizer_and_schedule(
    network: nn.Module, recipe: Recipe, head: bool, steps: int
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """AdamW, with decay on all but biases and batch norm, and its learning rate after each of `steps` an epoch.

    For the `head` alone the rate is constant, for all layers linear warm-up and cosine (Loshchilov and Hutter, ICLR
    2017, arXiv 1608.03983). What has no gradient, being frozen, is not moved.
    """
    parameters = list((network.classifier[-1] if head else network).parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.head_lr if head else recipe.lr)
    if head:
        return optimizer, ConstantLR(optimizer, factor=1.0)
    total = max(2, (recipe.epochs - recipe.head_epochs) * steps)
    warm = max(1, total // 20)
    phases = [LinearLR(optimizer, 1 / (warm + 1), 1.0, warm), CosineAnnealingLR(optimizer, total - warm)]
    return optimizer, SequentialLR(optimizer, phases, milestones=[warm])


def freeze(network: nn.Module, blocks: int) -> None:
    """Set the network to training, with the first `blocks` of its features as they are, batch norm included."""
    network.train().requires_grad_(True)
    network.features[:blocks].eval().requires_grad_(False)


def predict_logits(network: nn.Module, rows: pd.DataFrame, recipe: Recipe, workers: int = 2) -> np.ndarray:
    """Logits, float32 (N, 5), of a network in training for the frames of `rows`, in order."""
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        loader = batches(samples.of_table(rows, recipe), 2 * recipe.batch_size, workers)
        return np.concatenate([network(to_input(x.to(device))).float().cpu().numpy() for x, _ in loader])


def average_weights(files: Iterable[str | Path]) -> dict:
    """The mean of the weights of several runs from one start, as a state dict.

    A "model soup": Wortsman et al., ICML 2022, arXiv 2203.05482.
    """
    states = [torch.load(file, map_location="cpu", weights_only=True) for file in files]
    return {
        name: torch.stack([state[name].float() for state in states]).mean(0).to(value.dtype)
        for name, value in states[0].items()
    }


def save(value: dict, path: str | Path) -> None:
    """`torch.save`; `path` is never half written."""
    with replacing(path) as part:
        torch.save(value, part)


def cpu_state(network: nn.Module) -> dict:
    """The state dict on the processor, so that the file opens without a GPU."""
    return {name: value.cpu() for name, value in network.state_dict().items()}


def read_checkpoint(folder: Path, learned: dict) -> dict:
    """The last checkpoint in `folder`, empty when there is none; ValueError when it comes of something else learned."""
    path = folder / "last.pt"
    if not path.exists():
        return {}
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    check_run(checkpoint, learned, folder)
    return checkpoint


def join_processes() -> tuple[int, int]:
    """Rank of this process and how many torchrun started; 0 and 1 without it. Each takes the GPU of its number."""
    if not dist.is_torchelastic_launched():
        return 0, 1
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return dist.get_rank(), dist.get_world_size()
