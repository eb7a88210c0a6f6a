"""The Chinese of toolkits, compilers, containers, limits and indexes: nothing is left in English by oversight."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from doctor.consult import consult
from doctor.finding import Goal, Rule
from doctor.probes import Question
from doctor.replay import load
from doctor.rules import architecture, compiler, container, network, system, toolkit
from doctor.words import catalogue, translate

ROOT = Path(__file__).resolve().parents[2]
MACHINES = sorted((ROOT / "tests" / "fixtures" / "machines").iterdir())
OWN = json.loads((ROOT / "doctor" / "zh" / "build.json").read_text(encoding="utf-8"))
RULES: tuple[Rule, ...] = (
    *compiler.RULES,
    *toolkit.RULES,
    *architecture.RULES,
    *container.RULES,
    *system.RULES,
    *network.RULES,
)
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SPEAK_FOR_THEMSELVES = {"CUD09", "CXX03", "CON06"}  # programs with versions, and what a JSON parser says


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_each_rule_is_told_in_chinese(rule: Rule) -> None:
    assert CHINESE.search(OWN[rule.healthy])
    assert CHINESE.search(OWN[rule.why])


def test_a_translation_has_the_values_of_its_sentence() -> None:
    for english, chinese in OWN.items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese)), english


@pytest.mark.parametrize("machine", MACHINES, ids=lambda path: path.name)
def test_what_a_recorded_machine_shows_is_told_in_chinese(machine: Path) -> None:
    replay = load(machine)
    goal = Goal(json.loads((machine / "expected.json").read_text(encoding="utf-8"))["goal"])
    subject = replay.subject()
    question = Question(python=subject.python, folder=subject.folder, network=True)
    told = consult(replay, question=question, goal=goal, rules=RULES)
    words = catalogue("zh")
    for rule, finding in told.diagnosis.findings:
        if rule.code not in SPEAK_FOR_THEMSELVES:
            assert CHINESE.search(translate(finding.saw, words)), finding.saw
        sentences = [step for step in finding.fix if re.match(r"(?:or|and|then|not|with|if|on|for|else|take)\b", step)]
        assert all(CHINESE.search(translate(step, words)) for step in sentences), sentences
