"""The probe beside a weights file, a JSON file: whether a frame is a shot at all, told from what the network sees.

It is a logistic regression on the values that the network's own classifying layers receive, one pooled value a
channel; `training.probe` fits it. Title cards, credits, and frames that are black, white or one colour are no shots.
"""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .cards import WeightsError
from .files import file_sha256, write

PROBE_FIELDS = ("weight", "bias", "features", "sha256 of the weights")


@dataclass(frozen=True)
class Probe:
    """A linear probe (Alain and Bengio 2016, arXiv 1610.01644) of a network's pooled features."""

    weight: np.ndarray
    """float32 (C,), one for each feature."""
    bias: float

    def is_shot(self, features: np.ndarray) -> np.ndarray:
        """float32 (N, C) -> float32 (N,), 0 to 1: near 1 for a shot, below 0.5 for what is none."""
        return 1 / (1 + np.exp(-np.clip(features @ self.weight + np.float32(self.bias), -60, 60)))


def probe_path(weights: str | Path) -> Path:
    """Where the probe of a weights file is: net_probe.json for net.pt."""
    weights = Path(weights)
    return weights.with_name(f"{weights.stem}_probe.json")


def read_probe(weights: str | Path) -> Probe | None:
    """The probe beside `weights`; None where there is none, and, with a warning, where it was made for other weights.

    Raises WeightsError, naming the file, where it is damaged.
    """
    path = probe_path(weights)
    if not path.is_file():
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        weight, bias, features, sha256 = (about[field] for field in PROBE_FIELDS)
        weight, bias = np.array(weight, np.float32), float(bias)
        whole = weight.shape == (features,) and np.isfinite([*weight, bias]).all()
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: not the probe of a network; get it again, or remove it") from error
    if not whole:
        raise WeightsError(f"{path}: its weights are not {features} numbers; get it again, or remove it")
    if sha256 != file_sha256(weights):
        warnings.warn(
            f"{path}: made for other weights than {Path(weights).name}, so is_shot is None; `make probe` fits one to"
            " them, or remove it",
            stacklevel=3,
        )
        return None
    return Probe(weight, bias)


def write_probe(weights: str | Path, probe: Probe, about: dict) -> Path:
    """Write `probe` beside `weights`, with their sha256 and what there is to say `about` it; returns its path."""
    path = probe_path(weights)
    # Seven digits are what float32 holds.
    numbers = [float(f"{value:.7g}") for value in probe.weight]
    fields = {"sha256 of the weights": file_sha256(weights), **about}
    fields |= {"features": len(numbers), "bias": float(f"{probe.bias:.7g}")}
    head = json.dumps(fields, indent=2, ensure_ascii=False).removesuffix("\n}")
    write(path, f'{head},\n  "weight": {json.dumps(numbers)}\n}}\n')
    return path
