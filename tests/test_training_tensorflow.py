import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT

from shot_types.tensorflow import load
from shot_types.training import pytorch, samples
from shot_types.training import tensorflow as trainer
from shot_types.training.recipe import Recipe
from shot_types.training.tensorflow import Batches, average_weights, predict_logits, train


@pytest.fixture(scope="module")
def recipe(start):
    return Recipe(start, 32, 56, epochs=3, batch_size=4, lr=0.02, head_lr=3e-3, frozen=0, ema_decay=0.5)


@pytest.fixture(scope="module")
def whole(table, recipe, tmp_path_factory):
    """A run without a stop: its folder and its history."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(table, recipe, folder)


def same(one, other):
    """Whether two `.keras` files hold the same weights."""
    pairs = zip(load(one).get_weights(), load(other).get_weights(), strict=True)
    return all(np.allclose(a, b, atol=1e-6) for a, b in pairs)


def test_both_frameworks_are_shown_the_same(table, recipe):
    rows, val = samples.split(table)
    shown = samples.of_epoch(rows, recipe, 1)
    ours = Batches(shown, 4, 1)
    theirs = list(pytorch.batches(shown, 4, 0, range(len(shown))))
    assert len(ours) == len(theirs) == 3  # of 15 frames: the last batch is not full
    for (x, y), number in zip(theirs, range(3), strict=True):
        mine, targets = ours[number]
        assert (mine == x.numpy()).all() and (targets == y.numpy()).all() and mine.dtype == np.uint8
    measured = Batches(samples.of_table(val, recipe), 4, 1, training=False)
    assert [len(measured[number][0]) for number in range(len(measured))] == [4, 1]


@pytest.mark.parametrize("stopped", [1, 2, 3])
def test_training_resumes_to_the_same_weights(table, recipe, whole, tmp_path, monkeypatch, stopped):
    """Stopped in the phase of the head, then in the other one; also where the backup of an epoch is missing."""
    epochs = []

    def stop(path, text, write=trainer.write):
        write(path, text)
        epochs.append(path)
        if len(epochs) == stopped:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        train(table, recipe, tmp_path)
    monkeypatch.undo()
    resumed = train(table, recipe, tmp_path, workers=1)
    for column in ("loss", "val loss"):
        assert resumed[column].tolist() == pytest.approx(whole[1][column].tolist(), abs=1e-6)
    assert same(whole[0] / "best.keras", tmp_path / "best.keras")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.keras", "head.keras", "history.json"]


def test_a_finished_run_is_read_and_another_does_not_resume_in_its_folder(table, recipe, whole, monkeypatch):
    folder, history = whole
    with pytest.raises(ValueError, match="a run of another recipe"):
        train(table, replace(recipe, lr=0.5), folder)
    with pytest.raises(ValueError, match="a run of another data set"):
        train(table.assign(path=table["path"] + "x"), recipe, folder)
    monkeypatch.setattr(trainer, "fit", None)  # nothing is trained
    assert train(table, recipe, folder).equals(history)


def test_best_weights_are_the_averaged_ones_that_were_measured(table, recipe, whole):
    folder, history = whole
    _, val = samples.split(table)
    figures = trainer.scores(val, predict_logits(load(folder / "best.keras"), val, recipe))
    assert figures["choice loss"] == pytest.approx(history["choice loss"].min(), abs=1e-5)
    half = load(folder / "best.keras")
    half.set_weights([value / 2 for value in half.get_weights()])
    trainer.save(half, folder / "half.keras")
    mean = average_weights([folder / "best.keras", folder / "half.keras"])
    assert all(np.allclose(a, 1.5 * b) for a, b in zip(mean.get_weights(), half.get_weights(), strict=True))


def test_the_head_learns_first_and_then_all_but_the_frozen(table, recipe, start, tmp_path):
    def moved(recipe, name):
        train(table, recipe, tmp_path / name)
        before, after = load(start), load(tmp_path / name / "best.keras")
        pairs = zip(before.weights, after.weights, strict=True)
        return {a.path for a, b in pairs if not np.array_equal(a.numpy(), b.numpy())}

    head = {"predictions/kernel", "predictions/bias"}
    assert moved(replace(recipe, epochs=1), "head") == head
    everything = moved(replace(recipe, epochs=1, head_epochs=0), "all")
    assert everything >= head | {"stem_conv/kernel", "stem_bn/gamma", "stem_bn/moving_mean", "block1a_conv/kernel"}
    some = moved(replace(recipe, epochs=1, head_epochs=0, frozen=1), "frozen")
    assert some == {name for name in everything if not name.startswith("stem")}


def test_imitation(table, recipe, tmp_path):
    seen = []

    def other(batch):
        seen.append(batch)
        return np.tile(np.float32([0.96, 0.01, 0.01, 0.01, 0.01]), (len(batch), 1))

    rows, val = samples.split(table)
    _, mixed = Batches(samples.of_epoch(rows, replace(recipe, distillation=0.25), 0), 4, 1, other)[0]
    _, plain = Batches(samples.of_epoch(rows, recipe, 0), 4, 1)[0]
    assert mixed == pytest.approx(0.75 * plain + 0.25 * other(seen[0])) and seen[0].shape == (4, 32, 56, 3)
    train(table, replace(recipe, epochs=2, head_epochs=0, distillation=1.0, lr=0.1), tmp_path, imitate=other)
    assert (predict_logits(load(tmp_path / "best.keras"), val, recipe).argmax(axis=1) == 0).all()


def test_two_devices_share_a_batch(table, recipe, tmp_path):
    """In a process of its own, with two virtual processors in the place of GPUs; without batch statistics."""
    code = (
        "import sys; from shot_types.training import tensorflow as room; tf, keras = room.tf, room.keras\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "if len(sys.argv) > 4:\n"
        "    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)\n"
        "    listed = tf.config.list_logical_devices\n"
        "    tf.config.list_logical_devices = lambda kind=None: listed('CPU')\n"
        "    mirrored = tf.distribute.MirroredStrategy\n"
        "    tf.distribute.MirroredStrategy = lambda: mirrored(['CPU:0', 'CPU:1'])\n"
        "build = room.room.build\n"
        "def still(start):\n"
        "    assert tf.distribute.get_strategy().num_replicas_in_sync == (2 if len(sys.argv) > 4 else 1)\n"
        "    model = build(start)\n"
        "    for layer in model.layers:\n"
        "        if isinstance(layer, (keras.layers.BatchNormalization, keras.layers.Dropout)): layer.call = "
        "lambda x, training=None, mask=None, call=layer.call: call(x, training=False)\n"
        "    return model\n"
        "room.room.build = still\n"
        "from shot_types.dataset import read_dataset\n"
        "recipe = room.Recipe(sys.argv[2], 32, 56, epochs=2, batch_size=4, lr=0.02, head_epochs=0, frozen=0,\n"
        "    ema_decay=0.5, augment='flip')\n"
        "print(*room.train(read_dataset(sys.argv[1]), recipe, sys.argv[3])['loss'])\n"
    )
    losses = []
    for name, more in (("one", []), ("two", ["two devices"])):
        folder = str(table["file"][0]).rpartition("/")[0]
        call = [sys.executable, "-c", code, folder, str(recipe.initial), str(tmp_path / name), *more]
        done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        losses.append([float(loss) for loss in done.stdout.split()])
    assert losses[1] == pytest.approx(losses[0], rel=0.05) and len(losses[0]) == 2
    assert abs(losses[0][0] - losses[0][1]) > 0.01 * losses[0][0]
