"""Cards beside weights: what they say is true, and what they do not is refused by name, whatever the framework."""

import json
import shutil

import pytest

from shot_types import LABELS, WeightsError, load_classifier
from shot_types.cards import card_path, other_source, write_card
from shot_types.files import file_sha256


def test_card_is_complete(classifier, weights):
    assert classifier.card["classes"] == list(LABELS)
    assert classifier.card["sha256"] == file_sha256(weights)


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
        (damage(card={"pad": True}), WeightsError, "pad is True, but every picture is squeezed to size"),
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


def test_two_files_of_one_name_have_a_card_each(tmp_path):
    names = {"net.pt": "net.json", "net.keras": "net.json", "net.onnx": "net.onnx.json"}
    assert {name: card_path(tmp_path / name).name for name in names} == names


def test_an_onnx_file_knows_the_weights_that_it_was_made_from(tmp_path):
    net, source = tmp_path / "net.onnx", tmp_path / "net.pt"
    net.write_text("graph")
    assert other_source(net) is None  # no card
    card_path(net).write_text("[]")
    assert other_source(net) is None  # none that can be read
    source.write_text("weights")
    write_card(net, {"exported from": source.name, "sha256 of the weights": file_sha256(source)})
    assert other_source(net) is None
    source.write_text("others")
    assert other_source(net) == source
    source.unlink()
    assert other_source(net) is None
