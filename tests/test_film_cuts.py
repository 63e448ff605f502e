"""Boundaries in made films: frames go to the finder as numbers, 24 a second, without a file between."""

import cv2
import numpy as np
import pytest
from conftest import write_video
from films import Brightness, Stopped, scene
from PIL import Image

from shot_types import film
from shot_types.film.cuts import MICRO, CutFinder
from shot_types.video import Planes, Video

RATE = 24
BLACK = np.zeros((72, 128, 3), np.uint8)


def planes(rgb):
    yuv = cv2.cvtColor(cv2.resize(rgb, (256, 144)), cv2.COLOR_RGB2YUV_I420)
    u, v = yuv[144:].reshape(2, 72, 128)
    return Planes(yuv[:144], u, v)


def events(frames, first=0, **options):
    """(kind, first frame, last frame) of what the finder says, doubts left out; frames counted from `first`."""
    finder, found = CutFinder(**options), []
    for number, rgb in enumerate(frames[first:], first):
        found += finder.add(round(number * MICRO / RATE), planes(rgb))
    found += finder.end()
    return [(e.kind, *(round(time * RATE / MICRO) for time in (e.start, e.end))) for e in found if e.kind != "doubt"]


def shot(seed, frames=36):
    """Something moves a little in it."""
    picture = scene("MS", seed, 288, 560)
    return [
        cv2.resize(picture[:, round(24 + 10 * np.sin(i / 12)) :][:, :512], (128, 72), interpolation=cv2.INTER_AREA)
        for i in range(frames)
    ]


def mixed(one, other, share):
    return ((1 - share) * one.astype(float) + share * other.astype(float)).astype(np.uint8)


def faded(frames, shares):
    return [mixed(BLACK, frame, share) for frame, share in zip(frames, shares, strict=True)]


def with_text(frame, left, top=30, shade=255):
    frame = frame.copy()
    frame[top : top + 12, max(0, left) : left + 80 : 2] = shade
    return frame


def test_hard_cuts_and_very_short_shots():
    assert events(shot(0) + shot(1) + shot(2)) == [("cut", 36, 36), ("cut", 72, 72)]
    starts = [36 + 7 * number for number in range(6)]  # 0.3 seconds each
    frames = shot(0) + [frame for seed in range(1, 6) for frame in shot(seed, 7)] + shot(6)
    assert events(frames) == [("cut", start, start) for start in starts]


@pytest.mark.parametrize("length", [1, 2, 4])
@pytest.mark.parametrize("shade", [0, 255])
def test_a_flash_is_no_cut(length, shade):
    frames = shot(0, 72)
    frames[30 : 30 + length] = [np.full_like(BLACK, shade)] * length
    assert events(frames) == []


def test_a_flash_that_dies_away_is_no_cut_and_one_at_a_cut_is_one_cut():
    glow = [0.9, 0.6, 0.35, 0.2, 0.1]
    frames, white = shot(0, 72), np.full_like(BLACK, 255)
    frames[30:35] = [mixed(frame, white, share) for frame, share in zip(frames[30:35], glow, strict=True)]
    assert events(frames) == []
    frames = shot(0) + shot(1)
    frames[36:41] = [mixed(frame, white, share) for frame, share in zip(frames[36:41], glow, strict=True)]
    assert events(frames) == [("cut", 36, 36)]


def test_fades_through_black_and_white():
    ramp, one, other = np.linspace(0, 1, 12), shot(0, 48), shot(1, 48)
    frames = one[:36] + faded(one[36:], ramp[::-1]) + [BLACK] * 12 + faded(other[:12], ramp) + other[12:]
    for shown in (frames, [255 - frame for frame in frames]):
        found = events(shown)
        assert [kind for kind, *_ in found] == ["fade", "fade"]
        assert found[0][1] == pytest.approx(47, abs=1) and found[1][1] == pytest.approx(61, abs=1)


def test_cards_that_change_within_black_and_black_at_the_beginning():
    cards = [with_text(BLACK, left, top) for left, top in ((20, 10), (40, 30), (10, 50))]
    frames = [BLACK] * 4 + [card for card in cards for _ in range(24)]
    assert events(frames) == [("cut", 4, 4), ("cut", 28, 28), ("cut", 52, 52)]


@pytest.mark.parametrize(("black", "found"), [(12, [36]), (36, [36, 72])])
def test_black_from_which_a_title_fades_in_is_part_of_it(black, found):
    title = [with_text(BLACK, 20, shade=shade) for shade in range(10, 250, 20)]
    assert [start for _, start, _ in events(shot(0) + [BLACK] * black + title + title[-1:] * 24)] == pytest.approx(
        found, abs=2
    )
    for picture in (shot(0, 1)[0], shot(1, 1)[0]):  # which is no title: black and shot are two
        frames = shot(2) + [BLACK] * black + faded([picture] * 12, np.linspace(0.05, 1, 12)) + [picture] * 24
        assert [start for _, start, _ in events(frames)] == [36, pytest.approx(36 + black, abs=2)]


@pytest.mark.parametrize("length", [12, 24, 36])
def test_a_dissolve_is_one_span(length):
    one, other = shot(0, 60 + length), shot(1, 60 + length)
    mix = [mixed(*pair, (i + 1) / (length + 1)) for i, pair in enumerate(zip(one[60:], other, strict=False))]
    ((kind, start, end),) = events(one[:60] + mix + other[length:])
    assert kind == "transition"
    assert start == pytest.approx(60, abs=length / 4) and end == pytest.approx(60 + length, abs=length / 4)


def test_what_moves_is_no_cut():
    wide = scene("MS", 3, 72, 800)
    pan = [np.ascontiguousarray(wide[:, 4 * i :][:, :128]) for i in range(96)]
    rng = np.random.default_rng(0)  # such a picture without edges is, cell by cell, a mixture on the way
    smooth = cv2.resize(rng.integers(0, 256, (18, 40, 3), np.uint8), (1280, 576), interpolation=cv2.INTER_CUBIC)
    creeping = [np.ascontiguousarray(smooth[:, i // 2 :][:, :1024]) for i in range(192)]
    speeds = [0] * 30 + [6, 15, 25, 30, 30, 25, 15, 6] + [0] * 34
    whip = [np.ascontiguousarray(wide[:, left:][:, :128]) for left in np.cumsum(speeds)]
    title = [with_text(frame, 2 * i - 60) for i, frame in enumerate(shot(4, 90))]
    fading = [with_text(frame, 30, shade=min(255, 10 * i)) for i, frame in enumerate([scene("MS", 5, 72, 128)] * 60)]
    for frames in (pan, creeping, whip, title, fading):
        assert events(frames) == []


def test_a_light_that_comes_up_is_no_dissolve():
    picture = scene("MS", 0, 72, 128)
    frames = [mixed(BLACK, picture, share) for share in [0.3] * 24 + list(np.linspace(0.3, 1, 24)) + [1] * 24]
    assert events(frames) == []


def test_what_is_nearly_a_cut_is_a_doubt():
    one, other, finder = scene("MS", 0, 72, 128), scene("MS", 1, 72, 128), CutFinder()
    frames = [one] * 36 + [mixed(one, other, 0.1)] * 36
    found = [event for i, rgb in enumerate(frames) for event in finder.add(round(i * MICRO / RATE), planes(rgb))]
    assert [(event.kind, round(event.start * RATE / MICRO)) for event in found] == [("doubt", 36)]


def film_of_all():
    one, other = shot(1, 84), shot(2, 84)
    mix = [mixed(one[60 + i], other[i], (i + 1) / 25) for i in range(24)]
    frames = shot(0) + one[:60] + mix + other[24:] + shot(3, 7) + shot(4, 7) + faded(shot(5, 24), np.linspace(1, 0, 24))
    return frames + [BLACK] * 4 + faded(shot(6, 12), np.linspace(0, 1, 12)) + shot(6, 60) + shot(7, 60)


def test_a_finder_that_starts_at_a_boundary_finds_the_same_after_it():
    frames = film_of_all()
    whole = events(frames)
    assert {kind for kind, *_ in whole} == {"cut", "fade", "transition"}
    for _, start, _ in whole:
        later = [event for event in whole if event[1] > start]
        again = [event for event in events(frames, start) if event[1] > start]
        assert [event for event in again if event[1] > start + 48] == [e for e in later if e[1] > start + 48]


@pytest.mark.parametrize("after", [2, 5, 9])
def test_a_stopped_analysis_goes_on_to_the_same_rows(tmp_path, after):
    path = write_video(tmp_path / "film.mp4", film_of_all(), gop_size=12)
    with pytest.raises(KeyboardInterrupt):
        film.analyze(path, Stopped(after), tmp_path / "stopped", every=0.3)
    columns = ["start_seconds", "end_seconds", "label", "frames"]
    stopped, whole = (film.analyze(path, Brightness(), tmp_path / name, every=0.3) for name in ("stopped", "whole"))
    assert stopped[columns].equals(whole[columns])
    assert whole["end_seconds"].tolist()[:-1] == whole["start_seconds"].tolist()[1:]


def test_a_dissolve_is_a_row_without_a_scale(tmp_path):
    path = write_video(tmp_path / "film.mp4", film_of_all())
    table = film.analyze(path, Brightness(), tmp_path)
    row = table[(table["start_seconds"] > 3.8) & (table["end_seconds"] < 5.2)].iloc[0]
    assert row["kind"] == "transition" and row["label"] == "" and row["frames"] == 0
    assert row["seconds"] == pytest.approx(1, abs=0.25) and Image.open(tmp_path / row["thumbnail"])


@pytest.mark.parametrize("length", [6, 7, 8, 9])
def test_the_shortest_shots_are_looked_at(tmp_path, length):
    frames = [scene("LS", 1)] * 36 + [scene("CS", 2)] * length + [scene("MS", 3)] * 41
    table = film.analyze(write_video(tmp_path / "film.mp4", frames), Brightness(), tmp_path)
    assert table["label"].tolist() == ["LS", "CS", "MS"]


@pytest.mark.parametrize("before", range(30, 46, 3))
def test_short_black_is_a_row_with_a_picture(tmp_path, before):
    frames = shot(0, before) + faded(shot(0, 12), np.linspace(1, 0, 12)) + [BLACK] * 6 + shot(1, 40)
    table = film.analyze(write_video(tmp_path / "film.mp4", frames), Brightness(), tmp_path)
    assert table["kind"].tolist() == ["shot", "empty", "shot"] and (table["thumbnail"] != "").all()


def test_a_shot_with_a_doubt_in_it_is_to_be_checked(tmp_path):
    one, other = scene("MS", 0), scene("MS", 1)
    frames = [one] * 36 + [mixed(one, other, 0.1)] * 36 + [scene("LS")] * 36
    table = film.analyze(write_video(tmp_path / "film.mp4", frames), Brightness(), tmp_path)
    assert table["check"].tolist() == [1, 0] and table["why"].tolist() == ["cut missed?", ""]


def test_planes_are_luma_and_chroma_in_small(tmp_path):
    pictures = [np.full((180, 320, 3), level, np.uint8) for level in (0, 255)]
    red = np.zeros((180, 320, 3), np.uint8)
    red[..., 0] = 255
    with Video(write_video(tmp_path / "film.mp4", [*pictures, red])) as video:
        black, white, coloured = (video.planes(frame, 128) for frame in video.decode(0))
    assert black.y.shape == (72, 128) and black.u.shape == black.v.shape == (36, 64) and black.y.dtype == np.uint8
    assert black.y.mean() == pytest.approx(16, abs=2) and white.y.mean() == pytest.approx(235, abs=2)
    assert white.u.mean() == pytest.approx(128, abs=2) and coloured.v.mean() > 200
