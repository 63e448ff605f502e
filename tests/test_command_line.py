import csv
import os
import subprocess
import sys

import pytest
from conftest import ROOT, textured, write_video
from films import TESTS, brightness_weights, shots
from PIL import Image

from shot_types import SCALE
from shot_types.__main__ import main
from shot_types.pictures import list_pictures


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
    answers = classifier.predict(list_pictures(folder))
    assert [row["path"] for row in rows] == [answer.source for answer in answers]
    assert [row["label"] for row in rows] == [answer.label for answer in answers]
    assert list(rows[0])[3:8] == list(SCALE)
    printed = capsys.readouterr().out
    assert all(f"{number}.png" in printed for number in range(3)) and answers[0].label in printed


def test_what_is_no_shot_is_marked_and_stands_in_the_table(tmp_path, capsys):
    Image.new("RGB", (320, 180), "black").save(tmp_path / "black.png")
    call = ["classify", str(tmp_path / "black.png"), str(ROOT / "examples/pagoda_long.jpg")]
    assert main([*call, "--framework", "onnx", "--out", str(tmp_path / "table.csv")]) == 0
    with (tmp_path / "table.csv").open(newline="") as file:
        black, pagoda = csv.DictReader(file)
    assert float(black["is_shot"]) < 0.5 < float(pagoda["is_shot"]) and black["label"] in SCALE
    _, first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith("no shot?") and "no shot?" not in second


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
    options = {"classify": ("--framework", "--weights", "--out"), "app": ("--port", "--folder", "--no-browser")}
    for call, words in ((["--help"], SCALE), *(([name, "--help"], words) for name, words in options.items())):
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
    assert "ASL" not in printed.out and not list((tmp_path / "out").glob("comparison*"))  # one film alone
    assert "00:00:01:00" in printed.out and "shots: 2, 1.00 seconds on average" in printed.out
    assert printed.err.count("\n") == 1 and "b.mp4: not a video that FFmpeg can read" in printed.err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"a.csv", "a.json", "a.edl", "a.otio", "a.vtt", "a.html", "a_timeline.png", "a_contact_sheet.jpg"}


def test_a_folder_for_a_table_is_refused(tmp_path, onnx_weights, capsys):
    call = ["--weights", str(onnx_weights), "--out", str(tmp_path)]
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    assert main(["classify", str(tmp_path / "a.png"), *call]) == 1
    assert f"{tmp_path}: is a folder; name a file in it" in capsys.readouterr().err


def test_film_with_wrong_options(tmp_path, onnx_weights, capsys):
    write_video(tmp_path / "a.mp4", [textured(90, 160)] * 3)
    call = ["film", str(tmp_path / "a.mp4"), "--out", str(tmp_path), "--weights", str(onnx_weights)]
    for option, value, said in (
        ("--detector", "best", "invalid choice: 'best' (choose from 'adaptive', "),
        ("--min-shot", "0", "0 is not above 0"),
        ("--min-shot", "nan", "nan is not above 0"),
        ("--min-shot", "short", "invalid float value: 'short'"),
    ):
        with pytest.raises(SystemExit) as stop:
            main([*call, option, value])
        assert stop.value.code == 2 and said in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["film", "--help"])
    text = capsys.readouterr().out
    assert all(option in text for option in ("FILM", "--out", "--detector", "--min-shot", "--weights", "--framework"))


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """Weights that load quickly."""
    return brightness_weights(tmp_path_factory.mktemp("weights") / "brightness.onnx")


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("a", "b"):
        write_video(folder / f"{name}.mp4", shots("LS", "ECS", frames=12))
    return folder


def shell(line, *arguments):
    """What a shell makes of `line`, in which "$@" is our command with these arguments."""
    call = ["bash", "-c", line, "bash", sys.executable, "-m", "shot_types", *map(os.fspath, arguments)]
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    return subprocess.run(call, env=env, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name != "posix", reason="takes a POSIX shell")
@pytest.mark.parametrize("line", ['"$@" >&-', '"$@" 2>&1 | true; exit $PIPESTATUS'])
def test_tables_and_films_are_finished_where_nobody_reads_what_is_printed(folder, films, light, line):
    out = folder / "out"
    run = shell(line, "classify", folder, folder / "gone.png", "--weights", light, "--out", out / "table.csv")
    assert run.returncode == 1 and "Traceback" not in run.stderr and run.stderr.count("\n") <= 2
    assert len((out / "table.csv").read_text().splitlines()) == 5
    run = shell(line, "film", films, "--weights", light, "--out", out)
    assert (run.returncode, run.stderr) == (0, "") and {"a.csv", "b.csv", "b.html"} <= {
        file.name for file in out.iterdir()
    }


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="takes a device that is always full")  # noqa: PTH110
def test_answers_that_are_lost_are_a_failure_and_the_table_is_there(folder, light):
    run = shell('"$@" >/dev/full', "classify", folder, "--weights", light, "--out", folder / "table.csv")
    assert run.returncode == 1 and len((folder / "table.csv").read_text().splitlines()) == 4
    assert run.stderr.startswith("shot_types: standard output: ") and run.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="takes names of open files")
def test_a_table_into_standard_output(folder, light):
    run = shell('"$@" | cat; exit $PIPESTATUS', "classify", folder, "--weights", light, "--out", "/dev/stdout")
    assert (run.returncode, run.stderr) == (0, "")
    assert "\npath,label,confidence,ECS" in run.stdout


def test_an_empty_folder_does_not_stop_the_others(folder, films, light, capsys):
    for number in (1, 2):
        (folder / f"empty{number}").mkdir()
    for command, full in (("classify", folder / "0.png"), ("film", films)):
        call = [command, "--weights", str(light), "--out", str(folder / f"out_{command}")]
        empty = [str(folder / "empty1"), str(folder / "empty2")]
        assert main([*call, *empty, str(full)]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2 and all(f"{path}: no " in line for path, line in zip(empty, lines, strict=True))
        assert main([*call, *empty]) == 1
        assert capsys.readouterr().err.startswith(f"shot_types: {empty[0]}: no ")


def test_films_and_folders_of_films_end_with_a_summary(folder, films, light, capsys):
    (films / "c.mp4").write_text("not a film")
    call = ["film", str(films), str(films / "a.mp4"), "--weights", str(light), "--out", str(folder / "out")]
    assert main(call) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "films: 2, with 4 shots in 0.0 minutes; 1 failed: c.mp4"
    assert printed.out.count("shots: 2,") == 2 and printed.err.count("\n") == 1
    with (folder / "out" / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["film"], row["ASL"], row["LS"]) for row in rows] == [(name, "0.5000", "0.5000") for name in "ab"]
    assert "ASL" in printed.out and "comparison.csv, comparison.png" in printed.out
    Image.open(folder / "out" / "comparison.png").verify()


def test_an_empty_path_is_a_wrong_call(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for call in (["classify", ""], ["classify", "0.png", "--out", ""], ["film", ""], ["film", "a.mp4", "--out="]):
        with pytest.raises(SystemExit) as stop:
            main(call)
        assert stop.value.code == 2 and "an empty path; name a file or a folder" in capsys.readouterr().err


def test_the_help_tells_the_exit_status(capsys):
    for call in (["--help"], ["classify", "--help"], ["film", "--help"]):
        with pytest.raises(SystemExit):
            main(call)
        text = " ".join(capsys.readouterr().out.split())
        assert "The exit status is 0 when everything went well, 1 when" in text and "130 when interrupted" in text


def test_names_that_tear_lines_or_are_formulas_are_harmless(folder, light, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    names = ["=cmd()|x.png", "@x\n\x1b[31m.png", f"{'ä' * 120}.png"]
    for name in names:
        (folder / "0.png").rename(name)
        assert main(["classify", name, "-gone.png"[1:], "--weights", str(light), "--out", "table.csv"]) == 1
        printed = capsys.readouterr()
        assert len(printed.out.splitlines()) == 3 and "\x1b" not in printed.out + printed.err
        with open("table.csv", newline="", encoding="utf-8") as file:  # noqa: PTH123
            row = next(csv.DictReader(file))
        assert row["path"][0] not in "=+-@" and os.path.samefile(row["path"], name)  # noqa: PTH121
        (folder / name).rename("0.png")


def test_a_heat_map_of_a_picture_with_a_long_name(folder, pytorch_weights):
    name = folder / f"{'ä' * 120}.png"
    (folder / "0.png").rename(name)
    assert main(["classify", str(name), "--weights", str(pytorch_weights), "--heatmaps", str(folder / "maps")]) == 0
    assert len(list((folder / "maps").glob("0001_*.jpg"))) == 1


def test_a_picture_is_no_name_for_a_table(folder, light, capsys):
    before = (folder / "0.png").read_bytes()
    for name in ("0.png", "NEW.MP4"):
        with pytest.raises(SystemExit) as stop:
            main(["classify", str(folder / "1.png"), "--weights", str(light), "--out", str(folder / name)])
        assert stop.value.code == 2 and "is named like a picture or a film" in capsys.readouterr().err
    assert (folder / "0.png").read_bytes() == before and not (folder / "NEW.MP4").exists()


@pytest.mark.skipif(os.name != "posix", reason="takes a POSIX shell")
def test_files_do_not_get_the_numbers_of_closed_streams(folder, light):
    code = "import sys; from shot_types.__main__ import main; main(sys.argv[1:]); sys.exit(open('x', 'w').fileno())"
    call = ["bash", "-c", '"$@" <&- 2>&-', "bash", sys.executable, "-c", code, "classify", "0.png", "--weights", light]
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    assert subprocess.run(call, cwd=folder, env=env, check=False, capture_output=True).returncode > 2


def test_a_path_of_any_length_does_not_stop_the_others(folder, light, capsys):
    (folder / "maps").touch()
    call = ["classify", f"{'x' * 300}.png", str(folder / "0.png"), "--weights", str(light)]
    assert main([*call, "--out", str(folder / "table.csv")]) == 1
    assert len((folder / "table.csv").read_text().splitlines()) == 3
    capsys.readouterr()
    assert main([*call, "--heatmaps", str(folder / "maps")]) == 1 and not capsys.readouterr().out  # before the work
