import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, write_video
from films import Brightness, Level, scene, shots, write_timed
from PIL import Image

from shot_types import SCALE, film, load_classifier
from shot_types.film import analysis
from shot_types.film import table as table_room
from shot_types.pictures import FrameError
from shot_types.video import Video, read_video_frame


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


def test_very_short_shots_and_a_film_of_one_shot(tmp_path):
    labels = ["LS", "ECS", "MS", "FS", "CS", "LS", "MS"]
    table = film.analyze(write_video(tmp_path / "fast.mp4", shots(*labels, frames=7)), Brightness(), tmp_path)
    assert table["label"].tolist() == labels
    table = film.analyze(write_video(tmp_path / "one.mp4", shots("FS", frames=50)), Brightness(), tmp_path)
    assert table[["label", "start", "end"]].to_numpy().tolist() == [["FS", "00:00:00:00", "00:00:02:02"]]


def test_a_push_in_and_the_frames_that_disagree(tmp_path):
    far, near = (scene(label).astype(float) for label in ("LS", "MS"))
    pictures = [(far + (near - far) * share).astype(np.uint8) for share in np.linspace(0, 1, 60)]
    pictures = [scene("LS")] * 36 + pictures + [scene("MS")] * 36
    row = film.analyze(write_video(tmp_path / "push.mp4", pictures), Brightness(), tmp_path).iloc[0]
    assert (row["scale_at_start"], row["scale_at_end"]) == ("LS", "MS") and 0.3 <= row["agreement"] < 0.8


def test_a_long_shot_is_looked_at_all_over_but_not_more_often(tmp_path):
    classifier = Brightness()
    path = write_video(tmp_path / "long.mp4", shots("LS", frames=600))
    table = film.analyze(path, classifier, tmp_path, every=0.1, most=8)
    assert 3 <= table["frames"].iloc[0] <= 8 and classifier.seen == table["frames"].iloc[0]


KILLED = """
import os, signal, sys
from shot_types import film
from films import Level
class Killed(Level):
    def predict_proba(self, xs):
        if self.seen > {frames}:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict_proba(xs)
film.analyze(sys.argv[1], Killed(), sys.argv[2])
"""


def test_killed_in_the_middle_a_second_run_goes_on(tmp_path):
    labels = ["LS", "MS", "ECS", "FS", "CS", "LS", "ECS", "MS"]
    dimmed = [np.clip(picture - np.uint8(number % 30), 20, 255) for number, picture in enumerate(shots(*labels))]
    path = write_video(tmp_path / "film.mp4", dimmed)
    whole = Level()
    expected = film.analyze(path, whole, tmp_path / "whole")
    out = tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    call = [sys.executable, "-c", KILLED.format(frames=whole.seen // 2), str(path), str(out)]
    assert subprocess.run(call, env=environment, check=False).returncode == -signal.SIGKILL
    assert sorted(file.name for file in out.iterdir()) == ["film.part", "film.part_shots"]
    with (out / "film.part").open("a") as file:
        file.write('{"shot": 99, "start"')  # as if killed while writing
    rest = Level()
    table = film.analyze(path, rest, out)
    assert 0 < rest.seen < 0.7 * whole.seen
    pd.testing.assert_frame_equal(table, expected)
    assert all((out / name).is_file() for name in table["thumbnail"]) and not (out / "film.part").exists()


def test_killed_at_the_very_end(path, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(table_room, "save", killed)
        film.analyze(path, Brightness(), tmp_path)
    again = Brightness()
    table = film.analyze(path, again, tmp_path)
    assert again.seen == 0 and table["label"].tolist() == ["LS", "MS", "ECS", "FS"]


def test_finished_work_is_read_and_other_settings_or_weights_are_new_work(path, tmp_path):
    film.analyze(path, Brightness(), tmp_path)
    again = Brightness()
    film.analyze(path, again, tmp_path)
    assert again.seen == 0
    film.analyze(path, again, tmp_path, every=0.3)
    seen = again.seen
    assert seen > 0
    again.card = {**again.card, "sha256": "1"}
    table = film.analyze(path, again, tmp_path, every=0.3)
    assert again.seen == 2 * seen and table.attrs["made_from"]["weights"]["sha256"] == "1"


def test_a_corrected_table_is_read_back(path, tmp_path):
    film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    table = pd.read_csv(csv)
    table.loc[1, "label"] = "cs "
    table.to_csv(csv, index=False)
    table = film.analyze(path, Brightness(), tmp_path)
    assert table["label"].tolist() == ["LS", "CS", "ECS", "FS"]
    assert table["confidence"].isna().tolist() == [False, True, False, False]
    film.save(table, csv)
    pd.testing.assert_frame_equal(film.load(csv), table)


def test_tables_that_cannot_be_used(path, tmp_path):
    film.analyze(path, Brightness(), tmp_path)
    csv, record = tmp_path / "film.csv", tmp_path / "film.json"
    good = csv.read_text()
    for text, message in (
        (good.replace(",ECS,0.92", ",XCS,0.92"), "shot 3 is labelled 'XCS'; use ECS, CS, MS, FS, LS"),
        (good.replace(",", ";"), "not a table of this program"),
        (good.replace("start_seconds", "begin"), "start_seconds"),
        (good.splitlines()[0] + "\n", "rows or times are missing"),
        ("", "empty"),
    ):
        csv.write_text(text)
        with pytest.raises(ValueError, match=message) as error:
            film.load(csv)
        assert str(csv) in str(error.value)
    csv.write_text(good)
    record.write_text("{}")
    with pytest.raises(ValueError, match=r"film\.json: not there, or not the record"):
        film.load(csv)
    record.write_text("[]")
    with pytest.raises(ValueError, match=r"film\.json: not there, or not the record"):
        film.load(csv)
    record.unlink()
    with pytest.raises(ValueError, match=r"move film\.csv away"):
        film.load(csv)
    csv.rename(tmp_path / "kept.csv")
    assert len(film.analyze(path, Brightness(), tmp_path)) == 4


def test_rows_in_another_order_and_empty_ones_are_no_matter(path, tmp_path):
    table = film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    head, *lines = csv.read_text().splitlines()
    csv.write_text("\n".join([head, *lines[::-1], "," * head.count(",")]) + "\n")
    pd.testing.assert_frame_equal(film.load(csv), table)


def test_corrected_labels_are_not_lost_to_other_weights_or_settings(path, tmp_path):
    table = film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    table.loc[1, "label"] = "CS"
    film.save(table, csv)
    with pytest.raises(ValueError, match=r"film\.csv: has corrected labels"):
        film.analyze(path, Brightness(), tmp_path, every=0.3)
    assert film.analyze(path, Brightness(), tmp_path)["label"].tolist() == ["LS", "CS", "ECS", "FS"]
    csv.rename(tmp_path / "kept.csv")
    assert film.analyze(path, Brightness(), tmp_path, every=0.3)["label"].tolist() == ["LS", "MS", "ECS", "FS"]


def test_labels_corrected_while_the_work_goes_on_are_kept(path, tmp_path, monkeypatch):
    csv = tmp_path / "film.csv"
    film.analyze(path, Brightness(), tmp_path)

    class Meanwhile(Brightness):
        def predict_proba(self, xs):
            film.save(film.load(csv).assign(label=["LS", "CS", "ECS", "FS"]), csv)
            return super().predict_proba(xs)

    with pytest.raises(ValueError, match="has corrected labels"):
        film.analyze(path, Meanwhile(), tmp_path, every=0.3)
    assert film.load(csv)["label"].tolist() == ["LS", "CS", "ECS", "FS"]
    csv.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # as if stopped just before that
        table = film.analyze(path, Brightness(), tmp_path, every=0.3)
    table.loc[1, "label"] = "CS"
    film.save(table, csv)
    again = film.analyze(path, Brightness(), tmp_path, every=0.3)
    assert again["label"].tolist() == ["LS", "CS", "ECS", "FS"]
    assert all((tmp_path / name).is_file() for name in again["thumbnail"])


def test_what_another_version_left_unfinished_is_new_work(path, tmp_path):
    expected = film.analyze(path, Brightness(), tmp_path / "whole")
    rows = [json.dumps(expected.attrs["made_from"]), json.dumps({"shot": 1, "start_seconds": 0, "end_seconds": 1}), "7"]
    (tmp_path / "film.part").write_text("\n".join(rows) + "\n")
    pd.testing.assert_frame_equal(film.analyze(path, Brightness(), tmp_path), expected)


def test_stopped_work_with_other_settings_leaves_the_finished_table_and_its_thumbnails(path, tmp_path):
    table = film.analyze(path, Brightness(), tmp_path)

    class Stopped(Brightness):
        def predict_proba(self, xs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film.analyze(path, Stopped(), tmp_path, every=0.3)
    again = Brightness()
    pd.testing.assert_frame_equal(film.analyze(path, again, tmp_path), table)
    assert again.seen == 0 and all((tmp_path / name).is_file() for name in table["thumbnail"])


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
def test_stopped_work_goes_on_where_seeking_is_coarse(tmp_path, suffix):
    codec = "mpeg1video" if suffix == "mpg" else "libx264"
    path = write_video(tmp_path / f"film.{suffix}", shots("LS", "MS", "ECS", "FS"), codec=codec)
    expected = film.analyze(path, Brightness(), tmp_path / "whole")

    class Stopped(Brightness):
        def predict_proba(self, xs):
            if self.seen > 4:
                raise KeyboardInterrupt
            return super().predict_proba(xs)

    with pytest.raises(KeyboardInterrupt):
        film.analyze(path, Stopped(), tmp_path)
    pd.testing.assert_frame_equal(film.analyze(path, Brightness(), tmp_path), expected)


@pytest.mark.parametrize("wrong", [{"detector": "best"}, {"every": 0}, {"most": 1}, {"options": {"colour": 1}}])
def test_wrong_settings(path, tmp_path, wrong):
    with pytest.raises(ValueError, match=r"unknown|give seconds|options of the adaptive detector"):
        film.analyze(path, Brightness(), tmp_path, **wrong)


# Odd films


def test_variable_frame_rate_counts_time_not_frames(tmp_path):
    times = [*np.arange(0, 2, 1 / 30), *np.arange(2, 5, 1 / 10), *np.arange(5, 6, 1 / 60)]
    pictures = [scene("LS" if time < 3 else "CS", int(time >= 3)) for time in times]
    table = film.analyze(write_timed(tmp_path / "vfr.mkv", pictures, times), Brightness(), tmp_path)
    assert table["label"].tolist() == ["LS", "CS"]
    assert table["end_seconds"].tolist() == pytest.approx([3, 6], abs=0.05)


@pytest.mark.parametrize(
    ("rate", "last"),
    [
        (Fraction(24000, 1001), "00:00:32:00"),  # 768 frames are 32 timecode seconds of 24 frames, and 32.032 real ones
        (Fraction(30000, 1001), "00:00:25;18"),
        (Fraction(25), "00:00:30:18"),
        (Fraction(60), "00:00:12:48"),
    ],
)
def test_timecode_of_each_rate(tmp_path, rate, last):
    small = [picture[:46, :80] for picture in shots("LS", "CS", frames=384)]
    table = film.analyze(write_video(tmp_path / "film.mp4", small, rate=rate), Brightness(), tmp_path)
    assert table["label"].tolist() == ["LS", "CS"] and table["end"].iloc[-1] == last
    assert table["end_seconds"].iloc[-1] == pytest.approx(768 / rate, abs=0.001)


def test_drop_frame_skips_two_numbers_a_minute_and_a_start_timecode_counts(tmp_path):
    path = tmp_path / "film.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.height, stream.width, stream.pix_fmt = 46, 80, "yuv420p"
        stream.metadata["timecode"] = "00:00:59;00"
        for picture in shots("LS", "CS"):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture[:46, :80], format="rgb24")))
        container.mux(stream.encode())
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


def test_black_leader_has_no_label_and_fades_do_not_count(tmp_path):
    black, picture = np.full((90, 160, 3), 16, np.uint8), scene("LS", 1).astype(float)
    fade = [(black + (picture - black) * share).astype(np.uint8) for share in np.linspace(1, 0, 24)]
    pictures = [black] * 36 + [picture.astype(np.uint8)] * 36 + fade + [black] * 24
    table = film.analyze(write_video(tmp_path / "film.mp4", pictures), Brightness(), tmp_path)
    assert table["label"].tolist() == ["", "LS", ""] and table["frames"].tolist()[::2] == [0, 0]
    assert np.isnan(table["confidence"].iloc[0]) and table["agreement"].iloc[1] > 0.5
    assert table["start_seconds"].tolist() == pytest.approx([0, 1.5, 4], abs=0.1)
    assert film.load(tmp_path / "film.csv")["label"].tolist() == ["", "LS", ""]


def test_no_video_stream(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(FrameError, match=r"sound\.wav: no video stream"):
        film.analyze(path, Brightness(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_file_cut_short_is_analysed_up_to_there(tmp_path, capsys, suffix):
    pictures = shots("LS", "CS", "FS", "ECS", frames=48)
    times = np.arange(len(pictures)) / 24
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    path = write_timed(tmp_path / f"film.{suffix}", pictures, times, **options)
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    table = film.analyze(path, Brightness(), tmp_path / "out")
    assert table["label"].tolist() == ["LS", "CS", "FS", "ECS"][: len(table)] and table["end_seconds"].iloc[-1] < 7.5
    assert "breaks off at" in table.attrs["note"] and "of 8.0 seconds" in table.attrs["note"]
    assert table.attrs["note"] in capsys.readouterr().err


def test_a_file_whose_index_was_cut_off(path, tmp_path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FrameError, match=r"film\.mp4: not a video that FFmpeg can read"):
        film.analyze(path, Brightness(), tmp_path)


def test_sixty_frames_a_second_and_a_single_frame(tmp_path):
    path = write_video(tmp_path / "fast.mp4", shots("LS", "CS", "MS", frames=40), rate=60)
    table = film.analyze(path, Brightness(), tmp_path)
    assert table["label"].tolist() == ["LS", "CS", "MS"]
    assert table["start_seconds"].tolist() == pytest.approx([0, 40 / 60, 80 / 60], abs=0.001)
    table = film.analyze(write_video(tmp_path / "still.mp4", [scene("FS")]), Brightness(), tmp_path)
    assert table[["label", "frames"]].to_numpy().tolist() == [["FS", 1]]
    assert table["seconds"].iloc[0] == pytest.approx(1 / 24, abs=1e-5)


def test_reduced_decoding_of_motion_jpeg_gives_the_same_answer(tmp_path):
    path = tmp_path / "film.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=24)
        stream.height, stream.width, stream.pix_fmt = 720, 1280, "yuvj420p"
        for label in ("LS", "MS"):
            frame = av.VideoFrame.from_ndarray(scene(label, len(label), 720, 1280), format="rgb24")
            for _ in range(12):
                frame.pts = None
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with Video(path, analysis.MIN_HEIGHT) as video:
        assert next(video.decode(0)).height == 360
    assert film.analyze(path, Brightness(), tmp_path)["label"].tolist() == ["LS", "MS"]


MEMORY = """
import resource, sys
from shot_types import film
from films import Brightness
film.analyze(sys.argv[1], Brightness(), sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def test_memory_does_not_grow_with_the_film(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    peak = []
    for name, frames in (("short", 240), ("long", 2400)):
        path = write_video(
            tmp_path / f"{name}.mp4", [scene("LS", 0, 180, 320)] * frames, options={"preset": "ultrafast"}
        )
        call = [sys.executable, "-c", MEMORY, str(path), str(tmp_path / name)]
        peak.append(float(subprocess.run(call, env=environment, check=True, capture_output=True).stdout))
    assert peak[1] - peak[0] < 25, f"MB: {peak}"


def test_accuracy_of_the_parts(tmp_path, capsys):
    """42 shots of the example pictures in different crops: hard cuts, and every tenth one a dissolve."""
    classifier = load_classifier("pytorch")
    answers = classifier.predict(ROOT / "examples")
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
    path = write_video(tmp_path / "film.mp4", frames)
    table = film.analyze(path, classifier, tmp_path)
    found = [round(seconds * 24) for seconds in table["start_seconds"][1:]]
    right = sum(any(abs(cut - frame) <= 1 for frame in found) for cut in hard)
    soft = [start for start in starts[1:] if start not in hard]
    false = sum(
        not any(abs(cut - frame) <= 1 for cut in hard) and not any(-1 <= frame - start <= 13 for start in soft)
        for frame in found
    )
    f1 = 2 * right / (len(hard) + right + false)
    middles = np.array([(start + end) // 2 for start, end in zip(starts, [*starts[1:], len(frames)], strict=True)]) / 24
    stills = classifier.predict([read_video_frame(path, seconds=seconds) for seconds in middles])
    same = 0
    for row in table.itertuples():  # where no cut was found in a dissolve, one shot holds two stills
        within = np.flatnonzero((middles >= row.start_seconds) & (middles < row.end_seconds))
        same += row.label in {stills[number].label for number in within}
    with capsys.disabled():
        print(
            f"\n{len(hard)} hard cuts in {len(starts)} shots: F1 {f1:.3f}; label of the still: {same} of {len(table)}"
        )
    assert f1 >= 0.95 and same == len(table) >= 40
