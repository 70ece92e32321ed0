"""Silent wrong results: what coremltools and the tracer let pass has to fail here, at the right
line.

Each source converts without an error when it is traced and handed to coremltools as it is, and then
predicts something else.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.test_failures import module, returning

INT = {"x": {"shape": [2, 3], "dtype": "int32"}}

#: name -> (source, changes of the table, kind, words of the message)
TRAPS = {
    "branch on data": (
        module("if x.max() > 2:  # here\n    x = x * 2\nreturn x + 1"),
        {"capture": "trace"},
        "data-dependent",
        "depends on the input",
    ),
    "item": (
        module("return x * x.sum().item()  # here"),
        {"capture": "trace"},
        "data-dependent",
        "`.item()`",
    ),
    "int of a tensor": (
        module("return x[:, : int(x.abs().max()) % 3 + 1]  # here"),
        {"capture": "trace"},
        "data-dependent",
        "an index",
    ),
    "loop on data": (
        module("n = 0\nwhile n < x.abs().sum():  # here\n    n += 1\nreturn x * n"),
        {"capture": "trace"},
        "data-dependent",
        "a loop",
    ),
    "tensor as a list": (
        module("y = x.tolist()  # here\nreturn x + torch.tensor(y)"),
        {"capture": "trace"},
        "data-dependent|tracer-warning",
        "baked|bake",
    ),
    "tensor as an array": (
        module("import numpy\ny = torch.from_numpy(numpy.sin(x.numpy()))  # here\nreturn x + y"),
        {"capture": "trace"},
        "tracer-warning|data-dependent",
        "baked|bake",
    ),
    "buffer written": (
        module(
            "self.count += 1  # here\nreturn x * self.count",
            "self.register_buffer('count', torch.zeros(1))",
        ),
        {},
        "written-buffer",
        "`count`",
    ),
    "buffer written through a view": (
        module(
            "self.cache[:, 1] = x[:, 0]  # here\nreturn x * self.cache",
            "self.register_buffer('cache', torch.zeros(2, 3))",
        ),
        {},
        "written-buffer",
        "`cache`",
    ),
    "buffer replaced": (
        module(
            "self.seen = self.seen + x  # here\nreturn x * self.seen",
            "self.register_buffer('seen', torch.zeros(2, 3))",
        ),
        {},
        "written-buffer",
        "`seen`",
    ),
    "plain attribute written": (
        module(
            "y = x + self.last\nself.last.copy_(x)  # here\nreturn y",
            "self.last = torch.zeros(2, 3)",
        ),
        {},
        "written-buffer",
        "`last`",
    ),
    "self.train() in forward": (
        (
            "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        "
            "self.drop = "
            "nn.Dropout(0.0)\n    def forward(self, x):  # here\n        self.train()\n        "
            "return "
            "self.drop(x) * 2\ndef make():\n    return Net()\n"
        ),
        {},
        "training-mode",
        "drop",
    ),
    "eval() without effect": (
        (
            "class Net(nn.Module):\n    def train(self, mode=True):\n        return "
            "super().train(True)\n    def "
            "forward(self, x):  # here\n        return x * 2\ndef make():\n    return Net()\n"
        ),
        {},
        "training-mode",
        "`eval()`",
    ),
    "functional dropout in training mode": (
        module("return F.dropout(x, 0.5)  # here"),
        {},
        "random",
        "random numbers",
    ),
    "batch norm in training mode": (
        module(
            "return F.batch_norm(x, self.mean, self.var, training=True)  # here",
            "self.register_buffer('mean', torch.zeros(3))\nself.register_buffer('var', "
            "torch.ones(3))",
        ),
        {},
        "training-mode",
        "batch normalisation",
    ),
    "random noise": (
        module("return x + torch.randn_like(x)  # here"),
        {},
        "random",
        "`randn_like`",
    ),
    "counter outside of tensors": (
        (
            "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        "
            "self.n = 0\n    "
            "def forward(self, x):  # here\n        self.n += 1\n        return x * self.n\ndef "
            "make():\n    "
            "return Net()\n"
        ),
        {},
        "random",
        "not an input",
    ),
    "wide integer buffer": (
        (
            "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        "
            "self.register_buffer('big', torch.tensor([3_000_000_000]))\n    def forward(self, "
            "x):  # here\n     "
            "   return (x.long() + self.big).float()\ndef make():\n    return Net()\n"
        ),
        {},
        "wide-integer",
        "`big` holds 3000000000",
    ),
    "wide integer in an expression": (
        module("return (x.long() + 3_000_000_000).float()  # here"),
        {},
        "wide-integer",
        "3000000000",
    ),
    "wide integer as a result": (
        module("y = x + 100_000\nreturn (y * y).float()  # here"),
        {"inputs": INT},
        "wide-integer",
        "result of `mul`",
    ),
    "int64 output": (
        returning("x.argmax(-1)"),
        {},
        "wrong-dtype",
        "int64",
    ),
    "bool output": (
        returning("x > 0"),
        {},
        "wrong-dtype",
        "bool",
    ),
    "float64 output": (
        returning("x.double() * 2"),
        {},
        "wrong-dtype",
        "float64",
    ),
    "floats declared as integers": (
        returning("x * 2"),
        {"outputs": {"y": {"dtype": "int32"}}},
        "wrong-dtype",
        "lose its fraction",
    ),
    "bool input": (
        "def make():\n    return nn.Identity()\n",
        {"inputs": {"x": {"shape": [2], "dtype": "bool"}}},
        "wrong-dtype",
        "silently become",
    ),
    "int64 input": (
        "def make():\n    return nn.Identity()\n",
        {"inputs": {"x": {"shape": [2], "dtype": "int64"}}},
        "wrong-dtype",
        "silently become",
    ),
    "ignored input": (
        returning("x * 2", "x, y"),
        {
            "inputs": {
                "x": {"shape": [2], "dtype": "float32"},
                "y": {"shape": [2], "dtype": "float32"},
            }
        },
        "ignored-input",
        "`y`",
    ),
    "input that only gives its shape": (
        returning("x.reshape(y.shape) * 2", "x, y"),
        {
            "inputs": {
                "x": {"shape": [2], "dtype": "float32"},
                "y": {"shape": [1, 2], "dtype": "float32"},
            }
        },
        "ignored-input",
        "`y`",
    ),
    "output is an input": (
        returning("x, x * 2"),
        {},
        "output-is-input",
        "input `x`",
    ),
    "output is a copied input": (
        returning("x.clone(), x * 2"),
        {},
        "output-is-input",
        "input `x`",
    ),
    "same output twice": (
        (
            "class Net(nn.Module):\n    def forward(self, x):  # here\n        y = x * 2\n        "
            "return y, "
            "y\ndef make():\n    return Net()\n"
        ),
        {},
        "duplicate-output",
        "`output_1`",
    ),
    "equal outputs": (
        (
            "class Net(nn.Module):\n    def forward(self, x):  # here\n        y = x * 2\n        "
            "return y, "
            "y.clone()\ndef make():\n    return Net()\n"
        ),
        {},
        "changed-interface",
        "output_1",
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_trap(package, name):
    source, changes, kind, words = TRAPS[name]
    failed = package.convert(source, **changes).failed
    assert failed["kind"] in kind.split("|"), failed
    assert any(word in failed["message"] for word in words.split("|")), failed
    assert failed["advice"], failed
    if "# here" in source:
        assert failed["python"], failed
        assert (failed["python"]["file"], failed["python"]["line"]) == (
            "python/model.py",
            package.marked(),
        ), failed


def test_what_depends_on_shapes_alone_is_no_trap(package):
    source = module(
        "h = int(x.shape[1])\nif h % 2 and x.shape[0] > 1:\n    x = F.pad(x, (0, 1))\nfor row in "
        "x:\n    x = "
        "x + row\nreturn x * len(x) * torch.tensor(0.5)"
    )
    outcome = package.convert(source, capture="trace")
    assert outcome.report["capture"]["method"] == "trace"
    notes = outcome.report["capture"]["notes"]
    assert any("Python integer" in note for note in notes) and any(
        "Iterating" in note for note in notes
    )
    assert outcome.converted["warnings"] == []


def test_a_check_that_is_left_out_while_tracing_is_no_trap(package):
    source = module(
        "if not torch.jit.is_tracing() and (x > 99).any():\n    raise ValueError\nreturn x * 2"
    )
    assert package.convert(source, capture="trace").report["capture"]["notes"] == []


def test_a_branch_in_an_imported_package_stands_at_the_call(package):
    package.write(
        "lib/site-packages/foreign.py", "def choose(x):\n    return x * 2 if x.sum() > 0 else x\n"
    )
    source = module(
        "import sys\nsys.path.append('lib/site-packages')\nimport foreign\nreturn "
        "foreign.choose(x)  # here"
    )
    source = source.replace("'lib/", f"'{package.root}/lib/")
    failed = package.convert(source, capture="trace").failed
    assert (failed["kind"], failed["python"]["line"]) == ("data-dependent", package.marked())
    assert "foreign.py, line 2" in failed["message"]


def test_what_depends_on_constants_alone_is_no_trap(package):
    source = module(
        ("if self.flag > 0:\n    x = x * self.flag.item()\nreturn x + 1"),
        "self.register_buffer('flag', torch.full((), 2.0))",
    )
    sample = package.convert(source, capture="trace").sample
    np.testing.assert_array_equal(sample["out/output"], 2 * sample["in/x"] + 1)


def test_a_cache_filled_by_the_first_call_is_no_trap(package):
    source = module(
        ("if self.table is None:\n    self.table = torch.arange(3.0)\nreturn x * self.table"),
        "self.table = None",
    )
    sample = package.convert(source, capture="trace").sample
    np.testing.assert_array_equal(sample["out/output"], sample["in/x"] * [0, 1, 2])


def test_instance_norm_uses_its_input_by_design(package):
    source = "def make():\n    return nn.Sequential(nn.InstanceNorm1d(3), nn.BatchNorm1d(3))\n"
    inputs = {"x": {"shape": [2, 3, 8], "dtype": "float32"}}
    sample = package.convert(source, inputs=inputs, capture="trace").sample
    x = sample["in/x"]
    expected = (x - x.mean(2, keepdims=True)) / np.sqrt(x.var(2, keepdims=True) + 1e-5)
    np.testing.assert_allclose(sample["out/output"], expected, atol=1e-4)


def test_auto_turns_to_export_and_says_why(package):
    outcome = package.convert(module("return x * x.sum().item()  # here"))
    if outcome.last["event"] == "failed":
        pytest.skip("this torch exports no .item()")
    assert outcome.report["capture"]["method"] == "export"
    assert f"model.py:{package.marked()}" in outcome.report["capture"]["reason"]
    assert any("torch.export" in warning for warning in outcome.converted["warnings"])


def test_fp16_overflow_fails_at_its_line(package):
    outcome = package.convert(module("y = (x * x + 1000) ** 2  # here\nreturn y / 1e4"))
    assert outcome.failed["kind"] == "half-precision"
    assert outcome.failed["python"]["line"] == package.marked()
    assert not package.convert(compute_precision="float32").converted["warnings"]


def test_an_overflow_by_a_constant_that_float16_lacks_stays_in_float32(package):
    outcome = package.convert(module("y = x * 1e6\nreturn y / 1e6"))
    assert outcome.report["operations"] == {"mul": 1, "real_div": 1}
    np.testing.assert_allclose(outcome.sample["out/output"], outcome.sample["in/x"], rtol=1e-6)


def test_fp16_constants_warn(package):
    outcome = package.convert(
        module("return x / self.huge", "self.register_buffer('huge', torch.full((3,), 1e5))")
    )
    assert any("`huge`" in warning for warning in outcome.converted["warnings"])


def test_output_that_is_not_finite_warns(package):
    outcome = package.convert(module("return torch.log(x)"))
    assert any("not finite" in warning for warning in outcome.converted["warnings"])


def test_logits_of_a_classifier_warn(package):
    labels = {"labels": ["a", "b", "c"]}
    outcome = package.convert(
        ("def make():\n    return nn.Linear(3, 3)\n"),
        classifier=labels,
        inputs={"x": {"shape": [1, 3]}},
    )
    assert any("softmax" in warning for warning in outcome.converted["warnings"])


#: Writes into views, after `y = x * 2`; another name of the same memory is used afterwards.
#: coremltools translates each of them without a word when it is traced, and the result is another
#: one.
LOST = {
    "add_ on a row": "y[0].add_(1)",
    "mul_ on a slice": "y[:, 1:3].mul_(5)",
    "a column by an index tensor": "y[:, idx] = 0",
    "index_put_ on a row": "y[0].index_put_((idx,), x[0, :1])",
    "scatter_ on a row": "y[0].scatter_(0, idx.long(), x[0, :1])",
    "masked_fill_ on a row": "y[0].masked_fill_(x[0] > 0, 7.0)",
    "relu_ on a row": "F.relu_(y[0])",
    "through a transposed view": "y.t()[0] = 5",
    "through another shape": "y.view(-1)[3] = 5",
    "through unbind": "a, b = y.unbind(0)\na += 3",
    "through chunk": "a, b = y.chunk(2, 1)\na.mul_(3)",
    "a view from before": "v = y[:, 0]\ny[:, 0] = 9\ny = v[:, None] * y",
    "a view from before a write to all": "v = y[:, 0]\ny.add_(9)\ny = v[:, None] * y",
    "a row that is used on": "r = y[0]\nr.fill_(7.0)\ny = r * y",
    "two writes through one row": "r = y[0]\nr[1] = 5\nr[2] = 6",
    "a row after a write through it": "r = y[0]\nr[1] = 5\ny = r[None] * 2",
    "an augmented slice of a row": "y[0][1:3] += 4",
    "a half that meets the other": "a, b = y[:, :3], y[:, 2:]\na.mul_(3)\ny = torch.cat([a, b], 1)",
    "every second column, and all": "a = y[:, ::2]\na.add_(1)\ny = y * 2",
}
#: Writes that a trace keeps.
KEPT_BY_TRACES = {
    "a slice": "y[:, 1:3] = 0",
    "a column": "y[:, 1] = x[:, 0]",
    "an augmented slice": "y[:, 1:3] *= 5",
    "at a position": "p = idx[0]\ny[:, p : p + 1] = x[:, :1]",
    "index_put_ on the whole": "y.index_put_((torch.zeros(1, dtype=torch.long), idx), x[0, :1])",
    "a mask": "y[x > 0] = 7",
    "the whole": "y.add_(1)\ny = F.relu(y, inplace=True)",
    "one row, then one column": "y[0] = 5\ny[:, 2] = 6",
    "the input": "x[:, 0] = 0\ny = x * 2",
    "the other row": "r = y[0]\nr.add_(1)\ny = r * y[1]",
    "the other half": "a, b = y.chunk(2, 1)\na.mul_(3)\ny = torch.cat([a, b], 1)",
    "every second column": "a, b = y[:, ::2], y[:, 1::2]\na.add_(1)\ny = torch.cat([a, b], 1)",
    "the other column of a transposed "
    "view": "t = y.t()\nr, s = t[0], t[3]\nr.mul_(2)\ny = (r - s)[:, None] + x",
    "the other half of another "
    "shape": "a, b = y.view(-1).split(4)\na.clamp_(0)\ny = torch.stack([a, b])",
    "another column before": "v = y[:, 1]\ny[:, 0] = 9\ny = v[:, None] * y",
    "a tensor that is filled by a "
    "loop": "y = torch.zeros(2, 4)\nfor i in range(4):\n    y[:, i] = x[:, i] * i",
}
INDEXED = {
    "x": {"shape": [2, 4]},
    "idx": {"shape": [1], "dtype": "int32", "sample": {"range": [0, 3]}},
}


def writing(body: str) -> str:
    """Return a source whose forward writes as `body` says; its last line is marked."""
    source = module(f"y = x * 2\n{body}  # here\nreturn y + idx.sum()")
    return source.replace("forward(self, x)", "forward(self, x, idx)")


@pytest.mark.parametrize("name", LOST)
def test_a_write_that_a_trace_loses(package, name):
    failed = package.convert(writing(LOST[name]), inputs=INDEXED, capture="trace").failed
    assert failed["kind"] == "lost-write", failed
    assert failed["python"]["file"] == "python/model.py" and failed["advice"]
    outcome = package.convert(inputs=INDEXED)
    assert (
        outcome.report["capture"]["method"] == "export"
        and "lost-write" not in outcome.report["capture"]["reason"]
    )


def test_views_that_may_meet_at_another_size_are_refused(package):
    """At four columns the first two and the last two lie apart, at three they do not."""
    inputs = INDEXED | {"x": {"shape": [2, {"min": 3, "max": 6, "default": 4}]}}
    source = writing("a, b = y[:, :2], y[:, -2:]\na.mul_(3)\ny = torch.cat([a, b], 1)")
    assert package.convert(source, inputs=inputs, capture="trace").failed["kind"] == "lost-write"
    assert package.convert(inputs=INDEXED, capture="trace").converted


@pytest.mark.parametrize("name", KEPT_BY_TRACES)
def test_a_write_that_a_trace_keeps(package, name):
    outcome = package.convert(writing(KEPT_BY_TRACES[name]), inputs=INDEXED)
    assert outcome.report["capture"]["method"] == "trace"
