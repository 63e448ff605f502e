"""The card beside each weights file, a JSON file: what the weights are, what they take, and their checksum."""

import json
import math
from pathlib import Path

from .files import file_sha256, write
from .labels import LABELS

CARD_FIELDS = ("network", "classes", "height", "width", "temperature", "sha256")


class WeightsError(ValueError):
    """Weights or a card that cannot be used; the message names the file and says what to do."""


def card_path(weights: str | Path) -> Path:
    """Where the card of a weights file is: net.json for net.pt, but net.onnx.json for a net.onnx made from it."""
    weights = Path(weights)
    return weights.with_suffix(".onnx.json" if weights.suffix == ".onnx" else ".json")


def read_card(weights: str | Path) -> dict:
    """The card of a weights file as a dict, after checking that the two belong together.

    It has CARD_FIELDS at least: `height` and `width` in pixels, `classes` in the order of LABELS, and `temperature`,
    by which logits are divided before softmax. Raises FileNotFoundError or WeightsError, naming the file.
    """
    weights = Path(weights)
    if not weights.is_file():
        raise FileNotFoundError(f"{weights}: no such weights file; the training notebook writes one")
    with weights.open("rb") as file:
        if file.read(40).startswith(b"version https://git-lfs"):
            raise WeightsError(f"{weights}: a Git LFS pointer, not the weights; run `git lfs pull`")
    path = card_path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such card; it lies beside the weights, `write_card` makes one")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        missing = [field for field in CARD_FIELDS if not card.get(field)]
    except (ValueError, AttributeError) as error:
        raise WeightsError(f"{path}: not a JSON card; get it again with its weights") from error
    if missing:
        raise WeightsError(f"{path}: the card lacks {', '.join(missing)}; get it again with its weights")
    if card["classes"] != list(LABELS):
        raise WeightsError(f"{path}: classes are {card['classes']}; give weights of {list(LABELS)}, in this order")
    sizes, temperature = (card["height"], card["width"]), card["temperature"]
    if not all(isinstance(size, int) and size > 0 for size in sizes) or not (
        isinstance(temperature, int | float) and 0 < temperature < math.inf
    ):
        raise WeightsError(f"{path}: height, width and temperature are {(*sizes, temperature)}; give numbers above 0")
    if not isinstance(unsure := card.get("unsure below", 0), int | float) or not 0 <= unsure <= 1:
        raise WeightsError(f"{path}: unsure below is {unsure!r}; give a confidence from 0 to 1, or leave it out")
    if card.get("pad"):
        raise WeightsError(f"{path}: pad is {card['pad']}, but every picture is squeezed to size; train without it")
    if card["sha256"] != file_sha256(weights):
        raise WeightsError(
            f"{weights}: does not match its card {path.name}: cut short, changed or of another run; get both again"
        )
    return card


def write_card(weights: str | Path, card: dict) -> dict:
    """Write `card` beside `weights`, with the class order and the sha256 filled in; returns the whole card."""
    weights = Path(weights)
    card = {**card, "classes": list(LABELS), "sha256": file_sha256(weights)}
    write(card_path(weights), json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    return card


def other_source(path: Path) -> Path | None:
    """The weights beside an ONNX file which its card names and it was not made from; None where there are none.

    Light and wheel installs have ONNX files without those weights: None too, as for a card that says nothing.
    """
    try:
        card = json.loads(card_path(path).read_text(encoding="utf-8"))
        source, made_from = path.with_name(card["exported from"]), card["sha256 of the weights"]
    except (OSError, ValueError, KeyError, TypeError):  # `read_card` says what is wrong with it
        return None
    return source if source.is_file() and file_sha256(source) != made_from else None
