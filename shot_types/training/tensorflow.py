"""Training of the TensorFlow model: `train` runs a `Recipe` on a data set, with a checkpoint every epoch.

    from shot_types.dataset import read_dataset
    from shot_types.training.tensorflow import Recipe, train
    history = train(read_dataset("my_frames"), Recipe(epochs=6), "runs/first")

Several GPUs share each batch by themselves.
"""

import json
import math
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from .. import tensorflow as room
from ..files import replacing, write

# The room comes first: it quietens TensorFlow, and keeps PyTorch possible beside it.
# isort: split
import keras
import tensorflow as tf
from keras.callbacks import BackupAndRestore, SwapEMAWeights
from keras.optimizers.schedules import CosineDecay
from tqdm.keras import TqdmCallback

from . import samples
from .recipe import Recipe
from .runs import check_run, is_best, learned_from, scores

Network = Callable[[np.ndarray], np.ndarray]


def train(
    table: pd.DataFrame, recipe: Recipe, folder: str | Path, workers: int = 2, imitate: Network | None = None
) -> pd.DataFrame:
    """Train on the split "train" of a table from `dataset.read_dataset`; measure each epoch on "val".

    `imitate`, another network to learn from, maps the uint8 RGB batch that this one sees to float32 probabilities
    (N, 5): distillation, Hinton et al. 2015, arXiv 1503.02531.

    `folder` gets a checkpoint after every epoch, so that a second call goes on where the first was stopped, and
    `best.keras`: the averaged weights of the epoch that was best on val. `workers` threads read. Returns one row an
    epoch: losses, scores, seconds. Raises ValueError when `folder` holds a run of another recipe or data set, or a
    split is empty.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows, val = samples.split(table)
    learned = learned_from(recipe, rows, val) | {"network to imitate": imitate is not None}
    history = read_history(folder, learned)
    if len(history) == recipe.epochs:
        shutil.rmtree(folder / "backup", ignore_errors=True)  # of a run that was stopped at its very end
        return pd.DataFrame(history)

    several = len(tf.config.list_logical_devices("GPU")) > 1
    with (tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()).scope():
        keras.utils.set_random_seed(0)  # one start for every seed: only runs from one start can be averaged
        each_epoch = EachEpoch(rows, val, recipe, folder, learned, history, workers, imitate)
        start = recipe.initial
        if recipe.head_epochs:
            start = folder / "head.keras"
            if not start.exists():
                save(fit(room.build(recipe.initial), recipe, range(recipe.head_epochs), each_epoch), start)
        if recipe.epochs > recipe.head_epochs:
            fit(room.build(start), recipe, range(recipe.head_epochs, recipe.epochs), each_epoch)
    return pd.DataFrame(history)


def fit(model: keras.Model, recipe: Recipe, epochs: range, each_epoch: "EachEpoch") -> keras.Model:
    """Train `model` through `epochs`, from the last that was finished on: the head alone, or all layers after it."""
    compile_model(model, recipe, epochs.stop <= recipe.head_epochs, steps=len(each_epoch.shown))
    model.fit(
        each_epoch.shown,
        shuffle=False,  # `samples` has the order
        initial_epoch=epochs.start,
        epochs=epochs.stop,
        verbose=0,
        callbacks=[
            each_epoch,
            BackupAndRestore(each_epoch.folder / "backup", double_checkpoint=True),
            TqdmCallback(verbose=0, leave=False, mininterval=2),
        ],
    )
    return model


def compile_model(model: keras.Model, recipe: Recipe, head: bool, steps: int) -> None:
    """Say which layers learn, the `head` alone or all but the frozen, and with what optimizer; `steps` an epoch."""
    frozen = tuple(["normalization", "stem_", *(f"block{stage}" for stage in range(1, 8))][: recipe.frozen + 1])
    for layer in model.layers:
        layer.trainable = layer.name == "predictions" if head else not layer.name.startswith(frozen)
    decay = recipe.decay(recipe.epochs * steps)
    steps *= recipe.epochs - recipe.head_epochs
    warm = max(1, steps // 20)
    cosine = CosineDecay(0.0, max(1, steps - warm), warmup_target=recipe.lr, warmup_steps=warm)
    optimizer = keras.optimizers.AdamW(
        recipe.head_lr if head else cosine,
        recipe.weight_decay,
        global_clipnorm=5.0,
        use_ema=True,
        ema_momentum=decay,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)  # in `fit` it would be traced twice
    model.compile(optimizer, "categorical_crossentropy", jit_compile=False)  # XLA is ten times slower on a processor


class Batches(keras.utils.PyDataset):
    """`Samples` for Keras: batches of uint8 RGB (N, height, width, 3) and float32 targets (N, 5), read in threads.

    With a network to `imitate`, its answers are mixed into the targets: cross-entropy is linear in these, so that
    against the mean is the mean of the two. In `training` a last batch that is not full is left out.
    """

    def __init__(self, shown: samples.Samples, size: int, workers: int, imitate: Network | None = None, training=True):
        """`size` frames a batch, read by `workers` threads."""
        super().__init__(workers=max(1, workers), max_queue_size=4)
        self.shown, self.size, self.imitate, self.training = shown, size, imitate, training

    def __len__(self) -> int:
        """How many batches there are."""
        return max(1, len(self.shown) // self.size) if self.training else math.ceil(len(self.shown) / self.size)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch number `number`."""
        places = range(number * self.size, min((number + 1) * self.size, len(self.shown)))
        x, y = (np.stack(part) for part in zip(*(self.shown[i] for i in places), strict=True))
        if self.imitate:
            share = self.shown.recipe.distillation
            y = (1 - share) * y + share * self.imitate(x)
        return x, y.astype(np.float32)


class EachEpoch(keras.callbacks.Callback):
    """Before an epoch: what it shows. After it: the averaged weights measured on val, and kept where they are best."""

    def __init__(self, rows, val, recipe, folder, learned, history, workers, imitate):
        """As in `train`; `history` grows by a row an epoch, and lies in `folder` with what was `learned`."""
        super().__init__()
        self.rows, self.val, self.recipe, self.folder, self.workers = rows, val, recipe, folder, workers
        self.learned, self.history, self.ema = learned, history, SwapEMAWeights()
        self.shown = Batches(samples.of_epoch(rows, recipe, 0), recipe.batch_size, workers, imitate)

    def on_epoch_begin(self, epoch, logs=None):
        """Show the frames of this epoch. A resumed run goes on as the whole one would have, dropout included."""
        del self.history[epoch:]  # where a run was stopped between its history and its backup
        self.began = time.perf_counter()
        self.shown.shown = samples.of_epoch(self.rows, self.recipe, epoch)
        for number, layer in enumerate(self.model.layers):
            if isinstance(layer, keras.layers.Dropout):
                layer.seed_generator.state.assign((1000 * self.recipe.seed + epoch, number))

    def on_epoch_end(self, epoch, logs=None):
        """Measure, keep, and write the history down."""
        self.ema.set_model(self.model)
        self.ema.on_test_begin()
        figures = scores(self.val, predict_logits(self.model, self.val, self.recipe, self.workers))
        seconds = time.perf_counter() - self.began
        self.history.append({"epoch": epoch + 1, "loss": logs["loss"], **figures, "seconds": seconds})
        if is_best(self.history):
            save(self.model, self.folder / "best.keras")
        self.ema.on_test_end()
        write(self.folder / "history.json", json.dumps({**self.learned, "history": self.history}, indent=1))


def predict_logits(model: keras.Model, rows: pd.DataFrame, recipe: Recipe, workers: int = 2) -> np.ndarray:
    """Logits (log probabilities), float32 (N, 5), of a model for the frames of `rows`, in order."""
    shown = Batches(samples.of_table(rows, recipe), 2 * recipe.batch_size, workers, training=False)
    return np.log(np.maximum(model.predict(shown, verbose=0), 1e-12))


def average_weights(files: Iterable[str | Path]) -> keras.Model:
    """The mean of the weights of several runs from one start (Wortsman et al., ICML 2022, arXiv 2203.05482)."""
    models = [room.load(file) for file in files]
    models[0].set_weights([np.mean(values, axis=0) for values in zip(*(m.get_weights() for m in models), strict=True)])
    return models[0]


def save(model: keras.Model, path: str | Path) -> None:
    """Write the whole model, without what training it took, as a .keras file; `path` is never half written."""
    with replacing(path, ".part.keras") as part:  # Keras wants its suffix
        keras.Model(model.input, model.output, name=model.name).save(part)


def read_history(folder: Path, learned: dict) -> list[dict]:
    """The epochs of the run in `folder`, none where there is no run; ValueError when it learned from something else."""
    path = folder / "history.json"
    run = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"history": []}
    check_run(run, learned, folder)
    return run["history"]
