"""Normalisations that coremltools gets wrong.

Owns: the rows of this family.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.promotion import number, to_float
from coreml_driver.translations.registry import ORIGINAL, translation


@translation(
    "rms_norm",
    why="`eps` grows with the square of the largest element, zeros become NaN, and without `eps` "
    "it is 1e-5",
    replaces=True,
)
def _rms_norm(context: Any, node: Any) -> None:
    """`x / sqrt(mean(x²) + eps) * weight`.

    Elements above 1 are divided by the largest before they are squared: float16 ends at 256².
    """
    arguments = Arguments(context, node)
    x, weight = to_float(arguments["input"]), arguments["weight"]
    shape, epsilon = arguments.sizes("normalized_shape"), arguments.constant("eps")
    if epsilon is None:
        epsilon = torch.finfo(arguments.dtype or torch.float32).eps
    axes = list(range(-len(shape), 0))
    one = number(x, 1)
    largest = mb.maximum(x=mb.reduce_max(x=mb.abs(x=x), axes=axes, keep_dims=True), y=one)
    scaled = mb.real_div(x=x, y=largest)
    square = mb.reduce_mean(x=mb.mul(x=scaled, y=scaled), axes=axes, keep_dims=True)
    bound = mb.real_div(x=number(x, epsilon), y=mb.mul(x=largest, y=largest))
    result = mb.real_div(x=scaled, y=mb.sqrt(x=mb.add(x=square, y=bound)))
    if weight is not None:
        result = mb.mul(x=result, y=weight)
    context.add(mb.identity(x=result, name=node.name), node.name)


@translation(
    "instance_norm",
    why="the running statistics are ignored where they are to be used; a weight or bias of its "
    "own is refused",
    replaces=True,
)
def _instance_norm(context: Any, node: Any) -> None:
    """Normalisation of each channel, by its own statistics or by the learned ones."""
    arguments = Arguments(context, node)
    if arguments.constant("use_input_stats"):
        ORIGINAL["instance_norm"](context, node)
        return
    x, epsilon = arguments["input"], arguments.constant("eps")
    shape = [1, -1, *([1] * (x.rank - 2))]
    mean, variance, weight, bias = (
        None if one is None else mb.reshape(x=one, shape=shape)
        for one in (arguments[n] for n in ("running_mean", "running_var", "weight", "bias"))
    )
    deviation = mb.sqrt(x=mb.add(x=variance, y=number(x, epsilon)))
    result = mb.real_div(x=mb.sub(x=x, y=mean), y=deviation)
    result = result if weight is None else mb.mul(x=result, y=weight)
    result = result if bias is None else mb.add(x=result, y=bias)
    context.add(mb.identity(x=result, name=node.name), node.name)


@translation("prelu", why="inputs of rank 2 and 3 are refused", replaces=True)
def _prelu(context: Any, node: Any) -> None:
    """`self` where it is positive, `weight * self` elsewhere; one weight, or one per channel."""
    arguments = Arguments(context, node)
    x, weight = arguments["self"], arguments["weight"]
    constant = weight.val is not None and x.rank == 4 and not is_symbolic(x.shape[1])
    if constant:
        alpha = np.broadcast_to(weight.val, (x.shape[1],)).astype(np.float32)
        context.add(mb.prelu(x=x, alpha=alpha, name=node.name), node.name)
        return
    if x.rank > 1 and weight.rank:
        weight = mb.reshape(x=weight, shape=[1, -1, *([1] * (x.rank - 2))])
    negative = mb.less(x=x, y=number(x, 0))
    scaled = mb.mul(x=x, y=weight)
    context.add(mb.select(cond=negative, a=scaled, b=x, name=node.name), node.name)
