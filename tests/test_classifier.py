"""One interface, whatever the framework: every test here runs for each of them."""

import importlib
import itertools
import pickle
import re
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import textured
from PIL import Image

from shot_types import LABELS, SCALE, FrameError, WeightsError, load_classifier
from shot_types.__main__ import main
from shot_types.cards import read_card, write_card
from shot_types.classifier import FRAMEWORKS, choose_framework, softmax
from shot_types.files import file_sha256
from shot_types.pictures import load_frame, read_image
from tools.export import export


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(7):
        Image.fromarray(textured(120, 200, number)).save(folder / f"{number}.jpg")
    return folder


def test_path_picture_and_array_give_one_answer(classifier, picture):
    by_path = classifier.predict(str(picture))
    assert by_path.label in LABELS and by_path.source == str(picture) and by_path.error is None
    assert tuple(by_path.probabilities) == SCALE
    assert sum(by_path.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert by_path.confidence == max(by_path.probabilities.values()) == by_path.probabilities[by_path.label]
    for other in (picture, Image.open(picture), read_image(picture)):
        answer = classifier.predict(other)
        assert answer.probabilities == pytest.approx(by_path.probabilities, abs=1e-4)


def test_list_generator_and_folder_give_a_list_in_order(classifier, folder):
    files = sorted(folder.iterdir())
    answers = classifier.predict(files)
    assert [answer.source for answer in answers] == [str(file) for file in files]
    assert len({answer.confidence for answer in answers}) > 1
    for xs in (folder, str(folder), (file for file in files), tuple(read_image(file) for file in files)):
        for answer, expected in zip(classifier.predict(xs), answers, strict=True):
            assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
    assert classifier.predict([]) == []


def test_predict_proba_has_the_columns_of_labels(classifier, folder):
    proba = classifier.predict_proba(folder)
    assert proba.shape == (7, 5) and proba.dtype == np.float32
    assert proba.sum(axis=1) == pytest.approx(np.ones(7), abs=1e-5)
    answers = classifier.predict(folder)
    assert [LABELS[column] for column in proba.argmax(axis=1)] == [answer.label for answer in answers]
    assert classifier.predict_proba([]).shape == (0, 5)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_do_not_change_answers(classifier, folder, batch_size):
    alone = [classifier.predict(file) for file in sorted(folder.iterdir())]
    for answer, expected in zip(classifier.predict_iter(folder, batch_size), alone, strict=True):
        assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-5)


def test_predict_iter_reads_only_a_few_batches_ahead(classifier):
    taken = 0

    def endless():
        nonlocal taken
        for taken in itertools.count(1):
            yield textured(64, 96, taken % 5)

    answers = classifier.predict_iter(endless(), batch_size=4)
    for _ in range(10):
        next(answers)
    answers.close()
    assert taken <= 24


def test_temperature_of_the_card_is_applied(classifier, weights, tmp_path, framework, picture):
    copy = tmp_path / weights.name
    shutil.copy(weights, copy)
    write_card(copy, {**read_card(weights), "temperature": 0.3})
    sharp = load_classifier(framework, copy).predict(picture)
    logits = np.log(classifier.predict_proba(picture).astype(float)) * classifier.card["temperature"]
    expected = softmax(logits, 0.3)[0]
    assert [sharp.probabilities[label] for label in LABELS] == pytest.approx(expected.tolist(), abs=1e-3)


def test_bad_files_raise_or_are_skipped_by_name(classifier, folder):
    (folder / "3b.jpg").write_text("not a picture")
    (folder / "5b.jpg").write_bytes((folder / "5.jpg").read_bytes()[:700])
    files = [*sorted(folder.iterdir()), folder / "gone.jpg", 12]
    with pytest.raises(FrameError, match=r"3b\.jpg"):
        classifier.predict(files)
    answers = list(classifier.predict_iter(files, batch_size=4, on_error="skip"))
    failed = [answer for answer in answers if answer.label is None]
    assert len(answers) == 11 and len(failed) == 4
    reasons = ("3b.jpg: not a picture", "5b.jpg: the picture is damaged", "gone.jpg", "int")
    for answer, word in zip(failed, reasons, strict=True):
        assert word in answer.error and answer.confidence is None and answer.probabilities is None
    assert all(answer.label for answer in answers[:3])
    with pytest.raises(FileNotFoundError, match="gone"):
        classifier.predict(folder / "gone.jpg")
    with pytest.raises(ValueError, match="on_error"):
        list(classifier.predict_iter(files, on_error="ignore"))
    with pytest.raises(ValueError, match="batch_size"):
        list(classifier.predict_iter(files, batch_size=0))


@pytest.mark.parametrize("wrong", ["", None, 5, b"a.jpg", np.zeros(3)])
def test_what_is_no_picture_is_one_error(classifier, wrong):
    with pytest.raises(FrameError, match=r"give a path|path is empty"):
        classifier.predict(wrong)


def test_files_of_a_folder_that_are_left_out_are_named(classifier, folder):
    (folder / "notes.txt").touch()
    for ask in (classifier.predict, lambda folder: list(classifier.predict_iter(folder))):
        with pytest.warns(UserWarning, match=r"files left out.*: 1 \.txt"):
            assert len(ask(folder)) == 7


def test_unknown_framework_and_missing_weights(tmp_path, framework):
    with pytest.raises(WeightsError, match="'caffe' is unknown; use one of pytorch"):
        load_classifier("caffe")
    with pytest.raises(FileNotFoundError, match=r"gone\.pt: no such weights file"):
        load_classifier(framework, tmp_path / "gone.pt")


def test_cut_short_weights_with_a_fresh_card(tmp_path, framework, weights):
    copy = tmp_path / weights.name
    copy.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    write_card(copy, read_card(weights))
    with pytest.raises(WeightsError, match="not the weights of a five-class"):
        load_classifier(framework, copy)


def test_training_and_serving_see_identical_pixels(classifier, picture, monkeypatch):
    """The network in service receives bit for bit what `load_frame` gives to training."""
    received = []
    network = classifier.network
    monkeypatch.setattr(classifier, "network", lambda batch: received.append(batch) or network(batch))
    classifier.predict(picture)
    list(classifier.predict_iter([picture, picture]))
    expected = load_frame(picture, classifier.card["height"], classifier.card["width"])
    assert all((frame == expected).all() for batch in received for frame in batch) and len(received) == 2


def saved(kind, path):
    """A file that someone may take for weights, of the `kind` that they saved."""
    if kind == "Keras model with a Lambda layer":
        from shot_types.tensorflow import keras

        picture = keras.layers.Input((None, None, 3))
        x = keras.layers.Lambda(lambda value: value * 2)(keras.layers.GlobalAveragePooling2D()(picture))
        keras.Model(picture, keras.layers.Dense(5)(x), name="efficientnet_b0").save(path)
        return "efficientnet_b0", "it holds code of its own, which is never run; save a model of stock layers"
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU())
    if kind == "TorchScript":
        torch.jit.script(network).save(path)
    else:
        torch.save({"model": network, "checkpoint": {"epoch": 3, "state_dict": network.state_dict()}}[kind], path)
    return "mobilenet_v3_large", "not a state dict; write one with torch.save(model.state_dict(), path)"


KINDS = {"model": ".pt", "TorchScript": ".pt", "checkpoint": ".pt", "Keras model with a Lambda layer": ".keras"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_what_is_no_state_dict_or_holds_code_is_refused_as_a_start_and_as_weights(tmp_path, kind):
    path = tmp_path / f"own{KINDS[kind]}"
    network, reason = saved(kind, path)
    room = importlib.import_module(f"shot_types.{choose_framework(path)}")
    write_card(path, {"network": network, "height": 96, "width": 160, "temperature": 1.0})
    for use in (room.build, lambda path: load_classifier(weights=path)):
        with pytest.raises(ValueError, match=re.escape(reason)) as caught:
            use(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ") and message.count(str(path)) == 1 and "\n" not in message
        assert caught.value.__cause__ is not None


class Code:
    """Pickled, it is a call that makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("where", ["alone", "in a state dict", "in an archive"])
def test_a_pickle_is_never_run(tmp_path, where, pytorch_weights):
    """Whatever framework it is given to, also as a start."""
    made, path = tmp_path / "made", tmp_path / "own.pt"
    if where == "alone":
        path.write_bytes(pickle.dumps(Code(made), protocol=2))
    else:
        state = torch.load(pytorch_weights, weights_only=True) | {"code": Code(made)}
        torch.save(state, path, _use_new_zipfile_serialization=where == "in an archive")
    for name in FRAMEWORKS.values():
        copy = path.with_suffix(Path(name).suffix)
        if copy != path:
            shutil.copy(path, copy)
        write_card(copy, {"network": "some", "height": 96, "width": 160, "temperature": 1.0})
        with pytest.raises(
            WeightsError, match=rf"{copy.name}: not the weights of a five-class some \(.*\); get them again"
        ):
            load_classifier(weights=copy)
        room = importlib.import_module(f"shot_types.{choose_framework(copy)}")
        if hasattr(room, "build"):
            with pytest.raises(ValueError, match=copy.name):
                room.build(copy)
    assert not made.exists()


@pytest.mark.parametrize("other", [".pt", ".keras", ".onnx"])
def test_weights_of_another_framework(framework, tmp_path, other):
    """Told by the ending, before a card is looked for; a text with the right ending is refused as what it is."""
    path = tmp_path / f"own{other}"
    path.write_text("to do: train")
    if choose_framework(path) != framework:
        said = rf"own{other}: weights for {choose_framework(path)}, by its ending; leave out framework '{framework}'"
    else:
        write_card(path, {"network": "some", "height": 96, "width": 160, "temperature": 1.0})
        said = rf"own{other}: not the weights of a five-class some \("
    with pytest.raises(WeightsError, match=said) as caught:
        load_classifier(framework, path)
    assert str(caught.value).count(str(path)) == 1 and "\n" not in str(caught.value)


def test_an_empty_path_to_weights(framework):
    with pytest.raises(WeightsError, match="weights is an empty path"):
        load_classifier(framework, "")


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32, bool])
def test_arrays_of_other_numbers_are_refused(classifier, kind):
    rgb = textured(64, 96).astype(kind)
    for xs in (rgb, rgb[None], [rgb]):
        with pytest.raises(FrameError, match=rf"expected a uint8 RGB array .* got {np.dtype(kind)}"):
            classifier.predict(xs)


def test_a_start_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.pt: no such weights file; check the path"):
        importlib.import_module("shot_types.pytorch").build(tmp_path / "gone.pt")


@pytest.fixture
def models(tmp_path, onnx_weights, pytorch_weights, monkeypatch):
    """A folder like `models`, in which the ONNX file was made from the PyTorch weights beside it."""
    for path, name in ((onnx_weights, "onnx"), (pytorch_weights, "pytorch")):
        copy = tmp_path / FRAMEWORKS[name]
        shutil.copy(path, copy)
        write_card(copy, {**read_card(path), "exported from": FRAMEWORKS["pytorch"]})
    monkeypatch.setattr("shot_types.classifier.MODELS", tmp_path)
    return tmp_path


def put_other_weights(models):
    """What a user does: own weights and their card in the place of the shipped ones. Returns their path."""
    path = models / FRAMEWORKS["pytorch"]
    state = torch.load(path, weights_only=True)
    state["classifier.3.bias"] = state["classifier.3.bias"] + torch.tensor([0.0, 0, 0, 20, 0])  # all is LS
    torch.save(state, path)
    write_card(path, {"network": "mobilenet_v3_large", "height": 96, "width": 160, "temperature": 1.5})
    return path


def test_new_weights_answer_at_once_until_they_are_exported(models, picture):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_framework() == "onnx" and load_classifier().predict(picture).label != "LS"
    path = put_other_weights(models)
    said = r"mobilenet_v3_large\.onnx: made from other weights than mobilenet_v3_large\.pt beside it.*`make export`"
    with pytest.warns(UserWarning, match=said + " mends it") as caught:
        classifier = load_classifier()
    assert len(caught) == 1 and caught[0].filename == __file__
    assert classifier.predict(picture).label == "LS" and classifier.card["sha256"] == file_sha256(path)
    with pytest.warns(UserWarning, match=said):
        assert load_classifier("onnx").predict(picture).label != "LS"
    export(path, count=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_framework() == "onnx" and load_classifier().predict(picture).label == "LS"


def test_new_weights_without_their_framework_are_one_error(models, monkeypatch):
    put_other_weights(models)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(WeightsError, match=r"which take PyTorch; run `make export` where .* pip install torch"):
        load_classifier()


@pytest.mark.filterwarnings("default::UserWarning")
def test_the_command_line_says_so_in_one_line(models, picture, capsys):
    put_other_weights(models)
    assert main(["classify", str(picture)]) == 0
    printed = capsys.readouterr()
    assert "LS 1" in printed.out.replace(", ", "\n").splitlines()
    (line,) = printed.err.splitlines()
    assert line.startswith("shot_types: ") and line.endswith("so PyTorch answers; `make export` mends it")


def test_weights_tell_their_framework_and_onnx_comes_first(monkeypatch, tmp_path):
    for name, framework in (("my.onnx", "onnx"), ("my.pt", "pytorch"), ("my.keras", "tensorflow"), ("my", "pytorch")):
        assert choose_framework(tmp_path / name) == framework
    monkeypatch.setattr("shot_types.classifier.MODELS", tmp_path)
    assert choose_framework() == "pytorch"
    (tmp_path / "mobilenet_v3_large.onnx").touch()
    assert choose_framework() == "onnx"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert choose_framework() == "pytorch"


def test_a_picture_that_is_closed_or_damaged_in_memory_is_named(classifier, folder):
    closed, broken = (Image.open(folder / name) for name in ("0.jpg", "1.jpg"))
    closed.load()
    closed.close()
    broken.fp.close()
    answers = list(classifier.predict_iter([closed, broken, folder / "2.jpg"], on_error="skip"))
    assert all("jpg: the picture is damaged or closed (" in answer.error for answer in answers[:2])
    assert answers[2].label
