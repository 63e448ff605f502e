import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, textured

from shot_types import WeightsError, load_classifier
from shot_types.cards import write_card
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


@pytest.mark.parametrize(("name", "classes"), [("efficientnet_b0", 4), ("other", 5)])
def test_weights_of_another_network(tmp_path, name, classes):
    path, picture = tmp_path / "other.keras", keras.layers.Input((None, None, 3))
    answer = keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(picture))
    keras.Model(picture, answer, name=name).save(path)
    write_card(path, {"network": "efficientnet_b0", "height": 96, "width": 160, "temperature": 1.0})
    with pytest.raises(WeightsError, match=r"other\.keras: not the weights of a five-class efficientnet_b0"):
        load_classifier("tensorflow", path)


@pytest.mark.parametrize(
    "order", ["use('tensorflow'); use('pytorch')", "import tensorflow; use('pytorch'); use('tensorflow')"]
)
def test_both_frameworks_in_one_process(tensorflow_weights, pytorch_weights, order):
    """Imported carelessly after TensorFlow, torchvision aborts the process: see `shot_types.pytorch`.

    The other order, PyTorch first, is that of this suite.
    """
    code = (
        "import sys, numpy as np; from shot_types import load_classifier\n"
        f"files = {{'tensorflow': {str(tensorflow_weights)!r}, 'pytorch': {str(pytorch_weights)!r}}}\n"
        "picture = np.full((96, 160, 3), 90, np.uint8)\n"
        "def use(name): print(name, load_classifier(name, files[name]).predict(picture).label)\n"
    )
    run = subprocess.run([sys.executable, "-c", code + order], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert [line.split()[0] for line in run.stdout.splitlines()] == re.findall(r"use\('(\w+)'\)", order)
    if "import tensorflow" not in order:  # its start-up noise buries nothing
        assert not re.findall("absl|oneDNN|cuda_platform|cudart|cpu_feature", run.stderr)


@pytest.mark.parametrize(("framework", "other"), [("pytorch", "tensorflow"), ("tensorflow", "torch")])
def test_one_framework_is_enough(framework, other, tensorflow_weights, pytorch_weights):
    own, its = tensorflow_weights, pytorch_weights
    if framework == "pytorch":
        own, its = its, own
    code = (
        "from importlib.machinery import PathFinder\n"
        f"absent = ({other!r}, 'torchvision' if {other!r} == 'torch' else 'keras')\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *where: None if name.split('.')[0] in absent else find(name, *where)\n"
        "from shot_types import load_classifier, WeightsError\n"
        f"load_classifier({framework!r}, {str(own)!r})\n"
        f"try: load_classifier(weights={str(its)!r})\n"
        "except WeightsError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert f"needs the package {other}, which is not installed; pip install {other}" in run.stdout


def test_a_start_is_the_stock_network_and_gets_a_head(tmp_path):
    stock = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(None, None, 3))
    stock.save_weights(tmp_path / "stock.weights.h5")
    model, values = build(tmp_path / "stock.weights.h5"), stock.get_weights()
    assert model.output_shape == (None, 5) and len(model.get_weights()) == len(values) + 2
    assert all(np.array_equal(one, other) for one, other in zip(values, model.get_weights()[:-2], strict=True))


def test_a_start_that_does_not_fit(tmp_path, start):
    for path in (tmp_path / "gone.weights.h5", tmp_path / "small.weights.h5"):
        if "small" in path.name:
            load(start).save_weights(path)
        with pytest.raises(ValueError, match=rf"{path.name}: EfficientNetB0 cannot start from it .*; give its weights"):
            build(path)
