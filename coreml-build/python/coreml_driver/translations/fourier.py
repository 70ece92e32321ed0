"""Fourier transforms, as products with tables of sines and cosines, which are made in double
precision.

Owns: `fft_*`, the three kernels that exported graphs have, `stft` and `istft`.
Must not: know complex arithmetic (that is `complex_arithmetic`).
Flow: `fallback` and `complex_numbers` call these rows, whatever the types of the arguments.

A transform of n points is a product with a table of n × n numbers up to `TABLE` points; a longer
one is made of two shorter ones where n has a divisor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from coreml_driver.translations.complex_arithmetic import multiply, pair
from coreml_driver.translations.complex_numbers import rule
from coreml_driver.translations.composition import Complex, composite, is_known, untraced
from coreml_driver.translations.refusals import CannotExpress

#: Points of the longest transform that is one product: a table of a megabyte.
TABLE = 512
#: Points of the longest transform whose number of points has no divisor.
LARGEST = 4096
#: How the kernels of exported graphs count the scalings of `norm`.
SCALINGS = {0: "none", 1: "ortho", 2: "n"}


def _transform(*kinds: str) -> Any:
    """Declare a function to be the translation of `kinds` for real and for complex tensors."""

    def declare(function: Any) -> Any:
        rule(*kinds)(function)
        return composite(*kinds, why="coremltools 9.0 has few Fourier transforms", replaces=True)(
            function
        )

    return declare


def _tables(count: int, columns: int, sign: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and signed sines of 2π t k / count, for t below `count`, k below `columns`."""
    with untraced():
        product = torch.outer(torch.arange(count), torch.arange(columns)) % count
        angle = product.double() * (2 * math.pi / count)
        return torch.cos(angle).float(), (sign * torch.sin(angle)).float()


def _product(x: Complex, cosine: torch.Tensor, sine: torch.Tensor, real: bool) -> Complex:
    """Return `x` times a complex table; `real`: the imaginary part of `x` is zero."""
    if real:
        return Complex(x.real @ cosine, x.real @ sine)
    return Complex(
        x.real @ cosine - x.imag @ sine,
        x.real @ sine + x.imag @ cosine,
    )


def _last(x: Complex, sign: int, real: bool, columns: int) -> Complex:
    """Transform the last axis of a matrix, as far as `columns` of the result."""
    count = x.shape[-1]
    divisor = max(d for d in range(1, math.isqrt(count) + 1) if count % d == 0)
    if count <= TABLE or divisor == 1:
        if count > LARGEST:
            raise CannotExpress(
                f"a Fourier transform of {count} points, a prime number, needs a table of "
                f"{count * count} numbers",
                "Pad to a number that has divisors.",
            )
        return _product(x, *_tables(count, columns, sign), real)
    # Cooley and Tukey: t = t1 b + t2, k = k1 + a k2.
    a, b = divisor, count // divisor
    rows = x.shape[0]
    split = lambda part: part.reshape(rows, a, b).transpose(1, 2)  # noqa: E731
    inner = Complex(split(x.real), split(x.real) if real else split(x.imag))
    inner = _product(inner, *_tables(a, a, sign), real)
    with untraced():
        angle = torch.outer(torch.arange(b), torch.arange(a)).double() * (2 * math.pi / count)
        twiddle = Complex(torch.cos(angle).float(), (sign * torch.sin(angle)).float())
    inner = multiply(inner, twiddle)
    flat = lambda part: part.transpose(1, 2).reshape(rows * a, b)  # noqa: E731
    outer = _last(Complex(flat(inner.real), flat(inner.imag)), sign, False, b)
    back = lambda part: part.reshape(rows, a, b).transpose(1, 2).reshape(rows, count)  # noqa: E731
    return Complex(back(outer.real)[:, :columns], back(outer.imag)[:, :columns])


def _sized(x: Any, axis: int, count: int | None) -> Any:
    """Cut an axis, or pad it with zeros, to `count` points."""
    if isinstance(x, Complex):
        return Complex(_sized(x.real, axis, count), _sized(x.imag, axis, count))
    if count is None or x.shape[axis] == count:
        return x
    if x.shape[axis] > count:
        return x.narrow(axis, 0, count)
    after = x.ndim - 1 - axis % x.ndim
    return torch.nn.functional.pad(x, [0, 0] * after + [0, count - x.shape[axis]])


def _along(x: Any, axis: int, sign: int, columns: int | None = None) -> Complex:
    """Transform one axis, without scaling."""
    real = not isinstance(x, Complex)
    x = pair(x)
    count = x.shape[axis]
    columns = count if columns is None else columns
    moved = Complex(x.real.transpose(axis, -1), x.imag.transpose(axis, -1))
    if count <= TABLE:  # whatever the other sizes are
        result = _product(moved, *_tables(count, columns, sign), real)
        return Complex(result.real.transpose(axis, -1), result.imag.transpose(axis, -1))
    shape = moved.shape[:-1]
    rows = Complex(moved.real.reshape(-1, count), moved.imag.reshape(-1, count))
    result = _last(rows, sign, real, columns)
    return Complex(
        result.real.reshape(*shape, columns).transpose(axis, -1),
        result.imag.reshape(*shape, columns).transpose(axis, -1),
    )


def _to_real(x: Any, axis: int, count: int, sign: int) -> torch.Tensor:
    """Transform half a spectrum of a real signal of `count` points, without scaling."""
    x = _sized(pair(x), axis, count // 2 + 1)
    if count <= TABLE:
        cosine, sine = _tables(count, count // 2 + 1, sign)
        with untraced():
            # Each number but the first, and the last of an even count, stands for two.
            weight = torch.full((count // 2 + 1, 1), 2.0)
            weight[0] = 1
            if count % 2 == 0:
                weight[-1] = 1
            cosine, sine = cosine.T * weight, sine.T * weight
        moved = x.real.transpose(axis, -1) @ cosine - x.imag.transpose(axis, -1) @ sine
        return moved.transpose(axis, -1)
    middle = (count + 1) // 2 - 1
    whole = Complex(
        torch.cat((x.real, x.real.narrow(axis, 1, middle).flip(axis)), axis),
        # The imaginary parts of the first and of the middle number are not read.
        torch.cat((_edges(x.imag, axis, count), -x.imag.narrow(axis, 1, middle).flip(axis)), axis),
    )
    return _along(whole, axis, sign).real


def _edges(imag: torch.Tensor, axis: int, count: int) -> torch.Tensor:
    """Set imaginary parts to zero that a spectrum of a real signal has not."""
    with untraced():
        mask = torch.ones(count // 2 + 1)
        mask[0] = 0
        if count % 2 == 0:
            mask[-1] = 0
        mask = mask.reshape([-1] + [1] * (imag.ndim - 1 - axis % imag.ndim))
    return imag * mask


def _scaled(x: Any, count: int, norm: str | None, forward: bool) -> Any:
    """Scale as `norm` says: `backward` scales inverse transforms, `forward` the other ones."""
    norm = norm or "backward"
    if norm == "ortho":
        factor = 1 / math.sqrt(count)
    else:
        factor = 1 / count if (norm == "forward") == forward else 1.0
    return x if factor == 1 else multiply(x, factor) if isinstance(x, Complex) else x * factor


def _floats(x: Any) -> Any:
    """Return integers as floats."""
    return x if isinstance(x, Complex) or x.is_floating_point() else x.float()


@_transform("fft_fft")
def _fft(self: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Complex:
    """The transform of one axis."""
    x = _sized(_floats(self), dim, n)
    return _scaled(_along(x, dim, -1), x.shape[dim], norm, True)


@_transform("fft_ifft")
def _ifft(self: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Complex:
    """The inverse transform of one axis."""
    x = _sized(_floats(self), dim, n)
    return _scaled(_along(x, dim, 1), x.shape[dim], norm, False)


@_transform("fft_rfft")
def _rfft(self: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Complex:
    """Half the transform of a real axis."""
    x = _sized(_floats(self), dim, n)
    count = x.shape[dim]
    return _scaled(_along(x, dim, -1, count // 2 + 1), count, norm, True)


@_transform("fft_ihfft")
def _ihfft(self: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Complex:
    """Half the inverse transform of a real axis."""
    x = _sized(_floats(self), dim, n)
    count = x.shape[dim]
    return _scaled(_along(x, dim, 1, count // 2 + 1), count, norm, False)


@_transform("fft_irfft")
def _irfft(self: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """The real signal whose half transform is given."""
    x = pair(self)
    count = 2 * (x.shape[dim] - 1) if n is None else n
    return _scaled(_to_real(x, dim, count, 1), count, norm, False)


@_transform("fft_hfft")
def _hfft(self: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """The real transform of half a signal."""
    x = pair(self)
    count = 2 * (x.shape[dim] - 1) if n is None else n
    return _scaled(_to_real(x, dim, count, -1), count, norm, True)


def _axes(x: Any, s: Sequence[int] | None, dim: Any) -> list[tuple[int, int | None]]:
    """Return the axes of a transform of several, each with the points asked for."""
    if dim is None:
        dim = list(range(-len(s), 0)) if s is not None else list(range(-x.ndim, 0))
    dim = [dim] if isinstance(dim, int) else list(dim)
    sizes = [None if size == -1 else size for size in s] if s is not None else [None] * len(dim)
    return list(zip(dim, sizes, strict=True))


def _each(x: Any, axes: Sequence[tuple[int, int | None]], norm: Any, transform: Any) -> Any:
    """Transform one axis after the other."""
    for axis, count in axes:
        x = transform(x, count, axis, norm)
    return x


@_transform("fft_fftn", "fft_fft2")
def _fftn(self: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """The transform of several axes."""
    return _each(self, _axes(self, s, dim), norm, _fft)


@_transform("fft_ifftn", "fft_ifft2")
def _ifftn(self: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """The inverse transform of several axes."""
    return _each(self, _axes(self, s, dim), norm, _ifft)


@_transform("fft_rfftn", "fft_rfft2")
def _rfftn(self: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """The transform of several axes of a real tensor, the last one halved."""
    *others, (axis, count) = _axes(self, s, dim)
    return _each(_rfft(self, count, axis, norm), others, norm, _fft)


@_transform("fft_ihfftn", "fft_ihfft2")
def _ihfftn(self: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """The inverse transform of several axes of a real tensor, the last one halved."""
    *others, (axis, count) = _axes(self, s, dim)
    return _each(_ihfft(self, count, axis, norm), others, norm, _ifft)


@_transform("fft_irfftn", "fft_irfft2")
def _irfftn(self: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """The real tensor whose transform, halved along the last axis, is given."""
    *others, (axis, count) = _axes(self, s, dim)
    return _irfft(_each(self, others, norm, _ifft), count, axis, norm)


@_transform("fft_hfftn", "fft_hfft2")
def _hfftn(self: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """The real transform of a tensor that is halved along the last axis."""
    *others, (axis, count) = _axes(self, s, dim)
    return _hfft(_each(self, others, norm, _fft), count, axis, norm)


def _kernel_scale(x: Any, count: int, normalization: int) -> Any:
    """Scale as a kernel of an exported graph says."""
    factor = {"none": 1.0, "ortho": 1 / math.sqrt(count), "n": 1 / count}[SCALINGS[normalization]]
    return multiply(x, factor) if isinstance(x, Complex) else x * factor


@_transform("_fft_c2c")
def _c2c(self: Any, dim: list[int], normalization: int, forward: bool) -> Complex:
    """The kernel of complex transforms."""
    x, count = pair(self), 1
    for axis in dim:
        x, count = _along(x, axis, -1 if forward else 1), count * x.shape[axis]
    return _kernel_scale(x, count, normalization)


@_transform("_fft_r2c")
def _r2c(self: Any, dim: list[int], normalization: int, onesided: bool) -> Complex:
    """The kernel of transforms of real tensors."""
    *others, last = dim
    size = self.shape[last]
    x, count = _along(_floats(self), last, -1, size // 2 + 1 if onesided else None), size
    for axis in others:
        x, count = _along(x, axis, -1), count * x.shape[axis]
    return _kernel_scale(x, count, normalization)


@_transform("_fft_c2r")
def _c2r(self: Any, dim: list[int], normalization: int, last_dim_size: int) -> torch.Tensor:
    """The kernel of inverse transforms to real tensors."""
    *others, last = dim
    x, count = pair(self), last_dim_size
    for axis in others:
        x, count = _along(x, axis, 1), count * x.shape[axis]
    return _kernel_scale(_to_real(x, last, last_dim_size, 1), count, normalization)


def _window(window: torch.Tensor | None, length: int | None, n_fft: int) -> torch.Tensor:
    """Return a window, centred in `n_fft` points."""
    length = n_fft if length is None else length
    window = torch.ones(length) if window is None else window
    left = (n_fft - length) // 2
    if length == n_fft:
        return window
    return torch.nn.functional.pad(window, [left, n_fft - length - left])


@_transform("stft")
def _stft(
    self: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: torch.Tensor | None = None,
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
    center: bool = False,
    pad_mode: str = "reflect",
) -> Any:
    """The transforms of windows of a signal: a convolution with windowed sines and cosines."""
    if isinstance(self, Complex) or isinstance(window, Complex):
        raise CannotExpress(
            "`stft` of a complex signal has no translation", "Transform both parts, and add."
        )
    hop = n_fft // 4 if hop_length is None else hop_length
    columns = n_fft // 2 + 1 if onesided or onesided is None else n_fft
    signal = (self if self.ndim == 2 else self.unsqueeze(0)).unsqueeze(1)
    if center:
        signal = torch.nn.functional.pad(signal, [n_fft // 2, n_fft // 2], mode=pad_mode)
    if align_to_window:
        length = n_fft if win_length is None else win_length
        left = (n_fft - length) // 2
        signal = torch.nn.functional.pad(signal, [left, n_fft - length - left])
    factor = 1 / math.sqrt(n_fft) if normalized else 1.0
    if is_known(window):
        with untraced():
            kernel = _stft_kernel(_window(window, win_length, n_fft), n_fft, columns, factor)
        frames = torch.nn.functional.conv1d(signal, kernel, stride=hop)
    else:
        # Framed first, because a convolution wants a constant kernel.
        with untraced():
            kernel = _stft_kernel(torch.ones(n_fft), n_fft, columns, factor)
        framed = torch.nn.functional.conv1d(signal, torch.eye(n_fft).unsqueeze(1), stride=hop)
        framed = framed * _window(window, win_length, n_fft).reshape(1, n_fft, 1)
        frames = kernel.squeeze(1) @ framed
    frames = frames if self.ndim == 2 else frames.squeeze(0)
    axis = frames.ndim - 2
    real, imag = frames.narrow(axis, 0, columns), frames.narrow(axis, columns, columns)
    return torch.stack((real, imag), -1) if return_complex is False else Complex(real, imag)


def _stft_kernel(window: torch.Tensor, n_fft: int, columns: int, factor: float) -> torch.Tensor:
    """Return windowed cosines, and below them sines."""
    cosine, sine = _tables(n_fft, columns, -1)
    return (torch.cat((cosine.T, sine.T)) * window * factor).unsqueeze(1)


@_transform("istft")
def _istft(
    self: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: torch.Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> torch.Tensor:
    """The signal of overlapping transforms, divided by the overlap of the squared windows."""
    if return_complex:
        raise CannotExpress(
            "`istft` with `return_complex=True` has no translation",
            "Leave it out where the signal is real.",
        )
    hop = n_fft // 4 if hop_length is None else hop_length
    columns = n_fft // 2 + 1
    x = pair(self)
    batched = x.ndim == 3
    if not batched:
        x = Complex(x.real.unsqueeze(0), x.imag.unsqueeze(0))
    # Of a whole spectrum of a real signal the second half says nothing new.
    both = torch.cat((x.real[:, :columns], x.imag[:, :columns]), 1)
    count = both.shape[2]
    scale = 1 / math.sqrt(n_fft) if normalized else 1 / n_fft
    with untraced():
        cosine, sine = _tables(n_fft, columns, -1)
        weight = torch.full((columns,), 2.0)
        weight[0] = 1
        if n_fft % 2 == 0:
            weight[-1] = 1
        table = torch.cat((cosine * weight, sine * weight), 1).T * scale
    overlap = torch.nn.functional.conv_transpose1d
    if is_known(window):
        with untraced():
            windowed = _window(window, win_length, n_fft)
            kernel = (table * windowed).unsqueeze(1)
            envelope = overlap(
                torch.ones(1, 1, count), windowed.square().reshape(1, 1, -1), stride=hop
            )
        signal = overlap(both, kernel, stride=hop)
    else:
        windowed = _window(window, win_length, n_fft).reshape(1, n_fft, 1)
        frames = (table.T @ both) * windowed
        with untraced():
            identity = torch.eye(n_fft).unsqueeze(1)
        signal = overlap(frames, identity, stride=hop)
        squares = (windowed * windowed).expand(1, n_fft, count)
        envelope = overlap(squares, identity, stride=hop)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else signal.shape[-1] - start
    missing = end - signal.shape[-1]
    result = signal[:, 0, start:end] / envelope[:, 0, start:end]
    if missing > 0:
        result = torch.nn.functional.pad(result, [0, missing])
    return result if batched else result.squeeze(0)
