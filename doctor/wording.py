"""What a rule can say, read from its source without running it: its templates and severities. It judges nothing.

A text is a literal, a `say(...)`, a name that stands for such texts, or a helper of the same file that returns them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from doctor.finding import Rule

DEEPEST = 8  # names that stand for names …


class WordingError(TypeError):
    """A text that is put together at run time; the message names the rule and the expression."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The templates that a rule's findings are made of, and the severities they may have."""

    saw: tuple[str, ...]
    expected: tuple[str, ...]
    fix: tuple[str, ...]
    severities: tuple[str, ...]


def wording(rule: Rule) -> Wording:
    """Return what the rule can say. Raises WordingError for a text that cannot be translated."""
    source = _Source(rule.check, rule.code)
    parts: dict[str, list[str]] = {"saw": [], "expected": [], "fix": [], "severity": []}
    for call in source.findings():
        given = {word.arg: word.value for word in call.keywords if word.arg}
        given.setdefault("severity", ast.Constant("problem"))
        for part, texts in parts.items():
            texts.extend(source.texts(given[part]) if part in given else ())
    return Wording(*(tuple(dict.fromkeys(parts[part])) for part in ("saw", "expected", "fix", "severity")))


class _Source:
    """One function's tree, with the names it uses."""

    def __init__(self, function: Callable[..., Any], code: str) -> None:
        self._tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        self._globals: dict[str, Any] = function.__globals__
        self._code = code

    def findings(self) -> Iterator[ast.Call]:
        """Yield every `Finding(...)` made in the function or in a helper that it calls."""
        calls = [node for node in ast.walk(self._tree) if isinstance(node, ast.Call)]
        for node in sorted(calls, key=lambda call: call.lineno):
            if isinstance(node.func, ast.Name) and node.func.id == "Finding":
                yield node
            elif isinstance(node.func, ast.Name) and (helper := self._helper(node.func.id)):
                yield from helper.findings()

    def texts(self, node: ast.expr | None, depth: int = 0) -> list[str]:
        """Return the templates that an expression can stand for."""
        match node:
            case (
                ast.Constant(value=str(text)) | ast.Call(func=ast.Name(id="say"), args=[ast.Constant(value=str(text))])
            ):
                return [text] if text else []
            case ast.Call(func=ast.Name(id="counted"), args=[_, *forms]) | ast.Tuple(elts=forms) | ast.List(elts=forms):
                return [text for form in forms for text in self.texts(form, depth)]
            case ast.IfExp(body=one, orelse=other):
                return self.texts(one, depth) + self.texts(other, depth)
            case ast.Starred(value=value):
                return self.texts(value, depth)
            case ast.Name(id=name) if depth < DEEPEST:
                return self._named(name, depth)
            case ast.Call(func=ast.Name(id=name)) if (helper := self._helper(name)) and depth < DEEPEST:
                return [text for value in helper.returned() for text in helper.texts(value, depth + 1)]
        raise WordingError(f"{self._code}: {ast.unparse(node) if node else '?'} is neither a literal nor say(...)")

    def returned(self) -> list[ast.expr]:
        """Return what the function can return, in the order of its lines."""
        found = [node.value for node in ast.walk(self._tree) if isinstance(node, ast.Return) and node.value]
        return sorted(found, key=lambda node: node.lineno)

    def _named(self, name: str, depth: int) -> list[str]:
        values = [value for target, value in self._assignments() if target == name]
        if values:
            return [text for value in values for text in self.texts(value, depth + 1)]
        match self._globals.get(name):
            case str(text):
                return [text]
            case tuple(texts) if all(isinstance(text, str) for text in texts):
                return list(texts)
        raise WordingError(f"{self._code}: {name} is not a text that is known before the rule runs")

    def _assignments(self) -> Iterator[tuple[str, ast.expr]]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    yield from _pairs(target, node.value)
            elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)) and node.value is not None:
                yield from _pairs(node.target, node.value)

    def _helper(self, name: str) -> _Source | None:
        function = self._globals.get(name)
        if not inspect.isfunction(function) or function.__globals__ is not self._globals:
            return None
        return _Source(function, self._code)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its_value in zip(target.elts, value.elts, strict=False):
            yield from _pairs(one, its_value)
