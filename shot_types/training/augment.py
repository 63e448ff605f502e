"""What film does to a picture without changing its shot scale: the training-time augmentation.

Works on the output of `frames.load_frame`, uint8 RGB (height, width, 3), for either framework. Nothing here
crops in or zooms out by more than a few percent, because that would change the label.
"""

import cv2
import numpy as np

cv2.setNumThreads(1)  # frames are augmented in parallel processes already


def flip(rgb: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mirror one picture in two, left to right. Returns the picture and its map, as `augment` does."""
    if rng.random() < 0.5:
        return rgb[:, ::-1], np.array([[-1.0, 0, rgb.shape[1] - 1], [0, 1, 0]])
    return rgb, np.eye(2, 3)


def augment(rgb: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One random variant of `rgb`, of the same shape and dtype; all randomness comes from `rng`.

    Returns the picture and its map, float (2, 3): the point (x, y) of `rgb`, in pixels, is now at map @ (x, y, 1).
    """
    rgb, place = flip(rgb, rng)
    rgb = np.ascontiguousarray(rgb)
    if rng.random() < 0.6:
        rgb, move = _tilt(rgb, rng)
        place = _then(place, move)
    if rng.random() < 0.08:
        rgb, move = _bars(rgb, rng)
        place = _then(place, move)
    if rng.random() < 0.4:
        rgb = _blur(rgb, rng)
    rgb = _light(rgb, rng)
    if rng.random() < 0.25:
        noise = rng.standard_normal(rgb.shape, np.float32) * np.float32(rng.uniform(2, 12))
        rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(15, 80))
        rgb = cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return rgb, place


def _then(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The map (2, 3) of `first` followed by `second`."""
    return second @ np.vstack([first, (0, 0, 1)])


def _tilt(rgb: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A few degrees of rotation, a few percent of scale, stretch and shift; mirrored at the border."""
    height, width = rgb.shape[:2]
    centre = (width / 2, height / 2)
    matrix = cv2.getRotationMatrix2D(centre, rng.uniform(-5, 5), rng.uniform(0.95, 1.05))
    matrix[0] *= rng.uniform(0.92, 1.08)
    matrix[:, 2] += centre - matrix @ (*centre, 1) + rng.uniform(-0.04, 0.04, 2) * (width, height)
    out = cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return out, matrix


def _bars(rgb: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Letterbox or pillarbox bars, for those that trimming misses."""
    height, width = rgb.shape[:2]
    share = rng.uniform(0.04, 0.14)
    top, left = (round(height * share), 0) if rng.random() < 0.6 else (0, round(width * share))
    out = np.zeros_like(rgb)
    out[top : height - top, left : width - left] = cv2.resize(
        rgb, (width - 2 * left, height - 2 * top), interpolation=cv2.INTER_AREA
    )
    return out, np.array([[1 - 2 * left / width, 0, left], [0, 1 - 2 * top / height, top]])


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
