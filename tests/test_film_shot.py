import numpy as np
import pytest
from films import scene

from shot_types.film.shot import columns, is_dark, is_flat, scale_change
from shot_types.labels import LABELS, SCALE


def answers(*mixed):
    """Probabilities (frames, 5) of frames that are so far along the scale: 0 is ECS, 1.5 between CS and MS."""
    proba = np.full((len(mixed), 5), 0.01)
    for row, place in zip(proba, mixed, strict=True):
        for step in (int(place), min(4, int(place) + 1)):
            row[LABELS.index(SCALE[step])] += 0.95 * max(0, 1 - abs(place - step))
    return proba / proba.sum(axis=1, keepdims=True)


def judged(*mixed, is_shot=np.nan, dark=False, doubt=False, seconds=3.0, unsure_below=0.8):
    return columns(answers(*mixed), np.full(len(mixed), is_shot), dark, doubt, seconds, unsure_below)


def test_the_mean_of_the_frames_is_the_answer():
    row = judged(2, 2, 2, 3, unsure_below=0.5)
    assert (row["kind"], row["label"], row["agreement"], row["check"], row["why"]) == ("shot", "MS", 0.75, 0, "")
    assert row["confidence"] == row["MS"] and sum(row[label] for label in SCALE) == pytest.approx(1, abs=1e-3)
    assert row["is_shot"] is None


def test_one_frame_agrees_with_nothing():
    assert "agreement" not in judged(2) and judged(2, 2)["agreement"] == 1


def test_what_is_no_shot_has_no_label():
    row = judged(4, 4, is_shot=0.1)
    assert row["kind"] == "title" and "label" not in row and row["is_shot"] == 0.1 and row["check"] == 0
    assert judged(4, 4, is_shot=0.9)["label"] == "LS"
    for value, kind in ((0.4, "title"), (0.6, "shot")):
        row = judged(4, 4, is_shot=value)
        assert (row["kind"], row["check"], row["why"]) == (kind, 1, "title or shot")


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"mixed": [1.5, 1.4, 1.5]}, "close call"),
        ({"mixed": [1, 3, 1, 3, 1], "unsure_below": 0.2}, "frames disagree"),
        ({"mixed": [2, 2, 2], "dark": True}, "dark"),
        ({"mixed": [2, 2, 2], "doubt": True}, "cut missed?"),
        ({"mixed": [1.4], "seconds": 0.4}, "close call, near a cut"),
        ({"mixed": [2], "seconds": 0.4}, ""),
        ({"mixed": [2, 2, 2]}, ""),
    ],
)
def test_why_a_person_should_look(case, why):
    row = judged(*case.pop("mixed"), **case)
    assert row["why"] == why and row["check"] == bool(why)


@pytest.mark.parametrize(
    ("mixed", "change"),
    [
        ([3, 2.6, 2], ("FS", "MS")),
        ([2, 2.1, 2.6, 3, 3.9, 4], ("MS", "LS")),
        ([1, 1.2, 1.5, 1.8, 1.9], ("CS", "MS")),
        ([2, 2, 2, 2], ("", "")),
        ([1, 3, 1, 3, 2], ("", "")),  # back and forth
        ([1.5, 1.5, 1.5, 2.5, 2.5], ("", "")),  # neither end is settled
        ([1, 2], ("", "")),  # two frames may be two shots
    ],
)
def test_a_change_of_scale_is_told_only_where_it_is_sure(mixed, change):
    assert tuple(scale_change(answers(*mixed)).values()) == change


def test_a_change_at_a_place_that_may_be_a_cut_is_none():
    assert judged(3, 2.6, 2)["scale_at_end"] == "MS" and judged(3, 2.6, 2, doubt=True)["scale_at_end"] == ""


def test_flat_and_dark_frames():
    picture = scene("MS")
    assert is_flat(np.full((90, 160, 3), 120, np.uint8)) and not is_flat(picture)
    assert is_dark(picture // 6) and not is_dark(picture)
    picture[:20] = 0
    assert not is_dark(picture)
