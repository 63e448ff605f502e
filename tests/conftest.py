"""Small pictures, videos and weights, made for each test run; nothing outside the repository is needed."""

import os
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from shot_types.classifier import load_classifier, write_card
from shot_types.labels import LABELS
from shot_types.pytorch import build, to_input

torch.set_num_threads(1)  # the pictures are tiny, and threads that wait for each other are slower than one
ROOT = Path(__file__).resolve().parent.parent
SHOTMIX = Path(os.environ.get("SHOTMIX", ROOT.parent / "shared" / "shotmix"))


def pytest_collection_modifyitems(items):
    if not (SHOTMIX / "frames.csv").is_file():
        skip = pytest.mark.skip(reason=f"the shotmix data set is not at {SHOTMIX}")
        for item in items:
            if "shotmix" in item.keywords:
                item.add_marker(skip)


def textured(height, width, seed=0):
    """A picture with detail everywhere and no dark edge, uint8 RGB."""
    coarse = np.random.default_rng(seed).integers(60, 256, (9, 16, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def write_video(path, frames, rate=24, **options):
    """An H.264 file of uint8 RGB frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for name, value in options.items():
            setattr(stream, name, value)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_dataset(folder, count=60):
    """A data set of the contract in `folder`, of textured pictures with labels in turn; returns its table."""
    folder.mkdir()
    rows = []
    for number in range(count):
        Image.fromarray(textured(48, 80, number)).save(folder / f"{number}.jpg")
        split = ("train", "train", "train", "val", "test")[number // 5 % 5]
        rows.append((f"{number}.jpg", LABELS[number % 5], f"g{number}", split, ("trailer", "still")[number % 2]))
    table = pd.DataFrame(rows, columns=["path", "label", "group", "split", "source"])
    table.to_csv(folder / "frames.csv", index=False)
    return table


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.jpg"
    Image.fromarray(textured(180, 320)).save(path, quality=95)
    return path


@pytest.fixture(scope="session")
def pytorch_weights(tmp_path_factory):
    """Random weights of the shipped network, whose answers differ from picture to picture, with a card."""
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.manual_seed(0)
    network = build().eval()
    last = network.classifier[-1]
    with torch.no_grad():
        logits = network(to_input(torch.tensor(np.stack([textured(96, 160, seed) for seed in range(8)]))))
        last.bias.sub_(logits.mean(0)).div_(logits.std(0))
        last.weight.div_(logits.std(0)[:, None])
    torch.save(network.state_dict(), path)
    write_card(path, {"network": "mobilenet_v3_large", "height": 96, "width": 160, "temperature": 1.5})
    return path


@pytest.fixture(scope="session")
def tensorflow_weights(tmp_path_factory):
    """The same for TensorFlow."""
    from shot_types import tensorflow as room

    path = tmp_path_factory.mktemp("weights") / "random.keras"
    keras = room.keras
    keras.utils.set_random_seed(0)
    network = room.build()
    last = network.layers[-1]
    pictures = np.stack([textured(96, 160, seed) for seed in range(8)])
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0  # one pass sets the statistics, without which random weights let nothing through
    network(pictures, training=True)
    for layer in norms:
        layer.momentum = 0.99
    logits = np.log(network.predict(pictures, verbose=0))
    kernel, bias = last.get_weights()
    last.set_weights([kernel / logits.std(0), (bias - logits.mean(0)) / logits.std(0)])
    network.save(path)
    write_card(path, {"network": "efficientnet_b0", "height": 96, "width": 160, "temperature": 1.5})
    return path


@pytest.fixture(scope="session", params=["pytorch", "tensorflow"])
def framework(request):
    return request.param


@pytest.fixture(scope="session")
def weights(framework, request):
    return request.getfixturevalue(f"{framework}_weights")


@pytest.fixture(scope="session")
def classifier(framework, weights):
    return load_classifier(framework, weights)
