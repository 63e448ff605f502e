"""What `make benchmark` compares: variants of a network, as far as they can be told from each other without a clock."""

import numpy as np
import onnx
import pandas as pd
import pytest
from conftest import textured

from tools.benchmark import networks


@pytest.fixture(scope="module")
def found(pytorch_weights, onnx_weights, tmp_path_factory):
    frames = np.stack([textured(96, 160, seed) for seed in range(8)])
    return {one.name: one for one in networks.variants(pytorch_weights, tmp_path_factory.mktemp("variants"), frames)}


@pytest.fixture(scope="module")
def figures(found):
    frames = np.stack([textured(96, 160, seed) for seed in range(40)])
    first = next(iter(found.values())).answer(frames)
    labels = np.array(networks.report.LABELS)[first.argmax(axis=1)]
    table = pd.DataFrame({"label": labels, "source": ["film", "still"] * 20})
    return networks.accuracy(list(found.values()), frames, table)


def test_engines_keep_the_answers_and_shorter_numbers_change_the_probabilities(found, figures):
    frames = np.stack([textured(96, 160, seed) for seed in range(6)])
    shipped, *others = found.values()
    for one in others:
        difference = np.abs(one.answer(frames) - shipped.answer(frames)).max()
        assert (difference > 1e-3) == ("bit" in one.name), one.name
    floats = figures[["bit" not in name for name in figures.index]]
    assert (floats[["equal", "accuracy", "film: equal", "film: accuracy"]] == 1).all(axis=None)
    assert len(floats) >= 4 and (figures["equal"] < 1).any()


def test_shorter_numbers_make_smaller_files(found):
    sizes = {name: one.file.stat().st_size for name, one in found.items()}
    whole = sizes["ONNX Runtime, as shipped"]
    assert sizes["ONNX Runtime, 16-bit floats"] < 0.6 * whole and sizes["ONNX Runtime, 8 bits"] < 0.4 * whole
    assert sizes["ONNX Runtime, 8 bits"] < sizes["ONNX Runtime, 8 bits, delicate layers in float"] < whole


def test_delicate_layers_stay_in_float(found):
    graph = onnx.load(found["ONNX Runtime, 8 bits, delicate layers in float"].file).graph
    scaled = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    floats = [node for node in graph.node if node.op_type == "Conv" and node.input[1] not in scaled]
    gates = [node for node in floats if "fc1" in node.name or "fc2" in node.name]
    assert len(gates) == 16 and len(floats) == 16 + networks.FIRST
