"""What is kept of runs and said of them: which data and recipe they are of, scores on val, comparisons, the choice."""

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from ..cards import write_card
from ..classifier import load_classifier
from ..dataset import write_csv
from ..files import file_sha256
from ..labels import LABELS
from ..report import (
    also_right,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    summary,
    unsure_below,
)
from .recipe import Recipe
from .samples import repeats, targets

FILM = ("film", "trailer")
"""Values of `source` that are shots of films, which people bring; the others are stills and video clips."""


def learned_from(recipe: Recipe, rows: pd.DataFrame, val: pd.DataFrame) -> dict:
    """What makes a run this one and no other, as its checkpoint keeps it: recipe, start, and digests of the data."""
    data = hashlib.sha256("\n".join(rows["path"]).encode() + targets(rows, recipe).tobytes())
    if "weight" in rows:
        data.update(rows["weight"].to_numpy(float).tobytes())
    shown = repeats(rows, recipe).tobytes()
    for column in (column for column in ("shot", "source") if column in rows):
        shown += "\n".join(rows[column].astype(str)).encode()
    return {
        "recipe": json.loads(json.dumps(recipe.as_dict())),
        "data set": data.hexdigest()[:16],
        "order or weighting of frames": hashlib.sha256(shown).hexdigest()[:16],
        "val split": hashlib.sha256("\n".join(val["path"] + val["label"]).encode()).hexdigest()[:16],
        "start": file_sha256(recipe.initial) if Path(recipe.initial or "").is_file() else recipe.as_dict()["initial"],
    }


def check_run(run: dict, learned: dict, folder: Path) -> None:
    """Raise ValueError when `run`, a checkpoint in `folder`, has not `learned` from the same."""
    for what, value in learned.items():
        if run.get(what, value) != value:
            raise ValueError(f"{folder}: holds a run of another {what}; remove it or name another folder")


def is_best(history: list[dict]) -> bool:
    """Whether the last epoch is the best so far: `choice loss` is the lowest. ValueError where it is no number."""
    if np.isnan(history[-1]["choice loss"]):
        raise ValueError("the loss on val is not a number any more; train with a lower lr, or from another start")
    return history[-1]["choice loss"] == min(row["choice loss"] for row in history)


def scores(rows: pd.DataFrame, logits: np.ndarray) -> dict[str, float]:
    """What training watches on val, from logits or log-probabilities (N, 5): `report.summary` and losses in nats.

    `choice loss`, by which epochs and candidates are chosen, is the mean of the loss on all frames and of that on
    shots of films (`source` in FILM), so that these count as much as all the stills together; the loss on all where
    there are none. A loss says more than a count of right answers.
    """
    logits = np.maximum(logits, np.log(np.finfo(np.float32).tiny))  # of logarithms, that of a probability of 0
    figures = summary(rows["label"], logits)
    figures["val loss"] = figures["choice loss"] = negative_log_likelihood(rows["label"], logits)
    everything = pd.Series(True, rows.index)
    film = of_films(rows)
    clear = rows["ambiguous"] == 0 if "ambiguous" in rows else ~everything
    insert = rows["insert"] == 1 if "insert" in rows else ~everything
    parts = {"unambiguous": clear, "film": film, "film unambiguous": film & clear, "film insert": film & insert}
    for name, part in parts.items():
        if part.any():
            figures[f"{name} accuracy"] = summary(rows["label"][part], logits[part.to_numpy()])["accuracy"]
    if film.any():
        figures["film loss"] = negative_log_likelihood(rows["label"][film], logits[film.to_numpy()])
        figures["choice loss"] = (figures["val loss"] + figures["film loss"]) / 2
        if {"ambiguous", "seen_label"} <= set(rows):
            figures["film one of two labels"] = float(also_right(rows[film], logits[film.to_numpy()]).mean())
    return figures


def of_films(rows: pd.DataFrame) -> pd.Series:
    """Which rows are shots of films: bool, with the index of `rows`; none where there is no column `source`."""
    return rows["source"].isin(FILM) if "source" in rows else pd.Series(False, rows.index)


def ranking(rows: pd.DataFrame, logits: dict[str, np.ndarray]) -> pd.DataFrame:
    """The `scores` on the val `rows` of candidates, name -> logits (N, 5), each after its own temperature; best first.

    Averaged weights are less confident than their runs; a temperature mends that in service, so it does here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a temperature from few frames: here it only makes candidates alike
        table = {name: scores(rows, values / fit_temperature(rows["label"], values)) for name, values in logits.items()}
    return pd.DataFrame(table).T.sort_values("choice loss")


def verdict(runs: dict[str, list[pd.DataFrame]], column: str = "choice loss") -> pd.DataFrame:
    """The last epoch of runs with several seeds: mean and standard deviation, and the difference from the first choice.

    `beyond the spread` says whether that difference is larger than the deviations of the two together.
    """
    last = pd.DataFrame({name: [run[column].iloc[-1] for run in seeds] for name, seeds in runs.items()})
    table = pd.DataFrame({"mean": last.mean(), "deviation": last.std()})
    table["difference"] = table["mean"] - table["mean"].iloc[0]
    spread = np.hypot(table["deviation"], table["deviation"].iloc[0])
    table["beyond the spread"] = np.where(spread.isna(), "", np.where(table["difference"].abs() > spread, "yes", "no"))
    return table


def comparison(runs: dict[str, list[pd.DataFrame]], columns=("choice loss", "accuracy", "film accuracy")) -> Figure:
    """The last epoch of runs: a dot a seed, the mean of each choice and its standard deviation as an error bar."""
    columns = [column for column in columns if all(column in run for seeds in runs.values() for run in seeds)]
    figure, panels = plt.subplots(1, len(columns), figsize=(3.6 * len(columns), 0.9 + 0.5 * len(runs)), sharey=True)
    for axes, column in zip(np.atleast_1d(panels), columns, strict=True):
        for place, seeds in enumerate(runs.values()):
            last = np.array([run[column].iloc[-1] for run in seeds])
            axes.scatter(last, np.full(len(last), place), s=14, color="grey")
            axes.errorbar(
                last.mean(), place, xerr=last.std(ddof=min(1, len(last) - 1)), fmt="o", color="black", capsize=4
            )
        axes.set(title=column, yticks=range(len(runs)), yticklabels=list(runs), ylim=(len(runs) - 0.5, -0.5))
        axes.grid(axis="x", alpha=0.3)
    figure.set_layout_engine("constrained")
    return figure


def plot_history(histories: dict[str, pd.DataFrame], columns=("loss", "choice loss", "accuracy")) -> Figure:
    """One panel a column, one line a run, over the epochs."""
    figure, panels = plt.subplots(1, len(columns), figsize=(3.4 * len(columns), 2.9), layout="constrained")
    for axes, column in zip(np.atleast_1d(panels), columns, strict=True):
        for name, history in histories.items():
            axes.plot(history["epoch"], history[column], marker="o", markersize=3, label=name)
        axes.set(title=column, xlabel="epoch")
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8)
    return figure


def write_results(weights: str | Path, card: dict, val: pd.DataFrame, test: pd.DataFrame) -> dict:
    """Write the card of new weights with figures on val and test, and the test predictions beside them.

    All of it comes from the file as a user reads it. `card` lacks classes, checksum, figures and `unsure below`, the
    confidence below which lie four fifths of the errors on val, on its shots of films where it has some; returns it
    whole.
    """
    csv = Path(weights).with_name(f"{Path(weights).stem}_test_predictions.csv")
    csv.unlink(missing_ok=True)  # of other weights
    write_card(weights, card)
    classifier, card = load_classifier(weights=weights), dict(card)
    for name, rows in (("val", val), ("test", test)):
        if rows.empty:  # a data set may do without test
            continue
        proba = classifier.predict_proba(rows["file"])
        with np.errstate(divide="ignore"):
            figures = scores(rows, np.log(proba)) | {"frames": len(rows)}
        figures["log loss"] = figures.pop("val loss")
        figures["calibration error"] = expected_calibration_error(rows["label"], proba)
        card[name] = {key: round(value, 4) for key, value in figures.items() if key != "choice loss"}
        if name == "val":
            film = of_films(rows)
            film |= not film.any()
            card["unsure below"] = round(unsure_below(rows["label"][film], proba[film]), 4)
        else:
            columns = (
                rows[["path", "label", "group"]].reset_index(drop=True),
                pd.DataFrame(proba, columns=LABELS).round(6),
            )
            write_csv(pd.concat(columns, axis=1), csv)
    return write_card(weights, card)
