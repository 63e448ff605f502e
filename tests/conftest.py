"""Small pictures, videos and weights, made for each test run; nothing outside the repository is needed."""

import json
import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image
from playwright.sync_api import sync_playwright
from xdist.workermanage import NodeManager

from shot_types.cards import write_card
from shot_types.classifier import load_classifier
from shot_types.dataset import read_dataset
from shot_types.labels import LABELS, STEP
from shot_types.pytorch import build, to_input
from tools.export import export

torch.set_num_threads(1)  # the pictures are tiny, and threads that wait for each other are slower than one
plt.switch_backend("agg")  # no windows
NodeManager.EXIT_TIMEOUT = 180  # seconds: a worker that is killed as it ends leaves no record of what it covered
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


def write_video(path, frames, rate=24, codec="libx264", seconds=None, timecode=None, movflags="", **options):
    """A video file of uint8 RGB frames, shown at these `seconds` or `rate` of them a second."""
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if seconds is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if timecode:
            stream.metadata["timecode"] = timecode
        for name, value in options.items():
            setattr(stream, name, value)
        for number, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if seconds is not None:
                frame.pts, frame.time_base = round(1000 * seconds[number]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
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


def write_movieshots(folder, films=20, shots=3, labels=LABELS):
    """MovieShots in small, as published: v1_split_trailer.json and trailer/<movie>/shot_<shot>.mp4; returns its table.

    Slow pans over textured pictures, of several sizes, rates and lengths. Film 1 has bars; one shot each of films
    2, 3 and 4 is missing, cut short and empty.
    """
    rows, tree = [], {"train": {}, "val": {}, "test": {}}
    sizes = ((144, 256), (240, 320), (180, 320), (270, 480))
    for film in range(films):
        movie = f"tt{film:04d}"
        (folder / "trailer" / movie).mkdir(parents=True)
        for number in range(shots):
            seed, shot, label = film * shots + number, f"{number:04d}", labels[(film + number) % len(labels)]
            height, width = sizes[film % 4]
            wide = textured(height, width + 30, seed)
            pan = [wide[:, step : step + width].copy() for step in range(12 + 3 * (seed % 5))]
            if film == 1:
                bar = round((height - width / 2.4) / 2)
                for frame in pan:
                    frame[:bar] = frame[-bar:] = 0
            video = folder / "trailer" / movie / f"shot_{shot}.mp4"
            options = {"preset": "ultrafast", "crf": "16"}  # the index at the front: a file that is cut opens
            write_video(video, pan, rate=(24, 25, 30)[film % 3], movflags="faststart", options=options)
            side = ("train", "train", "train", "val", "test")[seed % 5]
            parts = {"scale": {"label": label, "value": STEP[label]}, "movement": {"label": "Motion", "value": 0}}
            tree[side].setdefault(movie, {})[shot] = parts
            rows.append((movie, shot, label))
    (folder / "trailer/tt0002/shot_0001.mp4").unlink()
    cut = folder / "trailer/tt0003/shot_0001.mp4"
    cut.write_bytes(cut.read_bytes()[: int(0.8 * cut.stat().st_size)])
    (folder / "trailer/tt0004/shot_0001.mp4").write_bytes(b"")
    (folder / "v1_split_trailer.json").write_text(json.dumps(tree))
    return pd.DataFrame(rows, columns=["movie", "shot", "label"])


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """25 frames as a data set, read: 15 to train on, 5 each to choose and to test on."""
    folder = tmp_path_factory.mktemp("table") / "data"
    write_dataset(folder, 25)
    return read_dataset(folder)


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
def tensorflow_weights(start, tmp_path_factory):
    """The same for TensorFlow: those of `start`, with another head."""
    from shot_types.tensorflow import Network, load

    path = tmp_path_factory.mktemp("weights") / "random.keras"
    network, logits = load(start), Network(start, {})(np.stack([textured(96, 160, seed) for seed in range(8)]))
    last = network.layers[-1]
    kernel, bias = last.get_weights()
    last.set_weights([kernel / logits.std(0), (bias - logits.mean(0)) / logits.std(0)])
    network.save(path)
    write_card(path, {"network": "efficientnet_b0", "height": 96, "width": 160, "temperature": 1.5})
    return path


@pytest.fixture(scope="session")
def onnx_weights(pytorch_weights):
    """The random PyTorch weights, exported."""
    return export(pytorch_weights, count=3)[0]


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """A `.keras` file to train from: a few layers under the name of EfficientNetB0, which takes long to compile."""
    from shot_types.tensorflow import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    picture = layers.Input((None, None, 3))
    x = layers.Normalization(axis=3)(layers.Rescaling(1 / 255)(picture))  # its tensors need care in the export
    x = layers.Conv2D(8, 3, strides=2, name="stem_conv")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="block1a_conv")(x)
    x = layers.Activation("linear", name="top_activation")(x)  # where heat maps look
    x = layers.Dropout(0.2, name="top_dropout")(layers.GlobalAveragePooling2D()(x))
    path = tmp_path_factory.mktemp("start") / "small.keras"
    answer = layers.Dense(5, activation="softmax", name="predictions")(x)
    keras.Model(picture, answer, name="efficientnet_b0").save(path)
    return path


@pytest.fixture(scope="session", params=["pytorch", "tensorflow", "onnx"])
def framework(request):
    return request.param


@pytest.fixture(scope="session")
def weights(framework, request):
    return request.getfixturevalue(f"{framework}_weights")


@pytest.fixture(scope="session")
def classifier(framework, weights):
    return load_classifier(framework, weights)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium: Debian's, or that of Playwright; tests skip where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as driver:
        if not (found or Path(driver.chromium.executable_path).is_file()):
            pytest.skip("no Chromium is installed here")
        browser = driver.chromium.launch(executable_path=found)
        yield browser
        browser.close()
