import dataclasses
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT, write_dataset

from shot_types import load_classifier
from shot_types.pytorch import build, to_input
from shot_types.training import pytorch as trainer
from shot_types.training import samples
from shot_types.training.pytorch import average_weights, batches, predict_logits, train
from shot_types.training.recipe import Recipe

TINY = Recipe(initial=None, height=32, width=56, epochs=2, head_epochs=1, batch_size=4, ema_decay=0.5)


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    """A run without a stop: its folder and its history."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(table, TINY, folder, workers=0)


def test_a_file_gives_training_and_serving_bit_identical_input(table, pytorch_weights):
    classifier = load_classifier("pytorch", pytorch_weights)
    received, network = [], classifier.network
    classifier.network = lambda batch: received.append(batch) or network(batch)
    classifier.predict(table["file"][:5])
    x, _ = next(iter(batches(samples.of_table(table, Recipe(height=96, width=160)), 5, 0)))
    assert torch.equal(to_input(x), to_input(torch.from_numpy(received[0])))


def test_batches_are_the_samples_whatever_the_number_of_workers(table):
    rows, _ = samples.split(table)
    shown = samples.of_epoch(rows, TINY, 1)
    for workers in (0, 2):
        x, y = next(iter(batches(shown, 4, workers, range(1, len(shown), 2))))
        expected = [shown[i] for i in (1, 3, 5, 7)]
        assert (x.numpy() == np.stack([rgb for rgb, _ in expected])).all() and x.dtype == torch.uint8
        assert (y.numpy() == np.stack([target for _, target in expected])).all()


def test_training_resumes_to_the_same_weights(table, whole, tmp_path, monkeypatch):
    written = []

    def stop_after_one_epoch(value, path, save=trainer.save):
        save(value, path)
        written.append(path.name)
        if path.name == "last.pt":
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "save", stop_after_one_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(table, TINY, tmp_path, workers=0)
    monkeypatch.undo()
    resumed = train(table, TINY, tmp_path, workers=0)
    assert written[-1] == "last.pt" and len(resumed) == 2
    assert resumed["loss"].tolist() == pytest.approx(whole[1]["loss"].tolist(), abs=1e-5)
    one, two = (torch.load(folder / "best.pt", weights_only=True) for folder in (whole[0], tmp_path))
    assert all(torch.allclose(one[name].float(), two[name].float(), atol=1e-5) for name in one)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("head_epochs", [0, 1, 2])
def test_a_run_stopped_within_either_phase_resumes(table, tmp_path, monkeypatch, head_epochs):
    recipe = dataclasses.replace(TINY, epochs=3, head_epochs=head_epochs)
    history = train(table, recipe, tmp_path / "whole", workers=0)

    def stop_after_two_epochs(value, path, save=trainer.save):
        save(value, path)
        if path.name == "last.pt" and len(value["history"]) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "save", stop_after_two_epochs)
    with pytest.raises(KeyboardInterrupt):
        train(table, recipe, tmp_path / "parts", workers=0)
    monkeypatch.undo()
    resumed = train(table, recipe, tmp_path / "parts", workers=0)
    assert resumed["loss"].tolist() == pytest.approx(history["loss"].tolist(), abs=1e-5)
    assert resumed["val loss"].tolist() == pytest.approx(history["val loss"].tolist(), abs=1e-5)


def test_a_finished_run_is_read_and_another_does_not_resume_in_its_folder(table, whole, monkeypatch):
    folder, history = whole
    with pytest.raises(ValueError, match="a run of another data set"):
        train(table.assign(label=table["label"].iloc[::-1].to_numpy()), TINY, folder, workers=0)
    with pytest.raises(ValueError, match="a run of another recipe"):
        train(table, dataclasses.replace(TINY, lr=0.5), folder, workers=0)
    monkeypatch.setattr(trainer, "build", None)  # no network is needed
    assert train(table, TINY, folder, workers=0).equals(history)


@pytest.mark.parametrize(("epochs", "frozen"), [(1, 17), (2, TINY.frozen)])
def test_the_head_learns_first_and_then_all_but_the_frozen(table, whole, tmp_path, epochs, frozen):
    folder = whole[0]
    if epochs == 1:
        folder = tmp_path
        train(table, dataclasses.replace(TINY, epochs=1), folder, workers=0)
    torch.manual_seed(0)
    start = build(None).state_dict()
    trained = torch.load(folder / "last.pt", weights_only=True)["network"]
    moved = {name for name in start if not torch.equal(start[name], trained[name])}
    assert not [name for name in moved if name.startswith(tuple(f"features.{block}." for block in range(frozen)))]
    assert "classifier.3.bias" in moved and any(name.startswith("features.16") for name in moved) == (epochs == 2)


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    recipe = dataclasses.replace(TINY, epochs=5, lr=0.1, head_lr=0.3)
    network, rates = build(None), []
    optimizer, scheduler = trainer.optimizer_and_schedule(network, recipe, head=False, steps=10)
    for _ in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert max(rates) == pytest.approx(0.1) and rates[0] < rates[1] < rates[2] == max(rates)
    assert all(one > other for one, other in itertools.pairwise(rates[2:])) and rates[-1] < 0.002
    optimizer, scheduler = trainer.optimizer_and_schedule(network, recipe, head=True, steps=10)
    for _ in range(20):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.3)
        optimizer.step()
        scheduler.step()


def test_best_weights_are_the_averaged_ones_that_were_measured(table, whole):
    folder, history = whole
    network = build(None)
    network.load_state_dict(torch.load(folder / "best.pt", weights_only=True), strict=True)
    _, val = samples.split(table)
    logits = predict_logits(network, val, TINY, workers=0)
    assert trainer.scores(val, logits)["val loss"] == pytest.approx(history["val loss"].min(), abs=1e-5)
    assert trainer.scores(val, logits)["choice loss"] == pytest.approx(history["choice loss"].min(), abs=1e-5)


def test_average_weights_is_the_mean(tmp_path):
    for number in range(2):
        torch.save({"a": torch.full((2,), float(number)), "n": torch.tensor(number * 2)}, tmp_path / f"{number}.pt")
    mean = average_weights([tmp_path / "0.pt", tmp_path / "1.pt"])
    assert mean["a"].tolist() == [0.5, 0.5] and mean["n"].item() == 1 and mean["n"].dtype == torch.int64


def test_two_processes_learn_like_one_with_the_doubled_batch(tmp_path, pytorch_weights):
    """Under torchrun, on the processor; without dropout and batch statistics, which differ between the two."""
    write_dataset(tmp_path / "data", 51)  # 31 frames to train on, which two processes cannot share evenly
    script = tmp_path / "two.py"
    script.write_text(
        "import sys\n"
        "from shot_types.training.pytorch import Recipe, torch, train\n"
        "from shot_types.dataset import read_dataset\n"
        "torch.set_num_threads(1)\n"
        "for layer in (torch.nn.BatchNorm2d, torch.nn.Dropout):\n"
        "    layer.train = lambda self, mode=True: torch.nn.Module.train(self, False)\n"
        "recipe = Recipe(sys.argv[4], 32, 56, epochs=3, batch_size=int(sys.argv[1]), lr=1e-4, frozen=0,\n"
        "    ema_decay=0.5, head_epochs=1, head_lr=1e-4)\n"
        "train(read_dataset(sys.argv[2]), recipe, sys.argv[3], workers=0)\n"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    runs = []
    for name, start, batch in (("one", [sys.executable], 8), ("two", torchrun, 4)):
        call = [*start, str(script), str(batch), str(tmp_path / "data"), str(tmp_path / name)]
        call.append(str(pytorch_weights))
        done = subprocess.run(call, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        runs.append(torch.load(tmp_path / name / "last.pt", weights_only=True))
    for column in ("loss", "val loss"):
        one, two = ([row[column] for row in run["history"]] for run in runs)
        assert two == pytest.approx(one, rel=1e-3) and abs(one[0] - one[1]) > 1e-2 * one[0]
