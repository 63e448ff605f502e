"""Pictures in, calibrated answers out: `load_classifier`, `Classifier` and `Prediction`."""

import importlib
import itertools
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from .cards import WeightsError, other_source, read_card
from .cores import cores
from .labels import LABELS, SCALE
from .pictures import FrameError, find_pictures, load_frame
from .probe import read_probe

PLACES = [folder / "models" for folder in Path(__file__).resolve().parents[:2]]  # of a wheel, of a clone
MODELS = next((folder for folder in PLACES if folder.is_dir()), PLACES[-1])
FRAMEWORKS = {
    "pytorch": "mobilenet_v3_large.pt",
    "tensorflow": "efficientnet_b0.keras",
    "onnx": "mobilenet_v3_large.onnx",
}


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture; after a failure that was skipped, only `source` and `error` say something."""

    source: str
    """The path, or "picture 7" where the picture came without one."""
    label: str | None = None
    confidence: float | None = None
    """Probability of `label`, calibrated: among answers given with 0.8, about 80 % are right."""
    probabilities: dict[str, float] | None = None
    """All five, from near to far; they sum to 1."""
    is_shot: float | None = None
    """0 to 1; below 0.5 what is no shot, as a title card, and has no scale, whatever the label. None: not known."""
    error: str | None = None


def choose_framework(weights: str | Path | None = None) -> str:
    """Which framework reads `weights`; for the shipped ones ONNX where it is installed and exported, else PyTorch.

    Where the shipped ONNX file is there but was made from other weights than those beside it, PyTorch answers and a
    warning says so. Raises WeightsError where PyTorch, which that takes, is not installed.
    """
    for framework, file in FRAMEWORKS.items():
        if weights and Path(weights).suffix == Path(file).suffix:
            return framework
    light = MODELS / FRAMEWORKS["onnx"]
    if weights or not find_spec("onnxruntime") or not light.is_file():
        return "pytorch"
    source = other_source(light)
    if source is None:
        return "onnx"
    if not find_spec("torch"):
        raise WeightsError(
            f"{light}: made from other weights than {source.name} beside it, which take PyTorch; run `make export`"
            " where that is installed, or pip install torch torchvision"
        )
    warnings.warn(
        f"{light}: made from other weights than {source.name} beside it, so PyTorch answers; `make export` mends it",
        stacklevel=3,
    )
    return "pytorch"


def load_classifier(framework: str | None = None, weights: str | Path | None = None) -> "Classifier":
    """A classifier with the shipped weights, or with your own `weights` and the card, and the probe, beside them.

    Without `framework`, `choose_framework` does. Warns of an ONNX file that was made from other weights than those
    beside it, and of a probe that was. Raises FileNotFoundError or WeightsError, naming the file.
    """
    if weights == "":
        raise WeightsError("weights is an empty path; name a file, or leave it out for the shipped weights")
    asked, framework = framework or weights, framework or choose_framework(weights)
    if framework not in FRAMEWORKS:
        raise WeightsError(f"framework {framework!r} is unknown; use one of {', '.join(FRAMEWORKS)}")
    if not weights and not (MODELS / FRAMEWORKS[framework]).is_file():
        raise FileNotFoundError(
            f"{MODELS / FRAMEWORKS[framework]}: these weights are in a clone of the repository only; install from one"
            " with `pip install -e .`, or give weights= of your own"
        )
    weights = Path(weights or MODELS / FRAMEWORKS[framework])
    own = choose_framework(weights)
    if weights.is_file() and own != framework and weights.suffix == Path(FRAMEWORKS[own]).suffix:
        raise WeightsError(f"{weights}: weights for {own}, by its ending; leave out framework {framework!r}")
    card = read_card(weights)
    about = (card,) if framework == "onnx" else (card, read_probe(weights))  # an ONNX file holds its probe
    if asked and framework == "onnx" and (source := other_source(weights)):  # else `choose_framework` has looked
        warnings.warn(
            f"{weights}: made from other weights than {source.name} beside it; `make export` mends it", stacklevel=2
        )
    try:
        room = importlib.import_module(f".{framework}", __package__)
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"framework {framework!r} needs the package {error.name}, which is not installed; pip install {error.name}"
        ) from error
    except ImportError as error:
        raise WeightsError(f"framework {framework!r} cannot be used here: {error}") from error
    try:
        return Classifier(room.Network(weights, *about), card)
    except Exception as error:  # each framework fails in ways of its own; they all mean the same here
        reason = (str(error) or type(error).__name__).splitlines()[0].removeprefix(f"{weights}: ")
        reason = reason.replace(str(weights), weights.name).rstrip(":.")
        raise WeightsError(
            f"{weights}: not the weights of a five-class {card['network']} ({reason}); get them again, or train them"
        ) from error


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities, float32, from logits divided by `temperature`; rows sum to 1."""
    x = np.asarray(logits, np.float64) / temperature
    x = np.exp(x - x.max(axis=1, keepdims=True))
    return (x / x.sum(axis=1, keepdims=True)).astype(np.float32)


class Classifier:
    """Answers for pictures: one, a list, a generator or a folder. Made by `load_classifier`."""

    def __init__(self, network, card: dict):
        """`network` maps a uint8 RGB batch (N, height, width, 3) to float32 logits (N, 5).

        Where it has a method `with_is_shot`, that gives these and is_shot, float32 (N,) or None, in one pass.
        """
        self.network = network
        self.card = card

    def predict(self, x):
        """One `Prediction` for a path, a PIL picture or a uint8 RGB array (height, width, 3).

        For a folder, a list or another iterable of these: a list of predictions, in order, of the same length.
        Raises FileNotFoundError or FrameError, naming the file, and WeightsError where the answers are no numbers.
        """
        if _is_one(x):
            return next(self._answer([(_name(x, 0), self._read(x))]))
        return list(self.predict_iter(x))

    def predict_iter(self, xs, batch_size: int = 32, on_error: str = "raise") -> Iterator[Prediction]:
        """Predictions in order, lazily: a few batches are in memory, however many pictures there are.

        With `on_error="skip"` a picture that cannot be read gives a Prediction whose label is None and whose
        `error` says why. Warns of files of a folder that are left out for their endings.
        """
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error is {on_error!r}; use 'raise' or 'skip'")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give 1 or more")
        xs = [xs] if _is_one(xs) else find_pictures(xs) if isinstance(xs, str | Path) else xs
        return self._predictions(xs, batch_size, on_error)

    def _predictions(self, xs: Iterable, batch_size: int, on_error: str) -> Iterator[Prediction]:
        read = self._read_ahead(xs, 2 * batch_size)
        while batch := list(itertools.islice(read, batch_size)):
            for _, frame in batch:
                if isinstance(frame, Exception) and on_error == "raise":
                    raise frame
            yield from self._answer(batch)

    def predict_proba(self, xs) -> np.ndarray:
        """Probabilities as float32 (N, 5), columns in the order of LABELS, rows sum to 1."""
        return self.predict_arrays(xs)[0]

    def predict_arrays(self, xs) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities as `predict_proba` gives them, and is_shot, float32 (N,); NaN where there is no probe."""
        answers = list(self.predict_iter(xs))
        rows = [[answer.probabilities[label] for label in LABELS] for answer in answers]
        is_shot = [np.nan if answer.is_shot is None else answer.is_shot for answer in answers]
        return np.array(rows, np.float32).reshape(-1, len(LABELS)), np.array(is_shot, np.float32)

    def _read(self, x) -> np.ndarray:
        return load_frame(x, self.card["height"], self.card["width"])

    def _read_ahead(self, xs: Iterable, window: int) -> Iterator[tuple[str, np.ndarray | Exception]]:
        """Name and frame (or what went wrong) of each source, read in threads while the network works."""
        pool = ThreadPoolExecutor(max_workers=cores())
        pending = deque()

        def next_one():
            name, future = pending.popleft()
            try:
                return name, future.result()
            except (FrameError, OSError) as error:
                return name, error

        try:
            for number, x in enumerate(xs):
                pending.append((_name(x, number), pool.submit(self._read, x)))
                if len(pending) == window:
                    yield next_one()
            while pending:
                yield next_one()
        finally:
            pool.shutdown(cancel_futures=True)

    def _answer(self, batch: list[tuple[str, np.ndarray | Exception]]) -> Iterator[Prediction]:
        frames = [frame for _, frame in batch if not isinstance(frame, Exception)]
        logits, is_shot = self._look(np.stack(frames)) if frames else (np.zeros((0, len(LABELS))), None)
        proba = softmax(logits, self.card["temperature"]) if frames else logits
        if not np.isfinite(proba).all():
            raise WeightsError(
                f"{self.card['network']}: its answers are no numbers; get the weights again, or train them"
            )
        rows = zip(proba, [None] * len(proba) if is_shot is None else map(float, is_shot), strict=True)
        for name, frame in batch:
            if isinstance(frame, Exception):
                yield Prediction(name, error=str(frame))
            else:
                values, shot = next(rows)
                row = dict(zip(LABELS, map(float, values), strict=True))
                label = max(row, key=row.get)
                yield Prediction(name, label, row[label], {name: row[name] for name in SCALE}, shot)

    def _look(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Logits of a batch, and is_shot where the network tells."""
        both = getattr(self.network, "with_is_shot", None)
        return both(batch) if both else (self.network(batch), None)


def _is_one(x) -> bool:
    if isinstance(x, str | Path):
        return x == "" or not Path(x).is_dir()
    if isinstance(x, np.ndarray):
        return x.ndim in (0, 2, 3)
    return isinstance(x, Image.Image | bytes | bytearray) or not isinstance(x, Iterable)


def _name(x, number: int) -> str:
    return str(x) if isinstance(x, str | Path) else f"picture {number}"
