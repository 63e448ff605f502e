"""One interface, whatever the framework: every test here runs for each of them."""

import itertools
import json
import shutil
import sys

import numpy as np
import pytest
from conftest import textured
from PIL import Image

from shot_types import LABELS, SCALE, FrameError, WeightsError, load_classifier
from shot_types.cards import card_path, read_card, write_card
from shot_types.classifier import choose_framework, softmax
from shot_types.files import file_sha256
from shot_types.pictures import load_frame, read_image


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


def test_card_is_complete(classifier, weights):
    assert classifier.card["classes"] == list(LABELS)
    assert classifier.card["sha256"] == file_sha256(weights)


def test_unknown_framework_and_missing_weights(tmp_path, framework):
    with pytest.raises(WeightsError, match="'caffe' is unknown; use one of pytorch"):
        load_classifier("caffe")
    with pytest.raises(FileNotFoundError, match=r"gone\.pt: no such weights file"):
        load_classifier(framework, tmp_path / "gone.pt")


def damage(card=None, content=None, drop_card=False):
    def apply(path):
        if content is not None:
            path.write_bytes(content(path.read_bytes()))
        if card is not None:
            beside = card_path(path)
            beside.write_text(json.dumps({**json.loads(beside.read_text()), **card}))
        if drop_card:
            card_path(path).unlink()

    return apply


@pytest.mark.parametrize(
    ("apply", "error", "message"),
    [
        (damage(content=lambda data: data[:5000]), WeightsError, "does not match its card .*cut short"),
        (
            damage(content=lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
            WeightsError,
            "a Git LFS pointer.*git lfs pull",
        ),
        (damage(card={"sha256": "0" * 64}), WeightsError, "does not match its card"),
        (damage(card={"classes": ["A", "B"]}), WeightsError, "classes are"),
        (damage(card={"classes": None, "temperature": 0}), WeightsError, "the card lacks classes, temperature"),
        (damage(drop_card=True), FileNotFoundError, "no such card"),
    ],
)
def test_weights_that_cannot_be_used(tmp_path, framework, weights, apply, error, message):
    copy = tmp_path / weights.name
    shutil.copy(weights, copy)
    shutil.copy(card_path(weights), card_path(copy))
    apply(copy)
    with pytest.raises(error, match=message) as caught:
        load_classifier(framework, copy)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_card_that_is_no_card(tmp_path, framework, weights):
    copy = tmp_path / weights.name
    shutil.copy(weights, copy)
    for text, message in (("{", "not a JSON card"), ("[]", "not a JSON card|lacks"), ("{}", "the card lacks network")):
        card_path(copy).write_text(text)
        with pytest.raises(WeightsError, match=message):
            load_classifier(framework, copy)


def test_cut_short_weights_with_a_fresh_card(tmp_path, framework, weights):
    copy = tmp_path / weights.name
    copy.write_bytes(weights.read_bytes()[:100_000])
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


def test_weights_tell_their_framework_and_onnx_comes_first(monkeypatch, tmp_path):
    for name, framework in (("my.onnx", "onnx"), ("my.pt", "pytorch"), ("my.keras", "tensorflow"), ("my", "pytorch")):
        assert choose_framework(tmp_path / name) == framework
    monkeypatch.setattr("shot_types.classifier.MODELS", tmp_path)
    assert choose_framework() == "pytorch"
    (tmp_path / "mobilenet_v3_large.onnx").touch()
    assert choose_framework() == "onnx"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert choose_framework() == "pytorch"
