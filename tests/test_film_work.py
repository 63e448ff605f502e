import json
import os
import shutil
import signal
import subprocess
import sys

import pandas as pd
import pytest
from conftest import write_video
from films import TESTS, Brightness, Stopped, shots

from shot_types import film
from shot_types.film import report, work
from shot_types.film.table import RESULTS


@pytest.fixture
def path(tmp_path):
    return write_video(tmp_path / "film.mp4", shots("LS", "MS", "ECS"))


class Meanwhile(Brightness):
    """Calls something once, in the middle of its work."""

    def __init__(self, call):
        super().__init__()
        self.call = call

    def predict_proba(self, xs):
        if call := self.__dict__.pop("call", None):
            call()
        return super().predict_proba(xs)


def test_a_second_run_on_the_same_film_says_so_and_the_first_ends_well(path, tmp_path):
    def second():
        with pytest.raises(ValueError, match=r"film\.csv: another run is at work") as error:
            film.analyze(path, Brightness(), tmp_path)
        said.append(error)
        film.analyze(path, Brightness(), tmp_path / "elsewhere")

    said = []
    table = film.analyze(path, Meanwhile(second), tmp_path)
    assert said and table["label"].tolist() == ["LS", "MS", "ECS"]
    assert all((tmp_path / name).is_file() for name in table["thumbnail"]) and not (tmp_path / "film.part").exists()


WAITS = """
import sys, time
from shot_types import film
from films import Brightness
class Waits(Brightness):
    def predict_proba(self, xs):
        if self.seen:
            print("at work", flush=True)
            time.sleep(60)
        return super().predict_proba(xs)
film.analyze(sys.argv[1], Waits(), sys.argv[2])
"""


def test_another_process_at_work_and_what_it_leaves_when_it_is_killed(path, tmp_path):
    places = {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    call = [sys.executable, "-c", WAITS, str(path), str(tmp_path)]
    with subprocess.Popen(call, env={**os.environ, **places}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "at work\n"
        with pytest.raises(ValueError, match="another run is at work"):
            film.analyze(path, Brightness(), tmp_path)
        process.send_signal(signal.SIGKILL)
    assert film.analyze(path, Brightness(), tmp_path)["label"].tolist() == ["LS", "MS", "ECS"]


def test_another_film_of_the_same_name_gets_results_of_its_own(path, tmp_path, capsys):
    before = film.analyze(path, Brightness(), tmp_path)
    (tmp_path / "more").mkdir()
    other = write_video(tmp_path / "more" / "film.mp4", shots("CS", "LS"))
    with pytest.raises(KeyboardInterrupt):
        film.analyze(other, Stopped(), tmp_path)
    third = write_video(tmp_path / "more" / "film.mkv", shots("FS"))
    assert film.analyze(third, Brightness(), tmp_path).attrs["name"] == "film (3)"  # also beside what was stopped
    capsys.readouterr()
    table = film.analyze(other, Brightness(), tmp_path)
    assert "film.mp4: another film has its name" in capsys.readouterr().err
    assert table["label"].tolist() == ["CS", "LS"] and {file.name for file in report.export(table)} >= {
        "film (2).csv",
        "film (2).edl",
        "film (2)_timeline.png",
    }
    pd.testing.assert_frame_equal(film.load(tmp_path / "film.csv"), before)
    with pytest.raises(ValueError, match=r"film\.csv: has the results of another film; choose another"):
        film.analyze(other, Brightness(), tmp_path, name="film")


def test_a_film_is_known_by_its_content(path, tmp_path):
    film.analyze(path, Brightness(), tmp_path / "out")
    (tmp_path / "more").mkdir()
    moved = shutil.move(path, tmp_path / "more" / "film.mp4")
    os.utime(moved, (0, 0))
    again = Brightness()
    assert film.analyze(moved, again, tmp_path / "out").attrs["name"] == "film" and again.seen == 0
    data = bytearray(moved.read_bytes())
    data[len(data) // 2] ^= 1  # same size and time
    moved.write_bytes(data)
    os.utime(moved, (0, 0))
    assert film.analyze(moved, again, tmp_path / "out").attrs["name"] == "film (2)"


def test_of_a_large_film_pieces_tell_it_from_others(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "PIECE", 4)
    path, digests = tmp_path / "film", set()
    for number in (None, 0, 997, 999):
        data = bytearray(1000)
        if number is not None:
            data[number] = 1
        path.write_bytes(data)
        digests.add(work.identity(path)["digest"])
    assert len(digests) == 4


def test_results_of_an_earlier_version_are_those_of_the_film(path, tmp_path):
    film.analyze(path, Brightness(), tmp_path)
    file = tmp_path / "film.json"
    record = json.loads(file.read_text())
    for name in ("drop_frame", "audio_channels", "size", "media"):
        del record[name]
    del record["made_from"]["digest"]
    file.write_text(json.dumps(record))
    again = Brightness()
    report.export(film.analyze(path, again, tmp_path))
    assert again.seen == 0 and json.loads(file.read_text())["made_from"]["digest"]


NAMES = ["n" * 246, "é" * 120, "new\nline \u2028 '\"; =x", "..", os.fsdecode(b"caf\xe9")]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_that_files_may_have(tmp_path, name):
    folder = tmp_path / "out" / "here"
    path = write_video(tmp_path / "film.mp4", shots("LS", "MS"))
    path = path.rename(tmp_path / f"{name}.mp4")
    table = film.analyze(path, Brightness(), folder)
    files = report.export(table)
    assert len(set(files)) == 1 + len(RESULTS) and all(file.is_file() and file.parent == folder for file in files)
    assert sorted(file.name for file in folder.iterdir() if file.is_file()) == sorted(file.name for file in files)
    assert list(folder.parent.iterdir()) == [folder] and files[0].name == f"{name}.csv"
    again = Brightness()
    table = film.analyze(path, again, folder)
    assert again.seen == 0 and all((folder / thumbnail).is_file() for thumbnail in table["thumbnail"])
    assert files[0].read_text().count("\n") == 3  # one line a row
    edl = next(file for file in files if file.suffix == ".edl").read_text()
    assert len(edl.splitlines()) == 2 + 4 * len(table)


def test_where_nothing_can_be_written_is_said_before_the_work(path, tmp_path):
    never = Brightness()
    for out in (path, path / "below"):
        with pytest.raises(ValueError, match=r"film\.csv: cannot be written .*choose another `out`"):
            film.analyze(path, never, out)
    assert never.seen == 0


def test_files_that_no_analysis_wrote_stay(path, tmp_path, capsys):
    half = tmp_path / "half.mp4.part"  # as browsers name it; the name of unfinished work, too
    half.write_bytes(path.read_bytes())
    (tmp_path / "film.vtt").write_text("subtitles")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for film_path, name in ((path, "film (2)"), (half, "half.mp4 (2)")):
        for _ in range(2):
            table = film.analyze(film_path, Brightness(), tmp_path)
            assert table.attrs["name"] == name and "or other files" in capsys.readouterr().err
        report.export(table)
        with pytest.raises(ValueError, match="other files have the names of its results"):
            film.analyze(film_path, Brightness(), tmp_path, name=film_path.stem)
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("name", [".json", "_shots", ".part_shots", "_timeline.png"])
def test_folders_that_have_the_names_of_results_stay(path, tmp_path, name):
    (tmp_path / f"film{name}").mkdir()
    (tmp_path / f"film{name}" / "0001.jpg").touch()
    assert film.analyze(path, Brightness(), tmp_path).attrs["name"] == "film (2)"
    assert (tmp_path / f"film{name}" / "0001.jpg").exists()


def test_a_film_named_as_unfinished_work_keeps_its_thumbnails(path, tmp_path):
    other = write_video(tmp_path / "film.part.mp4", shots("CS", "LS"))
    tables = [film.analyze(one, Brightness(), tmp_path / "out") for one in (other, path)]
    assert all((tmp_path / "out" / name).is_file() for table in tables for name in table["thumbnail"])


def test_links_to_results_stay_and_lead_to_new_ones(path, tmp_path):
    out, store = tmp_path / "out", tmp_path / "store"
    film.analyze(path, Brightness(), out)
    store.mkdir()
    for name in ("film.csv", "film.json", "film_shots"):
        shutil.move(out / name, store / name)
        (out / name).symlink_to(store / name)
    table = film.analyze(path, Brightness(), out, every=0.3)
    assert all(file.is_symlink() for file in out.iterdir()) and len(list(out.iterdir())) == 3
    assert film.load(store / "film.csv").attrs["made_from"]["every"] == 0.3
    assert all((store / name).is_file() for name in table["thumbnail"])


def test_a_full_disk_is_named_with_the_table(path, tmp_path):
    def full():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*film\.csv"):
        film.analyze(path, Meanwhile(full), tmp_path)
