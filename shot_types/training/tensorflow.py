"""Training of the TensorFlow model: `train` runs a recipe on a data set, with a checkpoint every epoch."""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

from .. import tensorflow as room

# The room comes first: it quietens TensorFlow, and keeps PyTorch possible beside it.
# isort: split
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras.optimizers.schedules import CosineDecay
from tqdm.auto import tqdm

from ..dataset import measured
from ..files import replacing, write
from .recipe import Recipe, check_run, learned_from
from .targets import scores
from .teacher import PARTS, SIZES, Teacher, persons

HEADS = ("predictions", "middle", "last", "sizes")  # what is new in a start: the answer, and the second task
Network = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class TensorFlowRecipe(Recipe):
    """A `Recipe` with what only this network's training asks; `frozen` counts the stem and the seven stages."""

    frozen: int = 0
    head_epochs: int = 1
    head_lr: float = 3e-3
    batch_norm: bool = True
    """Batch norm goes on learning; False leaves its statistics, scales and shifts as the start has them."""
    distil: float = 0.5
    """With a network to imitate: the share of the loss against its answers; the rest is against the targets."""
    patience: int = 5
    """Stop when the loss on val has not fallen for so many epochs."""


def frames(
    files, recipe: Recipe, epoch=None, workers=2, targets=None, imitate=None, boxes=None, poses=None, usual=(0, 1)
) -> tf.data.Dataset:
    """Batches of uint8 RGB (N, height, width, 3), with `targets` (N, 5) if given; augmented when `epoch` is given.

    `boxes` are the views of `Recipe.views`, `imitate` as in `train`. With `poses` and what is `usual`, the targets are
    a dict with those of the second task too. Read and augmented by `workers` threads while the network works; a few
    batches are in memory.
    """
    files, size = list(files), recipe.batch_size if epoch is not None else 2 * recipe.batch_size
    boxes = [None] * len(files) if boxes is None else list(boxes)

    def read(i):
        types = (tf.uint8,) if poses is None else (tf.uint8, tf.float32, tf.float32)
        rgb, *extra = tf.numpy_function(look, [i], types)
        rgb = tf.ensure_shape(rgb, (recipe.height, recipe.width, 3))
        if poses is None:
            return rgb
        cells = -(-recipe.height // 16), -(-recipe.width // 16)
        return rgb, tf.ensure_shape(extra[0], (*cells, len(PARTS))), tf.ensure_shape(extra[1], (SIZES,))

    def look(i):
        rgb, place = recipe.frame(files[i], epoch, int(i), boxes[i])
        if poses is None:
            return (rgb,)
        parts, size = persons(poses[i], place, recipe.height, recipe.width, usual)
        return rgb, np.moveaxis(parts, 0, -1), size

    def learn(x, y):
        """Cross-entropy is linear in its targets: that against the mean is the mean of the two."""
        extra = {}
        if poses is not None:
            x, parts, size = x
            extra = {"middle": parts, "last": tf.nn.max_pool2d(parts, 2, 2, "SAME"), "sizes": size}
        if imitate:
            probabilities = tf.ensure_shape(tf.numpy_function(imitate, [x], tf.float32), y.shape)
            y = (1 - recipe.distil) * y + recipe.distil * probabilities
        return x, {"predictions": y, **extra} if extra else y

    data = tf.data.Dataset.range(len(files)).map(read, num_parallel_calls=max(1, workers), deterministic=True)
    if targets is not None:
        data = tf.data.Dataset.zip(data, tf.data.Dataset.from_tensor_slices(targets))
    data = data.batch(size, drop_remainder=epoch is not None and len(files) >= size)
    return (data if targets is None else data.map(learn)).prefetch(2)


def predict_logits(model: keras.Model, table: pd.DataFrame, recipe: Recipe, workers: int = 2) -> np.ndarray:
    """Logits (log probabilities), float32 (N, 5), of a model for the frames of `table`, in order."""
    proba = model.predict(frames(table["file"], recipe, workers=workers), verbose=0)
    return np.log(np.maximum(proba, 1e-12))


def train(
    table: pd.DataFrame,
    recipe: TensorFlowRecipe,
    folder: str | Path,
    workers: int = 2,
    teacher: Teacher | None = None,
    imitate: Network | None = None,
    logs: str | Path | None = None,
) -> pd.DataFrame:
    """Train on the split "train" of a table from `dataset.read_dataset`; measure each epoch on "val".

    A `teacher` gives its targets, its crops and, where the recipe has weight on them, the measures of persons.
    `imitate`, another network to learn from, maps the uint8 RGB batch that this one sees to float32 probabilities
    (N, 5): distillation, Hinton et al. 2015, arXiv 1503.02531.

    `folder` gets a checkpoint after every epoch, so that a second call goes on where the first was stopped, and
    `best.keras`: the averaged weights of the epoch that was best on val. `logs`: a folder for TensorBoard. Several
    GPUs share each batch. Returns one row an epoch: losses, scores, seconds, images/s. Raises ValueError when
    `folder` holds a run of another recipe or data set.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    several = len(tf.config.list_logical_devices("GPU")) > 1
    strategy = tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()
    rows, val = recipe.rows(table), measured(table, "val")
    views, targets = recipe.views(rows, teacher)
    steps = max(1, len(recipe.order(rows, 0, targets)) // recipe.batch_size)
    learned = learned_from(recipe, views, targets)
    history = _history(folder, learned)
    first = len(history)
    if _finished(history, recipe):
        return pd.DataFrame(history)
    second = teacher is not None and recipe.parts
    usual = teacher.usual_sizes() if second else (0, 1)
    with strategy.scope():
        keras.utils.set_random_seed(0)  # one start for every seed: only runs from one start can be averaged
        last = folder / f"epoch{first}.keras"
        model = keras.saving.load_model(last) if history else room.build(recipe.initial)
        if second and not history:
            model = with_persons(model)
        for epoch in range(first, recipe.epochs):
            if _finished(history, recipe):
                break
            began = time.perf_counter()
            chosen = recipe.order(rows, epoch, targets)
            shown = views.iloc[chosen]
            if epoch in (first, recipe.head_epochs):
                kept = () if epoch in (0, recipe.head_epochs) else model.optimizer.variables
                _compile(model, recipe, epoch < recipe.head_epochs, steps)
                for new, old in zip(model.optimizer.variables, kept, strict=False):
                    new.assign(old)
            _reseed(model, 1000 * recipe.seed + epoch)
            poses = teacher.poses[shown["view"]] if second else None
            data = frames(shown["file"], recipe, epoch, workers, targets[chosen], imitate, shown["box"], poses, usual)
            loss, trained = _fit(model, data, f"epoch {epoch + 1}/{recipe.epochs}")
            rate = len(chosen) / (time.perf_counter() - began)
            plain = keras.Model(model.input, model.get_layer("predictions").output, name=model.name)
            figures = scores(val, predict_logits(plain, val, recipe, workers))
            seconds = time.perf_counter() - began
            history.append({"epoch": epoch + 1, "loss": loss, **figures, "seconds": seconds, "images/s": rate})
            if figures["val loss"] == min(row["val loss"] for row in history):
                save(plain, folder / "best.keras")
            model.set_weights(trained)
            last = folder / f"epoch{epoch + 1}.keras"
            save(model, last)
            write(folder / "history.json", json.dumps({**learned, "history": history}, indent=1))
            for old in set(folder.glob("epoch*.keras")) - {last}:
                old.unlink()
            if logs:
                with tf.summary.create_file_writer(str(logs)).as_default(step=epoch + 1):
                    for name, value in history[-1].items():
                        tf.summary.scalar(name, value)
    return pd.DataFrame(history)


def average_weights(files: list[Path]) -> keras.Model:
    """The mean of the weights of several runs from one start (Wortsman et al. 2022, arXiv 2203.05482)."""
    models = [room.load(file) for file in files]
    models[0].set_weights([np.mean(values, axis=0) for values in zip(*(m.get_weights() for m in models), strict=True)])
    return models[0]


def save(model: keras.Model, path: str | Path) -> None:
    """Write the whole model as a .keras file; `path` is never half written."""
    with replacing(path, ".part.keras") as part:  # Keras wants its suffix
        model.save(part)


def _fit(model: keras.Model, data: tf.data.Dataset, name: str) -> tuple[float, list[np.ndarray]]:
    """Train one epoch. Returns its loss and the trained weights; the averaged ones are in the model then."""
    trained = []
    with tqdm(desc=name, total=len(data), mininterval=2, leave=False) as bar:
        watch = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: bar.update(),
            on_epoch_end=lambda epoch, logs: trained.extend(model.get_weights()),
        )
        logs = model.fit(data, verbose=0, shuffle=False, callbacks=[watch]).history
    return logs.get("predictions_loss", logs["loss"])[0], trained


def _compile(model: keras.Model, recipe: TensorFlowRecipe, head: bool, steps: int) -> None:
    """Say which layers learn, the `head` alone or all, and with what optimizer; `steps` make an epoch."""
    steps *= recipe.epochs - recipe.head_epochs
    warm = max(1, steps // 20)
    cosine = CosineDecay(0.0, max(1, steps - warm), warmup_target=recipe.lr, warmup_steps=warm)
    fixed = tuple(["normalization", "stem_", *(f"block{stage}" for stage in range(1, 8))][: recipe.frozen + 1])
    for layer in model.layers:
        layer.trainable = layer.name in HEADS if head else not layer.name.startswith(fixed)
        if isinstance(layer, keras.layers.BatchNormalization) and not recipe.batch_norm:
            layer.trainable = False
    average = {"use_ema": True, "ema_momentum": recipe.average}
    rate = recipe.head_lr if head else cosine
    optimizer = keras.optimizers.AdamW(rate, recipe.weight_decay, global_clipnorm=5.0, **average)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)  # in `fit` it would be traced twice
    loss, weights = "categorical_crossentropy", None
    if isinstance(model.output, dict):
        loss = dict(zip(HEADS, (loss, _spots, _spots, _sizes), strict=True))
        weights = {name: 1.0 if name == "predictions" else recipe.parts for name in HEADS}
    model.compile(optimizer, loss, weights, jit_compile=False)  # XLA is ten times slower on a processor


def with_persons(model: keras.Model) -> keras.Model:
    """The network with the second task, dropped after training: to measure persons as the teacher does.

    Where the parts of bodies are, from the features at 1/16 and 1/32 of the size; and how large persons are and what
    can be seen of them, from the features that the classes come from. All four outputs in a dict.
    """
    rare = keras.initializers.Constant(-3.0)  # parts are
    layers = {
        "middle": keras.layers.Conv2D(len(PARTS), 1, bias_initializer=rare, name="middle"),
        "last": keras.layers.Conv2D(len(PARTS), 1, bias_initializer=rare, name="last"),
        "sizes": keras.layers.Dense(SIZES, name="sizes"),
    }
    sources = dict(zip(layers, ("block5c_add", "top_activation", "top_dropout"), strict=True))
    extra = {name: layer(model.get_layer(sources[name]).output) for name, layer in layers.items()}
    return keras.Model(model.input, {"predictions": model.output, **extra}, name=model.name)


@keras.saving.register_keras_serializable("shot_training")
def _spots(truth, answer):
    """Loss of a map of parts (N, rows, columns, 9) against its logits; a part counts four times, being rare."""
    truth = tf.image.resize(truth, tf.shape(answer)[1:3])
    return tf.nn.weighted_cross_entropy_with_logits(truth, answer, 4.0)


@keras.saving.register_keras_serializable("shot_training")
def _sizes(truth, answer):
    """Smooth absolute difference (beta 0.5), twice: so weighted, both halves of the task count about alike."""
    far = tf.abs(truth - answer)
    return 2 * tf.where(far < 0.5, far**2, far - 0.25)


def _reseed(model: keras.Model, seed: int) -> None:
    """For dropout: a resumed run goes on as the whole one would."""
    for number, layer in enumerate(model.layers):
        if isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign((seed, number))


def _finished(history: list[dict], recipe: TensorFlowRecipe) -> bool:
    best = min(range(len(history)), key=lambda i: history[i]["val loss"], default=0)
    return len(history) == recipe.epochs or len(history) - best > recipe.patience


def _history(folder: Path, learned: dict) -> list[dict]:
    path = folder / "history.json"
    run = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"history": []}
    check_run(run, learned, folder)
    return run["history"]
