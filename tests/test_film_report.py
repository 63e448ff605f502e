import json

import numpy as np
import pandas as pd
import pytest
from conftest import write_video
from films import SIX, Brightness, shots, six_shots
from matplotlib.colors import to_hex
from PIL import Image

from shot_types import film
from shot_types.film import report
from shot_types.film.table import RESULTS
from shot_types.labels import COLORS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return six_shots(tmp_path_factory.mktemp("film"))


@pytest.fixture
def table(made):
    return made.copy()  # its `attrs` too


def test_summary_counts_time(table):
    figures = report.summary(table)
    assert figures["shots"] == 6 and figures["average shot"] == pytest.approx(230 * 1.001 / 30 / 6, abs=1e-4)
    assert figures[list(COLORS)].tolist() == pytest.approx([0.2, 0, 0.2, 0.2, 0.4])
    assert figures["mean scale"] == pytest.approx((4 + 2 + 0 + 3 + 4) / 5)


def test_timeline_draws_each_shot_where_it_is(table):
    top, axes = report.timeline(table, thumbnails=4).axes[:2]
    bars = axes.patches
    assert [bar.get_x() for bar in bars] == pytest.approx(table["start_seconds"].tolist())
    assert [bar.get_width() for bar in bars] == pytest.approx(table["seconds"].tolist())
    assert [bar.get_height() for bar in bars[:5]] == [1, 3, 5, 2, 1] and bars[5].get_height() < 0.5
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars[:5]] == [COLORS[label] for label in SIX]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["LS", "FS", "MS", "CS", "ECS"]
    assert len(top.child_axes) == 4


def test_moving_average_of_the_scale(table):
    axes = report.rhythm(table, window=0.01).axes[0]
    times, mean = axes.lines[0].get_data()
    for label, row in zip(SIX, table.itertuples(), strict=False):
        middle = np.searchsorted(times, (row.start_seconds + row.end_seconds) / 2)
        assert mean[middle] == ["ECS", "CS", "MS", "FS", "LS"].index(label)
    assert np.isnan(mean[-1]) and axes.get_ylim()[0] > axes.get_ylim()[1]  # black has no scale; near is above


def test_shares_and_lengths(table):
    texts = [text.get_text() for text in report.shares(table).axes[0].texts]
    assert texts == ["20%", "0%", "20%", "20%", "40%"] * 2
    axes = report.lengths(table).axes[0]
    assert sum(len(dots.get_offsets()) for dots in axes.collections if hasattr(dots, "get_sizes")) >= 5
    assert axes.lines[0].get_ydata()[0] == pytest.approx(table["seconds"].mean())


def test_compare_has_a_bar_for_each_film(table):
    films = pd.DataFrame({"a": report.summary(table), "b": report.summary(table[:2])}).T
    axes = report.compare(films).axes[0]
    assert len(axes.patches) == 10 and {text.get_text() for text in axes.texts} >= {"LS 40%", "MS 50%"}


def test_contact_sheet_has_a_framed_thumbnail_for_each_shot(table):
    sheet = np.asarray(report.contact_sheet(table, width=160))
    assert sheet.shape[:2] == (2 * (90 + 28), 4 * (160 + 12))
    assert [to_hex(sheet[3, 172 * column + 80] / 255).upper() for column in range(4)] == [COLORS[x] for x in SIX[:4]]
    assert abs(sheet[50, 80].astype(int) - 210).max() < 60  # the long shot is the bright one


def test_a_damaged_thumbnail_is_left_grey(table, tmp_path):
    table.attrs["folder"] = str(tmp_path)
    name = tmp_path / table["thumbnail"][0]
    name.parent.mkdir()
    name.write_text("not a picture")
    sheet = np.asarray(report.contact_sheet(table, width=160))
    assert abs(sheet[50, 80].astype(int) - 0x88).max() <= 1


def test_export_writes_everything_and_follows_corrections(tmp_path):
    path = write_video(tmp_path / "my film.mp4", shots("LS", "MS"))
    table = film.analyze(path, Brightness(), tmp_path)
    files = report.export(table)
    ends = {file.name.removeprefix("my film") for file in files}
    assert ends > {".csv", ".json", ".otio", ".edl", ".vtt", ".html", "_contact_sheet.jpg", "_timeline.png"}
    assert ends == {".csv", *RESULTS}  # by which a folder's other files are told from results
    assert all(file.stat().st_size > 100 for file in files) and not list(tmp_path.glob("*.part"))
    record = json.loads((tmp_path / "my film.json").read_text())
    assert record["made_from"]["weights"]["sha256"] == "0" and "scenedetect" in record["versions"]
    csv = tmp_path / "my film.csv"
    csv.write_text(csv.read_text().replace(",MS,0.92", ",CS,0.92"))
    report.export(film.analyze(path, Brightness(), tmp_path))
    assert (
        "CS close-up" in (tmp_path / "my film.vtt").read_text()
        and "LOC: 00:00:01:06 CYAN    CS" in (tmp_path / "my film.edl").read_text()
    )
    assert json.loads((tmp_path / "my film.json").read_text())["shots"][1]["label"] == "CS"
    Image.open(tmp_path / "my film_timeline.png").verify()


def test_a_film_of_nothing_but_black(tmp_path):
    path = write_video(tmp_path / "black.mp4", [np.full((90, 160, 3), 16, np.uint8)] * 20)
    files = report.export(film.analyze(path, Brightness(), tmp_path))
    assert all(file.is_file() for file in files)
