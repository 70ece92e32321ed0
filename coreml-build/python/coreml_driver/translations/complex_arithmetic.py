"""What operations do to complex tensors.

Owns: arithmetic, comparisons, products of matrices and elementary functions of complex numbers,
and the ways between real and complex tensors.
Must not: know Fourier transforms (that is `fourier`).
Flow: `complex_numbers` calls these rules; those whose arguments may be real are translations, too.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.translations.complex_numbers import rule
from coreml_driver.translations.composition import Complex, composite
from coreml_driver.translations.refusals import CannotExpress

#: The largest power that is computed by products.
LARGEST_POWER = 16


def pair(value: Any) -> Complex:
    """Return a number or a tensor as a complex one."""
    if isinstance(value, Complex):
        return value
    if isinstance(value, torch.Tensor):
        real = value if value.is_floating_point() else value.float()
        return Complex(real, torch.zeros_like(real))
    value = complex(value)
    return Complex(torch.tensor(value.real), torch.tensor(value.imag))


def _is_real(value: Any) -> bool:
    """Return whether a number or a tensor is real."""
    return not isinstance(value, (Complex, complex))


def multiply(self: Any, other: Any) -> Complex:
    """Return the product of two tensors, one of which may be real."""
    if _is_real(self):
        self, other = other, self
    self = pair(self)
    if _is_real(other):
        return Complex(self.real * other, self.imag * other)
    other = pair(other)
    return Complex(
        self.real * other.real - self.imag * other.imag,
        self.real * other.imag + self.imag * other.real,
    )


rule("mul", "multiply")(multiply)


@rule("add")
def _add(self: Any, other: Any, alpha: float = 1) -> Complex:
    """`self + alpha * other`."""
    self, other = pair(self), pair(other)
    if alpha != 1:
        other = multiply(other, alpha)
    return Complex(self.real + other.real, self.imag + other.imag)


@rule("sub", "subtract")
def _sub(self: Any, other: Any, alpha: float = 1) -> Complex:
    """`self - alpha * other`."""
    return _add(self, other, -alpha)


@rule("rsub")
def _rsub(self: Any, other: Any, alpha: float = 1) -> Complex:
    """`other - alpha * self`."""
    return _add(other, self, -alpha)


@rule("div", "divide", "true_divide")
def _divide(self: Any, other: Any) -> Complex:
    """`self / other`, without an overflow where the result has none."""
    self = pair(self)
    if _is_real(other):
        return Complex(self.real / other, self.imag / other)
    other = pair(other)
    largest = torch.maximum(other.real.abs(), other.imag.abs())
    real, imag = other.real / largest, other.imag / largest
    square = other.real * real + other.imag * imag
    return Complex(
        (self.real * real + self.imag * imag) / square,
        (self.imag * real - self.real * imag) / square,
    )


@rule("reciprocal")
def _reciprocal(self: Complex) -> Complex:
    """`1 / self`."""
    return _divide(1.0, self)


@rule("addcmul")
def _addcmul(self: Any, tensor1: Any, tensor2: Any, value: float = 1) -> Complex:
    """`self + value * tensor1 * tensor2`."""
    return _add(self, multiply(tensor1, tensor2), value)


@rule("square")
def _square(self: Complex) -> Complex:
    """`self * self`."""
    return multiply(self, self)


@composite("conj", "_conj", "conj_physical", "_conj_physical", "resolve_conj", "resolve_neg")
def _same(self: torch.Tensor) -> torch.Tensor:
    """Return a real tensor as it is."""
    return self


@rule("conj", "_conj", "conj_physical", "_conj_physical")
def _conj(self: Complex) -> Complex:
    """The conjugate."""
    return Complex(self.real, -self.imag)


@rule("matrix_h", "mh", "adjoint")
def _adjoint(self: Complex) -> Complex:
    """The conjugate of the transposed matrix."""
    return Complex(self.real.transpose(-1, -2), -self.imag.transpose(-1, -2))


@rule("resolve_conj", "resolve_neg")
def _resolve(self: Complex) -> Complex:
    """What is lazy in PyTorch is done here."""
    return self


@rule("real")
def _real(self: Any) -> torch.Tensor:
    """The real part."""
    return self.real


@rule("imag")
def _imag(self: Complex) -> torch.Tensor:
    """The imaginary part."""
    return self.imag


@composite("real", why="coremltools reads the parts of its own complex values", replaces=True)
def _real_of_real(self: torch.Tensor) -> torch.Tensor:
    """The real part of a real tensor."""
    return self


@composite(
    "view_as_real",
    "view_as_real_copy",
    why="coremltools reads the parts of its own complex values",
    replaces=True,
)
@rule("view_as_real", "view_as_real_copy")
def _view_as_real(self: Complex) -> torch.Tensor:
    """Both parts along a last axis."""
    return torch.stack((self.real, self.imag), -1)


@composite("view_as_complex", "view_as_complex_copy")
@rule("view_as_complex", "view_as_complex_copy")
def _view_as_complex(self: torch.Tensor) -> Complex:
    """The last axis has both parts."""
    return Complex(self[..., 0], self[..., 1])


@rule("complex")
def _complex(real: torch.Tensor, imag: torch.Tensor) -> Complex:
    """Two real tensors, broadcast."""
    return Complex(*torch.broadcast_tensors(real, imag))


@rule("polar")
def _polar(abs: torch.Tensor, angle: torch.Tensor) -> Complex:
    """An absolute value and an angle, broadcast."""
    return Complex(abs * torch.cos(angle), abs * torch.sin(angle))


@rule("abs", "absolute")
def magnitude(self: Complex) -> torch.Tensor:
    """The absolute value, without an overflow of the squares: half precision ends at 65504."""
    one, other = self.real.abs(), self.imag.abs()
    largest, least = torch.maximum(one, other), torch.minimum(one, other)
    ratio = least / torch.where(largest == 0, 1.0, largest)
    return largest * torch.sqrt(1 + ratio * ratio)


@rule("angle")
def _angle(self: Complex) -> torch.Tensor:
    """The angle, from -π to π."""
    return torch.atan2(self.imag, self.real)


@rule("sgn", "sign")
def _sgn(self: Complex) -> Complex:
    """The number on the unit circle, or zero."""
    size = magnitude(self)
    return _divide(self, torch.where(size == 0, 1.0, size))


@rule("exp")
def _exp(self: Complex) -> Complex:
    """The exponential function."""
    return _polar(torch.exp(self.real), self.imag)


@rule("log")
def _log(self: Complex) -> Complex:
    """The principal natural logarithm."""
    return Complex(torch.log(magnitude(self)), _angle(self))


@rule("sqrt")
def _sqrt(self: Complex) -> Complex:
    """The principal square root, without a difference of nearly equal numbers."""
    half = torch.sqrt((self.real.abs() + magnitude(self)) / 2)
    other = self.imag / (2 * torch.where(half == 0, 1.0, half))
    positive = self.real >= 0
    signed = torch.where(self.imag < 0, -half, half)
    return Complex(torch.where(positive, half, other.abs()), torch.where(positive, other, signed))


@rule("sin")
def _sin(self: Complex) -> Complex:
    """The sine."""
    return Complex(
        torch.sin(self.real) * torch.cosh(self.imag), torch.cos(self.real) * torch.sinh(self.imag)
    )


@rule("cos")
def _cos(self: Complex) -> Complex:
    """The cosine."""
    return Complex(
        torch.cos(self.real) * torch.cosh(self.imag), -torch.sin(self.real) * torch.sinh(self.imag)
    )


@rule("pow", "float_power")
def _pow(self: Any, exponent: Any) -> Complex:
    """A power: by products where the exponent is a small whole number, else by a logarithm."""
    whole = isinstance(exponent, (int, float)) and float(exponent).is_integer()
    if not whole or abs(exponent) > LARGEST_POWER:
        if isinstance(exponent, complex):
            exponent = pair(exponent)
        return _exp(multiply(_log(pair(self)), exponent))
    result, factor, left = pair(1.0), pair(self), abs(int(exponent))
    while left:
        if left % 2:
            result = multiply(result, factor)
        factor, left = multiply(factor, factor), left // 2
    size = torch.zeros_like(pair(self).real)
    result = Complex(result.real + size, result.imag + size)
    return _reciprocal(result) if exponent < 0 else result


@rule("matmul", "mm", "bmm", "mv", "dot", "linalg_matmul")
def _matmul(self: Any, other: Any = None, **more: Any) -> Complex:
    """A product of matrices: four real ones, or two where one side is real."""
    (other,) = (*more.values(), other)[:1]
    if _is_real(self):
        return Complex(self @ other.real, self @ other.imag)
    if _is_real(other):
        return Complex(self.real @ other, self.imag @ other)
    return Complex(
        self.real @ other.real - self.imag @ other.imag,
        self.real @ other.imag + self.imag @ other.real,
    )


@rule("vdot")
def _vdot(self: Complex, other: Complex) -> Complex:
    """The product of two vectors, the first one conjugated."""
    return _matmul(_conj(pair(self)), pair(other))


@rule("einsum")
def _einsum(equation: str, tensors: list[Any], path: Any = None) -> Complex:
    """A sum over products of one or two tensors."""
    if len(tensors) == 1:
        (one,) = tensors
        return Complex(torch.einsum(equation, one.real), torch.einsum(equation, one.imag))
    if len(tensors) > 2:
        raise CannotExpress(
            "`einsum` of more than two complex tensors has no translation",
            "Multiply two at a time.",
        )
    one, other = map(pair, tensors)
    product = lambda a, b: torch.einsum(equation, a, b)  # noqa: E731
    return Complex(
        product(one.real, other.real) - product(one.imag, other.imag),
        product(one.real, other.imag) + product(one.imag, other.real),
    )


@rule("linalg_vector_norm", "norm", "linalg_norm")
def _norm(self: Complex, **arguments: Any) -> torch.Tensor:
    """A norm of the absolute values."""
    for name in ("ord", "p"):
        if name in arguments:
            arguments[name] = 2 if arguments[name] is None else arguments[name]
    if "p" in arguments:
        return torch.norm(magnitude(self), **arguments)
    return torch.linalg.vector_norm(magnitude(self), **arguments)


@rule("eq")
def _eq(self: Any, other: Any) -> torch.Tensor:
    """Whether both parts are equal."""
    self, other = pair(self), pair(other)
    return (self.real == other.real) & (self.imag == other.imag)


@rule("ne", "not_equal")
def _ne(self: Any, other: Any) -> torch.Tensor:
    """Whether a part differs."""
    return torch.logical_not(_eq(self, other))


@rule("isfinite")
def _isfinite(self: Complex) -> torch.Tensor:
    """Whether both parts are finite."""
    return torch.isfinite(self.real) & torch.isfinite(self.imag)


@rule("isnan")
def _isnan(self: Complex) -> torch.Tensor:
    """Whether a part is no number."""
    return torch.isnan(self.real) | torch.isnan(self.imag)


@rule("isinf")
def _isinf(self: Complex) -> torch.Tensor:
    """Whether a part is infinite."""
    return torch.isinf(self.real) | torch.isinf(self.imag)


@rule("is_complex")
def _is_complex(self: Any) -> bool:
    """Whether a tensor is complex."""
    return isinstance(self, Complex)


@rule("masked_fill")
def _masked_fill(self: Any, mask: torch.Tensor, value: Any) -> Complex:
    """Another number where a mask is true."""
    self, value = pair(self), pair(value)
    return Complex(
        torch.where(mask, value.real, self.real), torch.where(mask, value.imag, self.imag)
    )


@rule("constant_pad_nd", "pad")
def _pad(self: Complex, pad: list[int], mode: str = "constant", value: Any = 0) -> Complex:
    """Padding; a constant one is real."""
    value = pair(0 if value is None else value)
    real, imag = float(value.real), float(value.imag)
    if mode != "constant":
        return Complex(*(torch.nn.functional.pad(x, pad, mode) for x in (self.real, self.imag)))
    return Complex(
        torch.nn.functional.pad(self.real, pad, value=real),
        torch.nn.functional.pad(self.imag, pad, value=imag),
    )


@rule("to", "_to_copy", "type_as", "_cast_complexfloat", "cfloat", "cdouble")
def _to(self: Any, other: Any = None, dtype: torch.dtype | None = None, **how: Any) -> Any:
    """Another element type: of a complex tensor that becomes real the real part stays."""
    if dtype is None and other is not None:
        dtype = torch.complex64 if isinstance(other, Complex) else other.dtype
    if dtype is None or dtype.is_complex:
        return pair(self)
    return pair(self).real.to(dtype)


@rule("zeros_like")
def _zeros_like(self: Any, **how: Any) -> Complex:
    """Zeros."""
    return pair(torch.zeros_like(pair(self).real))


@rule("ones_like")
def _ones_like(self: Any, **how: Any) -> Complex:
    """Ones."""
    return pair(torch.ones_like(pair(self).real))


@rule("zeros", "new_zeros", "empty", "new_empty")
def _zeros(size: list[int], self: Any = None, **how: Any) -> Complex:
    """Zeros of a shape."""
    return pair(torch.zeros(size))


@rule("ones", "new_ones")
def _ones(size: list[int], self: Any = None, **how: Any) -> Complex:
    """Ones of a shape."""
    return pair(torch.ones(size))


@rule("full", "new_full")
def _full(size: list[int], fill_value: Any, self: Any = None, **how: Any) -> Complex:
    """One number in a shape."""
    value = pair(fill_value)
    return Complex(value.real.expand(size), value.imag.expand(size))
