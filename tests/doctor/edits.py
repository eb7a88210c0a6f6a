"""What a mutant changes: one comparison, condition, operand, negation, constant, severity or early return.

`edits(node)` yields every edit of one node of a syntax tree. Where and how they are applied is `mutation.py`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def edits(node: ast.AST) -> Iterator[Edit]:
    """Yield what the mutants of this node are."""
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
