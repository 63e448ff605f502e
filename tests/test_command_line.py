import csv

import pytest
from conftest import textured
from PIL import Image

from shot_types import SCALE
from shot_types.__main__ import main


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        Image.fromarray(textured(120, 200, number)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_classify_prints_and_writes_the_table(folder, framework, weights, classifier, capsys):
    out = folder / "table.csv"
    call = ["classify", str(folder), "--framework", framework, "--weights", str(weights), "--out", str(out)]
    assert main(call) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    answers = classifier.predict(folder)
    assert [row["path"] for row in rows] == [answer.source for answer in answers]
    assert [row["label"] for row in rows] == [answer.label for answer in answers]
    assert list(rows[0])[3:8] == list(SCALE)
    printed = capsys.readouterr().out
    assert all(f"{number}.png" in printed for number in range(3)) and answers[0].label in printed


def test_a_failed_file_is_named_and_the_rest_goes_on(folder, framework, weights, capsys):
    (folder / "1.png").write_text("not a picture")
    out = folder / "table.csv"
    call = ["classify", str(folder), str(folder / "gone.png"), "--framework", framework]
    assert main([*call, "--weights", str(weights), "--out", str(out)]) == 1
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["error"]) for row in rows] == [False, True, False, True]
    printed = capsys.readouterr()
    assert "2 failed" in printed.out and "gone.png: no such file" in printed.err and "Traceback" not in printed.err


def test_errors_are_one_line(tmp_path, capsys):
    assert main(["classify", str(tmp_path)]) == 1
    assert main(["classify", "x.jpg", "--weights", str(tmp_path / "gone.pt")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("shot_types: ") for line in lines)


def test_help_names_classes_and_options(capsys):
    for call, words in ((["--help"], SCALE), (["classify", "--help"], ("--framework", "--weights", "--out"))):
        with pytest.raises(SystemExit) as stop:
            main(call)
        printed = capsys.readouterr().out
        assert stop.value.code == 0 and all(word in printed for word in words)


def test_no_half_written_table_is_left(folder, framework, weights, monkeypatch):
    out = folder / "table.csv"
    out.write_text("good")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("shot_types.__main__.csv.writer", broken)
    call = ["classify", str(folder), "--framework", framework, "--weights", str(weights)]
    assert main([*call, "--out", str(out)]) == 1
    assert out.read_text() == "good" and not list(folder.glob("*.part"))
