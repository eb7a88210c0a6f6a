"""The page says what the values say, verdict first, and lets no word from outside become part of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.report import SYNTHETIC, Look, Shows, page
from repro.report.look import Shown, View
from repro.report.page import gauges
from tests.plain_run import CAR, TINY, measured
from tests.report.sheets import CURVES, LOSSES, facts, sheet, shows

HOSTILE = "</script><script>window.stolen = 1</script><img src=x onerror=alert(1)>&\"'`"
PICTURE = "data:image/jpeg;base64,"
NOTHING = Look(kind="frames", why="the data set is gone")


class Outline(HTMLParser):
    """The tags of a page in order, the text between them, and what lies in data scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    return parser


def look_named(word: str) -> Look:
    view = View(name=word, picture=PICTURE, size=(16, 9), projection=(1.0,) * 12)
    shown = Shown(
        title=word,
        views=(view,),
        annotated=((1.0,) * 7,),
        annotated_classes=(word,),
        found=((1.0,) * 7,),
        found_classes=(word,),
        scores=(0.5,),
    )
    return Look(kind="frames", shown=(shown,), of=1, reach=51.2, notice=word)


def page_named(word: str) -> str:
    plain = facts(command=word)
    verdict = replace(plain.verdict, reasons=(word,), source=word)
    machine = replace(plain.machine, findings=(word,), device_name=word)
    data = replace(plain.data, dataroot=word, warnings=(word,))
    metrics = replace(measured(0.35, 0.25), classes={word: CAR})
    named = replace(plain, verdict=verdict, machine=machine, data=data, metrics=metrics)
    curves = replace(CURVES, classes={word: CURVES.classes["car"]})
    recipe = TINY.model_copy(update={"title": word})
    return page(recipe, named, Shows(losses=LOSSES, curves=curves, look=look_named(word)))


def test_the_verdict_stands_first() -> None:
    html = sheet(NOTHING)
    main = html[html.index("<main>") :]
    assert main.index("reproduced") < main.index("NDS") < main.index("<h2>Result")
    assert "<title>reproduced: BEVFormer-tiny" in html


def test_measured_and_published_figures_stand_side_by_side() -> None:
    text = " ".join(" ".join(outline(sheet(NOTHING)).text).split())
    assert "NDS 0.3541 0.354 +0.0001 ±0.003" in text
    assert re.search(r"published 0\.354 ±0\.003[^,]*, difference \+0\.000", text)


def test_a_gauge_puts_the_run_where_it_is_beside_the_published_band() -> None:
    inside, below = gauges(facts())[0], gauges(facts(nds=0.30))[0]
    assert inside.band[0] < inside.place < sum(inside.band)
    assert below.place < below.band[0] < below.published_place


def test_synthetic_figures_are_labelled_wherever_they_appear() -> None:
    synthetic = replace(facts(), data=replace(facts().data, synthetic=True))
    html = page(TINY, synthetic, shows(NOTHING))
    for heading in ("Result", "By class", "Frames"):
        assert f"<h2>{heading} ({SYNTHETIC})</h2>" in html
    assert SYNTHETIC not in sheet(NOTHING)


def test_where_there_is_nothing_to_look_at_the_page_says_why() -> None:
    assert "Nothing to look at: the data set is gone" in sheet(NOTHING)


def test_a_class_has_its_curve_and_its_bar() -> None:
    html = sheet(NOTHING)
    assert 'aria-label="car: precision over recall. 0.5 m: mean 0.252' in html
    assert re.search(r'<span class="name">car</span>.*<span class="value">0.450</span>', html)


def test_losses_of_the_decoder_layers_are_summed_by_kind() -> None:
    assert 'aria-label="Parts of the loss: parts of the loss over iteration. classification: 3 at the end."' in sheet(
        NOTHING
    )


def test_an_untrained_run_has_no_loss_curves() -> None:
    html = page(TINY, facts(), Shows(losses=(), curves=None, look=NOTHING))
    assert "Total loss" not in html
    assert "No curves lie in" in html


def test_hostile_words_stay_words() -> None:
    assert outline(page_named(HOSTILE)).tags == outline(page_named("plain")).tags
    assert "window.stolen" in " ".join(outline(page_named(HOSTILE)).text)


@settings(max_examples=15)
@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1).map(lambda w: f"x{w}x"))
def test_no_word_changes_the_page_around_it(word: str) -> None:
    html = page_named(word.replace("`", ""))
    assert outline(html).tags == outline(page_named("plain")).tags
    frames = re.search(r'<script type="application/json" id="frames">(.*?)</script>', html, re.DOTALL)
    assert frames is not None
    assert json.loads(frames[1])["shown"][0]["title"] == word.replace("`", "")


def test_the_page_allows_its_own_script_and_style_and_nothing_else() -> None:
    html = sheet(look_named("a"))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1].replace("&#39;", "'")
    assert "default-src 'none'" in policy[1].replace("&#39;", "'")


def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    html = sheet(look_named("a"))
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert addresses
    assert [address for address in addresses if not address.startswith(("#", "data:"))] == []


@pytest.mark.parametrize("attribute", ["style", "onclick", "onload"])
def test_no_element_carries_style_or_script_of_its_own(attribute: str) -> None:
    assert not [tag for tag, names in outline(sheet(look_named("a"))).tags if attribute in names]
