import csv

import pytest
from conftest import textured, write_video
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


def test_a_failed_file_is_named_and_the_rest_goes_on(folder, onnx_weights, capsys):
    (folder / "1.png").write_text("not a picture")
    out = folder / "table.csv"
    odd = str(folder / "gone_caf\udce9.png")  # as Python spells a name that is not UTF-8
    call = ["classify", str(folder), str(folder / "gone.png"), odd, "--weights", str(onnx_weights)]
    assert main([*call, "--out", str(out)]) == 1
    with out.open(newline="", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["error"]) for row in rows] == [False, True, False, True, True] and rows[4]["path"] == odd
    printed = capsys.readouterr()
    assert "3 failed" in printed.out and "gone.png: no such file" in printed.err and "Traceback" not in printed.err


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


def test_no_half_written_table_is_left(folder, onnx_weights, monkeypatch):
    out = folder / "table.csv"
    out.write_text("good")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("shot_types.__main__.csv.writer", broken)
    assert main(["classify", str(folder), "--weights", str(onnx_weights), "--out", str(out)]) == 1
    assert out.read_text() == "good" and not list(folder.glob("*.part"))


def test_film_writes_everything_and_names_what_fails(tmp_path, onnx_weights, capsys):
    write_video(tmp_path / "a.mp4", [textured(90, 160, seed) for seed in (1, 2) for _ in range(24)])
    (tmp_path / "b.mp4").write_text("not a film")
    call = ["film", str(tmp_path / "b.mp4"), str(tmp_path / "a.mp4"), "--out", str(tmp_path / "out")]
    assert main([*call, "--framework", "onnx", "--weights", str(onnx_weights)]) == 1
    printed = capsys.readouterr()
    assert "00:00:01:00" in printed.out and "shots: 2, 1.00 seconds on average" in printed.out
    assert printed.err.count("\n") == 1 and "b.mp4: not a video that FFmpeg can read" in printed.err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"a.csv", "a.json", "a.edl", "a.otio", "a.vtt", "a.html", "a_timeline.png", "a_contact_sheet.jpg"}


def test_two_films_of_one_name_and_a_folder_for_a_table_are_refused(tmp_path, onnx_weights, capsys):
    call = ["--weights", str(onnx_weights), "--out", str(tmp_path)]
    assert main(["film", str(tmp_path / "x/film.mp4"), str(tmp_path / "y/film.mkv"), *call]) == 1
    assert "film.mkv: more than one film has this name" in capsys.readouterr().err
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    assert main(["classify", str(tmp_path / "a.png"), *call]) == 1
    assert f"{tmp_path}: is a folder; name a file in it" in capsys.readouterr().err


def test_film_with_wrong_options(tmp_path, onnx_weights, capsys):
    write_video(tmp_path / "a.mp4", [textured(90, 160)] * 3)
    call = ["film", str(tmp_path / "a.mp4"), "--out", str(tmp_path), "--weights", str(onnx_weights)]
    assert main([*call, "--detector", "best"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "detector 'best' is unknown; use one of adaptive" in error
    with pytest.raises(SystemExit):
        main(["film", "--help"])
    text = capsys.readouterr().out
    assert all(option in text for option in ("FILM", "--out", "--detector", "--min-shot", "--weights", "--framework"))
