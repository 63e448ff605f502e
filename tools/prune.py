"""A MobileNetV3 without the channels that are the same for every picture: smaller, faster, with the same answers."""

import copy

import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval
from torchvision.models import MobileNetV3
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.ops.misc import Conv2dNormActivation, SqueezeExcitation

BLOCK = 16
"""As many channels ONNX Runtime computes at a time (8 with AVX2, 16 with AVX-512); a depthwise convolution whose
channels are no multiple of that takes it a slower way."""


def without_constant_channels(network: MobileNetV3) -> MobileNetV3:
    """A copy, in evaluation mode, whose batch norms are part of the convolutions.

    Between the expansion and the projection of a block, a channel whose depthwise weights are all zero has one value,
    whatever the picture: it goes, and what it adds to the layers behind becomes part of their biases. Where a gate
    scales it, it goes only if nothing takes it. Some stay, so that the others are a multiple of BLOCK.
    """
    network = copy.deepcopy(network).eval()
    for block in network.modules():
        if isinstance(block, InvertedResidual):
            _prune(list(block.block))
    return network


@torch.no_grad()
def _prune(layers: list[nn.Module]) -> None:
    convolutions = [layer for layer in layers if isinstance(layer, Conv2dNormActivation)]
    gate = next((layer for layer in layers if isinstance(layer, SqueezeExcitation)), None)
    if len(convolutions) < 3:  # a block without expansion: its input has the channels of the block before
        return
    for layer in convolutions:
        layer[0], layer[1] = fuse_conv_bn_eval(layer[0], layer[1]), nn.Identity()
    expand, depthwise, project = (layer[0] for layer in convolutions)
    value = convolutions[1][2](depthwise.bias.clone())  # the activation works in place
    gone = depthwise.weight.flatten(1).abs().amax(1) == 0
    if gate:
        gone &= (project.weight.flatten(2).abs().amax((0, 2)) == 0) | (value == 0)
    gone[gone.nonzero()[: -int((~gone).sum()) % BLOCK]] = False
    if gate:
        gate.fc1.bias += gate.fc1.weight[:, gone, 0, 0] @ value[gone]
        _keep(gate.fc1, ~gone, 1)
        _keep(gate.fc2, ~gone, 0)
    else:
        project.bias += project.weight[:, gone, 0, 0] @ value[gone]
    _keep(expand, ~gone, 0)
    _keep(depthwise, ~gone, 0)
    depthwise.groups = depthwise.in_channels = depthwise.out_channels
    _keep(project, ~gone, 1)


def _keep(convolution: nn.Conv2d, kept: torch.Tensor, side: int) -> None:
    """Leave the `kept` channels: those it gives where `side` is 0, those it takes where it is 1."""
    weight, bias = convolution.weight, convolution.bias
    convolution.weight = nn.Parameter(weight[kept] if side == 0 else weight[:, kept])
    if side == 0:
        convolution.bias, convolution.out_channels = nn.Parameter(bias[kept]), int(kept.sum())
    else:
        convolution.in_channels = int(kept.sum())
