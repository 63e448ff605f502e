import numpy as np
from conftest import textured

from shot_training.augment import augment


def test_augmentation_keeps_shape_dtype_and_repeats():
    rgb = textured(96, 160)
    before = rgb.copy()
    for seed in range(60):
        out = augment(rgb, np.random.default_rng(seed))
        assert out.shape == rgb.shape and out.dtype == np.uint8
        assert (out == augment(rgb, np.random.default_rng(seed))).all()
    assert (rgb == before).all()


def test_augmentation_never_zooms():
    """A disc keeps its size within a few percent each way, however it is blurred, darkened or turned."""
    y, x = np.mgrid[:144, :256]
    disc = np.where(((y - 72) ** 2 + (x - 128) ** 2 < 40**2)[..., None], 255, 90).astype(np.uint8).repeat(3, axis=2)
    sizes = []
    for seed in range(200):
        out = augment(disc, np.random.default_rng(seed)).mean(axis=2)
        level = (np.percentile(out, 50) + np.percentile(out, 97)) / 2
        sizes.append((out > level).mean() / (disc[..., 0] > 150).mean())
    assert min(sizes) > 0.65 and max(sizes) < 1.25  # the least: bars squeeze a picture one way only
    assert np.median(sizes) - 1 < 0.05
