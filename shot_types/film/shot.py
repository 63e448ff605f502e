"""What the frames of one shot say together: its kind, its scale, how sure that is, and why a person should look."""

import cv2
import numpy as np

from ..labels import LABELS, SCALE, STEP

FLAT = 4.0  # grey levels: a frame that varies less is black leader, the end of a fade or one colour: it has no scale
DARK = 40.0  # grey levels: a frame of which 95 % are darker shows little of what is in it
AGREED = 0.7  # share of the frames: where fewer have the label of their shot, something changes in it
SETTLED = 0.6  # mean probability: a third of a shot whose first label has less has no scale that can be told
BACK = 0.5  # steps of the scale: so far the frames of a movement may go back, as no two frames look quite alike
BETWEEN = (0.25, 0.75)  # of `is_shot`: a title, or not, but not for certain
CHANGES = ["scale_at_start", "scale_at_end"]
BRIEF = 0.5  # seconds: of a shorter shot, one frame is looked at, near a cut


def is_flat(rgb: np.ndarray) -> bool:
    """Whether uint8 RGB (height, width, 3) shows one colour, so that nothing can be said of it."""
    return bool(cv2.meanStdDev(np.ascontiguousarray(rgb[::4, ::4]))[1].max() < FLAT)


def is_dark(rgb: np.ndarray) -> bool:
    """Whether nearly all of uint8 RGB (height, width, 3) is so dark that it may be taken for something else."""
    return bool(np.percentile(rgb[::4, ::4].mean(axis=2), 95) < DARK)


def columns(
    proba: np.ndarray, is_shot: np.ndarray, dark: bool, doubt: bool, seconds: float, unsure_below: float
) -> dict:
    """Columns of the row of a shot, as `table` describes them, from its frames in order of time.

    `proba`: float (frames, 5), one column a class in order of LABELS. `is_shot`: float (frames,), NaN where the weights
    do not tell. `dark`: whether most frames are. `doubt`: whether there may be a cut in it. `seconds`: how long it is.
    `unsure_below`: the confidence under which a label is to be checked.
    """
    mean = proba.mean(axis=0)
    row = {label: round(float(mean[LABELS.index(label)]), 4) for label in SCALE}
    label, why = max(SCALE, key=row.get), []
    shot = float(is_shot.mean())
    row |= {"kind": "title" if shot < 0.5 else "shot", "is_shot": None if np.isnan(shot) else round(shot, 4)}
    if BETWEEN[0] < shot < BETWEEN[1]:
        why.append("title or shot")
    if row["kind"] == "shot":
        row |= {"label": label, "confidence": row[label]}
        if len(proba) > 1:
            row["agreement"] = round(float(np.mean(proba.argmax(axis=1) == mean.argmax())), 4)
        row |= dict.fromkeys(CHANGES, "") if doubt else scale_change(proba)  # which may be that from shot to shot
        why += ["close call"] * (row["confidence"] < unsure_below)
        why += ["frames disagree"] * (row.get("agreement", 1) < AGREED and not row["scale_at_start"])
        why += ["dark"] * dark
        why += ["cut missed?"] * doubt
        why += ["near a cut"] * (len(proba) == 1 and seconds < BRIEF and row["confidence"] < unsure_below)
    return row | {"check": int(bool(why)), "why": ", ".join(why)}


def scale_change(proba: np.ndarray) -> dict:
    """`scale_at_start` and `scale_at_end`, of the first and the last third of the frames; "" where they do not differ.

    They do only where both thirds are settled and the frames between lead from one to the other, as when the camera
    moves: `proba` is float (frames, 5), in order of time.
    """
    third = len(proba) // 3
    if third:
        start, end = (part.mean(axis=0) for part in (proba[:third], proba[-third:]))
        steps = proba @ np.array([STEP[label] for label in LABELS], float)
        way = steps if steps[-1] > steps[0] else -steps
        back = float((np.maximum.accumulate(way) - way).max())
        if start.argmax() != end.argmax() and min(start.max(), end.max()) >= SETTLED and back <= BACK:
            return dict(zip(CHANGES, (LABELS[start.argmax()], LABELS[end.argmax()]), strict=True))
    return dict.fromkeys(CHANGES, "")
