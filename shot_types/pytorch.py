"""The PyTorch room: MobileNetV3-Large, its weights and its answers. Training is in `training.pytorch`."""

import os
import sys
import warnings
from pathlib import Path

if "tensorflow" in sys.modules and "triton" not in sys.modules:
    # Both bring an LLVM, and Triton's aborts a process that TensorFlow's entered first ("inconsistency in registered
    # CommandLine options"). torchvision imports Triton, but only torch.compile for GPUs needs it: it stays out.
    sys.modules["triton"] = None

# Threads that wait should sleep: spinning, they take the cores from those that read pictures.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import nn
from torchvision.models import MobileNet_V3_Large_Weights, mobilenet_v3_large

from .labels import LABELS
from .probe import Probe

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's RGB in 0..1: what torchvision's weights were trained with."""


def build(initial: str | Path | None = None) -> nn.Module:
    """The stock `mobilenet_v3_large` of torchvision with five classes.

    `initial`: None (random weights), "imagenet" (torchvision downloads its own), or a file with a state dict,
    from which every layer is taken whose name and shape agree.

    Raises FileNotFoundError, or ValueError when the download fails, or the file is no state dict or nothing fits.
    """
    network = mobilenet_v3_large(num_classes=len(LABELS))
    if initial is None:
        return network
    if initial == "imagenet":
        try:
            state = MobileNet_V3_Large_Weights.IMAGENET1K_V2.get_state_dict(progress=True, check_hash=True)
        except OSError as error:
            raise ValueError(
                f"ImageNet weights could not be downloaded ({error}); give the path of a local file instead"
            ) from error
    else:
        state = read_state(initial)
    own = network.state_dict()
    state = {name: value.float() for name, value in state.items() if name in own and value.shape == own[name].shape}
    if not state:
        raise ValueError(f"{initial}: no layer of this file fits mobilenet_v3_large; give weights of that network")
    network.load_state_dict(state, strict=False)
    return network


def read_state(path: str | Path) -> dict[str, torch.Tensor]:
    """The state dict in a file, on the processor. No code in a file is ever run: a pickled model is refused.

    Raises FileNotFoundError, or ValueError when the file holds anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such weights file; check the path")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not all(isinstance(value, torch.Tensor) for value in state.values()):
            raise TypeError("not every value is a tensor")
    except Exception as error:  # pickle, zip and torch raise kinds of their own
        raise ValueError(f"{path}: not a state dict; write one with torch.save(model.state_dict(), path)") from error
    return state


def pick_device() -> torch.device:
    """CUDA when there is a GPU, else the processor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # after TensorFlow, torch warns that there is none
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_input(batch: torch.Tensor, mean=MEAN, std=STD) -> torch.Tensor:
    """uint8 RGB (N, height, width, 3) -> normalised float32 (N, 3, height, width), channels last in memory."""
    mean = 255 * torch.tensor(mean, device=batch.device).view(1, 3, 1, 1)
    std = 255 * torch.tensor(std, device=batch.device).view(1, 3, 1, 1)
    return batch.permute(0, 3, 1, 2).float().sub_(mean).div_(std)


class Network:
    """A trained network, ready to answer: call it with a uint8 RGB batch, get logits."""

    def __init__(self, weights: str | Path, card: dict, probe: Probe | None = None):
        """Load a state dict that fits the stock network exactly; ValueError where names, shapes or kinds differ."""
        network, state = build(), read_state(weights)
        own, last = network.state_dict(), state.get("classifier.3.bias")
        if last is not None and last.shape != (len(LABELS),):
            raise ValueError(f"it tells {last.numel()} classes apart, not {', '.join(LABELS)}")
        kinds = [{name: (x.shape, x.is_floating_point()) for name, x in one.items()} for one in (own, state)]
        if other := dict(kinds[0].items() ^ kinds[1].items()):
            raise ValueError(f"{len(other)} of its tensors are other ones, such as {min(other)}")
        network.load_state_dict(state, strict=True)
        self.device = pick_device()
        self.network = network.eval().to(self.device, memory_format=torch.channels_last)
        self.probe, seen = probe, WithFeatures(network).eval()
        self.module = _optimised(seen) if self.device.type == "cpu" else seen
        self.mean, self.std = card.get("mean", MEAN), card.get("std", STD)
        if not to_input(torch.zeros((1, 1, 1, 3), dtype=torch.uint8), self.mean, self.std).isfinite().all():
            raise ValueError(f"its card has mean {self.mean} and std {self.std}; give three numbers each, std above 0")

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """uint8 RGB (N, height, width, 3) -> logits, float32 (N, 5)."""
        return self.with_features(batch)[0]

    def with_is_shot(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The logits and, where there is a probe, is_shot, float32 (N,), of one pass."""
        logits, features = self.with_features(batch)
        return logits, self.probe and self.probe.is_shot(features)

    def with_features(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The logits and what a probe sees: the mean of each channel of the last map, float32 (N, 960)."""
        with torch.inference_mode():
            x = to_input(torch.from_numpy(batch).to(self.device), self.mean, self.std)
            logits, features = self.module(x)
            return logits.cpu().numpy(), features.cpu().numpy()

    def heat(self, batch: np.ndarray, answer: int) -> np.ndarray:
        """What spoke for class number `answer`: uint8 RGB (N, height, width, 3) -> float32 (N, rows, columns), >= 0.

        One cell for 32 x 32 pixels. Grad-CAM (Selvaraju et al., ICCV 2017, arXiv 1610.02391) by Captum.
        """
        from captum.attr import LayerGradCam  # not above: nothing else needs it

        x = to_input(torch.from_numpy(batch).to(self.device), self.mean, self.std)
        maps = LayerGradCam(self.network, self.network.features[-1]).attribute(x, answer, relu_attributions=True)
        return maps.detach().cpu().numpy()[:, 0]


class WithFeatures(nn.Module):
    """The stock network, which gives the pooled features as well."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.flatten(self.network.avgpool(self.network.features(x)), 1)
        return self.network.classifier(features), features


def _optimised(network: nn.Module) -> torch.jit.ScriptModule:
    """Batch norm and activations folded into oneDNN's convolutions, which nearly doubles the speed on a processor.

    The functions are deprecated in favour of torch.compile, which needs a compiler on the user's machine.
    """
    example = torch.zeros(1, 96, 160, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        traced = torch.jit.freeze(torch.jit.trace(network, to_input(example)))
        return torch.jit.optimize_for_inference(traced)
