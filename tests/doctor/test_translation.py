"""Every sentence can be said in Chinese: rules speak in templates, each has its entry, and no entry is left over."""

from __future__ import annotations

import ast
import inspect
import json
import re
import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doctor.finding import Finding, Rule, rule
from doctor.logs.explain import explain
from doctor.logs.signatures import ALL_SIGNATURES
from doctor.render.explanation import explanation
from doctor.replay import PROBLEMS
from doctor.rules import ALL_RULES
from doctor.wording import WordingError, wording
from doctor.words import catalogue, said_again, say, translate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doctor.logs.signature import Signature

DOCTOR = Path(__file__).resolve().parents[2] / "doctor"
ZH = catalogue("zh")
_COMMANDS = """
sudo ./bevready pip python3 nvidia-smi ls echo export ldconfig g++ gcc nvcc mv rm ln cd docker wsl conda uv source unset
git df mount unzip tar ldd mkdir cat find journalctl grep sysctl modprobe lsmod dmesg apt apt-mark mokutil lspci test
cuobjdump nm strings c++ clang++ env du free ulimit curl ps kill bash sh which readlink chmod id getconf invoke printf
podman apptainer crictl nerdctl
"""
COMMANDS = frozenset(_COMMANDS.split())
NAMES = frozenset(
    ["Desktop", "Python", "clang++", "cmake", "docker", "git", "libcuda", "make", "ninja", "podman", "rootless", "snap"]
)
PROSE = re.compile(r"(?<![^\s(])(or|a|the|that|which(?! -a)|then)(?!\S)")  # words that no command is made of


def names_in(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def has_words(text: str) -> bool:
    """Whether there is a word that a language has, and not only names, versions and paths."""
    return bool(re.search(r"(?<![\w/.{_-])[A-Z]?[a-z]{2,}(?![\w/}_-]|\.\w)", text))


def is_command(text: str) -> bool:
    """A line to paste: it starts with a program or an assignment, and has no words but names behind a #."""
    program = re.split(r"[ ;]", text, maxsplit=1)[0] in COMMANDS or re.match(
        r"[A-Z_]+=\S* |\{[a-z_]+\} (-m |install |uninstall )", text
    )
    remark = text.partition(" # ")[2]
    return bool(program) and not re.search(r"(?<!\w)[a-z]{2,}(?!\w)", remark) and not PROSE.search(text)


def is_to_be_said(text: str) -> bool:
    return has_words(text) and not is_command(text)


def python_files() -> list[Path]:
    return sorted(DOCTOR.rglob("*.py"))


def strings_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return found | {inspect.cleandoc(text) for text in found}


def said_in(path: Path) -> set[str]:
    """Return the templates of every `say` and `counted` in a file, those behind a name included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    texts = [one for call in calls if call.func.id in {"say", "counted"} for one in call.args]  # type: ignore[attr-defined]
    named = {one.id for one in texts if isinstance(one, ast.Name)}
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    texts += [one.value for one in assigned if named & {to.id for to in one.targets if isinstance(to, ast.Name)}]
    found = {one.value for one in texts if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return {text for text in found if is_to_be_said(text)}


class Told:
    """What a file's `Unknown(...)`, its programs' problems and its facts' lines can say, read without running it.

    Names are followed to what the function or the file gives them, helpers of the same file to what they return.
    `built` are texts with words that are put together at run time, so that nobody can translate them.
    """

    def __init__(self, source: str, *, of_facts: bool) -> None:
        self.tree = ast.parse(source)
        self.texts: set[str] = set()
        self.built: set[str] = set()
        self._followed: set[tuple[str, int]] = set()
        self._within(self.tree, of_facts=of_facts)

    def _within(self, scope: ast.AST, *, of_facts: bool) -> None:
        """Read what stands in a function or the file, then what stands in the functions inside it."""
        for node in _own(scope):
            if isinstance(node, ast.FunctionDef):
                if of_facts and node.name == "__str__":
                    self._read_returns(node)
                self._within(node, of_facts=of_facts)
            elif isinstance(node, ast.Call):
                for one in self._reasons(node):
                    self._read(one, scope)

    @staticmethod
    def _reasons(call: ast.Call) -> list[ast.expr]:
        """Return what a call is given as a reason."""
        match call.func:
            case ast.Name(id="Unknown") | ast.Attribute(attr="silent"):
                return call.args[:1]
        return [word.value for word in call.keywords if word.arg in {"problem", "broken_config"}]

    def _read_returns(self, function: ast.FunctionDef) -> None:
        for node in _own(function):
            if isinstance(node, ast.Return) and node.value:
                self._read(node.value, function)

    def _read(self, node: ast.expr, scope: ast.AST) -> None:
        match node:
            case ast.Constant(value=str(text)):
                self.texts.add(text)
            case ast.JoinedStr() | ast.BinOp(op=ast.Add() | ast.Mod()):
                parts = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
                if any(is_unsaid(part) for part in parts if isinstance(part, str)):
                    self.built.add(ast.unparse(node))
            case ast.Name(id=name):
                self._follow(name, scope)
            case ast.Call():
                self._called(node, scope)
        for one in _parts(node):
            self._read(one, scope)

    def _called(self, node: ast.Call, scope: ast.AST) -> None:
        match node.func:
            case ast.Name(id="say" | "joined" | "counted"):
                for one in (*node.args, *(word.value for word in node.keywords)):
                    self._read(one, scope)
            case ast.Name(id=name):
                self._follow(name, scope)
            case ast.Attribute(attr="get", value=table):
                for one in (table, *node.args[1:]):
                    self._read(one, scope)
            case ast.Attribute(attr="join") if "str" in _names(node):
                self.built.add(ast.unparse(node))
            case ast.Attribute(attr="join"):
                self._read(node.args[0], scope)

    def _follow(self, name: str, scope: ast.AST) -> None:
        """Read what a name stands for in the function, else in the file."""
        if (name, id(scope)) in self._followed:
            return
        self._followed.add((name, id(scope)))
        found = False
        for node in _own(scope):
            match node:
                case ast.FunctionDef() if node.name == name:
                    self._read_returns(node)
                case ast.Assign(targets=targets, value=value) if any(name in _names(to) for to in targets):
                    self._read(value, scope)
                case ast.AnnAssign(target=to, value=ast.expr() as value) if name in _names(to):
                    self._read(value, scope)
                case ast.Call(func=ast.Attribute(value=ast.Name(id=of), attr="append"), args=[value]) if of == name:
                    self._read(value, scope)
                    continue
                case _:
                    continue
            found = True
        if not found and scope is not self.tree:
            self._follow(name, self.tree)


def _parts(node: ast.expr) -> list[ast.expr]:
    """Return the expressions of which one, or each, is meant."""
    match node:
        case ast.IfExp(body=one, orelse=other):
            return [one, other]
        case ast.Subscript(value=value) | ast.Starred(value=value):
            return [value]
        case ast.GeneratorExp(elt=value) | ast.ListComp(elt=value):
            return [value]
        case ast.BoolOp(values=parts) | ast.Dict(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
            return parts
    return []


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a function or a file; of the functions inside it only themselves."""
    for node in ast.iter_child_nodes(scope):
        yield node
        if not isinstance(node, ast.FunctionDef):
            yield from _own(node)


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def is_unsaid(text: str) -> bool:
    """Whether a text of a fact holds words; unlike a fix, one that starts with a program's name is no command."""
    return has_words(text) and text not in NAMES and not text.startswith("/")


def sources_of_facts() -> list[Path]:
    found = [path for path in python_files() if path.relative_to(DOCTOR).parts[0] in {"facts", "probes", "compat"}]
    return [*found, *(DOCTOR / name for name in ("machine.py", "replay.py", "shell.py"))]


@pytest.mark.parametrize("path", sources_of_facts(), ids=lambda path: str(path.relative_to(DOCTOR)))
def test_every_fact_and_every_reason_has_its_chinese(path: Path) -> None:
    told = Told(path.read_text(encoding="utf-8"), of_facts="facts" in path.parts)
    assert sorted(told.built) == [], "write say(...) and joined(...): what is put together cannot be translated"
    assert sorted(text for text in told.texts if is_unsaid(text) and text not in ZH) == []


def test_a_reason_is_found_wherever_it_is_made() -> None:
    told = Told(SAYS_MUCH, of_facts=True)
    assert told.built == {"f'{n} are lost'", "', '.join(map(str, self.found))"}
    assert told.texts == {"one", "two", "{n} of {kind}", "three", "four", "five", "six", "seven", "", ", "}


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        ("c++ gave no answer in 4 s", "c++ 在 4 秒内没有响应"),
        ("no time was left to ask nvcc", "没有剩余时间运行 nvcc"),
        ("nvcc ended", "nvcc ended"),
        ("x" * 2000 + " gave no answer in 4 s", "x" * 2000 + " gave no answer in 4 s"),
    ],
)
def test_a_recorded_problem_can_be_said_again(text: str, chinese: str) -> None:
    again = said_again(text, PROBLEMS)
    assert (again, translate(again, ZH)) == (text, chinese)


SAYS_MUCH = """
WORDS = {1: "one", 2: "two"}
def probe(n):
    problem, kind = _asked(n)
    if n:
        return Unknown(problem or WORDS.get(n, "three"))
    kind = "elsewhere"
    words = say("{n} of {kind}", n=n, kind=_kind())
    return Unknown(f"{n} are lost"), Output(problem="four" if n == "no text" else words)
def _asked(n):
    return "five", ""
def _kind():
    parts = ["six"]
    parts.append("seven")
    return joined(", ", parts)
class Fact:
    def __str__(self):
        return ", ".join(map(str, self.found))
"""


@pytest.mark.parametrize("one", ALL_RULES, ids=lambda one: one.code)
def test_everything_that_a_rule_says_has_its_chinese(one: Rule) -> None:
    told = wording(one)
    assert [text for text in told.built if is_to_be_said(text)] == [], "write say(...), not an f-string"
    texts = [one.healthy, one.why, *told.saw, *told.expected, *told.fix]
    assert [text for text in texts if is_to_be_said(text) and text not in ZH] == []


@pytest.mark.parametrize("one", ALL_SIGNATURES, ids=lambda one: one.name)
def test_everything_that_a_signature_says_has_its_chinese(one: Signature) -> None:
    texts = [one.saw, *(step for step in one.fix if is_to_be_said(step))]
    assert [text for text in texts if text not in ZH] == []
    assert [text for text in texts if names_in(text) != names_in(ZH[text])] == []


def test_a_command_stays_as_it_is_before_its_explanation() -> None:
    explained = {
        text: chinese for text, chinese in ZH.items() if " # " in text and is_command(text.partition(" # ")[0])
    }
    assert [text for text in explained if explained[text].partition(" # ")[0] != text.partition(" # ")[0]] == []
    assert len(explained) > 50


def test_a_log_is_explained_in_chinese_and_its_names_stay() -> None:
    told = explain(b"AttributeError: module 'mmcv' has no attribute 'line'\n")
    lines = [text for _, text in explanation(told, (), language="zh")]
    assert "日志共 1 行" in lines[0]
    assert "mmcv 中没有 line" in lines[1]


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(DOCTOR)))
def test_every_sentence_with_values_has_its_chinese(path: Path) -> None:
    assert sorted(text for text in said_in(path) if text not in ZH) == []


def test_an_entry_names_the_same_values() -> None:
    assert {english: chinese for english, chinese in ZH.items() if names_in(english) != names_in(chinese)} == {}


def test_no_entry_is_left_over() -> None:
    used = set().union(*(strings_of(path) for path in DOCTOR.rglob("*.py")))
    used |= {text for one in ALL_SIGNATURES for text in (one.saw, *one.fix)}  # some are put together from two constants
    assert sorted(set(ZH) - used) == []


def test_no_entry_stands_in_two_files_with_two_meanings() -> None:
    seen: dict[str, str] = {}
    for path in sorted((DOCTOR / "zh").glob("*.json")):
        for english, chinese in json.loads(path.read_text(encoding="utf-8")).items():
            assert seen.setdefault(english, chinese) == chinese, f"{path.name}: {english}"


def test_every_entry_is_chinese_or_a_name() -> None:
    plain = {", ", "; "}
    said = [chinese for english, chinese in ZH.items() if english != chinese]
    assert [text for text in said if not re.search(r"[\u3001-\u9fff\uff01-\uff5e]", text)] == []
    assert plain <= set(ZH)


@rule("XXX01", "nothing is wrong", category="other")
def put_together() -> Finding | None:
    """Why."""
    number = 3
    return Finding(saw=f"{number} of them", fix=(f"sudo kill {number}",), expected="one of " + str(number))


@rule("XXX02", "nothing is wrong", category="other")
def in_branches() -> Finding | None:
    """Why."""
    saw: str = say("{n} of them", n=1)
    expected, fix = "one", ("sudo reboot", "or wait")
    if len(saw) > 3:
        saw = "none of them"
    return Finding(saw=saw, fix=fix, expected=expected, severity="note" if len(saw) > 3 else "warning")


@rule("XXX03", "nothing is wrong", category="other")
def by_a_helper() -> Finding | None:
    """Why."""
    return _helped(say("{number} left", number=2))


def _helped(saw: str) -> Finding:
    steps = ["first"]
    steps.append("then")
    return Finding(saw=saw, fix=(*_steps(), *steps, *LAST), expected=WORDS.get("one", "") or WORDS["two"])


def _steps() -> tuple[str, ...]:
    return ("sudo reboot",)


LAST = ("at last",)
WORDS = {"one": "only one", "two": "only two"}


@rule("XXX04", "nothing is wrong", category="other")
def from_elsewhere() -> Finding | None:
    """Why."""
    return Finding(saw=inspect.cleandoc("x"), fix=())


@rule("XXX05", "nothing is wrong", category="other")
def without_end() -> Finding | None:
    """Why."""
    return _again()


def _again() -> Finding | None:
    return _again()


def test_a_text_put_together_at_run_time_is_told_apart() -> None:
    assert wording(put_together).built == ("{…} of them", "one of {…}", "sudo kill {…}")
    assert [text for text in wording(put_together).built if is_to_be_said(text)] == ["{…} of them", "one of {…}"]


def test_every_branch_of_a_rule_is_read() -> None:
    told = wording(in_branches)
    assert told.saw == ("{n} of them", "none of them")
    assert told.fix == ("sudo reboot", "or wait")
    assert told.expected == ("one",)
    assert told.severities == ("note", "warning")


def test_what_a_helper_says_counts() -> None:
    told = wording(by_a_helper)
    assert (told.saw, told.severities, told.built) == (("{number} left",), ("problem",), ())
    assert told.fix == ("sudo reboot", "first", "then", "at last")
    assert told.expected == ("only one", "only two")


def test_a_text_from_nobody_knows_where_is_refused() -> None:
    with pytest.raises(WordingError, match="XXX04"):
        wording(from_elsewhere)


def test_a_helper_that_calls_itself_ends() -> None:
    assert wording(without_end).saw == ()
