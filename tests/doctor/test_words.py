"""Sentences keep their template, and come out in another language with their values in place."""

from __future__ import annotations

import pytest

from doctor.words import Verbatim, catalogue, say, translate


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
