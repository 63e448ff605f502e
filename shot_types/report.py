"""Labels and probabilities -> figures, tables and pictures. Scores as scikit-learn defines them.

Throughout, `truth` is a sequence of labels, in which classes may be absent, and `proba` an array (N, 5) of
probabilities with columns in the order of LABELS.
"""

import warnings

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar
from sklearn.metrics import classification_report, confusion_matrix

from .labels import COLORS, LABELS, NAMES, SCALE, STEP

INDEX = {label: i for i, label in enumerate(LABELS)}
NEAR = np.array([[abs(STEP[a] - STEP[b]) <= 1 for b in LABELS] for a in LABELS])
TEMPERATURES = (np.exp(-2), np.exp(2))
"""Between these a temperature is looked for; networks that have learnt have one from about 0.5 to 3."""
FEW = 100
"""Frames: on fewer, the fit of a temperature follows chance."""


def predicted(proba: np.ndarray) -> np.ndarray:
    """The label of the highest probability (or logit) of each row."""
    return np.array(LABELS)[np.argmax(proba, axis=1)]


def summary(truth, proba: np.ndarray) -> dict[str, float]:
    """Accuracy, macro-F1 over the classes that occur in `truth`, and the share of answers at most one step off."""
    return _scores(np.bincount(_cells(truth, proba), minlength=len(LABELS) ** 2))


def summary_with_intervals(truth, proba: np.ndarray, groups=None, draws: int = 2000, seed: int = 0) -> pd.DataFrame:
    """`summary` with 95 % intervals: percentiles over bootstrap samples of the rows, or of whole `groups` of rows.

    Frames of one film are alike, so samples of films (`groups`, a sequence of N names) give the honest interval.
    """
    cells, rng = _cells(truth, proba), np.random.default_rng(seed)
    names = np.arange(len(cells)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    counts = np.zeros((names.max() + 1, len(LABELS) ** 2), int)
    np.add.at(counts, (names, cells), 1)
    samples = (rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts))) for _ in range(draws))
    table = pd.DataFrame([_scores(sample @ counts) for sample in samples])
    low, high = table.quantile(0.025), table.quantile(0.975)
    return pd.DataFrame({"value": summary(truth, proba), "95 % from": low, "to": high})


def _cells(truth, proba: np.ndarray) -> np.ndarray:
    """The cell of the confusion matrix, counted row by row, that each answer falls in."""
    return len(LABELS) * np.array([INDEX[label] for label in truth], int) + np.argmax(proba, axis=1)


def _scores(counts: np.ndarray) -> dict[str, float]:
    """The figures of `summary` from the cells of a confusion matrix: 2,000 samples take no time, unlike f1_score."""
    counts = counts.reshape(len(LABELS), len(LABELS))  # one row a true class
    true, right = counts.sum(axis=1), counts.diagonal()
    f1 = 2 * right / np.maximum(true + counts.sum(axis=0), 1)
    return {
        "accuracy": float(right.sum() / true.sum()),
        "macro-F1": float(f1[true > 0].mean()),
        "within one step": float(counts[NEAR].sum() / true.sum()),
    }


def classification_table(truth, proba: np.ndarray) -> str:
    """Precision, recall, F1 and support of each class, from near to far, in scikit-learn's form.

    A last line names the classes that do not occur in `truth`: scikit-learn's averages count them as 0, while
    `summary` leaves them out.
    """
    table = classification_report(truth, predicted(proba), labels=SCALE, digits=3, zero_division=0)
    absent = [label for label in SCALE if label not in set(truth)]
    return table + (f"\nabsent: {', '.join(absent)}; macro avg counts them as 0\n" if absent else "")


def breakdown(table: pd.DataFrame, proba: np.ndarray, by: str) -> pd.DataFrame:
    """Frames, accuracy and macro-F1 for each value of the column `by` of a table with `label`."""
    rows = {}
    for value, part in table.reset_index(drop=True).groupby(by):
        rows[value] = {"frames": len(part), **summary(part["label"], proba[part.index])}
    return pd.DataFrame(rows).T.astype({"frames": int}).rename_axis(by)


def errors_by_distance(truth, proba: np.ndarray) -> pd.DataFrame:
    """Frames, and their share, whose answer is 0 (right) to 4 steps off on the scale."""
    steps = [abs(STEP[a] - STEP[b]) for a, b in zip(truth, predicted(proba), strict=True)]
    counts = pd.Series(steps).value_counts().reindex(range(5), fill_value=0).rename_axis("steps off")
    return pd.DataFrame({"frames": counts, "share": counts / len(steps)})


def confident_mistakes(table: pd.DataFrame, proba: np.ndarray, count: int = 10) -> pd.DataFrame:
    """The wrong answers of highest confidence for a table with `label`: its rows, with `answer` and `confidence`."""
    table = table.assign(answer=predicted(proba), confidence=proba.max(axis=1))
    return table[table["answer"] != table["label"]].nlargest(count, "confidence")


def also_right(table: pd.DataFrame, proba: np.ndarray) -> np.ndarray:
    """Whether each answer is the label or, on an `ambiguous` frame, another that the annotator saw (`seen_label`)."""
    answers, right = predicted(proba), predicted(proba) == table["label"].to_numpy()
    seen = [str(text).split("/") for text in table["seen_label"]]
    doubt = table["ambiguous"].to_numpy() == 1
    return right | (doubt & np.array([answer in labels for answer, labels in zip(answers, seen, strict=True)], bool))


def unsure_below(truth, proba: np.ndarray, share: float = 0.8) -> float:
    """The confidence below which one must look at answers to find that `share` of the errors; 0 where none is wrong."""
    wrong = (predicted(proba) != np.asarray(truth))[np.argsort(proba.max(axis=1), kind="stable")]
    if not wrong.any():
        return 0.0
    last = np.searchsorted(wrong.cumsum(), share * wrong.sum())
    return float(np.nextafter(np.sort(proba.max(axis=1))[last], 2))


def to_check(truth, proba: np.ndarray, share: float = 0.8) -> float:
    """The share of answers that one must look at, the least sure first, to find that `share` of the errors."""
    return float(np.mean(proba.max(axis=1) < unsure_below(truth, proba, share)))


def mean_by(table: pd.DataFrame, proba: np.ndarray, by: str = "shot") -> tuple[pd.DataFrame, np.ndarray]:
    """One row for each value of `by` (first row of its frames, and their number), and mean probabilities."""
    groups, means = table.groupby(by, sort=False), pd.DataFrame(proba).groupby(table[by].to_numpy(), sort=False).mean()
    return groups.first().assign(frames=groups.size()).reset_index(), means.to_numpy()


def negative_log_likelihood(truth, logits: np.ndarray, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood, in nats, of the true labels under softmax(logits / temperature)."""
    x = np.asarray(logits, np.float64) / temperature
    x = x - x.max(axis=1, keepdims=True)
    chosen = x[np.arange(len(x)), [INDEX[label] for label in truth]]
    return float(np.mean(np.log(np.exp(x).sum(axis=1)) - chosen))


def fit_temperature(truth, logits: np.ndarray) -> float:
    """The one number by which logits (N, 5) are divided so that confidences mean something; fit it on val.

    Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599. Warns
    with the words of `temperature_note` where the number is not to be trusted.
    """
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(truth, logits, np.exp(log_t)),
        bounds=np.log(TEMPERATURES),
        method="bounded",
    )
    temperature = float(np.exp(found.x))
    if note := temperature_note(truth, temperature):
        warnings.warn(note, stacklevel=2)
    return temperature


def temperature_note(truth, temperature: float) -> str:
    """What a card should say of a `temperature` fitted on the labels `truth`; "" where there is nothing to say."""
    low, high = TEMPERATURES
    if not low * 1.01 < temperature < high / 1.01:
        return (
            f"temperature {temperature:.2f} is as far as the fit goes, so confidences mean little: val is too small or"
            " too easy, or the network has not learnt"
        )
    if len(truth) < FEW:
        return (
            f"temperature {temperature:.2f} was fitted on {len(truth)} frames of val, so confidences are a rough"
            f" guide; give {FEW} or more"
        )
    return ""


def with_temperature(proba: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities as they would be with the logits divided by `temperature` once more; below 1 undoes it."""
    powers = np.asarray(proba, np.float64) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def calibration_table(truth, proba: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Answers grouped by confidence into `bins` of equal width: frames, mean confidence, accuracy."""
    confidence, right = proba.max(axis=1), predicted(proba) == np.asarray(truth)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    table = pd.DataFrame({"bin": place, "confidence": confidence, "accuracy": right.astype(float)})
    groups = table.groupby("bin")
    return groups.mean().assign(frames=groups.size())


def expected_calibration_error(truth, proba: np.ndarray, bins: int = 10) -> float:
    """Mean distance of confidence from accuracy over `calibration_table`, weighted by frames (Guo et al. 2017)."""
    table = calibration_table(truth, proba, bins)
    return float(np.average((table["confidence"] - table["accuracy"]).abs(), weights=table["frames"]))


def coverage_table(truth, proba: np.ndarray) -> pd.DataFrame:
    """Accuracy of the surest answers alone: one row for each share of answers kept (`coverage`), surest first."""
    confidence = proba.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    kept = np.arange(1, len(order) + 1)
    right = (predicted(proba) == np.asarray(truth))[order]
    accuracy = right.cumsum() / kept
    return pd.DataFrame({"coverage": kept / len(order), "confidence": confidence[order], "accuracy": accuracy})


def confusion(truth, proba: np.ndarray) -> pd.DataFrame:
    """Counts: one row a true class, one column an answer, both from near to far."""
    counts = confusion_matrix(truth, predicted(proba), labels=SCALE)
    return pd.DataFrame(counts, pd.Index(SCALE, name="truth"), pd.Index(SCALE, name="answer"))


def plot_confusion(truth, proba: np.ndarray, title: str = "") -> Figure:
    """The confusion matrix in scale order: counts written, shares of each true class as colour, absent ones named."""
    counts = confusion(truth, proba)
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    figure, axes = plt.subplots(figsize=(5, 4.4), layout="constrained")
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for i, j in np.ndindex(counts.shape):
        text = f"{counts.iat[i, j]}\n{shares.iat[i, j]:.0%}"
        axes.text(j, i, text, ha="center", va="center", color="black" if shares.iat[i, j] > 0.5 else "white")
    rows = [label if counts.loc[label].any() else f"{label}\n(absent)" for label in SCALE]
    axes.set(xticks=range(5), xticklabels=SCALE, yticks=range(5), yticklabels=rows)
    axes.set(xlabel="answer", ylabel="truth", title=title)
    figure.colorbar(image, label="share of the true class")
    return figure


def plot_reliability(truth, probas: dict[str, np.ndarray], title: str = "") -> Figure:
    """Accuracy against confidence, one line for each name: on the diagonal, confidence means what it says."""
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    for name, proba in probas.items():
        table = calibration_table(truth, proba)
        error = expected_calibration_error(truth, proba)
        axes.plot(table["confidence"], table["accuracy"], marker="o", label=f"{name}: error {error:.3f}")
    axes.set(xlabel="confidence", ylabel="accuracy", title=title, xlim=(0.2, 1.02), ylim=(0, 1.02))
    axes.legend()
    return figure


def plot_coverage(truth, probas: dict[str, np.ndarray], title: str = "") -> Figure:
    """Accuracy of what is left when the least sure answers are withheld, one line for each name."""
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for name, proba in probas.items():
        table = coverage_table(truth, proba)
        axes.plot(table["coverage"], table["accuracy"], label=name)
    axes.set(xlabel="share of frames answered, surest first", ylabel="accuracy", title=title, xlim=(0.1, 1))
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def plot_by_group(table: pd.DataFrame, proba: np.ndarray, title: str = "") -> Figure:
    """Accuracy on each `group` of a table with `label`: a dot a film, larger with more frames, sorted."""
    right = pd.Series(predicted(proba) == table["label"].to_numpy()).groupby(table["group"].to_numpy())
    groups = pd.DataFrame({"accuracy": right.mean(), "frames": right.size()}).sort_values(["accuracy", "frames"])
    figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
    axes.scatter(range(len(groups)), groups["accuracy"], s=12 * groups["frames"], alpha=0.5, color="#332288")
    axes.axhline(right.sum().sum() / groups["frames"].sum(), color="black", ls="--", lw=1, label="all frames")
    axes.set(xlabel="films, sorted", ylabel="accuracy", xticks=(), ylim=(-0.05, 1.08), title=title)
    axes.legend(frameon=False)
    return figure


def plot_prediction(rgb: np.ndarray, prediction, title: str = "") -> Figure:
    """A picture beside the five probabilities of its `Prediction`, as bars from ECS to LS."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), width_ratios=(3, 2), layout="constrained")
    left.imshow(rgb)
    left.set_axis_off()
    left.set_title(title, fontsize=10)
    values = [prediction.probabilities[label] for label in SCALE]
    bars = right.barh(SCALE, values, color=[COLORS[label] for label in SCALE], edgecolor="black", linewidth=0.5)
    right.bar_label(bars, [f"{value:.2f}" for value in values], padding=3)
    right.invert_yaxis()
    right.set(xlim=(0, 1.15), xticks=(0, 0.5, 1), title=f"{NAMES[prediction.label]}, {prediction.confidence:.0%}")
    right.spines[["top", "right"]].set_visible(False)
    return figure
