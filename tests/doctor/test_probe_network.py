"""Which indexes the network probe asks, as pip's and uv's settings name them, and how the menu tells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from doctor.__main__ import main
from doctor.facts import Network, Unknown
from doctor.probes.network import probe_network
from doctor.replay import Replay

MACHINES = Path(__file__).resolve().parents[1] / "fixtures" / "machines"
PYTHON = "/usr/bin/python3"


def test_it_looks_only_where_it_is_asked_to() -> None:
    assert probe_network(Replay({"schema_version": 1}), asked=False) == Unknown("the network was not asked (--network)")


def test_a_child_that_does_not_answer() -> None:
    found = probe_network(Replay({"schema_version": 1}), asked=True)
    assert isinstance(found, Unknown)
    assert not found.looked


def test_the_places_of_pips_configuration() -> None:
    user, site = "/home/user/.config/pip/pip.conf", "/etc/pip.conf"
    transport = "--proxy http://proxy.example:3128 --cert /etc/company.pem"
    command = f"index.py {PYTHON} {transport} https://a.example/simple https://b.example/simple"
    rows = [
        {"url": "https://a.example/simple", "said": "certificate", "status": 0, "detail": "self-signed"},
        {"url": "https://b.example/simple", "said": "certificate", "status": 0, "detail": "self-signed"},
    ]
    host = Replay(
        {
            "variables": {"HOME": "/home/user", "PIP_TRUSTED_HOST": "a.example"},
            "files": {
                site: "[global]\nindex-url = https://old.example/simple\nproxy = http://ada:s3cret@proxy.example:3128\n",
                user: "[global]\nindex-url = https://a.example/simple\ncert = /etc/company.pem\n"
                "extra-index-url = https://b.example/simple file:///srv/wheels\n",
            },
            "commands": {command: {"code": 0, "out": json.dumps(rows)}},
        }
    )
    found = probe_network(host, asked=True)
    assert isinstance(found, Network)
    assert [(one.source, one.said) for one in found.answers] == [(user, "ok"), (user, "certificate")]
    assert found.proxy == "http://proxy.example:3128"


def test_a_proxys_password_is_not_sent_either() -> None:
    row = {"url": "https://pypi.org/simple", "said": "proxy", "status": 407, "detail": ""}
    command = f"index.py {PYTHON} --proxy http://proxy.example:1 https://pypi.org/simple"
    variables = {"PIP_PROXY": "http://ada:s3cret@proxy.example:1"}
    host = Replay({"variables": variables, "commands": {command: {"code": 0, "out": json.dumps([row])}}})
    found = probe_network(host, asked=True)
    assert isinstance(found, Network)
    assert found.answers[0].reached
    assert "s3cret" not in str(found) + found.proxy


@pytest.mark.parametrize("variables", [{}, {"PIP_CONFIG_FILE": "/dev/null"}])
def test_without_a_configuration_it_is_pypi(variables: dict[str, str]) -> None:
    row = {"url": "https://pypi.org/simple", "said": "ok", "status": 200, "detail": ""}
    commands = {f"index.py {PYTHON} https://pypi.org/simple": {"code": 0, "out": json.dumps([row])}}
    found = probe_network(Replay({"commands": commands, "variables": variables}), asked=True)
    assert isinstance(found, Network)
    assert [one.source for one in found.answers] == ["pip's default"]


def test_a_company_proxy_as_the_menu_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    machine = str(MACHINES / "behind_a_company_proxy")
    assert main(["--replay", machine, "--network", "--json", "--only", "NET01,NET02,NET03,NET04"]) == 2
    judged = json.loads(capsys.readouterr().out)
    assert [row["code"] for row in judged["findings"]] == ["NET02", "NET03"]
    assert judged["healthy"] == ["NET01", "NET04"]
    assert main(["--replay", machine, "--only", "NET01,NET02,NET03,NET04"]) == 0
