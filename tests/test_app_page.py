"""The front page in a real browser, against a small server that answers as the real one does, with made answers."""

import base64
import contextlib
import csv
import io
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT, textured
from PIL import Image
from playwright.sync_api import expect

from shot_types.labels import COLORS, DEFINITIONS, GREYS, NAMES, SCALE

POLICY = "default-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'"
FAR = {"ECS": 0.01, "CS": 0.02, "MS": 0.07, "FS": 0.2, "LS": 0.7}
SURE = {"label": "LS", "confidence": 0.7, "probabilities": FAR, "unsure": False, "is_shot": 0.9}
SHARES = {"ECS": 0.1, "CS": 0.2, "MS": 0.3, "FS": 0.4, "LS": 0.0}


def jpeg(seed=0):
    data = io.BytesIO()
    Image.fromarray(textured(90, 160, seed)).save(data, "JPEG")
    return data.getvalue()


def film(name, state="waiting", **others):
    usual = {"id": name.split(".")[0], "seconds_done": 0, "seconds": 60, "shots": 0, "message": "", "uploaded": True}
    return {**usual, "name": name, "state": state, **others}


def shot(number, label="MS", **others):
    times = {"start": f"00:00:{number % 60:02}:00", "end": f"00:00:{number % 60:02}:12", "seconds": 0.5}
    rest = {"kind": "shot", "label": label, "confidence": 0.8, "check": 0, "thumbnail": f"/films/take1/{number}.jpg"}
    return {"shot": number, **times, **rest, **others}


class Stub:
    """What the server has, for a test to change, and what it was asked: `asked` holds (method, address, body)."""

    def __init__(self):
        self.heatmaps, self.films, self.shots, self.asked = True, [], [], []
        self.gone = False  # or no answer comes
        self.free = threading.Event()  # or pictures, films that are copied and shots wait
        self.free.set()
        self.answers = {}  # (method, path) -> (status, JSON): instead of what follows
        app = {"scale": SCALE, "names": NAMES, "definitions": DEFINITIONS, "colors": COLORS | GREYS}
        app |= {"pictures": [".jpg", ".png", ".tif"], "films": [".mxf"]}
        page = (ROOT / "shot_types/app/app.html").read_text(encoding="utf-8")
        self.page = page.replace("null /* the app */", json.dumps(app))

    def answer(self, method, path, query, body, kind):
        """(status, what to send: JSON, or bytes and their type)."""
        if (method, path) in self.answers:
            return self.answers[method, path]
        ids = {one["id"]: one for one in self.films}
        found = re.fullmatch(r"/api/films/(\w+)/(stop|resume|shots|files)|/films/(\w+)/(.+)|/api/films/(\w+)", path)
        if (method, path) == ("POST", "/api/pictures"):
            self.free.wait(20)
        if found and found[2] in ("stop", "resume"):
            ids[found[1]]["state"] = "stopped" if found[2] == "stop" else "working"
            return 200, ids[found[1]]
        if found and found[2] == "shots":
            rows = self.shots[int(query["since"]) :]
            self.free.wait(20)
            return 200, rows
        if found and found[2] == "files":
            return 200, [{"name": "take 1.edl", "what": "edit decision list"}, {"name": "take 1.csv", "what": ""}]
        if found and found[5] and method == "DELETE":
            self.films.remove(ids[found[5]])
            return 200, {}
        if found and found[4]:
            return 200, (jpeg(), "image/jpeg") if found[4].endswith(".jpg") else (b"TITLE: take", "text/plain")
        if (method, path) == ("POST", "/api/films"):
            self.free.wait(20)
            name = json.loads(body)["path"].split("/")[-1] if kind == "application/json" else query["name"]
            self.films.append(film(name, uploaded=kind != "application/json"))
            return 202, self.films[-1]
        rows = [["take1", 12, 0.123456, 0.25], ["take2", 30, 1.5, None]]
        inner = {"path": "old", "folders": [], "films": [{"name": "a.mov", "path": "old/a.mov", "size": 2500000000}]}
        outer = {"path": "", "folders": ["old"], "films": [{"name": "b.mp4", "path": "b.mp4", "size": 1500000}]}
        state = {"heatmaps": self.heatmaps, "folder": "Lessons", "unsure_below": 0.6, "films": self.films}
        return {
            ("GET", "/"): (200, (self.page.encode(), "text/html")),
            ("POST", "/api/pictures"): (200, {"name": query.get("name"), **SURE}),
            ("POST", "/api/heatmap"): (200, (jpeg(7), "image/jpeg")),
            ("GET", "/api/state"): (200, state),
            ("GET", "/api/browse"): (200, inner if query.get("path") else outer),
            ("GET", "/api/comparison"): (200, {"columns": ["film", "shots", "ASL", "CS"], "rows": rows}),
            ("GET", "/api/comparison.png"): (200, (jpeg(), "image/jpeg")),
        }.get((method, path), (404, {"error": f"{path} is not there."}))

    def count(self, method, path):
        return sum((method, path) == (one, urlsplit(address).path) for one, address, _ in self.asked)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do(self):
        body, address = self.rfile.read(int(self.headers.get("Content-Length") or 0)), urlsplit(self.path)
        if self.server.stub.gone:
            self.close_connection = True
            return
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.server.stub.asked.append((self.command, self.path, body))
        if self.command != "GET" and self.headers.get("X-Shot-Types") != "1":
            status, said = 403, {"error": "This came from another page."}
        else:
            kind = self.headers.get("Content-Type")
            status, said = self.server.stub.answer(self.command, unquote(address.path), query, body, kind)
        data, kind = said if isinstance(said, tuple) else (json.dumps(said).encode(), "application/json")
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", len(data)), ("Content-Security-Policy", POLICY)):
            self.send_header(name, str(value))
        with contextlib.suppress(ConnectionError):  # a page that is closed waits for no picture
            self.end_headers()
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = do  # noqa: N815 (the names that the server looks for)

    def log_message(self, *_):
        """Prints nothing."""


@pytest.fixture
def stub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.stub = Stub()
    server.stub.address = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.stub
    server.shutdown()
    server.server_close()


@pytest.fixture
def show(browser, stub):
    """Opens the page; at the end no script has failed or complained (a browser tells each refused request itself)."""
    context, said = browser.new_context(accept_downloads=True), []
    context.set_default_timeout(10000)

    def complained(message):
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            said.append(message.text)

    def show(width=1280):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 800})
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", complained)
        page.goto(stub.address)
        expect(page.locator("#folder")).to_have_text("Lessons")
        return page

    yield show
    context.close()
    assert said == []


def drop(page, *files):
    """Drops (name, type, bytes) on the drop zone."""
    named = [[name, kind, base64.b64encode(data).decode()] for name, kind, data in files]
    make = """files => {
      const data = new DataTransfer();
      for (const [name, type, text] of files)
        data.items.add(new File([Uint8Array.from(atob(text), (one) => one.charCodeAt())], name, { type }));
      return data;
    }"""
    data = page.evaluate_handle(make, named)
    page.dispatch_event("#zone", "dragover", {"dataTransfer": data})
    assert page.locator("#zone.over").count() == 1
    page.dispatch_event("#zone", "drop", {"dataTransfer": data})


def drop_paths(page, *paths):
    """Drops files and folders of this computer on the drop zone."""
    zone, driver = page.locator("#zone").bounding_box(), page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"type": kind, "x": zone["x"] + 20, "y": zone["y"] + 20}
        driver.send("Input.dispatchDragEvent", {**place, "data": data})


def picture(name="a.jpg", seed=0):
    return name, "image/jpeg", jpeg(seed)


def card(page, number=1):
    return page.locator("#cards > li").nth(number - 1)


def item(page, name):
    return page.locator("#queue > li").filter(has=page.get_by_role("heading", name=name, exact=True))


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def test_a_dropped_picture_shows_its_label_bars_and_marks(show, stub):
    page = show()
    stub.answers["POST", "/api/pictures"] = 200, {"name": "a", **SURE, "unsure": True, "is_shot": 0.4}
    drop(page, picture("a b&c.jpg"))
    expect(card(page)).to_contain_text("LS long shot")
    expect(card(page)).to_contain_text("unsure")
    expect(card(page)).to_contain_text("no shot?")
    expect(page.get_by_alt_text("a b&c.jpg")).to_have_js_property("naturalWidth", 160)
    bars = card(page).get_by_role("list", name="scale of a b&c.jpg").locator("li")
    assert [text.split() for text in bars.all_inner_texts()] == [
        [label, f"{share:.0%}"[:-1], "%"] for label, share in FAR.items()
    ]
    widths = [bar["width"] for bar in map(lambda bar: bar.bounding_box(), page.locator(".bar i").all())]
    assert widths[4] == pytest.approx(widths[3] * 3.5, rel=0.05)
    assert stub.asked[-1][1:] == ("/api/pictures?name=a%20b%26c.jpg", jpeg())
    stub.answers["POST", "/api/pictures"] = 200, {"name": "a", **SURE, "is_shot": None}
    drop(page, picture())
    expect(card(page, 2)).to_contain_text("LS long shot")
    assert page.locator(".mark").count() == 2


def test_pictures_and_films_are_chosen_and_pasted(show, stub, tmp_path):
    page = show()
    files = [tmp_path / "one.png", tmp_path / "two.tif", tmp_path / "take1.mxf"]
    Image.fromarray(textured(90, 160)).save(files[0])
    Image.fromarray(textured(90, 160)).save(files[1])
    files[2].write_bytes(b"film")
    with page.expect_file_chooser() as chooser:
        button(page, "Choose pictures or films").click()
    chooser.value.set_files(files)
    expect(card(page, 2)).to_contain_text("This browser cannot show this kind of picture")
    expect(card(page, 2)).to_contain_text("LS long shot")
    expect(button(page, "stop take1.mxf")).to_be_visible()
    assert ("POST", "/api/films?name=take1.mxf", b"film") in stub.asked
    page.evaluate("""() => {
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File(["x"], "image.png", { type: "image/png" }));
      dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
    }""")
    expect(card(page, 3).get_by_role("heading")).to_have_text("pasted 1.png")
    expect(card(page, 3)).to_contain_text("LS long shot")
    assert ("POST", "/api/pictures?name=pasted%201.png", b"x") in stub.asked


def test_a_heat_map_comes_and_goes_where_the_server_has_them(show, stub):
    page = show()
    drop(page, picture())
    heat, image = button(page, "heat map of a.jpg"), page.get_by_alt_text("a.jpg")
    before = image.get_attribute("src")
    heat.click()
    expect(heat).to_have_attribute("aria-pressed", "true")
    assert image.get_attribute("src") != before
    assert ("POST", "/api/heatmap?name=a.jpg&label=LS", jpeg()) in stub.asked
    heat.click()
    expect(heat).to_have_attribute("aria-pressed", "false")
    assert image.get_attribute("src") == before
    stub.answers["POST", "/api/heatmap"] = 501, {"error": "Heat maps need PyTorch."}
    heat.click()
    expect(page.get_by_role("alert")).to_contain_text("Heat maps need PyTorch.")
    stub.heatmaps = False
    page = show()
    drop(page, picture())
    expect(card(page)).to_contain_text("LS long shot")
    assert button(page, "heat map of a.jpg").count() == 0


def test_the_table_of_pictures_has_the_columns_of_the_command_line(show, stub):
    page = show()
    drop(page, picture('=a, "b".jpg'))
    expect(card(page)).to_contain_text("LS long shot")
    stub.answers["POST", "/api/pictures"] = 422, {"error": "c.jpg is no picture: save it anew."}
    drop(page, picture("c.jpg"))
    expect(card(page, 2)).to_contain_text("is no picture")
    with page.expect_download() as download:
        button(page, "Save table (CSV)").click()
    head, first, second = csv.reader(io.StringIO(Path(download.value.path()).read_text(), newline=""))
    assert download.value.suggested_filename == "pictures.csv"
    assert head == ["path", "label", "confidence", *SCALE, "is_shot", "error"]
    assert first == ['./=a, "b".jpg', "LS", "0.7000", *(f"{share:.4f}" for share in FAR.values()), "0.9000", ""]
    assert second == ["c.jpg", *[""] * 8, "c.jpg is no picture: save it anew."]


def test_in_teachers_mode_the_class_votes_before_it_sees(show, stub):
    page = show()
    drop(page, picture("wide_LS.jpg"), picture("b.jpg", 1))
    expect(card(page)).to_contain_text("LS long shot")
    button(page, "Teacher's mode").click()
    for text in ("long shot", "70 %", "wide_LS", "Heat map"):
        expect(card(page)).not_to_contain_text(text)
    assert card(page).get_attribute("aria-current") is not None
    for key in "5534":
        page.keyboard.press(key)
    page.keyboard.press("Backspace")
    card(page).get_by_role("button", name="4: vote FS").click()
    votes = page.get_by_role("list", name="votes on picture 1").locator("li > span:last-child")
    assert votes.all_inner_texts() == ["0 votes", "0 votes", "1 vote", "1 vote", "2 votes"]
    expect(page.get_by_role("status")).to_contain_text("4 votes")
    assert "long shot" not in card(page, 2).inner_text()
    page.keyboard.press("r")
    expect(card(page)).to_contain_text("LS long shot")
    expect(card(page)).to_contain_text("70 % · 2 votes")
    expect(page.get_by_role("status")).to_contain_text("4 votes, 2 for LS long shot, which is the answer")
    page.keyboard.press("5")  # too late
    page.keyboard.press("n")
    assert card(page, 2).get_attribute("aria-current") is not None and card(page).get_attribute("aria-current") is None
    page.keyboard.press("1")
    expect(card(page, 2)).to_contain_text("1 vote: what do you see?")
    button(page, "reveal the answer for picture 2").click()
    expect(card(page, 2)).to_contain_text("1 % · 1 vote")
    button(page, "Teacher's mode").click()
    expect(card(page)).to_contain_text("wide_LS.jpg")
    expect(button(page, "New round")).to_be_hidden()
    button(page, "Teacher's mode").click()
    expect(card(page)).to_contain_text("70 % · 2 votes")
    page.on("dialog", lambda dialog: dialog.accept())
    button(page, "New round").click()  # for the next class
    expect(card(page)).to_contain_text("0 votes: what do you see?")


def saved_pictures(page):
    with page.expect_download() as download:
        button(page, "Save table (CSV)").click()
    return list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(), newline="")))


def test_votes_are_in_the_table_until_a_new_round_begins(show, stub):
    page, asked, agree = show(), [], False
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept() if agree else dialog.dismiss()))
    drop(page, picture(), picture("b.jpg", 1))
    expect(card(page, 2)).to_contain_text("LS long shot")
    button(page, "Teacher's mode").click()
    assert "votes_MS" not in saved_pictures(page)[0]
    for key in "3351r":
        page.keyboard.press(key)
    votes = [{"ECS": "1", "CS": "0", "MS": "2", "FS": "0", "LS": "1"}, dict.fromkeys(SCALE, "0")]
    for press in ("Teacher's mode", "Teacher's mode", "New round"):  # off, on, and a question that is denied
        rows = saved_pictures(page)
        assert list(rows[0]) == [
            *["path", "label", "confidence"],
            *SCALE,
            "is_shot",
            "error",
            *map("votes_{}".format, SCALE),
        ]
        assert [{label: row[f"votes_{label}"] for label in SCALE} for row in rows] == votes
        assert asked == []
        button(page, press).click()
    assert len(asked) == 1 and "All votes are forgotten" in asked[0]
    assert saved_pictures(page)[0]["votes_MS"] == "2"
    agree = True
    button(page, "New round").click()
    assert "votes_MS" not in saved_pictures(page)[0]
    expect(card(page)).to_contain_text("what do you see?")


def test_a_picture_is_removed_and_its_name_is_not_told_in_teachers_mode(show, stub):
    page, asked = show(), []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    drop(page, *(picture(f"{name}_LS.jpg", seed) for seed, name in enumerate("abc")))
    expect(card(page, 3)).to_contain_text("LS long shot")
    source = page.get_by_alt_text("b_LS.jpg").get_attribute("src")
    button(page, "remove b_LS.jpg").click()
    assert page.locator("#cards h3").all_inner_texts() == ["a_LS.jpg", "c_LS.jpg"]
    expect(button(page, "remove c_LS.jpg")).to_be_focused()
    assert page.evaluate("source => fetch(source).then(() => 'there', () => 'freed')", source) == "freed"
    assert [row["path"] for row in saved_pictures(page)] == ["a_LS.jpg", "c_LS.jpg"]
    button(page, "Teacher's mode").click()
    page.keyboard.press("1")  # for the picture that has the focus
    assert not re.search("[abc]_LS", page.locator("#pictures").evaluate("part => part.outerHTML"))
    button(page, "remove picture 3").click()
    assert len(asked) == 1 and "with the votes" in asked[0] and "_LS" not in asked[0]
    button(page, "remove picture 1").click()
    expect(page.get_by_role("status")).to_have_text("1 picture removed")
    page.keyboard.press("2")
    expect(card(page)).to_contain_text("2 votes: what do you see?")
    assert len(asked) == 1 and page.locator("#cards > li").count() == 1


def test_all_pictures_are_cleared_and_late_answers_bring_none_back(show, stub):
    page, agree, asked = show(), False, []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept() if agree else dialog.dismiss()))
    stub.free.clear()
    with page.expect_request("**/api/pictures?name=a.jpg"):
        drop(page, picture(), picture("b.jpg"))
    button(page, "Clear pictures").click()
    assert len(asked) == 1 and "Remove 2 pictures" in asked[0] and page.locator("#cards > li").count() == 2
    agree = True
    button(page, "Clear pictures").click()
    expect(page.get_by_role("heading", name="Pictures")).to_be_hidden()
    expect(button(page, "Choose pictures or films")).to_be_focused()
    drop(page, picture("c.jpg"))
    stub.free.set()
    expect(card(page)).to_contain_text("LS long shot")
    assert page.locator("#cards h3").all_inner_texts() == ["c.jpg"]
    assert [address[-5:] for _, address, _ in stub.asked if "/api/pictures" in address] == ["a.jpg", "c.jpg"]
    button(page, "Clear pictures").click()
    expect(page.get_by_role("heading", name="Pictures")).to_be_hidden()
    assert len(asked) == 2, "one picture alone is no question"


def test_a_dropped_folder_gives_its_pictures_and_films_in_order_of_name(show, stub, tmp_path):
    folder = tmp_path / "Lessons"
    for name in (
        "b10.jpg",
        "b9.JPG",
        "a/c.png",
        ".git/d.jpg",
        "notes.txt",
        "take 2.mxf",
        "take 1.mp4",
        "x.y/z",
        ".e.jpg",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg())
    (tmp_path / "loose.jpg").write_bytes(jpeg())
    page = show()
    drop_paths(page, folder, tmp_path / "loose.jpg")
    expect(item(page, "take 2.mxf")).to_contain_text("waits")
    expect(card(page, 4)).to_contain_text("LS long shot")
    names = ["loose.jpg", "Lessons/a/c.png", "Lessons/b9.JPG", "Lessons/b10.jpg"]
    assert page.locator("#cards h3").all_text_contents() == names
    assert [one["name"] for one in stub.films] == ["take 1.mp4", "take 2.mxf"]
    said = "Lessons: 5 files taken; left out: 2 neither picture nor film, 2 hidden."
    assert page.get_by_role("alert").locator("span").all_inner_texts() == [said]


def test_of_a_folder_with_very_many_files_all_are_taken(show, stub, tmp_path):
    for number in range(250):  # a browser tells a hundred at a time
        (tmp_path / f"{number}.jpg").write_bytes(jpeg())
    page = show()
    drop_paths(page, tmp_path)
    expect(page.locator("#cards > li")).to_have_count(250)
    assert [text.split("/")[-1] for text in page.locator("#cards h3").all_text_contents()] == [
        f"{n}.jpg" for n in range(250)
    ]
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_folder_without_end_and_files_that_cannot_be_read_are_said(show):
    page = show()
    page.evaluate("""() => {
      const file = (give, fail) => fail(new Error("locked"));
      const entries = [..."12345".repeat(20)].map((name) => ({ name, fullPath: `/Big/${name}`, file }));
      const readEntries = (give) => give(entries);
      return takeFolder({ name: "Big", isDirectory: true, createReader: () => ({ readEntries }) });
    }""")
    said = page.get_by_role("alert").locator("span")
    expect(said).to_contain_text(
        "Big: no picture or film is in this folder; left out: 10,000 not readable; only 10,000 files"
    )


@pytest.mark.parametrize(("name", "says"), [("", "."), ("notes.txt", "; left out: 1 neither picture nor film.")])
def test_a_folder_without_pictures_and_films_says_so(show, tmp_path, name, says):
    (tmp_path / "Empty").mkdir()
    if name:
        (tmp_path / "Empty" / name).write_text("nothing")
    page = show()
    drop_paths(page, tmp_path / "Empty")
    expect(page.get_by_role("alert").locator("span")).to_have_text(f"Empty: no picture or film is in this folder{says}")


def test_a_picture_that_comes_in_teachers_mode_gives_nothing_away(show, stub):
    page = show()
    drop(page, picture())
    source = page.get_by_alt_text("a.jpg").get_attribute("src")
    button(page, "heat map of a.jpg").click()
    expect(page.get_by_alt_text("a.jpg")).not_to_have_attribute("src", source)
    button(page, "Teacher's mode").click()
    drop(page, picture("second_LS.jpg", 1))
    expect(card(page, 2)).to_contain_text("what do you see?")
    expect(page.get_by_alt_text("picture 1")).to_have_attribute("src", source)
    for place in ("#pictures", "#status", "#errors"):
        assert not re.search("second|long shot", page.locator(place).inner_text())


def test_a_dropped_film_is_copied_and_its_shots_appear(show, stub):
    page = show()
    drop(page, ("take1.mp4", "video/mp4", b"film"))
    expect(button(page, "stop take1.mp4")).to_be_visible()
    assert ("POST", "/api/films?name=take1.mp4", b"film") in stub.asked
    stub.shots = [shot(1, "LS"), shot(2, "", kind="title", confidence=None, check=1)]
    stub.films[0].update(state="working", seconds_done=15, shots=2)
    shots = page.get_by_role("list", name="shots of take1.mp4").get_by_role("listitem")
    expect(shots).to_have_count(2)
    assert shots.all_inner_texts() == ["LS 80 %", "title ●"] and shots.get_by_role("link").count() == 0
    expect(item(page, "take1.mp4")).to_contain_text("works, 00:00:15 of 00:01:00 (25 %) · 2 shots")
    bar = page.get_by_role("progressbar", name="progress of take1.mp4")
    assert bar.evaluate("bar => bar.value / bar.max") == 0.25
    stub.shots += [shot(3, "CS")]
    stub.films[0].update(seconds_done=30, shots=3)
    expect(shots).to_have_count(3)
    stub.films[0].update(state="done", seconds_done=60, shares=SHARES)
    stub.shots[0]["label"] = "FS"
    opened = page.get_by_role("link", name="open take1.mp4 in a new tab")
    expect(opened).to_have_attribute("href", "/films/take1/")
    expect(shots.first).to_have_text("FS 80 %")
    link = page.get_by_role("link", name="open take1.mp4 at shot 2", exact=True)
    expect(link).to_have_attribute("href", "/films/take1/#shot-2")
    expect(link).to_have_attribute("target", "_blank")
    shares = page.get_by_role("list", name="time in each class").get_by_role("listitem")
    assert shares.all_inner_texts() == ["ECS 10 %", "CS 20 %", "MS 30 %", "FS 40 %", "LS 0 %"]
    item(page, "take1.mp4").get_by_text("Downloads").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="take 1.edl").click()
    assert Path(download.value.path()).read_text() == "TITLE: take"
    asked = stub.count("GET", "/api/state")
    page.wait_for_timeout(1500)
    assert stub.count("GET", "/api/state") == asked, "nothing works, so nothing is asked"


def test_shots_that_come_late_do_not_mix_with_those_of_the_film_that_is_done(show, stub):
    stub.films, stub.shots = [film("take1.mp4")], [shot(1, "LS")]
    stub.free.clear()
    page = show()
    with page.expect_request("**/shots?since=0"):
        stub.films[0].update(state="working", shots=1)
    stub.shots = [shot(1, "FS"), shot(2, "CS")]
    stub.films[0].update(state="done", shots=2)
    expect(page.get_by_role("link", name="open take1.mp4 in a new tab")).to_be_visible()
    stub.free.set()
    shots = page.get_by_role("list", name="shots of take1.mp4").get_by_role("listitem")
    expect(shots).not_to_have_count(0)
    page.wait_for_timeout(500)
    assert shots.all_inner_texts() == ["FS 80 %", "CS 80 %"]


def test_a_picture_is_known_by_its_type_and_else_by_its_ending(show, stub):
    page = show()
    drop(page, ("frame", "image/jpeg", jpeg()), ("b.PNG", "", jpeg()), ("take1.jpg.mts", "", b"film"))
    expect(button(page, "stop take1.jpg.mts")).to_be_visible()
    expect(page.get_by_text("LS long shot", exact=True)).to_have_count(2)
    assert page.locator("#cards h3").all_inner_texts() == ["frame", "b.PNG"]
    assert [one["name"] for one in stub.films] == ["take1.jpg.mts"]


def test_films_are_copied_one_after_the_other_and_each_can_be_stopped(show, stub):
    stub.free.clear()
    page, names = show(), ("take1.mp4", "take2.mp4", "take3.mp4")
    drop(page, *((name, "video/mp4", name.encode()) for name in names))
    expect(item(page, "take1.mp4")).to_contain_text("copying: 0.0 MB of 0.0 MB")
    expect(item(page, "take3.mp4")).to_contain_text("waits to be copied")
    assert stub.count("POST", "/api/films") == 1
    button(page, "stop copying take2.mp4").click()
    expect(item(page, "take2.mp4")).to_have_count(0)
    stub.free.set()
    expect(button(page, "stop take3.mp4")).to_be_visible()
    assert [one["name"] for one in stub.films] == ["take1.mp4", "take3.mp4"]
    stub.free.clear()
    drop(page, ("take4.mp4", "video/mp4", b"film"))
    button(page, "stop copying take4.mp4").click()
    expect(item(page, "take4.mp4")).to_have_count(0)
    expect(page.get_by_role("status")).to_have_text("take4.mp4 is not copied")
    expect(page.get_by_role("alert")).to_be_empty()
    stub.free.set()


def test_a_film_is_stopped_goes_on_and_is_removed_when_one_agrees(show, stub):
    stub.films = [film("take1.mp4", "working", seconds=None, uploaded=False), film("take2.mp4")]
    page, agree, asked = show(), False, []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept() if agree else dialog.dismiss()))
    assert page.get_by_role("heading", level=3).all_inner_texts() == ["take1.mp4", "take2.mp4"]
    button(page, "stop take1.mp4").click()
    expect(item(page, "take1.mp4")).to_contain_text("stopped")
    button(page, "go on with take1.mp4").click()
    expect(item(page, "take1.mp4")).to_contain_text("works")
    button(page, "remove take1.mp4").click()
    assert len(asked) == 1 and "The film itself stays" in asked[0] and len(stub.films) == 2
    agree = True
    button(page, "remove take2.mp4").click()
    expect(item(page, "take2.mp4")).to_have_count(0)
    assert "copy of the film that was dropped is deleted" in asked[1]
    assert [one["name"] for one in stub.films] == ["take1.mp4"]


def test_a_film_is_opened_by_its_path(show, stub):
    page = show()
    page.get_by_text("Open a film by path").click()
    button(page, "open film b.mp4, 1.5 MB").click()
    expect(item(page, "b.mp4")).to_contain_text("waits")
    button(page, "folder old").click()
    button(page, "open film a.mov, 2.5 GB").click()
    expect(item(page, "a.mov")).to_contain_text("waits")
    button(page, "to the folder above").click()
    expect(button(page, "folder old")).to_be_focused()
    page.get_by_label("Path in the folder").fill("new/c.mkv")
    page.keyboard.press("Enter")
    expect(item(page, "c.mkv")).to_contain_text("waits")
    paths = [
        json.loads(body)["path"] for method, address, body in stub.asked if (method, address) == ("POST", "/api/films")
    ]
    assert paths == ["b.mp4", "old/a.mov", "new/c.mkv"]
    button(page, "Open film").click()
    expect(page.get_by_role("alert")).to_contain_text("No path is given")


def test_films_side_by_side_when_two_are_done(show, stub):
    stub.films = [film("take1.mp4", "done", shares=SHARES), film("take2.mp4", "working")]
    page = show()
    expect(page.get_by_role("heading", name="Films side by side")).to_be_hidden()
    stub.films[1].update(state="done", shares=SHARES)
    expect(page.get_by_role("row", name="take1 12 0.12 25 %")).to_be_visible()
    expect(page.get_by_role("columnheader")).to_have_text(["film", "shots", "ASL", "CS"])
    image = page.get_by_role("img", name="take1.mp4, take2.mp4")
    image.scroll_into_view_if_needed()
    expect(image).to_have_js_property("naturalWidth", 160)
    expect(page.get_by_role("link", name="Save comparison")).to_have_attribute("href", "/api/comparison.csv")


CALLS = {  # what is asked -> what a person does so that it is asked
    ("POST", "/api/pictures"): lambda page: drop(page, picture()),
    ("POST", "/api/films"): lambda page: drop(page, ("take3.mp4", "", b"film")),
    ("POST", "/api/films/take1/stop"): lambda page: button(page, "stop take1.mp4").click(),
    ("GET", "/api/films/take1/shots"): lambda page: item(page, "take1.mp4").get_by_text("Shots (1)").click(),
    ("GET", "/api/films/take2/files"): lambda page: item(page, "take2.mp4").get_by_text("Downloads").click(),
    ("DELETE", "/api/films/take2"): lambda page: button(page, "remove take2.mp4").click(),
    ("GET", "/api/browse"): lambda page: page.get_by_text("Open a film by path").click(),
    ("GET", "/api/comparison"): lambda page: None,
}


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_what_the_server_refuses_is_said(show, stub, call):
    stub.films = [film("take1.mp4", "waiting", shots=1), film("take2.mp4", "done"), film("take4.mp4", "done")]
    stub.answers[call] = 422, {"error": "It is broken: mend it."}
    page = show()
    page.on("dialog", lambda dialog: dialog.accept())
    CALLS[call](page)
    expect(page.get_by_role("alert")).to_contain_text("It is broken: mend it.")
    page.get_by_role("button", name=re.compile("close: .*It is broken: mend it.")).click()
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_film_that_fails_and_a_server_that_is_gone_are_said(show, stub):
    stub.films = [film("take1.mp4", "working")]
    page = show()
    stub.films[0].update(state="failed", message="take1.mp4 holds no pictures.")
    expect(page.get_by_role("alert")).to_contain_text("take1.mp4 holds no pictures.")
    expect(button(page, "go on with take1.mp4")).to_be_visible()
    stub.answers["POST", "/api/pictures"] = 500, (b"<h1>Oh</h1>", "text/html")
    drop(page, picture())
    expect(page.get_by_role("alert")).to_contain_text("The server answers 500")
    stub.gone = True
    drop(page, picture(), ("take2.mp4", "video/mp4", b"film"))
    expect(page.get_by_role("alert")).to_contain_text("Shot types does not answer")
    expect(page.get_by_role("alert")).to_contain_text("take2.mp4 is not copied")


def test_a_drop_that_is_no_file_is_said(show):
    page = show()
    drop(page)
    expect(page.get_by_role("alert")).to_contain_text("What was dropped is no file")


def test_of_1200_shots_few_pictures_are_loaded(show, stub):
    stub.films, stub.shots = [film("take1.mp4", "working", shots=1200)], [shot(number) for number in range(1, 1201)]
    page = show()
    expect(page.locator(".shots li")).to_have_count(1200)
    expect(page.locator(".shots li").last).to_be_in_viewport()
    expect(page.locator(".shots img").last).to_have_js_property("naturalWidth", 160)
    page.wait_for_timeout(300)
    loaded = {address for method, address, _ in stub.asked if address.startswith("/films/take1/")}
    assert "/films/take1/1200.jpg" in loaded and len(loaded) < 300
    page.locator(".shots").evaluate("list => list.scrollTo(0, 0)")
    stub.shots.append(shot(1201))
    stub.films[0]["shots"] = 1201
    expect(page.locator(".shots li")).to_have_count(1201)
    assert page.locator(".shots").evaluate("list => list.scrollTop") == 0, "who looks back is left there"
    assert sum(address.startswith("/api/films/take1/shots") for _, address, _ in stub.asked) == 2


def test_who_comes_back_from_a_film_finds_the_place_in_its_shots_and_what_was_corrected(show, stub):
    stub.films, stub.shots = [film("take1.mp4", "done", shots=200)], [shot(number) for number in range(1, 201)]
    page = show()
    page.get_by_text("Shots (200)").click()
    link = page.get_by_role("link", name="open take1.mp4 at shot 120", exact=True)
    link.focus()
    stub.shots[119] = shot(120, "LS")
    page.evaluate("dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".shots li").nth(119)).to_have_text("LS 80 %")
    expect(page.locator(".shots li")).to_have_count(200)
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()


def everything(page, stub):
    """A page with all that it can show."""
    page.locator("#scale summary").click()
    page.get_by_text("Open a film by path").click()
    expect(button(page, "folder old")).to_be_visible()
    drop(page, picture("a_very_long_name_of_a_picture_" * 4 + ".jpg"), picture("b.jpg", 1))
    expect(card(page, 2)).to_contain_text("LS long shot")
    stub.answers["POST", "/api/pictures"] = 422, {"error": "x" * 200}
    drop(page, picture("c.jpg"))
    expect(page.get_by_role("alert")).to_contain_text("xxx")
    item(page, "take1.mp4").get_by_text("Downloads").click()
    expect(page.get_by_role("link", name="take 1.edl")).to_be_visible()
    expect(page.locator("#together table")).to_be_visible()
    expect(page.locator(".shots li")).to_have_count(40)


def many_films():
    return [
        film("take1.mp4", "done", shares=SHARES),
        film("take2.mp4", "done", shares=SHARES),
        film("long_name_" * 20 + ".mp4", "failed", message="It holds no pictures: " + "y" * 200),
        film("take3.mp4", "working", seconds_done=25, shots=40),
        film("take4.mp4", "stopped", seconds_done=25),
        film("take5.mp4"),
    ]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("teacher", [False, True], ids=["", "teacher"])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(show, stub, width, teacher):
    stub.films, stub.shots = many_films(), [shot(number, SCALE[number % 5]) for number in range(1, 41)]
    page = show(width)
    everything(page, stub)
    if teacher:
        button(page, "Teacher's mode").click()
        page.keyboard.press("2")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_keyboard_alone(show, stub, tmp_path):
    page = show()

    def tab_to(name):
        for _ in range(40):
            page.keyboard.press("Tab")
            seen = page.evaluate(
                "[document.activeElement.ariaLabel || document.activeElement.textContent,"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            if seen[0] == name:
                assert seen[1] == "solid", "the focus is seen"
                return
        raise AssertionError(f"{name} is not reached")

    file = tmp_path / "a.png"
    Image.fromarray(textured(90, 160)).save(file)
    with page.expect_file_chooser() as chooser:
        tab_to("Choose pictures or films")
        page.keyboard.press("Enter")
    chooser.value.set_files(file)
    expect(card(page)).to_contain_text("LS long shot")
    tab_to("heat map of a.png")
    page.keyboard.press("Space")
    expect(button(page, "heat map of a.png")).to_have_attribute("aria-pressed", "true")
    expect(button(page, "heat map of a.png")).to_be_focused()
    page.evaluate("document.activeElement.blur()")
    tab_to("remove a.png")
    page.keyboard.press("Enter")
    expect(page.locator("#pictures")).to_be_hidden()
    expect(button(page, "Choose pictures or films")).to_be_focused()
    tab_to("Open a film by path")
    page.keyboard.press("Enter")
    tab_to("open film b.mp4, 1.5 MB")
    page.keyboard.press("Enter")
    expect(item(page, "b.mp4")).to_contain_text("waits")
    page.evaluate("document.activeElement.blur()")
    tab_to("stop b.mp4")
    page.keyboard.press("Enter")
    expect(button(page, "go on with b.mp4")).to_be_focused()
    page.keyboard.press("Enter")
    expect(button(page, "stop b.mp4")).to_be_focused()
