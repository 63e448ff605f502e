"""What film does to a picture without changing its shot scale: the training-time augmentation.

Works on the output of `pictures.load_frame`, uint8 RGB (height, width, 3), for either framework. Nothing here crops
in or zooms out by more than a few percent, because that would change the label; bars and banners squeeze the picture
along one axis, as they do where trimming misses them.
"""

from functools import partial

import cv2
import numpy as np

cv2.setNumThreads(1)  # frames are augmented in parallel already


def flip(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror one picture in two, left to right; uint8 RGB (height, width, 3) in and out."""
    return rgb[:, ::-1] if rng.random() < 0.5 else rgb


def film(rgb: np.ndarray, rng: np.random.Generator, bars: float = 0.12) -> np.ndarray:
    """One random variant of uint8 RGB (height, width, 3), same shape and dtype; all randomness comes from `rng`.

    `bars` is the share of frames that get black bars or coloured banners.
    """
    rgb = np.ascontiguousarray(flip(rgb, rng))
    for share, change in ((0.6, _tilt), (bars, _bars), (0.4, _blur), (1.0, _light), (0.25, _noise), (0.3, _compress)):
        if rng.random() < share:
            rgb = change(rgb, rng)
    return rgb


def photograph(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A photograph as a film would show it, then as `film`: mostly darker than it is, down to a quarter, and softer."""
    rgb = np.ascontiguousarray(rgb)
    if rng.random() < 0.6:
        rgb = (rgb * np.float32(rng.uniform(0.25, 0.7))).astype(np.uint8)
    if rng.random() < 0.4:
        rgb = _blur(rgb, rng)
    return film(rgb, rng)


VARIANTS = {"film": film, "film without bars": partial(film, bars=0), "photograph": photograph, "flip": flip}
"""What `samples` names."""


def widescreen(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A band of 16:9 out of a picture that is taller, at random height; a view of uint8 RGB (height, width, 3).

    For close views of things alone: of a person a band would show another scale.
    """
    rows = min(len(rgb), round(rgb.shape[1] * 9 / 16))
    top = rng.integers(len(rgb) - rows + 1)
    return rgb[top : top + rows]


def _tilt(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A few degrees of rotation, a few percent of scale, stretch and shift; mirrored at the border."""
    height, width = rgb.shape[:2]
    centre = (width / 2, height / 2)
    affine = cv2.getRotationMatrix2D(centre, rng.uniform(-5, 5), rng.uniform(0.95, 1.05))
    affine[0] *= rng.uniform(0.92, 1.08)
    affine[:, 2] += centre - affine @ (*centre, 1) + rng.uniform(-0.04, 0.04, 2) * (width, height)
    return cv2.warpAffine(rgb, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _bars(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Letterbox or pillarbox bars that trimming misses: black, or banners of one colour with bright signs on them."""
    height, width = rgb.shape[:2]
    share, banner = rng.uniform(0.04, 0.2), rng.random() < 0.4
    top, left = (round(height * share), 0) if rng.random() < 0.65 else (0, round(width * share))
    out = np.zeros_like(rgb)
    if banner:
        out[:] = rng.integers(0, 256, 3)
        for _ in range(rng.integers(0, 12)):  # signs: what is not in the bars, the picture covers
            y, x, size = rng.integers(height), rng.integers(width), int(rng.integers(2, 2 + height // 16))
            out[y : y + size, x : x + 3 * size] = 255 - out[0, 0]
    out[top : height - top, left : width - left] = cv2.resize(
        rgb, (width - 2 * left, height - 2 * top), interpolation=cv2.INTER_AREA
    )
    return out


def _blur(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, in motion, or of low resolution."""
    height, width = rgb.shape[:2]
    kind = rng.choice(3, p=(0.3, 0.3, 0.4))
    if kind == 0:
        return cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 2.0))
    if kind == 1:
        length = int(rng.integers(3, 14))
        line = np.zeros((length, length), np.float32)
        line[length // 2] = 1
        turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1)
        line = cv2.warpAffine(line, turn, (length, length))
        return cv2.filter2D(rgb, -1, line / line.sum(), borderType=cv2.BORDER_REFLECT_101)
    share = rng.uniform(0.3, 0.8)
    small = cv2.resize(rgb, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _light(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grey, saturation, grading, exposure and contrast; one frame in four is taken into the dark."""
    x = rgb.astype(np.float32) / 255
    saturation = 0.0 if rng.random() < 0.12 else rng.uniform(0.4, 1.4)
    grey = x @ np.float32([0.299, 0.587, 0.114])
    x = grey[..., None] + np.float32(saturation) * (x - grey[..., None])
    gains = rng.uniform(0.85, 1.15, 3) if rng.random() < 0.7 else np.ones(3)
    gamma, gain, lift = rng.uniform(0.75, 1.35), rng.uniform(0.8, 1.2), rng.uniform(-0.05, 0.05)
    if rng.random() < 0.25:
        gamma, gain = rng.uniform(1.0, 1.9), rng.uniform(0.3, 0.9)
    x = np.clip(x, 0, 1) ** np.float32(gamma) * np.float32(gain * gains) + np.float32(lift)
    return (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def _noise(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grain, of 2 to 12 grey levels."""
    noise = rng.standard_normal(rgb.shape, np.float32) * np.float32(rng.uniform(2, 12))
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def _compress(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """JPEG of quality 15 to 79. OpenCV takes red for blue on both ways, so the order of colours stays."""
    quality = int(rng.integers(15, 80))
    return cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
