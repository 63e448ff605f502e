import re
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import write_video

from shot_types import pictures
from shot_types import video as films
from shot_types.pictures import FrameError


def same(rgb, color, by=3):
    return np.abs(rgb.astype(int) - color).max() <= by


SHADES = [np.full((96, 160, 3), 4 * number, np.uint8) for number in range(60)]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "grey.mp4", SHADES, gop_size=12)


def test_read_video_frame_by_number_and_by_time(video):
    for number in (0, 1, 13, 30, 59):
        for rgb in (films.read_video_frame(video, frame=number), films.read_video_frame(video, seconds=number / 24)):
            assert rgb.shape == (96, 160, 3) and same(rgb, 4 * number, 2)


@pytest.mark.parametrize(("suffix", "codec"), [("ts", "libx264"), ("flv", "libx264"), ("mpg", "mpeg2video")])
def test_formats_that_seek_too_far_give_the_right_frame(tmp_path, suffix, codec):
    path = write_video(tmp_path / f"grey.{suffix}", SHADES, codec=codec, gop_size=12)
    for number in (1, 30, 58):
        assert same(films.read_video_frame(path, seconds=number / 24), 4 * number, 3)


def test_a_frame_is_shown_until_the_next_one(tmp_path):
    shades = [np.full((96, 160, 3), 40 * number, np.uint8) for number in range(5)]
    path = write_video(tmp_path / "slow.mkv", shades, seconds=[0, 1, 2, 8, 9])
    for seconds, number in ((0.6, 0), (1, 1), (3, 2), (7.9, 2), (8, 3)):
        assert same(films.read_video_frame(path, seconds=seconds), 40 * number, 3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_video_of_few_frames_gives_all_of_them(tmp_path, count):
    path = write_video(tmp_path / "short.mp4", [np.full((96, 160, 3), 90, np.uint8)] * count)
    assert len(list(films.spread_video_frames(path, 3))) == count


def test_sound_that_is_longer_than_the_picture_is_no_break(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=24), container.add_stream("aac", rate=48000)
        video.height, video.width, video.pix_fmt = 96, 160, "yuv420p"
        for _ in range(48):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((96, 160, 3), 90, np.uint8), format="rgb24")))
        container.mux(video.encode())
        for number in range(6 * 47):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48000, 1024 * number
            container.mux(audio.encode(frame))
        container.mux(audio.encode())
    with films.Video(path) as video:
        assert video.seconds == pytest.approx(2, abs=0.1) and video.container.duration > 5_000_000
    assert len(list(films.spread_video_frames(path, 3))) == 3


@pytest.mark.parametrize("tag", [None, "10", "0:10", "no time"])
def test_seconds_of_a_film_that_begins_late(tmp_path, tag):
    shades = [np.full((96, 160, 3), 20 * number, np.uint8) for number in range(10)]
    path = write_video(tmp_path / "late.mkv", shades, seconds=np.arange(5, 15))
    if tag:
        declared = re.search(rb"00:00:1\d\.\d{9}", path.read_bytes())[0]
        path.write_bytes(path.read_bytes().replace(declared, tag.encode().ljust(len(declared), b"\0")))
    with films.Video(path) as video:
        assert video.seconds == pytest.approx(10, abs=1)
    assert [time for time, _ in films.spread_video_frames(path, 3)] == pytest.approx([1, 5, 8], abs=1)


def test_names_with_a_colon_and_text_that_is_no_film(video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("Alien: Covenant.mp4").write_bytes(video.read_bytes())
    assert films.read_video_frame("Alien: Covenant.mp4", frame=0).shape == (96, 160, 3)
    Path("notes.txt").write_text("not a film\n" * 99)
    with pytest.raises(FrameError, match=r"notes\.txt: "):
        films.read_video_frame("notes.txt", seconds=0)


def test_sampled_frames_are_evenly_spread(video):
    sampled = list(films.sample_video_frames(video, every=0.5))
    assert [time for time, _ in sampled] == pytest.approx([0, 0.5, 1, 1.5, 2])
    assert [int(rgb[50, 80, 0]) for _, rgb in sampled] == pytest.approx([0, 48, 96, 144, 192], abs=2)


def test_video_colours_are_rgb(tmp_path):
    path = write_video(tmp_path / "red.mp4", [np.full((96, 160, 3), (220, 30, 30), np.uint8)] * 5)
    assert same(films.read_video_frame(path, frame=2), (220, 30, 30), 8)


@pytest.mark.parametrize("request_", [{"frame": 60}, {"seconds": 2.6}, {"seconds": -1}, {"frame": -1}, {}])
def test_frames_that_are_not_there(video, request_):
    with pytest.raises(FrameError, match=r"grey\.mp4: "):
        films.read_video_frame(video, **request_)


def test_bad_videos(tmp_path, video):
    (tmp_path / "text.mp4").write_text("not a film")
    (tmp_path / "cut.mp4").write_bytes(video.read_bytes()[:900])
    for name in ("text.mp4", "cut.mp4"):
        with pytest.raises(FrameError, match=rf"{name}: not a video") as error:
            films.read_video_frame(tmp_path / name, seconds=0)
        assert isinstance(error.value.__cause__, av.error.FFmpegError)
    with pytest.raises(FrameError, match=r"grey\.mp4: a video, not a picture"):
        pictures.read_image(video)
    with pytest.raises(FrameError, match="every is 0"):
        next(films.sample_video_frames(video, every=0))


def test_a_video_without_frames(tmp_path):
    path = tmp_path / "none.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        container.start_encoding()
    with pytest.raises(FrameError, match=r"none\.mkv: "):
        films.read_video_frame(path, seconds=0)
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(FrameError, match=r"sound\.mp4: no video stream"):
        films.read_video_frame(sound, seconds=0)
