"""Made pictures to train the probe with: title cards, fields of one colour, and shots with text laid over them."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = sorted(
    path
    for path in Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")
    if path.name.startswith(("DejaVu", "STIXGeneral", "cmr", "cmss", "cmtt")) and "Display" not in path.name
)
"""DejaVu, STIX and Computer Modern, which come with Matplotlib: with and without serifs, bold, slanted, even."""
FIELDS = ("black", "white", "colour", "gradient")
LETTERS = "aaabcdeeeefghiiijklmnnooopqrrsssttuuvwxyz"


def title_card(backdrop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A title card, a logo or credits, uint8 RGB of the shape (height, width, 3) of `backdrop`, a frame.

    Text of several sizes on black, white, one colour, a gradient, or `backdrop` made dark and unsharp.
    """
    height, width = backdrop.shape[:2]
    kind = rng.choice((*FIELDS, "backdrop"), p=(0.35, 0.1, 0.2, 0.15, 0.2))
    if kind != "backdrop":
        ground = field(height, width, kind, rng)
    else:
        ground = cv2.GaussianBlur(backdrop, (0, 0), width * rng.uniform(0.02, 0.06))
        ground = (ground * np.float32(rng.uniform(0.15, 0.8))).astype(np.uint8)
    picture = Image.fromarray(ground)
    colour = _ink(ground, rng)
    if rng.random() < 0.2:
        _credits(picture, rng, colour)
        return np.asarray(picture)
    y = height * rng.uniform(0.25, 0.5)
    if rng.random() < 0.3:
        _logo(picture, rng, (width * rng.uniform(0.35, 0.65), y), height * rng.uniform(0.06, 0.2))
        y += height * rng.uniform(0.15, 0.25)
    size, font = height * rng.uniform(0.05, 0.22), rng.choice(FONTS)
    for _ in range(rng.integers(1, 4)):
        _line(picture, font, _words(rng, rng.integers(1, 5)), size, (width / 2, y), colour)
        y += size * rng.uniform(1.1, 1.6)
        if rng.random() < 0.5:
            size *= rng.uniform(0.4, 1)
    return np.asarray(picture)


def field(height: int, width: int, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Uint8 RGB (height, width, 3) of one of FIELDS, some with the noise of a camera."""
    first, second = rng.integers(0, 256, (2, 3)).astype(np.float32)
    if kind == "black":
        first = second = np.full(3, rng.uniform(0, 20), np.float32)
    elif kind == "white":
        first = second = np.full(3, rng.uniform(235, 255), np.float32)
    elif kind == "colour":
        second = first
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    place = np.hypot(x, y) if rng.random() < 0.5 else (x * np.cos(turn) + y * np.sin(turn) + 1) / 2
    place = np.clip(place, 0, 1)[..., None]
    noise = rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.choice((0, 0, 1, 3)))
    return np.clip(first + (second - first) * place + noise, 0, 255).astype(np.uint8)


def titled_shot(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A shot with text laid over it, as films have it: subtitles, a credit, a caption, or a logo in a corner.

    Takes and gives uint8 RGB (height, width, 3).
    """
    height, width = rgb.shape[:2]
    picture, font = Image.fromarray(rgb), rng.choice(FONTS)
    colour = (255, 255, 255) if rng.random() < 0.7 else _ink(rgb, rng)
    kind = rng.choice(("subtitle", "credit", "caption", "corner"))
    size = height * rng.uniform(0.04, 0.075)
    if kind == "subtitle":
        y = height * rng.uniform(0.82, 0.9)
        for _ in range(rng.integers(1, 3)):
            _line(picture, font, _words(rng, rng.integers(2, 8)), size, (width / 2, y), colour, outline=True)
            y += 1.15 * size
    elif kind == "corner":
        x, y = (rng.choice((0.08, 0.92)) * width, rng.choice((0.1, 0.9)) * height)
        _logo(picture, rng, (x, y), height * rng.uniform(0.03, 0.07))
        if rng.random() < 0.5:
            _line(picture, font, _words(rng, 1), 0.8 * size, (x, y + size), colour)
    else:
        x, y = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.15, 0.85)
        for _ in range(rng.integers(1, 4)):
            _line(picture, font, _words(rng, rng.integers(1, 4)), size, (x, y), colour)
            y, size = y + 1.2 * size, size * rng.uniform(0.7, 1.4 if kind == "credit" else 1)
    return np.asarray(picture)


def _words(rng: np.random.Generator, count: int) -> str:
    words = ["".join(rng.choice(list(LETTERS), rng.integers(2, 10))) for _ in range(count)]
    text = " ".join(words)
    return text.upper() if rng.random() < 0.5 else text.title() if rng.random() < 0.5 else text


def _ink(ground: np.ndarray, rng: np.random.Generator) -> tuple[int, ...]:
    """A colour that can be read on `ground`: white or black, or some colour made lighter or darker."""
    aim = 0 if ground.mean() > 110 else 255
    share = 1 if rng.random() < 0.5 else rng.uniform(0.4, 0.9)
    return tuple(int(value) for value in share * aim + (1 - share) * rng.integers(0, 256, 3))


def _line(picture, font, text, size, centre, colour, outline=False):
    """Draw one line of text, made smaller where it would not fit in the picture."""
    draw, face = ImageDraw.Draw(picture), ImageFont.truetype(str(font), max(6, round(size)))
    room = 2 * min(centre[0], picture.width - centre[0])
    if (length := draw.textlength(text, face)) > 0.95 * room:
        face = ImageFont.truetype(str(font), max(6, int(face.size * 0.95 * room / length)))
    edge = {"stroke_width": max(1, round(size / 12)), "stroke_fill": (0, 0, 0)} if outline else {}
    draw.text(centre, text, tuple(colour), face, anchor="mm", **edge)


def _credits(picture, rng, colour):
    """Many small lines below each other, in one column or two."""
    font, size = rng.choice(FONTS), picture.height * rng.uniform(0.03, 0.06)
    columns = (0.5,) if rng.random() < 0.6 else (0.33, 0.67)
    for y in np.arange(rng.uniform(0.03, 0.3), rng.uniform(0.6, 1), 1.5 * size / picture.height):
        for x in columns if rng.random() < 0.85 else ():
            place = (x * picture.width, y * picture.height)
            _line(picture, font, _words(rng, rng.integers(1, 4)), size, place, colour)


def _logo(picture, rng, centre, radius):
    """A disc, a ring, a box or a triangle, some with a letter in it."""
    draw, (x, y) = ImageDraw.Draw(picture), centre
    colour = tuple(int(value) for value in rng.integers(0, 256, 3))
    box, kind = (x - radius, y - radius, x + radius, y + radius), rng.integers(4)
    if kind == 0:
        draw.ellipse(box, fill=colour)
    elif kind == 1:
        draw.ellipse(box, outline=colour, width=max(2, round(radius / 4)))
    elif kind == 2:
        draw.rectangle(box, fill=colour)
    else:
        draw.regular_polygon((x, y, radius), 3, fill=colour)
    if rng.random() < 0.5:
        other = tuple(255 - value for value in colour)
        _line(picture, rng.choice(FONTS), _words(rng, 1)[:1], 1.2 * radius, centre, other)
