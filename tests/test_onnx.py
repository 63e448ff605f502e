"""Networks without their framework: what `make export` makes, and what answers with it."""

import shutil
import subprocess
import sys

import nbformat
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import ROOT, textured
from PIL import Image
from test_models import run_readme

from shot_types import LABELS, WeightsError, load_classifier
from shot_types.cards import card_path, read_card, write_card
from shot_types.pictures import list_pictures
from tools import export as tool

SHIPPED = [ROOT / "models/mobilenet_v3_large.onnx", ROOT / "models/efficientnet_b0.onnx"]
ABSENT = "not exported yet: `make export` writes {}"
needs_shipped = pytest.mark.skipif(not SHIPPED[0].is_file(), reason=ABSENT.format(SHIPPED[0].name))


def test_graph_alone_gives_the_probabilities_of_pytorch(pytorch_weights, onnx_weights):
    """uint8 RGB in, any number of frames, nothing else needed; the same as the whole way through the package."""
    session = onnxruntime.InferenceSession(str(onnx_weights))
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, taken.shape[1:]) == ("frames", "tensor(uint8)", [96, 160, 3])
    assert (given.name, given.type) == ("probabilities", "tensor(float)")
    frames = np.stack([textured(96, 160, seed) for seed in range(9)])
    expected = load_classifier("pytorch", pytorch_weights).predict_proba(list(frames))
    assert len(set(expected.argmax(axis=1))) > 1
    for batch in (frames, frames[:1], frames[:4]):
        (found,) = session.run(None, {"frames": batch})
        assert found == pytest.approx(expected[: len(batch)], abs=1e-4)
        assert (found.argmax(axis=1) == expected[: len(batch)].argmax(axis=1)).all()


def test_metadata_and_card_say_what_it_is(pytorch_weights, onnx_weights):
    about = onnxruntime.InferenceSession(str(onnx_weights)).get_modelmeta().custom_metadata_map
    weights, card = read_card(pytorch_weights), read_card(onnx_weights)
    assert about["classes"] == ",".join(LABELS) and about["sha256 of the weights"] == weights["sha256"]
    assert (about["height"], about["width"], about["temperature"]) == ("96", "160", "1.5")
    assert card["sha256 of the weights"] == weights["sha256"] and card["exported from"] == pytorch_weights.name
    assert card["sha256"] != weights["sha256"] and card_path(onnx_weights).name == "random.onnx.json"


def test_keras_networks_are_exported_too(tensorflow_weights):
    path, difference = tool.export(tensorflow_weights, count=12)
    assert path == tensorflow_weights.with_suffix(".onnx") and difference <= 1e-4
    frames = [textured(96, 160, seed) for seed in range(6)]
    expected = load_classifier("tensorflow", tensorflow_weights).predict_proba(frames)
    assert np.ptp(expected, axis=0).max() > 0.01
    assert load_classifier("onnx", path).predict_proba(frames) == pytest.approx(expected, abs=1e-4)


def test_a_graph_that_differs_is_not_written(tensorflow_weights, monkeypatch):
    def wrong(classifier, path):
        classifier.card["temperature"] *= 1.1
        tool.tensorflow_graph(classifier, path)
        classifier.card["temperature"] /= 1.1

    monkeypatch.setitem(tool.GRAPHS, "tensorflow", wrong)
    before = {file: file.read_bytes() for file in tensorflow_weights.parent.iterdir()}
    with pytest.raises(ValueError, match=r"random\.onnx: differs from random\.keras by .*; not written"):
        tool.export(tensorflow_weights, count=12)
    assert {file: file.read_bytes() for file in tensorflow_weights.parent.iterdir()} == before


def test_only_weights_of_a_framework_are_exported(onnx_weights):
    with pytest.raises(ValueError, match=r"random\.onnx: only weights of pytorch, tensorflow are exported"):
        tool.export(onnx_weights)


def test_a_graph_for_other_pictures_is_refused(onnx_weights, tmp_path):
    copy = tmp_path / "copy.onnx"
    shutil.copy(onnx_weights, copy)
    write_card(copy, {**read_card(onnx_weights), "height": 144})
    with pytest.raises(WeightsError, match=r"copy\.onnx: .*has frames tensor\(uint8\) \[96, 160, 3\]"):
        load_classifier("onnx", copy)


def test_another_graph_is_refused(onnx_weights, tmp_path):
    """One that takes or gives something else, knows a class less or does not say its temperature."""
    good, path = onnx.load(onnx_weights), tmp_path / "other.onnx"
    for change in ("input", "output", "classes", "temperature"):
        model = onnx.ModelProto.FromString(good.SerializeToString())
        about = {entry.key: entry for entry in model.metadata_props}
        if change == "input":
            model.graph.input[0].name = "pictures"
            model.graph.node.insert(0, onnx.helper.make_node("Identity", ["pictures"], ["frames"]))
        elif change == "output":
            model.graph.output.append(model.graph.output[0])
            model.graph.output[1].name = "more"
            model.graph.node.append(onnx.helper.make_node("Identity", ["probabilities"], ["more"]))
        elif change == "classes":
            about["classes"].value = ",".join(LABELS[1:])
        else:
            model.metadata_props.remove(about["temperature"])
        onnx.save(model, path)
        write_card(path, read_card(onnx_weights))
        with pytest.raises(WeightsError, match=r"other\.onnx: .*make it again with `make export`"):
            load_classifier(weights=path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files_are_those_of_the_shipped_weights(path):
    if not path.is_file():
        pytest.skip(ABSENT.format(path.name))
    card = read_card(path)
    weights = read_card(path.with_name(card["exported from"]))
    assert path.stat().st_size <= 22e6 and card["sha256 of the weights"] == weights["sha256"]
    pictures = [*tool.pictures(6), *list_pictures(ROOT / "examples")]
    assert len({picture.shape for picture in pictures[:6]}) == 6
    expected = load_classifier(weights=path.with_name(card["exported from"])).predict_proba(pictures)
    found = load_classifier("onnx", path).predict_proba(pictures)
    assert found == pytest.approx(expected, abs=1e-4)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@needs_shipped
def test_ten_lines_of_the_models_readme_give_the_answers_of_the_package():
    rows = [line.split() for line in run_readme("onnx").splitlines()]
    classifier, files = load_classifier("onnx"), list_pictures(ROOT / "examples")
    answers = classifier.predict(files)
    decoded_whole = classifier.predict(Image.open(file) for file in files)  # by its path, JPEG is read at reduced size
    for (path, label, confidence), answer, whole in zip(rows, answers, decoded_whole, strict=True):
        assert answer.source.endswith(path) and label == answer.label == whole.label
        assert float(confidence) == pytest.approx(whole.confidence, abs=1e-4)


@needs_shipped
def test_the_light_demo_prints_the_table_of_the_notebook():
    book = nbformat.read(ROOT / "PyTorch_Model_Classifier.ipynb", as_version=4)
    cell = next(cell for cell in book.cells if "table" in cell.metadata.get("tags", ()))
    call = [sys.executable, ROOT / "tools/demo.py", "--light"]
    printed = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    expected, found = ([line.split() for line in text.splitlines()] for text in (cell.outputs[0].text, printed))
    for one, other in zip(expected[1:], found[1:], strict=True):
        assert one[:2] + one[3:] == other[:2] + other[3:]
        assert float(one[2]) == pytest.approx(float(other[2]), abs=0.011)
