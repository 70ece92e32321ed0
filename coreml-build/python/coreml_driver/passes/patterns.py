"""Patterns that coremltools replaces by something else than what they compute.

Owns: the exceptions of this family.
Must not: add patterns.
Flow: `passes` imports this file, so that its repairs are listed.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil.passes.defs import (
    optimize_activation,
    optimize_conv,
    optimize_elementwise_binary,
    optimize_linear,
    optimize_repeat_ops,
    optimize_tensor_operation,
)
from coremltools.converters.mil.mil.passes.defs.cleanup import fuse_reduce_mean, noop_elimination

from coreml_driver.passes.registry import REPAIRS, Repair, everywhere, exception, removal

#: How far a number may be from the constant of a pattern, relative to it.
TOLERANCE = 1e-5
#: What MIL's normalisation adds to the variance by default.
EPSILON = 1e-5

removal(
    "mil_backend::fuse_pow2_sqrt",
    "`sqrt(x ** 2)` becomes x, also where x is negative",
)


@exception(
    "common::noop_elimination",
    noop_elimination,
    "_match_pattern",
    "`floor_div(x, 1)` becomes x (#2762)",
)
def _floors(operation: Any) -> bool:
    """Whether the operation rounds even where it divides by 1."""
    return operation.op_type == "floor_div"


@exception(
    "common::fuse_conv_scale",
    optimize_conv.fuse_conv_scale,
    "_try_to_transform",
    "`5 / conv(x)` becomes `conv(x) / 5`; a scale of another rank broadcasts; a grouped transposed "
    "convolution is scaled by the factors of other channels",
)
def _divides_a_constant(conv: Any, scale: Any) -> bool:
    """Whether a convolution is the divisor, the scale changes its shape, or its weights are not
    in the order that the pass takes them for.
    """
    divisor = scale.op_type == "real_div" and scale.x.val is not None
    return divisor or _is_rearranged(conv) or scale.outputs[0].shape != conv.outputs[0].shape


@exception(
    "common::fuse_conv_batchnorm",
    optimize_conv.fuse_conv_batchnorm,
    "_try_to_transform",
    "the weights of a grouped transposed convolution are scaled by the factors of other channels",
)
def _is_rearranged(conv: Any, _: Any = None) -> bool:
    """Whether a convolution is a transposed one of several groups or of three dimensions."""
    transposed = conv.op_type == "conv_transpose"
    return transposed and (conv.groups.val != 1 or conv.x.rank > 4)


@exception(
    "common::merge_consecutive_paddings",
    optimize_repeat_ops.merge_consecutive_paddings,
    "_match_pattern",
    "fails where the first padding is an output; mirrors what the first padding added",
)
def _first_is_needed(_: Any, block: Any, pad: Any) -> bool:
    """Whether the result of a padding is used by itself, or mirrored by another."""
    if pad.op_type != "pad":
        return False
    return pad.outputs[0] in block.outputs or pad.mode.val != "constant"


@exception(
    "common::fuse_conv_bias",
    optimize_conv.fuse_conv_bias,
    "_try_to_transform",
    "a bias that changes the shape; a grouped transposed convolution gets a bias of another size",
)
def _bias_changes_shape(conv: Any, add: Any) -> bool:
    """Whether a bias broadcasts the result of a convolution, or its size is misjudged."""
    grouped = conv.op_type == "conv_transpose" and conv.groups.val != 1 and conv.bias is None
    return grouped or add.outputs[0].shape != conv.outputs[0].shape


def _without_writing() -> None:
    """Let the pass negate a copy of what a convolution's result is reduced by."""
    original = optimize_conv.fuse_conv_bias._try_to_transform

    def careful(conv: Any, add: Any) -> Any:
        """Stand in for the method."""
        if add.op_type != "sub" or not isinstance(add.y.val, np.ndarray):
            return original(conv, add)
        kept = add.y._sym_val
        add.y._sym_val = copy.copy(kept)
        add.y._sym_val.val = kept.val.copy()
        try:
            return original(conv, add)
        finally:
            add.y._sym_val = kept

    optimize_conv.fuse_conv_bias._try_to_transform = staticmethod(careful)


REPAIRS.append(
    Repair(
        "common::fuse_conv_bias",
        "`conv(x) - b` negates b in the memory of the module's own tensor: the module computes "
        "something else from then on, and so does another operation that takes b",
        _without_writing,
    )
)


@exception(
    "common::fuse_matmul_weight_bias",
    optimize_linear.fuse_matmul_weight_bias,
    "_try_to_transform",
    "`b - x @ W` becomes `x @ W - b`; `W @ x + b` adds b along the other axis",
)
def _is_no_linear(_: Any, matmul: Any, add: Any, __: Any) -> bool:
    """Whether a product and a sum are no linear layer."""
    turned = add.op_type == "sub" and add.x.val is not None
    changed = add.outputs[0].shape != matmul.outputs[0].shape
    return turned or matmul.x.val is not None or changed


@exception(
    "common::fuse_linear_bias",
    optimize_linear.fuse_linear_bias,
    "_try_to_transform",
    "a bias of higher rank loses its axes; `linear(x) + 1` with one feature fails",
)
def _is_no_bias(linear: Any, add: Any, _: Any) -> bool:
    """Whether what is added is no bias of the layer."""
    other = add.y if add.x == linear.outputs[0] else add.x
    return other.rank == 0 or add.outputs[0].shape != linear.outputs[0].shape


@exception(
    "common::fuse_elementwise_to_batchnorm",
    optimize_elementwise_binary.fuse_elementwise_to_batchnorm,
    "_try_to_transform",
    "one channel that is broadcast to several becomes a batch normalisation of one channel; one "
    "summand for all channels fails",
)
def _broadcasts(multiply: Any, add: Any, _: Any) -> bool:
    """Whether scale or shift broadcast their operand, or one has a number for each channel and the
    other one has not.
    """
    scaled, scale = multiply.x, multiply.y
    if scaled.val is not None:
        scaled, scale = scale, scaled
    shift = add.y if add.x == multiply.outputs[0] else add.x
    same = scaled.shape == multiply.outputs[0].shape == add.outputs[0].shape
    return not same or np.size(scale.val) != np.size(shift.val)


@exception(
    "common::select_optimization",
    optimize_elementwise_binary.select_optimization,
    "try_to_transform_const_scalar_cond",
    "a condition that broadcasts its operands is dropped",
)
def _condition_broadcasts(select: Any, _: Any) -> bool:
    """Whether the condition gives the result its shape."""
    a, b, condition = (tuple(one.shape) for one in (select.a, select.b, select.cond))
    # MIL takes the shape of the result from the two operands alone.
    return (
        a != b
        or len(condition) > len(a)
        or any(size not in (1, wide) for size, wide in zip(condition[::-1], a[::-1], strict=False))
    )


@exception(
    "common::select_optimization",
    optimize_elementwise_binary.select_optimization,
    "try_to_transform_inf_const_selection",
    "`where(mask, -inf, x)` becomes `x + (-inf or 0)`: NaN where x is infinite or NaN",
)
def _adds_infinity(*_: Any) -> bool:
    """Always: nothing says that the other operand is finite."""
    return True


@exception(
    "common::fuse_leaky_relu",
    optimize_activation.fuse_leaky_relu,
    "_try_to_transform",
    "a factor of higher rank loses its axes",
)
def _factor_changes_shape(multiply: Any, _: Any) -> bool:
    """Whether the factor broadcasts its operand."""
    shape = multiply.outputs[0].shape
    return shape not in (multiply.x.shape, multiply.y.shape) or any(
        one.val is not None and one.rank > other.rank
        for one, other in ((multiply.x, multiply.y), (multiply.y, multiply.x))
    )


class _Normalizing:
    """coremltools' builder, for a pass that makes a normalisation of a factor and a summand: the
    normalisation divides by the root of 1 + epsilon.
    """

    def __getattr__(self, name: str) -> Any:
        """Return what the builder has."""
        return getattr(mb, name)

    @staticmethod
    def batch_norm(gamma: Any, **named: Any) -> Any:
        """Make the normalisation with a factor that makes up for its epsilon."""
        exact = gamma.astype(np.float64) * np.sqrt(1 + EPSILON)
        return mb.batch_norm(gamma=exact.astype(gamma.dtype), epsilon=EPSILON, **named)


REPAIRS.append(
    Repair(
        "common::fuse_elementwise_to_batchnorm",
        "`x * scale + bias` becomes `x * scale / sqrt(1 + 1e-5) + bias`",
        lambda: setattr(optimize_elementwise_binary, "mb", _Normalizing()),
    )
)


@exception(
    "common::fuse_stack_split",
    optimize_tensor_operation.fuse_stack_split,
    "_try_to_transform",
    "fails where a part is not used, or not by a squeeze alone",
)
def _parts_are_used_otherwise(_: Any, stack: Any) -> bool:
    """Whether a part of a split has not exactly one consumer, a squeeze."""
    return any(
        len(part.child_ops) != 1 or part.child_ops[0].op_type != "squeeze"
        for split in stack.outputs[0].child_ops
        if split.op_type == "split"
        for part in split.outputs
    )


@exception(
    "common::fuse_reduce_mean",
    fuse_reduce_mean,
    "_try_to_transform",
    "a sum of integers that is divided becomes a mean of integers",
)
def _sums_integers(total: Any, _: Any) -> bool:
    """Whether integers are added up."""
    return not np.issubdtype(_numpy_type(total.x), np.floating)


def _numpy_type(x: Any) -> Any:
    """Return NumPy's type of a value."""
    from coremltools.converters.mil.mil.types import nptype_from_builtin

    return nptype_from_builtin(x.dtype)


def _is_number(x: Any, number: float, tol: float = TOLERANCE) -> bool:
    """Stand in for coremltools' comparison of a constant with the one of a pattern."""
    value = getattr(x, "val", None)
    if value is None or np.size(value) != 1 or isinstance(value, (str, bytes)):
        return False
    # A difference of 1e-3, which coremltools grants, is 2 % of GELU's 0.044715.
    return abs(float(np.ravel(value)[0]) - number) <= min(tol, TOLERANCE) * abs(number)


REPAIRS.append(
    Repair(
        "common::fuse_gelu_tanh_approximation",
        "constants up to 1e-3 off are taken for those of GELU, `sum(x) / 4.009` for a mean",
        lambda: everywhere("_check_var_scalar_value", _is_number),
    )
)
