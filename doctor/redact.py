"""What must not leave a machine: names, home folders, tokens, passwords, addresses, UUIDs. Replaced in any text.

Versions stay: `10.3.5.147` behind a package's name is no address.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from contextlib import suppress

Names = tuple[tuple[str, str], ...]
# Users and hosts that many machines have: they identify nobody, and stand in the names of tools and packages too.
_COMMON = """
root localhost user host admin ubuntu debian fedora centos nvidia jetson cuda torch pytorch python python3 conda docker
node data home test ec2-user vagrant runner workspace
"""
COMMON = frozenset(_COMMON.split())
FOUR_NUMBERS = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\.?[0-9])")
PRIVATE = re.compile(r"192\.168\.|172\.(?:1[6-9]|2[0-9]|3[01])\.|169\.254\.")
SAME_EVERYWHERE = re.compile(r"127\.|0\.0\.0\.0$|255\.")
# What stands before four numbers that are a version: a package, a JSON key, the word itself, part of a file name.
VERSION_BEFORE = re.compile(
    r"""(?ix) (?: [a-z0-9]\\*["']?[ ]?:[ ]?\\*["'] | (?:nvidia|opencv|cuda)[\w.-]*[ \t]+ | version[:=]?[ ]*
    | [=~<>]=[ ]? | [a-z0-9_][-_+v] | [a-z] ) $"""
)
ADDRESS_BEFORE = re.compile(
    r"""(?ix) (?: host|server|addr(?:ess)?|ip|inet6?|url|proxy|gateway|peer ) \\*["']?[ ]?[:=]?[ ]?\\*["']? $"""
)
VERSION_AFTER = re.compile(r"(?i)[-+_][a-z0-9]|\.(?:post|dev|dist|so|tar|whl)|[a-z]")
SECRETS = (
    (re.compile(r"://[^/@\s\"'<>]*@"), "://redacted@"),
    (re.compile(r"(?i)\b(bearer|basic)(\s+|%20)[A-Za-z0-9+/._~=-]{8,}"), r"\1\2token"),
    (
        re.compile(
            r"""(?ix) ( (?:password|passwd|passphrase|secret|api_?key|access_?key|_token|authtoken) [\w-]*
            \\*["']?\s*[=:]\s*\\*["']? ) [^\s"'\\,;&]{4,}"""
        ),
        r"\1redacted",
    ),
    (
        re.compile(r"(?<![A-Za-z0-9])(?:github_pat|hf|gh[opsur]|glpat|pypi|npm|sk|xox[abprs])[_-][A-Za-z0-9_-]{16,}"),
        "token",
    ),
    (re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"), "token"),
    (re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"), "token"),
    (re.compile(r"(?i)(?<![0-9a-f])(?:GPU-|MIG-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])"), "UUID"),
    (re.compile(r"(?i)(?<![0-9a-f:])[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}(?![0-9a-f:])"), "address"),
    (re.compile(r"(?i)(?<=//)\[[0-9a-f:.%a-z]+\]"), "address"),
    (
        re.compile(
            r"""(?ix) (?<![0-9a-z:]) (?:[23][0-9a-f]{3}|fe[89ab][0-9a-f]|f[cd][0-9a-f]{2})
            (?: (?::[0-9a-f]{1,4}){7} | (?::[0-9a-f]{1,4}){0,6} ::
            (?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})? ) (?![0-9a-z:])"""
        ),
        "address",
    ),
    (
        re.compile(r"(?<!//)(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"),
        "e-mail",
    ),
    (re.compile(r"(?<=/home/)(?!user(?![^/\s\"'\\:,;)\]]))[^/\s\"'\\:,;)\]]+"), "other"),
    (re.compile(r"(?<=/Users/)[^/\s\"'\\:,;)\]]+"), "other"),
)
SECRET_VARIABLE = re.compile(r"(?i)token|secret|passw|credential|api_?key|access_?key")


def redact(text: str, names: Names = ()) -> str:
    """Replace what identifies a person or a machine: `names` (what, by what), passwords, tokens, addresses, UUIDs."""
    for name, word in names:
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", word, text)
    for pattern, word in SECRETS:
        text = pattern.sub(word, text)
    return FOUR_NUMBERS.sub(_address, text)


def redact_all(value: object, names: Names = ()) -> object:
    """Redact every text in JSON-like values, keys included."""
    if isinstance(value, str):
        return redact(value, names)
    if isinstance(value, dict):
        return {redact(key, names): redact_all(inner, names) for key, inner in value.items()}
    return [redact_all(inner, names) for inner in value] if isinstance(value, (list, tuple)) else value


def redact_variable(name: str, value: object) -> object:
    """Return the value of an environment variable, or a word for it where its name says that it is a secret."""
    return "redacted" if SECRET_VARIABLE.search(name) else value


def own_names() -> Names:
    """Return this user's folder and name and this host's name, as far as they tell one machine from another."""
    home = os.environ.get("HOME", "")
    named = [(socket.gethostname(), "host")]
    with suppress(OSError, KeyError, ImportError):
        named.insert(0, (getpass.getuser(), "user"))
    told = [(name, word) for name, word in named if len(name) > 2 and name.lower() not in COMMON]
    return ((home, "/home/user"), *told) if len(home) > 2 and home != "/root" else tuple(told)


def _address(match: re.Match[str]) -> str:
    """Return the word for an address, or the text itself where it is a version or the same on every machine."""
    text = match[0]
    if SAME_EVERYWHERE.match(text) or any(int(part) > 255 for part in text.split(".")):
        return text
    before, after = match.string[max(0, match.start() - 60) : match.start()], match.string[match.end() :][:8]
    if PRIVATE.match(text) or ADDRESS_BEFORE.search(before):
        return "address"
    return text if VERSION_BEFORE.search(before) or VERSION_AFTER.match(after) else "address"
