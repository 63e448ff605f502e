import html.parser
import json
import re

import opentimelineio as otio
import pytest
from conftest import write_video
from films import SIX, Brightness, shots, six_shots

from shot_types import film
from shot_types.film import exports


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return six_shots(tmp_path_factory.mktemp("film"))


def test_opentimelineio_reads_back_a_marker_a_shot(table, tmp_path):
    path = tmp_path / "film.otio"
    otio.adapters.write_to_file(exports.to_otio(table), str(path))
    timeline = otio.adapters.read_from_file(str(path))
    clips = list(timeline.find_clips())
    assert [clip.markers[0].name for clip in clips] == [*SIX, "none"]
    rate = table.attrs["rate"]
    assert [clip.source_range.start_time.to_timecode(rate, True) for clip in clips] == table["start"].tolist()
    assert timeline.duration().value == 230 and clips[0].metadata["shot_types"]["probabilities"]["LS"] > 0.9


def test_edl_is_read_back_with_its_markers(table):
    text = exports.to_edl(table)
    assert text.splitlines()[1] == "FCM: DROP FRAME"
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=table.attrs["rate"])
    clips = list(timeline.find_clips())
    assert [clip.markers[0].name for clip in clips] == [*(label.upper() for label in SIX), "NONE"]
    assert [clip.range_in_parent().duration.value for clip in clips] == [40] * 5 + [30]
    assert [line.split()[4] for line in text.splitlines() if re.match(r"\d{3} ", line)] == table["start"].tolist()


def test_edl_without_drop_frame_puts_markers_at_their_frame(tmp_path):
    path = write_video(tmp_path / "film.mp4", shots("LS", "MS"))
    text = exports.to_edl(film.analyze(path, Brightness(), tmp_path))
    assert "FCM: NON-DROP FRAME" in text
    clips = list(otio.adapters.read_from_string(text, "cmx_3600", rate=24).find_clips())
    assert [clip.markers[0].marked_range.start_time.value for clip in clips] == [0, 30]


def test_chapters(table):
    cues = exports.to_chapters(table).split("\n\n")
    assert cues[0] == "WEBVTT" and cues[2].splitlines()[1:] == ["00:00:01.335 --> 00:00:02.669", "MS medium shot"]
    assert cues[-1].splitlines()[2] == "no picture"


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.outside = []

    def handle_starttag(self, tag, attributes):
        self.outside += [value for name, value in attributes if name in ("src", "href")]


def test_page_needs_no_other_file_and_holds_every_shot(table):
    table = table.copy()
    table.attrs["note"] = "</script><script>alert(1)</script>"
    text = exports.to_page(table)
    page = Page()
    page.feed(text)
    assert page.outside == [] and "http" not in text and text.count("</script>") == 1
    data = json.loads(re.search(r"const film = (.*);\n", text).group(1))
    assert [shot["label"] for shot in data["shots"]] == [*SIX, ""] and data["note"] == table.attrs["note"]
    assert all(shot["thumbnail"].startswith("data:image/jpeg;base64,") for shot in data["shots"])
