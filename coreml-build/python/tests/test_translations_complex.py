"""Complex numbers as pairs, Fourier transforms, short-time transforms and their inverse."""

from __future__ import annotations

import pytest
import torch

from tests.translated import Case, Family

F = torch.fft
REAL = (torch.arange(24.0).reshape(2, 12) * 37 % 23) / 8 - 1
PAIRS = REAL.reshape(2, 6, 2)
SOUND = torch.sin(torch.arange(400.0).reshape(2, 200) ** 1.2)
WINDOW = torch.hann_window(32)
#: What rotary embeddings keep.
TURNS = torch.polar(torch.ones(2, 6), torch.arange(12.0).reshape(2, 6) / 5)


def pairs(z):
    return torch.view_as_real(z.resolve_conj())


def one(name, function, *inputs, captures=("trace", "export")):
    return Case(name, function, list(inputs) or [PAIRS], captures=captures)


def z(x):
    return torch.view_as_complex(x)


def overlapped(x):
    """Return the overlap of frames, as vocoders add them."""
    spectrum = torch.stft(x, 32, 8, window=WINDOW, return_complex=True)
    return torch.istft(spectrum * 0.5, 32, 8, window=WINDOW, length=200)


CASES = {
    "arithmetic": one(
        "complex",
        lambda x: [
            pairs(one)
            for one in (
                z(x) * z(x + 1),
                z(x) + 2,
                1 - z(x),
                z(x) / z(x + 3),
                z(x) / 2,
                -z(x),
                1 / z(x + 3),
                z(x) * 1j,
                z(x).conj(),
                z(x) ** 3,
                torch.square(z(x)),
            )
        ],
    ),
    "functions": one(
        "complex",
        lambda x: [
            pairs(one)
            for one in (
                torch.exp(z(x)),
                torch.log(z(x)),
                torch.sqrt(z(x)),
                torch.sin(z(x)),
                torch.cos(z(x)),
                torch.sgn(z(x)),
                torch.polar(x[..., 0].abs(), x[..., 1]),
                torch.complex(x[..., 0], x[..., 1]),
            )
        ],
    ),
    "parts": one(
        "complex",
        lambda x: (
            z(x).real,
            z(x).imag,
            z(x).abs(),
            (z(x) * 1e20).abs() * 1e-20,
            z(x + 0.01).angle(),
            z(x) == z(x),
            z(x).isfinite(),
        ),
    ),
    "shapes": one(
        "complex",
        lambda x: [
            pairs(one)
            for one in (
                z(x).T,
                z(x)[:, 1:4],
                z(x).mH,
                z(x).adjoint().mT,
                z(x).reshape(3, 4),
                torch.cat((z(x), z(x).conj()), 1),
                torch.stack((z(x), z(x)), 0),
                z(x).sum(1),
                z(x).mean(0),
                z(x).flip(1),
                z(x).unsqueeze(0).expand(3, 2, 6),
                z(x).cumsum(1),
                z(x).roll(1, 1),
                torch.where(x[..., 0] > 0, z(x), z(x) * 2),
                z(x)[:, torch.tensor([0, 5])],
                z(x).view(z(x).shape[1], z(x).size(0)) * z(x).numel(),
            )
        ],
    ),
    "products": one(
        "complex",
        lambda x: [
            pairs(one)
            for one in (
                z(x) @ z(x).T,
                torch.einsum("ij,kj->ik", z(x), z(x)),
                torch.vdot(z(x)[0], z(x)[1]),
                torch.linalg.vector_norm(z(x)) * z(x),
            )
        ],
    ),
    "rotary embeddings": one("view_as_complex", lambda x: pairs(z(x) * TURNS).flatten(1)),
    "fft": one(
        "fft_fft",
        lambda x: [pairs(F.fft(x)), pairs(F.fft(x, 7, 0, "ortho")), pairs(F.ifft(x, 16))],
        REAL,
    ),
    "fft of complex": one(
        "fft_fft", lambda x: [pairs(F.fft(z(x))), pairs(F.ifft(z(x), norm="forward"))]
    ),
    "rfft": one(
        "fft_rfft",
        lambda x: [pairs(F.rfft(x, norm=n)) for n in ("backward", "ortho", "forward")],
        REAL,
    ),
    "irfft": one(
        "fft_irfft", lambda x: (F.irfft(z(x)), F.irfft(z(x), 9), F.irfft(z(x), 20, norm="ortho"))
    ),
    "hfft": one("fft_hfft", lambda x: (F.hfft(z(x)), F.hfft(z(x), 9), pairs(F.ihfft(x[..., 0])))),
    "fft2": one(
        "fft_fftn", lambda x: [pairs(F.fft2(z(x))), pairs(F.ifft2(z(x))), pairs(F.rfft2(x[..., 0]))]
    ),
    "irfft2": one(
        "fft_irfftn", lambda x: (F.irfft2(z(x)), F.irfftn(z(x), s=(3, 8)), F.hfft2(z(x)))
    ),
    "fftn": one("fft_fftn", lambda x: [pairs(F.fftn(x)), pairs(F.rfftn(x, dim=(0, 1)))]),
    "shifts": one("fft_fftshift", lambda x: (F.fftshift(x), pairs(F.ifftshift(z(x), 1)))),
    "a long transform": one(
        "fft_rfft",
        lambda x: (pairs(F.rfft(x, 2048)), F.irfft(F.rfft(x, 2048)), pairs(F.fft(x, 1200))),
        SOUND,
        captures=("trace",),
    ),
    "stft": one(
        "stft",
        lambda x: (
            torch.stft(x, 32, 8, window=WINDOW, return_complex=True).abs(),
            torch.view_as_real(torch.stft(x[0], 20, 5, 16, return_complex=True, center=False)),
            torch.view_as_real(
                torch.stft(x, 16, normalized=True, onesided=False, return_complex=True)
            ),
        ),
        SOUND,
        captures=("trace",),
    ),
    "stft, exported": one(
        "stft",
        lambda x: torch.stft(x, 32, 8, window=WINDOW, return_complex=True).abs(),
        SOUND,
        captures=("export",),
    ),
    "stft with a window that is computed": one(
        "stft",
        lambda x, w: torch.view_as_real(torch.stft(x, 32, 8, window=w, return_complex=True)),
        SOUND,
        WINDOW,
        captures=("trace",),
    ),
    "istft": one("istft", overlapped, SOUND, captures=("trace",)),
}
FAMILY = Family(CASES, 6)


@pytest.mark.parametrize(
    ("name", "capture"),
    [(name, capture) for name, case in CASES.items() for capture in case.captures],
)
def test_is_pytorchs(name, capture):
    assert not FAMILY.wrong(name, capture)


REFUSED = {
    "an operation without a rule": (lambda x: torch.tan(z(x)).real, "complex numbers"),
    "a large prime": (lambda x: F.fft(x.flatten(), 4099).real, "a prime number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why(name):
    function, words = REFUSED[name]
    assert words in Family({name: one("", function)}).wrong(name)
