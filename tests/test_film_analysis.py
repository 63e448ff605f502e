import re
from fractions import Fraction

import av
import numpy as np
import pytest
from conftest import ROOT, write_video
from films import Brightness, Stopped, scene, shots, start_python
from PIL import Image

from shot_types import SCALE, film, load_classifier
from shot_types.film import analysis
from shot_types.pictures import FrameError, list_pictures
from shot_types.video import Video


@pytest.fixture
def path(tmp_path):
    return write_video(tmp_path / "film.mp4", shots("LS", "MS", "ECS", "FS"))


def test_a_row_for_each_shot(path, tmp_path):
    table = film.analyze(path, Brightness(), tmp_path / "out")
    assert table["label"].tolist() == ["LS", "MS", "ECS", "FS"]
    assert table["start"].tolist() == ["00:00:00:00", "00:00:01:06", "00:00:02:12", "00:00:03:18"]
    assert table["end"].tolist()[-1] == "00:00:05:00"
    assert table["seconds"].tolist() == pytest.approx([1.25] * 4, abs=1e-5)
    assert table["confidence"].tolist() == pytest.approx([0.92] * 4, abs=1e-4)
    assert table[list(SCALE)].sum(axis=1).tolist() == pytest.approx([1] * 4, abs=1e-3)
    assert (table["agreement"] == 1).all() and (table["frames"] >= 1).all() and (table["scale_at_start"] == "").all()
    for name in table["thumbnail"]:
        assert Image.open(tmp_path / "out" / name).size == (160, 90)
    assert set(table.attrs["work_seconds"]) == {"decoding", "cut detection", "classifying"}
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["film.csv", "film.json", "film_shots"]


@pytest.mark.parametrize("detector", list(film.DETECTORS))
def test_every_detector_by_name(tmp_path, detector):
    black = [np.zeros((90, 160, 3), np.uint8)] * 4  # between the shots, for the detector that looks for fades
    pictures = [*shots("LS", frames=24), *black, *shots("CS", frames=24), *black, *shots("MS", frames=24)]
    path = write_video(tmp_path / "film.mp4", pictures)
    table = film.analyze(path, Brightness(), tmp_path / "out", detector=detector)
    assert [label for label in table["label"] if label] == ["LS", "CS", "MS"]


def test_very_short_shots_and_films_of_one_shot_or_one_frame(tmp_path):
    labels = ["LS", "ECS", "MS", "FS", "CS", "LS", "MS"]
    table = film.analyze(write_video(tmp_path / "fast.mp4", shots(*labels, frames=7)), Brightness(), tmp_path)
    assert table["label"].tolist() == labels
    table = film.analyze(write_video(tmp_path / "one.mp4", shots("FS", frames=50)), Brightness(), tmp_path)
    assert table[["label", "start", "end"]].to_numpy().tolist() == [["FS", "00:00:00:00", "00:00:02:02"]]
    table = film.analyze(write_video(tmp_path / "still.mp4", [scene("FS")]), Brightness(), tmp_path)
    assert table[["label", "frames"]].to_numpy().tolist() == [["FS", 1]]
    assert table["seconds"].iloc[0] == pytest.approx(1 / 24, abs=1e-5)


def test_a_push_in_and_the_frames_that_disagree(tmp_path):
    far, near = (scene(label).astype(float) for label in ("LS", "MS"))
    pictures = [(far + (near - far) * share).astype(np.uint8) for share in np.linspace(0, 1, 60)]
    pictures = [scene("LS")] * 36 + pictures + [scene("MS")] * 36
    row = film.analyze(write_video(tmp_path / "push.mp4", pictures), Brightness(), tmp_path).iloc[0]
    assert (row["scale_at_start"], row["scale_at_end"]) == ("LS", "MS") and 0.3 <= row["agreement"] < 0.8


@pytest.mark.parametrize("seconds", [2, 6])
@pytest.mark.parametrize("way", [1, -1])
def test_a_dolly_is_found_by_the_shipped_weights(tmp_path, seconds, way):
    picture = Image.open(ROOT / "examples/astronaut_medium.jpg")
    width, height = picture.size
    pictures = []
    eased = (1 - np.cos(np.linspace(0, np.pi, 24 * seconds))) / 2  # as a dolly starts and stops
    for part in (0.18**eased)[::way]:  # of the width: from the person to the eyes, or back
        left, top = (1 - part) * 0.41 * width, (1 - part) * 0.18 * height
        box = (left, top, left + part * width, top + part * width * 9 / 16)
        pictures.append(np.asarray(picture.resize((320, 180), Image.Resampling.BILINEAR, box)))
    path = write_video(tmp_path / "dolly.mp4", pictures)
    table = film.analyze(path, load_classifier("onnx"), tmp_path)
    assert len(table) == 1
    start, end = (SCALE.index(table[name][0]) for name in ("scale_at_start", "scale_at_end")[::way])
    assert start > end == 0


def test_a_long_shot_is_looked_at_all_over_but_not_more_often(tmp_path):
    classifier = Brightness()
    path = write_video(tmp_path / "long.mp4", [scene("LS", 0, 46, 80)] * 300)
    table = film.analyze(path, classifier, tmp_path, every=0.1, most=8)
    assert 3 <= table["frames"].iloc[0] <= 8 and classifier.seen == table["frames"].iloc[0]


@pytest.mark.parametrize("wrong", [{"detector": "best"}, {"every": 0}, {"most": 1}, {"options": {"colour": 1}}])
def test_wrong_settings(path, tmp_path, wrong):
    with pytest.raises(ValueError, match=r"unknown|give seconds|options of the adaptive detector") as error:
        film.analyze(path, Brightness(), tmp_path, **wrong)
    assert isinstance(error.value.__cause__, TypeError if "options" in wrong else type(None))


# Odd films


def test_how_far_it_is_within_a_shot_is_told(path, tmp_path, capsys):
    told = []
    film.analyze(path, Brightness(), tmp_path / "whole", progress=told.append)
    assert len(told) == 120 and told == pytest.approx([frame / 24 for frame in range(120)], abs=1e-5)
    with pytest.raises(KeyboardInterrupt):
        film.analyze(path, Stopped(after=4), tmp_path)
    told.clear()
    film.analyze(path, Brightness(), tmp_path, progress=told.append)
    assert 0 < told[0] < told[-1] == pytest.approx(119 / 24, abs=1e-5)  # from where it goes on
    assert capsys.readouterr().err == ""


def test_variable_frame_rate_counts_time_not_frames(tmp_path):
    times = [*np.arange(0, 2, 1 / 30), *np.arange(2, 5, 1 / 10), *np.arange(5, 6, 1 / 60)]
    pictures = [scene("LS" if time < 3 else "CS", int(time >= 3)) for time in times]
    table = film.analyze(write_video(tmp_path / "vfr.mkv", pictures, seconds=times), Brightness(), tmp_path)
    assert table["label"].tolist() == ["LS", "CS"]
    assert table["end_seconds"].tolist() == pytest.approx([3, 6], abs=0.05)


@pytest.mark.parametrize(
    ("rate", "frames", "last"),
    [
        (Fraction(24000, 1001), 528, "00:00:22:00"),  # 22 seconds of timecode, 24 frames each, and 22.022 real ones
        (Fraction(30000, 1001), 528, "00:00:17;18"),
        (Fraction(25), 96, "00:00:03:21"),
        (Fraction(60), 96, "00:00:01:36"),
    ],
)
def test_timecode_of_each_rate(tmp_path, rate, frames, last):
    small = [picture[:46, :80] for picture in shots("LS", "CS", frames=frames // 2)]
    table = film.analyze(write_video(tmp_path / "film.mp4", small, rate=rate), Brightness(), tmp_path)
    assert table["label"].tolist() == ["LS", "CS"] and table["end"].iloc[-1] == last
    assert table["end_seconds"].tolist() == pytest.approx([frames / rate / 2, frames / rate], abs=0.001)


def test_drop_frame_skips_two_numbers_a_minute_and_a_start_timecode_counts(tmp_path):
    small = [picture[:46, :80] for picture in shots("LS", "CS")]
    path = write_video(tmp_path / "film.mov", small, rate=Fraction(30000, 1001), timecode="00:00:59;00")
    table = film.analyze(path, Brightness(), tmp_path)
    assert table["start"].tolist() == ["00:00:59;00", "00:01:00;02"] and table["start_seconds"].iloc[0] == 0


def test_a_rotated_phone_video_is_seen_upright(tmp_path):
    upright = scene("MS", height=160, width=90)
    upright[:40] = 250
    path = write_video(tmp_path / "phone.mp4", [np.rot90(upright)] * 30)
    data = path.read_bytes()
    one = 1 << 16
    straight, turned = (one, 0, 0, 0, one, 0, 0, 0, one << 14), (0, one, 0, -one, 0, 0, 0, 0, one << 14)
    straight, turned = (b"".join(value.to_bytes(4, "big", signed=True) for value in m) for m in (straight, turned))
    at = data.index(straight, data.index(b"tkhd"))
    path.write_bytes(data[:at] + turned + data[at + 36 :])
    table = film.analyze(path, Brightness(), tmp_path)
    thumbnail = np.asarray(Image.open(tmp_path / table["thumbnail"].iloc[0]))
    assert thumbnail.shape[0] > thumbnail.shape[1] and thumbnail[:20].mean() > 200 > thumbnail[-20:].mean()


def boxed(picture, top, left):
    return np.pad(picture, ((top, top), (left, left), (0, 0)))


def test_pillarbox_and_a_change_of_aspect_ratio(tmp_path):
    wide = [boxed(scene("LS", 1, 134, 320), 23, 0)] * 30  # 2.39:1
    narrow = [boxed(scene("LS", 2, 180, 240), 0, 40)] * 30  # 4:3
    full = [scene("LS", 3, 180, 320)] * 30
    path = write_video(tmp_path / "film.mp4", wide + narrow + full)
    table = film.analyze(path, Brightness(), tmp_path)
    assert table["label"].tolist() == ["LS"] * 3  # with the bars they would be darker
    sizes = [Image.open(tmp_path / name).size for name in table["thumbnail"]]
    assert [width / height for width, height in sizes] == pytest.approx([2.39, 1.33, 1.78], abs=0.05)


def test_a_film_whose_frames_change_size(tmp_path):
    parts = [
        write_video(tmp_path / f"{number}.ts", [scene(label, number, *size)] * 30)
        for number, (label, size) in enumerate((("LS", (90, 160)), ("CS", (120, 160))))
    ]
    path = tmp_path / "film.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    table = film.analyze(path, Brightness(), tmp_path)
    assert table["label"].tolist() == ["LS", "CS"]


def test_frames_that_become_too_small_to_be_seen_have_no_label(tmp_path):
    path = tmp_path / "film.ts"
    parts = [write_video(tmp_path / "a.ts", [scene("LS", 0, *size)] * 30).read_bytes() for size in ((90, 160), (8, 12))]
    path.write_bytes(b"".join(parts))
    assert film.analyze(path, Brightness(), tmp_path)["label"].tolist() == ["LS", ""]


def test_black_leader_has_no_label_and_fades_do_not_count(tmp_path):
    black, picture = np.full((90, 160, 3), 16, np.uint8), scene("LS", 1).astype(float)
    fade = [(black + (picture - black) * share).astype(np.uint8) for share in np.linspace(1, 0, 24)]
    pictures = [black] * 36 + [picture.astype(np.uint8)] * 36 + fade + [black] * 24
    table = film.analyze(write_video(tmp_path / "film.mp4", pictures), Brightness(), tmp_path)
    assert table["label"].tolist() == ["", "LS", ""] and table["frames"].tolist()[::2] == [0, 0]
    assert np.isnan(table["confidence"].iloc[0]) and table["agreement"].iloc[1] > 0.5
    assert table["start_seconds"].tolist() == pytest.approx([0, 1.5, 4], abs=0.2)
    assert film.load(tmp_path / "film.csv")["label"].tolist() == ["", "LS", ""]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_file_cut_short_is_analysed_up_to_there(tmp_path, capsys, suffix):
    pictures = shots("LS", "CS", "FS", "ECS", frames=48)
    path = write_video(tmp_path / f"film.{suffix}", pictures, movflags="faststart" if suffix == "mp4" else "")
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    table = film.analyze(path, Brightness(), tmp_path / "out")
    assert table["label"].tolist() == ["LS", "CS", "FS", "ECS"][: len(table)] and table["end_seconds"].iloc[-1] < 7.5
    assert "breaks off at" in table.attrs["note"] and "of 8.0 seconds" in table.attrs["note"]
    assert table.attrs["note"] in capsys.readouterr().err


def damaged(path, *numbers):
    with av.open(str(path)) as file:
        packets = [(packet.pos, packet.size) for packet in file.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in (packets[number] for number in numbers):
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("after", [-1, 4])
def test_damaged_packets_are_noted_with_their_times_also_after_a_stop(tmp_path, capsys, after):
    path = write_video(tmp_path / "film.mp4", shots("LS", "MS", "ECS", "FS"), gop_size=6)
    damaged(path, 12, 80)
    if after > 0:
        with pytest.raises(KeyboardInterrupt):
            film.analyze(path, Stopped(after), tmp_path)
    capsys.readouterr()
    table = film.analyze(path, Brightness(), tmp_path)
    assert table["label"].tolist() == ["LS", "MS", "ECS", "FS"] and table["end_seconds"].iloc[-1] > 4.9
    times = [float(time) for time in re.findall(r"\d\.\d\d", table.attrs["note"])]
    assert min(times) == pytest.approx(0.5, abs=0.2) and max(times) == pytest.approx(80 / 24, abs=0.2)
    assert capsys.readouterr().err.count("damaged or missing") == 1


@pytest.mark.parametrize(
    ("rate", "tag", "start"),
    [
        (Fraction(30000, 1001), "01:00:00:00", 108000),
        (Fraction(30000, 1001), "01:00:00;00", 107892),
        (Fraction(60000, 1001), "01:00:00:00", 216000),
        (Fraction(60000, 1001), "01:00:00;00", 215784),
        (Fraction(25), "01:00:00:00", 90000),
    ],
)
def test_a_film_keeps_its_timecode_with_dropped_numbers_or_without(tmp_path, rate, tag, start):
    for suffix in ("mov", "mkv"):
        path = write_video(tmp_path / f"film.{suffix}", [scene("LS", 0, 46, 80)] * 12, rate=rate, timecode=tag)
        table = film.analyze(path, Brightness(), tmp_path / suffix)
        assert table["start"].tolist() == [tag] and table.attrs["start_frame"] == start


def test_a_film_too_small_to_be_seen_is_refused_before_the_work(tmp_path):
    path = write_video(tmp_path / "small.mp4", [scene("LS", 0, 90, 8)] * 3)
    with pytest.raises(FrameError, match=r"small\.mp4: 8 x 90 pixels are too few"):
        film.analyze(path, Brightness(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_in_which_no_frame_can_be_read(path, tmp_path):
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[at:end] = bytes(end - at)
    path.write_bytes(data)
    with pytest.raises(FrameError, match=r"film\.mp4: no frame of the video can be read"):
        film.analyze(path, Brightness(), tmp_path / "out")


def test_a_file_whose_index_was_cut_off(path, tmp_path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FrameError, match=r"film\.mp4: not a video that FFmpeg can read"):
        film.analyze(path, Brightness(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_reduced_decoding_of_motion_jpeg_gives_the_same_answer(tmp_path):
    pictures = [scene(label, 2, 720, 1280) for label in ("LS", "MS") for _ in range(12)]
    path = write_video(tmp_path / "film.avi", pictures, codec="mjpeg", pix_fmt="yuvj420p")
    with Video(path, analysis.MIN_HEIGHT) as video:
        assert next(video.decode(0)).height == 360
    assert film.analyze(path, Brightness(), tmp_path)["label"].tolist() == ["LS", "MS"]


MEMORY = """
import resource, sys
from shot_types import film
from films import Brightness
for path in sys.argv[1:]:
    film.analyze(path, Brightness(), path + "_out", every=0.1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def test_memory_does_not_grow_with_the_film(tmp_path):
    films = []
    for name, frames in (("short", 120), ("long", 1200)):
        pictures = [scene("LS", 0, 180, 320)] * frames
        films.append(write_video(tmp_path / f"{name}.mp4", pictures, options={"preset": "ultrafast"}))
    peak = [float(line) for line in start_python(MEMORY, *films).stdout.split()]
    assert peak[1] - peak[0] < 25, f"MB: {peak}"


def test_accuracy_of_the_parts(tmp_path):
    """42 shots of the example pictures in different crops: hard cuts, and every tenth one a dissolve."""
    classifier = load_classifier("onnx")
    answers = classifier.predict(list_pictures(ROOT / "examples"))
    # Where it hesitates, its answer changes from crop to crop and says nothing about the analysis of films.
    pictures = [Image.open(answer.source).convert("RGB") for answer in answers if answer.confidence > 0.7]
    assert len({answer.label for answer in answers if answer.confidence > 0.7}) >= 3
    rng, frames, starts, hard, last = np.random.default_rng(0), [], [], [], None
    for number in range(42):
        picture = pictures[number % len(pictures)]
        share = rng.uniform(0.85, 1)
        size = round(picture.width * share), round(picture.height * share)
        left, top = (int(rng.integers(full - part + 1)) for full, part in zip(picture.size, size, strict=True))
        length = int(rng.integers(16, 48)) + 48 * (number % 10 == 0)  # much longer than a dissolve is
        picture = picture.crop((left, top, left + size[0], top + size[1])).resize((448, 240))
        shot = [np.asarray(picture)[:, (pan := i // 6) : pan + 440] for i in range(length)]
        starts.append(len(frames))
        if number and number % 10 == 0:
            for i in range(12):
                share = (i + 1) / 13
                shot[i] = ((1 - share) * last + share * shot[i]).astype(np.uint8)
        elif number:
            hard.append(len(frames))
        frames += shot
        last = shot[-1]
    path = write_video(tmp_path / "film.mp4", frames, options={"preset": "ultrafast"})
    table = film.analyze(path, classifier, tmp_path)
    found = [round(seconds * 24) for seconds in table["start_seconds"][1:]]
    right = sum(any(abs(cut - frame) <= 1 for frame in found) for cut in hard)
    soft = [start for start in starts[1:] if start not in hard]
    false = sum(
        not any(abs(cut - frame) <= 1 for cut in hard) and not any(-1 <= frame - start <= 13 for start in soft)
        for frame in found
    )
    f1 = 2 * right / (len(hard) + right + false)
    middles = np.array([(start + end) // 2 for start, end in zip(starts, [*starts[1:], len(frames)], strict=True)])
    stills = classifier.predict([frames[middle] for middle in middles])
    table, same = table[table["label"] != ""], 0  # without dissolves, which are rows of their own
    for row in table.itertuples():  # where no cut was found in a dissolve, one shot holds two stills
        within = np.flatnonzero((middles / 24 >= row.start_seconds) & (middles / 24 < row.end_seconds))
        same += row.label in {stills[number].label for number in within}
    assert f1 >= 0.95 and same == len(table) >= len(hard) + 1, (
        f"F1 {f1:.3f}; label of the still: {same} of {len(table)}"
    )
