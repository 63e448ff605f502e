"""Bars of a film: letterbox, pillarbox and static banners, found over the film and trimmed alike in all of a shot.

A dark frame does not tell a bar from the night. The film does: where bars were found in several places, and how they
look there. Of each shot it is asked which of these bars it has; where it is too dark to say, it has those of the shot
before. Banners are bands of any colour with what stands still in them, such as the title of a trailer on a phone.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..pictures import BLACK, TOLERANCE, trim_bars

LIT = BLACK + TOLERANCE  # grey levels: brighter is no bar without light
UNLIKE = 2 * TOLERANCE  # grey levels: more is no noise of coding
SEVERAL = 3  # frames: bars that fewer have, their shot must show
NEAR = 2  # pixels by which equal bars differ from frame to frame
SMEAR = 2  # pixels at the edge of a bar into which the picture may bleed
STRAY = 0.04  # share of a bar that may be lit: a logo, noise
SUBTITLES = 0.25  # the same of the lower bar
EDGE = 0.25  # share of the inner edge of a bar at which the picture is lit, or changes, where that tells of a bar
ALONE = 0.5  # the same for bars that one shot alone has: a lit window in the dark has straight edges too, but shorter
LEAST = 0.25  # share of height and width: no picture is smaller


class Box(NamedTuple):
    """What of pictures of `height` x `width` pixels are bars: pixels from each edge."""

    height: int
    width: int
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def trim(self, rgb: np.ndarray) -> np.ndarray:
        """A view of an RGB array (height, width, 3) without the bars; arrays of another size are left as they are."""
        if rgb.shape[:2] != self[:2]:
            return rgb
        return rgb[self.top : self.height - self.bottom, self.left : self.width - self.right]

    def near(self, other: "Box") -> bool:
        return self[:2] == other[:2] and all(abs(a - b) <= NEAR for a, b in zip(self[2:], other[2:], strict=True))


class Bars:
    """The bars of a film, and those `now`: of the last shot asked about, None before the first."""

    def __init__(self, pictures: Iterable[np.ndarray]):
        """`pictures`: uint8 RGB (height, width, 3), from all over the film in order of time, sizes may change."""
        self.boxes: dict[Box, np.ndarray] = {}
        """Bars that several pictures have, the most frequent first, and how these look: grey levels, uint8."""
        self.now: Box | None = None
        self.known: set[tuple[int, int]] = set()
        """Sizes of which there were several pictures."""
        self.usual: dict[tuple[int, int], Box] = {}
        """Bars of most of these that are not dark: a film that begins in the dark has them."""
        looks: dict[tuple[int, int], list[tuple[np.ndarray, Box]]] = {}
        for rgb in pictures:
            looks.setdefault(rgb.shape[:2], []).append((_light(rgb), _black(rgb)))
        for shape, seen in looks.items():
            if len(seen) >= SEVERAL:
                self.known.add(shape)
                self.boxes |= (found := _found(seen))
                bright = [light for light, _ in seen if (light > LIT).mean() > STRAY]
                for box in found:
                    if 2 * sum(bool(self._says(box, light)) for light in bright) > len(bright):
                        self.usual[shape] = box

    def of(self, pictures: list[np.ndarray]) -> Box | None:
        """The bars of a shot, from its `pictures`, uint8 RGB (height, width, 3); without any, those of the one before.

        They become those `now`. None: nothing is known yet.
        """
        if pictures:
            shape = pictures[len(pictures) // 2].shape[:2]
            self.now = self._of(np.maximum.reduce([rgb for rgb in pictures if rgb.shape[:2] == shape]))
        return self.now

    def _of(self, brightest: np.ndarray) -> Box:
        """`brightest`: what is lit in any picture of the shot, and so is no bar, as RGB."""
        shape = brightest.shape[:2]
        light, whole = _light(brightest), Box(*shape)
        before = self.now
        if before is None or before[:2] != shape:
            before = self.usual.get(shape, whole)
        boxes = dict.fromkeys([before, *(box for box in self.boxes if box[:2] == shape)])
        says = {box: self._says(box, light) for box in boxes if any(box[2:])}
        sure = [box for box in says if says[box]]
        if sure:
            return sure[0]
        own = _black(brightest)
        if any(own[2:]) and (shape not in self.known or _steps(own, light) >= ALONE):
            return next((box for box in boxes if own.near(box)), own)
        return whole if says.get(before) is False else before

    def _says(self, box: Box, light: np.ndarray) -> bool | None:
        """Whether a shot has these bars; None where it is too dark to say. `light`: grey levels of all its pictures."""
        looks = self.boxes.get(box)
        if looks is None:
            looks = np.full(box[:2], UNLIKE, np.uint8)  # black, with either range of video
        sure = False
        for stray, bar, seen, wanted in _sides(box, light, looks):
            sharp = max(1, bar - SMEAR)
            unlike, drawn = _differ(seen[:sharp], wanted[:sharp]), wanted[:sharp] > LIT
            if unlike.mean() > stray or (drawn.mean() > STRAY and unlike[drawn].mean() > SUBTITLES):
                return False
            sure |= drawn.mean() > STRAY
            inside = (seen[bar : bar + 4] > LIT).any(axis=0)
            beyond = unlike[-4:].any(axis=0)
            step, through = (inside & ~beyond).mean(), (inside & beyond).mean()
            if through > max(stray, step):
                return False
            sure |= step >= 0.1
        return bool(sure) or None


def runs(rows: list[dict]) -> list[dict]:
    """When a film has bars, and which: start_seconds, end_seconds, and top, bottom, left, right as shares, 0 to 1.

    `rows`: shots in order of time, with `start_seconds`, `end_seconds` and `bars`, a Box or None.
    """
    found = []
    for bars, group in groupby(rows, key=lambda row: tuple(row.get("bars") or ())):
        shots = list(group)
        if bars and any(bars[2:]):
            box = Box(*bars)
            sides = {side: round(getattr(box, side) / box.height, 4) for side in ("top", "bottom")}
            sides |= {side: round(getattr(box, side) / box.width, 4) for side in ("left", "right")}
            times = {"start_seconds": shots[0]["start_seconds"], "end_seconds": shots[-1]["end_seconds"]}
            found.append(times | sides)
    return found


def _light(rgb: np.ndarray) -> np.ndarray:
    """Luma, uint8 (height, width), in which colour that bled into a bar hardly shows."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where two arrays of grey levels differ by more than noise: bool of their shape."""
    return np.maximum(one, other) - np.minimum(one, other) > UNLIKE


def _black(rgb: np.ndarray) -> Box:
    """The black bars of one picture, as `trim_bars` sees them."""
    rows, columns = (
        (full - trimmed) // 2 for full, trimmed in zip(rgb.shape[:2], trim_bars(rgb).shape[:2], strict=True)
    )
    return Box(*rgb.shape[:2], rows, rows, columns, columns)


def _found(seen: list[tuple[np.ndarray, Box]]) -> dict[Box, np.ndarray]:
    """Bars that several of the pictures have, and how these look; `seen`: luma and black bars of each."""
    votes = [(box, {number}) for number, (_, box) in enumerate(seen)]
    for number, (light, _) in enumerate(seen):
        for other in range(number + 1, min(number + 3, len(seen))):
            votes.append((_unchanging(light, seen[other][0]), {number, other}))
    votes, found = [(box, numbers) for box, numbers in votes if any(box[2:])], {}
    while votes:
        near = {box: [vote for vote in votes if box.near(vote[0])] for box, _ in votes}
        having = {box: set().union(*(numbers for _, numbers in near[box])) for box in near}
        box = max(having, key=lambda box: (len(having[box]), len(near[box])))
        if len(having[box]) < SEVERAL:
            break
        found[box] = np.median([seen[number][0] for number in sorted(having[box])], axis=0).astype(np.uint8)
        votes = [vote for vote in votes if not box.near(vote[0])]
    return found


def _unchanging(one: np.ndarray, other: np.ndarray) -> Box:
    """The bands at the edges that are alike in the luma of two places of a film and end in straight lines."""
    changed, (height, width) = _differ(one, other), one.shape
    sides = [0, 0, 0, 0]
    if changed.mean() >= 0.2:  # else it may be one place
        sides[:2] = _band(changed), _band(changed[::-1])
        inner = changed[sides[0] : height - sides[1]].T
        sides[2:] = _band(inner), _band(inner[::-1])
    box = Box(height, width, *sides)
    top, bottom, left, right = sides
    small = height - top - bottom < LEAST * height or width - left - right < LEAST * width
    uneven = max(abs(top - bottom), abs(left - right)) > NEAR  # of black bars, by subtitles, or by a dark floor
    still = np.minimum(one, other) > LIT
    lit = [seen[: bar - SMEAR].mean() > STRAY for _, bar, seen, _ in _sides(box, still, still)]
    return Box(height, width) if small or (uneven and not any(lit)) else box


def _band(changed: np.ndarray) -> int:
    """How many rows nothing changes in, if that ends in a straight line, and what is smeared behind it; else 0."""
    moves = changed.mean(axis=1) > 0.02
    band = int(np.argmax(moves))
    at_edge = changed[band : band + 4].any(axis=0).mean()
    near = changed[band : band + len(changed) // 10].any(axis=0).mean()
    return band + SMEAR if band >= 2 and at_edge >= max(EDGE, 0.5 * near) else 0


def _sides(box: Box, light: np.ndarray, looks: np.ndarray) -> Iterator[tuple[float, int, np.ndarray, np.ndarray]]:
    """Of each bar the share that may be lit, its width, and both arrays from its edge inwards, row by row."""
    rows, columns = slice(box.top, box.height - box.bottom), slice(box.left, box.width - box.right)
    parts = [(STRAY, box.top, lambda a: a[:, columns]), (SUBTITLES, box.bottom, lambda a: a[::-1, columns])]
    parts += [(STRAY, box.left, lambda a: a[rows].T), (STRAY, box.right, lambda a: a[rows, ::-1].T)]
    for stray, bar, turned in parts:
        if bar:
            yield stray, bar, turned(light), turned(looks)


def _steps(box: Box, light: np.ndarray) -> float:
    """The share of the edge of black bars at which the picture is lit, on the side where it is smallest, 0 to 1."""
    return min((seen[bar : bar + 4] > LIT).any(axis=0).mean() for _, bar, seen, _ in _sides(box, light, light))
