"""Where the network looked: a picture with a heat map of what a label rests on.

Such a map shows which parts of the picture spoke for the label, in cells of 32 x 32 pixels of the network's input; it
does not show why they did, nor whether the label is right.
"""

import numpy as np
from matplotlib import colormaps
from PIL import Image

from .classifier import Classifier
from .frames import load_frame, resize, trim_bars
from .labels import LABELS

HEIGHT = 360  # pixels: no map is larger, the network looked at less


def heat_map(classifier: Classifier, rgb: np.ndarray, label: str) -> np.ndarray:
    """A picture in grey, and over it the redder and the yellower the more, what spoke for `label`.

    Takes and gives uint8 RGB (height, width, 3). Black bars are cut off, as they are for the network; at most 360
    lines are given. Raises ValueError where the classifier's framework has no gradients.
    """
    if not hasattr(classifier.network, "heat"):
        raise ValueError("heat maps need a framework that has gradients; use --framework pytorch")
    card = classifier.card
    height, width, pad = card["height"], card["width"], card.get("pad", False)
    frame = load_frame(rgb, height, width, pad=pad)
    heat = classifier.network.heat(np.stack([frame]), LABELS.index(label))[0]
    shown = trim_bars(rgb)
    scale = min(1, HEIGHT / len(shown))
    if pad:  # in the frame that the network saw
        shown = resize(shown, HEIGHT, round(HEIGHT * width / height), pad=True)
    else:
        shown = resize(shown, round(scale * shown.shape[0]), max(1, round(scale * shown.shape[1])))
    heat = Image.fromarray(heat / max(heat.max(), 1e-9)).resize(shown.shape[1::-1], Image.Resampling.BILINEAR)
    heat = np.asarray(heat)[..., None]
    grey = np.asarray(Image.fromarray(shown).convert("L"))[..., None]
    colour = 255 * colormaps["plasma"](heat[..., 0])[..., :3]
    return (grey + 0.7 * heat * (colour - grey)).astype(np.uint8)
