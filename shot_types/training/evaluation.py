"""What only the classification report asks of labels and probabilities, beyond `shot_types.report`.

As there, `truth` is a sequence of labels and `proba` an array (N, 5) with columns in the order of LABELS.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from ..labels import STEP
from ..report import calibration_table, expected_calibration_error, predicted


def with_temperature(proba: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities as they would be with the logits divided by `temperature` once more; below 1 undoes it."""
    powers = np.asarray(proba, np.float64) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def errors_by_distance(truth, proba: np.ndarray) -> pd.DataFrame:
    """Frames, and their share, whose answer is 0 (right) to 4 steps off on the scale."""
    steps = [abs(STEP[a] - STEP[b]) for a, b in zip(truth, predicted(proba), strict=True)]
    counts = pd.Series(steps).value_counts().reindex(range(5), fill_value=0).rename_axis("steps off")
    return pd.DataFrame({"frames": counts, "share": counts / len(steps)})


def coverage_table(truth, proba: np.ndarray) -> pd.DataFrame:
    """Accuracy of the surest answers alone: one row for each share of answers kept (`coverage`), surest first."""
    confidence = proba.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    kept = np.arange(1, len(order) + 1)
    right = (predicted(proba) == np.asarray(truth))[order]
    accuracy = right.cumsum() / kept
    return pd.DataFrame({"coverage": kept / len(order), "confidence": confidence[order], "accuracy": accuracy})


def confident_mistakes(table: pd.DataFrame, proba: np.ndarray, count: int = 10) -> pd.DataFrame:
    """The wrong answers of highest confidence for a table with `label`: its rows, with `answer` and `confidence`."""
    table = table.assign(answer=predicted(proba), confidence=proba.max(axis=1))
    return table[table["answer"] != table["label"]].nlargest(count, "confidence")


def mean_by(table: pd.DataFrame, proba: np.ndarray, by: str = "shot") -> tuple[pd.DataFrame, np.ndarray]:
    """One row for each value of `by` (first row of its frames, and their number), and mean probabilities."""
    groups, means = table.groupby(by, sort=False), pd.DataFrame(proba).groupby(table[by].to_numpy(), sort=False).mean()
    return groups.first().assign(frames=groups.size()).reset_index(), means.to_numpy()


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
