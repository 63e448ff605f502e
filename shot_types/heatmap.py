"""Where the network looked: a picture with a heat map of what a label rests on, in cells of 32 x 32 input pixels.

The map is Grad-CAM (Selvaraju et al., ICCV 2017, arXiv 1610.02391), which the rooms of the frameworks compute.
"""

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image

from .classifier import Classifier
from .files import replacing
from .labels import LABELS
from .pictures import load_frame, read_image, resize, trim_bars

HEIGHT = 360  # pixels: no map is larger, the network looked at less


def heat_map(classifier: Classifier, rgb: np.ndarray, label: str) -> np.ndarray:
    """A picture in grey, and over it the redder and the yellower the more, what spoke for `label`.

    Takes and gives uint8 RGB (height, width, 3). Black bars are cut off, as they are for the network; at most 360
    lines are given. Raises ValueError where the classifier's framework has no gradients or Captum is missing.
    """
    if not hasattr(classifier.network, "heat"):
        raise ValueError("ONNX gives no gradients, from which heat maps are made; use framework pytorch or tensorflow")
    batch = np.stack([load_frame(rgb, classifier.card["height"], classifier.card["width"])])
    try:
        heat = classifier.network.heat(batch, LABELS.index(label))[0]
    except ModuleNotFoundError as error:
        raise ValueError(f"heat maps need the package {error.name}; pip install {error.name}") from error
    shown = trim_bars(rgb)
    scale = min(1, HEIGHT / len(shown))
    shown = resize(shown, round(scale * shown.shape[0]), max(1, round(scale * shown.shape[1])))
    heat = Image.fromarray(heat / max(heat.max(), 1e-9)).resize(shown.shape[1::-1], Image.Resampling.BILINEAR)
    heat = np.asarray(heat)[..., None]
    grey = np.asarray(Image.fromarray(shown).convert("L"))[..., None]
    colour = 255 * colormaps["plasma"](heat[..., 0])[..., :3]
    return (grey + 0.7 * heat * (colour - grey)).astype(np.uint8)


def write_heat_map(classifier: Classifier, source: str | Path, label: str, out: Path) -> None:
    """Write the `heat_map` of the picture in the file `source` to the JPEG file `out`."""
    picture = Image.fromarray(heat_map(classifier, read_image(source), label))
    with replacing(out) as part:
        picture.save(part, "JPEG", quality=90)
