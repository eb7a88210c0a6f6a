"""How rules are declared and asked: by their signature, once each, and whatever happens."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from doctor.diagnose import Diagnosis, Skip, diagnose
from doctor.facts import CudaHome, HostCompiler, System, Toolkit, Unknown
from doctor.finding import Finding, Goal, rule
from doctor.machine import FIELD_OF_FACT, Machine
from doctor.rules import ALL_RULES
from doctor.stacks import Stacks

NOTHING = Unknown("nothing there")
MACHINE = Machine(**dict.fromkeys(FIELD_OF_FACT.values(), NOTHING))
WITH_NVCC = Machine(**{**dict.fromkeys(FIELD_OF_FACT.values(), NOTHING), "toolkit": Toolkit((13, 0), "/usr/bin/nvcc")})  # type: ignore[arg-type]


@rule("AAA01", "nvcc is not used", category="other")
def nvcc_is_not_used(toolkit: Toolkit) -> Finding | None:
    """A rule for this test."""
    return Finding(saw=str(toolkit), fix=("nothing",), severity="warning")


@rule("AAA02", "absence is welcome", category="other")
def absence_is_welcome(compiler: HostCompiler | Unknown) -> Finding | None:
    """A rule for this test."""
    return Finding(saw="absent", fix=("nothing",)) if isinstance(compiler, Unknown) else None


@rule("AAA03", "this rule works", category="other")
def this_rule_crashes(goal: Goal) -> Finding | None:
    """A rule for this test."""
    raise ZeroDivisionError(str(goal))


def ask(machine: Machine) -> Diagnosis:
    rules = (nvcc_is_not_used, absence_is_welcome, this_rule_crashes)
    return diagnose(machine, rules, goal=Goal(), stacks=Stacks(()))


def test_a_rule_whose_fact_is_unknown_is_skipped_with_the_reason() -> None:
    assert ask(MACHINE).verdicts[0].answer == Skip("nothing there", looked=True)


def test_a_rule_about_absence_says_so_in_its_type() -> None:
    assert isinstance(ask(MACHINE).verdicts[1].answer, Finding)


def test_a_rule_that_crashes_could_not_look() -> None:
    answer = ask(MACHINE).verdicts[2].answer
    assert answer == Skip("the rule crashed: ZeroDivisionError: run", looked=False)
    assert [verdict.rule.code for verdict in ask(MACHINE).could_not_look] == ["AAA03"]


def test_problems_come_first() -> None:
    assert [found.code for found, _ in ask(WITH_NVCC).findings] == ["AAA02", "AAA01"]


def test_facts_cannot_be_changed_by_a_rule() -> None:
    with pytest.raises(FrozenInstanceError):
        CudaHome("/a", has_nvcc=True).path = "/b"  # type: ignore[misc]


def test_a_rule_may_ask_only_for_facts() -> None:
    with pytest.raises(TypeError, match="must be one fact type"):

        @rule("AAA04", "never", category="other")
        def asks_for_a_number(number: int) -> Finding | None:
            """A rule for this test."""
            return Finding(saw=str(number), fix=())


def test_every_rule_has_a_code_of_its_own_a_category_and_a_reason() -> None:
    codes = [rule.code for rule in ALL_RULES]
    assert len(codes) == len(set(codes)) >= 15
    for known in ALL_RULES:
        assert known.code[:3] in {
            "DRV",
            "WSL",
            "CON",
            "STK",
            "TOR",
            "CXX",
            "CUD",
            "DAT",
            "SYS",
            "NET",
            "PKG",
            "ENV",
            "EXT",
        }
        assert known.why
        assert not known.healthy.endswith(".")


def test_every_category_is_one_of_the_published_slugs() -> None:
    slugs = (
        "driver secure-boot driver-too-old-for-cuda toolkit-missing toolkit-torch-mismatch "
        "host-compiler-too-new host-compiler-too-old gpu-arch-unsupported ext-abi-mismatch "
        "torch-cpu-only-build python-version dependency-pin build-tool network-mirror "
        "docker-gpu-runtime shared-memory-docker dataset-layout can-bus-missing glibc-or-libstdcxx wsl cuda-oom other "
        "ext-missing-or-cpu-only mm-stack-version-mismatch header-removed-in-torch data-converter-import"
    )
    assert {known.category for known in ALL_RULES} <= set(slugs.split())


def test_a_fact_that_is_known_has_no_reason_to_be_unknown() -> None:
    assert WITH_NVCC.why_unknown(Toolkit).why == "Toolkit is known"
    assert MACHINE.why_unknown(System) == NOTHING
