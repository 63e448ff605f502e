import html.parser
import json
import re
from fractions import Fraction

import av
import numpy as np
import opentimelineio as otio
import pytest
from conftest import write_video
from films import SIX, Brightness, shots, six_shots

from shot_types import film
from shot_types.film import exports
from shot_types.film.table import timecode


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return six_shots(tmp_path_factory.mktemp("film"))


def test_opentimelineio_reads_back_a_marker_a_shot(table, tmp_path):
    path = tmp_path / "film.otio"
    otio.adapters.write_to_file(exports.to_otio(table), str(path))
    timeline = otio.adapters.read_from_file(str(path))
    clips = list(timeline.find_clips())
    assert [clip.markers[0].name for clip in clips] == [*SIX, "empty"]
    assert [clip.name for clip in clips][-2:] == ["film 0005 LS", "film 0006 empty"]
    rate = table.attrs["rate"]
    assert [clip.source_range.start_time.to_timecode(rate, True) for clip in clips] == table["start"].tolist()
    assert timeline.duration().value == 230 and clips[0].metadata["shot_types"]["probabilities"]["LS"] > 0.9


def test_edl_is_read_back_with_its_markers(table):
    text = exports.to_edl(table)
    assert text.splitlines()[1] == "FCM: DROP FRAME"
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=table.attrs["rate"])
    clips = list(timeline.find_clips())
    assert [clip.markers[0].name for clip in clips] == [*SIX, "EMPTY"]
    assert [clip.range_in_parent().duration.value for clip in clips] == [40] * 5 + [30]
    assert [line.split()[4] for line in text.splitlines() if re.match(r"\d{3} ", line)] == table["start"].tolist()


def test_edl_without_drop_frame_puts_markers_at_their_frame(tmp_path):
    path = write_video(tmp_path / "film.mp4", shots("LS", "MS"))
    text = exports.to_edl(film.analyze(path, Brightness(), tmp_path))
    assert "FCM: NON-DROP FRAME" in text
    clips = list(otio.adapters.read_from_string(text, "cmx_3600", rate=24).find_clips())
    assert [clip.markers[0].marked_range.start_time.value for clip in clips] == [0, 30]


FIELDS = r"(\d{3})  ([A-Z0-9]{1,8}) +(V|B|AA/V) +C +((?:\d\d:\d\d:\d\d[:;]\d\d ?){4})"


def events(text, rate):
    """What a strict reader of CMX 3600 finds: number, reel, channels, the four times in frames, and the locator's."""
    title, mode, *lines = text.splitlines()
    assert title.startswith("TITLE: ") and mode in ("FCM: DROP FRAME", "FCM: NON-DROP FRAME")
    found = []
    for line in lines:
        if line.startswith("* LOC: "):
            found[-1].append(line.split()[2])
        elif not line.startswith("* FROM CLIP"):
            number, reel, channels, times = re.fullmatch(FIELDS, line).groups()
            assert (";" in times) == (mode == "FCM: DROP FRAME")
            frames = [round(otio.opentime.from_timecode(time, rate).value) for time in times.split()]
            found.append([int(number), reel, channels, *frames])
    return found


@pytest.mark.parametrize(
    ("rate", "timecode", "mode"),
    [
        (Fraction(30000, 1001), "01:00:00:00", "NON-DROP"),
        (Fraction(30000, 1001), "01:00:00;00", "DROP"),
        (Fraction(60000, 1001), "01:00:00:00", "NON-DROP"),
        (Fraction(24), "01:00:00:00", "NON-DROP"),
    ],
)
def test_edl_and_otio_of_a_film_with_timecode(tmp_path, rate, timecode, mode):
    small = [picture[:46, :80] for picture in shots("LS", "MS")]
    path = write_video(tmp_path / "film.mov", small, rate=rate, timecode=timecode)
    table = film.analyze(path, Brightness(), tmp_path)
    assert table["start"][0] == timecode and table.attrs["drop_frame"] == (mode == "DROP")
    text = exports.to_edl(table)
    assert f"\nFCM: {mode} FRAME\n" in text and f" {timecode} " in text
    first = table.attrs["start_frame"]
    lines = [(source - first, end - first, record, stop) for *_, source, end, record, stop, _ in events(text, rate)]
    assert lines == [(0, 30, 0, 30), (30, 60, 30, 60)]
    assert [event[-1] for event in events(text, rate)] == [
        "00:00:00:00",
        f"00:00:0{30 // int(rate + 1)}:{30 % round(rate):02}",
    ]
    read = otio.adapters.read_from_string(text, "cmx_3600", rate=table.attrs["rate"])
    assert [clip.source_range.start_time.value - first for clip in read.find_clips()] == [0, 30]
    assert exports.to_otio(table).global_start_time.value == first


def test_edl_across_midnight_and_with_many_events(table):
    days = table.loc[[0] * 1001].reset_index(drop=True)
    days["shot"] = range(1, 1002)
    days["start_seconds"] = np.arange(1001) * 1.001
    days["end_seconds"] = days["start_seconds"] + 1.001
    days.attrs = {**table.attrs, "rate": 30000 / 1001, "drop_frame": True, "start_frame": 2589408 - 30 * 1000 - 15}
    found = events(exports.to_edl(days), 30000 / 1001)
    assert [event[0] for event in found] == [*range(1, 1000), 1, 2]
    assert found[1000][3:5] == [2589408 - 15, 15] and found[1000][5:7] == [30000, 30030]


def test_a_film_with_sound(tmp_path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream, sound = container.add_stream("libx264", rate=24), container.add_stream("pcm_s16le", rate=8000)
        stream.height, stream.width, stream.pix_fmt, sound.layout = 90, 160, "yuv420p", "stereo"
        for rgb in shots("LS", "MS"):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 20000), np.int16), "s16", "stereo")
        samples.sample_rate = 8000
        container.mux([*sound.encode(samples), *sound.encode(), *stream.encode()])
    table = film.analyze(path, Brightness(), tmp_path)
    assert table.attrs["audio_channels"] == 2
    picture, beside = exports.to_otio(table).tracks
    assert (picture.kind, beside.kind) == ("Video", "Audio")
    assert [clip.source_range for clip in beside] == [clip.source_range for clip in picture]
    text = exports.to_edl(table)
    assert [event[2] for event in events(text, 24)] == ["AA/V"] * 2
    tracks = otio.adapters.read_from_string(text, "cmx_3600", rate=24).tracks
    assert sorted((track.name, len(track)) for track in tracks) == [("A1", 2), ("A2", 2), ("V", 2)]


@pytest.mark.parametrize("name", ["film", "take #1? 50%25 100% \u00e9;=&", "a:b"])
def test_media_of_a_timeline_are_found_where_folder_and_film_are_moved(tmp_path, name):
    (tmp_path / "disk" / "films").mkdir(parents=True)
    path = write_video(tmp_path / "disk" / "films" / f"{name}.mp4", shots("LS", "MS"))
    out = tmp_path / "disk" / "work" / "out"
    film.analyze(path, Brightness(), out)
    out = (tmp_path / "disk").rename(tmp_path / "other") / "work" / "out"
    url = exports.to_otio(film.load(out / f"{name}.csv")).find_clips()[0].media_reference.target_url
    assert (out / otio.url_utils.filepath_from_url(url)).samefile(tmp_path / "other" / "films" / f"{name}.mp4")
    assert url.isascii() and not set(url) & set(" #?:")


@pytest.mark.parametrize("rate", [24000 / 1001, 25, 30000 / 1001, 60000 / 1001])
def test_timecode_that_drops_nothing_has_whole_days(rate):
    day = 24 * 3600 * round(rate)
    assert (
        timecode(day - 10 * round(rate), rate, False) == "23:59:50:00" and timecode(day, rate, False)[:8] == "00:00:00"
    )


def test_no_event_is_empty_where_a_film_has_more_frames_than_timecode(tmp_path):
    path = write_video(tmp_path / "film.mp4", shots("LS")[:1], rate=120)
    table = film.analyze(path, Brightness(), tmp_path)
    assert events(exports.to_edl(table), 30)[0][3:7] == [0, 1, 0, 1]
    assert exports.to_otio(table).duration().value == 1


CUE = r"\d+\n(\d\d:\d\d:\d\d\.\d{3}) --> (\d\d:\d\d:\d\d\.\d{3})\n[^\n]+\n"


def test_chapters_follow_each_other(table):
    text = exports.to_chapters(table)
    head, cues = text[:8], re.findall(CUE, text[8:])
    assert head == "WEBVTT\n\n" and re.fullmatch(f"({CUE}\n?)+", text[8:]) and len(cues) == 6
    assert [start for start, _ in cues[1:]] == [end for _, end in cues[:-1]]


def test_chapters(table):
    cues = exports.to_chapters(table).split("\n\n")
    assert cues[0] == "WEBVTT" and cues[2].splitlines()[1:] == ["00:00:01.335 --> 00:00:02.669", "MS medium shot"]
    assert cues[-1].splitlines()[2] == "empty"


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.outside = []

    def handle_starttag(self, tag, attributes):
        self.outside += [value for name, value in attributes if name in ("src", "href")]


def test_page_needs_no_other_file_and_holds_every_shot(table):
    table = table.copy()
    table.attrs["note"] = "</script><!--<script>alert(1)</script>"
    table.attrs["made_from"] = {**table.attrs["made_from"], "film": "<script>\udce9\u2028.mp4"}
    text = exports.to_page(table)
    page = Page()
    page.feed(text)
    assert (
        page.outside == ["data:,"] and "<!--" not in text and "http" not in text and text.count("</script>") == 1
    )  # no icon is asked for
    data = json.loads(re.search(r"const film = (.*);\n", text).group(1))
    label = data["columns"].index("label")
    assert [cells[label] for cells in data["shots"]] == [*SIX, ""] and data["note"] == table.attrs["note"]
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in data["pictures"])
