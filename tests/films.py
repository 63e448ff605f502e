"""Films for the tests, and a classifier that needs no framework, so that other processes start quickly."""

import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from shot_types import LABELS, SCALE, film
from shot_types.cards import write_card
from shot_types.film.table import timecode
from shot_types.pictures import load_frame

TESTS = Path(__file__).resolve().parent


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


class Stopped(Brightness):
    """Stopped by hand when it has seen more than `after` pictures."""

    def __init__(self, after=-1):
        super().__init__()
        self.after = after

    def predict_proba(self, xs):
        if self.seen > self.after:
            raise KeyboardInterrupt
        return super().predict_proba(xs)


def brightness_weights(path):
    """Weights that answer like `Brightness`, an ONNX file with its card: processes that load them start quickly."""
    from onnx import TensorProto, helper, numpy_helper, save

    steps = np.array([50 + 40 * SCALE.index(label) for label in LABELS], np.float32)
    values = {"sides": np.array([1, 2, 3]), "steps": steps, "width": np.float32(-200)}
    nodes = [
        helper.make_node("Cast", ["frames"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["levels", "sides"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        helper.make_node("Sub", ["column", "steps"], ["away"]),
        helper.make_node("Mul", ["away", "away"], ["square"]),
        helper.make_node("Div", ["square", "width"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", 36, 64, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (values | {"last": [1]}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {"classes": ",".join(LABELS), "temperature": "1"})
    save(model, path)
    write_card(path, {"network": "brightness", "height": 36, "width": 64, "temperature": 1})
    return path


def start_python(code, *arguments):
    """A Python process of its own that runs `code`, to which this module and the package are known."""
    places = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    call = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(call, env={**os.environ, "PYTHONPATH": places}, check=False, capture_output=True, text=True)


def scene(label, seed=0, height=90, width=160):
    """A picture to which `Brightness` gives this label."""
    coarse = np.random.default_rng(seed).integers(60, 256, (9, 16, 3), np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), float)
    return np.clip((picture - picture.mean()) / 3 + 50 + 40 * SCALE.index(label), 30, 255).astype(np.uint8)


def shots(*labels, frames=30):
    return [scene(label, seed) for seed, label in enumerate(labels) for _ in range(frames)]


SIX = ["LS", "MS", "ECS", "FS", "LS"]  # and a black one


def six_shots(folder):
    """The table of a film of the five shots SIX with a black one at the end; 29.97 frames/s, so drop-frame."""
    from conftest import write_video  # not above: it takes PyTorch, which other processes do without

    pictures = [*shots(*SIX, frames=40), *[np.full((90, 160, 3), 16, np.uint8)] * 30]
    path = write_video(folder / "film.mp4", pictures, rate=Fraction(30000, 1001))
    return film.analyze(path, Brightness(), folder)


def film_table(*spans, film="film.mp4", rate=24.0, start_frame=0, drop_frame=False, audio_channels=2, folder="."):
    """A table without a film: each of `spans` is a label, or a kind that has none, and lasts a second and a half."""
    rows = []
    for number, span in enumerate(spans):
        start, label = 1.5 * number, span if span in SCALE else ""
        row = {"shot": number + 1, "start_seconds": start, "end_seconds": start + 1.5, "seconds": 1.5}
        codes = [timecode(start_frame + round(at * rate), rate, drop_frame) for at in (start, start + 1.5)]
        row |= {"start": codes[0], "end": codes[1], "kind": "shot" if label else span, "label": label}
        row |= {"confidence": 0.9 if label else np.nan, "frames": 2, "check": 0, "thumbnail": ""}
        rows.append(row | {name: (0.9 if name == label else 0.025) if label else np.nan for name in SCALE})
    table = pd.DataFrame(rows)
    table.attrs = {"made_from": {"film": film}, "rate": rate, "start_frame": start_frame, "drop_frame": drop_frame}
    table.attrs |= {
        "audio_channels": audio_channels,
        "size": None,
        "media": None,
        "folder": str(folder),
        "name": Path(film).stem,
    }
    return table


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
