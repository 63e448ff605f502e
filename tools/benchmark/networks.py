"""A network alone, without reading: what computes it, and in which precision.

Each variant is made from the shipped ONNX file in a temporary folder: with the optimised graph saved, with 16-bit
floats, with 8-bit weights and activations (static quantisation, QDQ, calibrated on frames of train), and computed by
ONNX Runtime, OpenVINO or PyTorch. Images/s for batches of 1, 8 and 32; and, where the data set is at hand, how many
answers on test are those of the shipped file, accuracy and calibration error.
"""

import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from shot_types import report
from shot_types.cards import read_card
from shot_types.classifier import FRAMEWORKS, MODELS, choose_framework, load_classifier, softmax
from shot_types.cores import cores
from shot_types.dataset import measured, read_dataset
from shot_types.onnx import AT_ONCE, Network
from shot_types.pictures import load_frame

BATCHES = (1, 8, 32)
CALIBRATION = 128  # frames of train, every so many-th, that say how large activations are
FIRST = 6  # convolutions that stay in float with the delicate layers: most of the harm of 8 bits is done in them


class Variant(NamedTuple):
    """A way to compute the network."""

    name: str
    file: Path
    answer: Callable[[np.ndarray], np.ndarray]
    """uint8 RGB (N, height, width, 3) -> probabilities (N, 5)."""


class _Frames(quantization.CalibrationDataReader):
    """Frames for the calibration, uint8 RGB (N, height, width, 3), one at a time."""

    def __init__(self, frames: np.ndarray):
        self.frames = iter(frames)

    def get_next(self) -> dict | None:
        frame = next(self.frames, None)
        return None if frame is None else {"frames": frame[None]}


def eight_bit(weights: Path, target: Path, frames: np.ndarray, careful: bool) -> Path:
    """Write the graph `weights` with 8-bit weights and activations to `target`.

    Weights have a scale a channel, of seven bits: processors without VNNI add two products in 16 bits, which eight
    would overflow. `frames`: uint8 RGB (N, height, width, 3), whose activations have to fit; all of them, or with
    `careful` 99.999 % of them, where the first convolutions, the gates and the last layers stay in float besides.
    """
    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(weights, prepared, skip_symbolic_shape=True)
    method = quantization.CalibrationMethod.Percentile if careful else quantization.CalibrationMethod.MinMax
    with contextlib.redirect_stdout(io.StringIO()):
        quantization.quantize_static(
            prepared,
            target,
            _Frames(frames),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=method,
            op_types_to_quantize=["Conv"] if careful else ["Conv", "Gemm", "MatMul", "Add", "Mul"],
            nodes_to_exclude=_delicate(onnx.load(prepared).graph) if careful else [],
            extra_options={"CalibPercentile": 99.999},
        )
    return target


def _delicate(graph: onnx.GraphProto) -> list[str]:
    """Names of the first convolutions of a graph, and of those that see one value a channel: gates, last layers."""
    pooled, seen, names = set(), 0, []
    for node in graph.node:
        after = node.op_type != "Mul" and not pooled.isdisjoint(node.input)
        if after or node.op_type in ("GlobalAveragePool", "ReduceMean"):
            pooled.update(node.output)
        seen += node.op_type == "Conv"
        if node.op_type == "Conv" and (after or seen <= FIRST):
            names.append(node.name)
    return names


def sixteen_bit(weights: Path, target: Path) -> Path:
    """Write the graph `weights` with 16-bit floats inside to `target`."""
    onnx.save(convert_float_to_float16(onnx.load(weights), keep_io_types=True), target)
    return target


def optimised(weights: Path, target: Path) -> Path:
    """Write the graph `weights` as ONNX Runtime rearranges it for this processor to `target`."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(target), 3
    onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    return target


def openvino(graph: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The `answer` of a variant, by OpenVINO, in as many pieces as ONNX Runtime gets."""
    sys.modules.setdefault("openvino_telemetry", None)  # else the import reports itself over the network
    from openvino import Core

    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores(), "PERFORMANCE_HINT": "LATENCY"}
    request = Core().compile_model(graph, "CPU", options).create_infer_request()

    def answer(batch):
        parts = [batch[start : start + AT_ONCE] for start in range(0, len(batch), AT_ONCE)]
        return np.concatenate([np.array(request.infer({"frames": part})["probabilities"]) for part in parts])

    return answer


def variants(source: Path, folder: Path, frames: np.ndarray) -> Iterator[Variant]:
    """The ONNX file beside the weights `source` by ONNX Runtime, then the others, which are written to `folder`.

    `frames`, uint8 RGB (N, height, width, 3), are for the calibration of 8 bits.
    """
    framework = choose_framework(source)
    weights = source.with_suffix(".onnx")
    card = read_card(weights)

    def calibrated(network):
        return lambda batch: softmax(network(batch), card["temperature"])

    def light(name, file):
        return Variant(name, file, calibrated(Network(file, card)))

    yield light("ONNX Runtime, as shipped", weights)
    yield light("ONNX Runtime, optimised graph saved", optimised(weights, folder / "optimised.onnx"))
    yield light("ONNX Runtime, 16-bit floats", sixteen_bit(weights, folder / "half.onnx"))
    whole, careful = (eight_bit(weights, folder / f"eight{so}.onnx", frames, bool(so)) for so in (0, 1))
    yield light("ONNX Runtime, 8 bits", whole)
    yield light("ONNX Runtime, 8 bits, delicate layers in float", careful)
    if find_spec("openvino"):
        yield Variant("OpenVINO", weights, openvino(weights))
        yield Variant("OpenVINO, 8 bits", whole, openvino(whole))
        yield Variant("OpenVINO, 8 bits, delicate layers in float", careful, openvino(careful))
    else:
        print("OpenVINO is not installed, and left out; pip install openvino")
    network = load_classifier(framework, source).network
    yield Variant("PyTorch" if framework == "pytorch" else "TensorFlow", source, calibrated(network))
    if framework == "pytorch":
        import torch

        last = load_classifier(framework, source).network
        last.network.to(memory_format=torch.channels_last)
        yield Variant("PyTorch, channels_last", source, calibrated(last))


def speeds(found: list[Variant], frames: np.ndarray, rounds: int) -> pd.DataFrame:
    """Images/s of each variant by the size of batches; the median of rounds that take turns."""
    seconds = {(one.name, size): [] for one in found for size in BATCHES}
    for number in range(rounds + 1):
        for one in found:
            for size in BATCHES:
                began = time.perf_counter()
                for start in range(0, len(frames), size):
                    one.answer(frames[start : start + size])
                if number:  # in the first, kernels are made
                    seconds[one.name, size].append(time.perf_counter() - began)
    rates = {key: len(frames) / statistics.median(values) for key, values in seconds.items()}
    return pd.Series(rates).unstack().reindex([one.name for one in found]).add_prefix("batches of ").round(1)


def accuracy(found: list[Variant], frames: np.ndarray, table: pd.DataFrame) -> pd.DataFrame:
    """On the frames of `table`: answers equal to the first variant's, accuracy, calibration error; film frames too."""
    film = (table["source"] == "film").to_numpy()
    parts = np.array_split(frames, -(-len(frames) // BATCHES[-1]))
    probas = {one.name: np.concatenate([one.answer(part) for part in parts]) for one in found}
    first = report.predicted(probas[found[0].name])
    rows = {}
    for name, proba in probas.items():
        row = {}
        for what, part in (("", film | True), ("film: ", film)):
            truth = table["label"][part]
            row |= {f"{what}equal": (report.predicted(proba) == first)[part].mean()}
            row |= {f"{what}accuracy": report.summary(truth, proba[part])["accuracy"]}
            row |= {f"{what}ECE": report.expected_calibration_error(truth, proba[part])}
        rows[name] = row
    return pd.DataFrame(rows).T.round(4)


def alone(framework: str, data: Path, rounds: int = 5, count: int = 96) -> None:
    """Print the table of a network; `data`: the data set of the calibration and of the figures on test."""
    source = MODELS / FRAMEWORKS[framework]
    card = read_card(source)
    height, width = card["height"], card["width"]

    def read(files) -> np.ndarray:
        with ThreadPoolExecutor(cores()) as pool:
            return np.stack(list(pool.map(lambda file: load_frame(file, height, width), files)))

    known = (data / "frames.csv").is_file()
    if known:
        table = read_dataset(data)
        train, test = (measured(table, split) for split in ("train", "test"))
        calibration = read(train["file"].iloc[:: len(train) // CALIBRATION])
        frames = read(test["file"])
    else:
        print(f"{data} is not here: 8 bits are calibrated on made pictures, and there are no figures on test")
        rng = np.random.default_rng(0)
        frames = rng.integers(0, 256, (count, height // 8, width // 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
        calibration = frames[:32]
    with tempfile.TemporaryDirectory() as folder:
        found = list(variants(source, Path(folder), calibration))
        lines = speeds(found, frames[:count], rounds)
        lines.insert(0, "MB", [round(one.file.stat().st_size / 1e6, 1) for one in found])
        if known:
            lines = lines.join(accuracy(found, frames, test))
    print(
        f"{framework}: the network alone at {height} x {width} on {cores()} cores, images/s; median of {rounds} rounds"
    )
    print(lines.to_string(), end="\n\n")


if __name__ == "__main__":
    alone(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
