import json
import sys

import numpy as np
import pytest
from conftest import write_video
from films import brightness_weights, die_on_a, done_slowly, shots

from shot_types import film, load_classifier
from shot_types.film import many as film_many
from shot_types.pictures import FrameError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "films"
    (folder / "more").mkdir(parents=True)
    write_video(folder / "a.mp4", shots("LS", "MS"))
    write_video(folder / "more" / "b.mp4", shots("CS", "LS", "ECS"))
    (folder / "broken.mp4").write_text("not a film")
    (folder / "notes.txt").write_text("not meant")
    (folder / ".Trashes").mkdir()
    for hidden in (".Trashes/old.mp4", "._a.mp4"):
        (folder / hidden).write_text("not meant")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return brightness_weights(tmp_path_factory.mktemp("weights") / "brightness.onnx")


def check(table, out, folder, classifier):
    assert table["film"].tolist() == ["a"] * 2 + ["b"] * 3 and table["shot"].tolist() == [1, 2, 1, 2, 3]
    ((name, why),) = table.attrs["failed"].items()
    assert name == str(folder / "broken.mp4") and "not a video that FFmpeg can read" in why
    alone = film.analyze(folder / "a.mp4", classifier, out / "alone")
    assert table["label"].tolist()[:2] == alone["label"].tolist()
    assert np.allclose(table["confidence"][:2], alone["confidence"], atol=1e-3)


def test_films_run_in_worker_processes_and_a_second_run_does_what_is_missing(folder, tmp_path, weights, capsys):
    out = tmp_path / "out"
    table = film_many.analyze_many(folder, out, weights=weights, workers=2)
    check(table, tmp_path, folder, load_classifier(weights=weights))
    assert "broken.mp4" in capsys.readouterr().err
    times = {file.name: file.stat().st_mtime_ns for file in out.glob("*.csv")}
    (folder / "broken.mp4").unlink()
    write_video(folder / "c.mp4", shots("FS"))
    table = film_many.analyze_many(folder, out, weights=weights, workers=1)
    assert sorted(set(table["film"])) == ["a", "b", "c"] and not table.attrs["failed"]
    assert {name: (out / name).stat().st_mtime_ns for name in times} == times
    assert json.loads((out / "c.json").read_text())["made_from"] == table.attrs["films"]["c"]["made_from"]


def test_a_process_that_dies_takes_only_its_own_film_along(folder, monkeypatch):
    monkeypatch.setattr(film_many, "_one", die_on_a)
    films = [folder / f"{name}.mp4" for name in "xab"]
    answers = dict(film_many._here(films, (), 2))
    assert "its process died" in answers.pop(folder / "a.mp4")
    assert answers == {path: str(path) for path in films if path.stem != "a"}


def test_films_of_one_name_keep_results_of_their_own(folder, tmp_path, weights):
    (folder / "broken.mp4").unlink()
    write_video(folder / "more" / "a.mp4", shots("ECS", "FS", "MS"))
    for _ in range(2):
        table = film_many.analyze_many(folder, tmp_path / "out", weights=weights, workers=2)
        assert not table.attrs["failed"] and table["film"].tolist() == ["a"] * 2 + ["a (2)"] * 3 + ["b"] * 3
        assert set(table.attrs["films"]) == {"a", "a (2)", "b"}
    copy = folder / "more" / "b.mp4"
    copy.write_bytes((folder / "more" / "a.mp4").read_bytes())
    names = film_many._own_names([folder / "more" / "a.mp4", copy, folder / "b.mp4"], tmp_path / "out")
    assert names == {copy: "b (2)"}


def test_no_films(tmp_path):
    with pytest.raises(FrameError, match="an empty path"):
        film_many.analyze_many("")
    for nothing in ([], tmp_path):
        with pytest.raises(FrameError, match="no films"):
            film_many.analyze_many(nothing)


def test_who_interrupts_does_not_get_the_films_that_wait(folder, monkeypatch):
    monkeypatch.setattr(film_many, "_one", done_slowly)
    answers = film_many._here([folder / f"{number}.mp4" for number in range(40)], (str(folder),), 1)
    next(answers)
    answers.close()
    assert len(list(folder.glob("*.done"))) < 20


def test_a_cluster_without_ray(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="pip install ray") as error:
        film_many.analyze_many(folder, cluster="auto")
    assert isinstance(error.value.__cause__, ModuleNotFoundError)


def test_on_a_ray_cluster(folder, tmp_path, weights):
    pytest.importorskip("ray", reason="ray is not installed; it is optional")
    from ray.cluster_utils import Cluster

    try:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    except Exception as error:  # Ray gives its own processes 15 seconds, whatever else the machine is doing
        pytest.skip(f"Ray did not start on this machine in its own time limit: {error}")
    try:
        table = film_many.analyze_many(folder, tmp_path / "out", weights=weights, cluster=cluster.address)
    finally:
        cluster.shutdown()
    check(table, tmp_path, folder, load_classifier(weights=weights))


def test_names_with_numbers_and_a_column_that_a_person_named_film(folder, tmp_path, weights):
    write_video(folder / "a (2).mp4", shots("LS", "FS", "MS"))
    write_video(folder / "more" / "a.mp4", shots("ECS"))
    films = [folder / "a (2).mp4", folder / "a.mp4", folder / "more" / "a.mp4"]
    names = film_many._own_names(films, tmp_path / "out")
    assert list(names.values()) == ["a (2)", "a", "a (3)"]
    table = film.analyze(films[1], load_classifier(weights=weights), tmp_path / "out")
    film.save(table.assign(film="mine"), tmp_path / "out" / "a.csv")
    table = film_many.analyze_many(films[1], tmp_path / "out", weights=weights, workers=1)
    assert table["film"].tolist() == ["a", "a"] and table["film (added)"].tolist() == ["mine"] * 2
