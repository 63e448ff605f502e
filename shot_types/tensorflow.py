"""The TensorFlow room: EfficientNetB0, its weights and its answers. Training is in `shot_training`."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # says at length what it did not find, and warns about nothing
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow's default on some processors; faster on all

import keras
import numpy as np
import tensorflow as tf

from .labels import LABELS


def build(initial: str | Path | None = None, dropout: float = 0.2) -> keras.Model:
    """The stock `keras.applications.EfficientNetB0` with average pooling, dropout and a five-way softmax.

    Takes RGB 0..255 (N, height, width, 3) of any size, uint8 or float; rescaling and normalisation are layers of
    it. `initial`: None (random weights), "imagenet" (Keras downloads its own), or a file: `.weights.h5` of
    `EfficientNetB0(include_top=False, weights=None)`, or a whole `.keras` model of this function.

    Raises FileNotFoundError, or ValueError when the download fails or the file does not fit.
    """
    if initial not in (None, "imagenet") and not Path(initial).is_file():
        raise FileNotFoundError(f"{initial}: no such weights file; give a local file, 'imagenet' or None")
    if str(initial).endswith(".keras"):
        return load(initial)
    shape = (None, None, 3)
    try:
        stock = keras.applications.EfficientNetB0(
            include_top=False, weights="imagenet" if initial == "imagenet" else None, input_shape=shape
        )
        if initial not in (None, "imagenet"):
            stock.load_weights(initial)
    except Exception as error:  # the download's and h5py's own kinds
        reason = str(error).splitlines()[0]
        if initial == "imagenet":
            reason = f"ImageNet weights could not be downloaded ({reason}); give the path of a local file instead"
        else:
            reason = f"{initial}: does not fit EfficientNetB0 without its top ({reason}); give weights of that network"
        raise ValueError(reason) from None
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(stock.output)
    x = keras.layers.Dropout(dropout, name="top_dropout")(x)
    x = keras.layers.Dense(len(LABELS), activation="softmax", name="predictions")(x)
    return keras.Model(stock.input, x, name="efficientnet_b0")


def load(path: str | Path) -> keras.Model:
    """A model that `build` made and training saved; ValueError when it is another one."""
    model = keras.saving.load_model(path, compile=False)
    if model.name != "efficientnet_b0" or model.output_shape != (None, len(LABELS)):
        raise ValueError(f"{path}: holds {model.name} with output {model.output_shape}")
    return model


class Network:
    """A trained network, ready to answer: call it with a uint8 RGB batch, get logits."""

    def __init__(self, weights: str | Path, card: dict):
        """Load a whole `.keras` model; whatever does not fit raises."""
        self.model = load(weights)
        self.model.layers[-1].activation = keras.activations.linear  # logits: the temperature comes before softmax

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
        def answer(batch):
            return self.model(batch, training=False)

        self.answer = answer

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """uint8 RGB (N, height, width, 3) -> logits, float32 (N, 5)."""
        return self.answer(tf.constant(batch)).numpy()
