"""What coremltools gets wrong or refuses, as functions with inputs that show it.

Each case names the row of the driver's tables that cures it. Owns: the cases. Flow:
`test_translations.py` compares the driver's programs with PyTorch, and coremltools' own.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from tests.translated import Case

HALF = ("trace", "float16")
EXPORT = ("export", "float32")
NEVER = float("-inf")
LOWEST = torch.finfo(torch.float32).min


def table(*shape: int, scale: float = 1.0) -> torch.Tensor:
    """Return numbers of both signs that float16 holds."""
    count = math.prod(shape)
    numbers = (torch.arange(count) * 37 % 97 - 48).reshape(shape)
    return numbers.float() / 16 * scale


def whole(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.int32)


def still(module: nn.Module) -> nn.Module:
    """Return a module whose parameters differ from each other and need no gradient."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(table(*parameter.shape, scale=0.25))
        for name, buffer in module.named_buffers():
            if "var" in name:
                buffer.copy_(table(*buffer.shape).abs() + 0.5)
            elif buffer.is_floating_point():
                buffer.copy_(table(*buffer.shape, scale=0.5))
    return module.eval().requires_grad_(False)


X, Y = table(4, 6), table(4, 6).flip(0) + 0.5
CUBE, IMAGE, SQUARE = table(2, 3, 5), table(1, 4, 8, 8), table(5, 5)
#: Above 32767, 65535 and 2048, of both signs.
IDS = whole(50257, 3, 151935, 2049, -4097, 70001)
SMALL = whole(*range(300))
LENGTH = (0, 1, 2, 9)


def set_columns(x: torch.Tensor) -> torch.Tensor:
    y = x * 1
    y[:, [1, 3]] = 7.0
    return y


def set_rows_and_masked(x: torch.Tensor) -> torch.Tensor:
    y = x * 1
    y[[0, -1]] = torch.arange(6.0)
    y = y * 1
    y[y > 1] = 9.0
    return y


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.LSTM(6, 6, batch_first=True) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = x + layer(x)[0]
        return x


def later(x: torch.Tensor) -> torch.Tensor:
    """Return a causal mask of the size of the input."""
    size = x.shape[1]
    return torch.triu(torch.full((size, size), NEVER), 1)


def masked(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x + (1.0 - mask[:, None, :].float()) * LOWEST, -1)


#: The case file's kinds K1 to K9 and K11, and their variants.
KINDS = {
    "K1 remainder by 1": Case("remainder", lambda x: torch.remainder(x, 1) + 0.5, [X]),
    "K1 floor by 1": Case("common::noop_elimination", lambda x: (x // 1) * 1.5, [X]),
    "K1 floor by ones": Case(
        "common::noop_elimination",
        lambda x: torch.div(x, torch.ones(4, 6), rounding_mode="floor") + 0.25,
        [X],
    ),
    "K1 phase": Case("remainder", lambda x: torch.cumsum((x * 1000 / 24000) % 1, -1), [X.abs()]),
    "K2 ids": Case("common::add_int16_cast", lambda i: i[None].squeeze(0) + 1, [IDS], HALF),
    "K2 gather": Case(
        "common::add_int16_cast", lambda i: i.gather(0, torch.tensor([0, 2, 5])), [IDS], HALF
    ),
    "K2 index": Case("common::add_int16_cast", lambda i: i[[0, 2, 5]] - 1, [IDS], HALF),
    "K2 topk": Case("common::add_int16_cast", lambda i: i.topk(3)[0], [IDS], HALF),
    "K2 topk places": Case(
        "common::add_int16_cast",
        lambda x: x.topk(2)[1],
        [torch.arange(70000.0)],
        HALF,
        precisions=("float32",),
    ),
    "K2 sort": Case("common::add_int16_cast", lambda i: i.sort()[0], [IDS], HALF),
    "K2 argmax": Case(
        "common::add_int16_cast",
        lambda x: x.argmax(-1, keepdim=True).squeeze(-1),
        [torch.zeros(1, 151936).scatter(1, torch.tensor([[150000]]), 3.0)],
        HALF,
    ),
    "K2 minutes": Case("floor_divide", lambda i: i[:, None].squeeze(-1) // 60, [IDS], HALF),
    "K3 1 / x": Case("reciprocal", lambda x: 1.0 / x, [torch.tensor([2**-10, 2**-7, 4.0])]),
    "K3 2 / x": Case("reciprocal", lambda x: 2 / x, [torch.tensor([2**-10, 2**-7, 4.0])]),
    "K3 reciprocal": Case("reciprocal", torch.reciprocal, [torch.tensor([2**-10, -(2**-7), 4.0])]),
    "K3 normalised": Case(
        "reciprocal",
        lambda x: x * (1.0 / (x.pow(2).mean(-1, keepdim=True) + 1e-5)),
        [X / 128],
        precisions=("float32",),
    ),
    "K4 sub": Case("sub", lambda x: torch.sub(x, x.flip(0), alpha=5), [X]),
    "K4 add": Case("add", lambda x, y: y.add(x, alpha=0.1), [X, Y], EXPORT),
    "K4 rsub": Case("rsub", lambda x, y: torch.rsub(x, y, alpha=3), [X, Y], EXPORT),
    "K4 integers": Case("sub", lambda i: torch.sub(i, i.flip(0), alpha=2), [IDS]),
    "K5 atan2": Case(
        "atan2",
        torch.atan2,
        [
            torch.tensor([0.0, 0, 1, -1, 0, -0.0, -0.0, 3, -2]),
            torch.tensor([-1.0, 1, 0, 0, 0, -1, 1, -4, 0.5]),
        ],
    ),
    "K5 of integers": Case(
        "atan2", lambda x, y: torch.atan2(torch.round(x), torch.round(y)), [X, Y]
    ),
    "K6 triu": Case(
        "triu",
        lambda x: x @ x.transpose(1, 2) + later(x),
        [table(1, 5, 4)],
        more=[[table(1, 3, 4)]],
        flexible=[LENGTH],
    ),
    "K6 tril": Case(
        "tril",
        lambda x: torch.tril(torch.full((x.shape[1], x.shape[1]), NEVER), -1),
        [table(1, 5, 4)],
        more=[[table(1, 2, 4)]],
        flexible=[LENGTH],
    ),
    "K6 subsequent mask": Case(
        "triu",
        lambda x: nn.Transformer.generate_square_subsequent_mask(x.shape[1]) + 0.0,
        [table(1, 5, 4)],
        more=[[table(1, 3, 4)]],
        flexible=[LENGTH],
    ),
    "K7 finfo": Case(
        "common::add_fp16_cast",
        masked,
        [table(1, 6, 6, scale=4), whole(1, 1, 1, 0, 0, 1)[None]],
        HALF,
        more=[[table(1, 6, 6, scale=4), whole(0, 0, 0, 0, 0, 0)[None]]],
    ),
    "K7 filled": Case(
        "common::add_fp16_cast",
        lambda x, m: torch.softmax(x.masked_fill(m[:, None, :] == 0, LOWEST), -1),
        [table(1, 6, 6, scale=4), whole(0, 0, 0, 0, 0, 0)[None]],
        HALF,
        more=[[table(1, 6, 6, scale=4), whole(1, 0, 1, 0, 0, 1)[None]]],
    ),
    "K7 -1e9": Case(
        "common::add_fp16_cast",
        lambda x, m: (x * 4 + (1 - m) * -1e9).softmax(-1),
        [table(1, 5, 5), torch.zeros(1, 5, 5)],
        HALF,
        more=[[table(1, 5, 5), (table(1, 5, 5) > 0).float()]],
    ),
    "K7 subtracted": Case(
        "common::add_fp16_cast",
        lambda x, m: (x - (1 - m) * 1e9).softmax(-1),
        [table(1, 5, 5), torch.zeros(1, 5, 5)],
        HALF,
    ),
    "K7 left padding": Case(
        "common::add_fp16_cast",
        lambda x, m: (
            (x + torch.full((6, 6), LOWEST).triu(1) + (1.0 - m[:, None, :].float()) * LOWEST)
            .clamp(min=LOWEST)
            .softmax(-1)
        ),
        [table(1, 6, 6), whole(0, 0, 1, 1, 1, 1)[None]],
        HALF,
    ),
    "K7 attention": Case(
        "common::add_fp16_cast",
        lambda q, m: F.scaled_dot_product_attention(
            q, q, q, attn_mask=(1 - m[:, None, None, :].float()) * LOWEST
        ),
        [table(1, 2, 6, 4), whole(0, 0, 0, 0, 0, 0)[None]],
        HALF,
        more=[[table(1, 2, 6, 4), whole(1, 1, 1, 0, 0, 1)[None]]],
    ),
    "K8 trunc": Case("div", lambda i: torch.div(i, 7, rounding_mode="trunc"), [SMALL], HALF),
    "K8 trunc of negatives": Case(
        "div", lambda i: torch.div(i, -7, rounding_mode="trunc"), [IDS], HALF
    ),
    "K8 int": Case("common::divide_to_multiply", lambda i: (i / 10).int(), [SMALL], HALF),
    "K8 floor": Case("common::divide_to_multiply", lambda i: torch.floor(i / 7), [SMALL], HALF),
    "K8 16ths": Case(
        "div", lambda i: torch.div(i, 16, rounding_mode="floor"), [SMALL * 100 + 15], HALF
    ),
    "K8 remainder": Case("remainder", lambda i: i % 7, [IDS], None),
    "K8 true_divide": Case("true_divide", lambda i: torch.true_divide(i, 8), [SMALL], None),
    "K8 scaled": Case("common::add_fp16_cast", lambda i: i.float() * 0.0009765625, [IDS], HALF),
    "K8 angle": Case(
        "common::add_fp16_cast",
        lambda i: torch.sin(i.float()[:, None] * torch.tensor([1.0, 0.1, 0.01])),
        [IDS],
        HALF,
    ),
    "K9 antialias": Case(
        "_upsample_bilinear2d_aa",
        lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True),
        [table(1, 3, 16, 16)],
    ),
    "K9 softplus": Case("softplus", lambda x: F.softplus(x, beta=2, threshold=1), [X]),
    "K9 std": Case("std", lambda x: x.std(-1, correction=2), [X]),
    "K9 var": Case("var", lambda x: x.var(0, correction=3, keepdim=True), [X]),
    "K9 gelu": Case("gelu", lambda x: F.gelu(x, approximate="tanh"), [X], EXPORT),
    "K9 running statistics": Case(
        "instance_norm", still(nn.InstanceNorm2d(4, affine=True, track_running_stats=True)), [IMAGE]
    ),
    "K11 log": Case(
        "common::add_fp16_cast",
        lambda x: torch.log(x + 1e-10),
        [torch.tensor([0.0, 1, 2**-20])],
        HALF,
    ),
    "K11 log10": Case(
        "common::add_fp16_cast",
        lambda x: x.clamp(min=1e-10).log10(),
        [torch.tensor([0.0, 1, 2**-20])],
        HALF,
    ),
    "K11 LayerNorm": Case(
        "common::add_fp16_cast", lambda x: F.layer_norm(x, (6,), eps=1e-12), [X / 2**15], HALF
    ),
    "K11 cosine": Case(
        "common::add_fp16_cast",
        lambda x, y: F.cosine_similarity(x, y, dim=-1),
        [X / 2**12, Y / 2**12],
        HALF,
    ),
    "K11 rsqrt": Case(
        "common::add_fp16_cast",
        lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-8),
        [X / 2**14],
        HALF,
    ),
}

#: The case file's "Refused, though it could work".
REFUSED = {
    "diagonal": Case("diagonal", lambda s: torch.diag(s * 1), [SQUARE]),
    "diagonal of a cube": Case("diagonal", lambda x: torch.diagonal(x, 1, 1, 2), [CUBE]),
    "addmm of an integer": Case(
        "addmm", lambda s: torch.addmm(s, s, s, beta=2, alpha=3), [SQUARE / 4]
    ),
    "baddbmm": Case(
        "baddbmm",
        lambda x: torch.baddbmm(torch.ones(2, 3, 3), x, x.transpose(1, 2), beta=2),
        [CUBE],
        plain=None,
    ),
    "addbmm": Case(
        "addbmm", lambda x: torch.addbmm(torch.ones(3, 3), x, x.transpose(1, 2)), [CUBE]
    ),
    "addmv": Case("addmv", lambda x: torch.addmv(torch.ones(4), x, torch.arange(6.0)), [X]),
    "prelu of rank 2": Case("prelu", still(nn.PReLU(6)), [X]),
    "prelu of rank 3": Case("prelu", still(nn.PReLU(3)), [CUBE]),
    "stable sort": Case("sort", lambda x: torch.sort(torch.round(x), stable=True, dim=-1), [X]),
    "stable argsort": Case(
        "argsort", lambda x: torch.argsort(torch.round(x), dim=1, stable=True), [X]
    ),
    "acosh": Case("acosh", torch.acosh, [torch.tensor([1.0, 1.125, 2, 300])]),
    "asinh": Case("asinh", torch.asinh, [torch.tensor([-300.0, -0.5, 0, 2**-10, 2, 200])]),
    "einsum": Case(
        "einsum", lambda x: torch.einsum("...ij,...jk->...ik", x, x.transpose(-1, -2)), [CUBE]
    ),
    "einsum of one vector": Case(
        "einsum", lambda x, y: torch.einsum("b...d,d->b...", x, y), [CUBE, table(5)]
    ),
    "LSTM in a loop": Case("lstm.input", still(Loop()), [table(2, 3, 6)], EXPORT),
    "padding from a size": Case(
        "pad",
        lambda x: F.pad(x, (0, 0, 0, (-x.shape[1]) % 4)),
        [table(1, 5, 4)],
        more=[[table(1, 8, 4)], [table(1, 3, 4)]],
        flexible=[LENGTH],
    ),
    "output_padding": Case(
        "_convolution",
        still(nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1)),
        [IMAGE],
    ),
    "output_padding in one dimension": Case(
        "_convolution",
        still(nn.ConvTranspose1d(3, 4, 3, stride=3, padding=1, output_padding=2)),
        [CUBE],
        plain=None,
    ),
    "output_padding in three dimensions": Case(
        "_convolution",
        still(nn.ConvTranspose3d(2, 2, 3, stride=2, padding=1, output_padding=1)),
        [table(1, 2, 3, 3, 3)],
    ),
    "index of a quotient": Case(
        "floor_divide", lambda x, i: x[:, i // 80], [X, whole(0, 81, 399)], None
    ),
    "grouped queries": Case(
        "scaled_dot_product_attention",
        lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        [table(1, 4, 5, 8, scale=0.5), table(1, 2, 5, 8, scale=0.5)],
    ),
    "round to decimals": Case(
        "round", lambda x: torch.round(x, decimals=1), [torch.tensor([0.125, 2.4375, -3.0625])]
    ),
    "circular padding": Case("pad", lambda x: F.pad(x, (2, 1), mode="circular"), [CUBE]),
    "circular convolution": Case(
        "pad", still(nn.Conv2d(4, 2, 3, padding=1, padding_mode="circular")), [IMAGE]
    ),
    "argmax of all": Case("argmax", lambda x: (x.argmax(), x.argmin(keepdim=True)), [X]),
    "clamp by tensors": Case("clamp", lambda x, y: torch.clamp(x, y - 3, y), [X, Y], None),
    "cross": Case("cross", lambda x, y: torch.cross(x, y), [table(4, 3), table(4, 3) + 1]),
    "tile": Case("tile", lambda x: x.tile(2, 1, 3), [X]),
    "or": Case("bitwise_or", lambda x: (x > 0) | (x < -1), [X]),
    "xor": Case("bitwise_xor", lambda x: (x > 0) ^ (x < 1), [X]),
    "and": Case("bitwise_and", lambda x: (x > 0) & (x < 1), [X], EXPORT),
}

#: Found beside them.
OTHERS = {
    "a part that holds nothing": Case(
        "slice",
        lambda x: torch.cat([x, x[..., 1:], x[:, :-1], x[:, 5:], x.narrow(1, 1, 0)], -1),
        [table(2, 1)],
    ),
    "parts of an axis": Case(
        "slice",
        lambda x: torch.cat([x[:, 1:], x[:, -2:], x[:, ::2], x[:, 1:-1:3], x[:, -9:9]], -1),
        [table(2, 6)],
        None,
    ),
    "logarithm of 0": Case(
        "log", lambda x: torch.exp(torch.log(x)) + torch.log(x + 0), [whole(0, 1).float()]
    ),
    "log1p": Case("log1p", torch.log1p, [torch.tensor([2.0**-14, -(2**-13), 2**-12])], None),
    "log1p of more": Case("log1p", torch.log1p, [torch.tensor([0.125, 3, -0.5, 0.25])], None),
    "expm1": Case("expm1", torch.expm1, [torch.tensor([2.0**-14, -(2**-13), 2**-12])]),
    "expm1 of more": Case("expm1", torch.expm1, [torch.tensor([0.125, 3, -2, 0.25, -0.25])], None),
    "rsqrt": Case(
        "rsqrt", torch.rsqrt, [torch.tensor([2.0**-38, 2**-30, 0.25, 9])], precisions=("float32",)
    ),
    "log_softmax": Case("log_softmax", lambda x: F.log_softmax(x * 32, -1), [X]),
    "logcumsumexp": Case(
        "logcumsumexp",
        lambda x: torch.logcumsumexp(x, -1),
        [torch.tensor([[-200.0, 0, 300, 301, -5, 299], [-9, -8, NEVER, 1, 2, 3]])],
    ),
    "threshold": Case("threshold", lambda x: F.threshold(x, 1024.0, 0.1), [X]),
    "elu": Case("elu", lambda x: torch.ops.aten.elu(x, 1.5, 2.0, 0.5), [X]),
    "softmax in another type": Case(
        "softmax", lambda i: F.softmax(i, -1, dtype=torch.float32), [whole(1, 2, 3)]
    ),
    "powers of integers": Case(
        "pow", lambda i: i**2 + 2 ** (i.abs() % 7), [whole(5001, -5, 0)], None
    ),
    "sum of booleans": Case("sum", lambda x: (x > -9).sum(-1), [torch.zeros(2, 5001)], HALF),
    "sum in another type": Case("sum", lambda x: x.sum(-1, dtype=torch.int32), [X]),
    "mean of integers": Case("mean", lambda i: i.mean(dtype=torch.float32), [whole(1, 2, 4)]),
    "any": Case("any", lambda x: (x / 4).any(-1), [torch.tensor([[0.0, 2], [0, 0]])]),
    "all": Case("all", lambda x: (x / 4).all(-1), [torch.tensor([[1.0, 2], [0, 1]])]),
    "norm": Case("norm", lambda x: torch.ops.aten.norm.Scalar(x, 3), [X]),
    "norm of all": Case("norm", torch.norm, [X], None),
    "vector norm": Case(
        "linalg_vector_norm",
        lambda x: torch.linalg.vector_norm(x, 1.5, dim=-1),
        [X],
        None,
    ),
    "cosine of unequal vectors": Case(
        "cosine_similarity",
        lambda x, y: F.cosine_similarity(x, y, dim=0, eps=0.5),
        [X / 64, Y],
    ),
    "clamp of integers": Case("clamp", lambda i: i.clamp(min=0), [IDS], HALF),
    "hardtanh with integers": Case("hardtanh", lambda x: F.hardtanh(x, -1, 2), [X]),
    "ones like integers": Case(
        "ones_like",
        lambda i: torch.ones_like(i).cumsum(-1) - 1,
        [torch.zeros(5000, dtype=torch.int32)],
        HALF,
    ),
    "eye": Case(
        "eye",
        lambda x: (
            torch.eye(3, 4, dtype=torch.bool) & (x > 0),
            torch.eye(4, dtype=torch.int32) + 2,
            torch.eye(3) @ x,
        ),
        [table(3, 4)],
    ),
    "eye of a size that varies": Case(
        "eye",
        lambda x: x + torch.eye(x.shape[0], x.shape[1]) + torch.eye(x.shape[0], 4).sum(),
        [table(3, 4)],
        more=[[table(6, 4)]],
        flexible=[(0, 0, 1, 8)],
    ),
    "zeros of integers": Case(
        "zeros",
        lambda i: torch.zeros(3, dtype=torch.int64) + i,
        [whole(2**24 + 1, 5, -7)],
        EXPORT,
    ),
    "full like": Case("full_like", lambda i: torch.full_like(i, 2.5) + i, [IDS]),
    "full like in another type": Case(
        "full_like", lambda i: torch.full_like(i, 0.5, dtype=torch.float32) * i, [SMALL], None
    ),
    "zeros like infinity": Case(
        "zeros_like",
        lambda x: torch.zeros_like(x) + 1,
        [torch.tensor([[1.0, float("inf"), 2]])],
        flexible=[LENGTH],
    ),
    "range of floats": Case(
        "arange",
        lambda x: torch.arange(0, x.shape[1], 0.25) + 1,
        [table(1, 5)],
        more=[[table(1, 3)]],
        flexible=[LENGTH],
        plain=None,
    ),
    "range in another type": Case(
        "arange",
        lambda x: 2 ** torch.arange(40, dtype=torch.float32) + x[0, 0],
        [X],
        precisions=("float32",),
    ),
    "narrow integers": Case("to", lambda x: (x * 100).abs().to(torch.uint8) + 1, [X], None),
    "narrow integers of integers": Case("to", lambda i: i.to(torch.int8) * 1, [IDS], None),
    "type of a constant": Case("to", lambda x: x.to(torch.tensor(3.0)) * 1.5, [X], None),
    "filled": Case(
        "fill", lambda i: torch.ops.aten.fill(i, 2.5), [IDS], EXPORT, captures=("export",)
    ),
    "number as a tensor": Case(
        "scalar_tensor", lambda i: torch.scalar_tensor(2.5, dtype=torch.int64) * i, [IDS]
    ),
    "infinite number": Case(
        "constant",
        lambda x: torch.where(x > 0, float("inf"), x) - 3e38,
        [X],
        precisions=("float32",),
    ),
    "shifted": Case("pad", lambda x: F.pad(x, (1, -1)), [X]),
    "padded integers": Case("pad", lambda i: F.pad(i, (1, 2), value=5), [IDS], HALF),
    "smaller index": Case("gather", lambda x: x.gather(1, torch.tensor([[0, 5], [1, 2]])), [X]),
    "smaller scatter": Case(
        "scatter", lambda x: x.scatter(1, torch.tensor([[0, 2], [1, 0]]), 5.0), [X]
    ),
    "smaller scatter_add": Case(
        "scatter_add",
        lambda x: torch.zeros(4, 6).scatter_add(1, torch.tensor([[0, 2], [1, 1]]), x),
        [X],
    ),
    "repeat": Case("repeat", lambda x: (x > 0).repeat(3, 1, 2), [X], None),
    "rows and columns written": Case(
        "index_put", set_rows_and_masked, [X], captures=("export",), plain=None
    ),
    "columns written": Case("index_put", set_columns, [X], captures=("export",), plain=EXPORT),
    "chosen by a number": Case("where", lambda i: torch.where(i > 5, i, 0), [IDS], EXPORT),
    "rms_norm of several axes": Case("rms_norm", still(nn.RMSNorm((3, 5), eps=1e-3)), [CUBE / 64]),
    "rms_norm of zeros": Case("rms_norm", lambda x: F.rms_norm(x * 0, (6,), eps=1e-3), [X]),
    "rms_norm of large numbers": Case(
        "rms_norm",
        lambda x: F.rms_norm(x * 256, (6,), eps=1e-5),
        [X],
        precisions=("float16",),
        plain=None,
    ),
    "row without a key": Case(
        "scaled_dot_product_attention",
        lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m > 0),
        [table(1, 2, 5, 8, scale=0.5), torch.ones(5, 5).tril(-1)],
    ),
    "scaled attention": Case(
        "scaled_dot_product_attention",
        lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m > 0, scale=0.25),
        [table(1, 2, 5, 8, scale=0.5), torch.ones(5, 5).tril(-1)],
    ),
    "fractional resize": Case(
        "upsample_bilinear2d",
        lambda x: F.interpolate(x, scale_factor=1.6, mode="bilinear"),
        [IMAGE],
    ),
    "antialiased cubic resize": Case(
        "_upsample_bicubic2d_aa",
        lambda x: F.interpolate(x, size=(3, 5), mode="bicubic", antialias=True),
        [IMAGE],
    ),
    "fractional resize of a line": Case(
        "upsample_linear1d",
        lambda x: F.interpolate(x, scale_factor=1.5, mode="linear"),
        [CUBE],
    ),
}

SCALES = torch.arange(1.0, 7).reshape(1, 6, 1, 1)
CONVOLUTION = still(nn.Conv2d(4, 4, 3))
GROUPED = still(nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False))
NORMALISED = still(
    nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), nn.ReLU())
)
ONE_CHANNEL = still(nn.Conv2d(4, 1, 3))
ONE_FEATURE = still(nn.Linear(6, 1))
LINEAR = still(nn.Linear(6, 5))


class Applied(nn.Module):
    """A module and what is done with its result."""

    def __init__(self, module: nn.Module, function) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.module(x))


def both(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    padded = F.pad(x, (1, 1), value=3.0)
    return F.pad(padded, (1, 2), value=3.0), padded


def sum_of_two(x: torch.Tensor) -> torch.Tensor:
    first, second, _ = torch.stack([x, x * 2, x * 3]).unbind(0)
    return first + second


#: coremltools' passes over finished programs.
PASSES = {
    "root of a square": Case("mil_backend::fuse_pow2_sqrt", lambda x: torch.sqrt(x**2) + 1, [X]),
    "number by a convolution": Case(
        "common::fuse_conv_scale",
        Applied(CONVOLUTION, lambda y: torch.relu(5.0 / (y * y + 1) - 1)),
        [IMAGE],
    ),
    "divided convolution": Case(
        "common::fuse_conv_scale", Applied(CONVOLUTION, lambda y: torch.relu(5.0 / y)), [IMAGE + 4]
    ),
    "scaled groups": Case(
        "common::fuse_conv_scale", Applied(GROUPED, lambda y: torch.relu(y * SCALES)), [IMAGE]
    ),
    "normalised groups": Case("common::fuse_conv_batchnorm", NORMALISED, [IMAGE]),
    "shifted groups": Case(
        "common::fuse_conv_bias", Applied(GROUPED, lambda y: torch.relu(y + 1.5)), [IMAGE]
    ),
    "one channel to several": Case(
        "common::fuse_conv_bias", Applied(ONE_CHANNEL, lambda y: torch.relu(y + SCALES)), [IMAGE]
    ),
    "matrix from a vector": Case(
        "common::fuse_matmul_weight_bias",
        lambda x: torch.relu(table(5) - x @ table(8, 5)),
        [IMAGE],
    ),
    "matrix on the left": Case(
        "common::fuse_matmul_weight_bias",
        lambda s: torch.relu(table(5, 5) @ s + table(5)),
        [SQUARE],
    ),
    "one feature": Case(
        "common::fuse_linear_bias", Applied(ONE_FEATURE, lambda y: torch.relu(y + 1.0)), [X]
    ),
    "bias of higher rank": Case(
        "common::fuse_linear_bias",
        Applied(LINEAR, lambda y: torch.relu(y + table(1, 1, 5))),
        [X],
    ),
    "broadcast channel": Case(
        "common::fuse_elementwise_to_batchnorm",
        lambda x: torch.relu(x[:, :1] * SCALES + SCALES),
        [IMAGE],
    ),
    "scales and biases that cancel": Case(
        "common::fuse_elementwise_to_batchnorm",
        lambda x: torch.relu(x * SCALES[:, :4] + -30 * SCALES[:, :4]),
        [IMAGE + 30],
    ),
    "scales of channels, one bias": Case(
        "common::fuse_elementwise_to_batchnorm",
        lambda x: torch.relu(x * SCALES[:, :4] + torch.full((1, 1, 1), 0.5)),
        [IMAGE],
    ),
    "condition of higher rank": Case(
        "common::select_optimization",
        lambda x: torch.relu(torch.where(torch.ones(3, 1, 1, dtype=torch.bool), x, x * 2)),
        [table(1, 5)],
        flexible=[LENGTH],
        more=[[table(1, 3)]],
    ),
    "infinity beside infinity": Case(
        "common::select_optimization",
        lambda x: torch.where(torch.arange(6) % 2 == 0, torch.tensor(NEVER), x).softmax(-1),
        [X.index_fill(1, torch.tensor([0]), float("inf"))],
    ),
    "nearly a mean": Case(
        "common::fuse_reduce_mean",
        lambda x: torch.relu(x.sum(-1) / 4097),
        [table(2, 4096).abs()],
    ),
    "nearly GELU": Case(
        "common::fuse_gelu_tanh_approximation",
        lambda x: 0.5 * x * (1 + torch.tanh((2 / math.pi) ** 0.5 * (x + 0.0455 * x**3))),
        [X],
    ),
    "padding of a padding": Case("common::merge_consecutive_paddings", both, [X], EXPORT),
    "unused part": Case("common::fuse_stack_split", sum_of_two, [X]),
    "factor of higher rank": Case(
        "common::fuse_leaky_relu",
        lambda x: torch.maximum(x, torch.tensor([[[0.25]]]) * x) + 1,
        [X],
    ),
    "mirror of a mirror": Case(
        "common::merge_consecutive_paddings",
        lambda x: F.pad(F.pad(x, (2, 0), mode="reflect"), (0, 5), mode="reflect"),
        [CUBE[:, :, :4].contiguous()],
    ),
}

CASES = KINDS | REFUSED | OTHERS | PASSES
