"""Cards beside weights: what they say is true, and what they do not is refused by name, whatever the framework."""

import json

import pytest

from shot_types import LABELS, WeightsError, load_classifier
from shot_types.cards import card_path, other_source, write_card
from shot_types.classifier import FRAMEWORKS
from shot_types.files import file_sha256


def test_card_is_complete(classifier, weights):
    assert classifier.card["classes"] == list(LABELS)
    assert classifier.card["sha256"] == file_sha256(weights)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (b"cut", "does not match its card .*cut short"),
        (LFS, "a Git LFS pointer.*git lfs pull"),
        ({"sha256": "0" * 64}, "does not match its card"),
        ({"pad": True}, "pad is True, but every picture is squeezed to size"),
        ({"classes": list(LABELS[1:])}, "classes are .* give weights of"),
        ({"classes": 5}, "classes are 5"),
        ({"height": "96"}, "height, width and temperature are .'96', 160, 1.5.; give numbers above 0"),
        ({"temperature": -1}, "height, width and temperature are"),
        ({"temperature": float("inf")}, "height, width and temperature are"),
        ({"unsure below": "0.5"}, "unsure below is '0.5'; give a confidence from 0 to 1"),
        ({"classes": None, "temperature": 0}, "the card lacks classes, temperature"),
        ("{", "not a JSON card"),
        ("[]", "not a JSON card|lacks"),
        ("{}", "the card lacks network"),
        (None, "no such card"),
    ],
)
@pytest.mark.parametrize("name", FRAMEWORKS.values())
def test_weights_that_cannot_be_used(tmp_path, name, damage, message):
    """Other bytes in the file, other fields in its card, another text as its card, or no card."""
    weights, card = tmp_path / name, card_path(tmp_path / name)
    weights.write_bytes(b"cut short afterwards")
    about = write_card(weights, {"network": "some", "height": 96, "width": 160, "temperature": 1.5})
    if damage is None:
        card.unlink()
    elif isinstance(damage, bytes):
        weights.write_bytes(damage)
    else:
        card.write_text(damage if isinstance(damage, str) else json.dumps(about | damage))
    with pytest.raises(WeightsError if damage else FileNotFoundError, match=message) as caught:
        load_classifier(weights=weights)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


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
