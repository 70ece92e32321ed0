"""What torch and coremltools say, or do not say, row by row, and what a user reads instead.

Each row is provoked twice: with torch and coremltools alone, which shows that they still say it (a
row whose cause is gone fails here), and by the driver. `docs/troubleshooting.md` has the table of
the rows; `BLESS=1` writes it anew.
"""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch

from coreml_driver import ladder
from tests.conftest import PRELUDE
from tests.test_failures import PLACE, module, returning
from tests.translated import translating

#: Whether this is the torch whose words the rows quote, the default; others word some of them
#: differently.
QUOTED = torch.__version__.startswith("2.7.")
PAGE = Path(__file__).parents[3] / "docs/troubleshooting.md"
#: Where the table stands on the page.
BEGIN, END = "<!-- messages: written by test_messages.py -->\n", "<!-- end of messages -->"


@dataclass(frozen=True)
class Row:
    """One message, or one silence."""

    #: What torch or coremltools say; of a silence, what they do.
    said: str
    source: str
    #: The kind of the failure; of what the driver cures, what it does.
    kind: str
    #: Words of what a user reads; of what the driver cures, names of the outputs.
    words: str
    #: Changes of the manifest.
    changes: dict[str, Any] = field(default_factory=dict)
    #: Changes of the plain way: `inputs`, `outputs`, `states`, `capture`, `check_trace`,
    #: `training`.
    plain: dict[str, Any] = field(default_factory=dict)
    #: What the driver's own capture says where it goes another way than the message does.
    log: str | None = None
    #: Whether torch and coremltools pass it over.
    silent: bool = False

    @property
    def cured(self) -> bool:
        """Whether the driver converts it."""
        return self.kind.startswith("converts")


X = {"x": {"shape": [2, 3], "dtype": "float32"}}
WAVE = {"x": {"shape": [1, 32], "dtype": "float32"}}
WINDOW = "self.window = torch.hann_window(8)"
STFT = "torch.stft(x, 8, 4, window=self.window, return_complex=True)"
CACHE = {
    "x": {"shape": [1, 1, 2], "dtype": "float32"},
    "pos": {"shape": [1], "dtype": "int32", "sample": {"start": 0}},
}
STATE = {"k": {"shape": [1, 4, 2], "dtype": "float16"}}
KEPT = "self.register_buffer('k', torch.zeros(1, 4, 2))"
ENCODER = (
    "def make():\n    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, "
    "batch_first=True), 1)\n"
)
BRANCH = module("if x.sum() > 0:  # here\n    return x * 2\nreturn x * 3")


def cache(write: str) -> str:
    """Return a source that writes to a state."""
    return module(f"{write}  # here\nreturn self.k.sum(1) * 2", KEPT).replace(
        "forward(self, x)", "forward(self, x, pos)"
    )


COUNTER = """
class Net(nn.Module):
    n = 0
    def forward(self, x):  # here
        Net.n += 1
        return x * Net.n
def make():
    return Net()
"""
TWICE = module("return x * 2")

#: name -> row
ROWS = {
    "unsupported operation, traced": Row(
        "PyTorch convert function for op 'igamma' not implemented.",
        module("return torch.igamma(x, x)  # here"),
        "unsupported-op",
        "cannot translate the PyTorch operation `igamma`",
        {"capture": "trace"},
    ),
    "unsupported operation, exported": Row(
        "Unsupported fx node igamma, kind igamma",
        module("return torch.igamma(x, x)  # here"),
        "unsupported-op",
        "cannot translate the PyTorch operation `igamma`",
        {"capture": "export"},
        {"capture": "export"},
        # The driver gives coremltools a translation of every operation, which may decompose it.
        "PyTorch convert function for op 'igamma' not implemented.",
    ),
    "branch on data, exported": Row(
        "Data-dependent branching",
        BRANCH,
        "data-dependent",
        "depends on the input",
        {"capture": "export"},
        {"capture": "strict"},
        log="Could not guard on data-dependent expression",
    ),
    "dict as result": Row(
        "Encountering a dict at the output of the tracer",
        returning("{'a': x * 2, 'b': x + 1}"),
        "converts: a flat wrapper, with the keys as names",
        "a b",
    ),
    "None among the results": Row(
        "Only tensors, lists, tuples of tensors, or dictionary of tensors can be output from "
        "traced functions",
        returning("x * 2, None, {'a': 3}"),
        "wrong-outputs",
        "Core ML outputs are tensors",
        log="",
    ),
    "int64 as an output's type": Row(
        "Parameter dtype of the cast operation can be one of",
        module("return x.argmax(-1)"),
        "wrong-dtype",
        "`int64`",
        {"outputs": {"y": {"dtype": "int64"}}},
        {"outputs": [ct.TensorType("y", dtype=np.int64)]},
        log="int64",
    ),
    "bfloat16 weights": Row(
        "Got unsupported ScalarType BFloat16",
        module(
            "return self.net(x.to(self.net.weight.dtype)).float()",
            "torch.manual_seed(0)\nself.net = nn.Linear(3, 4).to(torch.bfloat16)",
        ),
        "converts: weights in float32, with a warning",
        "output",
    ),
    "bfloat16 in forward": Row(
        "KeyError: np.int32(15)",
        module("return (x.to(torch.bfloat16) * 2).float()  # here"),
        "unsupported-dtype",
        "no tensors of this element type",
        {"capture": "trace"},
    ),
    "int16 input": Row(
        "dtype=<class 'numpy.int16'> is unsupported for inputs/outputs of the model",
        TWICE,
        "wrong-dtype",
        "no `int16` features",
        {"inputs": {"x": {"shape": [2, 3], "dtype": "int16"}}},
        {"inputs": [("x", torch.ones(2, 3, dtype=torch.int16), np.int16)]},
        log="",
    ),
    "trace that differs from run to run": Row(
        "Tracing failed sanity checks!",
        COUNTER,
        "random",
        "something that is not an input",
        plain={"check_trace": True},
        log="",
    ),
    "fast path of nn.TransformerEncoder": Row(
        "Tracing failed sanity checks!",
        ENCODER,
        "converts: the fast path is off",
        "output",
        {"inputs": {"src": {"shape": [1, 4, 8], "dtype": "float32"}}},
        {"check_trace": True},
    ),
    "another number of inputs": Row(
        "Number of TorchScript inputs (2) must match the user provided inputs (1).",
        returning("x + y", "x, y"),
        "wrong-inputs",
        "missing a required argument",
        plain={"inputs": [("x", torch.ones(2, 3), np.float32)], "fed": 2},
        log="missing a required argument",
    ),
    "export that holds for one size": Row(
        "Constraints violated",
        module("return x * 2 if x.shape[0] > 3 else x * 3"),
        "baked-shape",
        "is only right for one size",
        {"inputs": {"x": {"shape": [{"min": 2, "max": 8, "default": 4}, 3], "dtype": "float32"}},
        "capture": "export"},
        {"capture": "dynamic"},
    ),
    "rank above 5": Row(
        "Core ML only supports tensors with rank <= 5",
        module(f"{PLACE}\nreturn x.reshape(1, 1, 1, 1, 2, 3)[i, i, i, i, i]  # here"),
        "rank",
        "rank <= 5",
        {"capture": "trace"},
    ),
    "complex numbers in a slice": Row(
        "but got tensor[1,5,9,complex64]",
        module(f"return {STFT}[..., :-1].abs()", WINDOW),
        "converts: complex numbers as pairs of real ones",
        "output",
        {"inputs": WAVE, "capture": "trace"},
    ),
    "view_as_complex": Row(
        "PyTorch convert function for op 'view_as_complex' not implemented.",
        module("return torch.view_as_complex(x[:, :2].contiguous()).abs()"),
        "converts: complex numbers as pairs of real ones",
        "output",
        {"capture": "trace"},
    ),
    "istft": Row(
        "PyTorch convert function for op 'istft' not implemented.",
        module(f"return torch.istft({STFT}, 8, 4, window=self.window)", WINDOW),
        "converts: complex numbers as pairs of real ones",
        "output",
        {"inputs": WAVE, "capture": "trace"},
    ),
    "state without a buffer": Row(
        "StateType named key not provided or not found in the source torch model.",
        module("self.k.add_(x)\nreturn self.k * 2", KEPT),
        "wrong-state",
        "no buffer for the state `key`",
        {"inputs": {"x": CACHE["x"]}, "states": {"key": {"shape": [1, 4, 2], "dtype": "float16"}}},
        {"states": "key"},
        log="no buffer",
    ),
    # What nobody says.
    "write to a state by an index tensor": Row(
        "drops the write", cache("self.k[:, pos] = "
                                 "x"), "dropped-write", "dropped the write to the state `k`",
        {"inputs": CACHE, "states": STATE, "capture": "trace"}, {"states": "k"}, silent=True,
    ),
    "index_put_ on a part of a state": Row(
        "drops the write", cache("self.k[0].index_put_((pos,), "
                                 "x[0])"), "dropped-write", "dropped the write",
        {"inputs": CACHE, "states": STATE, "capture": "trace"}, {"states": "k"}, silent=True,
    ),
    "scatter_ on a part of a state": Row(
        "drops the write", cache("self.k[0].scatter_(0, pos[:, None].expand(1, 2).long(), "
                                 "x[0])"), "dropped-write",
        "dropped the "
        "write", {"inputs": CACHE, "states": STATE, "capture": "trace"}, {"states": "k"},
        silent=True,
    ),
    "branch on data, traced": Row(
        "bakes in the sample's branch; a TracerWarning", BRANCH, "data-dependent", "would bake in",
        {"capture": "trace"}, silent=True,
    ),
    "loop that ends by .item()": Row(
        "bakes in the sample's number; a TracerWarning",
        module("n = 0\nwhile n < x.abs().sum().item():  # here\n    n += 1\nreturn x * n"),
        "data-dependent", "would bake in", {"capture": "trace"}, silent=True,
    ),
    "buffer that is written, but no state": Row(
        "drops the write; a TracerWarning at most",
        module("self.k[:, :1] = x  # here\nreturn self.k * "
               "2", KEPT), "written-buffer", "writes to `k`",
        {"inputs": {"x": CACHE["x"]}}, silent=True,
    ),
    "reshape to numbers under a range": Row(
        "bakes in the size",
        module("return x.reshape(4, 3)[None].relu()  # "
               "here"), "wrong-shape", "takes the default shapes, but not",
        {"inputs": {"x": {"shape": [1, {"min": 1, "max": 8, "default": 4}, 3]}},
        "capture": "trace"},
        {"inputs": [("x", torch.ones(1, 4, 3), (1, ct.RangeDim(1, 8, 4), 3))]}, silent=True,
    ),
    "training mode": Row(
        "drops the dropout, and takes statistics from the sample",
        "def make():\n    torch.manual_seed(0)\n    return nn.Sequential(nn.Linear(3, 3), "
        "nn.Dropout(), "
        "nn.BatchNorm1d(3)).train()\n",
        "converts: inference mode, always", "output", plain={"training": True}, silent=True,
    ),
    "training mode by forward": Row(
        "takes statistics from the sample",
        module("return F.batch_norm(x, self.m, self.v, training=True)  # here",
               "self.register_buffer('m', torch.zeros(3))\nself.register_buffer('v', "
               "torch.ones(3))"),
        "training-mode", "batch normalisation", silent=True,
    ),
    "integer beyond 32 bits": Row(
        "makes another number of it",
        module("return (x.long() + 3_000_000_000).float()  # "
               "here"), "wide-integer", "3000000000", silent=True,
    ),
    "random numbers in forward": Row(
        "converts; a TracerWarning at most",
        module("return x + torch.rand(2, 3)  # "
               "here"), "random", "draws random numbers", silent=True,
    ),
    "name of an input": Row(
        "calls it `my_input_1`",
        TWICE, "wrong-name", "silently rename",
        {"inputs": {"my input-1": X["x"]}}, {"inputs": [("my input-1", torch.ones(2, 3),
        np.float32)]}, silent=True,
    ),
    "name of an output": Row(
        "calls it `var_2_out`",
        TWICE, "wrong-name", "silently rename",
        {"outputs": {"2.out": {}}}, {"outputs": [ct.TensorType("2.out", dtype=np.float32)]},
        silent=True,
    ),
    "input without a type": Row(
        "makes it float16 (iOS18)",
        returning("x * 2"), "converts: float32, where the manifest says nothing else", "output",
        {"inputs": {"x": {"shape": [2, 3]}}}, {"inputs": [("x", torch.ones(2, 3), None)]},
        silent=True,
    ),
    "bool input": Row(
        "makes it float32", module("return x.logical_not()"), "wrong-dtype", "silently become "
                                                                             "another type",
        {"inputs": {"x": {"shape": [2, 3], "dtype": "bool"}}}, {"inputs": [("x", torch.ones(2,
        3) > 0, bool)]},
        silent=True,
    ),
    "bool output": Row(
        "makes it float32", returning("x > 0"), "wrong-dtype", "silently change its "
                                                               "type", silent=True,
    ),
    "int64 input": Row(
        "makes it int32", TWICE, "wrong-dtype", "silently become another type",
        {"inputs": {"x": {"shape": [2, 3], "dtype": "int64"}}},
        {"inputs": [("x", torch.ones(2, 3, dtype=torch.int64), np.int64)]}, silent=True,
    ),
    "float64 input": Row(
        "makes it float32", TWICE, "wrong-dtype", "silently become another type",
        {"inputs": {"x": {"shape": [2, 3], "dtype": "float64"}}},
        {"inputs": [("x", torch.ones(2, 3, dtype=torch.float64), np.float64)]}, silent=True,
    ),
}  # fmt: skip


def plainly(row: Row) -> Any:
    """Capture and convert with torch and coremltools alone, as a script would."""
    # Torch's default, which an earlier conversion of this process has changed.
    torch.backends.mha.set_fastpath_enabled(True)
    space: dict[str, Any] = {}
    exec(PRELUDE + textwrap.dedent(row.source), space)
    net = space["make"]().train(row.plain.get("training", False))
    declared = row.changes.get("inputs", X)
    kinds = {"float32": torch.float32, "int32": torch.int32}
    inputs = row.plain.get("inputs") or [
        (name, torch.ones(one["shape"], dtype=kinds[one["dtype"]]), None)
        for name, one in declared.items()
        if not any(isinstance(size, dict) for size in one["shape"])
    ]
    fed = tuple(tensor for _, tensor, _ in inputs) * row.plain.get("fed", 1)
    capture = row.plain.get("capture", "trace")
    if capture == "dynamic":
        shapes = {"x": {0: torch.export.Dim("n", min=2, max=8)}}
        return torch.export.export(net, (torch.ones(4, 3),), dynamic_shapes=shapes)
    if capture in ("export", "strict"):
        exported = torch.export.export(net, fed, strict=capture == "strict").run_decompositions({})
        return ct.convert(exported, minimum_deployment_target=ct.target.iOS18, skip_model_load=True)
    traced = torch.jit.trace(net, fed, check_trace=row.plain.get("check_trace", False))
    types = [
        ct.TensorType(
            name,
            *(
                (kind,)
                if isinstance(kind, tuple)
                else (tuple(tensor.shape), kind or default(row, tensor))
            ),
        )
        for name, tensor, kind in inputs
    ]
    states = None
    if "states" in row.plain:
        wrapped = ct.TensorType(shape=(1, 4, 2), dtype=np.float16)
        states = [ct.StateType(wrapped, name=row.plain["states"])]
    return ct.convert(
        traced,
        inputs=types,
        outputs=row.plain.get("outputs"),
        states=states,
        minimum_deployment_target=ct.target.iOS18,
        skip_model_load=True,
    )


def default(row: Row, tensor: torch.Tensor) -> Any:
    """Return the type of an input that the row leaves open; none at all where that is the row."""
    return None if "inputs" in row.plain else tensor.numpy().dtype.type


@pytest.mark.skipif(not QUOTED, reason="the rows quote torch 2.7")
@pytest.mark.parametrize("name", ROWS)
def test_torch_and_coremltools_say_it(name):
    row = ROWS[name]
    with translating(plain=True):
        if row.silent:
            assert plainly(row) is not None
            return
        with pytest.raises(Exception) as caught:
            plainly(row)
    assert row.said in f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize("name", ROWS)
def test_a_user_reads_something_else(package, name):
    row = ROWS[name]
    outcome = package.convert(row.source, **row.changes)
    if row.cured:
        assert [item.name for item in outcome.specification.description.output] == row.words.split()
        kinds = {
            item.type.multiArrayType.dataType for item in outcome.specification.description.input
        }
        assert kinds == {ct.proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT32}
        return
    failed = outcome.failed
    assert failed["kind"] == row.kind, failed
    assert row.words in failed["message"], failed
    assert failed["key"], failed
    steps = failed["advice"]
    assert len(steps) >= ladder.RUNGS and len(set(steps)) == len(steps), steps
    assert sum("`" in step for step in steps) >= 2, steps
    if "# here" in row.source:
        assert failed["python"] and failed["python"]["line"] == package.marked(), failed
    # The whole of what was said is kept.
    if QUOTED and not row.silent:
        assert (row.said if row.log is None else row.log) in failed["traceback"], failed[
            "traceback"
        ]


def table() -> str:
    """Return the rows as they stand on the page."""
    cell = lambda text: text.replace("|", "\\|")  # noqa: E731
    text = "| torch or coremltools | when | cargo build | case |\n|---|---|---|---|\n"
    for name, row in ROWS.items():
        said = row.said if row.silent else f"“{row.said}”"
        shown = row.kind if row.cured else f"`{row.kind}`: … {row.words} …"
        text += (
            f"| {cell(said)} | {cell(name)} | {cell(shown)} | `test_messages.py[{cell(name)}]` |\n"
        )
    return text


def test_the_page_has_every_row():
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    found, _, after = rest.partition(END)
    if os.environ.get("BLESS"):
        PAGE.write_text(before + BEGIN + table() + END + after, encoding="utf-8")
    else:
        assert found == table(), "BLESS=1 writes the table anew"
