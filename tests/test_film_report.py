import html.parser
import json
import re
from fractions import Fraction

import numpy as np
import opentimelineio as otio
import pytest
from conftest import write_video
from films import Brightness, scene, shots
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from PIL import Image

from shot_types import film
from shot_types.film import report as film_report
from shot_types.labels import COLORS

LABELS = ["LS", "MS", "ECS", "FS", "LS"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A film of five shots with a black one at the end, analysed; 29.97 frames/s, so drop-frame."""
    folder = tmp_path_factory.mktemp("film")
    pictures = [*shots(*LABELS, frames=40), *[np.full((90, 160, 3), 16, np.uint8)] * 30]
    write_video(folder / "film.mp4", pictures, rate=Fraction(30000, 1001))
    return film.analyze(folder / "film.mp4", Brightness(), folder)


@pytest.fixture
def table(made):
    copy = made.copy()
    copy.attrs = dict(made.attrs)
    return copy


def test_summary_counts_time(table):
    figures = film_report.summary(table)
    assert figures["shots"] == 6 and figures["average shot"] == pytest.approx(230 * 1.001 / 30 / 6, abs=1e-4)
    assert figures[list(COLORS)].tolist() == pytest.approx([0.2, 0, 0.2, 0.2, 0.4])
    assert figures["mean scale"] == pytest.approx((4 + 2 + 0 + 3 + 4) / 5)


def test_timeline_draws_each_shot_where_it_is(table):
    top, axes = film_report.timeline(table, thumbnails=4).axes[:2]
    bars = axes.patches
    assert [bar.get_x() for bar in bars] == pytest.approx(table["start_seconds"].tolist())
    assert [bar.get_width() for bar in bars] == pytest.approx(table["seconds"].tolist())
    assert [bar.get_height() for bar in bars[:5]] == [1, 3, 5, 2, 1] and bars[5].get_height() < 0.5
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars[:5]] == [COLORS[label] for label in LABELS]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["LS", "FS", "MS", "CS", "ECS"]
    assert len(top.child_axes) == 4
    plt.close("all")


def test_moving_average_of_the_scale(table):
    axes = film_report.rhythm(table, window=0.01).axes[0]
    times, mean = axes.lines[0].get_data()
    for label, row in zip(LABELS, table.itertuples(), strict=False):
        middle = np.searchsorted(times, (row.start_seconds + row.end_seconds) / 2)
        assert mean[middle] == ["ECS", "CS", "MS", "FS", "LS"].index(label)
    assert np.isnan(mean[-1]) and axes.get_ylim()[0] > axes.get_ylim()[1]  # black has no scale; near is above
    plt.close("all")


def test_shares_and_lengths(table):
    texts = [text.get_text() for text in film_report.shares(table).axes[0].texts]
    assert texts == ["20%", "0%", "20%", "20%", "40%"] * 2
    axes = film_report.lengths(table).axes[0]
    assert sum(len(dots.get_offsets()) for dots in axes.collections if hasattr(dots, "get_sizes")) >= 5
    assert axes.lines[0].get_ydata()[0] == pytest.approx(table["seconds"].mean())
    plt.close("all")


def test_compare_has_a_bar_for_each_film(table):
    films = film_report.pd.DataFrame({"a": film_report.summary(table), "b": film_report.summary(table[:2])}).T
    axes = film_report.compare(films).axes[0]
    assert len(axes.patches) == 10 and {text.get_text() for text in axes.texts} >= {"LS 40%", "MS 50%"}
    plt.close("all")


def test_opentimelineio_reads_back_a_marker_a_shot(table, tmp_path):
    path = tmp_path / "film.otio"
    otio.adapters.write_to_file(film_report.to_otio(table), str(path))
    timeline = otio.adapters.read_from_file(str(path))
    clips = list(timeline.find_clips())
    assert [clip.markers[0].name for clip in clips] == [*LABELS, "none"]
    rate = table.attrs["rate"]
    assert [clip.source_range.start_time.to_timecode(rate, True) for clip in clips] == table["start"].tolist()
    assert timeline.duration().value == 230 and clips[0].metadata["shot_types"]["probabilities"]["LS"] > 0.9


def test_edl_is_read_back_with_its_markers(table):
    text = film_report.to_edl(table)
    assert text.splitlines()[1] == "FCM: DROP FRAME"
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=table.attrs["rate"])
    clips = list(timeline.find_clips())
    assert [clip.markers[0].name for clip in clips] == [*(label.upper() for label in LABELS), "NONE"]
    assert [clip.range_in_parent().duration.value for clip in clips] == [40] * 5 + [30]
    assert [line.split()[4] for line in text.splitlines() if re.match(r"\d{3} ", line)] == table["start"].tolist()


def test_edl_without_drop_frame_puts_markers_at_their_frame(tmp_path):
    path = write_video(tmp_path / "film.mp4", shots("LS", "MS"))
    text = film_report.to_edl(film.analyze(path, Brightness(), tmp_path))
    assert "FCM: NON-DROP FRAME" in text
    clips = list(otio.adapters.read_from_string(text, "cmx_3600", rate=24).find_clips())
    assert [clip.markers[0].marked_range.start_time.value for clip in clips] == [0, 30]


def test_chapters(table):
    cues = film_report.to_chapters(table).split("\n\n")
    assert cues[0] == "WEBVTT" and cues[2].splitlines()[1:] == ["00:00:01.335 --> 00:00:02.669", "MS medium shot"]
    assert cues[-1].splitlines()[2] == "no picture"


def test_contact_sheet_has_a_framed_thumbnail_for_each_shot(table):
    sheet = np.asarray(film_report.contact_sheet(table, width=160))
    assert sheet.shape[:2] == (2 * (90 + 28), 4 * (160 + 12))
    assert [to_hex(sheet[3, 172 * column + 80] / 255).upper() for column in range(4)] == [COLORS[x] for x in LABELS[:4]]
    assert abs(sheet[50, 80].astype(int) - 210).max() < 60  # the long shot is the bright one


def test_a_damaged_thumbnail_is_left_grey(table, tmp_path):
    table.attrs["folder"] = str(tmp_path)
    name = tmp_path / table["thumbnail"][0]
    name.parent.mkdir()
    name.write_text("not a picture")
    sheet = np.asarray(film_report.contact_sheet(table, width=160))
    assert abs(sheet[50, 80].astype(int) - 0x88).max() <= 1


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.outside = []

    def handle_starttag(self, tag, attributes):
        self.outside += [value for name, value in attributes if name in ("src", "href")]


def test_page_needs_no_other_file_and_holds_every_shot(table):
    table.attrs["note"] = "</script><script>alert(1)</script>"
    text = film_report.to_page(table)
    page = Page()
    page.feed(text)
    assert page.outside == [] and "http" not in text and text.count("</script>") == 1
    data = json.loads(re.search(r"const film = (.*);\n", text).group(1))
    assert [shot["label"] for shot in data["shots"]] == [*LABELS, ""] and data["note"] == table.attrs["note"]
    assert all(shot["thumbnail"].startswith("data:image/jpeg;base64,") for shot in data["shots"])


def test_export_writes_everything_and_follows_corrections(tmp_path):
    path = write_video(tmp_path / "my film.mp4", shots("LS", "MS"))
    table = film.analyze(path, Brightness(), tmp_path)
    files = film_report.export(table)
    ends = {file.name.removeprefix("my film") for file in files}
    assert ends > {".csv", ".json", ".otio", ".edl", ".vtt", ".html", "_contact_sheet.jpg", "_timeline.png"}
    assert all(file.stat().st_size > 100 for file in files) and not list(tmp_path.glob("*.part"))
    record = json.loads((tmp_path / "my film.json").read_text())
    assert record["made_from"]["weights"]["sha256"] == "0" and "scenedetect" in record["versions"]
    csv = tmp_path / "my film.csv"
    csv.write_text(csv.read_text().replace(",MS,0.92", ",CS,0.92"))
    film_report.export(film.analyze(path, Brightness(), tmp_path))
    assert (
        "CS close-up" in (tmp_path / "my film.vtt").read_text()
        and "LOC: 00:00:01:06 CYAN    CS" in (tmp_path / "my film.edl").read_text()
    )
    assert json.loads((tmp_path / "my film.json").read_text())["shots"][1]["label"] == "CS"
    Image.open(tmp_path / "my film_timeline.png").verify()


def test_a_film_of_nothing_but_black(tmp_path):
    path = write_video(tmp_path / "black.mp4", [np.full((90, 160, 3), 16, np.uint8)] * 20)
    files = film_report.export(film.analyze(path, Brightness(), tmp_path))
    assert all(file.is_file() for file in files)


def test_scene_helper_is_what_the_classifier_says():
    assert Brightness().predict_proba([scene("FS")]).argmax() == 2
