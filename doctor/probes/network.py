"""Whether the package indexes answer that pip and uv are configured to ask. Only on demand: it leaves the machine.

Passwords in pip's and uv's settings are never sent and never kept: an index that asks for one has been reached.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, get_args

from doctor.facts import IndexAnswer, Network, Unknown
from doctor.facts.network import Said
from doctor.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doctor.shell import Host

CHILD = Path(__file__).parent / "children" / "index.py"
ANSWER_TIMEOUT_S = 10.0
DEFAULT_INDEX = "https://pypi.org/simple"
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")

Settings = dict[str, str]


def parse_pip_config(text: str) -> Settings:
    """Return the options of a pip.conf that lead to an index; [install] wins over [global]. Nonsense has none."""
    import configparser  # noqa: PLC0415 — only where the network is asked for

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError):
        return {}
    sections = [section for section in ("global", "install") if parser.has_section(section)]
    return {name.replace("_", "-"): value for section in sections for name, value in parser.items(section) if value}


def without_password(url: str) -> str:
    """Return the address without what stands before the @ of its host."""
    return re.sub(r"(?<=://)[^/?#]*@", "", url)


def parse_answers(text: str) -> dict[str, tuple[Said, int, str]]:
    """Read the JSON of `children/index.py`: what each address said. Rows that are none are left out."""
    try:
        rows: Any = json.loads(text)
        found = {str(row["url"]): (row["said"], int(row["status"]), str(row["detail"])[:200]) for row in rows}
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return {}
    return {url: answer for url, answer in found.items() if answer[0] in get_args(Said)}


def probe_network(host: Host, *, asked: bool) -> Network | Unknown:
    """Send one request to every index."""
    if not asked:
        return Unknown("the network was not asked (--network)")
    settings = _settings(host)
    indexes = {without_password(url): (url, source) for url, source in _indexes(host, settings)}
    proxy, words = _transport(host, settings)
    output = host.run_python(host.own_python(), CHILD, *words, *indexes, timeout_s=ANSWER_TIMEOUT_S)
    answers = parse_answers(output.out)
    if not answers:
        problem = output.problem or "the child said nothing"
        return Unknown(say("the indexes were not asked: {problem}", problem=problem), looked=False)
    trusted = f"{host.variable('PIP_TRUSTED_HOST')} {settings.get('trusted-host', '')}".split()
    told = [_answer(answers[url], url, indexes[url], trusted) for url in indexes if url in answers]
    if "--proxy" in words and proxy != without_password(proxy):  # the proxy's own password was not sent either
        told = [replace(one, password=True) if one.said == "proxy" else one for one in told]
    return Network(answers=tuple(told), proxy=without_password(proxy))


def _answer(answer: tuple[Said, int, str], url: str, configured: tuple[str, str], trusted: list[str]) -> IndexAnswer:
    said, status, detail = answer
    place = re.sub(r"^\w+://|/.*$", "", url)
    if said == "certificate" and {place, place.split(":")[0]} & set(trusted):
        said = "ok"  # pip does not look at the certificate of a trusted host
    return IndexAnswer(
        url=url, source=configured[1], said=said, status=status, detail=detail, password=configured[0] != url
    )


def _settings(host: Host) -> Settings:
    """Join pip's configuration files in pip's order: site-wide, user, environment, PIP_CONFIG_FILE."""
    home = host.variable("HOME")
    config = host.variable("XDG_CONFIG_HOME") or f"{home}/.config"
    places = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", f"{home}/.pip/pip.conf", f"{config}/pip/pip.conf"]
    places += [f"{host.variable(name)}/pip.conf" for name in ("CONDA_PREFIX", "VIRTUAL_ENV") if host.variable(name)]
    places += [host.variable("PIP_CONFIG_FILE")] if host.variable("PIP_CONFIG_FILE") else []
    if places[-1] == "/dev/null":
        return {}
    settings: Settings = {}
    for place in places:
        found = parse_pip_config(host.read(place) or "")
        settings |= found | {f"{name} from": place for name in found}
    return settings


def _indexes(host: Host, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each index with who names it; only those that are asked over a network."""
    named = [(f"PIP_{name}", host.variable(f"PIP_{name}")) for name in ("INDEX_URL", "EXTRA_INDEX_URL")]
    for (variable, value), option in zip(named, ("index-url", "extra-index-url"), strict=True):
        if value:
            yield from _split(value, variable)
        elif option in settings:
            yield from _split(settings[option], settings[f"{option} from"])
        elif option == "index-url":
            yield DEFAULT_INDEX, "pip's default"
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        yield from _split(host.variable(variable), variable)


def _split(value: str, source: str) -> Iterator[tuple[str, str]]:
    for word in value.split():
        url = re.sub(r"^[\w.-]+=(?=\w+://)", "", word)  # uv's name=address
        if re.match(r"https?://[^/]", url):
            yield url.rstrip("/"), source


def _transport(host: Host, settings: Settings) -> tuple[str, list[str]]:
    """Return the proxy, and the child's words for what it cannot see in its environment."""
    proxy = host.variable("PIP_PROXY") or settings.get("proxy", "")
    words = ["--proxy", without_password(proxy)] if proxy else []
    certificate = next((value for name in CERTIFICATES if (value := host.variable(name))), settings.get("cert", ""))
    words += ["--cert", str(PurePosixPath(certificate))] if certificate else []
    return proxy or next((value for name in PROXIES if (value := host.variable(name))), ""), words
