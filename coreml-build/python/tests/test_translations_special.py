"""Functions that are made of series: their error on a grid, and a program of all of them."""

from __future__ import annotations

import math

import pytest
import torch

from coreml_driver.translations import bessel, special
from tests.translated import Case, Family

S = torch.special
NEVER, NAN = float("inf"), float("nan")

#: name -> the driver's function, PyTorch's, ranges, the largest error. It is relative to the value;
#: for functions that cross zero, to the largest value between the neighbouring zeros.
ERRORS = {
    "erfcx": (special._erfcx, S.erfcx, [(-9, 1000)], 5e-6),
    "erfc": (special._erfc, torch.erfc, [(-5, 9)], 5e-6),
    "erfinv": (special._erfinv, torch.erfinv, [(-0.9999999, 0.9999999)], 1e-6),
    "ndtri": (special._ndtri, S.ndtri, [(1e-30, 1e-3), (0.01, 0.99)], 2e-6),
    "log_ndtr": (special._log_ndtr, S.log_ndtr, [(-100, 6)], 6e-6),
    "i0e": (bessel._i0e, S.i0e, [(-8, 8), (8, 1000)], 1e-6),
    "i1e": (bessel._i1e, S.i1e, [(-8, 8), (8, 1000)], 2e-6),
    "i0": (bessel._i0, S.i0, [(-20, 80)], 1e-6),
    "i1": (bessel._i1, S.i1, [(-80, 8)], 2e-6),
    "k0": (bessel._k0, S.modified_bessel_k0, [(0.001, 2), (2, 50)], 2e-6),
    "k1": (bessel._k1, S.modified_bessel_k1, [(0.001, 2), (2, 50)], 2e-6),
    "k0e": (bessel._k0e, S.scaled_modified_bessel_k0, [(0.001, 200)], 2e-6),
    "k1e": (bessel._k1e, S.scaled_modified_bessel_k1, [(0.001, 200)], 2e-6),
    "trigamma": (
        lambda x: special._polygamma(1, x),
        lambda x: torch.polygamma(1, x),
        [(0.1, 20)],
        1e-5,
    ),
    "polygamma 4": (
        lambda x: special._polygamma(4, x),
        lambda x: torch.polygamma(4, x),
        [(0.2, 9)],
        1e-5,
    ),
    "polygamma of negatives": (
        lambda x: special._polygamma(3, x),
        lambda x: torch.polygamma(3, x),
        [(-2.9, -2.1)],
        1e-5,
    ),
}
#: The same for functions that cross zero: the error is absolute.
CROSSING = {
    "lgamma": (special._lgamma, torch.lgamma, [(0.01, 20), (-4.9, 4.9)], 2e-5),
    "digamma": (special._digamma, torch.digamma, [(0.1, 50), (-2.9, -2.1)], 1e-4),
    "j0": (bessel._j0, S.bessel_j0, [(-8, 8), (8, 100)], 1e-6),
    "j1": (bessel._j1, S.bessel_j1, [(-8, 8), (8, 100)], 1e-6),
    "y0": (bessel._y0, S.bessel_y0, [(0.1, 8), (8, 100)], 2e-6),
    "y1": (bessel._y1, S.bessel_y1, [(0.2, 8), (8, 100)], 3e-6),
    "airy_ai": (bessel._airy_ai, S.airy_ai, [(-5, 2), (2, 20), (-20, -5)], 5e-6),
}


def grid(low: float, high: float) -> torch.Tensor:
    if low > 0 and high / low > 1e4:
        return torch.logspace(math.log10(low), math.log10(high), 4001)
    return torch.linspace(low, high, 4001)


@pytest.mark.parametrize("name", ERRORS)
def test_the_error_that_is_stated(name):
    function, reference, ranges, allowed = ERRORS[name]
    for low, high in ranges:
        x = grid(low, high)
        wanted = reference(x.double())
        error = (function(x).double() - wanted).abs() / wanted.abs().clamp(min=1e-37)
        assert float(error.max()) < allowed


@pytest.mark.parametrize("name", CROSSING)
def test_the_error_that_is_stated_of_what_crosses_zero(name):
    function, reference, ranges, allowed = CROSSING[name]
    for low, high in ranges:
        x = grid(low, high)
        wanted = reference(x.double())
        error = (function(x).double() - wanted).abs()
        assert float((error / wanted.abs().clamp(min=1)).max()) < allowed


#: Both signs, zero, around where one form ends and another begins, large.
ANY = torch.tensor(
    [-20.0, -8.5, -7.9, -3.2, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.4, 0.6, 1, 2, 3.6, 9, 30]
)
POSITIVE = torch.tensor([1e-3, 0.1, 0.5, 1, 1.9, 2.1, 3.4, 3.6, 7.9, 8.1, 20, 80])
UNIT = torch.tensor([-1.0, -0.9999, -0.5, -1e-4, 0, 0.3, 0.97, 0.999999, 1])
SHARE = torch.tensor([0.0, 1e-30, 1e-7, 0.02, 0.5, 0.8, 0.9999, 1])
DEGREES = torch.tensor([-1, 0, 1, 2, 3, 6, 9])
RATIO = torch.tensor([-1.0, -0.6, -0.1, 0, 0.3, 0.9, 1])


def of(function, x=ANY):
    return Case(function.__name__, function, [x], captures=("trace",))


CASES = {
    **{
        f.__name__: of(f)
        for f in (
            S.erfcx,
            torch.erfc,
            S.log_ndtr,
            S.ndtr,
            S.i0e,
            S.i1e,
            torch.i0,
            S.i1,
            S.bessel_j0,
            S.bessel_j1,
            S.airy_ai,
            S.spherical_bessel_j0,
            S.entr,
            torch.sinc,
        )
    },
    **{
        f.__name__: of(f, POSITIVE)
        for f in (
            torch.lgamma,
            torch.digamma,
            S.bessel_y0,
            S.bessel_y1,
            S.modified_bessel_k0,
            S.modified_bessel_k1,
            S.scaled_modified_bessel_k0,
            S.scaled_modified_bessel_k1,
            S.modified_bessel_i0,
            S.modified_bessel_i1,
        )
    },
    "erfinv": of(torch.erfinv, UNIT),
    "ndtri": of(S.ndtri, SHARE),
    "logit": of(torch.logit, SHARE),
    "logit with eps": Case("logit", lambda x: torch.logit(x, 0.01), [SHARE]),
    "lgamma of negatives": of(torch.lgamma, torch.tensor([-0.5, -1.7, -3.0, 0.0, -2.2])),
    "digamma at its poles": of(torch.digamma, torch.tensor([0.0, -1.0, -2.5, 1.46])),
    "mvlgamma": Case("mvlgamma", lambda x: torch.mvlgamma(x + 3, 3), [POSITIVE]),
    "polygamma": Case("polygamma", lambda x: [torch.polygamma(n, x) for n in range(4)], [POSITIVE]),
    "xlogy": Case(
        "xlogy", torch.xlogy, [torch.tensor([0.0, 0, 2, -1]), torch.tensor([0.0, NAN, 3, 2])]
    ),
    "xlog1py": Case(
        "special_xlog1py", S.xlog1py, [torch.tensor([0.0, 0, 2]), torch.tensor([-1.0, NAN, 1e-7])]
    ),
    "integers": Case(
        "erfc", lambda i: (torch.erfc(i), torch.lgamma(i + 1), torch.i0(i)), [torch.arange(5)]
    ),
    **{
        name: Case(
            f"special_{name}",
            (lambda f: lambda x: f(x.unsqueeze(1), DEGREES))(getattr(S, name)),
            [RATIO],
        )
        for name in (
            "chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v "
            "chebyshev_polynomial_w hermite_polynomial_h hermite_polynomial_he "
            "laguerre_polynomial_l legendre_polynomial_p shifted_chebyshev_polynomial_t "
            "shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v "
            "shifted_chebyshev_polynomial_w"
        ).split()
    },
}
FAMILY = Family(CASES, 24)


@pytest.mark.parametrize("name", CASES)
def test_is_pytorchs(name):
    assert not FAMILY.wrong(name)


def test_a_degree_that_is_an_input_is_refused():
    case = Case("special_hermite_polynomial_h", S.hermite_polynomial_h, [RATIO, RATIO])
    assert "the degree" in Family({"case": case}).wrong("case")
