import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from shot_types import LABELS, SCALE, Prediction, report
from shot_types.classifier import softmax


@pytest.fixture
def answers():
    """Labels, and logits that are right in about three of four."""
    rng = np.random.default_rng(0)
    truth = rng.integers(5, size=600)
    logits = rng.normal(size=(600, 5)) + 2.2 * np.eye(5)[truth]
    return np.array(LABELS)[truth], logits


def test_summary_agrees_with_scikit_learn(answers):
    truth, logits = answers
    figures = report.summary(truth, logits)
    assert figures["accuracy"] == accuracy_score(truth, report.predicted(logits))
    assert figures["macro-F1"] == f1_score(truth, report.predicted(logits), average="macro")


def test_macro_f1_is_over_the_classes_that_occur():
    proba = np.eye(5)[[LABELS.index(label) for label in ("FS", "MS", "CS")]]  # nothing is CS
    assert report.summary(["FS", "MS", "MS"], proba)["macro-F1"] == pytest.approx((1 + 2 / 3) / 2)


def test_within_one_step_counts_on_the_scale_not_in_index_order():
    proba = np.eye(5)[[LABELS.index("CS"), LABELS.index("FS"), LABELS.index("LS")]]
    assert report.summary(["ECS", "CS", "FS"], proba)["within one step"] == pytest.approx(2 / 3)


def test_intervals_hold_the_value_and_repeat(answers):
    table = report.summary_with_intervals(*answers, draws=300)
    assert ((table["95 % from"] < table["value"]) & (table["value"] < table["to"])).all()
    assert table.equals(report.summary_with_intervals(*answers, draws=300))
    width = table.loc["accuracy", "to"] - table.loc["accuracy", "95 % from"]
    p = table.loc["accuracy", "value"]
    assert width == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 600), rel=0.2)


def test_confusion_is_in_scale_order():
    counts = report.confusion(["ECS", "LS", "LS"], np.eye(5)[[LABELS.index(x) for x in ("CS", "LS", "FS")]])
    assert tuple(counts.index) == SCALE == tuple(counts.columns)
    assert counts.loc["ECS", "CS"] == counts.loc["LS", "LS"] == counts.loc["LS", "FS"] == 1


def test_fitted_temperature_recovers_an_overconfident_model():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20_000, 5)) * 2
    cumulative = softmax(logits).cumsum(axis=1)
    truth = np.array(LABELS)[(rng.random((20_000, 1)) < cumulative).argmax(axis=1)]
    assert report.fit_temperature(truth, logits * 3) == pytest.approx(3, rel=0.05)
    before = report.expected_calibration_error(truth, softmax(logits * 3))
    after = report.expected_calibration_error(truth, softmax(logits * 3, 3))
    assert after < 0.02 < 0.15 < before


@pytest.mark.parametrize("off", [0, 1])
def test_a_temperature_at_its_bound_is_warned_of(off):
    """A network that is always right is never sure enough; one that is always wrong is too sure however unsure."""
    truth, logits = np.array(LABELS)[np.arange(200) % 5], np.eye(5)[(np.arange(200) + off) % 5]
    with pytest.warns(UserWarning, match="is as far as the fit goes") as caught:
        temperature = report.fit_temperature(truth, logits)
    assert isinstance(temperature, float) and caught[0].filename == __file__
    assert report.temperature_note(truth, temperature) == str(caught[0].message)


def test_a_temperature_of_few_frames_is_warned_of_and_of_many_it_is_not(answers):
    truth, logits = answers
    with pytest.warns(UserWarning, match=r"was fitted on 99 frames of val.*give 100 or more"):
        few = report.fit_temperature(truth[:99], logits[:99])
    assert "on 99 frames" in report.temperature_note(truth[:99], few)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert report.temperature_note(truth, report.fit_temperature(truth, logits)) == ""


@pytest.mark.parametrize("absent", [("ECS",), ("CS", "FS"), ("ECS", "CS", "FS", "LS")])
def test_a_report_runs_to_its_end_where_classes_are_absent(answers, absent):
    there = ~np.isin(answers[0], absent)
    truth, logits = answers[0][there], answers[1][there]
    proba = softmax(logits)
    lines = report.classification_table(truth, proba).splitlines()
    support = {line.split()[0]: int(line.split()[-1]) for line in lines[2:7]}
    assert tuple(support) == SCALE and {label for label in SCALE if not support[label]} == set(absent)
    assert lines[-1] == f"absent: {', '.join(absent)}; macro avg counts them as 0"
    rows = report.plot_confusion(truth, proba).axes[0].get_yticklabels()
    assert [tick.get_text().endswith("(absent)") for tick in rows] == [label in absent for label in SCALE]
    assert (report.confusion(truth, proba).sum(axis=1)[list(absent)] == 0).all()
    figures = report.summary(truth, proba)
    present = [label for label in SCALE if label not in absent]
    assert figures["macro-F1"] == pytest.approx(
        f1_score(truth, report.predicted(proba), labels=present, average="macro")
    )
    table = pd.DataFrame({"label": truth, "source": "film", "shot": np.arange(len(truth)) // 2})
    assert report.breakdown(table, proba, "source").loc["film", "accuracy"] == figures["accuracy"]
    assert report.errors_by_distance(truth, proba)["frames"].sum() == len(truth)
    assert report.summary_with_intervals(truth, proba, draws=20)["value"].to_dict() == figures
    shots, means = report.mean_by(table, proba)
    assert len(shots) == len(means) == -(-len(truth) // 2)
    assert len(report.confident_mistakes(table, proba, 5)) == 5
    report.plot_reliability(truth, {"one": proba})
    report.plot_coverage(truth, {"one": proba})


def test_calibration_error_of_a_known_case():
    proba = np.full((10, 5), 0.05)
    proba[:, 0] = 0.8
    truth = [LABELS[0]] * 6 + [LABELS[1]] * 4
    assert report.expected_calibration_error(truth, proba) == pytest.approx(0.2)


def test_breakdown(answers):
    truth, logits = answers
    table = pd.DataFrame({"label": truth, "source": ["trailer"] * 100 + ["still"] * 500, "ambiguous": [1, 0] * 300})
    parts = report.breakdown(table, logits, "source")
    assert parts.loc["trailer", "frames"] == 100
    assert parts.loc["still", "accuracy"] == report.summary(truth[100:], logits[100:])["accuracy"]


def test_table_has_scikit_learns_form_in_scale_order(answers):
    lines = report.classification_table(*answers).splitlines()
    assert [line.split()[0] for line in lines[2:7]] == list(SCALE)
    assert "macro avg" in lines[-2] and "weighted avg" in lines[-1]


def test_temperature_can_be_taken_back():
    logits = np.random.default_rng(0).normal(size=(50, 5)) * 3
    taken_back = report.with_temperature(softmax(logits, 1.7), 1 / 1.7)
    assert taken_back == pytest.approx(softmax(logits), abs=1e-5)


def test_errors_by_distance_agree_with_the_confusion_matrix(answers):
    table = report.errors_by_distance(*answers)
    counts = report.confusion(*answers).to_numpy()
    steps = np.abs(np.subtract.outer(range(5), range(5)))
    assert table["frames"].tolist() == [counts[steps == step].sum() for step in range(5)]
    assert table["share"].sum() == pytest.approx(1)


def test_coverage_starts_with_the_surest_and_ends_with_all(answers):
    truth, proba = answers[0], softmax(answers[1])
    table = report.coverage_table(truth, proba)
    assert table["accuracy"].iloc[-1] == pytest.approx(report.summary(truth, proba)["accuracy"])
    assert table["confidence"].is_monotonic_decreasing and table["coverage"].iloc[-1] == 1
    half = proba.max(axis=1) >= table["confidence"].iloc[299]
    assert table["accuracy"].iloc[299] == pytest.approx(report.summary(truth[half], proba[half])["accuracy"])
    assert table["accuracy"].iloc[299] > table["accuracy"].iloc[-1]


def test_confident_mistakes_are_mistakes_surest_first(answers):
    table = pd.DataFrame({"label": answers[0], "path": range(600)})
    found = report.confident_mistakes(table, softmax(answers[1]), 5)
    assert len(found) == 5 and (found["label"] != found["answer"]).all()
    assert found["confidence"].is_monotonic_decreasing
    wrong = report.predicted(answers[1]) != answers[0]
    assert found["confidence"].iloc[0] == softmax(answers[1])[wrong].max()


def test_mean_by_shot_keeps_order_and_label():
    table = pd.DataFrame({"shot": ["b", "a", "b"], "label": ["CS", "LS", "CS"]})
    proba = np.array([[0.6, 0.4, 0, 0, 0], [0, 0, 0, 1, 0], [0.2, 0.8, 0, 0, 0]])
    shots, means = report.mean_by(table, proba)
    assert shots[["shot", "label", "frames"]].to_numpy().tolist() == [["b", "CS", 2], ["a", "LS", 1]]
    assert means == pytest.approx(np.array([[0.4, 0.6, 0, 0, 0], [0, 0, 0, 1, 0]]))


def test_pictures_are_drawn(answers):
    truth, logits = answers
    report.plot_confusion(truth, softmax(logits), "test")
    reliability = report.plot_reliability(truth, {"before": softmax(logits * 3), "after": softmax(logits)})
    error = report.expected_calibration_error(truth, softmax(logits * 3))
    assert f"before: error {error:.3f}" in [text.get_text() for text in reliability.axes[0].get_legend().get_texts()]
    (line,) = report.plot_coverage(truth, {"one": softmax(logits)}).axes[0].lines
    assert line.get_ydata()[-1] == pytest.approx(report.summary(truth, logits)["accuracy"])
    answer = Prediction("x", "MS", 0.6, dict(zip(SCALE, (0.0, 0.1, 0.6, 0.2, 0.1), strict=True)))
    figure = report.plot_prediction(np.zeros((90, 160, 3), np.uint8), answer)
    assert [tick.get_text() for tick in figure.axes[1].get_yticklabels()] == list(SCALE)


def test_samples_of_whole_films_give_wider_intervals_where_films_differ():
    truth, groups = np.array(["MS"] * 200), np.repeat(np.arange(20), 10)
    proba = np.tile(np.eye(5)[LABELS.index("MS")], (200, 1))
    proba[groups < 6] = np.eye(5)[LABELS.index("CS")]  # six films are wrong as a whole
    rows, films = (report.summary_with_intervals(truth, proba, by).loc["accuracy"] for by in (None, groups))
    assert rows["value"] == films["value"] == 0.7
    width = {name: table["to"] - table["95 % from"] for name, table in (("rows", rows), ("films", films))}
    assert 2 * width["rows"] < width["films"] < 0.5
    assert films["to"] == pytest.approx(0.9, abs=0.05) and films["95 % from"] == pytest.approx(0.5, abs=0.05)


def test_another_label_that_the_annotator_saw_counts_on_ambiguous_frames_alone():
    seen = {"label": ["MS"] * 4, "seen_label": ["MS/CS", "MS/CS", "CS", "MS"], "ambiguous": [1, 0, 1, 1]}
    proba = np.tile(np.eye(5)[LABELS.index("CS")], (4, 1))
    assert report.also_right(pd.DataFrame(seen), proba).tolist() == [True, False, True, False]


def test_how_many_one_has_to_check():
    confidence = np.linspace(0.95, 0.5, 10)  # the least sure last
    proba = np.stack([confidence, 1 - confidence, *np.zeros((3, 10))], axis=1)
    truth = ["CS"] * 5 + ["MS"] * 5
    assert report.to_check(truth, proba) == 0.4  # four of the five errors
    assert report.to_check(truth, proba, share=1.0) == 0.5
    assert report.to_check(["CS"] * 10, proba) == 0.0
    assert confidence[6] < report.unsure_below(truth, proba) < confidence[5]


def test_a_dot_a_film():
    table = pd.DataFrame({"label": ["CS", "CS", "MS"], "group": ["a", "a", "b"]})
    figure = report.plot_by_group(table, np.eye(5)[[0, 1, LABELS.index("MS")]])
    assert sorted(figure.axes[0].collections[0].get_offsets()[:, 1].tolist()) == [0.5, 1.0]
