import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import textured, write_video
from PIL import Image

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


@pytest.mark.parametrize("matrix", ["bt709", "YCgCo", "bt2020nc", "bt2020c", "chroma-derived-c", "ICtCp"])
def test_a_film_is_seen_whatever_it_says_of_its_colours(tmp_path, matrix):
    options = {"options": {"x264-params": f"colormatrix={matrix}"}}
    path = write_video(tmp_path / "grey.mp4", [np.full((96, 160, 3), 120, np.uint8)] * 3, **options)
    with films.Video(path) as opened:
        frames = list(opened.decode(0))
        assert same(opened.picture(frames[1], 48), 120, 6)


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


AVI = """amv asv1 cinepak cljr ffvhuff flv h263p huffyuv jpegls magicyuv msmpeg4 msmpeg4v2 msvideo1 png r210 speedhq
svq1 targa utvideo v210 v308 v410 wmv1 wmv2 y41p yuv4"""
MKV = """ffv1 jpeg2000 libsvtav1 libx264 libx265 libvpx libvpx-vp9 mjpeg mpeg1video mpeg2video mpeg4 prores_ks rawvideo
snow"""
MOV = "avrp dnxhd dxv gif qtrle sgi tiff"
ENCODERS = {codec: suffix for suffix, codecs in (("avi", AVI), ("mkv", MKV), ("mov", MOV)) for codec in codecs.split()}


@pytest.mark.parametrize("codec", ENCODERS)
def test_reduced_decoding_gives_the_picture_of_whole_decoding(tmp_path, codec):
    path = tmp_path / f"film.{ENCODERS[codec]}"
    formats = av.Codec(codec, "w").video_formats
    options = {"dnxhd": {"profile": "dnxhr_lb"}, "libsvtav1": {"preset": "12"}}.get(codec, {"b": "20000000"})
    pix_fmt = formats[0].name if formats and codec != "dnxhd" else "yuv422p" if codec == "dnxhd" else "yuv420p"
    write_video(path, [textured(720, 256), textured(720, 256, 1)], 25, codec, pix_fmt=pix_fmt, options=options)
    seen = []
    for least in (None, 360):
        with films.Video(path, least) as opened:
            frames = list(opened.decode(0))
            seen.append([np.asarray(Image.fromarray(opened.picture(frame, 64)), int) for frame in frames])
            reduced = frames[0].height == 360
    assert len(seen[0]) == len(seen[1]) == 2 and reduced == (opened.stream.codec_context.name in films.REDUCING)
    assert max(np.abs(whole - small).mean() for whole, small in zip(*seen, strict=True)) < 4


def two_streams(path, first, second, flag=None):
    """A file of two video streams, each (frames, codec, pix_fmt)."""
    with av.open(str(path), "w") as file:
        streams = []
        for frames, codec, pix_fmt in (first, second):
            stream = file.add_stream(codec, rate=24)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = pix_fmt
            streams.append(stream)
        if flag:
            streams[0].disposition = flag
        for stream, (frames, *_) in zip(streams, (first, second), strict=True):
            for rgb in frames:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            file.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_the_film_is_the_largest_stream_that_is_no_cover(tmp_path, suffix):
    film = [np.full((96, 160, 3), 90, np.uint8)] * 24, "libx264", "yuv420p"
    preview = [np.full((48, 80, 3), 200, np.uint8)] * 24, "libx264", "yuv420p"
    cover = [np.full((200, 200, 3), 200, np.uint8)], "mjpeg", "yuvj420p"
    picture = av.stream.Disposition.attached_pic
    for number, (first, flag) in enumerate(((preview, None), (cover, picture))):
        path = two_streams(tmp_path / f"{number}.{suffix}", first, film, flag)
        assert same(films.read_video_frame(path, frame=20), 90)


def test_a_song_with_a_cover_is_no_film(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as file:
        audio, cover = file.add_stream("aac", rate=48000), file.add_stream("mjpeg", rate=25)
        cover.height, cover.width, cover.pix_fmt = 96, 160, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        file.mux(cover.encode(av.VideoFrame.from_ndarray(SHADES[9], format="rgb24")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        for part in (audio.encode(frame), audio.encode(), cover.encode()):
            file.mux(part)
    with pytest.raises(FrameError, match=r"song\.mp4: no video stream"):
        films.Video(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "avif", "bmp", "ppm", "jp2", "ico", "tga"])
def test_a_picture_is_no_film_whatever_its_name(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(SHADES[20]).save(path)
    named = path.rename(tmp_path / "film.mp4") if suffix != "tga" else path  # of which only the name tells
    with pytest.raises(FrameError, match=rf"{named.name}: a (playlist or a )?picture.*shot-types classify"):
        films.Video(named)


LISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n",
    "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n",
    "joined.mp4": "ffconcat version 1.0\nfile '{}'\n",
    "session.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "frame%03d.png": "",
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_other_files_opens_none_of_them(tmp_path, name):
    write_video(tmp_path / "film.ts", SHADES[:3])
    Image.fromarray(SHADES[20]).save(tmp_path / "frame001.png")
    (tmp_path / name).write_text(LISTS[name].format("film.ts") or "nothing")
    with pytest.raises(FrameError, match=rf"{name}: (a playlist or a picture|not a video)"):
        films.Video(tmp_path / name)


MATRICES = {  # rows a b and c d, and what each makes of the stored picture
    "mirrored": ((-1, 0, 0, 1), lambda rgb: rgb[:, ::-1]),
    "on its head, mirrored": ((1, 0, 0, -1), lambda rgb: rgb[::-1]),
    "turned right": ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1)),
    "turned round": ((-1, 0, 0, -1), lambda rgb: np.rot90(rgb, 2)),
    "turned left": ((0, -1, 1, 0), lambda rgb: np.rot90(rgb)),
    "turned right, mirrored": ((0, 1, 1, 0), lambda rgb: np.rot90(rgb, -1)[:, ::-1]),
    "turned left, mirrored": ((0, -1, -1, 0), lambda rgb: np.rot90(rgb)[:, ::-1]),
}


@pytest.mark.parametrize("way", MATRICES)
def test_display_matrices_turn_and_mirror(tmp_path, way):
    (a, b, c, d), expected = MATRICES[way]
    stored = np.full((96, 160, 3), 60, np.uint8)
    stored[:48, :80], stored[:48, 80:] = 220, 140
    path = write_video(tmp_path / "film.mp4", [stored] * 3)
    data, one = path.read_bytes(), 1 << 16
    matrix, other = (
        b"".join(
            value.to_bytes(4, "big", signed=True) for value in (a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
        )
        for a, b, c, d in ((1, 0, 0, 1), (a, b, c, d))
    )
    at = data.index(matrix, data.index(b"tkhd"))
    path.write_bytes(data[:at] + other + data[at + 36 :])
    seen, right = films.read_video_frame(path, frame=1), expected(stored)
    assert seen.shape == right.shape and np.abs(seen.astype(int) - right).mean() < 3


def times(path):
    with films.Video(path) as opened:
        return [frame.time for frame in opened.decode(0)], opened


@pytest.mark.parametrize(
    ("suffix", "codec"), [("avi", "libx264"), ("avi", "mpeg4"), ("h264", "libx264"), ("mkv", "libx264")]
)
def test_times_count_from_the_first_frame_shown(tmp_path, suffix, codec):
    path = write_video(tmp_path / f"film.{suffix}", SHADES, codec=codec, options={"bf": "2"})
    seen, opened = times(path)
    assert seen == pytest.approx([number / 24 for number in range(60)], abs=0.001) and not opened.damaged
    assert opened.end == pytest.approx(2.5, abs=0.002)


def part(path, clock, codec="mpeg2video", frames=50, **options):
    with av.open(str(path), "w", options=options) as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 160, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number, rgb in enumerate(SHADES[:frames]):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = 25 * clock + number, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize("clocks", [(10, 1000, 40), (1000, 10, 2000)])
@pytest.mark.parametrize("suffix", ["ts", "mpg"])
def test_a_clock_that_jumps_goes_on_by_the_length_of_a_frame(tmp_path, clocks, suffix):
    path = tmp_path / f"film.{suffix}"
    path.write_bytes(b"".join(part(tmp_path / f"part.{suffix}", clock) for clock in clocks))
    seen, opened = times(path)
    assert len(seen) >= 147 and opened.jumped and opened.end == pytest.approx(6, abs=0.15)
    assert np.diff(seen) == pytest.approx(np.full(len(seen) - 1, 0.04), abs=0.05)


@pytest.mark.parametrize("options", [{}, {"mpegts_pmt_start_pid": "5000"}])
def test_a_film_goes_on_in_a_part_of_other_streams_or_another_programme(tmp_path, options):
    path, options = tmp_path / "film.ts", {"mpegts_start_pid": "500", **options}
    path.write_bytes(part(tmp_path / "a.ts", 10) + part(tmp_path / "b.ts", 1000, **options))
    seen, opened = times(path)
    assert seen == pytest.approx(np.arange(100) / 25, abs=0.001) and not opened.damaged


def test_a_short_last_part_whose_clock_is_behind_is_no_damage(tmp_path):
    path = tmp_path / "film.ts"
    path.write_bytes(part(tmp_path / "a.ts", 1000) + part(tmp_path / "b.ts", 980, frames=12))
    seen, opened = times(path)
    assert seen == pytest.approx(np.arange(62) / 25, abs=0.001) and not opened.damaged


def test_what_lies_behind_damage_where_ffmpeg_gives_up_is_read(tmp_path):
    noise = [textured(96, 160, number) for number in range(60)]
    options = {"pix_fmt": "yuv420p", "gop_size": 6}
    path = write_video(tmp_path / "film.flv", noise, 25, "flv", **options)
    whole = path.read_bytes()
    damage(path, [12])
    joined = tmp_path / "joined.flv"
    joined.write_bytes(whole + whole)
    holed = write_video(tmp_path / "holed.ogv", noise, 25, "libvpx", **options)
    data = holed.read_bytes()
    holed.write_bytes(data[: len(data) // 3] + data[len(data) // 3 + 9000 :])
    for film, at, end in ((path, 12 / 25, 2.4), (joined, 2.4, 4.8), (holed, 0.8, 2.4)):
        seen, opened = times(film)
        assert opened.end == pytest.approx(end, abs=0.1) and len(seen) > 20 * end
        assert len(opened.damaged) < 30 and any(abs(time - at) < 0.5 for time in opened.damaged), opened.damaged


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "mpeg4"), ("mp4", "libx264"), ("mkv", "libx264")])
def test_a_title_that_is_not_utf_8_does_not_matter(tmp_path, suffix, codec):
    path = tmp_path / f"film.{suffix}"
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "Cafe Europa"
        stream = file.add_stream(codec, rate=24, height=96, width=160, pix_fmt="yuv420p")
        file.mux(stream.encode(av.VideoFrame.from_ndarray(SHADES[20], "rgb24")))
        file.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"Cafe", b"Caf\xe9"))
    assert same(films.read_video_frame(path, frame=0), 80)


def test_still_pictures_and_frames_of_various_lengths_are_no_jump_and_no_damage(tmp_path):
    for suffix in ("mp4", "mkv", "ts"):
        path = write_video(tmp_path / f"slides.{suffix}", [SHADES[5], SHADES[50], SHADES[20]], seconds=[0, 4, 12.5])
        seen, opened = times(path)
        assert seen == pytest.approx([0, 4, 12.5], abs=0.01) and not opened.damaged and not opened.jumped
        assert opened.end == pytest.approx(12.54, abs=0.02)


def damage(path, which, fill=b"\xff"):
    """Overwrite these packets of the picture."""
    with av.open(str(path)) as file:
        packets = [(packet.pos, packet.size) for packet in file.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in (packets[number] for number in which):
        data[position : position + size] = fill * size
    path.write_bytes(data)


@pytest.mark.parametrize("which", [[0], [30], [20, 33, 34, 50], [59]])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "libx264"),
        ("avi", "mpeg4"),
        ("mov", "prores_ks"),
        ("mxf", "mpeg2video"),
        ("mkv", "mjpeg"),
        ("ts", "mpeg2video"),
    ],
)
def test_damaged_packets_cost_the_frames_around_them(tmp_path, suffix, codec, which):
    pix_fmt = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    options = {"pix_fmt": pix_fmt, "gop_size": 6, "max_b_frames": 0}
    noise = [textured(96, 160, number) for number in range(60)]
    path = write_video(tmp_path / f"film.{suffix}", noise, 25, codec, **options)
    damage(path, which)
    seen, opened = times(path)
    swallowed = suffix in ("ts", "mkv", "mxf") and which in ([0], [59])  # by the container: as if they had never been
    assert len(seen) > 40 and opened.end == pytest.approx(2.4, abs=0.31 if swallowed else 0.21)
    if not swallowed:
        for number in which:
            assert any(abs(at - number / 25) < 0.1 for at in opened.damaged), opened.damaged
