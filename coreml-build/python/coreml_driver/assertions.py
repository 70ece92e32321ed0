"""Values that Python asks for in an `assert`, or in an `if` that only raises: they decide nothing
that a graph would have.

Owns: which lines of a file are such checks.
Must not: judge what is asserted: a run that fails has raised.
Flow: `witness` asks for the frame in which a tensor becomes a Python value.
"""

from __future__ import annotations

import ast
import functools
import linecache
from pathlib import Path
from types import FrameType

import torch

#: Where no line of a model stands.
OTHERS = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


def asks(frame: FrameType | None) -> bool:
    """Return whether the innermost frame of a model is in a check that binds no name."""
    while frame is not None and frame.f_code.co_filename.startswith(OTHERS):
        frame = frame.f_back
    return frame is not None and frame.f_lineno in _lines(frame.f_code.co_filename)


@functools.lru_cache(256)
def _lines(file: str) -> frozenset[int]:
    """Return the lines of a file's checks, but those that something else stands on, too."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return frozenset()
    asserted: set[int] = set()
    others: set[int] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        if isinstance(node, ast.Assert):
            (others if _binds(node) else asserted).update(span)
        elif not hasattr(node, "body"):
            others.update(span)
        elif isinstance(node, ast.If) and _only_raises(node):
            asserted.update(range(node.lineno, (node.test.end_lineno or node.lineno) + 1))
        else:
            # Of a compound statement what stands before its body: `if a: assert b`.
            others.update(range(node.lineno, max(node.body[0].lineno, node.lineno + 1)))
    return frozenset(asserted - others)


def _only_raises(node: ast.If) -> bool:
    """Return whether a condition decides about an exception alone."""
    raises = all(isinstance(one, ast.Raise) for one in node.body)
    return raises and not node.orelse and not _binds(node.test)


def _binds(node: ast.AST) -> bool:
    """Return whether an expression gives a name to a value."""
    return any(isinstance(part, ast.NamedExpr) for part in ast.walk(node))
