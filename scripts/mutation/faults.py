"""Small faults put into Python source, one at a time: what `mutate.py` asks the tests to notice.

| operator | what becomes of the code |
| --- | --- |
| compare | `<` and `<=`, `>` and `>=`, `==` and `!=`, `is` and `is not`, `in` and `not in` change places |
| arithmetic | `+` and `-`, `*` and `/`, `//` and `/`, `%` and `*`, `&` and `|` change places; `**` becomes `*` |
| factor | a product or a quotient loses its left or its right side |
| term | a sum or a difference loses its left or its right side |
| sign | `-x` becomes `x` |
| constant | a whole number grows by one, another one is doubled, 0.0 becomes 1.0, `True` and `False` change places |
| condition | the condition of an `if`, a `while`, a conditional expression or a comprehension is negated |
| logic | `and` and `or` change places, `not x` becomes `x` |
| arguments | the first two positional arguments of a call change places |
| keyword | a keyword argument of a call is dropped |
| function | `min` and `max`, `any` and `all`, `sin` and `cos` and their like change places |
| twin | of two names that differ in one word, such as `real_score` and `fake_score`, one stands for the other |
| statement | a call, an assignment to an attribute or an item, `+=`, `raise`, `continue` or `break` is removed |
| return | `return x` becomes `return None` |

Left alone, since no test could or should notice: annotations, decorators, docstrings and other text, what an error
says, numbers under 1e-6 (they guard against rounding), and the arguments of functions that do not mind their order.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

COMPARE = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
PAIRS = [("min", "max"), ("any", "all"), ("minimum", "maximum"), ("sin", "cos"), ("floor", "ceil"),
         ("argmin", "argmax"), ("zeros", "ones"), ("zeros_like", "ones_like"), ("cumsum", "cumprod")]  # fmt: skip
WORDS = [("real", "fake"), ("left", "right"), ("lower", "upper"), ("qpos", "qvel"), ("start", "end"), ("first", "last"),
         ("before", "after"), ("mean", "std"), ("terminated", "truncated"), ("frames", "times")]  # fmt: skip
TWINS = dict(WORDS) | {b: a for a, b in WORDS}
FUNCTIONS = dict(PAIRS) | {b: a for a, b in PAIRS}
UNORDERED = {"isinstance", "issubclass", "getattr", "hasattr", "setattr", "zip", "min", "max", "minimum", "maximum",
             "array_equal", "allclose", "hypot", "logical_and", "logical_or", "loader"}  # fmt: skip
IDLE_KEYWORDS = {"strict", "encoding", "stacklevel", "description", "help"}
TINY = 1e-6


@dataclass(frozen=True)
class Mutant:
    """One fault: which bytes of which file become which."""

    file: str
    operator: str
    line: int
    function: str  # qualified name of the outermost function or method around it; empty: outside of functions
    start: int  # bytes of the file
    end: int
    before: str
    after: str

    @property
    def id(self) -> str:
        told = f"{self.file}:{self.start}:{self.operator}:{self.before}:{self.after}"
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutants(file: str, source: bytes) -> list[Mutant]:
    """Every mutant of a file, in the order of its text."""
    starts = [0, *accumulate(len(line) for line in source.splitlines(keepends=True))]  # of each line, bytes
    tree, found = ast.parse(source), []
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node, function in walk(tree):
        if isinstance(node, ast.If | ast.While):
            node, changes = node.test, [("condition", negated(node.test))]
        else:
            changes = [*variants(node), *twins(node, names)]
        for operator, new in changes:
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            before = " ".join(source[start:end].decode().split())
            after = f"({ast.unparse(new)})" if isinstance(new, ast.expr) else ast.unparse(new)
            found.append(Mutant(file, operator, node.lineno, function, start, end, before, after))
    return found


def walk(node: ast.AST, within: str = "", function: str = "") -> Iterator[tuple[ast.AST, str]]:
    """Nodes that may change, each with the outermost function around it; `within`: the class or function it lies in."""
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
        return
    if isinstance(node, ast.keyword) and node.arg in IDLE_KEYWORDS:
        return
    yield node, function
    inside, around = within, function
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        inside = f"{within}.{node.name}" if within else node.name
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        around = function or inside
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "exc", "cause", "type"):
            continue
        # Default values are computed where the function is defined.
        there = (within, function) if field == "args" else (inside, around)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not is_for_types(child):
                yield from walk(child, *there)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def variants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(operator, what stands in the node's place)."""
    if isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            if type(op) in COMPARE:
                yield "compare", changed(node, ops=[*node.ops[:at], COMPARE[type(op)](), *node.ops[at + 1 :]])
    elif isinstance(node, ast.BinOp):
        yield from of_binary(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", node.operand
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "logic", node.operand
    elif isinstance(node, ast.BoolOp):
        yield "logic", changed(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
    elif isinstance(node, ast.Constant):
        yield from of_constant(node.value)
    elif isinstance(node, ast.Call):
        yield from of_call(node)
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield "return", ast.Return(ast.Constant(None))
    elif removable(node):
        yield "statement", ast.Pass()
    if isinstance(node, ast.IfExp):
        yield "condition", changed(node, test=negated(node.test))
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        for at, part in enumerate(node.generators):
            if part.ifs:
                other = changed(part, ifs=[negated(part.ifs[0]), *part.ifs[1:]])
                yield "condition", changed(node, generators=[*node.generators[:at], other, *node.generators[at + 1 :]])


def of_binary(node: ast.BinOp) -> Iterator[tuple[str, ast.AST]]:
    sides = (node.left, node.right)
    if any(isinstance(s, ast.JoinedStr | ast.List | ast.Tuple | ast.Dict | ast.Set) or is_text(s) for s in sides):
        return
    if type(node.op) in ARITHMETIC:
        yield "arithmetic", changed(node, op=ARITHMETIC[type(node.op)]())
    if isinstance(node.op, ast.Mult | ast.Div):
        yield "factor", node.left
        yield "factor", node.right
    elif isinstance(node.op, ast.Add | ast.Sub):
        yield "term", node.left
        yield "term", node.right


def of_constant(value: object) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, int):
        yield "constant", ast.Constant(value + 1)
    elif isinstance(value, float) and (value == 0.0 or abs(value) >= TINY):
        yield "constant", ast.Constant(2 * value if value else 1.0)


def of_call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in FUNCTIONS:
        other = changed(node.func, **{"attr" if isinstance(node.func, ast.Attribute) else "id": FUNCTIONS[name]})
        yield "function", changed(node, func=other)
    first = node.args[:2]
    plain = len(first) == 2 and not any(isinstance(arg, ast.Starred) for arg in first)
    if plain and name not in UNORDERED and ast.unparse(first[0]) != ast.unparse(first[1]):
        yield "arguments", changed(node, args=[*reversed(first), *node.args[2:]])
    for at, keyword in enumerate(node.keywords):
        if keyword.arg and keyword.arg not in IDLE_KEYWORDS:
            yield "keyword", changed(node, keywords=[*node.keywords[:at], *node.keywords[at + 1 :]])


def twins(node: ast.AST, names: set[str]) -> Iterator[tuple[str, ast.AST]]:
    """The other of two like names, where the file has both."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        words = node.id.split("_")
        for at, word in enumerate(words):
            other = "_".join([*words[:at], TWINS.get(word, word), *words[at + 1 :]])
            if other != node.id and other in names:
                yield "twin", ast.Name(other, ast.Load())


def removable(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    kinds = ast.AugAssign | ast.Raise | ast.Continue | ast.Break
    return isinstance(node, kinds) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))


def negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def changed(node: ast.AST, **fields: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other
