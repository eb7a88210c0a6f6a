"""NET: both sides of each rule about the package indexes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from doctor.facts import IndexAnswer, Network
from doctor.rules import network

if TYPE_CHECKING:
    from doctor.facts.network import Said

PYPI = IndexAnswer(url="https://pypi.org/simple", source="pip's default", said="ok", status=200)
MIRROR = IndexAnswer(url="https://mirror.example/simple", source="PIP_EXTRA_INDEX_URL", said="ok", status=200)
ALL_WELL = Network(answers=(PYPI, MIRROR))


def network_of(said: Said, status: int = 0, detail: str = "", *, password: bool = False, proxy: str = "") -> Network:
    bad = replace(MIRROR, said=said, status=status, detail=detail, password=password)
    return Network(answers=(PYPI, bad), proxy=proxy)


def test_all_is_well() -> None:
    assert [rule(network=ALL_WELL) for rule in network.RULES] == [None] * 4


@pytest.mark.parametrize(
    ("said", "saw"),
    [
        ("name", "the name of https://mirror.example/simple is not known here"),
        ("refused", "https://mirror.example/simple refuses the connection"),
        ("silent", "https://mirror.example/simple gives no answer"),
        ("nonsense", "https://mirror.example/simple does not answer as an index does"),
    ],
)
def test_an_index_that_is_not_reached(said: Said, saw: str) -> None:
    found = network.indexes_are_reached(network=network_of(said, detail="timed out"))
    assert found is not None
    assert (found.saw, found.severity) == (saw, "problem")
    assert found.fix[0] == "it is named in: PIP_EXTRA_INDEX_URL"
    assert found.evidence == (f"https://mirror.example/simple: {said} (timed out)",)
    others = [rule(network=network_of(said)) for rule in network.RULES[1:]]
    assert others == [None] * 3


def test_a_certificate() -> None:
    found = network.certificates_are_trusted(network=network_of("certificate"))
    assert found is not None
    assert found.saw == "the certificate of https://mirror.example/simple is not trusted"
    assert "PIP_CERT" in found.fix[0]
    assert network.indexes_are_reached(network=network_of("certificate")) is None


@pytest.mark.parametrize(
    ("status", "detail", "saw"),
    [
        (407, "Proxy Authentication Required", "http://proxy.example:3128 asks for a password"),
        (0, "Tunnel connection failed: 407 Authentication", "http://proxy.example:3128 asks for a password"),
        (0, "refused", "http://proxy.example:3128 does not pass requests on to https://mirror.example/simple"),
    ],
)
def test_a_proxy(status: int, detail: str, saw: str) -> None:
    found = network.proxy_passes(network=network_of("proxy", status, detail, proxy="http://proxy.example:3128"))
    assert found is not None
    assert found.saw == saw
    assert ("USER:PASSWORD" in found.fix[0]) == ("password" in saw)


@pytest.mark.parametrize(
    ("status", "detail"), [(407, "Authentication Required"), (0, "Tunnel connection failed: 407 x")]
)
def test_a_proxy_that_wants_the_password_it_would_be_given(status: int, detail: str) -> None:
    assert network.proxy_passes(network=network_of("proxy", status, detail, password=True)) is None
    assert network.proxy_passes(network=network_of("proxy", 0, "refused", password=True)) is not None


def test_a_proxy_without_a_name() -> None:
    found = network.proxy_passes(network=network_of("proxy"))
    assert found is not None
    assert found.saw.startswith("the proxy does not pass requests on")


@pytest.mark.parametrize(
    ("status", "severity", "remedy"),
    [
        (404, "problem", "its address ends in /simple mostly"),
        (401, "problem", "with a password: https://USER:PASSWORD@HOST/simple"),
        (403, "problem", "with a password: https://USER:PASSWORD@HOST/simple"),
        (499, "problem", "its address ends in /simple mostly"),
        (500, "warning", "its address ends in /simple mostly"),
    ],
)
def test_a_bad_answer(status: int, severity: str, remedy: str) -> None:
    found = network.indexes_are_right(network=network_of("status", status))
    assert found is not None
    assert (found.severity, found.fix[1]) == (severity, remedy)
    assert found.saw == f"https://mirror.example/simple answers {status}"
    assert network.indexes_are_reached(network=network_of("status", status)) is None


@pytest.mark.parametrize("status", [401, 403])
def test_an_index_that_wants_the_password_it_would_be_given(status: int) -> None:
    assert network.indexes_are_right(network=network_of("status", status, password=True)) is None
    assert network.indexes_are_right(network=network_of("status", 404, password=True)) is not None
