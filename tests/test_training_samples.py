import numpy as np
import pandas as pd
import pytest

from shot_types.labels import LABELS
from shot_types.pictures import load_frame
from shot_types.training import samples
from shot_types.training.recipe import Recipe

RECIPE = Recipe(height=32, width=56)


def rows_of(labels, **columns):
    return pd.DataFrame({"file": [f"{n}.jpg" for n in range(len(labels))], "label": labels, **columns})


def test_soft_labels_are_the_mean_of_label_and_votes():
    votes = {"seen_label": ["MS", "MS/CS", "MS/CS", "LS/X"], "second_label": ["", "CS", "", ""]}
    rows = rows_of(["MS", "MS", "CS", "FS"], **votes)
    soft = pd.DataFrame(samples.targets(rows, RECIPE), columns=LABELS)
    assert soft["MS"].tolist() == pytest.approx([1, 0.5, 0.25, 0])
    assert soft["CS"].tolist() == pytest.approx([0, 0.5, 0.75, 0])
    assert soft["LS"].tolist() == pytest.approx([0, 0, 0, 0.5])
    hard = samples.targets(rows, Recipe(soft_labels=False))
    assert (hard == samples.targets(rows[["label"]], RECIPE)).all() and set(hard.ravel()) == {0, 1}


def test_an_epoch_shows_one_frame_a_shot_in_another_order_each_time():
    rows = rows_of(["CS"] * 30 + ["LS"] * 90, shot=[f"s{n // 3}" for n in range(120)])
    epochs = [samples.of_epoch(rows, RECIPE, epoch).files for epoch in range(20)]
    shots = rows.set_index("file")["shot"]
    assert all(len(files) == 40 and shots[files].nunique() == 40 for files in epochs)
    assert {file for files in epochs for file in files} == set(rows["file"])
    assert epochs[0] != sorted(epochs[0]) and [shots[f] for f in epochs[0]] != [shots[f] for f in epochs[1]]
    assert len(samples.of_epoch(rows, Recipe(one_a_shot=False), 0)) == 120


def test_weights_and_repeats_multiply_and_every_epoch_has_the_same_length():
    source = ["film", "film", "insert", "still"] * 30
    rows = rows_of(["CS"] * 120, source=source, insert=[1, 0, 1, 0] * 30, weight=[1.0, 1.0, 0.5, 0.0] * 30)
    recipe = Recipe(repeats={"source": {"film": 2, "still": 3}, "insert": {1: 1.4}, "absent": {"x": 9}})
    for epoch in range(3):
        files = pd.Series(samples.of_epoch(rows, recipe, epoch).files).value_counts()
        shown = rows["file"].map(files).fillna(0).groupby([rows["source"], rows["insert"]]).agg(["sum", "min", "max"])
        assert shown.loc[("film", 1)].tolist() == [pytest.approx(84, abs=8), 2, 3]
        assert shown.loc[("film", 0)].tolist() == [pytest.approx(60, abs=1), pytest.approx(2, abs=1), 2]
        assert shown.loc[("insert", 1), "sum"] == pytest.approx(21, abs=8)
        assert shown.loc[("still", 0), "sum"] == 0
        assert files.sum() == 165
    with pytest.raises(ValueError, match="every frame of train is shown 0 times"):
        samples.of_epoch(rows.assign(weight=0), recipe, 0)


def test_frames_and_targets_stay_together_and_variants_repeat(table):
    rows, _ = samples.split(table)
    recipe = Recipe(height=32, width=56, augment="flip")
    shown = samples.of_epoch(rows, recipe, 3)
    labels = table.set_index("file")["label"]
    for i, file in enumerate(shown.files):
        rgb, target = shown[i]
        plain = load_frame(file, 32, 56)
        assert rgb.dtype == np.uint8 and (np.array_equal(rgb, plain) or np.array_equal(rgb, plain[:, ::-1]))
        assert target.dtype == np.float32 and LABELS[target.argmax()] == labels[file]
    film = samples.of_epoch(rows, RECIPE, 3)
    again, other = samples.of_epoch(rows, RECIPE, 3), samples.of_epoch(rows, Recipe(height=32, width=56, seed=1), 3)
    assert all(np.array_equal(film[i][0], again[i][0]) for i in range(5))
    assert film.files != other.files and film.files != samples.of_epoch(rows, RECIPE, 4).files


def test_a_frame_is_measured_as_it_is_served(table):
    _, val = samples.split(table)
    shown = samples.of_table(val, RECIPE)
    assert shown.files == val["file"].tolist()
    assert all((shown[i][0] == load_frame(file, 32, 56)).all() for i, file in enumerate(shown.files))


def test_training_without_a_split_is_refused(table):
    for split in ("train", "val"):
        with pytest.raises(ValueError, match=f"no frames to use are in split {split}"):
            samples.split(table[table["split"] != split])
    with pytest.raises(ValueError, match="no frames to use are in split val"):
        samples.split(table.assign(inherited=1))


def test_photographs_of_things_are_shown_as_a_film_would(table):
    rows, _ = samples.split(table)
    plain, filmed = (samples.of_epoch(rows, Recipe(height=32, width=56, photographs=p), 0) for p in ((), ("still",)))
    source = table.set_index("file")["source"]
    assert plain.files == filmed.files
    for i, file in enumerate(plain.files):
        assert np.array_equal(plain[i][0], filmed[i][0]) == (source[file] != "still")
