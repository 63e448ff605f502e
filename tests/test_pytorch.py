import numpy as np
import pytest
import torch
import torchvision
from conftest import textured

from shot_types import WeightsError, load_classifier
from shot_types.cards import read_card, write_card
from shot_types.pytorch import Network, build, to_input


def test_fused_network_answers_like_the_stock_one(pytorch_weights):
    batch = np.stack([textured(96, 160, seed) for seed in range(3)])
    stock = torchvision.models.mobilenet_v3_large(num_classes=5)
    stock.load_state_dict(torch.load(pytorch_weights, weights_only=True), strict=True)
    with torch.inference_mode():
        expected = stock.eval()(to_input(torch.from_numpy(batch))).numpy()
    assert Network(pytorch_weights, {})(batch) == pytest.approx(expected, abs=1e-5)


def test_input_is_normalised_rgb():
    x = to_input(torch.tensor([[[[255, 0, 0]]]], dtype=torch.uint8))
    assert x[0, :, 0, 0].tolist() == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225], abs=1e-4)


@pytest.mark.parametrize(
    ("name", "classes", "reason"),
    [
        ("mobilenet_v3_large", 4, "it tells 4 classes apart, not CS, ECS, FS, LS, MS"),
        ("mobilenet_v3_small", 5, "of its tensors are other ones, such as classifier.0.bias"),
    ],
)
def test_weights_of_another_network(tmp_path, name, classes, reason):
    path = tmp_path / "other.pt"
    torch.save(torchvision.models.get_model(name, num_classes=classes).state_dict(), path)
    write_card(path, {"network": "mobilenet_v3_large", "height": 96, "width": 160, "temperature": 1.0})
    with pytest.raises(
        WeightsError, match=rf"other\.pt: not the weights of a five-class mobilenet_v3_large .*{reason}"
    ):
        load_classifier("pytorch", path)


def test_weights_of_other_kinds(tmp_path, pytorch_weights):
    """Double precision is as good; whole numbers, as of a quantised network, mean something else."""
    path, state = tmp_path / "kind.pt", torch.load(pytorch_weights, weights_only=True)
    rgb = textured(96, 160)
    for kind in (torch.float64, torch.int8):
        torch.save({key: x.to(kind) if x.is_floating_point() else x for key, x in state.items()}, path)
        write_card(path, read_card(pytorch_weights))
        if kind.is_floating_point:
            expected = load_classifier("pytorch", pytorch_weights).predict(rgb).confidence
            assert load_classifier("pytorch", path).predict(rgb).confidence == pytest.approx(expected, abs=1e-5)
        else:
            with pytest.raises(WeightsError, match=r"kind\.pt: .*of its tensors are other ones"):
                load_classifier("pytorch", path)


def test_answers_that_are_no_numbers(tmp_path, pytorch_weights):
    path, state = tmp_path / "nan.pt", torch.load(pytorch_weights, weights_only=True)
    torch.save(state | {"classifier.3.bias": torch.full((5,), torch.nan)}, path)
    write_card(path, read_card(pytorch_weights))
    with pytest.raises(WeightsError, match="its answers are no numbers; get the weights again"):
        load_classifier("pytorch", path).predict(textured(96, 160))


def test_initial_weights_are_taken_where_they_fit(tmp_path):
    source = torchvision.models.mobilenet_v3_large(num_classes=1000)
    path = tmp_path / "start.pt"
    torch.save(source.state_dict(), path)
    network = build(path)
    assert (network.features[3].block[0][0].weight == source.features[3].block[0][0].weight).all()
    assert network.classifier[3].out_features == 5
    torch.save({"something": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"start\.pt: no layer of this file fits"):
        build(path)


@pytest.mark.parametrize("about", [{"mean": "grey"}, {"mean": [0.5, 0.5]}, {"std": [0, 0, 0]}, {"std": None}])
def test_a_card_whose_mean_or_spread_cannot_be_used(tmp_path, pytorch_weights, about):
    path = tmp_path / "net.pt"
    path.write_bytes(pytorch_weights.read_bytes())
    write_card(path, read_card(pytorch_weights) | about)
    with pytest.raises(WeightsError, match=r"net\.pt: not the weights of a five-class"):
        load_classifier(weights=path)
