"""Masks in half precision: numbers beyond float16 that stand for "never".

PyTorch's models add -1e9 or the smallest float32 to scores before a softmax. float16 has no such
numbers: infinity takes their place, and `0 * inf` or a row without any other score is NaN.

Owns: bounding such numbers where a softmax follows, so that results are PyTorch's.
Must not: touch infinity itself, or numbers that are no mask.
Flow: `half` -> `bound`, then `large` for what is left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Block, types
from coremltools.converters.mil.mil import Builder as mb

from coreml_driver.passes import flow
from coreml_driver.passes.reasons import Reason, too_large

#: Largest finite float16.
FLOAT16_MAX = 65504.0
#: What a number beyond float16 becomes in a mask: a score of 5000 can be added without infinity.
NEVER = 60000.0
#: A masked score: all of them are the same, whatever score the mask was added to, as in float32,
#: which does not notice a score beside its own smallest number.
MASKED = -30000.0
#: What a mask passes through on its way to a softmax.
CARRIES = frozenset("add sub mul select maximum minimum real_div fill cast".split()) | flow.MOVES


def large(program: Any) -> dict[Any, Reason]:
    """Return the operations with a finite constant beyond float16. coremltools takes those above
    1e38 for infinite.
    """
    found: dict[Any, Reason] = {}
    for operation in flow.operations(program):
        number = _largest(operation)
        if number is not None:
            found[operation] = too_large(number)
    return found


def bound(program: Any) -> None:
    """Bound the numbers of all masks that a softmax follows.

    What adds a mask to scores is bounded once more, so that all masked scores are equal.
    """
    reach = _before_softmax(program)
    masked: set[Any] = set()
    for operation in list(flow.operations(program)) if reach else ():
        scores = reach.get(operation)
        if scores is None:
            continue
        inputs = flow.operands(operation)
        number = _largest(operation)
        if number is not None and not _is_mask(operation, number):
            continue
        if number is None and not any(value in masked for value in inputs):
            continue
        others = [value for value in inputs if value.val is None and value not in masked]
        floor = None
        if operation.op_type in ("add", "sub") and (scores or not others):
            floor = MASKED if others else -NEVER
        changes = number is not None or floor is not None
        masked.add(_rewritten(operation, floor) if changes else operation.outputs[0])
    for operation in list(flow.operations(program)) if masked else ():
        attends = operation.op_type == "scaled_dot_product_attention"
        if attends and operation.attn_mask in masked:
            _level(operation)


def _before_softmax(program: Any) -> dict[Any, bool]:
    """Return the operations whose results reach a softmax, with whether they do as its scores or
    only as the mask of an attention.
    """
    found: dict[Any, bool] = {}
    for operation in flow.operations(program):
        if operation.op_type == "softmax":
            _walk_back(operation.x, found, scores=True)
        elif operation.op_type == "scaled_dot_product_attention" and operation.attn_mask:
            _walk_back(operation.attn_mask, found, scores=False)
    return found


def _walk_back(value: Any, found: dict[Any, bool], *, scores: bool) -> None:
    """Add the operations that `value` is computed by."""
    waiting = [value]
    while waiting:
        operation = waiting.pop().op
        if operation is None or operation in found or operation.op_type not in CARRIES:
            continue
        found[operation] = scores
        waiting += flow.operands(operation)


def _largest(operation: Any) -> float | None:
    """Return the largest finite constant beyond float16 of an operation that computes with each
    element, if it has one.
    """
    if operation.op_type not in CARRIES and operation.op_type not in flow.ARITHMETIC:
        return None
    largest = None
    for value in flow.operands(operation):
        constant = value.val
        if constant is None or not types.is_float(value.dtype) or not np.size(constant):
            continue
        finite = np.where(np.isfinite(constant), constant, 0)
        number = float(np.ravel(finite)[np.argmax(np.abs(finite))])
        if abs(number) > FLOAT16_MAX and abs(number) > abs(largest or 0):
            largest = number
    return largest


def _is_mask(operation: Any, number: float) -> bool:
    """Return whether a large number stands for "never": it is negative, or what it is multiplied
    with is subtracted.
    """
    if number < 0:
        return True
    children = [child for result in operation.outputs for child in result.child_ops]
    while children and all(child.op_type in flow.MOVES for child in children):
        children = [c for child in children for result in child.outputs for c in result.child_ops]
    subtracted = bool(children) and all(child.op_type == "sub" for child in children)
    return operation.op_type == "mul" and subtracted


def _level(attention: Any) -> None:
    """Let a query whose keys are all masked see all of them alike: in float32 its scores vanish
    beside the mask. A query of zeros has equal scores.
    """
    mask, query = attention.attn_mask, attention.query
    if mask.val is not None and (np.asarray(mask.val).max(-1) > MASKED).all():
        return
    with attention.enclosing_block:
        best = mb.reduce_max(x=mask, axes=[-1], keep_dims=True, before_op=attention)
        blind = mb.less(x=best, y=np.float32(MASKED), before_op=attention)
        seeing = mb.select(cond=blind, a=np.float32(0), b=query, before_op=attention)
        inputs = dict(attention.inputs) | {"query": seeing}
        old = attention.outputs[0]
        made = mb.scaled_dot_product_attention(**inputs, name=old.name, before_op=attention)
        Block._copy_metadata(old, made)
        block = attention.enclosing_block
        block.replace_uses_of_var_after_op(anchor_op=attention, old_var=old, new_var=made)
        block.remove_ops([attention])


def _rewritten(operation: Any, floor: float | None) -> Any:
    """Put an operation with bounded constants in the place of `operation`, and `maximum` with
    `floor` after it; return the result.
    """
    inputs = dict(operation.inputs)
    # A bound of scores, where two masks were added: it is where one alone leaves them.
    limit = -MASKED if operation.op_type == "maximum" else NEVER
    for name, value in inputs.items():
        constant = None if value is None or isinstance(value, (list, tuple)) else value.val
        if constant is None or not types.is_float(value.dtype):
            continue
        limited = np.where(np.isfinite(constant), np.clip(constant, -limit, limit), constant)
        inputs[name] = limited.astype(np.asarray(constant).dtype)
    old, block = operation.outputs[0], operation.enclosing_block
    name = old.name if floor is None else f"{old.name}_unbounded"
    with block:
        made = getattr(mb, operation.op_type)(**inputs, name=name, before_op=operation)
        if floor is not None:
            kind = np.float16 if made.dtype == types.fp16 else np.float32
            made = mb.maximum(x=made, y=kind(floor), name=old.name, before_op=operation)
        Block._copy_metadata(old, made)
        block.replace_uses_of_var_after_op(anchor_op=operation, old_var=old, new_var=made)
        block.remove_ops([operation])
    return made
