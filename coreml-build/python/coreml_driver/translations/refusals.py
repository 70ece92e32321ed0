"""Calls that Core ML cannot express, each with the reason and the nearest thing that works.

Owns: `CannotExpress`, and the table of operations that are always refused.
Must not: translate anything.
Flow: a translation raises `CannotExpress` -> `diagnosis` makes the message of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coreml_driver.translations.registry import translation


class CannotExpress(Exception):
    """What a call asks for, and Core ML or this driver cannot express, in words for the user."""

    def __init__(self, why: str, instead: str) -> None:
        """Parameters: `why` — a clause that begins with a small letter; `instead` — the nearest
        thing that works, a sentence.
        """
        super().__init__(f"{why}. {instead}")
        self.why, self.instead = why, instead


#: Operations that are always refused: names, reason, the nearest thing that works.
REFUSED = (
    (
        ("linalg_eig", "linalg_eigvals", "_linalg_eigvals"),
        "how many steps lead to the eigenvalues of a general matrix depends on its numbers",
        "Use `torch.linalg.eigvalsh` for a symmetric matrix.",
    ),
    (
        ("linalg_ldl_factor", "linalg_ldl_factor_ex", "linalg_ldl_solve"),
        "the steps of an LDL factorisation depend on the numbers of the matrix",
        "Use `torch.linalg.solve`, or `torch.linalg.cholesky` of a positive definite matrix.",
    ),
    (
        ("special_zeta",),
        "the number of terms of `zeta` depends on its arguments",
        "Use a table of its values.",
    ),
    (
        ("ctc_loss", "_ctc_loss"),
        "the steps of this loss depend on the lengths of the targets",
        "Leave the loss out of the model: return the logarithms of the probabilities.",
    ),
    (
        ("unique_dim",),
        "`unique` of slices compares them one by one",
        "Leave `dim` out, or compute it outside of the model.",
    ),
    (
        ("bincount",),
        "the number of bins depends on the largest element",
        "Give it: `torch.nn.functional.one_hot(x, count).sum(0)`.",
    ),
    (
        ("embedding_renorm",),
        "`max_norm` writes to the weights of an embedding",
        "Normalise the weights once, in `__init__`.",
    ),
    (
        ("to_sparse", "_to_sparse", "to_sparse_csr", "_sparse_mm_reduce_impl"),
        "Core ML has no sparse tensors",
        "Keep the tensor dense, or call `.to_dense()` in `__init__`.",
    ),
)
ALWAYS_REFUSED = frozenset(kind for kinds, *_ in REFUSED for kind in kinds)


def _refuse(why: str, instead: str) -> Callable[[Any, Any], None]:
    """Return what stands in for the translation of a refused operation."""

    def refuse(context: Any, node: Any) -> None:
        """Say why."""
        raise CannotExpress(why, instead)

    return refuse


for _kinds, _why, _instead in REFUSED:
    translation(*_kinds, why=_why, replaces=True)(_refuse(_why, _instead))
