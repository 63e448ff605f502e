import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision
from conftest import ROOT, made_teacher, textured, write_dataset

from shot_types import WeightsError, load_classifier
from shot_types.cards import write_card
from shot_types.dataset import read_dataset
from shot_types.pictures import load_frame
from shot_types.pytorch import Network, build, to_input
from shot_types.training.pytorch import FrameDataset, average_weights, train
from shot_types.training.recipe import Recipe

TINY = Recipe(initial=None, height=32, width=48, epochs=2, head_epochs=1, batch_size=4, average=0.5)


def test_fused_network_answers_like_the_stock_one(pytorch_weights):
    batch = np.stack([textured(96, 160, seed) for seed in range(3)])
    stock = torchvision.models.mobilenet_v3_large(num_classes=5)
    stock.load_state_dict(torch.load(pytorch_weights, weights_only=True), strict=True)
    with torch.inference_mode():
        expected = stock.eval()(to_input(torch.from_numpy(batch))).numpy()
    assert Network(pytorch_weights, {})(batch) == pytest.approx(expected, abs=1e-5)


def test_input_is_normalised_rgb():
    x = to_input(torch.tensor([[[[255, 0, 0]]]], dtype=torch.uint8))
    assert x[0, :, 0, 0].tolist() == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225], abs=1e-4)


@pytest.mark.parametrize("other", [{"num_classes": 4}, {"num_classes": 1000}, "mobilenet_v3_small", "not a state dict"])
def test_weights_of_another_network(tmp_path, other):
    path = tmp_path / "other.pt"
    if isinstance(other, dict):
        state = torchvision.models.mobilenet_v3_large(**other).state_dict()
    elif other == "mobilenet_v3_small":
        state = torchvision.models.mobilenet_v3_small(num_classes=5).state_dict()
    else:
        state = [1, 2, 3]
    torch.save(state, path)
    write_card(path, {"network": "mobilenet_v3_large", "height": 96, "width": 160, "temperature": 1.0})
    with pytest.raises(WeightsError, match=r"other\.pt: not the weights of a five-class mobilenet_v3_large"):
        load_classifier("pytorch", path)


def test_initial_weights_are_taken_where_they_fit(tmp_path):
    source = torchvision.models.mobilenet_v3_large(num_classes=1000)
    path = tmp_path / "start.pt"
    torch.save(source.state_dict(), path)
    network = build(path)
    assert (network.features[3].block[0][0].weight == source.features[3].block[0][0].weight).all()
    assert network.classifier[3].out_features == 5
    torch.save({"something": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"start\.pt: no layer of this file fits"):
        build(path)


@pytest.fixture
def tiny_dataset(tmp_path):
    write_dataset(tmp_path / "data", 25)
    return read_dataset(tmp_path / "data")


def test_a_file_gives_training_and_serving_bit_identical_input(tiny_dataset, pytorch_weights):
    classifier = load_classifier("pytorch", pytorch_weights)
    recipe = Recipe(height=96, width=160)
    data = FrameDataset(tiny_dataset["file"], np.zeros((25, 5), np.float32), recipe)
    for i, file in enumerate(tiny_dataset["file"][:5]):
        in_training = to_input(data[i][0][None])
        in_service = to_input(torch.from_numpy(classifier._read(file)[None].copy()))
        assert torch.equal(in_training, in_service)


def test_training_frames_are_augmented_reproducibly(tiny_dataset):
    def frames(epoch, seed=0):
        recipe = Recipe(height=32, width=48, seed=seed)
        data = FrameDataset(tiny_dataset["file"], np.zeros((25, 5), np.float32), recipe, epoch)
        return torch.stack([data[i][0] for i in range(25)])

    assert torch.equal(frames(0), frames(0))
    assert not torch.equal(frames(0), frames(1)) and not torch.equal(frames(0), frames(0, seed=1))


def test_training_resumes_to_the_same_weights(tiny_dataset, tmp_path, monkeypatch):
    whole = train(tiny_dataset, TINY, tmp_path / "whole", workers=0)
    import shot_types.training.pytorch as room

    calls = []

    def stop_after_one_epoch(value, path, save=room.save):
        save(value, path)
        calls.append(path.name)
        if path.name == "last.pt":
            raise KeyboardInterrupt

    monkeypatch.setattr(room, "save", stop_after_one_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_dataset, TINY, tmp_path / "parts", workers=0)
    monkeypatch.undo()
    resumed = train(tiny_dataset, TINY, tmp_path / "parts", workers=0)
    assert calls[-1] == "last.pt" and len(resumed) == 2
    assert resumed["loss"].tolist() == pytest.approx(whole["loss"].tolist(), abs=1e-5)
    one, two = (torch.load(tmp_path / name / "best.pt", weights_only=True) for name in ("whole", "parts"))
    assert all(torch.allclose(one[name].float(), two[name].float(), atol=1e-5) for name in one)
    assert not list(tmp_path.rglob("*.part"))


def test_another_recipe_or_data_set_does_not_resume_in_the_same_folder(tiny_dataset, tmp_path):
    train(tiny_dataset, Recipe(**{**vars(TINY), "epochs": 1}), tmp_path / "run", workers=0)
    with pytest.raises(ValueError, match="a run of another data set"):
        other = tiny_dataset.assign(label=tiny_dataset["label"].iloc[::-1].to_numpy())
        train(other, Recipe(**{**vars(TINY), "epochs": 1}), tmp_path / "run", workers=0)
    with pytest.raises(ValueError, match="a run of another recipe"):
        train(tiny_dataset, Recipe(**{**vars(TINY), "epochs": 1, "lr": 0.5}), tmp_path / "run", workers=0)


@pytest.mark.parametrize(("epochs", "fixed"), [(1, 17), (2, TINY.frozen)])
def test_the_head_learns_first_and_then_all_but_the_frozen(tiny_dataset, tmp_path, epochs, fixed):
    train(tiny_dataset, dataclasses.replace(TINY, epochs=epochs), tmp_path / "run", workers=0)
    torch.manual_seed(0)
    start = build(None).state_dict()
    trained = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["network"]
    moved = {name for name in start if not torch.equal(start[name], trained[name])}
    assert not [name for name in moved if name.startswith(tuple(f"features.{block}." for block in range(fixed)))]
    assert "classifier.3.bias" in moved and any(name.startswith("features.16") for name in moved) == (epochs == 2)


def test_the_second_task_learns_and_leaves_a_stock_network(tiny_dataset, tmp_path):
    teacher = made_teacher(tiny_dataset)
    heads, names = [], ["middle.weight", "last.weight", "sizes.weight"]
    for number, weight in enumerate((1.0, 1e-9)):
        recipe = Recipe(**{**vars(TINY), "epochs": 3, "frozen": 0, "parts": weight, "lr": 3e-3, "weight_decay": 0.0})
        history = train(tiny_dataset, recipe, tmp_path / str(number), 0, teacher)
        assert np.isfinite(history["loss"]).all()
        heads.append(torch.load(tmp_path / str(number) / "last.pt", weights_only=True)["head"])
    assert all(not torch.allclose(heads[0][name], heads[1][name], atol=1e-4) for name in names)
    build(None).load_state_dict(torch.load(tmp_path / "0" / "best.pt", weights_only=True), strict=True)


def test_average_weights_is_the_mean(tmp_path):
    for number in range(2):
        torch.save({"a": torch.full((2,), float(number)), "n": torch.tensor(number * 2)}, tmp_path / f"{number}.pt")
    mean = average_weights([tmp_path / "0.pt", tmp_path / "1.pt"])
    assert mean["a"].tolist() == [0.5, 0.5] and mean["n"].item() == 1 and mean["n"].dtype == torch.int64


def test_load_frame_is_what_the_data_set_reads(tiny_dataset):
    data = FrameDataset(tiny_dataset["file"], np.zeros((25, 5), np.float32), TINY)
    assert (data[0][0].numpy() == load_frame(tiny_dataset["file"][0], 32, 48)).all()


def test_two_processes_learn_like_one_with_the_doubled_batch(tmp_path, pytorch_weights):
    """Under torchrun, on the processor; without dropout and batch statistics, which differ between the two."""
    write_dataset(tmp_path / "data", 45)
    script = tmp_path / "two.py"
    script.write_text(
        "import sys, torch; from shot_types.training.pytorch import Recipe, train\n"
        "from shot_types.dataset import read_dataset\n"
        "torch.set_num_threads(1)\n"
        "for layer in (torch.nn.BatchNorm2d, torch.nn.Dropout):\n"
        "    layer.train = lambda self, mode=True: torch.nn.Module.train(self, False)\n"
        "recipe = Recipe(sys.argv[4], 32, 48, epochs=3, batch_size=int(sys.argv[1]), lr=1e-4, frozen=0, average=0.5,\n"
        "    head_epochs=1, head_lr=1e-4)\n"
        "train(read_dataset(sys.argv[2]), recipe, sys.argv[3], workers=0)\n"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    runs = []
    for name, start, batch in (("one", [sys.executable], 8), ("two", torchrun, 4)):
        call = [*start, str(script), str(batch), str(tmp_path / "data"), str(tmp_path / name)]
        call.append(str(pytorch_weights))
        subprocess.run(call, env=environment, capture_output=True, check=True)
        runs.append(torch.load(tmp_path / name / "last.pt", weights_only=True))
    for column in ("loss", "val loss"):
        one, two = ([row[column] for row in run["history"]] for run in runs)
        assert two == pytest.approx(one, rel=1e-3) and abs(one[0] - one[1]) > 1e-2 * one[0]
