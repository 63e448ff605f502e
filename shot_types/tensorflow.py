"""The TensorFlow room: EfficientNetB0, its weights and its answers. Training is in `training.tensorflow`."""

import contextlib
import os
import zipfile
from pathlib import Path

import numpy as np

from .labels import LABELS
from .probe import Probe

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow's default on newer processors; faster on all
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


@contextlib.contextmanager
def _silence():
    """What TensorFlow's C++ side tells stderr while it is imported, before it can be asked not to, goes nowhere."""
    with Path(os.devnull).open("w") as nowhere, os.fdopen(os.dup(2), "w") as kept:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept.fileno(), 2)


with _silence():
    import tensorflow as tf
import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(f"Keras runs on {keras.backend.backend()} here; set KERAS_BACKEND=tensorflow")


def build(initial: str | Path | None = None) -> keras.Model:
    """The stock `keras.applications.EfficientNetB0` with average pooling, dropout and a five-way softmax.

    Takes RGB 0..255 (N, height, width, 3) of any size, uint8 or float; rescaling and normalisation are layers of
    it. `initial`: None (random weights), "imagenet" (Keras downloads its own), or a file: `.weights.h5` of
    `EfficientNetB0(include_top=False, weights=None)`, or a whole `.keras` model of this function.

    Raises ValueError when the download fails or the file is missing or does not fit.
    """
    path = None if initial in (None, "imagenet") else Path(initial)
    try:
        if path and path.suffix == ".keras":
            return load(path)
        weights = None if path else initial
        stock = keras.applications.EfficientNetB0(include_top=False, weights=weights, input_shape=(None, None, 3))
        if path:
            stock.load_weights(path)
    except Exception as error:  # the download, zip and h5py have kinds of their own
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{initial}: EfficientNetB0 cannot start from it ({reason}); give its weights") from error
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(stock.output)
    x = keras.layers.Dropout(0.2, name="top_dropout")(x)
    x = keras.layers.Dense(len(LABELS), activation="softmax", name="predictions")(x)
    return keras.Model(stock.input, x, name="efficientnet_b0")


def load(path: str | Path) -> keras.Model:
    """A `.keras` model that `build` made; ValueError when it is another one. No code in a file is ever run."""
    if not zipfile.is_zipfile(path):
        raise ValueError("not there, or no .keras file; write one with model.save")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        if "deserializ" in str(error):  # of a Lambda layer, or a class that is not Keras's
            raise ValueError("it holds code of its own, which is never run; save a model of stock layers") from error
        raise
    if model.name != "efficientnet_b0" or model.output_shape != (None, len(LABELS)):
        raise ValueError(f"holds {model.name} with output {model.output_shape}, not {len(LABELS)} classes")
    return model


class Network:
    """A trained network, ready to answer: call it with a uint8 RGB batch, get logits."""

    def __init__(self, weights: str | Path, card: dict, probe: Probe | None = None):
        """Load a whole `.keras` model; whatever does not fit raises."""
        self.model = load(weights)
        self.model.layers[-1].activation = keras.activations.linear  # logits: temperature comes before softmax
        self.probe, last = probe, self.model.layers[-1]
        self.seen = keras.Model(self.model.input, [last.output, last.input])  # dropout before it does nothing here
        signature = [tf.TensorSpec((None, None, None, 3), tf.uint8)]  # one graph for every size of batch
        self.answer = tf.function(lambda batch: self.seen(batch, training=False), input_signature=signature)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """uint8 RGB (N, height, width, 3) -> logits, float32 (N, 5)."""
        return self.with_features(batch)[0]

    def with_is_shot(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The logits and, where there is a probe, is_shot, float32 (N,), of one pass."""
        logits, features = self.with_features(batch)
        return logits, self.probe and self.probe.is_shot(features)

    def with_features(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The logits and what a probe sees: the mean of each channel of the last map, float32 (N, 1280)."""
        logits, features = self.answer(tf.constant(batch))
        return logits.numpy(), features.numpy()

    def heat(self, batch: np.ndarray, answer: int) -> np.ndarray:
        """What spoke for class number `answer`: uint8 RGB (N, height, width, 3) -> float32 (N, rows, columns), >= 0.

        One cell for 32 x 32 pixels. Grad-CAM (Selvaraju et al., ICCV 2017, arXiv 1610.02391).
        """
        seen = keras.Model(self.model.input, [self.model.get_layer("top_activation").output, self.model.output])
        with tf.GradientTape() as tape:
            maps, logits = seen(batch, training=False)
            chosen = logits[:, answer]
        weights = tf.reduce_mean(tape.gradient(chosen, maps), axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()
