import contextlib
import importlib.metadata
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from conftest import ROOT, made_teacher, textured, write_dataset
from PIL import Image

from shot_types import WeightsError, load_classifier
from shot_types.cards import write_card
from shot_types.dataset import read_dataset
from shot_types.pictures import read_image
from shot_types.tensorflow import Network, build, keras, load, tf
from shot_types.training import tensorflow as trainer
from shot_types.training.lite0 import BLOCKS, LAYERS, open_gates
from shot_types.training.pytorch import FrameDataset
from shot_types.training.tensorflow import HEADS, TensorFlowRecipe, frames, predict_logits, train, with_persons


@pytest.fixture
def recipe(start):
    return TensorFlowRecipe(initial=start, height=32, width=48, epochs=3, batch_size=4, lr=0.02, average=0.5)


@pytest.fixture
def tiny_dataset(tmp_path):
    write_dataset(tmp_path / "data", 25)
    return read_dataset(tmp_path / "data")


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


def test_training_sees_the_pixels_of_the_file(tiny_dataset, recipe):
    red = tiny_dataset["file"][0]
    Image.new("RGB", (80, 48), (200, 40, 10)).save(red, quality=95)
    batch = next(iter(frames([red], recipe))).numpy()
    assert np.abs(batch[0].astype(int) - (200, 40, 10)).max() <= 3 and batch.dtype == np.uint8


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


@pytest.mark.parametrize(("file", "absent"), [("pytorch.txt", "tensorflow"), ("tensorflow.txt", "torch")])
def test_the_readme_installs_one_framework_alone(file, absent):
    """The other framework is in no line that is left of requirements.txt, nor in anything that those lines need."""
    pattern = re.search(rf'grep -vE "(.+)" requirements.txt > {file}', (ROOT / "README.md").read_text())[1]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    left = [line for line in lines if not re.match(pattern, line) and line[:1] not in "#-"]
    found, kept = set(), {"tensorflow", "torch"} - {absent}
    while left:
        name = re.sub("[-_.]+", "-", re.match("[A-Za-z0-9._-]+", left.pop())[0]).lower()
        if name not in found:
            found.add(name)
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                left += [need for need in importlib.metadata.requires(name) or () if "extra ==" not in need]
    assert kept <= found and absent not in found


def test_lite0_becomes_b0(tmp_path):
    """Every convolution finds its place: the stem answers like a convolution of the file, and all shapes fit."""
    state, stock = {}, keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(None, None, 3))
    rng = np.random.default_rng(0)
    names = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
    for number, block in enumerate(BLOCKS):
        names |= {f"block{block}_{own}": f"_blocks.{number}.{other}" for own, other in LAYERS.items()}
    for layer in (layer for layer in stock.layers if layer.name in names):
        shapes = [value.shape for value in layer.get_weights()]
        if len(shapes) == 4:
            for part, shape in zip(("weight", "bias", "running_mean", "running_var"), shapes, strict=True):
                state[f"{names[layer.name]}.{part}"] = torch.tensor(rng.uniform(0.5, 1, shape), dtype=torch.float32)
        else:
            turn = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (3, 2, 0, 1)
            shape = tuple(shapes[0][axis] for axis in turn)
            state[f"{names[layer.name]}.weight"] = torch.tensor(rng.normal(0, 0.1, shape)).half()
    torch.save(state, tmp_path / "lite0.pt")
    stock.load_weights(open_gates(tmp_path / "lite0.pt", tmp_path / "lite0.weights.h5"))
    x = rng.integers(0, 256, (1, 8, 8, 3)).astype(np.float32)
    stem = keras.Model(stock.input, stock.get_layer("stem_conv").output).predict(x, verbose=0)
    padded = np.pad((x - 127) / 128, ((0, 0), (0, 1), (0, 1), (0, 0)))  # TensorFlow's "same" at stride 2
    weight = state["_conv_stem.weight"].float()
    expected = torch.nn.functional.conv2d(torch.tensor(padded).permute(0, 3, 1, 2), weight, stride=2)
    assert stem.transpose(0, 3, 1, 2) == pytest.approx(expected.numpy(), abs=1e-3)
    gate = keras.Model(stock.input, stock.get_layer("block3a_se_expand").output).predict(x, verbose=0)
    assert gate == pytest.approx(np.full(gate.shape, 0.5))
    network = build(tmp_path / "lite0.weights.h5")
    assert np.allclose(network.get_layer("top_conv").get_weights()[0], stock.get_layer("top_conv").get_weights()[0])


def test_a_start_that_does_not_fit(tmp_path, start):
    for path in (tmp_path / "gone.weights.h5", tmp_path / "small.weights.h5"):
        if "small" in path.name:
            load(start).save_weights(path)
        with pytest.raises(ValueError, match=rf"{path.name}: EfficientNetB0 cannot start from it .*; give its weights"):
            build(path)


def test_training_resumes_to_the_same_weights(tiny_dataset, recipe, tmp_path, monkeypatch):
    whole = train(tiny_dataset, recipe, tmp_path / "whole")
    epochs = []

    def stop_after_two_epochs(path, text, write=trainer.write):
        write(path, text)
        epochs.append(path)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "write", stop_after_two_epochs)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_dataset, recipe, tmp_path / "parts")
    monkeypatch.undo()
    resumed = train(tiny_dataset, recipe, tmp_path / "parts", workers=1)
    assert resumed["loss"].tolist() == pytest.approx(whole["loss"].tolist(), abs=1e-6)
    assert resumed["val loss"].tolist() == pytest.approx(whole["val loss"].tolist(), abs=1e-6)
    one, two = (load(tmp_path / name / "best.keras").get_weights() for name in ("whole", "parts"))
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(one, two, strict=True))
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        "best.keras",
        "epoch3.keras",
        "history.json",
    ]
    with pytest.raises(ValueError, match="a run of another recipe"):
        train(tiny_dataset, replace(recipe, lr=0.5), tmp_path / "parts")
    with pytest.raises(ValueError, match="a run of another data set"):
        train(tiny_dataset.assign(path=tiny_dataset["path"] + "x"), recipe, tmp_path / "parts")


def test_the_second_task_learns_resumes_and_leaves_a_stock_network(tiny_dataset, recipe, start, tmp_path, monkeypatch):
    teacher, recipe = made_teacher(tiny_dataset), replace(recipe, parts=1.0, weight_decay=0.0, average=0.0)
    keras.utils.set_random_seed(0)  # as training does: the same heads
    new = with_persons(build(start))
    train(tiny_dataset, recipe, tmp_path / "whole", 1, teacher)
    learned = keras.saving.load_model(tmp_path / "whole" / "epoch3.keras")
    for name in HEADS:
        before, after = (model.get_layer(name).get_weights()[0] for model in (new, learned))
        assert before.shape == after.shape and not np.allclose(before, after, atol=1e-4), name

    def stop(path, text, write=trainer.write):
        write(path, text)
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "write", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(tiny_dataset, recipe, tmp_path / "resumed", 1, teacher)
    monkeypatch.undo()
    train(tiny_dataset, recipe, tmp_path / "resumed", 1, teacher)
    one, two = (load(tmp_path / name / "best.keras") for name in ("whole", "resumed"))
    assert [weight.path for weight in one.weights] == [weight.path for weight in load(start).weights]
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(one.get_weights(), two.get_weights(), strict=True))


def test_persons_are_asked_for_as_in_pytorch(tiny_dataset, recipe):
    """Both trainers take the targets of the second task from one function, and the same frames."""
    teacher, rows = made_teacher(tiny_dataset), tiny_dataset[tiny_dataset["split"] == "train"]
    usual, targets = teacher.usual_sizes(), teacher.targets
    data = frames(rows["file"], recipe, 0, 1, targets, poses=teacher.poses, usual=usual)
    x, truth = next(iter(data))
    rgb, _, parts, sizes = FrameDataset(rows["file"], targets, recipe, 0, poses=teacher.poses, usual=usual)[1]
    assert (x[1].numpy() == rgb.numpy()).all() and truth["sizes"][1].numpy() == pytest.approx(sizes.numpy())
    assert truth["middle"][1].numpy() == pytest.approx(np.moveaxis(parts.numpy(), 0, -1))
    coarse = torch.nn.functional.max_pool2d(parts, 2, ceil_mode=True).numpy()
    assert truth["last"][1].numpy() == pytest.approx(np.moveaxis(coarse, 0, -1))
    losses = torch.nn.functional
    for ours, theirs, what in (
        (trainer._spots, partial(losses.binary_cross_entropy_with_logits, pos_weight=torch.tensor(4.0)), "middle"),
        (trainer._sizes, lambda *pair: 2 * losses.smooth_l1_loss(*pair, beta=0.5), "sizes"),
    ):
        answer = tf.random.normal(truth[what].shape, seed=1)
        expected = theirs(*(torch.tensor(value.numpy()) for value in (answer, truth[what])))
        assert float(tf.reduce_mean(ours(truth[what], answer))) == pytest.approx(float(expected), rel=1e-4)


def test_the_head_learns_first_and_then_all_but_the_frozen(tiny_dataset, recipe, start, tmp_path):
    def moved(recipe, name):
        train(tiny_dataset, recipe, tmp_path / name)
        before, after = load(start), load(tmp_path / name / "best.keras")
        pairs = zip(before.weights, after.weights, strict=True)
        return {a.path for a, b in pairs if not np.array_equal(a.numpy(), b.numpy())}

    head = {"predictions/kernel", "predictions/bias"}
    assert moved(replace(recipe, epochs=1), "head") == head
    everything = moved(replace(recipe, epochs=2, head_epochs=0), "all")
    assert everything >= head | {"stem_conv/kernel", "stem_bn/gamma", "stem_bn/moving_mean", "block1a_conv/kernel"}
    fixed = moved(replace(recipe, epochs=2, head_epochs=0, frozen=1), "frozen")
    assert fixed == {name for name in everything if not name.startswith("stem")}
    still = moved(replace(recipe, epochs=2, head_epochs=0, batch_norm=False), "norm")
    assert still == {name for name in everything if "_bn" not in name}


def test_imitation_and_logs(tiny_dataset, recipe, tmp_path):
    seen = []

    def other(batch):
        seen.append(batch)
        return np.tile(np.float32([0.96, 0.01, 0.01, 0.01, 0.01]), (len(batch), 1))

    recipe = replace(recipe, epochs=2, head_epochs=0, distil=1.0, patience=1, lr=0.1)
    history = train(tiny_dataset, recipe, tmp_path / "run", imitate=other, logs=tmp_path / "logs")
    assert seen[0].dtype == np.uint8 and seen[0].shape == (4, 32, 48, 3)
    proba = np.exp(predict_logits(load(tmp_path / "run" / "best.keras"), tiny_dataset, recipe))
    assert (proba.argmax(axis=1) == 0).all() and history["images/s"].min() > 0
    assert list((tmp_path / "logs").glob("events*"))


def test_training_stops_when_val_no_longer_improves(tiny_dataset, recipe, tmp_path, monkeypatch):
    losses = iter([0.5, 0.4, 0.45, 0.46, 0.1])
    monkeypatch.setattr(trainer, "scores", lambda *_: {"val loss": next(losses)})
    history = train(tiny_dataset, replace(recipe, epochs=5, patience=2, head_epochs=0), tmp_path / "run")
    assert history["val loss"].tolist() == [0.5, 0.4, 0.45, 0.46]


def test_two_devices_share_a_batch(tiny_dataset, recipe, tmp_path):
    """In a process of its own, with two virtual processors in the place of GPUs."""
    code = (
        "import sys; from pathlib import Path; from shot_types.training import tensorflow as room; tf = room.tf\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)\n"
        "listed = tf.config.list_logical_devices\n"
        "tf.config.list_logical_devices = lambda kind=None: listed('CPU')\n"
        "mirrored = tf.distribute.MirroredStrategy\n"
        "tf.distribute.MirroredStrategy = lambda: mirrored(['CPU:0', 'CPU:1'])\n"
        "from shot_types.dataset import read_dataset\n"
        "recipe = room.TensorFlowRecipe(initial=sys.argv[2], height=32, width=48, epochs=2, batch_size=4, lr=0.02,\n"
        "    head_epochs=0, batch_norm=False, average=0.5, film_augment=False)\n"
        "print(*room.train(read_dataset(sys.argv[1]), recipe, sys.argv[3])['loss'])\n"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "data"), str(recipe.initial), str(tmp_path / "two")]
    printed = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    one = replace(recipe, epochs=2, head_epochs=0, batch_norm=False, film_augment=False)
    alone = train(tiny_dataset, one, tmp_path / "one")
    assert [float(loss) for loss in printed.stdout.split()] == pytest.approx(alone["loss"].tolist(), rel=0.05)
