"""The page of a film in a real browser: clicked, typed at, saved, read again."""

import io
import json
import re
import shutil
import socket
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import uvicorn
from conftest import write_video
from films import SIX, Brightness, brightness_weights, shots, six_shots
from playwright.sync_api import expect

from shot_types import film
from shot_types.app.server import application
from shot_types.film.exports import to_page


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A film of six rows and its table, in a folder."""
    folder = tmp_path_factory.mktemp("film")
    six_shots(folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy that a test may change, with the film's page."""
    shutil.copytree(made, tmp_path / "copy")
    write_page(film.load(tmp_path / "copy" / "film.csv"), tmp_path / "copy")
    return tmp_path / "copy"


def write_page(table, folder):
    (folder / "film.html").write_text(to_page(table), encoding="utf-8")


def many_rows(table, count):
    """The film cut into so many rows, all of one length."""
    length = table["end_seconds"].iloc[-1] / count
    ends = np.arange(1, count + 1) * length
    many = table.loc[np.arange(count) % len(table)].reset_index(drop=True)
    many = many.assign(shot=range(1, count + 1), start_seconds=[0, *ends[:-1]], end_seconds=ends, seconds=length)
    many.attrs = table.attrs
    return many


@pytest.fixture
def show(browser):
    """Opens the page in a folder; at the end no script has failed or complained."""
    context, said = browser.new_context(accept_downloads=True), []

    def show(folder, width=1280, at=""):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 800})
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto((folder / "film.html").as_uri() + at)
        return page

    yield show
    context.close()
    assert said == []


def until(page, condition):
    """As `wait_for_function`, which the rules of a served page for scripts do not let in."""
    look = f"() => new Promise((done) => {{ const look = () => {condition} ? done() : setTimeout(look, 20); look(); }})"
    page.evaluate(look)


def playable(page):
    """Waits until the film can be played; skips where this browser does not know H.264."""
    until(page, "(video.readyState >= 2 || video.hidden)")
    if page.evaluate("video.hidden"):
        pytest.skip("this Chromium plays no H.264")
    return page


def saved(page):
    """The text that a click on Save downloads."""
    with page.expect_download() as download:
        button(page, "Save").click()
    assert download.value.suggested_filename == "film.csv"
    return Path(download.value.path()).read_bytes().decode()


def table_of(page):
    return pd.read_csv(io.StringIO(saved(page)), dtype=str, keep_default_na=False)


def button(page, name):
    return page.get_by_role("button", name=re.compile(f"^{name}( .)?:"))


def box(page, name):
    return page.get_by_role("checkbox", name=re.compile(f"^{name}"))


def row(page, number):
    return page.locator("tbody tr").nth(number - 1)


def column(page, place):
    return page.locator(f"tbody td:nth-child({place})").all_text_contents()


def seek(page, seconds):
    page.evaluate("seconds => { stop = null; video.pause(); video.currentTime = seconds; }", seconds)
    until(page, "!video.seeking")


def test_a_click_selects_a_row_and_plays_its_shot_to_the_end(show, folder):
    page = playable(show(folder))
    row(page, 3).click()
    assert row(page, 3).get_attribute("aria-current") == "true"
    assert page.locator("tr[aria-current]").count() == 1
    page.wait_for_function("video.paused && video.currentTime > 3.9")
    assert page.evaluate("video.currentTime") < 4.004
    assert row(page, 3).get_attribute("aria-current") == "true"


def test_the_timeline_arrows_and_the_film_itself_move_the_selection(show, folder):
    page = playable(show(folder))
    width = page.locator("canvas").bounding_box()["width"]
    page.locator("canvas").click(position={"x": width * 4.5 / 7.674, "y": 50})
    assert row(page, 4).get_attribute("aria-current") == "true"
    assert page.evaluate("video.currentTime") >= 4.004
    for key, number in (("ArrowDown", 5), ("ArrowRight", 6), ("ArrowDown", 6), ("ArrowUp", 5), ("ArrowLeft", 4)):
        page.keyboard.press(key)
        assert row(page, number).get_attribute("aria-current") == "true"
    seek(page, 0.5)
    page.wait_for_selector("tbody tr:nth-child(1)[aria-current]")


@pytest.mark.parametrize("width", [1280, 390])
def test_an_address_leads_to_a_shot(show, folder, width):
    table = many_rows(film.load(folder / "film.csv"), 1200)
    write_page(table, folder)
    page = playable(show(folder, width, at="#shot-900"))
    expect(row(page, 900)).to_have_attribute("aria-current", "true")
    expect(row(page, 900)).to_be_in_viewport()
    until(page, "!video.seeking")
    assert page.evaluate("[video.paused, rowAt(video.currentTime) === rows[899]]") == [True, True]
    page.evaluate("location.hash = '#shot-3'")
    expect(row(page, 3)).to_have_attribute("aria-current", "true")
    expect(row(page, 3)).to_be_in_viewport()
    for none in ("#shot-1201", "#shot-", "#shot-x", "#"):
        page.evaluate("hash => { location.hash = hash; }", none)
        page.wait_for_timeout(50)
        expect(row(page, 3)).to_have_attribute("aria-current", "true")


def test_an_address_of_no_shot_shows_the_beginning(show, folder):
    page = show(folder, at="#shot-99")
    expect(row(page, 1)).to_have_attribute("aria-current", "true")
    assert page.evaluate("scrollY") == 0


def test_an_untouched_page_saves_the_table_as_it_is(show, folder):
    csv = folder / "film.csv"
    table = film.load(csv).assign(notes='=1, "a"\nb', rest="")
    film.save(table, csv)
    write_page(film.load(csv), folder)
    assert saved(show(folder)) == csv.read_text()


def test_a_key_sets_the_label_which_the_program_reads_and_the_next_page_shows(show, folder):
    page = show(folder)
    row(page, 1).click()
    page.keyboard.press("3")
    text = saved(page)
    (folder / "film.csv").write_text(text)
    table = film.load(folder / "film.csv")
    assert table["label"].tolist() == ["MS", *SIX[1:], ""] and table["kind"].tolist() == [*["shot"] * 5, "empty"]
    write_page(table, folder)
    page.reload()
    assert row(page, 1).locator("td").nth(4).inner_text() == "MS"
    assert column(page, 6)[:2] == ["corrected", "92 %"]


def test_every_label_and_kind_by_key_and_by_button(show, folder):
    page = show(folder)
    for number, (key, name) in enumerate(zip("12345", ("ECS", "CS", "MS", "FS", "LS"), strict=True), 1):
        row(page, number).click()
        page.keyboard.press(key)
        row(page, 6).click()
        button(page, name).click()
        labels = table_of(page)["label"]
        assert labels[number - 1] == name and labels[5] == name
    for key, name, kind in (("t", "Title", "title"), ("e", "Empty", "empty"), ("d", "Dissolve", "transition")):
        row(page, 1).click()
        page.keyboard.press(key)
        row(page, 2).click()
        button(page, name).click()
        table = table_of(page)
        assert table["kind"].tolist()[:3] == [kind, kind, "shot"] and table["label"].tolist()[:3] == ["", "", "MS"]


def test_merge_keeps_the_number_of_the_first(show, folder):
    page, before = show(folder), pd.read_csv(folder / "film.csv", dtype=str, keep_default_na=False)
    row(page, 3).click()
    page.keyboard.press("m")
    after = table_of(page)
    assert after["shot"].tolist() == ["1", "2", "4", "5", "6"]
    assert after["label"][1] == "MS" and after["start"][1] == before["start"][1]
    assert after["end_seconds"][1] == before["end_seconds"][2] and after["seconds"][1] == "2.669333"
    pd.testing.assert_frame_equal(after.drop(1).reset_index(drop=True), before.drop([1, 2]).reset_index(drop=True))
    row(page, 1).click()
    button(page, "Merge").click()
    assert table_of(page).equals(after) and "nothing" not in page.locator("tbody").inner_text()


def test_split_is_at_the_frame_shown(show, folder):
    page, before = playable(show(folder)), pd.read_csv(folder / "film.csv", dtype=str, keep_default_na=False)
    seek(page, 2.01)  # frame 60, which begins at 2.002
    page.keyboard.press("s")
    after = table_of(page)
    assert after["shot"].tolist() == ["1", "2", "", "3", "4", "5", "6"]
    assert after["start_seconds"][1:4].tolist() == ["1.334667", "2.002000", "2.669333"]
    assert after["end_seconds"][1:3].tolist() == ["2.002000", "2.669333"]
    assert after["seconds"][1:3].tolist() == ["0.667333", "0.667333"]
    assert after["thumbnail"][2] == after["end"][1] == after["start"][2] == ""
    assert after["label"][1:3].tolist() == ["MS", "MS"] and after["end"][2] == before["end"][1]
    assert column(page, 2)[2] == "new" and row(page, 3).get_attribute("aria-current") == "true"
    page.keyboard.press("5")
    assert table_of(page)["label"][1:3].tolist() == ["MS", "LS"]
    seek(page, 4.01)
    button(page, "Split").click()  # the first frame of a shot
    assert "edge" in page.locator("#status").inner_text() and len(table_of(page)) == 7


def test_what_was_split_and_merged_on_the_page_is_read_by_the_program(show, folder):
    page = playable(show(folder))
    seek(page, 2.01)
    page.keyboard.press("s")
    page.keyboard.press("5")
    row(page, 6).click()
    page.keyboard.press("m")
    (folder / "film.csv").write_text(saved(page))
    table = film.load(folder / "film.csv")
    assert table["label"].tolist() == ["LS", "MS", "LS", "ECS", "FS", ""]
    assert table["corrected"].tolist() == [0, 1, 1, 0, 1, 0] and table["shot"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["end_seconds"].tolist()[1] == pytest.approx(2.002) and table["thumbnail"][2] == ""


def test_undo_takes_back_one_change_after_the_other(show, folder):
    page = show(folder)
    before = saved(page)
    row(page, 2).click()
    page.keyboard.press("1")
    labelled = saved(page)
    page.keyboard.press("m")
    page.keyboard.press("u")
    assert saved(page) == labelled
    button(page, "Undo").click()
    assert saved(page) == before
    page.keyboard.press("u")
    assert page.locator("#status").inner_text() == "nothing to undo"


def test_the_browser_asks_before_unsaved_changes_are_lost(show, folder):
    page, asked = show(folder), []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    row(page, 1).click()
    page.reload()
    assert asked == []
    row(page, 1).click()
    page.keyboard.press("2")
    page.reload()
    assert asked == ["beforeunload"]
    row(page, 1).click()
    page.keyboard.press("2")
    saved(page)
    assert "put it over film.csv in the folder of this page" in page.locator("#status").inner_text()
    page.reload()
    assert asked == ["beforeunload"]


def test_sorting_says_its_direction_and_puts_empty_values_last(show, folder):
    table = film.load(folder / "film.csv")
    table.loc[[1, 4], "check"], table.loc[[1, 4], "why"] = 1, ["near a cut", "close call"]
    table["confidence"] = [0.5, 0.1, 0.7, 0.3, 1.0, np.nan]
    write_page(table, folder)
    page = show(folder)
    for name, up in (("confidence", "241356"), ("check", "521346"), ("scale", "324156"), ("shot", "123456")):
        down = {"confidence": "531426", "check": "251346", "scale": "154236", "shot": "654321"}[name]
        head = page.get_by_role("columnheader", name=name)
        for expected, says, arrow in ((up, "ascending", "▲"), (down, "descending", "▼")):
            head.get_by_role("button").click()
            assert "".join(column(page, 2)) == expected
            assert head.get_attribute("aria-sort") == says and head.inner_text().endswith(arrow)
    assert page.locator("th[aria-sort=ascending], th[aria-sort=descending]").count() == 1


def test_times_sort_as_times(show, folder):
    table = film.load(folder / "film.csv")
    table["end_seconds"] = [2.0, 11.0, 111.0, 115.0, 130.0, 1030.0]
    table["start_seconds"] = [0.0, *table["end_seconds"][:-1]]
    table["seconds"] = table["end_seconds"] - table["start_seconds"]
    write_page(table, folder)
    page = show(folder)
    page.get_by_role("columnheader", name="seconds").get_by_role("button").click()
    assert column(page, 4) == ["2.00", "4.00", "9.00", "15.00", "100.00", "900.00"]


def test_filters_and_figures_of_what_is_shown(show, folder):
    table = film.load(folder / "film.csv")
    table.loc[[1, 5], "check"] = 1
    write_page(table, folder)
    page = show(folder)
    figures = page.locator("#figures")
    assert figures.inner_text().startswith("5 shots, 0.1 minutes, average shot length (ASL) 1.33 s")
    box(page, "empty").uncheck()
    box(page, "LS long shot").uncheck()
    assert "".join(column(page, 2)) == "234" and figures.inner_text().endswith("(3 of 6 rows shown)")
    assert page.locator("b[data-group=MS]").inner_text() == "1 · 33 %"
    row(page, 1).click()
    page.keyboard.press("1")  # stays in sight until one filters again, and counts
    assert page.locator("b[data-group=ECS]").inner_text() == "2 · 67 %"
    page.keyboard.press("u")
    box(page, "only those to check").check()
    assert "".join(column(page, 2)) == "2"
    box(page, "empty").check()
    assert "".join(column(page, 2)) == "26"
    box(page, "MS medium shot").uncheck()
    assert figures.inner_text().startswith("0 shots")


def test_every_step_takes_less_than_a_second_with_1200_shots(show, folder):
    write_page(many_rows(film.load(folder / "film.csv"), 1200), folder)
    page = show(folder)
    steps = """async () => {
      const steps = {
        click: () => line(rows[1000]).click(), key: () => keys[3](), title: () => keys.t(), merge: () => keys.m(),
        undo: () => keys.u(), arrow: () => keys.ArrowDown(), sort: () => find("th:last-child button").click(),
        filter: () => find("#legend input").click(), save,
      };
      const seconds = {};
      for (const [name, act] of Object.entries(steps)) {
        const start = performance.now();
        act();
        await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
        seconds[name] = (performance.now() - start) / 1000;
      }
      return seconds;
    }"""
    seconds = page.evaluate(steps)
    assert len(seconds) == 9 and max(seconds.values()) < 1, seconds


def test_a_phone_scrolls_no_page_sideways(show, folder):
    page = show(folder, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    row(page, 5).click()
    assert row(page, 5).locator("td").nth(4).is_visible()
    assert page.evaluate("[scrollX, document.documentElement.scrollWidth]") == [0, 390]
    button(page, "Title").click()
    assert table_of(page)["kind"][4] == "title"


def test_a_film_that_cannot_be_played_leaves_the_table_usable(show, folder):
    (folder / "film.mp4").write_bytes(b"no film")
    page = show(folder)
    page.get_by_role("alert").wait_for()
    assert "cannot play film.mp4" in page.get_by_role("alert").inner_text()
    row(page, 2).click()
    page.keyboard.press("5")
    page.keyboard.press("s")
    assert "does not play" in page.locator("#status").inner_text()
    assert table_of(page)["label"].tolist() == ["LS", "LS", *SIX[2:], ""]


@pytest.mark.parametrize("name", ["take #1? 50%25 é;=&", "=a:b"])
def test_a_film_of_any_name_in_another_folder_is_played(show, tmp_path, name):
    path = write_video(tmp_path / f"{name}.mp4", shots("LS", "MS"))
    out = tmp_path / "out"
    film.analyze(path, Brightness(), out)
    write_page(film.load(out / f"{name}.csv"), out)
    page = playable(show(out))
    row(page, 2).click()
    assert page.evaluate("video.currentTime") > 1.25
    with page.expect_download() as download:
        button(page, "Save").click()
    assert Path(download.value.path()).read_text() == (out / f"{name}.csv").read_text()


class Served:
    """The film, analysed, in the folder of a server, whose windows show its page."""

    def __init__(self, made, folder, weights, context):
        results = folder / "shot_types_analysis"
        shutil.copytree(made, results)
        (results / "film.mp4").rename(folder / "film.mp4")
        known = {"path": "film.mp4", "id": "1", "state": "done", "results": "film", "seconds": 7.67}
        (results / "queue.json").write_text(json.dumps([known]))
        self.csv, self.context, listener = results / "film.csv", context, socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = application(folder, listener.getsockname()[1], "secret", weights=weights)
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        self.thread = threading.Thread(target=self.server.run, args=([listener],))
        self.thread.start()

    def window(self):
        page = self.context.new_page()
        page.goto(f"{self.address}/?token=secret")
        page.goto(f"{self.address}/films/1/")
        return page

    def close(self):
        self.server.should_exit = True
        self.thread.join()

    def labels(self):
        return film.load(self.csv)["label"].tolist()


@pytest.fixture
def served(made, tmp_path, browser):
    (tmp_path / "films").mkdir()
    context = browser.new_context()
    served = Served(made, tmp_path / "films", brightness_weights(tmp_path / "brightness.onnx"), context)
    yield served
    context.close()
    served.close()


def press_save(page, says):
    button(page, "Save").click()
    page.get_by_role("status").filter(has_text=re.compile(says)).wait_for()


def label(page, number, key):
    row(page, number).click()
    page.keyboard.press(key)


def test_a_served_page_saves_into_the_table_and_shows_thumbnails_and_film(served):
    page = playable(served.window())
    assert page.evaluate("find('tbody img').complete && find('tbody img').naturalWidth") == 160
    label(page, 1, "3")
    assert page.title().startswith("•")
    press_save(page, "saved in film.csv")
    assert served.labels() == ["MS", *SIX[1:], ""] and not page.title().startswith("•")
    assert row(page, 1).locator("td").nth(5).inner_text() == "corrected"
    label(page, 2, "1")
    press_save(page, "saved in film.csv")
    assert served.labels() == ["MS", "ECS", *SIX[2:], ""]
    page.reload()
    assert column(page, 5)[:3] == ["MS", "ECS", "ECS"]


def test_what_was_saved_can_be_undone_and_saved_again(served):
    page = playable(served.window())
    before = film.load(served.csv)
    seek(page, 2.01)
    page.keyboard.press("s")
    page.keyboard.press("5")
    press_save(page, "saved in film.csv")
    assert served.labels() == ["LS", "MS", "LS", *SIX[2:], ""] and column(page, 2) == list("1234567")
    label(page, 6, "m")
    press_save(page, "saved in film.csv")
    assert len(served.labels()) == 6
    for _ in range(3):
        page.keyboard.press("u")
    press_save(page, "saved in film.csv")
    assert served.labels() == [*SIX, ""]
    times = ["start_seconds", "end_seconds", "start", "end", "kind", "label"]
    pd.testing.assert_frame_equal(film.load(served.csv)[times], before[times])


def test_the_second_of_two_windows_hears_what_the_first_changed_and_can_reload(served):
    first, second = served.window(), served.window()
    label(first, 3, "5")
    press_save(first, "saved in film.csv")
    label(second, 1, "1")
    press_save(second, "changed in another window")
    assert "shot 3: label ECS -> LS" in second.get_by_role("status").inner_text() and second.title().startswith("•")
    assert served.labels() == ["LS", "MS", "LS", "FS", "LS", ""]
    second.on("dialog", lambda dialog: dialog.accept())
    second.get_by_role("button", name="Reload").click()
    expect(second).to_have_title("film.mp4")
    assert column(second, 5)[:3] == ["LS", "MS", "LS"]
    label(second, 1, "1")
    press_save(second, "saved in film.csv")
    assert served.labels() == ["ECS", "MS", "LS", "FS", "LS", ""]


def test_what_cannot_be_saved_is_said_and_stays_on_the_page(served):
    page = served.window()
    label(page, 1, "1")
    record = served.csv.with_suffix(".json")
    record.rename(record.with_name("away"))
    press_save(page, "not saved: .*film.json")
    record.with_name("away").rename(record)
    served.close()
    press_save(page, "not saved: the server does not answer")
    assert page.title().startswith("•") and served.labels() == [*SIX, ""]
