"""The ONNX room: either network without its framework. `tools/export.py` makes the files.

ONNX Runtime computes; or OpenVINO, where that is installed (`pip install -e ".[fast]"`) and faster on this processor:
a matter of what the processor can do. Both give the same answers within 1e-5.
"""

import threading
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime

from .cores import cores
from .labels import LABELS

AT_ONCE = 2 * cores()
"""Pictures in one run: two a core stay in the caches between layers, 32 do not and take 10 % longer."""


class OnnxRuntime:
    """A graph as ONNX Runtime computes it, in one thread a core.

    Its threads sleep where they would wait: `Classifier` reads pictures in one thread a core as well, so that while one
    side has nothing to do, the other has all cores.
    """

    def __init__(self, weights: Path):
        """Raises what ONNX Runtime raises."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])

    def run(self, frames: np.ndarray) -> list[np.ndarray]:
        """All outputs, in the order of the graph; `frames`: uint8 (N, height, width, 3)."""
        return self.session.run(None, {"frames": frames})


class OpenVino:
    """The same by OpenVINO, in 32-bit floats; by itself it takes shorter ones where a processor has them."""

    def __init__(self, weights: Path):
        """Raises ImportError where it cannot be loaded, else what OpenVINO raises."""
        import openvino

        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores()}
        options |= {"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}  # others work beside it
        self.request = openvino.Core().compile_model(weights, "CPU", options).create_infer_request()
        self.one = threading.Lock()  # a request serves one thread at a time

    def run(self, frames: np.ndarray) -> list[np.ndarray]:
        """All outputs, in the order of the graph; `frames`: uint8 (N, height, width, 3)."""
        with self.one:
            return [np.array(values) for values in self.request.infer({"frames": frames}).to_tuple()]


class Network:
    """A trained network, ready to answer: call it with a uint8 RGB batch, get logits."""

    def __init__(self, weights: str | Path, card: dict, engine: type[OnnxRuntime] | type[OpenVino] | None = None):
        """Load a graph from uint8 `frames` to calibrated `probabilities`, with or without `is_shot`; else it raises.

        `engine` computes; without it the faster of those that are installed.
        """
        self.engine = OnnxRuntime(weights)
        session = self.engine.session
        about = session.get_modelmeta().custom_metadata_map
        found = [(end.name, end.type, end.shape[1:]) for end in [*session.get_inputs(), *session.get_outputs()]]
        frame = [card["height"], card["width"], 3]
        wanted = [("frames", "tensor(uint8)", frame), ("probabilities", "tensor(float)", [len(LABELS)])]
        is_shot = ("is_shot", "tensor(float)", [])
        known = found in (wanted, [*wanted, is_shot]) and about.get("classes") == ",".join(LABELS)
        if not known or "temperature" not in about:
            told = ", ".join(f"{name} {kind} {shape}" for name, kind, shape in found)
            raise ValueError(f"has {told}, classes {about.get('classes')}; make it again with `make export`")
        self.temperature = float(about["temperature"])
        if engine not in (None, OnnxRuntime):
            self.engine = engine(weights)
        elif engine is None and find_spec("openvino"):
            try:
                self.engine = faster([self.engine, OpenVino(weights)], np.zeros((AT_ONCE, *frame), np.uint8))
            except Exception as error:  # of many kinds
                reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                warnings.warn(
                    f"{weights}: OpenVINO fails ({reason}), so ONNX Runtime answers; install another version of"
                    " openvino, or remove it",
                    stacklevel=3,
                )

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """uint8 RGB (N, height, width, 3) -> logits, float32 (N, 5), up to a constant in each row."""
        return self.with_is_shot(batch)[0]

    def with_is_shot(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The logits and, where the graph gives it, is_shot, float32 (N,), of one pass.

        Logarithm times temperature undoes what the graph ends with, so a card's temperature means the same for all.
        """
        parts = [batch[start : start + AT_ONCE] for start in range(0, len(batch), AT_ONCE)]
        runs = [self.engine.run(part) for part in parts]
        proba, *is_shot = (np.concatenate(values) for values in zip(*runs, strict=True))
        logits = self.temperature * np.log(np.maximum(proba, np.finfo(np.float32).tiny))
        return logits, is_shot[0] if is_shot else None


def faster(engines: list, frames: np.ndarray, runs: int = 3) -> OnnxRuntime | OpenVino:
    """The one of `engines` with the shortest of some `runs` on `frames`, after a first that does not count."""
    best = []
    for engine in engines:
        times = []
        for _ in range(runs + 1):
            began = time.perf_counter()
            engine.run(frames)
            times.append(time.perf_counter() - began)
        best.append(min(times[1:]))
    return engines[best.index(min(best))]
