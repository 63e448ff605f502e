"""The committed notebooks are whole, and each runs headless with other parameters from another folder."""

import ast
import re
import runpy
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, textured, write_movieshots, write_video
from nbclient import NotebookClient
from PIL import Image

from shot_types import LABELS, load_classifier, report
from shot_types.dataset import measured, read_dataset

NOTEBOOKS = sorted(path for folder in (ROOT, ROOT / "training") for path in folder.glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]


def read(name):
    return nbformat.read(next(path for path in NOTEBOOKS if path.stem == name), as_version=4)


def run(name, folder, **parameters):
    """Execute a notebook in `folder` with other values in its parameters cell; returns it, executed."""
    book = read(name)
    cell, known = parameters_cell(book)
    assert set(parameters) <= known, f"not parameters of {name}: {set(parameters) - known}"
    cell.source += "\n" + "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    NotebookClient(book, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return book


def parameters_cell(book):
    """The cell tagged `parameters`, and the names it sets."""
    cell = next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", ()))
    return cell, {target.id for node in ast.parse(cell.source).body for leaf in node.targets for target in names(leaf)}


def printed(book):
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")


def names(target):
    return target.elts if isinstance(target, ast.Tuple) else [target]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_committed_executed_from_top_to_bottom_and_knows_no_path_of_one_machine(path):
    cells = read(path.stem).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in cells) == 1
    assert path.stat().st_size < 1.5e6 and str(ROOT) not in path.read_text()


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])  # ONNX has no notebook
def test_classifier_on_another_picture_and_weights(tmp_path, framework, request):
    weights = request.getfixturevalue(f"{framework}_weights")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(2):
        Image.fromarray(textured(90, 160, number)).save(pictures / f"{number}.jpg")
    book = run(
        {"pytorch": "PyTorch_Model_Classifier", "tensorflow": "TF_Model_Classifier"}[framework],
        tmp_path,
        IMAGE=str(pictures / "1.jpg"),
        EXAMPLES=str(pictures),
        WEIGHTS=str(weights),
    )
    text = nbformat.writes(book)
    assert "0.jpg" in text and load_classifier(framework, weights).predict(pictures / "0.jpg").label in text


TINY = {"HEIGHT": 32, "WIDTH": 56, "EPOCHS": 1, "SEEDS": (1, 2), "WORKERS": 0}


def test_pytorch_training_without_a_data_set_shows_the_way(tmp_path):
    weights = tmp_path / "models" / "ours.pt"
    study = {"COMPARE": True, "STUDY_HEIGHT": 32, "STUDY_WIDTH": 56, "STUDY_SEEDS": (1, 2), "SHOW_PICTURES": True}
    book = run(
        "PyTorch_Model_Training",
        tmp_path,
        **{"DATASET": str(tmp_path / "nothing"), "RUNS": str(tmp_path / "runs"), "WEIGHTS": str(weights)},
        **TINY,
        **study,
    )
    text = printed(book)
    assert "No data set at nothing: a small one is made from examples/" in text
    assert "mirroring only" in "".join(str(cell.outputs) for cell in book.cells if cell.cell_type == "code")
    before, _, after = (float(part.split()[-1]) for part in re.search("loss before.*", text)[0].split(", "))
    assert after < before
    assert not weights.exists()  # those of real data are left alone
    weights = tmp_path / "runs" / "without_data" / "ours.pt"
    table = read_dataset(tmp_path / "runs" / "without_data" / "examples")
    check_results(load_classifier("pytorch", weights), weights, table)
    assert load_classifier("pytorch", weights).card["temperature note"]  # six frames are few, and the card says so
    assert re.search("The new weights (beat|do not beat) the shipped ones", text)


def check_results(classifier, weights, table):
    """The test predictions beside new weights are theirs, and the figures in the card follow."""
    test = measured(table, "test")
    written = pd.read_csv(weights.with_name(weights.stem + "_test_predictions.csv"), dtype={"group": str})
    assert (written[["path", "label", "group"]] == test[["path", "label", "group"]]).to_numpy().all()
    proba = classifier.predict_proba(test["file"])
    assert written[list(LABELS)].to_numpy() == pytest.approx(proba, abs=1e-4)
    accuracy = np.mean(np.array(LABELS)[proba.argmax(axis=1)] == test["label"])
    assert classifier.card["test"]["accuracy"] == pytest.approx(accuracy, abs=1e-4)


def test_from_movieshots_as_published_to_the_report(tmp_path, start, pytorch_weights):
    """Where no shot is an extreme close-up, all the way to the report, which shows that class as absent."""
    some = [label for label in LABELS if label != "ECS"]
    shots = write_movieshots(tmp_path / "movieshots", films=12, shots=2, labels=some)
    shots = shots.set_index(["movie", "shot"])["label"]
    data, models = tmp_path / "clean", tmp_path / "models"
    book = run(
        "DataSet_CleanUp",
        tmp_path,
        MOVIESHOTS=str(tmp_path / "movieshots"),
        OUT=str(data),
        FRAMES=2,
        HEIGHT=48,
        WORKERS=1,
    )
    assert "3 shots without frames" in printed(book) and "split by film" in printed(book)
    unreadable = pd.read_csv(data / "problems.csv", dtype=str).set_index(["movie", "shot"]).index
    frames, splits = read_dataset(data), pd.read_csv(data / "splits.csv", dtype=str).set_index(["movie", "shot"])
    assert splits["label"].to_dict() == shots.to_dict()
    places = [tuple(shot.split("_")) for shot in frames["shot"]]
    assert set(places) == set(shots.index) - set(unreadable) and len(frames) == 2 * (len(shots) - 3)
    assert frames["label"].tolist() == [shots[place] for place in places]
    assert frames["split"].tolist() == [splits.loc[place, "split"] for place in places]
    assert (frames.groupby("group")["split"].nunique() == 1).all() and set(frames["group"]) == set(
        shots.index.levels[0]
    )

    weights = models / "theirs.keras"
    book = run(
        "TF_Model_Training",
        tmp_path,
        **{"DATASET": str(data), "RUNS": str(tmp_path / "runs"), "WEIGHTS": str(weights)},
        **{"INITIAL": str(start), "IMITATE": str(pytorch_weights), "SHOW_PICTURES": True, "LR": 0.02},
        **TINY,
    )
    assert "class ECS has no frames" in printed(book)
    before, _, after = (float(part.split()[-1]) for part in re.search("loss before.*", printed(book))[0].split(", "))
    assert after < before
    check_results(load_classifier("tensorflow", weights), weights, frames)

    leak = {"LEAK_SOURCE": None, "LEAK_INITIAL": None, "LEAK_HEIGHT": 32, "LEAK_WIDTH": 48, "LEAK_EPOCHS": 1}
    book = run(
        "Classification_Report",
        tmp_path,
        **{"DATASET": str(data), "MODELS": str(models), "RUNS": str(tmp_path / "leak"), "WORKERS": 0},
        **{"SHOW_PICTURES": True, "LEAK_SEEDS": (0,), **leak},
    )
    text, test = printed(book), frames[frames["split"] == "test"]
    assert f"{len(test)} test frames" in text and "the leaking split adds" in text and "absent: ECS" in text
    table = pd.read_csv(models / "theirs_test_predictions.csv")
    assert "theirs: computed anew; 0 answers differ" in text
    assert f"theirs\n{report.classification_table(table['label'], table[list(LABELS)].to_numpy())}" in text


def test_report_without_the_data_set_uses_the_shipped_predictions(tmp_path):
    book = run("Classification_Report", tmp_path, DATASET=str(tmp_path / "nothing"))
    text = printed(book)
    assert "the figures are those of the shipped predictions" in text and "Skipped" in text
    table = pd.read_csv(ROOT / "models/mobilenet_v3_large_test_predictions.csv")
    assert report.classification_table(table["label"], table[list(LABELS)].to_numpy()) in text


def test_clean_up_without_videos_says_so_once_and_goes_on(tmp_path):
    write_movieshots(tmp_path / "movieshots", films=6, shots=2)
    (tmp_path / "movieshots/v2_full_trailer.json").write_text('{"tt1": {"0001": {"movement"')
    shutil.rmtree(tmp_path / "movieshots/trailer")
    book = run("DataSet_CleanUp", tmp_path, MOVIESHOTS=str(tmp_path / "movieshots"), OUT=str(tmp_path / "clean"))
    assert printed(book).count("No videos at") == 1 and "1 problems in 2 files" in printed(book)
    assert len(pd.read_csv(tmp_path / "clean/splits.csv")) == 12 and not (tmp_path / "clean/frames.csv").exists()


def test_clean_up_without_movieshots_runs_to_its_end_on_a_stand_in(tmp_path):
    nowhere, clean = tmp_path / "nothing", tmp_path / "clean"
    book = run("DataSet_CleanUp", tmp_path, MOVIESHOTS=str(nowhere), OUT=str(clean), HEIGHT=48, WORKERS=1)
    text = printed(book)
    assert f"There is no folder {nowhere}. MovieShots is not public" in text and "stand-in" in text
    assert "1 problems in 1 files" in text and "30 with a scale" in text and "1 shots without frames" in text
    frames = read_dataset(clean / "examples")
    assert frames["label"].value_counts().to_dict() == {"LS": 27, "CS": 15, "ECS": 15, "FS": 15, "MS": 15}
    assert set(frames["split"]) == {"train", "val", "test"} and not (clean / "frames.csv").exists()


def test_demo_prints_one_table_of_both_models():
    demo = runpy.run_path(str(ROOT / "tools/demo.py"))
    head = "picture                          label  confidence  person\n"
    first = head + "a.jpg      MS      0.95  MS   \nb.jpg      CS      0.60  ECS  <--\nc.jpg   LS   0.70       \n"
    second = head + "a.jpg      MS      0.90  MS   \nb.jpg      ECS     0.50  ECS  \nc.jpg   LS   0.80       \n"
    lines = demo["side_by_side"]({"PyTorch": first, "TensorFlow": second}).splitlines()
    assert [line.split() for line in lines] == [
        ["picture", "PyTorch", "TensorFlow", "person"],
        ["a.jpg", "MS", "0.95", "MS", "0.90", "MS"],
        ["b.jpg", "CS", "0.60", "ECS", "0.50", "ECS", "<--"],
        ["c.jpg", "LS", "0.70", "LS", "0.80"],
    ]


def test_film_analysis_on_other_films(tmp_path, pytorch_weights):
    films = tmp_path / "films"
    films.mkdir()
    for name, seeds in (("one", (1, 2, 3)), ("two", (4, 5))):
        write_video(films / f"{name}.mp4", [textured(90, 160, seed) for seed in seeds for _ in range(24)])
    book = run(
        "Film_Analysis",
        tmp_path,
        FILM=str(films / "one.mp4"),
        FOLDER=str(films),
        OUT=str(tmp_path / "out"),
        WEIGHTS=str(pytorch_weights),
        WORKERS=1,
    )
    table = pd.read_csv(tmp_path / "out" / "two.csv")
    assert table["end_seconds"].tolist() == [1, 2] and (tmp_path / "out" / "one.edl").is_file()
    assert "There is no one_shots.csv beside the film" in nbformat.writes(book)
