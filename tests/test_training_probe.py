"""A probe is fitted, its line set, counted; made titles; what a data set must have."""

import numpy as np
import pytest
from conftest import textured

from shot_types import WeightsError, load_classifier
from shot_types.cards import read_card, write_card
from shot_types.probe import Probe, probe_path, read_probe, write_probe
from shot_types.training import probe as room
from shot_types.training.titles import FIELDS, field, title_card, titled_shot


def clouds(count=200):
    rng = np.random.default_rng(0)
    return rng.normal(2, 1, (count, 3)).astype(np.float32), rng.normal(-2, 1, (count, 3)).astype(np.float32)


def test_a_fit_tells_two_clouds_apart_and_the_line_keeps_the_share_of_shots():
    shots, none = clouds()
    probe = room.fit(shots, none, c=1.0)
    assert (probe.is_shot(shots) > 0.5).mean() > 0.98 and (probe.is_shot(none) < 0.5).mean() > 0.98
    for lost in (0, 0.05):
        assert (room.with_line(probe, shots, lost).is_shot(shots) < 0.5).mean() <= lost


def test_score_has_the_interval_of_wilson():
    found = room.score(np.array([0.1] * 40 + [0.9] * 4))
    assert (found["taken for none"], found["of"]) == (40, 44)
    assert (found["low"], found["high"]) == pytest.approx((0.788, 0.964), abs=1e-3)


def test_made_pictures_are_rgb_and_follow_from_the_generator():
    rgb = textured(96, 160)
    makes = [title_card, lambda rgb, rng: titled_shot(rgb, rng)]
    makes += [lambda rgb, rng, kind=kind: field(96, 160, kind, rng) for kind in FIELDS]
    for make in makes:
        one, same = (make(rgb, np.random.default_rng(3)) for _ in range(2))
        assert one.shape == rgb.shape and one.dtype == np.uint8 and (one == same).all() and (one != rgb).any()


def test_places_without_a_shot_are_listed_in_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file; list frames without a shot"):
        room.read_none(tmp_path)
    (tmp_path / "none.csv").write_text("path,group,split\na.jpg,a,dev\n")
    with pytest.raises(ValueError, match="split 'dev' is unknown"):
        room.read_none(tmp_path)


@pytest.mark.parametrize("kind", ["pytorch", "tensorflow"])
def test_a_probe_beside_the_weights_is_part_of_the_answer_and_of_the_export(kind, request, tmp_path):
    from tools.export import export

    source = request.getfixturevalue(f"{kind}_weights")
    path, frames = tmp_path / f"own{source.suffix}", [textured(96, 160, seed) for seed in range(4)]
    path.write_bytes(source.read_bytes())
    write_card(path, read_card(source))
    plain = load_classifier(weights=path)
    before, nothing = plain.predict_arrays(frames)
    assert np.isnan(nothing).all() and plain.predict(frames[0]).is_shot is None
    features = plain.network.with_features(np.stack(frames))[1]
    away = features[0] - features[1]
    weight = 4 * away / (away @ away)
    write_probe(path, Probe(weight, -float((features[0] + features[1]) @ weight / 2)), {})
    proba, is_shot = load_classifier(weights=path).predict_arrays(frames)
    assert (proba == before).all() and is_shot[1] < 0.5 < is_shot[0]
    exported = load_classifier(weights=export(path, count=3)[0])
    assert exported.predict_arrays(frames)[1] == pytest.approx(is_shot, abs=1e-4)


def test_a_probe_of_other_weights_and_a_damaged_one(tmp_path, pytorch_weights):
    path = tmp_path / "own.pt"
    path.write_bytes(pytorch_weights.read_bytes())
    write_probe(path, Probe(np.ones(960, np.float32), 0.0), {})
    assert read_probe(path).weight.shape == (960,)
    text = probe_path(path).read_text()
    path.write_bytes(b"others")
    with pytest.warns(UserWarning, match=r"own_probe\.json: made for other weights than own\.pt"):
        assert read_probe(path) is None
    for damaged in (text[:-40], text.replace("960", "959"), "[]"):
        probe_path(path).write_text(damaged)
        with pytest.raises(WeightsError, match=r"own_probe\.json: "):
            read_probe(path)
