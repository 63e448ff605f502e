"""What a network should answer for each frame, which frames an epoch shows, and what is watched on val."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from ..labels import LABELS
from ..report import negative_log_likelihood, summary

VOTES = ("seen_label", "second_label")


def hard_targets(table: pd.DataFrame) -> np.ndarray:
    """One-hot rows, float32 (N, 5), columns in the order of LABELS."""
    return np.eye(len(LABELS), dtype=np.float32)[[LABELS.index(label) for label in table["label"]]]


def soft_targets(table: pd.DataFrame) -> np.ndarray:
    """Mean of the label and of every annotator's vote, float32 (N, 5), rows sum to 1.

    Who hesitates ("MS/CS") gives half a vote to each. Without annotator columns this is `hard_targets`.
    """
    total, count = hard_targets(table), np.ones((len(table), 1), np.float32)
    for column in (column for column in VOTES if column in table):
        for row, text in enumerate(table[column].astype(str)):
            seen = [LABELS.index(part) for part in text.split("/") if part in LABELS]
            if seen:
                total[row, seen] += 1 / len(seen)
                count[row] += 1
    return total / count


def epoch_rows(table: pd.DataFrame, rng: np.random.Generator, one_per_shot=True, balance=0.0) -> np.ndarray:
    """Row positions of one epoch in random order.

    `one_per_shot` draws one frame of each shot, so that a long shot does not count three times. A frame is
    shown `weight` times (a fraction is drawn at random), times (mean class count / its class count) **
    `balance`: 0 leaves the classes as frequent as they are, 1 makes them equal.
    """
    rows = rng.permutation(len(table))
    if one_per_shot and "shot" in table:
        rows = rows[~table["shot"].iloc[rows].duplicated().to_numpy()]
    labels = table["label"].iloc[rows]
    counts = labels.map(labels.value_counts()).to_numpy(float)
    weights = (len(rows) / labels.nunique() / counts) ** balance
    if "weight" in table:
        weights *= table["weight"].iloc[rows].to_numpy(float)
    rows = np.repeat(rows, np.floor(weights + rng.random(len(rows))).astype(int))
    return rng.permutation(rows)


def scores(table: pd.DataFrame, logits: np.ndarray) -> dict[str, float]:
    """What training watches on val: accuracy, macro-F1, loss, accuracy and loss on real shots, and a `score`.

    The best epoch is the one with the lowest loss, which says more than counting right answers. `score` is the mean
    of macro-F1 on all frames and accuracy on the frames of real shots (`source` "trailer"), so that those count as
    much as all the stills together; macro-F1 alone where there are none.
    """
    figures = summary(table["label"], logits)
    figures["val loss"] = negative_log_likelihood(table["label"], logits)
    figures["score"] = figures["macro-F1"]
    real = (table["source"] == "trailer").to_numpy() if "source" in table else np.zeros(len(table), bool)
    if real.any():
        figures["trailer accuracy"] = summary(table["label"][real], logits[real])["accuracy"]
        figures["trailer loss"] = negative_log_likelihood(table["label"][real], logits[real])
        figures["score"] = (figures["macro-F1"] + figures["trailer accuracy"]) / 2
    if "ambiguous" in table:
        clear = (table["ambiguous"].astype(int) == 0).to_numpy()
        figures["unambiguous accuracy"] = summary(table["label"][clear], logits[clear])["accuracy"]
    return figures


def plot_history(histories: dict[str, pd.DataFrame], columns=("loss", "val loss", "macro-F1")) -> Figure:
    """One panel a column, one line a run, over the epochs."""
    figure, panels = plt.subplots(1, len(columns), figsize=(3.4 * len(columns), 2.9), layout="constrained")
    for axes, column in zip(np.atleast_1d(panels), columns, strict=True):
        for name, history in histories.items():
            axes.plot(history["epoch"], history[column], marker="o", markersize=3, label=name)
        axes.set(title=column, xlabel="epoch")
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8)
    return figure
