"""Factorisations of small matrices, step by step: LU, Cholesky, QR; Jacobi's for eigenvalues and
singular values.

Owns: the algorithms, for batches of matrices of fixed size.
Must not: declare translations (that is `linear_algebra`).

A step is a handful of operations on the whole matrix, so a program has a number of them that grows
with the size, and for Jacobi's methods with its square.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from coreml_driver.translations.composition import untraced
from coreml_driver.translations.refusals import CannotExpress

#: The largest matrix that is taken apart in one step for each row.
LARGEST = 32
#: The largest matrix for Jacobi's methods.
LARGEST_JACOBI = 12
#: Sweeps of Jacobi's methods over small matrices: the last ones square the error.
LEAST_SWEEPS = 4


def small(name: str, *sizes: int, largest: int = LARGEST) -> None:
    """Refuse a matrix that is too large."""
    if max(sizes) > largest:
        shown = " × ".join(map(str, sizes))
        raise CannotExpress(
            f"`{name}` of a matrix of {shown} would be a program of as many steps",
            f"Matrices up to {largest} × {largest} are translated; compute larger ones outside of "
            "the model.",
        )


def unit(size: int, place: int) -> torch.Tensor:
    """Return a vector with a one at `place`, as a mask."""
    with untraced():
        return torch.arange(size) == place


def identity(rows: int, columns: int | None = None) -> torch.Tensor:
    """Return an identity matrix."""
    with untraced():
        return torch.eye(rows, rows if columns is None else columns)


@dataclass(frozen=True)
class Lu:
    """The factors of matrices, in one, as LAPACK keeps them."""

    packed: torch.Tensor
    #: The row that took part in each exchange, counted from 1.
    pivots: torch.Tensor
    #: Row i of the permuted matrix is row `order[i]` of the original one, as a matrix of 0 and 1.
    order: torch.Tensor
    #: Whether the number of exchanges is odd, as -1 or 1.
    sign: torch.Tensor


def lu(a: torch.Tensor, pivot: bool = True) -> Lu:
    """Take matrices apart, with the largest element of each column as its pivot."""
    rows, columns = a.shape[-2:]
    order = identity(rows).expand(*a.shape[:-2], rows, rows)
    sign = torch.ones_like(a[..., 0, 0])
    pivots = []
    for k in range(min(rows, columns)):
        here = unit(rows, k)
        if pivot:
            with untraced():
                done = torch.arange(rows) < k
            size = torch.where(done, -1.0, a[..., k].abs())
            place = size.argmax(-1, keepdim=True)
            with untraced():
                numbers = torch.arange(rows)
            there = numbers == place
            a, order = _exchanged(a, here, there), _exchanged(order, here, there)
            sign = torch.where(place.squeeze(-1) == k, sign, -sign)
            pivots.append(place.to(torch.int32) + 1)
        else:
            pivots.append(torch.zeros_like(a[..., 0, :1]).to(torch.int32) + (k + 1))
        if k + 1 == rows:
            break
        top = a[..., k : k + 1, k:]
        below = a[..., k + 1 :, k:]
        factor = below[..., :1] / top[..., :1]
        # A column of zeros has no pivot, and nothing to be removed.
        factor = torch.where(top[..., :1] == 0, below[..., :1], factor)
        parts = [factor]
        if k:
            parts.insert(0, a[..., k + 1 :, :k])
        if k + 1 < columns:
            parts.append(below[..., 1:] - factor * top[..., 1:])
        lower = torch.cat(parts, -1)
        a = torch.cat((a[..., : k + 1, :], lower), -2)
    return Lu(a, torch.cat(pivots, -1), order, sign)


def _exchanged(a: torch.Tensor, here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Exchange two rows. Parameters: `here`, `there` — masks of rows; `there` of each matrix."""
    first = (here.to(a.dtype).unsqueeze(-1) * a).sum(-2, keepdim=True)
    second = (there.to(a.dtype).unsqueeze(-1) * a).sum(-2, keepdim=True)
    changed = torch.where(here.unsqueeze(-1), second, a)
    with_first = torch.logical_and(there, torch.logical_not(here)).unsqueeze(-1)
    return torch.where(with_first, first, changed)


def lower_of(packed: torch.Tensor) -> torch.Tensor:
    """Return the lower factor, which has ones on its diagonal."""
    rows, columns = packed.shape[-2:]
    count = min(rows, columns)
    return torch.tril(packed[..., :count], -1) + identity(rows, count)


def upper_of(packed: torch.Tensor) -> torch.Tensor:
    """Return the upper factor."""
    rows, columns = packed.shape[-2:]
    return torch.triu(packed[..., : min(rows, columns), :])


def solve_lower(a: torch.Tensor, b: torch.Tensor, unitriangular: bool) -> torch.Tensor:
    """Solve `a x = b` for a lower triangular matrix; what is above its diagonal is not read."""
    count = a.shape[-1]
    found: list[torch.Tensor] = []
    for k in range(count):
        rest = b[..., k : k + 1, :]
        if found:
            rest = rest - a[..., k : k + 1, :k] @ torch.cat(found, -2)
        found.append(rest if unitriangular else rest / a[..., k : k + 1, k : k + 1])
    return torch.cat(found, -2)


def solve_upper(a: torch.Tensor, b: torch.Tensor, unitriangular: bool) -> torch.Tensor:
    """Solve `a x = b` for an upper triangular matrix; what is below its diagonal is not read."""
    turned = solve_lower(a.flip(-1, -2), b.flip(-2), unitriangular)
    return turned.flip(-2)


def solve_factored(factors: Lu, b: torch.Tensor) -> torch.Tensor:
    """Solve `a x = b` with the factors of `a`."""
    y = solve_lower(factors.packed, factors.order @ b, unitriangular=True)
    return solve_upper(factors.packed, y, unitriangular=False)


def cholesky(a: torch.Tensor) -> torch.Tensor:
    """Return the lower factor of positive definite matrices; only their lower half is read."""
    count = a.shape[-1]
    columns = []
    for k in range(count):
        root = torch.sqrt(a[..., :1, :1])
        column = a[..., :1] / root
        with_zeros = torch.nn.functional.pad(column, [0, 0, k, 0]) if k else column
        columns.append(with_zeros)
        if k + 1 < count:
            below = column[..., 1:, :]
            a = a[..., 1:, 1:] - below * below.transpose(-1, -2)
    return torch.cat(columns, -1)


@dataclass(frozen=True)
class Reflections:
    """What QR decompositions are made of, as LAPACK keeps it."""

    #: The upper factor, and below its diagonal the vectors of the reflections.
    packed: torch.Tensor
    scales: torch.Tensor


def reflections(a: torch.Tensor) -> Reflections:
    """Make matrices upper triangular by reflections."""
    rows, columns = a.shape[-2:]
    scales = []
    for k in range(min(rows, columns)):
        column = a[..., k:, k : k + 1]
        first, rest = column[..., :1, :], column[..., 1:, :]
        if k + 1 < rows:
            square = (rest * rest).sum(-2, keepdim=True)
            norm = torch.sqrt(first * first + square)
            head = torch.where(first < 0, norm, -norm)
            idle = square == 0
            head = torch.where(idle, first, head)
            scale = torch.where(idle, 0.0, (head - first) / torch.where(idle, 1.0, head))
            vector = rest / torch.where(idle, 1.0, first - head)
            if k + 1 < columns:
                right = a[..., k:, k + 1 :]
                whole = torch.cat((torch.ones_like(first), vector), -2)
                right = right - scale * whole * (whole * right).sum(-2, keepdim=True)
                lower = torch.cat((torch.cat((head, vector), -2), right), -1)
            else:
                lower = torch.cat((head, vector), -2)
            lower = torch.cat((a[..., k:, :k], lower), -1) if k else lower
            a = torch.cat((a[..., :k, :], lower), -2) if k else lower
        else:
            scale = first - first  # no constant: coremltools loses its type
        scales.append(scale.squeeze(-1))
    return Reflections(a, torch.cat(scales, -1))


def vectors_of(packed: torch.Tensor, count: int) -> torch.Tensor:
    """Return the vectors of reflections as columns."""
    rows = packed.shape[-2]
    return torch.tril(packed[..., :count], -1) + identity(rows, count)


def product_of(packed: torch.Tensor, scales: torch.Tensor, columns: int) -> torch.Tensor:
    """Return the first columns of a product of reflections."""
    count = scales.shape[-1]
    rows = packed.shape[-2]
    vectors = vectors_of(packed, count)
    found = identity(rows, columns).expand(*packed.shape[:-2], rows, columns)
    return reflected(found, vectors, scales, transposed=False)


def reflected(
    b: torch.Tensor, vectors: torch.Tensor, scales: torch.Tensor, transposed: bool
) -> torch.Tensor:
    """Multiply a product of reflections, or its transpose, with `b`."""
    count = scales.shape[-1]
    for k in range(count) if transposed else reversed(range(count)):
        vector, scale = vectors[..., k : k + 1], scales[..., k : k + 1].unsqueeze(-1)
        b = b - scale * vector * (vector * b).sum(-2, keepdim=True)
    return b


def _rounds(count: int) -> list[list[tuple[int, int]]]:
    """Return the pairs of a tournament of an even number of players, round by round."""
    players = list(range(count))
    rounds = []
    for _ in range(count - 1):
        half = count // 2
        pairs = zip(players[:half], reversed(players[half:]), strict=True)
        rounds.append([(min(pair), max(pair)) for pair in pairs])
        players = [players[0], players[-1], *players[1:-1]]
    return rounds


@dataclass(frozen=True)
class _Round:
    """The constants of one round, in which each row takes part in one turn."""

    first: torch.Tensor
    second: torch.Tensor
    #: Where the element of each pair stands in the flat matrix.
    between: torch.Tensor
    #: From a number for each pair to one for each row, and the same with a sign.
    spread: torch.Tensor
    signed: torch.Tensor
    partner: torch.Tensor
    diagonal: torch.Tensor

    def turn(self, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        """Return the matrix that turns all pairs at once."""
        turned = (sine @ self.signed).unsqueeze(-1) * self.partner
        return (cosine @ self.spread).unsqueeze(-1) * self.diagonal + turned


def _schedule(count: int) -> list[_Round]:
    """Return the rounds of all sweeps over an even number of rows."""
    rounds = []
    with untraced():
        diagonal = torch.eye(count)
        for pairs in _rounds(count):
            p, q = (torch.tensor(one) for one in zip(*pairs, strict=True))
            spread, signed = torch.zeros(len(pairs), count), torch.zeros(len(pairs), count)
            partner = torch.zeros(count, count)
            for number, (one, other) in enumerate(pairs):
                spread[number, [one, other]] = 1
                signed[number, one], signed[number, other] = 1, -1
                partner[one, other] = partner[other, one] = 1
            rounds.append(_Round(p, q, p * count + q, spread, signed, partner, diagonal))
    sweeps = LEAST_SWEEPS + (count > 6) + (count > 8)
    return rounds * (1 if count == 2 else sweeps)  # a single pair is turned at once


def _angle(
    pp: torch.Tensor, qq: torch.Tensor, pq: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosine and sine of the turns that make `pq` zero."""
    idle = pq == 0
    cotangent = (qq - pp) / (2 * torch.where(idle, 1.0, pq))
    root = torch.sqrt(1 + cotangent * cotangent)
    # The square overflows where the turn is hardly one.
    tangent = torch.where(cotangent >= 0, 1.0, -1.0) / (cotangent.abs() + root)
    tangent = torch.where(idle, 0.0, tangent)
    cosine = 1 / torch.sqrt(1 + tangent * tangent)
    return cosine, tangent * cosine


def _even(a: torch.Tensor) -> int:
    """Return the number of columns, made even."""
    return a.shape[-1] + a.shape[-1] % 2


def eigenvalues(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the eigenvalues of symmetric matrices, in ascending order, and their vectors, whose
    signs are such that the largest element is positive.
    """
    count, even = a.shape[-1], _even(a)
    batch = a.shape[:-2]
    a = a.reshape(-1, count, count)
    if even != count:
        a = torch.nn.functional.pad(a, [0, 1, 0, 1])
    vectors = identity(even).expand(a.shape)
    for one in _schedule(even):
        flat, diagonal = a.reshape(-1, even * even), (a * one.diagonal).sum(-1)
        cosine, sine = _angle(
            torch.index_select(diagonal, 1, one.first),
            torch.index_select(diagonal, 1, one.second),
            torch.index_select(flat, 1, one.between),
        )
        turn = one.turn(cosine, sine)
        a, vectors = turn.transpose(1, 2) @ a @ turn, vectors @ turn
    values = (a * identity(even)).sum(-1)
    if even != count:
        # What was added stays by itself: its value is 0, in the last place.
        values, vectors = values[:, :count], vectors[:, :count, :count]
    values, order = torch.sort(values, dim=-1)
    vectors = torch.gather(vectors, 2, order.unsqueeze(1).expand(vectors.shape))
    vectors = _signed(vectors)
    return values.reshape(*batch, count), vectors.reshape(*batch, count, count)


def _signed(vectors: torch.Tensor) -> torch.Tensor:
    """Make the largest element of each column positive."""
    place = vectors.abs().argmax(-2, keepdim=True)
    largest = torch.gather(vectors, -2, place)
    return vectors * torch.where(largest < 0, -1.0, 1.0)


def singular_values(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return U, the singular values in descending order, and V, both with as many columns as there
    are values; the largest element of each column of V is positive.
    """
    rows, columns = a.shape[-2:]
    if columns > rows:
        v, values, u = singular_values(a.transpose(-1, -2))
        return u, values, v
    batch = a.shape[:-2]
    a = a.reshape(-1, rows, columns)
    even = _even(a)
    if even != columns:
        a = torch.nn.functional.pad(a, [0, 1])
    v = identity(even).expand(a.shape[0], even, even)
    for one in _schedule(even):
        p, q = torch.index_select(a, 2, one.first), torch.index_select(a, 2, one.second)
        cosine, sine = _angle((p * p).sum(1), (q * q).sum(1), (p * q).sum(1))
        turn = one.turn(cosine, sine)
        a, v = a @ turn, v @ turn
    if even != columns:
        a, v = a[:, :, :columns], v[:, :columns, :columns]
    values = torch.sqrt((a * a).sum(1))
    values, order = torch.sort(values, dim=-1, descending=True)
    a = torch.gather(a, 2, order.unsqueeze(1).expand(a.shape))
    v = torch.gather(v, 2, order.unsqueeze(1).expand(v.shape))
    signs = torch.gather(v, 1, v.abs().argmax(1, keepdim=True))
    signs = torch.where(signs < 0, -1.0, 1.0)
    divisor = torch.where(values == 0, 1.0, values).unsqueeze(1)
    return (
        (a * signs / divisor).reshape(*batch, rows, columns),
        values.reshape(*batch, columns),
        (v * signs).reshape(*batch, columns, columns),
    )
