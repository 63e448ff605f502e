import numpy as np
import pytest
from conftest import textured

from shot_types.training.augment import VARIANTS, film, photograph, widescreen


@pytest.mark.parametrize("name", VARIANTS)
def test_augmentation_keeps_shape_dtype_and_repeats(name):
    rgb = textured(96, 160)
    before = rgb.copy()
    variants = set()
    for seed in range(60):
        out = VARIANTS[name](rgb, np.random.default_rng(seed))
        assert out.shape == rgb.shape and out.dtype == np.uint8
        assert (out == VARIANTS[name](rgb, np.random.default_rng(seed))).all()
        variants.add(out.tobytes())
    assert (rgb == before).all() and len(variants) == {"flip": 2}.get(name, 60)


def test_augmentation_never_zooms():
    """A disc keeps its size within a few percent each way, however it is blurred, darkened or turned."""
    y, x = np.mgrid[:144, :256]
    disc = np.where(((y - 72) ** 2 + (x - 128) ** 2 < 40**2)[..., None], 255, 90).astype(np.uint8).repeat(3, axis=2)
    sizes = []
    for seed in range(200):
        out = film(disc, np.random.default_rng(seed)).mean(axis=2)[36:-36, 64:-64]  # the edges may be a bright banner
        level = (np.percentile(out, 20) + np.percentile(out, 97)) / 2
        sizes.append((out > level).mean() * out.size / (disc[..., 0] > 150).sum())
    assert min(sizes) > 0.55 and max(sizes) < 1.25  # the least: bars squeeze a picture one way only
    assert abs(np.median(sizes) - 1) < 0.05


def test_a_point_of_the_picture_stays_near_or_is_mirrored():
    """A white square on grey is found where it was or at its mirror image, within what tilt and bars move it."""
    for seed in range(80):
        rgb = np.full((144, 256, 3), 90, np.uint8)
        rgb[62:83, 170:191] = 255
        middle = film(rgb, np.random.default_rng(seed)).astype(float).mean(axis=2)[36:-36, 55:-55]
        y, x = np.nonzero(middle > (np.median(middle) + middle.max()) / 2)
        x, y = np.median(x) + 55, np.median(y) + 36
        assert min(abs(x - 180), abs(x - 75)) < 28 and abs(y - 72) < 16, seed


@pytest.mark.parametrize("name, share", [("film", 0.12), ("film without bars", 0)])
def test_bars_and_banners_where_asked(name, share):
    """On one grey, only bars make an edge differ from the middle."""
    rgb = np.full((96, 160, 3), 150, np.uint8)
    means = [VARIANTS[name](rgb, np.random.default_rng(seed)).astype(float) for seed in range(150)]
    edges = [max(abs(x[:3].mean() - x[48].mean()), abs(x[:, :5].mean() - x[:, 80].mean())) for x in means]
    assert np.mean(np.array(edges) > 8) == pytest.approx(share, abs=share / 2)


def test_red_stays_red():
    rgb = np.full((96, 160, 3), (220, 60, 60), np.uint8)
    means = [film(rgb, np.random.default_rng(seed)).mean(axis=(0, 1)) for seed in range(80)]
    coloured = [mean for mean in means if mean.max() - mean.min() > 20]
    assert len(coloured) > 40
    assert np.mean([red > max(green, blue) for red, green, blue in coloured]) > 0.9  # a grading may turn a pale one


def test_photographs_are_darker_than_frames_and_shown_in_16_to_9():
    rgb = textured(96, 160)
    levels = {way: [way(rgb, np.random.default_rng(seed)).mean() for seed in range(60)] for way in (film, photograph)}
    assert np.mean(levels[photograph]) < 0.8 * np.mean(levels[film])
    tall, wide = textured(200, 160), textured(60, 160)
    bands = [widescreen(tall, np.random.default_rng(seed)) for seed in range(20)]
    assert {band.shape for band in bands} == {(90, 160, 3)} and len({band.tobytes() for band in bands}) > 10
    assert any((tall[top : top + 90] == bands[0]).all() for top in range(111))
    assert widescreen(wide, np.random.default_rng(0)).shape == wide.shape
