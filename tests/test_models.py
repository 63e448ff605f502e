"""The shipped weights: loadable as promised, and as good as their card says."""

import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SHOTMIX

from shot_types import LABELS, load_classifier, report
from shot_types.classifier import FRAMEWORKS, MODELS
from shot_types.dataset import measured, read_dataset
from shot_types.pictures import list_pictures
from shot_types.training.probe import read_none
from tools import figures

NETWORKS = {"mobilenet_v3_large": "pytorch", "efficientnet_b0": "tensorflow"}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    return request.param


@pytest.fixture(scope="module")
def card(network):
    return json.loads((ROOT / f"models/{network}.json").read_text())


@pytest.fixture(scope="module")
def predictions(network):
    return pd.read_csv(ROOT / f"models/{network}_test_predictions.csv")


def run_readme(framework):
    """What the Python lines of models/README.md for one framework print."""
    imports = {"pytorch": "torch", "tensorflow": "keras", "onnx": "onnxruntime"}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "models/README.md").read_text(), flags=re.S)
    others = [word for name, word in imports.items() if name != framework]
    code = "\n".join(block for block in blocks if not any(word in block for word in others))
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("framework", "size"), [("pytorch", 18e6), ("tensorflow", 20e6)])
def test_the_lines_of_the_models_readme_run_and_agree_with_the_package(framework, size):
    """They take the stock network of the framework, and nothing of this package."""
    label, confidence = run_readme(framework).split()
    assert (MODELS / FRAMEWORKS[framework]).stat().st_size <= size
    answer = load_classifier(framework).predict(ROOT / "examples/astronaut_medium.jpg")
    assert label == answer.label and float(confidence) == pytest.approx(answer.confidence, abs=0.05)


def test_card_figures_follow_from_the_shipped_predictions(card, predictions):
    proba = predictions[list(LABELS)].to_numpy()
    assert proba.sum(axis=1) == pytest.approx(np.ones(len(predictions)), abs=1e-4)
    scores = report.summary(predictions["label"], proba)
    assert card["test"]["frames"] == len(predictions)
    for name, value in scores.items():
        assert card["test"][name] == pytest.approx(value, abs=1e-4)
    assert report.expected_calibration_error(predictions["label"], proba) <= 0.05


@pytest.mark.parametrize("page", figures.PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_tables_of_the_pages_follow_from_cards_and_predictions(page):
    text = page.read_text()
    assert text.count("<!-- figures: ") >= 2 and figures.filled(text) == text, "`make figures` mends it"


@pytest.mark.shotmix
def test_shipped_predictions_are_those_of_the_shipped_weights(network, predictions):
    """Each row is a measured test frame with its label; a sample of them is answered anew."""
    table = measured(read_dataset(SHOTMIX), "test").set_index("path").reindex(predictions["path"])
    assert predictions["path"].is_unique and table["label"].tolist() == predictions["label"].tolist()
    some = np.random.default_rng(0).choice(len(table), 120, replace=False)
    proba = load_classifier(NETWORKS[network]).predict_proba(table["file"].iloc[some])
    assert proba == pytest.approx(predictions[list(LABELS)].to_numpy()[some], abs=2e-3)


def test_the_probe_is_of_these_weights_and_its_shares_follow_from_its_counts(network):
    probe = json.loads((ROOT / f"models/{network}_probe.json").read_text())
    assert probe["sha256 of the weights"] == json.loads((ROOT / f"models/{network}.json").read_text())["sha256"]
    scores = [*probe["val"].values(), *probe["test"].values(), probe["examples"]]
    for score in scores:
        assert score["share"] == pytest.approx(score["taken for none"] / score["of"], abs=1e-4)
    assert probe["test"]["shots"]["share"] <= 0.01 and probe["examples"]["taken for none"] == 0


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow", "onnx"])
def test_a_title_card_is_no_shot_and_the_examples_are_shots(framework):
    card = np.zeros((360, 640, 3), np.uint8)
    for line, text in enumerate(("A FILM", "by nobody")):
        cv2.putText(card, text, (200, 170 + 60 * line), cv2.FONT_HERSHEY_DUPLEX, 1.5, (230, 230, 230), 2)
    title, *shots = load_classifier(framework).predict([card, *list_pictures(ROOT / "examples")])
    assert title.is_shot < 0.5 and len(shots) == 9 and all(answer.is_shot > 0.5 for answer in shots)


@pytest.mark.shotmix
def test_places_without_a_shot_are_found_as_the_probe_says(network):
    places = read_none(SHOTMIX).query("split == 'test'")["file"].tolist()
    _, is_shot = load_classifier(NETWORKS[network]).predict_arrays(places)
    found = json.loads((ROOT / f"models/{network}_probe.json").read_text())["test"]["places"]
    assert len(places) == found["of"] and abs((is_shot < 0.5).sum() - found["taken for none"]) <= 1  # rounding


def test_examples_are_credited_and_labelled():
    credits = (ROOT / "examples/CREDITS.md").read_text()
    labels = pd.read_csv(ROOT / "examples/labels.csv").set_index("path")["label"]
    pictures = {path.name for path in (ROOT / "examples").glob("*.jpg")}
    assert pictures == set(labels.index) and set(labels) == set(LABELS)
    assert all(name in credits for name in (*pictures, "clip.mp4"))
