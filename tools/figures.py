"""Tables of figures in README.md and models/README.md, made from cards and test predictions: what `make figures` does.

What stands between `<!-- figures: NAME -->` and `<!-- end -->` in these files is made here; a test fails where it
differs. Intervals are bootstrap percentiles of `report.summary_with_intervals`.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from shot_types import report
from shot_types.cards import read_card
from shot_types.classifier import FRAMEWORKS, MODELS
from shot_types.files import write
from shot_types.labels import LABELS, SCALE
from shot_types.probe import probe_path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "models" / "README.md")
TITLES = {"pytorch": "PyTorch, MobileNetV3-Large", "tensorflow": "TensorFlow, EfficientNetB0"}


def answers(framework: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The test frames (`path`, `label`, `group`) and the model's probabilities (N, 5), from its predictions file."""
    weights = MODELS / FRAMEWORKS[framework]
    table = pd.read_csv(weights.with_name(f"{weights.stem}_test_predictions.csv"))
    return table, table[list(LABELS)].to_numpy()


def files() -> str:
    """The weights files: what reads each, what it takes, its size."""
    rows = {}
    for framework, title in TITLES.items():
        reader, network = title.split(", ")
        weights = MODELS / FRAMEWORKS[framework]
        for path, reads in ((weights, reader), (weights.with_suffix(".onnx"), "ONNX Runtime")):
            card, size = read_card(path), f"{path.stat().st_size / 1e6:.1f} MB"
            rows[f"`{path.name}`"] = [network, reads, f"RGB, {card['height']} x {card['width']}", size]
    return markdown(pd.DataFrame(rows, ["network", "read by", "input", "size"]).T, "file")


def results() -> str:
    """One column a model: the figures on shots of films, then on all test frames, with intervals over whole films."""
    columns = []
    for framework in TITLES:
        table, proba = answers(framework)
        card, film = read_card(MODELS / FRAMEWORKS[framework]), shots(table)
        of_film, of_all = (intervals(table[part], proba[part]) for part in (film, film | True))
        columns.append(
            {
                f"**{film.sum()} shots of films**: accuracy": of_film["accuracy"],
                "macro-F1": of_film["macro-F1"],
                f"at most one step off on {'-'.join(SCALE)}": of_film["within one step"],
                "accuracy on the unambiguous ones": known(card["test"], "film unambiguous accuracy"),
                "one of the two labels of an ambiguous one counts too": known(card["test"], "film one of two labels"),
                "accuracy on inserts: a hand, a foot, an object": known(card["test"], "film insert accuracy"),
                f"**all {len(table)} frames**: accuracy": of_all["accuracy"],
                "macro-F1 ": of_all["macro-F1"],
                "at most one step off ": of_all["within one step"],
                "accuracy on the unambiguous ones ": known(card["test"], "unambiguous accuracy"),
                "expected calibration error": f"{report.expected_calibration_error(table['label'], proba):.3f}",
                "temperature, fitted on val": f"{card['temperature']:.2f}",
            }
        )
    return markdown(pd.DataFrame(columns, index=list(TITLES.values())).T, "on test (95 % interval)")


def shots(table: pd.DataFrame) -> np.ndarray:
    """Which test frames are shots of films: the data set keeps them in a folder of their own."""
    return table["path"].str.startswith("frames/film/").to_numpy()


def intervals(table: pd.DataFrame, proba: np.ndarray) -> dict[str, str]:
    """Each figure of `report.summary` with its interval over samples of whole films."""
    figures = report.summary_with_intervals(table["label"], proba, table["group"])
    return {name: "{:.3f} ({:.3f} to {:.3f})".format(*row) for name, row in figures.T.items()}


def classes() -> str:
    """F1 of each class on test, from near to far."""
    rows = {}
    for framework, title in TITLES.items():
        table, proba = answers(framework)
        lines = report.classification_table(table["label"], proba).splitlines()
        f1 = {words[0]: words[3] for words in map(str.split, lines) if words and words[0] in SCALE}
        rows[title] = [f1[label] for label in SCALE]
    return markdown(pd.DataFrame(rows, SCALE).T, "F1 on test")


def sources() -> str:
    """The frames that each network has seen in its last training, by their source, from the cards."""
    seen = {title: read_card(MODELS / FRAMEWORKS[name])["training frames by source"] for name, title in TITLES.items()}
    table = pd.DataFrame(seen).rename(lambda source: f"`{source}`")
    table.loc["all"] = table.sum()
    return markdown(table.map("{:,.0f}".format), "training frames by source")


def together() -> str:
    """How often the models agree, and what the mean of their probabilities gives."""
    (table, first), (_, second) = (answers(framework) for framework in TITLES)
    truth = table["label"]
    agree, mean = np.mean(report.predicted(first) == report.predicted(second)), report.summary(truth, first + second)
    return (
        f"The two models give one answer on {agree:.3f} of the test frames; the mean of their probabilities has"
        f" accuracy {mean['accuracy']:.3f} and macro-F1 {mean['macro-F1']:.3f}."
    )


def probes() -> str:
    """What the probe of each network finds and what it loses, on test, with the intervals in its file."""
    columns = []
    for framework in TITLES:
        file = json.loads(probe_path(MODELS / FRAMEWORKS[framework]).read_text(encoding="utf-8"))
        test = {"places": "places without a shot: found", "shots": "labelled frames: taken for no shot"}
        test |= {"titled": "labelled frames with titles drawn over them: the same"}
        scores = {name: file["test"][kind] for kind, name in test.items()} | {"examples: the same": file["examples"]}
        columns.append(
            {
                name: f"{score['taken for none']} of {score['of']}: {score['share']:.3f}"
                f" ({score['low']:.3f} to {score['high']:.3f})"
                for name, score in scores.items()
            }
        )
    return markdown(pd.DataFrame(columns, index=list(TITLES.values())).T, "on test (95 % interval)")


def known(figures: dict, name: str) -> str:
    """A figure of a card, or a dash: those that need more than labels are not known of every data set."""
    return f"{figures[name]:.3f}" if name in figures else "-"


def markdown(table: pd.DataFrame, head: str) -> str:
    """A table of texts in Markdown; `head` stands above the names of its rows."""
    rows = [[head, *table.columns], ["---"] * (1 + len(table.columns))]
    rows += [[name, *row] for name, row in table.T.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


BLOCKS = {make.__name__: make for make in (files, results, classes, sources, together, probes)}


def filled(text: str) -> str:
    """The text of a page with each block made anew; raises KeyError for a block of an unknown name."""

    def block(match: re.Match) -> str:
        return f"{match[1]}\n{BLOCKS[match[2]]()}\n{match[3]}"

    return re.sub(r"(<!-- figures: (\w+) -->)\n.*?(<!-- end -->)", block, text, flags=re.DOTALL)


def main() -> int:
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        new = filled(old)
        if new != old:
            write(page, new)
        print(f"{page.relative_to(ROOT)}: {'as it was' if new == old else 'written'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
