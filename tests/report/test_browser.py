"""The page in a real browser: no complaint, sliders by keyboard, boxes in their places, themes, phone, paper, axe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.report.browser import DESKTOP, PHONE, Sight, browsing
from tests.report.sheets import frames, images, sheet
from tests.report.test_look import corners
from tests.report.test_page import HOSTILE, page_named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from repro.report import Look

SERIOUS = {"serious", "critical"}
WINDOWS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started


@pytest.fixture(scope="module")
def look(synth_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Look:
    return frames(synth_root, tmp_path_factory.mktemp("frames"))[1]


@pytest.fixture(scope="module")
def framed(look: Look, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(sheet(look), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pictured(synth_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (folder / "report.html").write_text(sheet(images(synth_coco, folder)), encoding="utf-8")
    return folder / "report.html"


def violations(sight: Sight) -> list[str]:
    """Return what axe-core finds of serious impact, with the elements."""
    found: list[dict[str, Any]] = Axe().run(sight.page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found if v["impact"] in SERIOUS]


def test_frames_and_images_are_drawn_without_a_complaint_or_a_request(
    browser: Browser, framed: Path, pictured: Path
) -> None:
    for file in (framed, pictured):
        sight = Sight(browser, file)
        assert sight.complaints == []
        assert [url for url in sight.requests if not url.startswith(("file:", "data:"))] == []
        assert sight.count(".view img") == (6 if file == framed else 1)
        assert sight.count(".photo path.annotated") > 0


def test_the_frame_slider_works_by_keyboard(browser: Browser, framed: Path) -> None:
    sight = Sight(browser, framed)
    before = sight.text("#said"), sight.page.locator(".view img").first.get_attribute("src")
    sight.page.locator("#frame").focus()
    sight.page.keyboard.press("ArrowRight")
    assert sight.text("#frame-said") == "2 of 3"
    after = sight.text("#said"), sight.page.locator(".view img").first.get_attribute("src")
    assert before[0] != after[0]
    assert before[1] != after[1]
    sight.page.keyboard.press("Home")
    assert (sight.text("#said"), sight.page.locator(".view img").first.get_attribute("src")) == before


def test_the_score_slider_hides_what_is_less_certain(browser: Browser, framed: Path, look: Look) -> None:
    sight = Sight(browser, framed)
    sight.page.locator("#score").focus()
    sight.page.keyboard.press("Home")
    assert sight.count("#bev path.found") == len(look.shown[0].found)
    sight.page.keyboard.press("End")
    assert sight.count("#bev path.found") == 0
    for _ in range(5):
        sight.page.keyboard.press("PageDown")
    threshold = float(sight.text("#score-said"))
    assert 0 < threshold < 1
    assert sight.count("#bev path.found") == sum(score >= threshold for score in look.shown[0].scores)
    assert sight.count("#bev path.annotated") == len(look.shown[0].annotated)
    sight.page.locator("#with-annotated").press("Space")
    assert sight.count("#bev path.annotated") == 0


def test_boxes_are_drawn_where_their_projection_is(browser: Browser, framed: Path, look: Look) -> None:
    sight = Sight(browser, framed)
    compared = 0
    for position, view in enumerate(look.shown[0].views):
        drawn = sight.page.locator(".photo svg").nth(position).locator("path.annotated")
        paths = [drawn.nth(k).get_attribute("d") or "" for k in range(drawn.count())]
        spans = [np.array(re.findall(r"-?[\d.]+", path), float).reshape(-1, 2) for path in paths]
        for box in look.shown[0].annotated:
            points = np.array(view.projection).reshape(3, 4) @ np.c_[corners(box), np.ones(8)].T
            pixels = (points[:2] / points[2]).T
            if points[2].min() < 1 or (pixels < 0).any() or (pixels > (1600, 900)).any():
                continue
            wanted = np.r_[pixels.min(0), pixels.max(0)]
            assert min(np.abs(np.r_[span.min(0), span.max(0)] - wanted).max() for span in spans) < 0.2
            compared += 1
    assert compared > 5


def test_the_theme_follows_the_system_until_the_button_is_pressed(browser: Browser, framed: Path) -> None:
    sight = Sight(browser, framed, color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = sight.page.evaluate(colour)
    sight.page.locator("#theme").focus()
    sight.page.keyboard.press("Enter")
    light = sight.page.evaluate(colour)
    assert light != dark
    assert sight.page.locator("#theme").get_attribute("aria-pressed") == "false"
    assert Sight(browser, framed, color_scheme="light").page.evaluate(colour) == light


def test_the_page_fits_a_phone(browser: Browser, framed: Path, pictured: Path) -> None:
    for file in (framed, pictured):
        sight = Sight(browser, file, viewport=PHONE)
        assert sight.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_on_paper_the_page_is_light_opened_and_without_controls(browser: Browser, framed: Path) -> None:
    sight = Sight(browser, framed, color_scheme="dark")
    assert sight.page.pdf(format="A4").startswith(b"%PDF")
    sight.page.emulate_media(media="print")
    assert sight.page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--card')") == "#ffffff"
    assert not sight.page.locator("#controls").is_visible()
    assert not sight.page.locator("nav").is_visible()
    assert sight.page.locator("#classes table").first.is_visible()


def test_axe_does_find_what_is_serious(browser: Browser, tmp_path: Path) -> None:
    faint = '<html lang="en"><title>a</title><main><h1>b</h1><p style="color: #bbb">faint</p><img src="data:,"></main>'
    (tmp_path / "report.html").write_text(faint, encoding="utf-8")
    found = violations(Sight(browser, tmp_path / "report.html"))
    assert sorted(name.partition(":")[0] for name in found) == ["color-contrast", "image-alt"]


@pytest.mark.parametrize("window", WINDOWS)
def test_axe_finds_nothing_serious(browser: Browser, framed: Path, window: str) -> None:
    sight = Sight(browser, framed, **{"viewport": DESKTOP, **WINDOWS[window]})
    sight.page.locator("details").evaluate_all("all => all.forEach((part) => { part.open = true; })")
    assert violations(sight) == []


def test_hostile_words_run_nothing(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page_named(HOSTILE), encoding="utf-8")
    sight = Sight(browser, tmp_path / "report.html")
    assert sight.page.evaluate("typeof window.stolen") == "undefined"
    assert HOSTILE.split("`")[0][:20] in sight.text("#said")
    assert sight.page.evaluate("document.querySelectorAll('script').length") == 2


def test_without_scripts_the_pictures_and_figures_are_there(browser: Browser, framed: Path) -> None:
    sight = Sight(browser, framed, java_script_enabled=False)
    assert sight.page.locator("noscript p").is_visible()
    assert not sight.page.locator("#controls").is_visible()
    assert (sight.page.locator(".view img").first.get_attribute("src") or "").startswith("data:image/jpeg")
