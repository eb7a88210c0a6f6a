"""Sentences keep their template, and come out in another language with their values in place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.words import Verbatim, catalogue, counted, joined, say, translate


def test_a_sentence_reads_as_ordinary_text() -> None:
    assert say("{gpu} is held by {driver}", gpu="an RTX 4090", driver="nouveau") == "an RTX 4090 is held by nouveau"


def test_a_translation_may_turn_the_order_round() -> None:
    said = say("{gpu} is held by {driver}", gpu="RTX 4090", driver="nouveau")
    assert (
        translate(said, {"{gpu} is held by {driver}": "驱动 {driver} 占用了 {gpu}"}) == "驱动 nouveau 占用了 RTX 4090"
    )


def test_a_sentence_within_a_sentence_is_translated_too() -> None:
    said = say("not judged: {why}", why=say("{program} hangs", program="nvidia-smi"))
    words = {"not judged: {why}": "无法判断：{why}", "{program} hangs": "{program} 没有响应"}
    assert translate(said, words) == "无法判断：nvidia-smi 没有响应"


def test_a_name_from_elsewhere_stays_even_where_a_label_reads_like_it() -> None:
    said = say("module {module} has no {name}", module="mmcv", name=Verbatim("line"))
    assert said == "module mmcv has no line"
    assert (
        translate(said, {"line": "行", "module {module} has no {name}": "{module} 中没有 {name}"}) == "mmcv 中没有 line"
    )


def test_a_text_without_values_is_its_own_template() -> None:
    assert translate("one version of both", {"one version of both": "两者版本一致"}) == "两者版本一致"


def test_what_a_catalogue_lacks_stays_english() -> None:
    assert translate(say("{n} GPUs", n=2), {}) == "2 GPUs"


def test_there_is_a_chinese_catalogue_and_no_klingon_one() -> None:
    assert catalogue("zh")
    with pytest.raises(KeyError):
        catalogue("tlh")


def test_a_fact_that_reads_as_a_sentence_is_translated_within_one() -> None:
    class Fact:
        def __str__(self) -> str:
            return say("{n} GPUs", n=2)

    words = {"here are {what}": "这里有 {what}", "{n} GPUs": "{n} 块显卡"}
    assert translate(say("here are {what}", what=Fact()), words) == "这里有 2 块显卡"


def test_numbers_and_plain_values_stay_as_they_are() -> None:
    assert translate(say("{n:.1f} of {path}", n=2.25, path=Path("/x")), {}) == "2.2 of /x"


def test_sentences_in_a_row_are_translated_each() -> None:
    row = joined("; ", (say("{n} GPUs", n=2), "none", "own"))
    assert row == "2 GPUs; none; own"
    assert translate(row, {"{n} GPUs": "{n} 块显卡", "none": "无", "; ": "；"}) == "2 块显卡；无；own"
    assert (joined("; ", ()), joined("; ", ("one",))) == ("", "one")


@pytest.mark.parametrize(("number", "told"), [(0, "0 GPUs"), (1, "1 GPU"), (2, "2 GPUs")])
def test_one_and_many(number: int, told: str) -> None:
    assert counted(number, "{number} GPU", "{number} GPUs") == told


@given(st.text(), st.text())
def test_values_are_never_read_as_templates(value: str, other: str) -> None:
    words = {"{a} and {b}": "{b} 和 {a}"}
    assert translate(say("{a} and {b}", a=value, b=other), words) == f"{other} 和 {value}"
