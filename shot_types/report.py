"""Labels and probabilities -> figures, tables and pictures. Scores as scikit-learn defines them.

Throughout, `truth` is a sequence of labels and `proba` an array (N, 5) with columns in the order of LABELS.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar
from sklearn.metrics import classification_report, confusion_matrix, f1_score

from .labels import COLORS, LABELS, NAMES, SCALE, STEP

INDEX = {label: i for i, label in enumerate(LABELS)}


def predicted(proba: np.ndarray) -> np.ndarray:
    """The label of the highest probability (or logit) of each row."""
    return np.array(LABELS)[np.argmax(proba, axis=1)]


def summary(truth, proba: np.ndarray) -> dict[str, float]:
    """Accuracy, macro-F1 over the classes that occur in `truth`, and the share of answers at most one step off."""
    truth, answer = np.asarray(truth), predicted(proba)
    distance = np.abs([STEP[a] - STEP[b] for a, b in zip(truth, answer, strict=True)])
    return {
        "accuracy": float(np.mean(truth == answer)),
        "macro-F1": float(f1_score(truth, answer, labels=np.unique(truth), average="macro")),
        "within one step": float(np.mean(distance <= 1)),
    }


def summary_with_intervals(truth, proba: np.ndarray, draws: int = 2000, seed: int = 0) -> pd.DataFrame:
    """`summary` with 95 % intervals: percentiles over bootstrap samples of the rows."""
    truth, rng = np.asarray(truth), np.random.default_rng(seed)
    samples = [rng.integers(len(truth), size=len(truth)) for _ in range(draws)]
    table = pd.DataFrame([summary(truth[rows], proba[rows]) for rows in samples])
    low, high = table.quantile(0.025), table.quantile(0.975)
    return pd.DataFrame({"value": summary(truth, proba), "95 % from": low, "to": high})


def classification_table(truth, proba: np.ndarray) -> str:
    """Precision, recall, F1 and support of each class, from near to far, in scikit-learn's form."""
    return classification_report(truth, predicted(proba), labels=SCALE, digits=3, zero_division=0)


def breakdown(table: pd.DataFrame, proba: np.ndarray, by: str) -> pd.DataFrame:
    """Frames, accuracy and macro-F1 for each value of the column `by` of a table with `label`."""
    rows = {}
    for value, part in table.reset_index(drop=True).groupby(by):
        rows[value] = {"frames": len(part), **summary(part["label"], proba[part.index])}
    return pd.DataFrame(rows).T.astype({"frames": int}).rename_axis(by)


def negative_log_likelihood(truth, logits: np.ndarray, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood, in nats, of the true labels under softmax(logits / temperature)."""
    x = np.asarray(logits, np.float64) / temperature
    x = x - x.max(axis=1, keepdims=True)
    chosen = x[np.arange(len(x)), [INDEX[label] for label in truth]]
    return float(np.mean(np.log(np.exp(x).sum(axis=1)) - chosen))


def fit_temperature(truth, logits: np.ndarray) -> float:
    """The one number by which logits are divided so that confidences mean something; fit it on val.

    Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599.
    """
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(truth, logits, np.exp(log_t)), bounds=(-2, 2), method="bounded"
    )
    return float(np.exp(found.x))


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


def confusion(truth, proba: np.ndarray) -> pd.DataFrame:
    """Counts: one row a true class, one column an answer, both from near to far."""
    counts = confusion_matrix(truth, predicted(proba), labels=SCALE)
    return pd.DataFrame(counts, pd.Index(SCALE, name="truth"), pd.Index(SCALE, name="answer"))


def plot_confusion(truth, proba: np.ndarray, title: str = "") -> Figure:
    """The confusion matrix in scale order: counts written, shares of each true class as colour."""
    counts = confusion(truth, proba)
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    figure, axes = plt.subplots(figsize=(5, 4.4), layout="constrained")
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for i, j in np.ndindex(counts.shape):
        text = f"{counts.iat[i, j]}\n{shares.iat[i, j]:.0%}"
        axes.text(j, i, text, ha="center", va="center", color="black" if shares.iat[i, j] > 0.5 else "white")
    axes.set(xticks=range(5), xticklabels=SCALE, yticks=range(5), yticklabels=SCALE)
    axes.set(xlabel="answer", ylabel="truth", title=title)
    figure.colorbar(image, label="share of the true class")
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
