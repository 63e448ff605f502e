"""The queue of the local page: one film after the other, stopped, gone on with, and not harmed by what dies."""

import os
import re
import signal
import subprocess
import sys
import time

import httpx2
import pandas as pd
import pytest
from conftest import write_video
from films import TESTS, brightness_weights, scene, shots

from shot_types import SCALE, film, load_classifier
from shot_types.app.jobs import Queue
from shot_types.app.places import Places

WAIT = 120  # seconds
MANY = 36


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    return brightness_weights(tmp_path_factory.mktemp("weights") / "brightness.onnx")


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A film of MANY shots that takes a second or two."""
    scenes = [scene(SCALE[shot % 5], shot, 270, 480) for shot in range(MANY)]
    pictures = [picture for picture in scenes for _ in range(20)]
    return write_video(tmp_path_factory.mktemp("long") / "long.mp4", pictures, options={"preset": "ultrafast"})


@pytest.fixture
def folder(tmp_path):
    write_video(tmp_path / "a.mp4", shots("LS", "MS"))
    write_video(tmp_path / "b.mp4", shots("MS", "ECS"))
    return tmp_path


@pytest.fixture
def queues(light):
    """Makes queues that work until the test's end."""
    made = []

    def queue(folder):
        made.append(Queue(Places(folder), weights=light))
        made[-1].start()
        return made[-1]

    yield queue
    for queue in made:
        queue.close()


def until(happened):
    end = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def ended(*films):
    until(lambda: all(film.state not in ("waiting", "working") for film in films))
    return [film.state for film in films]


def labels(folder, name):
    return film.load(folder / "shot_types_analysis" / f"{name}.csv")["label"].tolist()


def test_films_are_done_in_order_and_a_bad_one_stops_no_other(folder, queues):
    (folder / "bad.mp4").write_bytes(b"no film")
    queue = queues(folder)
    films = [queue.add(name) for name in ("bad.mp4", "b.mp4", "a.mp4")]
    assert [film.state for film in films][1:] == ["waiting", "waiting"]
    until(lambda: films[1].state != "waiting")
    assert films[0].state == "failed" and films[2].state == "waiting"
    assert ended(*films) == ["failed", "done", "done"]
    assert films[0].message.startswith("bad.mp4: ") and labels(folder, "b") == ["MS", "ECS"]
    assert labels(folder, "a") == ["LS", "MS"] and (folder / "shot_types_analysis" / "a.edl").exists()


def test_one_film_is_in_the_queue_once(folder, queues):
    queue = queues(folder)
    one = queue.add("a.mp4")
    assert queue.add("./a.mp4") is one and len(queue.films) == 1
    assert ended(one) == ["done"]
    assert queue.add("a.mp4") is one and ended(one) == ["done"] and len(queue.films) == 1


def test_films_of_one_name_have_results_of_their_own(folder, queues):
    (folder / "other").mkdir()
    write_video(folder / "other" / "a.mp4", shots("FS", "CS"))
    queue = queues(folder)
    films = [queue.add("a.mp4"), queue.add("other/a.mp4")]
    assert ended(*films) == ["done", "done"]
    assert labels(folder, "a") == ["LS", "MS"] and labels(folder, "a (2)") == ["FS", "CS"]
    queue.remove(films[0].id)
    assert labels(folder, "a (2)") == ["FS", "CS"] and not (folder / "shot_types_analysis" / "a.csv").exists()


def test_a_stopped_film_goes_on_where_it_was(folder, long, queues, light):
    (folder / "long.mp4").hardlink_to(long)
    queue = queues(folder)
    first, second = queue.add("long.mp4"), queue.add("a.mp4")
    until(lambda: first.results and len(queue.work(first).so_far()) > 3)
    queue.stop(first.id)
    found = queue.work(first).so_far()
    assert first.state == "stopped" and 3 < len(found) < MANY
    assert ended(second) == ["done"] and first.state == "stopped"
    queue.resume(first.id)
    assert ended(first) == ["done"]
    table = film.load(folder / "shot_types_analysis" / "long.csv")
    whole = film.analyze(long, load_classifier(weights=light), folder / "whole")
    pd.testing.assert_frame_equal(table, whole)
    assert len(list((folder / "shot_types_analysis" / "long_shots").iterdir())) == MANY


def test_a_film_that_waits_is_stopped_and_removed_too(folder, long, queues):
    (folder / "long.mp4").hardlink_to(long)
    queue = queues(folder)
    first, second, third = (queue.add(name) for name in ("long.mp4", "a.mp4", "b.mp4"))
    assert queue.stop(second.id).state == "stopped"
    queue.remove(third.id)
    until(lambda: first.results and queue.work(first).so_far())
    queue.remove(first.id)
    assert list(queue.films) == [second.id]
    assert [path.name for path in (folder / "shot_types_analysis").glob("[!.]*")] == ["queue.json"]
    assert (folder / "long.mp4").exists()


def test_a_process_that_dies_fails_its_film_alone(folder, long, queues):
    (folder / "long.mp4").hardlink_to(long)
    queue = queues(folder)
    first, second = queue.add("long.mp4"), queue.add("a.mp4")
    until(lambda: first.results)
    queue.worker.process.kill()
    assert ended(first, second) == ["failed", "done"] and "process died" in first.message
    queue.resume(first.id)
    assert ended(first) == ["done"] and first.message == ""


def test_a_film_that_is_gone_fails(folder, queues):
    before = Queue(Places(folder))
    before.add("a.mp4")
    before.close()
    (folder / "a.mp4").unlink()
    queue = queues(folder)
    (gone,) = queue.films.values()
    assert ended(gone) == ["failed"] and gone.message == "a.mp4: no such film; choose one from the list"


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '[{"path": "../secret.mp4"}]', '[{"path": "/etc/a.mp4"}]', '[{"a": 1}]']
)
def test_a_damaged_queue_is_named(folder, text):
    (folder / "shot_types_analysis").mkdir()
    (folder / "shot_types_analysis" / "queue.json").write_text(text)
    with pytest.raises(ValueError, match=r"queue\.json: not a queue of films; move it away"):
        Queue(Places(folder))


def test_one_server_alone_has_the_queue_of_a_folder(folder, queues):
    queue = queues(folder)
    with pytest.raises(ValueError, match="another server is at work there"):
        Queue(Places(folder))
    queue.close()
    queues(folder)


def serve(folder, light):
    """A server in a process of its own, and a client that has opened the address which it prints."""
    call = [sys.executable, "-m", "shot_types", "app", "--folder", folder, "--port", "0", "--no-browser"]
    places = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    server = subprocess.Popen(
        [*map(str, call), "--weights", str(light)],
        env={**os.environ, "PYTHONPATH": places},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", server.stdout.readline())[0]
    client = httpx2.Client(base_url=address.split("?")[0], headers={"X-Shot-Types": "1"}, timeout=WAIT)
    assert client.get(address, follow_redirects=True).status_code == 200
    return server, client


def test_a_server_that_is_killed_in_mid_film_goes_on_after_a_restart(folder, long, light):
    (folder / "long.mp4").hardlink_to(long)
    server, client = serve(folder, light)
    client.post("/api/films", json={"path": "long.mp4"})
    client.post("/api/films", json={"path": "a.mp4"})

    def films():
        return client.get("/api/state").json()["films"]

    until(lambda: films()[0]["shots"] > 3)
    server.kill()
    server.communicate()
    part = (folder / "shot_types_analysis" / "long.part").read_bytes()
    server, client = serve(folder, light)
    assert [film["name"] for film in films()] == ["long.mp4", "a.mp4"]
    until(lambda: {film["state"] for film in films()} == {"done"})
    shots = client.get(f"/api/films/{films()[0]['id']}/shots").json()
    assert len(shots) == MANY and part.count(b"\n") <= MANY
    server.send_signal(signal.SIGINT)
    # A shell without job control starts what runs beside it with this signal ignored; the server then ends with 0.
    assert server.wait(WAIT) in (0, 130) and server.stderr.read() == ""


def test_the_command_says_in_one_sentence_what_is_wrong(folder, light, capsys):
    from shot_types.__main__ import main

    assert main(["app", "--folder", str(folder / "gone"), "--no-browser"]) == 1
    server, client = serve(folder, light)
    try:
        assert main(["app", "--folder", str(folder), "--port", str(client.base_url.port), "--no-browser"]) == 1
    finally:
        server.kill()
        server.communicate()
    gone, taken = capsys.readouterr().err.splitlines()
    assert "gone: no such folder" in gone and "is taken" in taken and "--port" in taken
