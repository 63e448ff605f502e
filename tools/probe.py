"""Fit the probes of the shipped networks, which tell shots from what is none: what `make probe` does.

Takes a data set with labelled frames, `frames.csv`, and places without a shot, `none.csv`, and writes a file beside
each weights file: the probe and its figures on val, where its line was set, and on test. `make export` puts it into
the ONNX files.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from shot_types.classifier import FRAMEWORKS, MODELS, choose_framework, load_classifier
from shot_types.dataset import measured, read_dataset
from shot_types.files import file_sha256
from shot_types.pictures import list_pictures
from shot_types.probe import Probe, write_probe
from shot_types.training import probe as room

DATA = ROOT / "data" / "shotmix"
TITLED = 400  # shots of val, and of test, that titles are laid over


def sides(table: pd.DataFrame, none: pd.DataFrame, split: str, network, size: tuple[int, int]) -> dict:
    """Features of the frames of a split, by kind: `places` without a shot, `shots`, and `titled` shots."""
    shots, places = measured(table, split)["file"].tolist(), none.loc[none["split"] == split, "file"]
    kinds = {"places": room.served(places, *size), "shots": room.served(shots, *size)}
    kinds["titled"] = room.titled(shots[:TITLED], *size, seed=("val", "test").index(split) + 1)
    return {kind: room.features(network, pictures) for kind, pictures in kinds.items()}


def figures(probe: Probe, found: dict) -> dict:
    """`score` of each kind of features."""
    return {kind: room.score(probe.is_shot(values)) for kind, values in found.items()}


def make(weights: Path, data: Path) -> Path:
    """Fit a probe to `weights` on the data set in `data`, and write it beside them; returns its path."""
    table, none = read_dataset(data), room.read_none(data)
    classifier = load_classifier(choose_framework(weights), weights)
    network, size = classifier.network, (classifier.card["height"], classifier.card["width"])
    kept, left = (
        {kind: room.features(network, pictures) for kind, pictures in kinds.items()}
        for kinds in room.to_fit(table, none, *size)
    )
    val, test = (sides(table, none, split, network, size) for split in ("val", "test"))
    probe = room.fit(*(np.concatenate(list(kinds.values())) for kinds in (kept, left)))
    probe = room.with_line(probe, np.concatenate([val["shots"], val["titled"]]))
    examples = room.features(network, room.served(list_pictures(ROOT / "examples"), *size))
    about = {
        "trained on": {kind: len(values) for kind, values in {**kept, **left}.items()},
        "data sha256": {name: file_sha256(data / name) for name in ("frames.csv", "none.csv")},
        "penalty C": room.C,
        "val": figures(probe, val),
        "test": figures(probe, test),
        "examples": room.score(probe.is_shot(examples)),
    }
    return write_probe(weights, probe, about)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    shipped = [MODELS / FRAMEWORKS[framework] for framework in ("pytorch", "tensorflow")]
    parser.add_argument("weights", nargs="*", type=Path, default=shipped, help="weights files, their cards beside them")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with frames.csv and none.csv")
    args = parser.parse_args()
    for weights in args.weights:
        start = time.monotonic()
        try:
            path = make(weights, args.data)
        except (ValueError, OSError) as error:
            print(f"probe: {error}", file=sys.stderr)
            return 1
        print(f"{path.name}: written after {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
