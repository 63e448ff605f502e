"""The ONNX room: either network through ONNX Runtime, without its framework. `tools/export.py` makes the files."""

from pathlib import Path

import numpy as np
import onnxruntime

from .cores import cores
from .labels import LABELS

AT_ONCE = 2 * cores()
"""Pictures in one run: two a core stay in the caches between layers, 32 do not and take 10 % longer."""


class Network:
    """A trained network, ready to answer: call it with a uint8 RGB batch, get logits.

    `Classifier` reads pictures in one thread a core, and ONNX Runtime computes in one thread a core as well; its
    threads sleep where they would wait, so that while one side has nothing to do, the other has all cores.
    """

    def __init__(self, weights: str | Path, card: dict):
        """Load a graph from uint8 `frames` to calibrated `probabilities`, with or without `is_shot`; else it raises."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        about = self.session.get_modelmeta().custom_metadata_map
        ends = [*self.session.get_inputs(), *self.session.get_outputs()]
        found = [(end.name, end.type, end.shape[1:]) for end in ends]
        wanted = [("frames", "tensor(uint8)", [card["height"], card["width"], 3])]
        wanted += [("probabilities", "tensor(float)", [len(LABELS)])]
        is_shot = ("is_shot", "tensor(float)", [])
        self.outputs = [name for name, _, _ in found[1:]]
        known = found in (wanted, [*wanted, is_shot]) and about.get("classes") == ",".join(LABELS)
        if not known or "temperature" not in about:
            told = ", ".join(f"{name} {kind} {shape}" for name, kind, shape in found)
            raise ValueError(f"has {told}, classes {about.get('classes')}; make it again with `make export`")
        self.temperature = float(about["temperature"])

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """uint8 RGB (N, height, width, 3) -> logits, float32 (N, 5), up to a constant in each row."""
        return self.with_is_shot(batch)[0]

    def with_is_shot(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The logits and, where the graph gives it, is_shot, float32 (N,), of one pass.

        Logarithm times temperature undoes what the graph ends with, so a card's temperature means the same for all.
        """
        parts = [batch[start : start + AT_ONCE] for start in range(0, len(batch), AT_ONCE)]
        runs = [self.session.run(self.outputs, {"frames": part}) for part in parts]
        proba, *is_shot = (np.concatenate(values) for values in zip(*runs, strict=True))
        logits = self.temperature * np.log(np.maximum(proba, np.finfo(np.float32).tiny))
        return logits, is_shot[0] if is_shot else None
