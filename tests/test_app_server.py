"""The server of the local page: who may ask, what may be named, and what is saved; each answer of the contract."""

import asyncio
import contextlib
import io
import json
import os
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from conftest import textured, write_video
from films import SIX, brightness_weights, scene, shots, six_shots
from PIL import Image
from starlette.testclient import TestClient

from shot_types import SCALE, film, load_classifier
from shot_types.app.results import WHAT
from shot_types.app.server import application
from shot_types.film.table import RESULTS

PORT, TOKEN = 8757, "secret"
HERE = f"http://127.0.0.1:{PORT}"
WAIT = 120  # seconds


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    return brightness_weights(tmp_path_factory.mktemp("weights") / "brightness.onnx")


@pytest.fixture
def folder(tmp_path):
    """The folder of the server; beside it a film that is none of its business."""
    inside = tmp_path / "films"
    inside.mkdir()
    write_video(tmp_path / "secret.mp4", [textured(90, 160)] * 4)
    return inside


@contextlib.contextmanager
def opened(folder, light, **options):
    """A browser that has opened the page."""
    app = application(folder, PORT, TOKEN, weights=light, **options)
    with TestClient(app, HERE, headers={"X-Shot-Types": "1"}) as client:
        client.get(f"/?token={TOKEN}")
        yield client


@pytest.fixture
def client(folder, light):
    with opened(folder, light) as client:
        yield client


def states(client):
    return {film["id"]: film for film in client.get("/api/state").json()["films"]}


def until(client, number, happened):
    """The film once something `happened` to it."""
    end = time.monotonic() + WAIT
    while not happened(found := states(client)[number]):
        assert time.monotonic() < end, found
        time.sleep(0.01)
    return found


def ended(client, number):
    """The film when it is done, or has failed."""
    return until(client, number, lambda film: film["state"] not in ("waiting", "working"))


@pytest.fixture(scope="module")
def analysed(tmp_path_factory, light):
    """A server that has analysed a film of six rows; for tests that change nothing."""
    folder = tmp_path_factory.mktemp("analysed")
    six_shots(made := tmp_path_factory.mktemp("made"))
    shutil.copy(made / "film.mp4", folder)
    with opened(folder, light) as client:
        number = client.post("/api/films", json={"path": "film.mp4"}).json()["id"]
        assert ended(client, number)["state"] == "done"
        client.folder, client.number = folder, number
        yield client


class TestWhoMayAsk:
    @pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", ""])
    def test_under_another_name_the_server_answers_nothing(self, client, host):
        for path in ("/", f"/?token={TOKEN}", "/api/state"):
            answer = client.get(path, headers={"Host": host}, follow_redirects=False)
            assert answer.status_code == 421 and "set-cookie" not in answer.headers

    def test_localhost_is_the_same(self, client):
        assert client.get("/api/state", headers={"Host": f"localhost:{PORT}"}).status_code == 200

    @pytest.mark.parametrize("path", ["/", "/api/state", "/api/browse", "/films/1/", "/films/1/video", "/elsewhere"])
    @pytest.mark.parametrize("cookie", [None, "wrong", ""])
    def test_without_the_token_nothing_is_told(self, client, path, cookie):
        client.cookies.clear()
        if cookie is not None:
            client.cookies.set(f"shot_types_{PORT}", cookie)
        answer = client.get(path)
        assert answer.status_code == 403
        assert "terminal" in answer.text and answer.headers["content-type"].startswith("text/html") == (path == "/")

    def test_the_address_of_the_terminal_gives_a_cookie_that_no_script_and_no_other_page_has(self, client):
        client.cookies.clear()
        assert client.get("/?token=wrong").status_code == 403 and not client.cookies
        answer = client.get(f"/?token={TOKEN}", follow_redirects=False)
        assert answer.headers["location"] == "/"  # the token is in no history
        assert {"HttpOnly", "SameSite=strict"} <= set(answer.headers["set-cookie"].split("; "))
        assert client.get("/").status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:9999"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},  # another server on this machine, which has the cookie as well
        ],
    )
    def test_another_page_can_neither_read_nor_write(self, client, folder, headers):
        (folder / "film.mp4").touch()
        for call in (("GET", "/api/state"), ("POST", "/api/films?name=a.mp4"), ("DELETE", "/api/films/1")):
            assert client.request(*call, headers=headers).status_code == 403
        assert states(client) == {} and not (folder / "shot_types_uploads").exists()

    def test_forms_of_other_pages_cannot_write_as_they_send_no_header(self, client, folder):
        del client.headers["X-Shot-Types"]
        for method, path in (
            ("POST", "/api/films?name=a.mp4"),
            ("PUT", "/api/films/1/table"),
            ("DELETE", "/api/films/1"),
        ):
            assert client.request(method, path, content=b"x").status_code == 403
        assert states(client) == {} and not (folder / "shot_types_uploads").exists()

    def test_every_answer_keeps_the_browser_at_home(self, client):
        for path in ("/", "/api/state", "/api/elsewhere", "/films/1/"):
            headers = client.get(path, headers={"Origin": HERE}).headers
            assert headers["content-security-policy"].startswith("default-src 'self' data: blob:; style-src")
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert not [name for name in headers if name.startswith("access-control")]


class TestWhatMayBeNamed:
    @pytest.mark.parametrize("path", ["../secret.mp4", "a/../../secret.mp4", "link.mp4", "out/secret.mp4", "a\0.mp4"])
    def test_no_film_outside_the_folder(self, client, folder, path):
        (folder / "a").mkdir()
        (folder / "link.mp4").symlink_to(folder.parent / "secret.mp4")
        (folder / "out").symlink_to(folder.parent)
        answer = client.post("/api/films", json={"path": path})
        assert answer.status_code == 422 and answer.json()["error"] and states(client) == {}

    def test_no_absolute_path_and_no_file_that_is_no_film(self, client, folder):
        (folder / "notes.txt").touch()
        for path in (str(folder.parent / "secret.mp4"), "/etc/passwd", "notes.txt", "", ".", 7, None):
            assert client.post("/api/films", json={"path": path}).status_code == 422
        assert client.post("/api/films", json={"path": "gone.mp4"}).status_code == 404
        answer = client.post("/api/films", content=b"{", headers={"Content-Type": "application/json"})
        assert answer.status_code == 422 and "no path" in answer.json()["error"] and states(client) == {}

    def test_one_browses_below_the_folder_alone(self, client, folder):
        (folder / "b").mkdir()
        (folder / "B2").mkdir()
        (folder / ".hidden").mkdir()
        (folder / "out").symlink_to(folder.parent)
        (folder / "link.mp4").symlink_to(folder.parent / "secret.mp4")
        (folder / "b" / "one.MOV").write_bytes(b"123")
        (folder / "b" / "two.txt").touch()
        assert client.get("/api/browse").json() == {"path": "", "folders": ["b", "B2"], "films": []}
        film = {"name": "one.MOV", "path": "b/one.MOV", "size": 3}
        assert client.get("/api/browse?path=b").json() == {"path": "b", "folders": [], "films": [film]}
        for path in ("..", "b/../..", "out", "/", str(folder.parent)):
            assert client.get("/api/browse", params={"path": path}).status_code == 422
        assert client.get("/api/browse?path=gone").status_code == 404

    @pytest.mark.parametrize(
        ("name", "stem"),
        [
            ("../../evil.mp4", "evil"),
            ("..\\..\\evil.mp4", "evil"),
            ("/etc/cron.d/evil.mp4", "evil"),
            ("...mp4", "film"),
            (".hidden.mp4", "hidden"),
            ("a\0b\n.mp4", "a_b"),
            ("Señorita & <b>.MP4", "Señorita _ _b"),
            ("x" * 500 + ".mp4", "x" * 80),
        ],
    )
    def test_an_upload_gets_a_name_of_its_own(self, client, folder, name, stem):
        for number in (f"{stem}.mp4", f"{stem} (2).mp4"):
            answer = client.post("/api/films", params={"name": name}, content=b"no film")
            assert answer.status_code == 202 and answer.json()["name"] == number and answer.json()["uploaded"]
        names = {path.name for path in (folder / "shot_types_uploads").iterdir()}
        assert names == {f"{stem}.mp4", f"{stem} (2).mp4"}
        assert {path.name for path in folder.parent.iterdir()} == {"films", "secret.mp4"}

    def test_what_is_no_film_by_its_name_is_not_taken(self, client, folder):
        for name in ("a.exe", "mp4", "", "a.mp4.html", "a."):
            answer = client.post("/api/films", params={"name": name}, content=b"x")
            assert answer.status_code == 422 and "no film" in answer.json()["error"]
        assert not (folder / "shot_types_uploads").exists()

    def test_only_files_of_the_film_are_given(self, analysed):
        results = analysed.folder / "shot_types_analysis"
        (results / "mine.csv").write_text("mine")
        (results / "film_shots" / "mine.jpg").write_text("mine")
        own = ("film.edl", "film.csv", "film_shots/0001.jpg")
        assert all(analysed.get(f"/films/{analysed.number}/{name}").status_code == 200 for name in own)
        others = ("mine.csv", "queue.json", "film_shots/mine.jpg", "film_shots/", "film_shots", "../film.mp4")
        others += ("%2e%2e/film.mp4", "..%2ffilm.mp4", "%2fetc%2fpasswd", "film_shots/../mine.csv", "film_shots%00")
        for name in others:
            answer = analysed.get(f"/films/{analysed.number}/{name}")
            assert answer.status_code == 404 and answer.json()["error"], name
        assert analysed.get("/films/elsewhere/video").status_code == 404


class TestUploads:
    def test_one_over_the_limit_is_not_taken_and_nothing_is_left(self, folder, light):
        with opened(folder, light, limit=0.000_001) as client:
            for content in (b"x" * 1001, (b"x" * 100 for _ in range(11))):  # with its length said before, and without
                answer = client.post("/api/films?name=a.mp4", content=content)
                assert answer.status_code == 413 and "larger than" in answer.json()["error"]
            assert client.post("/api/films?name=a.mp4", content=b"x" * 1000).status_code == 202
            assert [path.name for path in (folder / "shot_types_uploads").iterdir()] == ["a.mp4"]

    def test_one_that_breaks_off_leaves_nothing(self, folder, light):
        app, said = application(folder, PORT, TOKEN, weights=light), []
        headers = {"host": f"127.0.0.1:{PORT}", "cookie": f"shot_types_{PORT}={TOKEN}", "x-shot-types": "1"}
        scope = {"type": "http", "method": "POST", "path": "/api/films", "query_string": b"name=a.mp4"}
        scope |= {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
        chunks = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]

        async def receive():
            return chunks.pop(0)

        async def send(message):
            said.append(message)

        asyncio.run(app(scope, receive, send))
        assert said[0]["status"] == 400 and not list((folder / "shot_types_uploads").iterdir())

    def test_what_a_killed_server_had_half_written_is_removed(self, folder, light):
        (folder / "shot_types_uploads").mkdir()
        (folder / "shot_types_uploads" / ".0123.part").touch()
        (folder / "shot_types_uploads" / "a.mp4").touch()
        with opened(folder, light):
            assert [path.name for path in (folder / "shot_types_uploads").iterdir()] == ["a.mp4"]

    def test_who_removes_a_film_removes_results_and_upload_but_no_film_of_the_folder(self, client, folder):
        path = write_video(folder / "film.mp4", [textured(90, 160, seed) for seed in (0, 1) for _ in range(24)])
        (folder / "shot_types_analysis" / "mine.txt").touch()
        numbers = [client.post("/api/films?name=up.mp4", content=path.read_bytes()).json()["id"]]
        path.write_bytes(path.read_bytes() + b"\0")  # another film
        numbers.append(client.post("/api/films", json={"path": "film.mp4"}).json()["id"])
        assert [ended(client, number)["state"] for number in numbers] == ["done", "done"]
        assert len(list((folder / "shot_types_analysis").iterdir())) > 30
        assert [client.delete(f"/api/films/{number}").status_code for number in numbers] == [200, 200]
        assert states(client) == {} and client.delete(f"/api/films/{numbers[0]}").status_code == 404
        names = {path.name for path in (folder / "shot_types_analysis").glob("[!.]*")}
        assert names == {"mine.txt", "queue.json"}
        assert not list((folder / "shot_types_uploads").iterdir()) and path.exists()


def jpeg(picture):
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG")
    return data.getvalue()


class TestPictures:
    def test_a_picture_is_answered_like_the_command_line(self, client, light, tmp_path):
        data = jpeg(textured(180, 320))
        (tmp_path / "a.jpg").write_bytes(data)
        expected = load_classifier(weights=light).predict(tmp_path / "a.jpg")
        said = client.post("/api/pictures?name=a.jpg", content=data).json()
        assert list(said["probabilities"]) == list(SCALE)
        assert (said["name"], said["label"], said["confidence"]) == ("a.jpg", expected.label, expected.confidence)
        assert said["probabilities"] == expected.probabilities and said["is_shot"] is None and said["unsure"] is False

    @pytest.mark.parametrize(
        "data", [b"", b"no picture", jpeg(textured(180, 320))[:300], jpeg(np.zeros((4, 4, 3), "u1"))]
    )
    def test_what_is_no_picture_is_one_sentence_with_its_name(self, client, data):
        for path in ("/api/pictures?name=a%20b.jpg", "/api/pictures?name=../a%20b.jpg"):
            answer = client.post(path, content=data)
            assert answer.status_code == 422
            assert answer.json()["error"].split(": ")[0].endswith("a b.jpg") and "/tmp" not in answer.text

    def test_one_that_is_too_large_is_not_read(self, client):
        answer = client.post("/api/pictures", headers={"Content-Length": "100000001"}, content=b"x")
        assert answer.status_code == 413

    def test_heat_maps_where_a_framework_gives_gradients(self, client, tmp_path, pytorch_weights):
        data = jpeg(textured(180, 320))
        assert client.get("/api/state").json()["heatmaps"] is False
        assert client.post("/api/heatmap?label=MS", content=data).status_code == 501
        with opened(tmp_path, pytorch_weights) as other:
            assert other.get("/api/state").json()["heatmaps"] is True
            answer = other.post("/api/heatmap?name=a.jpg&label=MS", content=data)
            assert answer.headers["content-type"] == "image/jpeg"
            assert Image.open(io.BytesIO(answer.content)).size == (320, 180)
            assert other.post("/api/heatmap?label=XX", content=data).status_code == 422
            assert other.post("/api/heatmap?label=MS", content=b"x").status_code == 422


def table_of(client):
    """The path of the film's page's own save, the version, and the table as the page would send it."""
    page = client.get(f"/films/{client.number}/").text
    said = json.loads(page.split("const film = ", 1)[1].split(";\n", 1)[0])
    return said["save"]["url"], said["save"]["version"], [said["columns"], *said["shots"]]


def put(client, url, version, lines, **headers):
    text = "".join(",".join(cells) + "\n" for cells in lines)
    return client.put(url, content=text, headers={"If-Match": version, **headers})


def change(lines, shot, name, value):
    lines = [list(cells) for cells in lines]
    lines[shot][lines[0].index(name)] = value
    return lines


@pytest.fixture
def own(tmp_path, light, analysed):
    """A server whose film was analysed, for one test."""
    folder = tmp_path / "own"
    shutil.copytree(analysed.folder, folder)
    with opened(folder, light) as client:
        client.folder, client.number = folder, analysed.number
        client.csv = folder / "shot_types_analysis" / "film.csv"
        yield client


class TestFilms:
    def test_a_film_that_is_done(self, analysed):
        (found,) = states(analysed).values()
        assert found["name"] == "film.mp4" and found["shots"] == 6 and found["uploaded"] is False
        assert found["seconds"] == found["seconds_done"] == pytest.approx(7.674, abs=0.01) and found["message"] == ""
        assert found["shares"]["LS"] == pytest.approx(0.4, abs=0.01) and sum(found["shares"].values()) == pytest.approx(
            1
        )
        shots = analysed.get(f"/api/films/{analysed.number}/shots?since=2").json()
        assert [shot["label"] for shot in shots] == [*SIX[2:], ""] and shots[0]["shot"] == 3
        assert Image.open(io.BytesIO(analysed.get(shots[0]["thumbnail"]).content)).format == "JPEG"

    def test_within_a_long_shot_the_state_says_how_far_it_is_and_after_a_stop_what_is_kept(self, client, folder):
        write_video(folder / "one.mp4", [scene("MS", 0, 270, 480)] * 720, options={"preset": "ultrafast"})
        number = client.post("/api/films", json={"path": "one.mp4"}).json()["id"]
        found = until(client, number, lambda film: film["seconds_done"])
        assert found["state"] == "working" and found["shots"] == 0 and found["seconds_done"] < found["seconds"] == 30
        stopped = client.post(f"/api/films/{number}/stop").json()
        assert stopped["state"] == "stopped" and stopped["seconds_done"] == stopped["shots"] == 0

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes that are files")
    def test_while_the_files_are_written_all_shots_are_done(self, client, folder, light):
        path = write_video(folder / "a.mp4", shots("LS", "MS"))
        table = film.analyze(path, load_classifier(weights=light), folder / "shot_types_analysis")
        os.mkfifo(folder / "shot_types_analysis" / "a.edl")  # who writes it waits for a reader
        number = client.post("/api/films", json={"path": "a.mp4"}).json()["id"]
        found = until(client, number, lambda film: film["message"])
        assert found["state"] == "working" and found["message"] == "writes the files for other programs"
        end = table["end_seconds"].iloc[-1]
        assert found["shots"] == 2 and found["seconds_done"] == found["seconds"] == end and "shares" not in found
        stopped = client.post(f"/api/films/{number}/stop").json()
        assert stopped["message"] == "" and (stopped["shots"], stopped["seconds_done"]) == (2, end)
        (folder / "shot_types_analysis" / "a.edl").unlink()
        client.post(f"/api/films/{number}/resume")
        assert ended(client, number)["state"] == "done" and states(client)[number]["message"] == ""

    def test_the_film_is_played_from_any_place(self, analysed):
        data = (analysed.folder / "film.mp4").read_bytes()
        answer = analysed.get(f"/films/{analysed.number}/video", headers={"Range": "bytes=100-199"})
        assert answer.status_code == 206 and answer.content == data[100:200]
        assert answer.headers["content-range"] == f"bytes 100-199/{len(data)}"

    def test_downloads_are_those_of_the_command_line(self, analysed):
        files = analysed.get(f"/api/films/{analysed.number}/files").json()
        lying = {path.name for path in (analysed.folder / "shot_types_analysis").glob("film*") if path.is_file()}
        assert {file["name"] for file in files} == lying and all(file["what"] for file in files)
        assert set(WHAT) == {".csv", *RESULTS}
        answer = analysed.get(f"/films/{analysed.number}/film.edl")
        assert "attachment" in answer.headers["content-disposition"] and answer.text.startswith("TITLE: film")

    def test_films_side_by_side(self, analysed):
        said = analysed.get("/api/comparison").json()
        assert said["columns"][:4] == ["film", "shots", "minutes", "ASL"] and said["rows"][0][:2] == ["film", 5]
        assert analysed.get("/api/comparison.csv").text.startswith("film,shots,minutes,ASL")
        assert analysed.get("/api/comparison.png").content.startswith(b"\x89PNG")

    def test_what_is_not_done_has_no_page_and_no_files(self, client, folder):
        (folder / "bad.mp4").write_bytes(b"no film")
        number = client.post("/api/films", json={"path": "bad.mp4"}).json()["id"]
        assert ended(client, number)["state"] == "failed"
        assert client.get(f"/api/films/{number}/shots").json() == []
        for path, status in (("/films/{}/", 409), ("/films/{}/a.csv", 404), ("/api/films/{}/files", 404)):
            answer = client.get(path.format(number))
            assert answer.status_code == status and answer.json()["error"].startswith("bad.mp4: ")
        assert client.put(f"/api/films/{number}/table", content=b"x").status_code == 409

    def test_without_a_film_there_is_nothing_side_by_side(self, client):
        assert client.get("/api/comparison").status_code == 404


class TestSaving:
    def test_a_label_is_saved_and_the_exports_follow(self, own):
        url, version, lines = table_of(own)
        said = put(own, url, version, change(lines, 1, "label", "CS")).json()
        assert said["changed"] == 1 and said["version"] != version
        assert film.load(own.csv)["label"].tolist() == ["CS", *SIX[1:], ""]
        assert " CS" in own.get(f"/films/{own.number}/film.edl").text.split("\n")[3]
        assert states(own)[own.number]["shares"]["CS"] > 0
        assert put(own, url, said["version"], change(lines, 1, "label", "FS")).json()["changed"] == 1
        assert table_of(own)[2][1][lines[0].index("label")] == "FS"

    def test_what_is_saved_as_it_was_changes_nothing(self, own):
        before, (url, version, lines) = own.csv.read_bytes(), table_of(own)
        said = put(own, url, version, lines).json()
        assert said["changed"] == 0 and said["version"] == version and own.csv.read_bytes() == before
        assert said["shots"] == lines[1:]

    def test_the_version_stays_when_exports_and_pictures_follow(self, own):
        url, version, lines = table_of(own)
        at = lines[0].index("start_seconds")
        half = change(lines, 2, "end_seconds", "2.002")
        half = change(half, 2, "end", "")
        half = change(half, 2, "seconds", "")
        rest = list(half[2])
        for name, value in (("shot", ""), ("start", ""), ("end", ""), ("thumbnail", "")):
            rest[lines[0].index(name)] = value
        rest[at], rest[at + 1] = "2.002", lines[2][at + 1]
        said = put(own, url, version, [*half[:3], rest, *half[3:]]).json()
        assert [cells[0] for cells in said["shots"]] == list("1234567") and said["changed"] == 3
        own.get(f"/films/{own.number}/film.edl")
        assert table_of(own)[1] == said["version"] and film.load(own.csv)["thumbnail"][2]

    def test_a_merge_that_was_saved_and_is_undone_leaves_nothing(self, own):
        before, (url, version, lines) = film.load(own.csv), table_of(own)
        end = lines[0].index("end_seconds")
        merged = change(lines, 1, "end_seconds", lines[2][end])
        for name in ("end", "seconds"):
            merged = change(merged, 1, name, "")
        del merged[2]
        said = put(own, url, version, merged).json()
        assert len(said["shots"]) == 5 and film.load(own.csv)["corrected"][0]
        back = change(change(lines, 1, "shot", ""), 2, "shot", "")  # as the page sends rows which the server had not
        for number, row in enumerate(back[3:], 2):
            row[lines[0].index("shot")] = str(number)
        said = put(own, url, said["version"], back).json()
        assert said["shots"] == lines[1:] and said["version"] == version
        pd.testing.assert_frame_equal(film.load(own.csv), before)

    def test_exports_that_cannot_be_written_are_told_until_they_can_be(self, own):
        url, version, lines = table_of(own)
        edl = own.csv.with_suffix(".edl")
        edl.unlink()
        edl.mkdir()
        assert put(own, url, version, change(lines, 1, "label", "CS")).status_code == 200
        sentence = "the files for other programs cannot be written: film.edl: is a folder; name a file in it"
        found = states(own)[own.number]
        assert found["state"] == "done" and found["message"] == sentence
        answer = own.get(f"/films/{own.number}/film.vtt")
        assert answer.status_code == 422 and answer.json()["error"].replace("shot_types_analysis/", "") == sentence
        assert film.load(own.csv)["label"][0] == "CS"
        edl.rmdir()
        assert "CS" in own.get(f"/films/{own.number}/film.vtt").text and states(own)[own.number]["message"] == ""

    def test_a_wrong_table_is_not_taken(self, own):
        before, (url, version, lines) = own.csv.read_bytes(), table_of(own)
        for wrong, sentence in (
            (change(lines, 3, "label", "XX"), "film.csv, line 4: label is 'XX'"),
            (change(lines, 2, "end_seconds", "9"), "film.csv, line"),
            (lines[:1], "film.csv, line 2: all rows are missing"),
            ([["a", "b"]], "film.csv, line 1: not a table"),
            ([], "film.csv"),
        ):
            answer = put(own, url, version, wrong)
            assert answer.status_code == 422 and answer.json()["error"].startswith(sentence)
            assert "/" not in answer.json()["error"].split(",")[0]
        assert own.csv.read_bytes() == before and table_of(own)[1] == version

    def test_the_second_of_two_windows_is_told_what_the_first_changed(self, own):
        url, version, lines = table_of(own)
        first = change(change(change(lines, 3, "label", "CS"), 6, "kind", "title"), 2, "check", "1")
        assert put(own, url, version, first).status_code == 200
        saved = own.csv.read_bytes()
        answer = put(own, url, version, change(lines, 1, "label", "ECS"))
        assert answer.status_code == 409 and "changed in another window" in answer.json()["error"]
        assert answer.json()["changed"] == [
            "shot 2: check 0 -> 1",
            "shot 3: label ECS -> CS",
            "shot 6: kind empty -> title",
        ]
        assert own.csv.read_bytes() == saved
        url, version, lines = table_of(own)
        assert answer.json()["version"] == version
        assert put(own, url, version, change(lines, 1, "label", "ECS")).status_code == 200

    def test_a_table_that_another_program_changed_is_a_second_window_too(self, own):
        url, version, lines = table_of(own)
        table = film.load(own.csv)
        film.save(table.assign(label=["MS", *table["label"][1:]]), own.csv)
        for given in (version, "", "elsewhere"):
            answer = put(own, url, given, lines)
            assert answer.status_code == 409 and answer.json()["changed"]
        assert put(own, url, version, lines).json()["changed"] == ["shot 1: label LS -> MS"]

    def test_the_page_is_the_exported_one(self, own):
        page, exported = own.get(f"/films/{own.number}/").text, own.csv.with_suffix(".html").read_text()

        def frame(text):
            return [line for line in text.splitlines() if not line.startswith("const film = ")]

        assert frame(page) == frame(exported) and "base64" not in page
