"""Training of the TensorFlow model: `train` runs a recipe on a data set, with a checkpoint every epoch."""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

from shot_types import tensorflow as room

# The room comes first: it quietens TensorFlow, and keeps PyTorch possible beside it.
# isort: split
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm.auto import tqdm

from shot_types.dataset import measured

from .recipe import Recipe
from .targets import scores


@dataclasses.dataclass(frozen=True)
class TensorFlowRecipe(Recipe):
    """A `Recipe` with what only this network's training asks; `frozen` counts the stem and the seven stages."""

    frozen: int = 0
    head_epochs: int = 1
    """The first so many of `epochs` train the new head alone, so that it does not spoil the layers below."""
    head_lr: float = 3e-3
    """Learning rate of those."""
    batch_norm: bool = True
    """Batch norm goes on learning; False leaves its statistics, scales and shifts as the start has them."""
    distil: float = 0.5
    """With a teacher: the share of the loss against its probabilities; the rest is against the targets."""
    patience: int = 5
    """Stop when the score on val has not risen for so many epochs."""


def frames(files, recipe: Recipe, epoch=None, workers=2, targets=None, teacher=None) -> tf.data.Dataset:
    """Batches of uint8 RGB (N, height, width, 3), with `targets` (N, 5) if given; augmented when `epoch` is given.

    Read and augmented by `workers` threads while the network works; a few batches are in memory.
    """
    files, size = list(files), recipe.batch_size if epoch is not None else 2 * recipe.batch_size

    def read(i):
        rgb = tf.numpy_function(lambda i: recipe.frame(files[i], epoch, int(i)), [i], tf.uint8)
        return tf.ensure_shape(rgb, (recipe.height, recipe.width, 3))

    def learn(x, y):
        """Cross-entropy is linear in its targets: that against the mean is the mean of the two."""
        probabilities = tf.ensure_shape(tf.numpy_function(teacher, [x], tf.float32), y.shape)
        return x, (1 - recipe.distil) * y + recipe.distil * probabilities

    data = tf.data.Dataset.range(len(files)).map(read, num_parallel_calls=max(1, workers), deterministic=True)
    if targets is not None:
        data = tf.data.Dataset.zip(data, tf.data.Dataset.from_tensor_slices(targets))
    data = data.batch(size, drop_remainder=epoch is not None and len(files) >= size)
    return (data.map(learn) if teacher else data).prefetch(2)


def predict_logits(model: keras.Model, table: pd.DataFrame, recipe: Recipe, workers: int = 2) -> np.ndarray:
    """Logits (log probabilities), float32 (N, 5), of a model for the frames of `table`, in order."""
    proba = model.predict(frames(table["file"], recipe, workers=workers), verbose=0)
    return np.log(np.maximum(proba, 1e-12))


def train(
    table: pd.DataFrame,
    recipe: TensorFlowRecipe,
    folder: str | Path,
    workers: int = 2,
    teacher: Callable[[np.ndarray], np.ndarray] | None = None,
    logs: str | Path | None = None,
) -> pd.DataFrame:
    """Train on the split "train" of a table from `dataset.read_dataset`; measure each epoch on "val".

    `folder` gets a checkpoint after every epoch, so that a second call goes on where the first was stopped, and
    `best.keras`: the averaged weights of the epoch that was best on val. `teacher` maps the uint8 batch that the
    student sees to float32 probabilities (N, 5). `logs`: a folder for TensorBoard. On several GPUs each batch is
    shared out. Returns one row an epoch: losses, scores, seconds, images/s. Raises ValueError when `folder`
    holds a run of another recipe.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    several = len(tf.config.list_logical_devices("GPU")) > 1
    strategy = tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()
    rows, val = recipe.rows(table), measured(table, "val")
    targets = recipe.targets(rows)
    history = _history(folder, recipe)
    with strategy.scope():
        keras.utils.set_random_seed(0)  # one start for every seed: only runs from one start can be averaged
        model = keras.saving.load_model(_state(folder, history)) if history else room.build(recipe.initial)
        for epoch in range(len(history), recipe.epochs):
            if _stale(history, recipe.patience):
                break
            began = time.perf_counter()
            chosen = recipe.order(rows, epoch)
            if epoch in (0, recipe.head_epochs):
                _compile(model, recipe, epoch, max(1, len(chosen) // recipe.batch_size))
            _reseed(model, 1000 * recipe.seed + epoch)
            data = frames(rows["file"].iloc[chosen], recipe, epoch, workers, targets[chosen], teacher)
            with tqdm(desc=f"epoch {epoch + 1}/{recipe.epochs}", total=len(data), mininterval=2, leave=False) as bar:
                watch = _Watch(bar)
                loss = model.fit(data, verbose=0, shuffle=False, callbacks=[watch]).history["loss"][0]
            rate = len(chosen) / (time.perf_counter() - began)
            figures = scores(val, predict_logits(model, val, recipe, workers))
            history.append({"epoch": epoch + 1, "loss": loss, **figures})
            history[-1] |= {"seconds": time.perf_counter() - began, "images/s": rate}
            if history[-1]["score"] == max(row["score"] for row in history):
                _save(keras.Model(model.input, model.output, name=model.name), folder / "best.keras")
            model.set_weights(watch.trained)
            _save(model, _state(folder, history))
            _write({"recipe": recipe.as_dict(), "history": history}, folder / "history.json")
            for old in set(folder.glob("epoch*.keras")) - {_state(folder, history)}:
                old.unlink()
            if logs:
                _log(history[-1], Path(logs))
    return pd.DataFrame(history)


class _Watch(keras.callbacks.Callback):
    """Moves the bar, and keeps the trained weights: `fit` ends with the averaged ones in the model."""

    def __init__(self, bar):
        super().__init__()
        self.bar = bar

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        self.trained = self.model.get_weights()


def _compile(model: keras.Model, recipe: TensorFlowRecipe, epoch: int, steps: int) -> None:
    """Say which layers learn from `epoch` on, and with what optimizer: the head alone first, then all."""
    if head := epoch < recipe.head_epochs:
        rate = recipe.head_lr
    else:
        steps *= recipe.epochs - epoch
        warm = max(1, steps // 20)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - warm), warmup_target=recipe.lr, warmup_steps=warm
        )
    fixed = tuple(["normalization", "stem_", *(f"block{stage}" for stage in range(1, 8))][: recipe.frozen + 1])
    for layer in model.layers:
        layer.trainable = layer.name == "predictions" if head else not layer.name.startswith(fixed)
        if isinstance(layer, keras.layers.BatchNormalization) and not recipe.batch_norm:
            layer.trainable = False
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=recipe.weight_decay, global_clipnorm=5.0, use_ema=True, ema_momentum=recipe.average
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)  # in `fit` it would be traced twice
    model.compile(optimizer, "categorical_crossentropy", jit_compile=False)  # XLA is ten times slower on a CPU


def _reseed(model: keras.Model, seed: int) -> None:
    """For dropout: a resumed run goes on as the whole one would."""
    for number, layer in enumerate(layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)):
        layer.seed_generator.state.assign((seed, number))


def _stale(history: list[dict], patience: int) -> bool:
    best = max(range(len(history)), key=lambda i: history[i]["score"], default=0)
    return len(history) - 1 - best >= patience


def _state(folder: Path, history: list[dict]) -> Path:
    return folder / f"epoch{len(history)}.keras"


def _history(folder: Path, recipe: Recipe) -> list[dict]:
    path = folder / "history.json"
    if not path.exists():
        return []
    run = json.loads(path.read_text(encoding="utf-8"))
    if run["recipe"] != json.loads(json.dumps(recipe.as_dict())):
        raise ValueError(f"{folder}: holds a run of another recipe; remove it or name another folder")
    return run["history"]


def _save(model: keras.Model, path: Path) -> None:
    part = path.with_name(f"part-{path.name}")  # Keras wants the suffix
    model.save(part)
    part.replace(path)


def _write(value: dict, path: Path) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1), encoding="utf-8")
    part.replace(path)


def _log(figures: dict, folder: Path) -> None:
    with tf.summary.create_file_writer(str(folder)).as_default(step=figures["epoch"]):
        for name, value in figures.items():
            tf.summary.scalar(name, value)
