"""The whole way in a real browser, on the server that the command starts: drop, look, correct, save, take along."""

import re
import signal
import subprocess
import sys

import pytest
from conftest import ROOT
from playwright.sync_api import expect
from test_app_page import card, drop, item

from shot_types import film

CLIP, PICTURE = ROOT / "examples/clip.mp4", ROOT / "examples/astronaut_medium.jpg"
LONG = 120_000  # milliseconds: a film on a busy machine


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "films").mkdir()
    return tmp_path / "films"


@pytest.fixture
def address(folder):
    """Where the server of the folder is, with the shipped weights of the light install."""
    call = [sys.executable, "-m", "shot_types", "app", "--folder", str(folder), "--port", "0", "--no-browser"]
    server = subprocess.Popen([*call, "--framework", "onnx"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    yield re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", server.stdout.readline())[0]
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=60)


@pytest.mark.parametrize("width", [1280, 390])
def test_from_a_drop_to_a_corrected_table_and_its_exports(browser, address, folder, width):
    context, said = browser.new_context(accept_downloads=True, viewport={"width": width, "height": 800}), []
    page = context.new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(address)
    drop(page, (PICTURE.name, "image/jpeg", PICTURE.read_bytes()), (CLIP.name, "video/mp4", CLIP.read_bytes()))
    expect(card(page)).to_contain_text("MS", timeout=LONG)
    clip = item(page, "clip.mp4")
    opened = clip.get_by_role("link", name="open clip.mp4 in a new tab")
    expect(opened).to_be_visible(timeout=LONG)
    expect(clip.locator(".shots img")).to_have_count(6)
    clip.locator(".shots img").last.scroll_into_view_if_needed()  # which loads it
    expect(clip.locator(".shots img").last).to_have_js_property("complete", True)
    (ROOT / "build").mkdir(exist_ok=True)
    page.screenshot(path=ROOT / "build" / f"app_{width}.png", full_page=True)

    page.goto(address.split("?")[0].rstrip("/") + opened.get_attribute("href"))
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(6)
    rows.nth(0).click()
    page.keyboard.press("1")
    page.evaluate("stop = null; video.pause(); video.currentTime = 3.5")
    expect(page.locator("video")).to_have_js_property("seeking", False)
    page.keyboard.press("s")
    page.get_by_role("button", name=re.compile("^Save")).click()
    expect(page.get_by_role("status")).to_contain_text("saved in")
    page.reload()
    expect(rows).to_have_count(7)
    table = film.load(folder / "shot_types_analysis" / "clip.csv")
    assert table["label"].iloc[0] == "ECS" and table["end_seconds"].iloc[1] == pytest.approx(3.5, abs=0.05)

    page.goto(address.split("?")[0])
    clip.get_by_text("Downloads").click()
    with page.expect_download(timeout=LONG) as download:
        clip.get_by_role("link", name=re.compile(r"\.edl")).click()
    assert "TITLE" in download.value.path().read_text() and said == []
    context.close()
