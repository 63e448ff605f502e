"""Films for the tests, and a classifier that needs no framework, so that other processes start quickly."""

import os
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from shot_types import LABELS, SCALE
from shot_types.pictures import load_frame


class Brightness:
    """Answers like a classifier: the darker the picture, the closer the camera."""

    def __init__(self):
        self.card = {"network": "brightness", "sha256": "0", "temperature": 1, "height": 36, "width": 64}
        self.seen = 0

    def predict_proba(self, xs):
        proba = np.full((len(xs), 5), 0.02, np.float32)
        for row, x in zip(proba, xs, strict=True):
            level = (load_frame(x, 36, 64).mean() - 50) / 40
            row[LABELS.index(SCALE[int(np.clip(round(level), 0, 4))])] = 0.92
        self.seen += len(xs)
        return proba


class Level(Brightness):
    """Its confidence tells every level of brightness from the next."""

    def predict_proba(self, xs):
        proba = super().predict_proba(xs)
        for row, x in zip(proba, xs, strict=True):
            row[row.argmax()] -= load_frame(x, 36, 64).mean() / 1000
        return proba


def scene(label, seed=0, height=90, width=160):
    """A picture to which `Brightness` gives this label."""
    coarse = np.random.default_rng(seed).integers(60, 256, (9, 16, 3), np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), float)
    return np.clip((picture - picture.mean()) / 3 + 50 + 40 * SCALE.index(label), 30, 255).astype(np.uint8)


def shots(*labels, frames=30):
    return [scene(label, seed) for seed, label in enumerate(labels) for _ in range(frames)]


def write_timed(path, pictures, seconds, **options):
    """A video whose frames are shown at these times."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 1000)
        for picture, time in zip(pictures, seconds, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def die_on_a(path, *_):
    """What a worker process does that dies on the film a."""
    if path.stem == "a":
        os._exit(9)
    return str(path)


def done_slowly(path, folder):
    """What a worker process does that takes a moment for a film and leaves a file."""
    time.sleep(0.05)
    Path(folder, f"{path.stem}.done").touch()
    return str(path)
