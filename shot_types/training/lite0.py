"""EfficientNet-Lite0's weights as a start for EfficientNetB0: the same convolutions, without squeeze-and-excitation.

Liu, "Higher accuracy on vision models with EfficientNet-Lite", blog.tensorflow.org, March 2020.
"""

from pathlib import Path

from .. import tensorflow as _room  # noqa: F401  before Keras

# isort: split
import keras
import numpy as np

BLOCKS = ("1a", "2a", "2b", "3a", "3b", "4a", "4b", "4c", "5a", "5b", "5c", "6a", "6b", "6c", "6d", "7a")
SHARP = 4.0
LAYERS = {  # of a block: Keras's name -> that of the PyTorch file
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}


def open_gates(source: str | Path, target: str | Path) -> Path:
    """Write a PyTorch state dict of EfficientNet-Lite0 as `.weights.h5` of EfficientNetB0 without its top.

    The squeeze-and-excitation gates that Lite0 lacks are set to one half whatever they see, and the convolution
    after each is doubled, so that the two cancel and the gates can learn at once. Lite0 has ReLU6 where B0 has
    swish: batch norm gives `SHARP` times as much and the next convolution takes as much less, because
    swish(k x) / k nears ReLU as k grows. Input is normalised as Lite0 wants it: (RGB - 127) / 128.
    Returns `target`.
    """
    import torch  # here alone: whoever has another start needs TensorFlow only

    state = {name: value.float().numpy() for name, value in torch.load(source, weights_only=True).items()}
    pairs = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
    for number, block in enumerate(BLOCKS):
        pairs |= {f"block{block}_{own}": f"_blocks.{number}.{other}" for own, other in LAYERS.items()}
    model = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(None, None, 3))
    for layer in model.layers:
        if layer.name.endswith("se_expand"):
            layer.set_weights([np.zeros_like(value) for value in layer.get_weights()])
        elif isinstance(layer, keras.layers.Normalization):
            layer.set_weights([np.full(3, 127 / 255), np.full(3, (128 / 255) ** 2), np.int64(0)])
        elif layer.name in pairs:
            layer.set_weights(_convert(layer, pairs[layer.name], state))
    model.save_weights(target)
    return Path(target)


def _convert(layer: keras.Layer, name: str, state: dict[str, np.ndarray]) -> list[np.ndarray]:
    if isinstance(layer, keras.layers.BatchNormalization):
        gamma, beta, mean, var = (state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
        before_swish = not layer.name.endswith("project_bn") and layer.name != "top_bn"
        return [gamma * SHARP, beta * SHARP, mean, var] if before_swish else [gamma, beta, mean, var]
    kernel = state[f"{name}.weight"]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return [kernel.transpose(2, 3, 0, 1) / SHARP]
    return [kernel.transpose(2, 3, 1, 0) * (2 / SHARP if layer.name.endswith("project_conv") else 1)]
