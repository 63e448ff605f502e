import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, textured
from PIL import Image

from shot_types import WeightsError, load_classifier
from shot_types.cards import write_card
from shot_types.pictures import read_image
from shot_types.tensorflow import Network, build, keras, load, tf


def test_the_file_loads_with_keras_alone_and_answers_like_the_package(tensorflow_weights):
    stock = keras.saving.load_model(tensorflow_weights)
    batch = np.stack([textured(96, 160, seed) for seed in range(3)])
    network = Network(tensorflow_weights, {})
    logits = network(batch)
    for pictures in (batch, batch.astype(np.float32)):
        expected = stock.predict(pictures, verbose=0)
        assert tf.nn.softmax(logits).numpy() == pytest.approx(expected, abs=1e-5)
    assert expected.std(axis=0).max() > 0.01
    for size in (1, 2):
        assert network(batch[:size]) == pytest.approx(logits[:size], abs=1e-4)
    assert network.answer.experimental_get_tracing_count() == 1


def test_the_network_receives_red_first(tensorflow_weights, tmp_path):
    """A file of known colours arrives as RGB, and swapped channels would reach the network as something else."""
    path = tmp_path / "red.png"
    Image.new("RGB", (160, 96), (200, 40, 10)).save(path)
    assert (read_image(path) == (200, 40, 10)).all()
    classifier = load_classifier("tensorflow", tensorflow_weights)
    received = []
    network = classifier.network
    classifier.network = lambda batch: received.append(batch) or network(batch)
    classifier.predict(path)
    assert (received[0] == (200, 40, 10)).all()
    model = load(tensorflow_weights)
    normalised = keras.Model(model.input, next(layer for layer in model.layers if "normal" in layer.name).output)
    x = normalised.predict(received[0], verbose=0)[0, 0, 0]
    assert x[0] > x[1] > x[2]
    assert not np.allclose(network(received[0]), network(received[0][..., ::-1].copy()), atol=1e-3)


@pytest.mark.parametrize("kind", ["other classes", "other name", "a lambda", "not a model"])
def test_weights_of_another_network(tmp_path, kind):
    path = tmp_path / "other.keras"
    if kind == "not a model":
        path.write_bytes(b"PK not really a zip file")
    else:
        picture = keras.layers.Input((None, None, 3))
        x = keras.layers.GlobalAveragePooling2D()(picture)
        if kind == "a lambda":  # code in a file: `safe_mode` refuses it
            x = keras.layers.Lambda(lambda value: value * 2)(x)
        x = keras.layers.Dense(4 if kind == "other classes" else 5)(x)
        keras.Model(picture, x, name="other" if kind == "other name" else "efficientnet_b0").save(path)
    write_card(path, {"network": "efficientnet_b0", "height": 96, "width": 160, "temperature": 1.0})
    with pytest.raises(WeightsError, match=r"other\.keras: not the weights of a five-class efficientnet_b0"):
        load_classifier("tensorflow", path)


@pytest.fixture
def small_weights(start, tmp_path):
    """`start` with a card: weights that load quickly."""
    weights = tmp_path / "small.keras"
    weights.write_bytes(start.read_bytes())
    write_card(weights, {"network": "efficientnet_b0", "height": 96, "width": 160, "temperature": 1.0})
    return weights


@pytest.mark.parametrize(
    "order",
    [
        "use('tensorflow'); use('pytorch')",
        "use('pytorch'); use('tensorflow')",
        "import tensorflow; use('pytorch'); use('tensorflow')",
    ],
)
def test_both_frameworks_in_one_process(small_weights, pytorch_weights, order):
    """Imported carelessly after TensorFlow, torchvision aborts the process: see `shot_types.pytorch`."""
    code = (
        "import sys, numpy as np; from shot_types import load_classifier\n"
        f"files = {{'tensorflow': {str(small_weights)!r}, 'pytorch': {str(pytorch_weights)!r}}}\n"
        "picture = np.full((96, 160, 3), 90, np.uint8)\n"
        "def use(name): print(name, load_classifier(name, files[name]).predict(picture).label)\n"
    )
    run = subprocess.run([sys.executable, "-c", code + order], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert sorted(line.split()[0] for line in run.stdout.splitlines()) == ["pytorch", "tensorflow"]
    if "import tensorflow" not in order:  # its start-up noise buries nothing
        assert not re.findall("absl|oneDNN|cuda_platform|cudart|cpu_feature", run.stderr)


@pytest.mark.parametrize(("framework", "other"), [("pytorch", "tensorflow"), ("tensorflow", "torch")])
def test_one_framework_is_enough(framework, other, small_weights, pytorch_weights):
    code = (
        "from importlib.machinery import PathFinder\n"
        f"absent = ({other!r}, 'torchvision' if {other!r} == 'torch' else 'keras')\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *where: None if name.split('.')[0] in absent else find(name, *where)\n"
        "from shot_types import load_classifier, WeightsError\n"
        f"load_classifier({framework!r}, {str(small_weights if framework == 'tensorflow' else pytorch_weights)!r})\n"
        f"try: load_classifier({'pytorch' if other == 'torch' else other!r}, {str(pytorch_weights)!r})\n"
        "except WeightsError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert f"needs the package {other}, which is not installed; pip install {other}" in run.stdout


def test_a_start_that_does_not_fit(tmp_path, start):
    for path in (tmp_path / "gone.weights.h5", tmp_path / "small.weights.h5"):
        if "small" in path.name:
            load(start).save_weights(path)
        with pytest.raises(ValueError, match=rf"{path.name}: EfficientNetB0 cannot start from it .*; give its weights"):
            build(path)
