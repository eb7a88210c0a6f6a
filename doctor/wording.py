"""What a rule can say, read from its source without running it: its templates and severities. It judges nothing.

A text is a literal, a `say(...)`, a name or a helper that stands for such texts. What is put together at run time
(f-strings, concatenations) is told apart: a command with values in it may be, a sentence may not.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from doctor.finding import Rule

DEEPEST = 12  # names that stand for names …
VALUE = "{…}"
PARTS = ("saw", "expected", "fix", "severity")
OF_VALUES = frozenset({"str", "joined", "dotted", "dotted_driver", "repr"})


class WordingError(TypeError):
    """A text that cannot be found in the source; the message names the rule and the expression."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The templates that a rule's findings are made of, the severities they may have, and texts made at run time.

    `by_goal` are the expressions that choose a severity by the goal, as they stand in the source.
    """

    saw: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    built: tuple[str, ...] = ()
    by_goal: tuple[str, ...] = ()


def wording(rule: Rule) -> Wording:
    """Return what the rule can say. Raises WordingError for a text that cannot be found."""
    built: list[str] = []
    source = _Source(rule.check, rule.code, built)
    parts: dict[str, list[str]] = {part: [] for part in (*PARTS, "by goal")}
    for inside, call in source.findings():
        given = {word.arg: word.value for word in call.keywords if word.arg}
        given.setdefault("severity", ast.Constant("problem"))
        for part in PARTS:
            parts[part] += inside.texts(given[part]) if part in given else []
        parts["by goal"] += [told for told in inside.sources(given["severity"]) if "goal" in told]
    saw, expected, fix, severities = (tuple(dict.fromkeys(parts[part])) for part in PARTS)
    return Wording(saw, expected, fix, severities, tuple(dict.fromkeys(built)), tuple(dict.fromkeys(parts["by goal"])))


@dataclass(slots=True)
class _Source:
    """One function's tree, with the names that it uses; `given` are the arguments that it was called with."""

    function: Callable[..., Any]
    code: str
    built: list[str]
    given: dict[str, tuple[_Source, ast.expr]] = field(default_factory=dict)
    depth: int = 0
    tree: ast.Module = field(init=False)

    def __post_init__(self) -> None:
        self.tree = ast.parse(textwrap.dedent(inspect.getsource(self.function)))

    def findings(self) -> Iterator[tuple[_Source, ast.Call]]:
        """Yield every `Finding(...)` made here or in a helper that is called, in the order of the lines."""
        calls = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        for node in sorted(calls, key=lambda call: call.lineno):
            if isinstance(node.func, ast.Name) and node.func.id == "Finding":
                yield self, node
            elif helper := self._helper(node):
                yield from helper.findings()

    def texts(self, node: ast.expr) -> list[str]:  # noqa: PLR0911 — one form of a text a line
        """Return the templates that an expression can stand for."""
        match node:
            case ast.Constant(value=str(text)):
                return [text] if text else []
            case ast.JoinedStr() | ast.BinOp(op=ast.Mod()):
                self.built.append(_template(node))
                return self.built[-1:]
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return self._added(node, left, right)
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute():
                return [VALUE]
            case ast.Call():
                return self._called(node)
        inner = _inner(node)
        if inner is None:
            raise WordingError(f"{self.code}: {ast.unparse(node)} is neither a literal nor say(...)")
        return [text for one in inner for text in self.texts(one)]

    def _called(self, node: ast.Call) -> list[str]:  # noqa: PLR0911 — one form of a call a line
        match node:
            case ast.Call(func=ast.Name(id="say"), args=[text]):
                return self.texts(text)
            case ast.Call(func=ast.Name(id="counted"), args=[_, *forms]):
                return [text for form in forms for text in self.texts(form)]
            case ast.Call(func=ast.Name(id="tuple" | "list" | "sorted"), args=[inner]):
                return self.texts(inner)
            case ast.Call(func=ast.Attribute(value=table, attr="get"), args=[_, *other]):
                return [text for one in (table, *other) for text in self.texts(one)]
            case ast.Call(func=ast.Name(id=name)) if name in OF_VALUES:
                return [VALUE]
            case ast.Call(func=ast.Attribute(attr="join")):
                return [VALUE]
        helper = self._helper(node)
        if helper is None:
            raise WordingError(f"{self.code}: {ast.unparse(node)} is not a text that is known before the rule runs")
        return [text for value in helper.returned() for text in helper.texts(value)]

    def sources(self, node: ast.expr) -> list[str]:
        """Return the expression as written, or those that its name stands for."""
        values = [value for name, value in _assignments(self.tree) if isinstance(node, ast.Name) and name == node.id]
        return [ast.unparse(value) for value in values or [node]]

    def returned(self) -> list[ast.expr]:
        """Return what the function can return, in the order of its lines."""
        found = [node.value for node in ast.walk(self.tree) if isinstance(node, ast.Return) and node.value]
        return sorted(found, key=lambda node: node.lineno)

    def _added(self, node: ast.BinOp, left: ast.expr, right: ast.expr) -> list[str]:
        """Two tuples are both; two texts are one that is put together."""
        sides = (left, right)
        if any(isinstance(side, (ast.Tuple, ast.List)) for side in sides) or not any(map(_is_text, sides)):
            return [text for side in sides for text in self.texts(side)]
        self.built.append(_template(node))
        return self.built[-1:]

    def _named(self, name: str) -> list[str]:
        values = [value for target, value in _assignments(self.tree) if target == name]
        if values:
            return [text for value in values for text in self.texts(value)]
        if name in self.given:
            source, value = self.given[name]
            return source.texts(value)
        known = self.function.__globals__.get(name)
        if isinstance(known, str):
            return [known]
        texts = list(known.values()) if isinstance(known, dict) else list(known) if isinstance(known, tuple) else []
        flat = [text for one in texts for text in (one if isinstance(one, tuple) else (one,))]
        if flat and all(isinstance(text, str) for text in flat):
            return flat
        arguments = [one.arg for node in ast.walk(self.tree) if isinstance(node, ast.arguments) for one in node.args]
        if name in {*arguments, *_loop_names(self.tree)}:
            return [VALUE]
        raise WordingError(f"{self.code}: {name} is not a text that is known before the rule runs")

    def _helper(self, node: ast.Call) -> _Source | None:
        """Return the function of ours that is called, with what it is given."""
        function = self.function.__globals__.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if not inspect.isfunction(function) or self.depth >= DEEPEST:
            return None
        same_file = function.__globals__ is self.function.__globals__
        if not same_file and not function.__module__.startswith("doctor.rules"):
            return None
        names = list(inspect.signature(function).parameters)
        given = dict(zip(names, ((self, value) for value in node.args), strict=False))
        given |= {word.arg: (self, word.value) for word in node.keywords if word.arg}
        return _Source(function, self.code, self.built, given, self.depth + 1)


def _inner(node: ast.expr) -> list[ast.expr] | None:
    """Return the expressions of which one, or each, is meant; None for another kind of expression."""
    match node:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.BoolOp(values=parts):
            return parts
        case ast.IfExp(body=one, orelse=other):
            return [one, other]
        case ast.Starred(value=value) | ast.Subscript(value=value) | ast.NamedExpr(value=value):
            return [value]
        case ast.ListComp(elt=value) | ast.GeneratorExp(elt=value):
            return [value]
        case ast.Dict(values=parts):
            return parts
    return None


def _assignments(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that are given a value, and what is appended to them."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _pairs(target, value)
            case ast.AnnAssign(target=to, value=ast.expr() as value) | ast.AugAssign(target=to, value=value):
                yield from _pairs(to, value)
            case ast.NamedExpr(target=to, value=value):
                yield from _pairs(to, value)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append" | "extend"), args=[value]):
                yield name, value
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="insert"), args=[_, value]):
                yield name, value


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its_value in zip(target.elts, value.elts, strict=False):
            yield from _pairs(one, its_value)


def _loop_names(tree: ast.AST) -> set[str]:
    """Return the names that loops and unpacked values bind: values, not sentences."""
    loops = [node.target for node in ast.walk(tree) if isinstance(node, (ast.For, ast.comprehension))]
    unpacked = [to for node in ast.walk(tree) if isinstance(node, ast.Assign) for to in node.targets]
    inside = [one for target in loops + unpacked for one in ast.walk(target)]
    return {one.id for one in inside if isinstance(one, ast.Name)}


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _template(node: ast.expr) -> str:
    """Return an f-string or a concatenation with `{…}` for each value."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(_template, parts))
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _template(left) + _template(right)
        case ast.BinOp(op=ast.Mod(), left=left):
            return _template(left)
    return VALUE
