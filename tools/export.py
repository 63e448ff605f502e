"""Weights -> ONNX files that need no framework, each with its card: what `make export` does.

The graph takes resized RGB as it is, `frames`, uint8 (N, height, width, 3), and gives calibrated `probabilities`,
float32 (N, 5): scaling, mean, std, temperature and softmax are inside. Where there is a probe beside the weights it
gives `is_shot` too, float32 (N,). Class order, input size, temperature and the
sha256 of the weights are in its metadata. A file is written only if it answers as its framework does.
"""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from shot_types.cards import card_path, write_card
from shot_types.classifier import FRAMEWORKS, MODELS, Classifier, choose_framework, load_classifier
from shot_types.files import write
from shot_types.labels import LABELS

TOLERANCE = 1e-4  # by which a probability may differ
OPSET = 18  # read by ONNX Runtime 1.14 and later


def export(weights: Path, count: int = 200) -> tuple[Path, float]:
    """Write the .onnx file and its card beside `weights`; returns its path and the largest difference in the check.

    The check: probabilities, and is_shot where there is a probe, of `count` pictures of varied size within TOLERANCE
    of the framework's, all labels equal.
    Raises ValueError when it fails; nothing is written then.
    """
    framework = choose_framework(weights)
    if framework not in GRAPHS:
        raise ValueError(f"{weights}: only weights of {', '.join(GRAPHS)} are exported; name such a file")
    classifier = load_classifier(framework, weights)
    card = {name: value for name, value in classifier.card.items() if name not in ("mean", "std")}
    card |= {"input": "frames: uint8 RGB (N, height, width, 3)", "output": "probabilities: calibrated, float32 (N, 5)"}
    if classifier.network.probe:
        card["output"] += "; is_shot: float32 (N,), below 0.5 where there is no shot"
    card |= {"exported from": weights.name, "sha256 of the weights": card["sha256"]}
    about = {name: card[name] for name in ("network", "height", "width", "temperature", "sha256 of the weights")}
    about["classes"] = ",".join(LABELS)
    target = weights.with_suffix(".onnx")
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / target.name
        GRAPHS[framework](classifier, part)
        model = onnx.load(part)
        outputs = sorted(model.graph.output, key=lambda end: end.name != "probabilities")  # tf2onnx sorts by name
        del model.graph.output[:]
        model.graph.output.extend(outputs)
        onnx.helper.set_model_props(model, {name: str(value) for name, value in about.items()})
        onnx.save(model, part)
        write_card(part, card)
        both = (one.predict_arrays(pictures(count)) for one in (classifier, load_classifier("onnx", part)))
        expected, found = (np.column_stack([proba, np.nan_to_num(is_shot, nan=-1)]) for proba, is_shot in both)
        difference = float(np.abs(expected - found).max())
        labels = [values[:, : len(LABELS)].argmax(axis=1) for values in (expected, found)]
        other = int((labels[0] != labels[1]).sum())
        if not difference <= TOLERANCE or other:
            raise ValueError(f"{target}: differs from {weights.name} by {difference:.1e}, {other} labels; not written")
        for made, place in ((part, target), (card_path(part), card_path(target))):
            write(place, made.read_bytes())
    return target, difference


def pictures(count: int) -> Iterator[np.ndarray]:
    """Made pictures, uint8 RGB, of many sizes, shapes and degrees of detail; the same ones at each call."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        height, width = (int(side) for side in rng.integers(40, 900, 2))
        cells = rng.integers(0, 256, (*rng.integers(2, 40, 2), 3), np.uint8)
        yield np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling(int(rng.choice([0, 2, 3])))))


def pytorch_graph(classifier: Classifier, path: Path) -> None:
    import torch

    from shot_types.pytorch import WithFeatures, to_input
    from tools.prune import without_constant_channels

    probe, card = classifier.network.probe, classifier.card
    outputs = ["probabilities", "is_shot"] if probe else ["probabilities"]

    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = WithFeatures(without_constant_channels(classifier.network.network))

        def forward(self, frames):
            x = to_input(frames, classifier.network.mean, classifier.network.std)
            logits, features = self.network(x)
            proba = (logits / card["temperature"]).softmax(1)
            return (proba, torch.sigmoid(features @ torch.from_numpy(probe.weight) + probe.bias)) if probe else proba

    example = torch.zeros(2, card["height"], card["width"], 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        # The newer exporter gives a larger graph of the same speed, and takes thirty times as long.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Whole().eval(),
            (example,),
            path,
            input_names=["frames"],
            output_names=outputs,
            dynamic_axes={name: {0: "N"} for name in ("frames", *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )


def tensorflow_graph(classifier: Classifier, path: Path) -> None:
    import keras
    import tensorflow as tf
    import tf2onnx

    network, card = classifier.network, classifier.card
    seen, probe = network.seen, network.probe
    for layer in network.model.layers:
        if isinstance(layer, keras.layers.Normalization):  # tensors of its own would become inputs of the graph
            layer.mean, layer.variance = np.array(layer.mean), np.array(layer.variance)

    @tf.function(input_signature=[tf.TensorSpec((None, card["height"], card["width"], 3), tf.uint8, name="frames")])
    def whole(frames):
        logits, features = seen(frames, training=False)
        answers = {"probabilities": tf.nn.softmax(logits / card["temperature"])}
        if probe:
            answers["is_shot"] = tf.sigmoid(tf.linalg.matvec(features, probe.weight) + probe.bias)
        return answers

    tf2onnx.convert.from_function(whole, whole.input_signature, opset=OPSET, output_path=str(path))


GRAPHS = {"pytorch": pytorch_graph, "tensorflow": tensorflow_graph}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    shipped = [MODELS / FRAMEWORKS[framework] for framework in GRAPHS]
    parser.add_argument("weights", nargs="*", type=Path, default=shipped, help="weights files, their cards beside them")
    for weights in parser.parse_args().weights:
        try:
            path, difference = export(weights)
        except (ValueError, OSError) as error:
            print(f"export: {error}", file=sys.stderr)
            return 1
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, equal to {weights.name} within {difference:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
