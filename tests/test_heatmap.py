"""Heat maps: over the right place of the picture, and what the network itself says."""

import json
import zipfile

import numpy as np
import pytest
import torch
from conftest import ROOT, textured

from shot_types import LABELS, load_classifier
from shot_types.__main__ import main
from shot_types.classifier import Classifier
from shot_types.heatmap import heat_map
from shot_types.pictures import load_frame
from shot_types.pytorch import to_input


class OneCell:
    """A network whose answers rest on the second of three rows, the last of five columns."""

    def heat(self, batch, answer):
        assert batch.dtype == np.uint8 and batch.shape == (1, 96, 160, 3)
        heat = np.zeros((1, 3, 5), np.float32)
        heat[0, 1, 4] = 7
        return heat


def test_colour_lies_where_the_heat_is():
    classifier = Classifier(OneCell(), {"height": 96, "width": 160})
    shown = heat_map(classifier, textured(360, 600), "MS")
    assert shown.shape == (360, 600, 3) and shown.dtype == np.uint8
    saturation = np.ptp(shown.astype(int), axis=2)
    assert saturation[140:220, 540:].min() > 60
    assert saturation[:, :300].max() == 0  # grey, as the picture is


def test_bars_are_cut_off_and_large_pictures_made_smaller():
    classifier = Classifier(OneCell(), {"height": 96, "width": 160})
    picture = textured(540, 960)
    barred = np.pad(picture, ((90, 90), (0, 0), (0, 0)))
    shown = heat_map(classifier, barred, "MS")
    assert shown.shape[0] == 360 and shown.shape[1] == pytest.approx(640, abs=5)
    small = heat_map(classifier, textured(90, 60), "MS")
    assert small.shape == (90, 60, 3)


def test_pytorch_heat_is_grad_cam(pytorch_weights, picture):
    """Beside the definition of the paper, written out: activations, weighted by the mean of their gradients."""
    network = load_classifier("pytorch", pytorch_weights).network
    batch = np.stack([load_frame(picture, 96, 160), textured(96, 160, 3)])
    for answer in range(len(LABELS)):
        inside = network.network
        maps = inside.features(to_input(torch.tensor(batch)))
        logits = inside.classifier(inside.avgpool(maps).flatten(1))
        (gradient,) = torch.autograd.grad(logits[:, answer].sum(), maps)
        expected = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).relu().detach().numpy()
        heat = network.heat(batch, answer)
        assert heat.shape == (2, 3, 5) and heat == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_tensorflow_heat_sums_up_to_the_logit(start):
    """Average pooling and one layer follow: each cell's share of a logit is its activations times the kernel."""
    from shot_types.tensorflow import Network, keras

    network = Network(start, {})
    batch = np.stack([textured(96, 160, seed) for seed in range(2)])
    inside = keras.Model(network.model.input, network.model.get_layer("top_activation").output)
    maps = inside(batch, training=False).numpy()
    kernel, bias = network.model.layers[-1].get_weights()
    shares = maps @ kernel / (maps.shape[1] * maps.shape[2])
    assert shares.sum(axis=(1, 2)) + bias == pytest.approx(network(batch), abs=1e-3)
    for answer in range(len(LABELS)):
        heat = network.heat(batch, answer)
        assert heat == pytest.approx(np.maximum(shares[..., answer], 0), rel=1e-3, abs=1e-6)
    assert shares.max() > 1e-4


def test_the_shipped_network_pools_what_heat_maps_look_at():
    with zipfile.ZipFile(ROOT / "models/efficientnet_b0.keras") as file:
        layers = {layer["name"]: layer for layer in json.loads(file.read("config.json"))["config"]["layers"]}
    (node,) = layers["avg_pool"]["inbound_nodes"]
    assert node["args"][0]["config"]["keras_history"][0] == "top_activation"


def test_onnx_has_none(onnx_weights, picture, tmp_path, capsys):
    call = ["classify", str(picture), "--weights", str(onnx_weights), "--heatmaps", str(tmp_path / "maps")]
    assert main(call) == 1
    assert "use framework pytorch or tensorflow" in capsys.readouterr().err


def test_command_line_writes_one_a_picture(pytorch_weights, picture, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_text("not a picture")
    maps = tmp_path / "new" / "maps"
    call = ["classify", str(broken), str(picture), str(picture), "--heatmaps", str(maps)]
    assert main([*call, "--weights", str(pytorch_weights)]) == 1
    label = load_classifier("pytorch", pytorch_weights).predict(picture).label
    assert sorted(file.name for file in maps.iterdir()) == [f"000{n}_picture_{label}.jpg" for n in (2, 3)]
