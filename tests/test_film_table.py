import json
import re
import signal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import write_video
from films import Brightness, Level, Stopped, scene, shots, start_python
from PIL import Image

from shot_types import film
from shot_types.film import work
from shot_types.film.exports import to_page
from shot_types.film.table import save


@pytest.fixture
def path(tmp_path):
    return write_video(tmp_path / "film.mp4", shots("LS", "MS", "ECS", "FS"))


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
    assert start_python(KILLED.format(frames=whole.seen // 2), path, out).returncode == -signal.SIGKILL
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
        patch.setattr(work, "save", killed)
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
    head, *lines = good.splitlines()
    for text, message in (
        (good.replace("start_seconds", "begin"), "line 1: not a table .* start_seconds"),
        (good.replace("start_seconds", "end_seconds"), "line 1: not a table .* start_seconds, end_seconds"),
        (head + "\n", "line 2: all rows are missing"),
        ("", "empty"),
        ("\n".join([head, lines[0] + ",mine"]), "line 2: a cell without a column name"),
        (f'{head}\n"{"1" * 200_000}"', "line 2: not CSV"),
    ):
        csv.write_text(text)
        with pytest.raises(ValueError, match=message) as error:
            film.load(csv)
        assert str(csv) in str(error.value)
    csv.write_text(good)
    for text in ("{}", "[]", "no JSON"):
        record.write_text(text)
        with pytest.raises(ValueError, match=r"film\.json: not there, or not the record"):
            film.load(csv)
    record.unlink()
    with pytest.raises(ValueError, match=r"move film\.csv and what lies beside it away") as error:
        film.load(csv)
    assert isinstance(error.value.__cause__, FileNotFoundError)
    csv.rename(tmp_path / "kept.csv")
    assert len(film.analyze(path, Brightness(), tmp_path)) == 4


def change(csv, *, drop=(), double=(), **cells):
    """Change a table's file as a person may: rows are left out or copied, cells are changed ({column: (row, text)})."""
    table = pd.read_csv(csv, dtype=str, keep_default_na=False).drop(index=list(drop))
    for name, (row, text) in cells.items():
        table.loc[row, name] = text
    pd.concat([table, table.loc[list(double)]]).to_csv(csv, index=False)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"label": (2, "XCS")}, "line 4: label is 'XCS'; use ECS, CS, MS, FS, LS or nothing"),
        ({"label": (2, "")}, "line 4: a shot without label; use ECS, .* or write title or empty as its kind"),
        ({"kind": (2, "logo")}, "line 4: kind is 'logo'; use shot, title, empty, transition"),
        ({"kind": (2, "title"), "label": (2, "CS")}, "line 4: a title with the label CS; empty the label"),
        ({"scale_at_end": (0, "near")}, "line 2: scale_at_end"),
        ({"drop": [0]}, "line 2: starts at 1.25 seconds, and the film begins at 0.00: a gap; .* put back the row"),
        ({"drop": [1]}, "line 3: starts at 2.50 seconds, and the one before it ends at 1.25: a gap"),
        ({"drop": [3]}, "line 4: the last shot ends at 3.75 seconds, and the film at 5.00; .* put back the row"),
        ({"double": [1]}, "line 6: shot 2 is in line 3 already; remove one"),
        ({"start_seconds": (1, "1.05")}, "line 3: starts at 1.05 seconds, .* at 1.25: they overlap; move one of"),
        ({"end_seconds": (0, "2")}, "line 3: starts at 1.25 seconds, and the one before it ends at 2.00: they overlap"),
        ({"end_seconds": (0, "0")}, "line 2: a shot from 0.00 to 0.00 seconds; it has to end after its start"),
        ({"seconds": (0, "3")}, "line 2: seconds is 3, and from start to end it is 1.25; change start or end"),
        ({"end_seconds": (3, "nan")}, "line 5: end_seconds is 'nan', which is no number"),
        ({"confidence": (3, "inf")}, "line 5: confidence is 'inf', which is no number"),
        ({"end_seconds": (1, "02. May")}, "line 3: end_seconds is '02. May', which is no number"),
        ({"end": (1, "00:00:03:12")}, "line 4: starts at 2.50 seconds, and the one before it ends at 3.50"),
        ({"end": (1, "00:00:03:12"), "end_seconds": (1, "3.9")}, "line 3: end_seconds is 3.9 and end is 00:00:03:12;"),
        ({"start": (1, "0 h 1")}, "line 3: start is '0 h 1'; write a timecode such as 00:01:02:03"),
        (
            {"shot": (3, "5"), "end_seconds": (3, ""), "end": (3, "")},
            "line 5: a new row without end_seconds; write",
        ),
        ({"LS": (0, "0.5")}, "line 2: LS of shot 1 is 0.5, and the analysis wrote 0.92; change labels, kinds"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(path, tmp_path, edit, message):
    film.analyze(path, Brightness(), tmp_path)
    before = (tmp_path / "film.json").read_bytes()
    change(tmp_path / "film.csv", **edit)
    with pytest.raises(ValueError, match=message) as error:
        film.analyze(path, Brightness(), tmp_path)
    assert str(tmp_path / "film.csv") in str(error.value) and (tmp_path / "film.json").read_bytes() == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(("delimiter", "comma", "end"), [(",", True, "\n"), (";", True, "\r\n"), ("\t", False, "\r\n")])
def test_a_table_that_a_spreadsheet_saved(tmp_path, encoding, delimiter, comma, end):
    path = write_video(tmp_path / "caf\xe9.mov", shots("LS", "MS"), rate=Fraction(30000, 1001), timecode="00:00:59;00")
    expected = film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "caf\xe9.csv"
    table = pd.read_csv(csv, dtype=str, keep_default_na=False)
    table.loc[1, "label"] = " cs "
    if comma:
        table = table.map(lambda cell: cell.replace(".", ",") if re.fullmatch(r"\d+\.\d+", cell) else cell)
    table["confidence"] = ["0,9", ""]
    table["end_seconds"] = [f"{number:.2f}" for number in expected["end_seconds"]]
    table = table[sorted(table.columns)].assign(remark=["", "Caf\xe9; -"], **{"": ""})
    table.loc[2] = ""
    csv.write_bytes(table.to_csv(sep=delimiter, index=False, lineterminator=end).encode(encoding))
    read = film.analyze(path, Brightness(), tmp_path)
    assert read["label"].tolist() == ["LS", "CS"] and np.isnan(read["confidence"][1])
    assert read["remark"].tolist() == ["", "Caf\xe9; -"]
    same = [name for name in expected.columns if name not in ("label", "confidence", "agreement", "corrected")]
    pd.testing.assert_frame_equal(read[same], expected[same])
    film.save(read, csv)
    pd.testing.assert_frame_equal(film.load(csv), read)


def test_texts_that_a_spreadsheet_would_compute(tmp_path):
    path = write_video(tmp_path / "=cmd().mp4", shots("LS", "MS"))
    table = film.analyze(path, Brightness(), tmp_path)
    table["-remark"] = ["@SUM(A1)", "'=1"]
    table["plain"] = ["-1.5", "a=b"]
    csv = tmp_path / "=cmd().csv"
    film.save(table, csv)
    cells = pd.read_csv(csv, dtype=str, keep_default_na=False)
    assert not any(str(cell)[0] in "=+@" for cell in [*cells.columns, *cells.to_numpy().ravel()] if cell)
    assert "'-remark" in cells.columns and cells["plain"].tolist() == ["-1.5", "a=b"]
    pd.testing.assert_frame_equal(film.load(csv), table)
    assert (tmp_path / table["thumbnail"][0]).is_file()


def test_rows_in_another_order_and_empty_ones_are_no_matter(path, tmp_path):
    table = film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    head, *lines = csv.read_text().splitlines()
    csv.write_text("\n".join([head, *lines[::-1], "," * head.count(",")]) + "\n")
    pd.testing.assert_frame_equal(film.load(csv), table)


def cells(csv):
    return pd.read_csv(csv, dtype=str, keep_default_na=False)


def test_a_shot_is_cut_in_two_and_all_follows(tmp_path):
    path = write_video(tmp_path / "film.mp4", shots("LS", "MS", "ECS"))
    film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    before = cells(csv)
    before.loc[1, "end_seconds"] = "2,0"  # the rest of this cut says the same as before
    new = {"start_seconds": "2,0", "end": before.loc[2, "start"], "label": "cs", "remark": "hands"}
    pd.concat([before, pd.DataFrame([new])]).fillna("").to_csv(csv, index=False, sep=";")
    asked = Brightness()
    table = film.analyze(path, asked, tmp_path)
    assert asked.seen == 0 and table["shot"].tolist() == [1, 2, 3, 4]
    assert table["label"].tolist() == ["LS", "MS", "CS", "ECS"] and table["corrected"].tolist() == [0, 1, 1, 0]
    assert table["start_seconds"].tolist() == [0, 1.25, 2, 2.5] and table["end_seconds"].tolist() == [
        1.25,
        2,
        2.5,
        3.75,
    ]
    assert table["seconds"].tolist() == [1.25, 0.75, 0.5, 1.25]
    assert table["start"].tolist() == ["00:00:00:00", "00:00:01:06", "00:00:02:00", "00:00:02:12"]
    assert table["remark"].tolist() == ["", "", "hands", ""]
    part = np.asarray(Image.open(tmp_path / table["thumbnail"][2]), int)
    assert abs(part - scene("MS", 1)).mean() < 6 and table["thumbnail"].is_unique
    pd.testing.assert_frame_equal(film.analyze(path, asked, tmp_path), table)
    assert cells(csv)["shot"].tolist() == ["1", "2", "3", "4"]


def test_a_copied_row_cuts_a_shot_and_a_removed_one_joins_two(path, tmp_path):
    film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    rows = cells(csv)
    rows.loc[0, "end"] = "00:00:00:12"
    rows = pd.concat([rows, rows.loc[[0]]], ignore_index=True)
    rows.loc[4, ["start", "end"]] = ["00:00:00:12", "00:00:01:06"]
    rows.loc[1, "end_seconds"], rows.loc[1, "label"] = rows.loc[2, "end_seconds"], "FS"
    rows.drop(index=2).to_csv(csv, index=False)
    table = film.analyze(path, Brightness(), tmp_path)
    assert table["start_seconds"].tolist() == [0, 0.5, 1.25, 3.75]
    assert table["label"].tolist() == ["LS", "LS", "FS", "FS"] and table["corrected"].tolist() == [1, 1, 1, 0]
    assert np.isnan(table["LS"][1]) and table["frames"][1] == 0


def test_cuts_that_are_changed_back_have_all_that_the_analysis_said(path, tmp_path):
    expected = film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    first = cells(csv)
    merged = first.drop(index=1)
    merged.loc[0, ["end", "end_seconds"]] = first.loc[1, ["end", "end_seconds"]]
    moved = first.copy()
    moved.loc[1, "end_seconds"] = moved.loc[2, "start_seconds"] = "3.0"
    split = pd.concat([first, first.loc[[1]]], ignore_index=True)
    split.loc[1, "end_seconds"] = split.loc[4, "start_seconds"] = "2.0"
    for changed in (merged, moved, split):
        changed.to_csv(csv, index=False)
        save(film.load(csv), csv)
        assert len(film.load(csv)) == len(changed) and film.load(csv)["corrected"].any()
        first.to_csv(csv, index=False)  # with the numbers that shots had
        pd.testing.assert_frame_equal(film.load(csv), expected)
        save(film.load(csv), csv)
        pd.testing.assert_frame_equal(film.load(csv), expected)
        assert film.load(csv).attrs == expected.attrs


@pytest.mark.parametrize("copied", [True, False])
def test_a_row_that_is_written_anew_is_what_it_was_by_its_times_alone(path, tmp_path, copied):
    expected = film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    change(csv, drop=[1], end_seconds=(0, "2.5"))
    for _ in range(2):  # also after a second save
        save(film.load(csv), csv)
    rows = cells(csv)
    rows.loc[0, "end_seconds"] = "1,25"
    new = dict(rows.loc[0]) | {"label": "MS"} if copied else {}
    new |= {"start_seconds": "1,25", "end_seconds": "2,5", "start": "", "end": "", "seconds": ""}
    pd.concat([rows, pd.DataFrame([new])]).fillna("").to_csv(csv, index=False, sep=";")
    pd.testing.assert_frame_equal(film.load(csv), expected)


def test_titles_are_marked_and_unmarked(path, tmp_path):
    film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    change(csv, kind=(1, " Title"))  # with the label as it was
    table = film.analyze(path, Brightness(), tmp_path)
    assert table["kind"].tolist() == ["shot", "title", "shot", "shot"] and table["label"].tolist()[1] == ""
    assert table["corrected"].tolist() == [0, 1, 0, 0] and np.isnan(table["confidence"][1]) and table["MS"][1] > 0.9
    save(table, csv)
    change(csv, kind=(1, "shot"))
    table = film.load(csv)
    assert table["label"].tolist()[1] == "MS" and not table["corrected"].any()
    change(csv, kind=(1, "title"), label=(1, "FS"))  # who gives a title a label has seen a shot
    assert film.load(csv).loc[1, ["kind", "label", "corrected"]].tolist() == ["shot", "FS", 1]


def test_drop_frame_timecode_of_a_cut_is_read(tmp_path):
    small = [picture[:46, :80] for picture in shots("LS", "CS")]
    path = write_video(tmp_path / "film.mov", small, rate=Fraction(30000, 1001), timecode="00:00:59;00")
    before = film.analyze(path, Brightness(), tmp_path)
    assert before["start"][1] == "00:01:00;02"
    change(tmp_path / "film.csv", end=(0, "00:01:00;05"))
    change(tmp_path / "film.csv", start=(1, "00:01:00;05"))
    table = film.analyze(path, Brightness(), tmp_path)
    assert table["end"][0] == table["start"][1] == "00:01:00;05"
    assert table["start_seconds"][1] - before["start_seconds"][1] == pytest.approx(3 * 1.001 / 30, abs=1e-5)


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
    with pytest.raises(KeyboardInterrupt):
        film.analyze(path, Stopped(after=4), tmp_path)
    pd.testing.assert_frame_equal(film.analyze(path, Brightness(), tmp_path), expected)


def test_unsure_shots_are_to_be_checked_until_somebody_has(path, tmp_path):
    classifier = Brightness()
    assert film.analyze(path, classifier, tmp_path / "sure")["check"].tolist() == [0] * 4
    classifier.card["unsure below"] = 0.93  # it answers with 0.92
    table = film.analyze(path, classifier, tmp_path)
    assert table["check"].tolist() == [1] * 4
    table.loc[1, "check"], table.loc[2, "label"] = 0, "CS"
    save(table, tmp_path / "film.csv")
    assert film.load(tmp_path / "film.csv")["check"].tolist() == [1, 0, 0, 1]
    lines = (tmp_path / "film.csv").read_text().splitlines()
    place = lines[0].split(",").index("check")
    for cell, said in (("7", "line 2: check is 7; use 1 or 0"), ("yes", "line 2: check is 'yes', which is no number")):
        cells = lines[1].split(",")
        cells[place] = cell
        (tmp_path / "film.csv").write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]))
        with pytest.raises(ValueError, match=said):
            film.load(tmp_path / "film.csv")


def test_a_first_line_that_tells_excel_what_stands_between_cells_and_columns_of_any_name(path, tmp_path):
    film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    added = {"self": "a", "film": 'b, "c"', "Index": "=1", "</script>": "d\re\r\nf"}
    for between in ";|\t":
        table = pd.read_csv(csv, dtype=str, keep_default_na=False).assign(label=["LS", "CS", "ECS", "FS"])
        for name, text in added.items():
            table[name] = text
        csv.write_bytes(f"sep={between}\n{table.to_csv(index=False, sep=between, quoting=1)}".encode())
        table = film.load(csv)
        assert table["label"].tolist() == ["LS", "CS", "ECS", "FS"] and dict(table.loc[0, list(added)]) == added
        save(table, csv)
        assert film.load(csv)["</script>"].tolist() == ["d\ne\nf"] * 4
    assert to_page(film.load(csv)).count("</script>") == 1


def test_a_label_that_is_the_first_one_again(path, tmp_path):
    expected = film.analyze(path, Brightness(), tmp_path)
    for label in ("CS", "LS"):
        table = film.load(tmp_path / "film.csv")
        table.loc[0, "label"] = label
        save(table, tmp_path / "film.csv")
    assert film.load(tmp_path / "film.csv")["confidence"].tolist() == expected["confidence"].tolist()


@pytest.mark.parametrize("entered", [{"notes": "mine"}, {"check": "1"}])
def test_what_a_person_entered_is_not_written_over(path, tmp_path, entered):
    film.analyze(path, Brightness(), tmp_path)
    csv = tmp_path / "film.csv"
    pd.read_csv(csv, dtype=str, keep_default_na=False).assign(**entered).to_csv(csv, index=False)
    before = csv.read_bytes()
    with pytest.raises(ValueError, match="or what else a person entered, and is from other weights or settings"):
        film.analyze(path, Brightness(), tmp_path, every=0.3)
    assert csv.read_bytes() == before


def test_a_record_of_other_kinds_is_refused_and_a_byte_order_mark_is_not(path, tmp_path):
    expected = film.analyze(path, Brightness(), tmp_path)
    file = tmp_path / "film.json"
    good = json.loads(file.read_text())
    file.write_text("\ufeff" + json.dumps(good), encoding="utf-8")
    pd.testing.assert_frame_equal(film.load(tmp_path / "film.csv"), expected)
    wrong = [{"rate": "24"}, {"rate": 0}, {"start_frame": None}, {"note": 5}, {"media": 5}, {"made_from": [1]}]
    wrong += [{"shots": [shot | cell for shot in good["shots"]]} for cell in ({"LS": "x"}, {"start": 1}, {"shot": []})]
    for values in wrong:
        file.write_text(json.dumps(good | values))
        with pytest.raises(ValueError, match=r"film\.json: not there, or not the record of an analysis"):
            film.load(tmp_path / "film.csv")


def test_columns_keep_their_order_and_scales_at_start_and_end_their_values(path, tmp_path):
    table = film.analyze(path, Brightness(), tmp_path)
    columns = (tmp_path / "film.csv").read_text().splitlines()[0]
    save(film.load(tmp_path / "film.csv"), tmp_path / "film.csv")
    assert (tmp_path / "film.csv").read_text().splitlines()[0] == columns == ",".join(table.columns)
    table.loc[1, "scale_at_start"] = "LS"
    table.to_csv(tmp_path / "film.csv", index=False)
    with pytest.raises(ValueError, match="line 3: scale_at_start of shot 2 is LS, and the analysis wrote"):
        film.load(tmp_path / "film.csv")
