"""The committed notebooks are whole, and each runs headless with other parameters from another folder."""

import ast

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, textured, write_dataset
from nbclient import NotebookClient
from PIL import Image

from shot_types import LABELS, load_classifier

NOTEBOOKS = sorted(path for folder in (ROOT, ROOT / "training") for path in folder.glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]


def read(name):
    return nbformat.read(next(path for path in NOTEBOOKS if path.stem == name), as_version=4)


def run(name, folder, **parameters):
    """Execute a notebook in `folder` with other values in its parameters cell; returns it, executed."""
    book = read(name)
    cell = next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", ()))
    known = {target.id for node in ast.parse(cell.source).body for leaf in node.targets for target in names(leaf)}
    assert set(parameters) <= known, f"not parameters of {name}: {set(parameters) - known}"
    cell.source += "\n" + "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return book


def names(target):
    return target.elts if isinstance(target, ast.Tuple) else [target]


@pytest.mark.parametrize("name", NAMES)
def test_committed_executed_from_top_to_bottom(name):
    code = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert next(path for path in NOTEBOOKS if path.stem == name).stat().st_size < 1.5e6


@pytest.mark.parametrize("name", NAMES)
def test_one_parameters_cell_and_no_path_of_one_machine(name):
    cells = read(name).cells
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in cells) == 1
    assert str(ROOT) not in nbformat.writes(read(name))


def test_pytorch_classifier_on_another_picture_and_weights(tmp_path, pytorch_weights):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(2):
        Image.fromarray(textured(90, 160, number)).save(pictures / f"{number}.jpg")
    book = run(
        "PyTorch_Model_Classifier",
        tmp_path,
        IMAGE=str(pictures / "1.jpg"),
        EXAMPLES=str(pictures),
        WEIGHTS=str(pytorch_weights),
    )
    text = nbformat.writes(book)
    assert "0.jpg" in text and load_classifier("pytorch", pytorch_weights).predict(pictures / "0.jpg").label in text


def test_pytorch_training_on_tiny_data(tmp_path):
    folder = tmp_path / "data"
    rows = write_dataset(folder)
    weights = tmp_path / "models" / "mine.pt"
    run(
        "PyTorch_Model_Training",
        tmp_path,
        DATASET=str(folder),
        INITIAL=None,
        RUNS=str(tmp_path / "runs"),
        WEIGHTS=str(weights),
        HEIGHT=32,
        WIDTH=48,
        STUDY_HEIGHT=32,
        STUDY_WIDTH=48,
        STUDY_SQUARE=32,
        STUDY_EPOCHS=1,
        EPOCHS=1,
        SEEDS=(1, 2),
        WORKERS=0,
    )
    classifier = load_classifier("pytorch", weights)
    table = pd.read_csv(tmp_path / "models" / "mine_test_predictions.csv")
    test = rows[rows["split"] == "test"]
    assert table["path"].tolist() == test["path"].tolist() and table["label"].tolist() == test["label"].tolist()
    proba = classifier.predict_proba([folder / path for path in table["path"]])
    assert table[list(LABELS)].to_numpy() == pytest.approx(proba, abs=1e-4)
    accuracy = np.mean(np.array(LABELS)[proba.argmax(axis=1)] == table["label"])
    assert classifier.card["test"]["accuracy"] == pytest.approx(accuracy, abs=1e-4)
