"""Tensors of more than five axes, which Core ML lacks, become tensors of fewer axes.

A tensor of any rank is kept as a carrier: a value with the same elements in the same order, and
fewer axes. An operation over tensors of high rank is done over carriers whose neighbouring axes
are merged, as far as it treats them alike.

Owns: which operations are replaced, and by what their results are carried.
Must not: know how an operation is done with fewer axes (that is `rank_rules` and `rank_axes`).
Flow: `passes` imports this file, so that its pass is installed -> `carriers`.
"""

from __future__ import annotations

from typing import Any

from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil.passes.defs.optimize_tensor_operation import (
    expand_high_rank_reshape_and_transpose,
)
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
from coremltools.converters.mil.mil.scope import ScopeInfo
from coremltools.converters.mil.mil.var import ListVar

from coreml_driver.passes import flow, rank_axes, rank_rules
from coreml_driver.passes.carriers import MOST, RULES, CannotLower, Carriers
from coreml_driver.passes.registry import replacement

#: The files whose rules there are.
FAMILIES = (rank_axes, rank_rules)
#: What tidies reshapes that follow each other.
TIDYING = ("common::merge_consecutive_reshapes", "common::noop_elimination")


@replacement(
    "common::expand_high_rank_reshape_and_transpose",
    "tensors of more than five axes are refused unless they are only reshaped and transposed",
)
class LowerRanks(expand_high_rank_reshape_and_transpose):
    """Runs coremltools' own pass, and lowers what that leaves."""

    def apply(self, prog: Any) -> None:
        """Run over all functions."""
        super().apply(prog)
        changed = False
        for function in prog.functions.values():
            lowered = _Lowering()
            lowered.block(function)
            changed = changed or lowered.anything
            if lowered.obstacle is not None:
                raise ValueError(refusal(lowered.obstacle))
        if changed:
            for name in TIDYING:
                PASS_REGISTRY[name].apply(prog)


class _Lowering:
    """The lowering of one function."""

    def __init__(self) -> None:
        self._carriers = Carriers()
        self.anything = False
        #: The first operation that could not be lowered.
        self.obstacle: Any = None

    def block(self, block: Any) -> None:
        """Lower what one block computes, and remove what is no longer used."""
        with block:
            self._within(block)

    def _within(self, block: Any) -> None:
        replaced = []
        for operation in list(block.operations):
            for nested in operation.blocks:
                self.block(nested)
            if not _is_high(operation):
                continue
            if self._replace(operation):
                replaced.append(operation)
            elif self.obstacle is None:
                self.obstacle = operation
        for operation in reversed(replaced):
            if not any(result.child_ops or result in block.outputs for result in operation.outputs):
                block.remove_ops([operation])

    def _replace(self, operation: Any) -> bool:
        """Lower one operation. Returns: whether it could be."""
        rule = RULES.get(operation.op_type)
        if rule is None:
            return False
        scopes = [ScopeInfo(source=one, data=data) for one, data in operation.scopes.items()]
        try:
            with mb.scope(*scopes), mb.set_before_op(operation):
                carriers = rule(operation, self._carriers)
                results = [
                    new if old.rank > MOST else self._carriers.shaped(new, old.shape, name=old.name)
                    for old, new in zip(operation.outputs, carriers, strict=True)
                ]
        except CannotLower:
            return False
        for old, new in zip(operation.outputs, results, strict=True):
            if old.rank > MOST:
                self._carriers.keep(old, new)
            else:
                operation.enclosing_block.replace_uses_of_var_after_op(
                    anchor_op=operation, old_var=old, new_var=new
                )
        self.anything = True
        return True


def refusal(operation: Any) -> str:
    """Return what stands in the way, in the words that coremltools has for it."""
    rank = max(one.rank or 0 for one in _values(operation))
    return (
        f'Core ML only supports tensors with rank <= 5. Layer "{operation.name}", with type '
        f'"{operation.op_type}", has a rank {rank} tensor and no form with fewer axes here.'
    )


def _values(operation: Any) -> list[Any]:
    """Return the tensors that an operation takes and gives; a list of values has no rank."""
    values = [*flow.operands(operation), *operation.outputs]
    return [one for one in values if not isinstance(one, ListVar)]


def _is_high(operation: Any) -> bool:
    """Return whether an operation has to do with a tensor of too many axes; a constant is carried
    by whoever uses it.
    """
    if operation.op_type == "const" or operation.op_type.startswith("constexpr_"):
        return False
    return any((one.rank or 0) > MOST for one in _values(operation))
