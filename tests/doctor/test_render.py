"""What is printed, in both languages: the same findings, codes and commands; labels in line; pages about one rule."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from doctor.__main__ import main
from doctor.consult import consult_recorded
from doctor.options import ABOUT, ACTS, EPILOG, FORMS, QUESTIONS
from doctor.render import advice_row, terminal
from doctor.render.columns import pad, width
from doctor.render.sentences import fact_line
from doctor.replay import load
from doctor.rules import ALL_RULES
from doctor.words import catalogue, say

MACHINES = Path(__file__).resolve().parents[1] / "fixtures" / "machines"
NESTED = ["--replay", str(MACHINES / "nuscenes_mini_can_bus_nested"), "--for", "recipe:bevformer_tiny"]
HEALTHY = ["--replay", str(MACHINES / "rtx4090_healthy")]


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(words)
    return capsys.readouterr().out


def test_a_finding_on_the_terminal_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, *NESTED, "--only", "DAT01,DAT05,DAT16", "--lang", "zh").splitlines()
    assert lines[0] == "doctor · 版本组合 cu130 · 目标 recipe:bevformer_tiny · 3 项检查"
    assert lines[-10:] == [
        "  已知  /data/nuscenes：v1.0-mini",
        "  通过  DAT01  数据集文件夹中有 nuScenes 数据表",
        "  失败  DAT05  CAN bus 位于程序查找的位置",
        "        看到   CAN bus 位于 /data/nuscenes/can_bus/can_bus",
        "        期望   /data/nuscenes/can_bus/scene-0001_pose.json 等文件",
        "        操作   mv /data/nuscenes/can_bus/can_bus/* /data/nuscenes/can_bus/",
        "  跳过  DAT16  该文件夹不是 COCO",
        "1 个问题。",
        "版本组合：cu130（torch 2.11.0），用于 1 块显卡",
        "下一步：./bevready repro --recipe bevformer_tiny --data nuscenes-mini --dataroot /data/nuscenes",
    ]


def test_labels_stand_in_one_column_in_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    for language in ("en", "zh"):
        lines = printed(capsys, *NESTED, "--lang", language).splitlines()
        rules = [line for line in lines if line.startswith("  ") and any(f" {one.code} " in line for one in ALL_RULES)]
        assert {
            width(line[: next(line.index(one.code) for one in ALL_RULES if one.code in line)]) for line in rules
        } == {8}
        steps = [line for line in lines if line.startswith(("        mv ", "        do ", "        操作"))]
        assert steps


def test_both_languages_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    told = {language: json.loads(printed(capsys, *NESTED, "--json", "--lang", language)) for language in ("en", "zh")}
    assert (told["en"].pop("lang"), told["zh"].pop("lang")) == ("en", "zh")
    assert told["en"].keys() == told["zh"].keys()
    for english, chinese in zip(told["en"]["findings"], told["zh"]["findings"], strict=True):
        same = ("code", "category", "severity", "confidence", "evidence")
        assert [english[key] for key in same] == [chinese[key] for key in same]
        assert english["saw"] != chinese["saw"]
        assert english["healthy"] != chinese["healthy"]
        assert english["doc"] != chinese["doc"]
    assert told["en"]["healthy"] == told["zh"]["healthy"]
    assert told["en"]["advice"]["next"] == told["zh"]["advice"]["next"]


@pytest.mark.parametrize(
    ("variables", "words", "language"),
    [
        ({"BEVREADY_LANG": "zh"}, [], "zh"),
        ({"BEVREADY_LANG": "zh"}, ["--lang", "en"], "en"),
        ({"BEVREADY_LANG": "tlh"}, [], "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, [], "en"),
    ],
    ids=["the variable", "the flag wins", "an unknown one", "not from LANG"],
)
def test_which_language(
    variables: dict[str, str],
    words: list[str],
    language: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("BEVREADY_LANG", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert json.loads(printed(capsys, *HEALTHY, "--json", *words))["lang"] == language


@pytest.mark.parametrize("words", [["--help", "--lang", "zh"], ["--lang=zh", "--help"]])
def test_the_help_in_chinese(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    text = capsys.readouterr().out
    assert left.value.code == 0
    assert "诊断这台机器有什么问题" in text
    assert "只做这些检查" in text
    assert "退出码：0 健康" in text


def test_every_word_of_the_help_has_its_chinese() -> None:
    texts = [words for rows in (QUESTIONS, FORMS, ACTS) for _, _, words in rows]
    assert [words for words in (*texts, ABOUT, EPILOG) if words not in catalogue("zh")] == []


def test_an_unknown_word_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--jsn", "--lang", "zh"])
    assert "；请看：python3 -m doctor --help" in capsys.readouterr().err


def test_an_unknown_language_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--lang", "tlh"])
    assert left.value.code == 2
    assert "invalid choice: 'tlh'" in capsys.readouterr().err


def test_a_mistake_is_said_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "DRV1", "--lang", "zh"]) == 2
    assert capsys.readouterr().err.startswith("doctor: --only DRV1：没有这项检查；是不是 DRV")


def test_what_a_recipe_lacks_is_said_before_what_to_type() -> None:
    told = consult_recorded(load(Path(HEALTHY[1])))
    lacking = replace(told.advice, recipe=(say("{free} GB are free", free=3),))
    assert terminal(told.diagnosis, lacking)[-2] == ("plain", "recipe: 3 GB are free")
    assert advice_row(lacking, {"{free} GB are free": "剩余 {free} GB"})["recipe"] == ["剩余 3 GB"]


def test_the_stack_is_the_same_word_in_every_language(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "stack", *HEALTHY, "--lang", "zh") == "cu130\n"
    assert json.loads(printed(capsys, "stack", *HEALTHY, "--lang", "zh", "--json"))["why"] == "用于 1 块显卡"


def test_the_list_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--list", "--lang", "zh", "--only", "DAT03")
    assert text == "DAT  数据集\n  DAT03  CAN bus 扩展数据存在  [can-bus-missing]\n"


def test_the_page_of_a_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "why", "dat05").split("\n\n") == [
        "DAT05",
        "healthy\n  the CAN bus lies where it is looked for",
        (
            "why it matters\n  The archive holds a folder can_bus of its own, and other projects keep it beside "
            "the data set."
        ),
        "category\n  can-bus-missing",
        "facts it needs\n  data_set",
        (
            "severity\n  problem / warning\n  it depends on the goal (--for)\n"
            "  'problem' if goal.kind == 'recipe' else 'warning'"
        ),
        "what it may see\n  the CAN bus lies in {place}",
        "what it expects\n  {path}/can_bus/scene-0001_pose.json and so on",
        "what to do\n  mv {path}/can_bus/can_bus/* {path}/can_bus/\n  ln -s {place} {path}/can_bus\n",
    ]


def test_the_page_in_chinese_and_several_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "why", "DAT05", "DAT16", "--lang", "zh")
    assert "\n为什么重要\n  压缩包内自带一层 can_bus 文件夹" in text
    assert "\nDAT16\n" in text


def test_the_page_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(printed(capsys, "why", "STK03", "--json"))["rules"]
    assert (rows[0]["needs"], rows[0]["uses"], rows[0]["depends_on_goal"]) == ([], ["pci_gpus", "gpus"], False)


def test_every_rule_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    for one in ALL_RULES:
        assert printed(capsys, "why", one.code).startswith(f"{one.code}\n\nhealthy\n  {one.healthy}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["why"], "why: name a check"),
        (["why", "DAT0"], "why DAT0: there is no such check; did you mean DAT"),
        (["why", ""], "why: name a check"),
        (["stack", "now"], "now: one word too many"),
    ],
)
def test_a_mistake_in_the_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_an_issue_has_the_findings_and_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, *NESTED, "--issue")
    places = [text.index(part) for part in ("## What happened", "## Findings", "**DAT05** (problem)", "## Machine")]
    assert places == sorted(places)
    assert text.count("```") == 4
    assert text.rstrip().endswith("</details>")


def test_the_markdown_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, *NESTED, "--markdown", "--lang", "zh")
    assert text.startswith("## 机器\n\n| 项目 | 值 |\n")
    assert "- **DAT05** (问题): CAN bus 位于 /data/nuscenes/can_bus/can_bus；期望：" in text


def test_a_healthy_machine_in_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert "## Findings\n\nnone\n" in printed(capsys, *HEALTHY, "--markdown")


class Endless:
    def __str__(self) -> str:
        return str(10**400 / 3)


def test_a_number_beyond_all_measure_is_said() -> None:
    assert fact_line(Endless()) == "a number beyond all measure"


@pytest.mark.parametrize(("text", "columns"), [("ok", 2), ("通过", 4), ("（a）", 5), ("→", 1), ("·", 1)])
def test_a_chinese_character_takes_two_columns(text: str, columns: int) -> None:
    assert width(text) == columns
    assert width(pad(text, 8)) == 8
