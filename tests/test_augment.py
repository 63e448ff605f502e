import numpy as np
from conftest import textured

from shot_types.training.augment import augment


def test_augmentation_keeps_shape_dtype_and_repeats():
    rgb = textured(96, 160)
    before = rgb.copy()
    for seed in range(60):
        out, place = augment(rgb, np.random.default_rng(seed))
        assert out.shape == rgb.shape and out.dtype == np.uint8
        again, same_place = augment(rgb, np.random.default_rng(seed))
        assert (out == again).all() and (place == same_place).all()
    assert (rgb == before).all()


def test_augmentation_never_zooms():
    """A disc keeps its size within a few percent each way, however it is blurred, darkened or turned."""
    y, x = np.mgrid[:144, :256]
    disc = np.where(((y - 72) ** 2 + (x - 128) ** 2 < 40**2)[..., None], 255, 90).astype(np.uint8).repeat(3, axis=2)
    sizes = []
    for seed in range(200):
        out = augment(disc, np.random.default_rng(seed))[0].mean(axis=2)
        level = (np.percentile(out, 50) + np.percentile(out, 97)) / 2
        sizes.append((out > level).mean() / (disc[..., 0] > 150).mean())
    assert min(sizes) > 0.65 and max(sizes) < 1.25  # the least: bars squeeze a picture one way only
    assert np.median(sizes) - 1 < 0.05


def test_the_map_follows_a_point_of_the_picture():
    """A white square on grey is found where the map says, whatever else happens to the picture."""
    for seed in range(80):
        rgb = np.full((144, 256, 3), 90, np.uint8)
        rgb[40:61, 180:201] = 255
        out, place = augment(rgb, np.random.default_rng(seed))
        brightness = out.astype(float).mean(axis=2)
        y, x = np.nonzero(brightness > (np.median(brightness) + brightness.max()) / 2)
        assert np.hypot(*(place @ (190, 50, 1) - (np.median(x), np.median(y)))) < 6, seed
