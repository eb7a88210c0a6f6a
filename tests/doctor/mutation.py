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
from tests.doctor.edits import edits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edit: where, what stood there, what stands there instead, and the attribute that is set for it.

    `met_by` is the code that behaves differently: who does not run it cannot notice.
    """

    file: str
    line: int
    function: str
    before: str
    after: str
    target: object
    attribute: str
    value: object
    met_by: frozenset[types.CodeType]

    @property
    def key(self) -> str:
        """What names this mutant as long as nobody touches its expression: no line number in it."""
        return f"{self.file} {self.function}: {self.before} -> {self.after}"

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Let everybody meet the mutant within the block."""
        sane = getattr(self.target, self.attribute)
        setattr(self.target, self.attribute, self.value)
        forget_all()
        try:
            yield
        finally:
            setattr(self.target, self.attribute, sane)
            forget_all()


def mutants_of(path: Path, root: Path) -> list[Mutant]:
    """Return every mutant of every function, and of every number by itself, in a file of the package."""
    name = path.relative_to(root).with_suffix("").as_posix()
    module = importlib.import_module(name.replace("/", "."))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: list[Mutant] = []
    for qualname, function in _functions(tree):
        target = _live(module, qualname)
        found += _mutants_of_function(f"{name}.py", qualname, function, target)
    for line in tree.body:
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and path.parent.name == "rules":
            found += _mutants_of_constant(f"{name}.py", line, module)
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
        for before, after, edited in edits(place.node):
            sane = _shown(place, before)
            place.put(ast.copy_location(edited, place.node))
            code, mad = _compiled(bare), _shown(place, after)
            place.put(place.node)
            line, met_by = getattr(place.node, "lineno", function.lineno), frozenset({target.__code__})
            yield Mutant(file, line, qualname, sane, mad, target, "__code__", code, met_by)


def _mutants_of_constant(file: str, line: ast.Assign, module: types.ModuleType) -> Iterator[Mutant]:
    """Yield the mutants of such a line as `OLDEST_GCC, OLDEST_CLANG = 9, 10`, met by the functions that name one."""
    used = {node.id: _users(module, node.id) for node in ast.walk(line.targets[0]) if isinstance(node, ast.Name)}
    for place in _places(line):
        for before, after, edited in edits(place.node) if isinstance(place.node, ast.Constant) else ():
            place.put(ast.copy_location(edited, place.node))
            scope = dict(vars(module))
            exec(compile(ast.fix_missing_locations(ast.Module([line], [])), "<mutant>", "exec"), scope)  # noqa: S102 — our own source
            place.put(place.node)
            for name, met_by in used.items():
                if met_by and scope[name] != vars(module)[name]:
                    yield Mutant(file, line.lineno, name, before, after, module, name, scope[name], met_by)


def _users(module: types.ModuleType, name: str) -> frozenset[types.CodeType]:
    """Return the code of the module's functions in which a global name occurs."""
    values = [value.check if isinstance(value, Rule) else value for value in vars(module).values()]
    codes = [value.__code__ for value in values if isinstance(value, types.FunctionType)]
    return frozenset(code for code in codes if name in _names(code))


def _names(code: types.CodeType) -> set[str]:
    inner = [_names(value) for value in code.co_consts if isinstance(value, types.CodeType)]
    return {*code.co_names}.union(*inner)


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


def _places(root: ast.FunctionDef | ast.Assign) -> Iterator[Place]:
    """Yield every statement and expression of a body or a value; hints are no code."""
    pending: list[tuple[ast.AST, ast.AST]] = [(root, root)]
    while pending:
        owner, around = pending.pop()
        for field, value in ast.iter_fields(owner):
            if (owner is root and field not in {"body", "value"}) or field in {"annotation", "returns"}:
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


def forget_all() -> None:
    """Empty the caches of every judge: what a cached function said before a mutant lives is not what it says then."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("doctor.rules", "doctor.compat")):
            for value in vars(module).values():
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
