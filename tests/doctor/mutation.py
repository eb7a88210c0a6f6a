"""Edits code one place at a time: a mutant is a function with one comparison, condition, constant or severity changed.

`mutants_of` reads a file; `Mutant.alive()` puts the edited code into the function that is already imported, so that
everybody who calls it, by whatever name, meets the mutant. Who notices is `mutant_hunt.py`.
"""

from __future__ import annotations

import ast
import functools
import importlib
import sys
import types
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from doctor.finding import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BOUNDARY: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
SEVERITIES = {"problem": "warning", "warning": "note", "note": "problem"}
OPPOSITES = {"any": "all", "all": "any", "min": "max", "max": "min"}

Edit = tuple[str, str, ast.AST]  # what stood there, what stands there in the mutant (both as text), the new node


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edit: where, what stood there, what stands there instead, and the code that comes of it."""

    file: str
    line: int
    function: str
    before: str
    after: str
    code: types.CodeType
    target: types.FunctionType

    @property
    def key(self) -> str:
        """What names this mutant as long as nobody touches its expression: no line number in it."""
        return f"{self.file} {self.function}: {self.before} -> {self.after}"

    def _forget(self) -> None:
        cached = getattr(sys.modules[self.target.__module__], self.target.__name__, None)
        if isinstance(cached, functools._lru_cache_wrapper):
            cached.cache_clear()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Let everybody meet the mutant within the block."""
        sane = self.target.__code__
        self.target.__code__ = self.code
        self._forget()
        try:
            yield
        finally:
            self.target.__code__ = sane
            self._forget()


def mutants_of(path: Path, root: Path) -> list[Mutant]:
    """Return every mutant of every function in a file of the package."""
    name = path.relative_to(root).with_suffix("").as_posix()
    module = importlib.import_module(name.replace("/", "."))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: list[Mutant] = []
    for qualname, function in _functions(tree):
        target = _live(module, qualname)
        found += _mutants_of_function(f"{name}.py", qualname, function, target)
    return found


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from (
                (f"{node.name}.{inner.name}", inner) for inner in node.body if isinstance(inner, ast.FunctionDef)
            )


def _live(module: types.ModuleType, qualname: str) -> types.FunctionType:
    """Return the function that runs under this name, out of a rule, a property or a cache."""
    value: Any = module
    for name in qualname.split("."):
        value = vars(value)[name]
    if isinstance(value, Rule):
        value = value.check
    value = value.fget if isinstance(value, property) else value
    value = getattr(value, "__wrapped__", value)
    assert isinstance(value, types.FunctionType), qualname
    return value


def _mutants_of_function(
    file: str, qualname: str, function: ast.FunctionDef, target: types.FunctionType
) -> Iterator[Mutant]:
    bare = ast.FunctionDef(**{**dict(ast.iter_fields(function)), "decorator_list": []})
    ast.copy_location(bare, function)
    for place in _places(bare):
        for before, after, edited in _edits(place.node):
            sane = _shown(place, before)
            place.put(ast.copy_location(edited, place.node))
            code, mad = _compiled(bare), _shown(place, after)
            place.put(place.node)
            yield Mutant(file, getattr(place.node, "lineno", function.lineno), qualname, sane, mad, code, target)


@dataclass(frozen=True, slots=True)
class Place:
    """A node in the tree: the attribute `field` of its owner, or the entry `index` of it. `around` says more of it."""

    owner: ast.AST
    field: str
    index: int | None
    node: ast.AST
    around: ast.AST

    def put(self, node: ast.AST) -> None:
        """Let another node stand here."""
        if self.index is None:
            setattr(self.owner, self.field, node)
        else:
            getattr(self.owner, self.field)[self.index] = node


def _places(function: ast.FunctionDef) -> Iterator[Place]:
    """Yield every statement and expression of the body; hints are no code."""
    pending: list[tuple[ast.AST, ast.AST]] = [(function, function)]
    while pending:
        owner, around = pending.pop()
        for field, value in ast.iter_fields(owner):
            if (owner is function and field != "body") or field in {"annotation", "returns"}:
                continue
            for index, node in enumerate(value) if isinstance(value, list) else ((None, value),):
                if isinstance(node, (ast.expr, ast.stmt, ast.comprehension, ast.keyword, ast.match_case)):
                    yield Place(owner, field, index, node, around)
                    pending.append((node, around if isinstance(node, (ast.Slice, ast.keyword)) else node))


def _shown(place: Place, text: str) -> str:
    """Return what a mutant is called by: a constant alone says too little, so what stands around it is said too."""
    return text if not isinstance(place.node, ast.Constant) else ast.unparse(place.around).split("\n", 1)[0]


def _compiled(function: ast.FunctionDef) -> types.CodeType:
    module = ast.fix_missing_locations(ast.Module([function], []))
    codes = [code for code in compile(module, "<mutant>", "exec").co_consts if isinstance(code, types.CodeType)]
    return next(code for code in codes if code.co_name == function.name)


def _edits(node: ast.AST) -> Iterator[Edit]:
    for kind in _KINDS:
        yield from kind(node)


def _comparisons(node: ast.AST) -> Iterator[Edit]:
    """`<` becomes `<=`, `==` becomes `!=`, `in` becomes `not in`, and so on."""
    if not isinstance(node, ast.Compare):
        return
    for place, op in enumerate(node.ops):
        ops = [*node.ops[:place], BOUNDARY[type(op)](), *node.ops[place + 1 :]]
        yield _both(node, ast.Compare(node.left, ops, node.comparators))


def _conditions(node: ast.AST) -> Iterator[Edit]:
    """`if x` becomes `if not x`, in statements, expressions and comprehensions."""
    if isinstance(node, ast.If):
        yield f"if {ast.unparse(node.test)}", f"if not ({ast.unparse(node.test)})", _negated(node)
    elif isinstance(node, ast.IfExp):
        yield _both(node, ast.IfExp(_not(node.test), node.body, node.orelse))
    elif isinstance(node, ast.comprehension):
        for place, test in enumerate(node.ifs):
            ifs = [*node.ifs[:place], _not(test), *node.ifs[place + 1 :]]
            yield _both(node, ast.comprehension(node.target, node.iter, ifs, node.is_async))


def _operands(node: ast.AST) -> Iterator[Edit]:
    """`a and b` becomes `a`, and becomes `b`."""
    if not isinstance(node, ast.BoolOp):
        return
    for place in range(len(node.values)):
        rest = [*node.values[:place], *node.values[place + 1 :]]
        yield _both(node, rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest))


def _negations(node: ast.AST) -> Iterator[Edit]:
    """`not x` becomes `x`; `isinstance(x, Unknown)` becomes its opposite."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _both(node, node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
        yield _both(node, _not(node))


def _constants(node: ast.AST) -> Iterator[Edit]:
    """A number becomes its successor, True becomes False, a severity becomes another one."""
    if not isinstance(node, ast.Constant):
        return
    if isinstance(node.value, bool):
        yield _both(node, ast.Constant(not node.value))
    elif isinstance(node.value, (int, float)):
        yield _both(node, ast.Constant(node.value + 1))
    elif isinstance(node.value, str) and node.value in SEVERITIES:
        yield _both(node, ast.Constant(SEVERITIES[node.value]))


def _calls(node: ast.AST) -> Iterator[Edit]:
    """`any` becomes `all`, `min` becomes `max`; a finding that is a problem by default becomes a note."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return
    if node.func.id in OPPOSITES:
        yield _both(node, ast.Call(ast.Name(OPPOSITES[node.func.id], ast.Load()), node.args, node.keywords))
    if node.func.id == "Finding" and not any(word.arg == "severity" for word in node.keywords):
        softer = ast.Call(node.func, node.args, [*node.keywords, ast.keyword("severity", ast.Constant("note"))])
        yield "Finding(…)", "Finding(…, severity='note')", softer


def _returns(node: ast.AST) -> Iterator[Edit]:
    """An early `return None` is left out."""
    if isinstance(node, ast.If) and len(node.body) == 1 and _returns_none(node.body[0]):
        early = f"if {ast.unparse(node.test)}: "
        yield f"{early}return None", f"{early}pass", ast.If(node.test, [ast.Pass()], node.orelse)


_KINDS: tuple[Callable[[ast.AST], Iterator[Edit]], ...] = (
    _comparisons,
    _conditions,
    _operands,
    _negations,
    _constants,
    _calls,
    _returns,
)


def _returns_none(node: ast.stmt) -> bool:
    return isinstance(node, ast.Return) and (
        node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
    )


def _negated(node: ast.If) -> ast.If:
    return ast.If(_not(node.test), node.body, node.orelse)


def _both(before: ast.AST, after: ast.AST) -> Edit:
    return ast.unparse(before), ast.unparse(after), after


def _not(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def forget_all() -> None:
    """Empty the caches of every judge: what a cached function said before a mutant lives is not what it says then."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("doctor.rules", "doctor.compat")):
            for value in vars(module).values():
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
