from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shot_types import load_classifier, report
from shot_types.labels import LABELS
from shot_types.training import runs
from shot_types.training.recipe import Recipe

ROWS = pd.DataFrame({"path": ["a.jpg", "b.jpg"], "label": ["MS", "LS"]})


def test_scores_tell_shots_of_films_apart():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(600, 5))
    rows = pd.DataFrame(
        {
            "label": rng.choice(LABELS, 600),
            "source": ["trailer"] * 60 + ["film"] * 40 + ["still"] * 500,
            "insert": [1] * 20 + [0] * 580,
            "ambiguous": [1, 0] * 300,
            "seen_label": ["MS/CS", "LS"] * 300,
        }
    )
    figures = runs.scores(rows, logits)
    shots = runs.scores(rows.loc[:99, ["label"]], logits[:100])
    assert (figures["film loss"], figures["film accuracy"]) == (shots["val loss"], shots["accuracy"])
    assert figures["choice loss"] == pytest.approx((figures["val loss"] + figures["film loss"]) / 2)
    assert figures["film insert accuracy"] == runs.scores(rows.loc[:19, ["label"]], logits[:20])["accuracy"]
    clear = rows["ambiguous"] == 0
    assert figures["unambiguous accuracy"] == runs.scores(rows[["label"]][clear], logits[clear])["accuracy"]
    both = clear & (rows.index < 100)
    assert figures["film unambiguous accuracy"] == runs.scores(rows[["label"]][both], logits[both])["accuracy"]
    assert figures["film accuracy"] < figures["film one of two labels"] < 1
    plain = runs.scores(rows[["label"]], logits)
    assert plain["choice loss"] == plain["val loss"] == figures["val loss"] and "film accuracy" not in plain


def test_the_ranking_is_after_a_temperature_and_the_best_comes_first():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"label": rng.choice(LABELS, 400)})
    right = np.eye(5)[[LABELS.index(label) for label in rows["label"]]] + rng.normal(0, 0.4, (400, 5))
    table = runs.ranking(rows, {"noise": rng.normal(size=(400, 5)), "good": right, "far too sure": 50 * right})
    assert table.index[-1] == "noise"
    assert table.loc["good", "choice loss"] == pytest.approx(table.loc["far too sure", "choice loss"], abs=0.01)


def test_another_recipe_start_or_data_make_another_run(tmp_path):
    start = tmp_path / "start.pt"
    start.write_bytes(b"one")
    rows = ROWS.assign(source="film", shot=["1", "2"])
    base = Recipe(initial=start)
    learned = runs.learned_from(base, rows, ROWS)
    runs.check_run({**learned, "history": []}, runs.learned_from(base, rows.copy(), ROWS), Path("run"))
    for recipe, shown, val, what in (
        (replace(base, lr=0.5), rows, ROWS, "recipe"),
        (base, rows.assign(label="CS"), ROWS, "data set"),
        (base, rows.assign(path=["a.jpg", "c.jpg"]), ROWS, "data set"),
        (base, rows.assign(weight=[1.0, 2.0]), ROWS, "data set"),
        (base, rows.assign(shot="1"), ROWS, "order or weighting of frames"),
        (base, rows.assign(source=["film", "insert"]), ROWS, "order or weighting of frames"),
        (base, rows, ROWS[:1], "val split"),
    ):
        with pytest.raises(ValueError, match=f"run: holds a run of another {what}; remove it"):
            runs.check_run(learned, runs.learned_from(recipe, shown, val), Path("run"))
    start.write_bytes(b"other")
    with pytest.raises(ValueError, match="a run of another start"):
        runs.check_run(learned, runs.learned_from(base, rows, ROWS), Path("run"))


def test_comparisons_show_every_seed_and_their_mean():
    history = pd.DataFrame({"epoch": [1, 2], "loss": [1, 0.5], "choice loss": [0.6, 0.5], "accuracy": [0.5, 0.7]})
    figure = runs.comparison({"one": [history, history + 0.1], "other": [history]})
    assert [axes.get_title() for axes in figure.axes] == ["choice loss", "accuracy"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["one", "other"]
    means = [line.get_xdata()[0] for line in figure.axes[1].lines if len(line.get_xdata()) == 1]
    assert any(mean == pytest.approx(0.75) for mean in means)
    figure = runs.plot_history({"a": history, "b": history})
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 2]


def test_the_verdict_tells_a_difference_from_the_spread_of_the_seeds():
    def seeds(*values):
        return [pd.DataFrame({"choice loss": [9.0, value]}) for value in values]

    compared = {"base": seeds(0.50, 0.52, 0.54), "alike": seeds(0.51, 0.53, 0.55), "better": seeds(0.40, 0.41, 0.42)}
    table = runs.verdict(compared)
    assert table["mean"].tolist() == pytest.approx([0.52, 0.53, 0.41])
    assert table["difference"].tolist() == pytest.approx([0, 0.01, -0.11])
    assert table["beyond the spread"].tolist() == ["no", "no", "yes"]
    assert runs.verdict({"one seed": seeds(0.5)})["beyond the spread"].tolist() == [""]


def test_a_probability_of_zero_costs_much_and_a_loss_that_is_no_number_stops_the_run():
    figures = runs.scores(ROWS, np.array([[0, 0, 0, 0, -np.inf], [-np.inf, 0, 0, 0, 0]]))
    assert 40 < figures["val loss"] < 100
    assert runs.is_best([{"choice loss": 0.5}, {"choice loss": 0.4}]) and not runs.is_best(
        [{"choice loss": n} for n in (1, 2)]
    )
    with pytest.raises(ValueError, match="the loss on val is not a number any more; train with a lower lr"):
        runs.is_best([{"choice loss": 0.5}, {"choice loss": float("nan")}])


@pytest.mark.parametrize("sides", [("val", "test"), ("val",)])
def test_results_are_those_of_the_file_as_a_user_reads_it(table, tmp_path, pytorch_weights, sides):
    weights = tmp_path / "new.pt"
    weights.write_bytes(pytorch_weights.read_bytes())
    about = {"network": "mobilenet_v3_large", "height": 96, "width": 160, "temperature": 1.5}
    csv = tmp_path / "new_test_predictions.csv"
    csv.write_text("of other weights")
    val, test = (table[table["split"] == side] if side in sides else table[:0] for side in ("val", "test"))
    card = runs.write_results(weights, about, val, test)
    classifier = load_classifier("pytorch", weights)
    assert classifier.card == card and card["val"]["frames"] == 5 and ("test" in card) == ("test" in sides)
    proba = classifier.predict_proba(val["file"])
    assert card["val"]["accuracy"] == pytest.approx(report.summary(val["label"], proba)["accuracy"], abs=1e-4)
    film = runs.of_films(val).to_numpy()  # where it has such
    assert 0 < film.sum() < len(val)
    assert card["unsure below"] == pytest.approx(report.unsure_below(val["label"][film], proba[film]), abs=1e-4)
    assert csv.exists() == ("test" in sides)
    if "test" in sides:
        written = pd.read_csv(csv)
        assert (
            list(written) == ["path", "label", "group", *LABELS] and written["path"].tolist() == test["path"].tolist()
        )
        assert written[list(LABELS)].to_numpy() == pytest.approx(classifier.predict_proba(test["file"]), abs=1e-5)
