"""Activations: MIL's `activation`.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared; `recurrent` takes functions
from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from coreml_driver.proof.kernels.registry import Unproved, integer, kernel, number

#: The factor of the approximation of GELU by a sigmoid.
SIGMOID_FACTOR = 1.702
#: Slope and height of the hard sigmoid inside recurrent layers.
HARD_SIGMOID = (0.2, 0.5)
#: Factors of the scaled tanh inside recurrent layers.
SCALED_TANH = (1.7159, 2 / 3)


@kernel("clamped_relu")
def _clamped_relu(x: torch.Tensor, alpha: Any, beta: Any) -> torch.Tensor:
    """`min(x, beta)` above zero, `min(alpha x, beta)` below."""
    return torch.where(x >= 0, x, number(alpha) * x).clamp(max=number(beta))


@kernel("elu")
def _elu(x: torch.Tensor, alpha: Any) -> torch.Tensor:
    """`x` above zero, `alpha (e^x - 1)` below."""
    return torch.where(x > 0, x, number(alpha) * torch.expm1(x))


@kernel("gelu")
def _gelu(x: torch.Tensor, mode: str | None = None) -> torch.Tensor:
    """Gaussian error linear unit, exact or one of two approximations."""
    if mode in (None, "EXACT"):
        return functional.gelu(x)
    if mode == "TANH_APPROXIMATION":
        return functional.gelu(x, approximate="tanh")
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(SIGMOID_FACTOR * x)
    raise Unproved(f"the mode `{mode}`")


@kernel("leaky_relu")
def _leaky_relu(x: torch.Tensor, alpha: Any) -> torch.Tensor:
    """`x` above zero, `alpha x` below."""
    return torch.where(x >= 0, x, number(alpha) * x)


@kernel("linear_activation")
def _linear_activation(x: torch.Tensor, alpha: Any, beta: Any) -> torch.Tensor:
    """`alpha x + beta`."""
    return number(alpha) * x + number(beta)


@kernel("prelu")
def _prelu(x: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """`x` above zero, `alpha x` below, with a factor for each channel."""
    return torch.where(x >= 0, x, _per_channel(alpha, x) * x)


@kernel("relu")
def _relu(x: torch.Tensor) -> torch.Tensor:
    """`max(x, 0)`."""
    return torch.relu(x)


@kernel("relu6")
def _relu6(x: torch.Tensor) -> torch.Tensor:
    """`min(max(x, 0), 6)`."""
    return x.clamp(0, 6)


@kernel("scaled_tanh")
def _scaled_tanh(x: torch.Tensor, alpha: Any, beta: Any) -> torch.Tensor:
    """`alpha tanh(beta x)`."""
    return number(alpha) * torch.tanh(number(beta) * x)


@kernel("sigmoid")
def _sigmoid(x: torch.Tensor) -> torch.Tensor:
    """`1 / (1 + e^-x)`."""
    return torch.sigmoid(x)


@kernel("sigmoid_hard")
def _sigmoid_hard(x: torch.Tensor, alpha: Any, beta: Any) -> torch.Tensor:
    """`alpha x + beta`, from 0 to 1."""
    return (number(alpha) * x + number(beta)).clamp(0, 1)


@kernel("silu")
def _silu(x: torch.Tensor) -> torch.Tensor:
    """`x sigmoid(x)`."""
    return functional.silu(x)


@kernel("softmax")
def _softmax(x: torch.Tensor, axis: Any = None) -> torch.Tensor:
    """Exponentials, divided by their sum."""
    return torch.softmax(x, integer(axis, -1))


@kernel("softplus")
def _softplus(x: torch.Tensor) -> torch.Tensor:
    """`log(1 + e^x)`, which never overflows."""
    return torch.logaddexp(x, torch.zeros_like(x))


@kernel("softplus_parametric")
def _softplus_parametric(x: torch.Tensor, alpha: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """`alpha log(1 + e^(beta x))`, with factors for each channel."""
    scaled = _per_channel(beta, x) * x
    return _per_channel(alpha, x) * _softplus(scaled)


@kernel("softsign")
def _softsign(x: torch.Tensor) -> torch.Tensor:
    """`x / (1 + |x|)`."""
    return x / (1 + x.abs())


@kernel("thresholded_relu")
def _thresholded_relu(x: torch.Tensor, alpha: Any) -> torch.Tensor:
    """`x` from `alpha` on, else 0."""
    return torch.where(x >= number(alpha), x, torch.zeros_like(x))


def _per_channel(factors: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return factors so that they apply along the second dimension of `x`."""
    return factors.reshape(-1, *([1] * (x.dim() - 2))) if factors.dim() else factors


#: What recurrent layers call the functions inside them.
INSIDE_RECURRENT: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "hard_sigmoid": lambda x: _sigmoid_hard(x, *HARD_SIGMOID),
    "linear": lambda x: x,
    "relu": torch.relu,
    "scaled_tanh": lambda x: _scaled_tanh(x, *SCALED_TANH),
    "sigmoid": torch.sigmoid,
    "sigmoid_hard": lambda x: _sigmoid_hard(x, *HARD_SIGMOID),
    "tanh": torch.tanh,
}
