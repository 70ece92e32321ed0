"""Statistics, order statistics, histograms, places in a sorted order, running products."""

from __future__ import annotations

import pytest
import torch

from tests.translated import Case, Family

NAN, NEVER = float("nan"), float("inf")
#: Ties in rows and columns, both signs.
TIES = torch.tensor([[3.0, 1, 2, 1, 5], [2, 2, -1, 0, 2], [0, -4, 7, 7, -4]])
BROKEN = torch.tensor([[3.0, NAN, 2, 1, 5], [2, 2, -1, 0, 2], [NAN, NAN, NAN, NAN, NAN]])
CUBE = (torch.arange(24.0).reshape(2, 3, 4) * 7 % 11) / 4 - 1
ROW = torch.tensor([0.5, -1.5, 0.25, 3.0, 0.25, 9.0, -1.5])
SORTED = torch.tensor([-1.5, 0.25, 0.25, 3.0])
WHOLE = torch.tensor([[3, 1, 1], [0, -2, 7]])


def one(name, function, *inputs):
    return Case(name, function, list(inputs) or [TIES])


CASES = {
    "prod": one("prod", lambda x: (torch.prod(x), torch.prod(x, -1), torch.prod(x, 0, True)), CUBE),
    "prod of integers": one("prod", lambda i: (i.prod(), i.prod(1)), WHOLE),
    "var_mean": one(
        "var_mean",
        lambda x: (*torch.var_mean(x), *torch.var_mean(x, (0, 2), correction=0, keepdim=True)),
        CUBE,
    ),
    "std_mean": one("std_mean", lambda x: torch.std_mean(x, -1), CUBE),
    "nansum": one("nansum", lambda x: (torch.nansum(x), torch.nansum(x, 1, True)), BROKEN),
    "nanmean": one("nanmean", lambda x: torch.nanmean(x, 1), BROKEN),
    "count_nonzero": one("count_nonzero", lambda x: (torch.count_nonzero(x), x.count_nonzero(0))),
    "aminmax": one(
        "aminmax", lambda x: (*torch.aminmax(x), *torch.aminmax(x, dim=1, keepdim=True))
    ),
    "cov": one("cov", lambda x: (torch.cov(x), torch.cov(x, correction=0), torch.cov(x[0]))),
    "corrcoef": one("corrcoef", torch.corrcoef),
    "cumsum": one("cumsum", lambda x: (x.cumsum(-2), x.cumsum(-3), x.cumsum(-1)), CUBE),
    "cumsum of integers": one(
        "cumsum", lambda i: (i.cumsum(-2), (i > 0).cumsum(0), i.cumsum(1, dtype=torch.float)), WHOLE
    ),
    "cumprod": one("cumprod", lambda x: (x.cumprod(-1), x.cumprod(0)), CUBE),
    "cummax": one("cummax", lambda x: (*x.cummax(1), *x.cummax(0))),
    "cummax of a break": one("cummax", lambda x: x.cummax(1)[0], BROKEN),
    "cummin": one("cummin", lambda x: x.cummin(-1)),
    "renorm": one("renorm", lambda x: torch.renorm(x, 2, 0, 5.0)),
    "logsumexp": one(
        "logsumexp",
        lambda x: (torch.logsumexp(x * 100, 1), torch.logsumexp(x, (0, 1), keepdim=True)),
    ),
    "logsumexp of infinities": one(
        "logsumexp", lambda x: torch.logsumexp(x, 0), torch.tensor([[-NEVER, NEVER], [-NEVER, 1.0]])
    ),
    "kthvalue": one("kthvalue", lambda x: torch.kthvalue(x, 2, 0)[0]),
    "median": one("median", lambda x: (x.median(), x.median(1)[0], x.median(0, keepdim=True)[0])),
    "median of a break": one("median", lambda x: (x.median(), x.median(1)[0]), BROKEN),
    "nanmedian": one("nanmedian", lambda x: (x[:2].nanmedian(), x.nanmedian(1)[0]), BROKEN),
    "quantile": one(
        "quantile",
        lambda x: (
            torch.quantile(x, 0.3),
            torch.quantile(x, torch.tensor([0.0, 0.4, 1.0]), 1),
            torch.quantile(x, 0.7, 0, keepdim=True),
        ),
    ),
    **{
        f"quantile, {kind}": one(
            "quantile", (lambda k: lambda x: torch.quantile(x, 0.35, 1, interpolation=k))(kind)
        )
        for kind in ("lower", "higher", "midpoint", "nearest")
    },
    "quantile of a break": one("quantile", lambda x: torch.quantile(x, 0.5, 1), BROKEN),
    "nanquantile": one("nanquantile", lambda x: torch.nanquantile(x, 0.3, 1), BROKEN),
    "mode": one("mode", lambda x: (*x.mode(), *x.mode(0, keepdim=True))),
    "bucketize": one(
        "bucketize",
        lambda x: (torch.bucketize(x, SORTED), torch.bucketize(x, SORTED, right=True)),
        ROW,
    ),
    "searchsorted": one(
        "searchsorted", lambda x: torch.searchsorted(SORTED, x, side="right"), TIES
    ),
    "searchsorted of rows": one(
        "searchsorted", lambda x: torch.searchsorted(x.sort(-1)[0], x + 0.5), TIES
    ),
    "isin": one("isin", lambda x: (torch.isin(x, SORTED), torch.isin(x, 3.0, invert=True)), ROW),
    "histc": one("histc", lambda x: (torch.histc(x, 4, -2, 3), torch.histc(x, 5)), ROW),
    "histogram": one(
        "histogram",
        lambda x: (
            *torch.histogram(x, 4),
            *torch.histogram(x, 3, range=(-1.0, 4.0), density=True),
            *torch.histogram(x, SORTED.unique()),
        ),
        ROW,
    ),
    "histogramdd": one(
        "histogramdd", lambda x: torch.histogramdd(x.reshape(-1, 2), [2, 3])[0], CUBE
    ),
    "unique": Case("_unique2", torch.unique, [ROW], captures=("trace",)),
    "unique, counted": Case(
        "_unique2",
        lambda x: torch.unique(x, return_inverse=True, return_counts=True),
        [ROW],
        captures=("trace",),
    ),
    "unique_consecutive": Case(
        "unique_consecutive",
        lambda x: torch.unique_consecutive(x, return_inverse=True, return_counts=True),
        [TIES.reshape(-1)],
        captures=("trace",),
    ),
}
FAMILY = Family(CASES, 12)


@pytest.mark.parametrize("name", CASES)
def test_is_pytorchs(name):
    assert not FAMILY.wrong(name)
