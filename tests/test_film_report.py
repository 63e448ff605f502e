import itertools
import json

import numpy as np
import pandas as pd
import pytest
from conftest import write_video
from films import SIX, Brightness, film_table, shots, six_shots
from matplotlib.colors import to_hex
from PIL import Image

from shot_types import film
from shot_types.film import report
from shot_types.film.table import RESULTS
from shot_types.labels import COLORS, GREYS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return six_shots(tmp_path_factory.mktemp("film"))


@pytest.fixture
def table(made):
    return made.copy()  # its `attrs` too


def test_summary_counts_time(table):
    figures = report.summary(table)
    assert figures["shots"] == 5 and figures["minutes"] == pytest.approx(230 * 1.001 / 30 / 60, abs=1e-6)
    assert figures[["ASL", "MSL"]].tolist() == pytest.approx([40 * 1.001 / 30] * 2, abs=1e-4)
    assert figures[["title", "empty", "transition"]].tolist() == pytest.approx([0, 30 / 230, 0], abs=1e-4)
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
    of_shots, whole = report.shares(table).axes
    assert [text.get_text() for text in of_shots.texts] == ["20%", "0%", "20%", "20%", "40%"] * 2
    time, number = ["17%", "0%", "17%", "17%", "35%", "0%", "13%", "0%"], ["17%", "0%", "17%", "17%", "33%", "0%"]
    assert [text.get_text() for text in whole.texts] == [*time, *number, "17%", "0%"]
    axes = report.lengths(table).axes[0]
    assert sum(len(dots.get_offsets()) for dots in axes.collections if hasattr(dots, "get_sizes")) >= 5
    assert axes.lines[0].get_ydata()[0] == pytest.approx(table["seconds"][:5].mean())


def test_compare_has_a_bar_for_each_film(table):
    films = pd.DataFrame({"a": report.summary(table), "b": report.summary(table[:2])}).T
    axes = report.compare(films).axes[0]
    assert len(axes.patches) == 10 and {text.get_text() for text in axes.texts} >= {"LS 40%", "MS 50%", "ASL 1.3 s"}


def test_what_is_no_shot_is_grey_and_counts_nowhere():
    table = film_table("title", "MS", "CS", "transition", "MS", "empty", "MS")
    table["seconds"] = [9, 1, 2, 9, 3, 9, 4.0]
    figures = report.summary(table)
    assert (figures["shots"], figures["ASL"], figures["MSL"], figures["MS"]) == (4, 2.5, 2.5, 0.8)
    bars = report.timeline(table).axes[1].patches
    for place, kind in ((0, "title"), (3, "transition"), (5, "empty")):
        assert to_hex(bars[place].get_facecolor()).upper() == GREYS[kind]
    counts = report.transition_counts(table)
    assert counts.loc["MS", "CS"] == counts.loc["CS", "MS"] == 1 and counts.to_numpy().sum() == 2
    drawn = [text.get_text() for text in report.transitions(table).axes[0].texts]
    assert drawn == [str(count) for count in counts.to_numpy().ravel()]


def test_cutting_rate_and_histogram():
    table = film_table("title", *["MS", "CS"] * 10)
    table["seconds"] = [99.0, *[1.0] * 10, *[3.0] * 10]
    axes = report.cutting_rate(table, window=3).axes[0]
    assert axes.get_ylim()[0] > axes.get_ylim()[1] == 0 and len(axes.patches) == 20  # fast is above
    mean = axes.lines[0].get_ydata()
    assert mean[1] == 1 and mean[18] == 3 and mean[10] == pytest.approx(7 / 3)
    axes = report.histogram(table).axes[0]
    counts = [bar.get_height() for bar in axes.patches if bar.get_height()]
    assert counts == [10, 10] and [line.get_xdata()[0] for line in axes.lines] == [2, 2]


@pytest.mark.parametrize("seconds", [0.3, 10, 65, 600, 5400, 3 * 3600])
def test_ticks_of_time_do_not_collide(seconds):
    table = film_table("LS")
    table["seconds"] = table["end_seconds"] = seconds
    for draw in (report.timeline, report.rhythm, report.cutting_rate):
        figure = draw(table)
        figure.draw_without_rendering()
        axes = figure.axes[-1]
        boxes = [tick.get_window_extent() for tick in axes.get_xticklabels() if tick.get_text()]
        inside = [box for box in boxes if axes.bbox.x0 - 1 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1 + 1]
        assert len(inside) >= 3 and all(one.x1 < two.x0 for one, two in itertools.pairwise(inside))
        names = [tick.get_text() for tick in axes.get_xticklabels()]
        assert len(set(names)) == len(names)


def test_contact_sheet_marks_what_to_check_and_shows_it_first(table):
    table["check"] = [0, 0, 1, 0, 0, 0]
    cell = 172
    plain, first = (np.asarray(report.contact_sheet(table, 160, checked_first=order)) for order in (False, True))
    only = np.asarray(report.contact_sheet(table, 160, only_checked=True))
    assert to_hex(plain[121, 80 + cell] / 255).upper() == GREYS["empty"]  # the black one, sixth
    mark = (slice(7, 10), slice(6 + 160 - 20, 6 + 160 - 16))
    assert plain[:, 2 * cell :][mark].min() > 240 > plain[mark].max()
    assert np.abs(first[:90, :cell].astype(int) - plain[:90, 2 * cell : 3 * cell]).max() == 0
    assert np.abs(only[:90, :cell].astype(int) - first[:90, :cell]).max() == 0 and only.shape[0] == 118
    table["check"] = 0
    assert report.contact_sheet(table, 160, only_checked=True).size[1] == 118


def test_comparison_takes_no_name_of_a_film(tmp_path):
    tables = [film_table("LS", "MS", film="a.mp4"), film_table("title", "CS", film="b.mp4")]
    films, files = report.comparison(tables, tmp_path)
    assert [file.name for file in files] == ["comparison.csv", "comparison.png"]
    read = pd.read_csv(files[0], index_col="film")
    assert read["CS"].to_dict() == {"a": 0, "b": 1} and read["title"].to_dict() == {"a": 0, "b": 0.5}
    assert films.index.tolist() == ["a", "b"] and report.comparison(tables, tmp_path)[1] == files
    files[0].write_text("mine")
    assert report.comparison(tables, tmp_path)[1][0].name == "comparison (2).csv" and files[0].read_text() == "mine"
    (tmp_path / "comparison (2).json").touch()
    assert report.comparison(tables, tmp_path)[1][1].name == "comparison (3).png"


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
    assert all(file.stat().st_size > 60 for file in files) and not list(tmp_path.glob("*.part"))
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
