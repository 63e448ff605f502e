"""What the classifier says of a picture that came through the browser, and the heat map of it."""

import contextlib
import io
import re
import tempfile
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from ..classifier import FRAMEWORKS, MODELS, Classifier, load_classifier
from ..heatmap import heat_map
from ..pictures import read_image


class Answers:
    """One classifier, loaded once; its methods may be called from any thread."""

    def __init__(self, framework: str | None, weights: str | Path | None):
        """As of `load_classifier`, which raises where that cannot be."""
        self.classifier = load_classifier(framework, weights)
        self.one = threading.Lock()  # one picture at a time: large ones take much memory
        self.gradients: Classifier | None = self.classifier if hasattr(self.classifier.network, "heat") else None
        shipped = weights is None and (MODELS / FRAMEWORKS["pytorch"]).is_file()
        installed = all(map(find_spec, ("torch", "torchvision", "captum")))
        self.has_heat_maps = self.gradients is not None or (shipped and installed)
        self.unsure_below: float = self.classifier.card.get("unsure below") or 0.0

    def classify(self, name: str, data: bytes) -> dict:
        """The answer for the bytes of a picture that its sender calls `name`; FrameError where they are none."""
        with self.one, _as_file(name, data) as path:
            answer = self.classifier.predict(path)
        said = {"name": name, "label": answer.label, "confidence": answer.confidence}
        said |= {"probabilities": answer.probabilities, "unsure": answer.confidence < self.unsure_below}
        return said | {"is_shot": answer.is_shot}

    def heat_map(self, name: str, data: bytes, label: str) -> bytes:
        """A JPEG file of what spoke for `label`; ValueError where the bytes are no picture, or there are no maps."""
        with self.one, _as_file(name, data) as path:
            self.gradients = self.gradients or load_classifier("pytorch")
            picture, out = Image.fromarray(heat_map(self.gradients, read_image(path), label)), io.BytesIO()
        picture.save(out, "JPEG", quality=90)
        return out.getvalue()


@contextlib.contextmanager
def _as_file(name: str, data: bytes) -> Iterator[Path]:
    """A picture in a file for a moment; errors call it by its `name`."""
    ending = re.sub(r"[^.\w]", "", Path(name).suffix)[:10]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"picture{ending}")
        path.write_bytes(data)
        try:
            yield path
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), name)) from error
