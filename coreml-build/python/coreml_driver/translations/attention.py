"""Attention: what coremltools refuses, ignores or gets wrong of `scaled_dot_product_attention`.

Owns: the rows of this family.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil._deployment_compatibility import AvailableTarget
from coremltools.converters.mil.frontend import _utils
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.block import is_current_opset_version_compatible_with
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

from coreml_driver.failures import Failure
from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.promotion import cast, number, promoted
from coreml_driver.translations.registry import translation

#: What a masked score is in PyTorch.
NEVER = -math.inf


@translation(
    "scaled_dot_product_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    why="`enable_gqa` is refused; a row without any score is no number instead of 0; with a "
    "`scale` a boolean mask becomes -30000",
    replaces=True,
)
def _attention(context: Any, node: Any) -> None:
    """`softmax(query @ key * scale + mask) @ value`."""
    arguments = Arguments(context, node)
    query, key, value = promoted(*(arguments[name] for name in ("query", "key", "value")))
    if "enable_gqa" in arguments and arguments.constant("enable_gqa"):
        key, value = (_for_all_heads(one, query) for one in (key, value))
    if arguments.constant("dropout_p"):
        message = "`scaled_dot_product_attention` drops out; a converted model cannot."
        cure = "Pass `dropout_p=0.0` in inference mode."
        raise Failure("random", message, key="source.entry", advice=(cure,))
    mask = arguments["attn_mask"]
    if arguments.constant("is_causal"):
        mask = _causal(query, key)
    elif mask is not None and not types.is_bool(mask.dtype):
        mask = cast(mask, _type(query))
    scale, usual = arguments.constant("scale"), query.shape[-1] ** -0.5
    if scale is None:
        scale = usual
    result = _fused(query, key, value, mask, float(scale), usual)
    if mask is not None and not arguments.constant("is_causal"):
        result = _zero_where_nothing_is_seen(result, mask)
    result = mb.identity(x=result, name=node.name)
    if len(node.outputs) > 1 or node.kind.startswith("_scaled"):
        context.add((result, None), node.name)
    else:
        context.add(result, node.name)


def _fused(query: Any, key: Any, value: Any, mask: Any, scale: float, usual: float) -> Any:
    """Return the attention by MIL's own operation where the target has it."""
    query, key, value = _same_batch(query, key, value)
    if not is_current_opset_version_compatible_with(AvailableTarget.iOS18):
        return _decomposed(query, key, value, mask, scale)
    if not math.isclose(scale, usual, rel_tol=1e-6):
        query = mb.mul(x=query, y=number(query, scale / usual))
    if query.rank == 2:
        query, key, value = (mb.expand_dims(x=one, axes=[0]) for one in (query, key, value))
        attended = mb.scaled_dot_product_attention(
            query=query, key=key, value=value, attn_mask=mask
        )
        return mb.squeeze(x=attended, axes=[0])
    return mb.scaled_dot_product_attention(query=query, key=key, value=value, attn_mask=mask)


def _decomposed(query: Any, key: Any, value: Any, mask: Any, scale: float) -> Any:
    """Return the attention by its parts, for targets without the operation."""
    query = mb.mul(x=query, y=number(query, scale))
    scores = mb.matmul(x=query, y=key, transpose_y=True)
    if mask is not None and types.is_bool(mask.dtype):
        scores = mb.select(cond=mask, a=scores, b=number(scores, NEVER))
    elif mask is not None:
        scores = mb.add(x=scores, y=mask)
    return mb.matmul(x=mb.softmax(x=scores, axis=-1), y=value)


def _zero_where_nothing_is_seen(result: Any, mask: Any) -> Any:
    """Return 0 for the queries that the mask leaves no key, as PyTorch does."""
    if types.is_bool(mask.dtype):
        if mask.val is not None and np.asarray(mask.val).any(-1).all():
            return result
        seen = mb.reduce_max(x=cast(mask, "int32"), axes=[-1], keep_dims=True)
        blind = mb.equal(x=seen, y=0)
    else:
        if mask.val is not None and (np.asarray(mask.val).max(-1) > NEVER).all():
            return result
        seen = mb.reduce_max(x=mask, axes=[-1], keep_dims=True)
        blind = mb.equal(x=seen, y=number(mask, NEVER))
    return mb.select(cond=blind, a=number(result, 0), b=result)


def _causal(query: Any, key: Any) -> Any:
    """Return the mask that lets each query see the keys up to its own place."""
    rows, columns = query.shape[-2], key.shape[-2]
    if not is_symbolic(rows) and not is_symbolic(columns):
        return mb.const(val=np.tril(np.ones((rows, columns), bool)))
    places = [
        mb.range_1d(start=0, end=mb.gather(x=mb.shape(x=one), indices=one.rank - 2, axis=0), step=1)
        for one in (query, key)
    ]
    rows, columns = (
        mb.expand_dims(x=one, axes=[axis]) for one, axis in zip(places, (1, 0), strict=True)
    )
    return mb.greater_equal(x=rows, y=columns)


def _for_all_heads(x: Any, query: Any) -> Any:
    """Return keys or values with each head repeated for the queries that share it."""
    heads, shared = query.shape[-3], x.shape[-3]
    if heads == shared:
        return x
    axis = x.rank - 3
    places = np.repeat(np.arange(shared, dtype=np.int32), heads // shared)
    return mb.gather(x=x, indices=places, axis=axis)


def _same_batch(*values: Any) -> list[Any]:
    """Return queries, keys and values with the same leading dimensions."""
    leading = [list(one.shape[:-2]) for one in values]
    wanted = _utils.pymil_broadcast_shapes(leading)
    if all(_utils.does_tile_necessary(one, wanted) is False for one in leading):
        return list(values)
    sizes = _utils.maybe_replace_symbols_with_source_tensor_shape_variables(wanted, list(values))
    batch = mb.concat(values=sizes, axis=0)
    made = []
    for one, own in zip(values, leading, strict=True):
        if _utils.does_tile_necessary(own, wanted):
            shape = mb.slice_by_index(x=mb.shape(x=one), begin=[one.rank - 2], end=[one.rank])
            whole = mb.concat(values=[batch, shape], axis=0)
            one = _utils.pymil_broadcast_to(one, whole, one.name + "_broadcast")
        made.append(one)
    return made


def _type(x: Any) -> str:
    """Return MIL's name of an element type."""
    return types.builtin_to_string(x.dtype)
