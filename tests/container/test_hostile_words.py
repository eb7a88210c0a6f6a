"""Words that could do harm: names of stacks that lead elsewhere, passwords in addresses, engines elsewhere."""

from __future__ import annotations

import pytest

from repro.containers.building import BuildError, Order
from repro.containers.menu import main

NOBODY = "tcp://127.0.0.1:9"  # no engine listens there
PINNED = "debian:bookworm-slim@sha256:0123"


@pytest.mark.parametrize("command", ["build", "run"])
@pytest.mark.parametrize("stack", ["../cu130", "cu130/../cu130", "a b", "", "-x", "cu130:latest", "cu130\n"])
def test_a_stack_is_a_name_and_no_path(
    command: str, stack: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NOBODY)
    assert main([command, f"--stack={stack}"]) == 2
    assert (
        capsys.readouterr().err == f"--stack {stack!r}: that names no stack; expected a folder of env/, such as cu130\n"
    )


@pytest.mark.parametrize(
    ("base", "carries"),
    [
        ("https://me:s3cret@mirror.example/debian", True),
        ("me:s3cret@mirror.example/debian:12", True),
        ("mirror.example:5000/debian:12", False),
        ("debian:12@sha256:0123", False),
        (PINNED, False),
    ],
)
def test_a_base_with_a_password_is_told_from_one_with_a_digest(base: str, *, carries: bool) -> None:
    order = Order(stack="cu130", base=base)
    if carries:
        with pytest.raises(BuildError, match="carries a password"):
            order.refuse_passwords()
    else:
        assert order.arguments("0", "1")["BASE"] == base


def test_a_password_is_repeated_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--base", "https://me:s3cret@mirror.example/debian"]) == 2
    said = capsys.readouterr()
    assert "s3cret" not in said.out + said.err


def test_an_engine_elsewhere_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NOBODY)
    assert main(["build", "--base", PINNED]) == 3
    assert f"the container engine at {NOBODY} does not answer" in capsys.readouterr().err


def test_a_stack_that_is_not_there_is_told_before_an_engine_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert main(["build", "--stack", "cu999"]) == 2
    assert "--stack cu999: there is no such stack; expected one of cu126, cu128" in capsys.readouterr().err
