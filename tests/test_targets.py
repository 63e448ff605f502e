from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from shot_types.labels import LABELS
from shot_types.training import targets
from shot_types.training.recipe import Recipe


def test_soft_targets_are_the_mean_of_label_and_votes():
    table = pd.DataFrame(
        {
            "label": ["MS", "MS", "CS", "FS"],
            "seen_label": ["MS", "MS/CS", "MS/CS", "LS/X"],
            "second_label": ["", "CS", "", ""],
        }
    )
    soft = pd.DataFrame(targets.soft_targets(table), columns=LABELS)
    assert soft["MS"].tolist() == pytest.approx([1, 0.5, 0.25, 0])
    assert soft["CS"].tolist() == pytest.approx([0, 0.5, 0.75, 0])
    assert soft["LS"].tolist() == pytest.approx([0, 0, 0, 0.5])
    plain = table[["label"]]
    assert (targets.soft_targets(plain) == targets.hard_targets(plain)).all()


def test_an_epoch_draws_one_frame_a_shot_and_honours_weights_and_balance():
    table = pd.DataFrame(
        {"label": ["CS"] * 30 + ["LS"] * 90, "shot": [f"s{n // 3}" for n in range(120)], "weight": 1.0}
    )
    rng = np.random.default_rng(0)
    rows = targets.epoch_rows(table, rng)
    assert len(rows) == 40 and table["shot"].iloc[rows].nunique() == 40
    assert len(targets.epoch_rows(table, rng, one_per_shot=False)) == 120
    drawn = {row for _ in range(20) for row in targets.epoch_rows(table, rng)}
    assert drawn == set(range(120))
    balanced = table["label"].iloc[targets.epoch_rows(table, rng, balance=1.0)].value_counts()
    assert balanced["CS"] == pytest.approx(balanced["LS"], abs=2)
    table.loc[0:29, "weight"] = 2.5
    heavy = table["label"].iloc[targets.epoch_rows(table, rng)].value_counts()
    assert 20 <= heavy["CS"] <= 30 and heavy["LS"] == 30


def test_scores_tell_real_shots_apart():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(600, 5))
    table = pd.DataFrame(
        {
            "label": rng.choice(LABELS, 600),
            "source": ["trailer"] * 100 + ["still"] * 500,
            "ambiguous": [1, 0] * 300,
        }
    )
    figures = targets.scores(table, logits)
    shots = targets.scores(table.loc[:99, ["label"]], logits[:100])
    assert (figures["trailer loss"], figures["trailer accuracy"]) == (shots["val loss"], shots["accuracy"])
    assert figures["score"] == pytest.approx((figures["macro-F1"] + figures["trailer accuracy"]) / 2)
    plain = targets.scores(table[["label"]], logits)
    assert plain["score"] == plain["macro-F1"]
    assert plain["val loss"] == figures["val loss"] and "trailer accuracy" not in plain


def test_history_is_drawn_one_line_a_run():
    history = pd.DataFrame({"epoch": [1, 2], "loss": [1, 0.5], "val loss": [0.6, 0.5]})
    figure = targets.plot_history({"a": history, "b": history}, ("loss", "val loss"))
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]


def test_training_without_a_split_or_with_a_teacher_of_other_frames_is_refused():
    table = pd.DataFrame({"path": ["a.jpg", "b.jpg"], "label": ["MS", "LS"], "split": ["train", "val"]})
    assert Recipe().rows(table)["path"].tolist() == ["a.jpg"]
    for split in ("train", "val"):
        with pytest.raises(ValueError, match=f"no frames to use are in split {split}"):
            Recipe().rows(table[table["split"] != split])
    with pytest.raises(ValueError, match="no frames to use are in split val"):
        Recipe().rows(table.assign(inherited=1))
    views = pd.DataFrame([("other.jpg", 0.0, 0.0, 1.0, 1.0)], columns=["path", "x0", "y0", "x1", "y1"])
    teacher = SimpleNamespace(views=lambda rows: rows.merge(views.assign(whole=True), on="path"))
    with pytest.raises(ValueError, match=r"the teacher does not know a\.jpg"):
        Recipe().views(Recipe().rows(table), teacher)
