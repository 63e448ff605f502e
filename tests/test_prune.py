"""Channels that are the same for every picture."""

import pytest
import torch
from torchvision.models import mobilenet_v3_large

from tools.prune import BLOCK, without_constant_channels


@pytest.fixture
def network():
    """Random weights, and batch norms that have seen some pictures."""
    torch.manual_seed(0)
    network = mobilenet_v3_large(num_classes=5)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
    network(torch.randn(4, 3, 96, 96))
    return network.eval()


def silence(network, block, channels):
    """Let channels of a block see nothing of the picture."""
    network.features[block].block[1][0].weight.data[channels] = 0


def sizes(network):
    return [block.block[1][0].out_channels for block in network.features[2:16]]


@pytest.mark.parametrize("block", [3, 9], ids=["ReLU", "Hardswish"])
def test_constant_channels_go_and_the_answers_stay(network, block):
    count = sizes(network)[block - 2]
    silence(network, block, slice(5, 45))
    pruned, picture = without_constant_channels(network), torch.randn(3, 3, 96, 96)
    left = sizes(pruned)[block - 2]
    assert left == -(-(count - 40) // BLOCK) * BLOCK < count
    assert [*sizes(pruned)[: block - 2], count, *sizes(pruned)[block - 1 :]] == sizes(network)
    with torch.inference_mode():
        expected, found = network(picture), pruned(picture)
    assert expected.std() > 1e-3 and torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


def test_what_a_gate_scales_goes_only_where_nothing_takes_it(network):
    block, picture = network.features[5].block, torch.randn(3, 3, 96, 96)
    silence(network, 5, slice(0, 40))
    norm = block[1][1]
    value = norm.bias - norm.running_mean * norm.weight / torch.sqrt(norm.running_var + norm.eps)
    dark = int((value[:40] <= 0).sum())  # which ReLU makes zero
    assert 0 < dark < 40
    for count in (120 - dark, 120 - 40):
        pruned = without_constant_channels(network)
        assert sizes(pruned)[3] == -(-count // BLOCK) * BLOCK
        with torch.inference_mode():
            expected, found = network(picture), pruned(picture)
        assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
        block[3][0].weight.data[:, :40] = 0


def test_a_network_without_such_channels_keeps_all(network):
    assert sizes(without_constant_channels(network)) == sizes(network)
    assert [block.block[1][0].bias is None for block in network.features[2:16]] == [True] * 14  # a copy was changed
