"""Every failure that a user can cause, with its kind, its line in the user's file, its manifest key
and its cure.

A case is a source whose faulty line is marked, and what changes in the manifest.
"""

from __future__ import annotations

import pytest

from coreml_driver.failures import Failure

#: What takes one element of a tensor of six axes by five tensors of places has no lower form.
PLACE = "i = torch.zeros(1, dtype=torch.long)"


def module(body: str, init: str = "") -> str:
    """Return a source with one module whose forward has `body`."""
    lines = ["class Net(nn.Module):"]
    if init:
        lines += [
            "    def __init__(self):",
            ("        super().__init__()"),
            *("        " + line for line in init.split("\n")),
        ]
    lines += ["    def forward(self, x):", *("        " + line for line in body.split("\n"))]
    return "\n".join([*lines, "def make():", "    return Net()", ""])


def returning(expression: str, arguments: str = "x") -> str:
    """Return a source with one module that returns `expression`; the line of its forward is
    marked."""
    lines = [
        "class Net(nn.Module):",
        f"    def forward(self, {arguments}):  # here",
        f"        return {expression}",
    ]
    return "\n".join([*lines, "def make():", "    return Net()", ""])


INT = {"x": {"shape": [2, 3], "dtype": "int32"}}

#: name -> (source, changes of the table, kind, key, words of the message, words of the advice)
CASES = {
    "syntax error": (
        "def make(:  # here\n    pass\n",
        {},
        "syntax-error",
        "source.file",
        ["invalid syntax"],
        [],
    ),
    "error on import": (
        ("raise KeyError('nope')  # here\n"),
        {},
        "python-error",
        "source.entry",
        ["KeyError", "nope"],
        [],
    ),
    "error in the entry": (
        ("def make():\n    return [][0]  # here\n"),
        {},
        "python-error",
        "source.entry",
        ["IndexError"],
        [],
    ),
    "entry exits": (
        ("import sys\ndef make():\n    sys.exit(3)  # here\n"),
        {},
        "python-error",
        "source.entry",
        ["SystemExit"],
        [],
    ),
    "missing package": (
        "import surely_not_there  # here\n",
        {},
        "missing-module",
        "source.entry",
        ["surely_not_there"],
        ["python.dependencies"],
    ),
    "relative import": (
        "from . import blocks  # here\n",
        {},
        "missing-module",
        "source.entry",
        ["relatively"],
        ["import blocks"],
    ),
    "no such entry": (
        "def other():\n    pass\n",
        {},
        "missing-entry",
        "source.entry",
        ["`make`", "`other`"],
        [],
    ),
    "entry is an object": (
        ("make = nn.Linear(3, 3)  # here\n"),
        {},
        "not-a-function",
        "source.entry",
        ["Linear"],
        ["def make"],
    ),
    "entry is a class": (
        ("class make(nn.Module):  # here\n    pass\n"),
        {},
        "not-a-function",
        "source.entry",
        ["class"],
        [],
    ),
    "entry returns a class": (
        "def make():  # here\n    return nn.Identity\n",
        {},
        "not-a-module",
        "source.entry",
        ["the class `Identity`"],
        ["return Identity"],
    ),
    "entry returns None": (
        ("def make():  # here\n    nn.Linear(3, 3)\n"),
        {},
        "not-a-module",
        "source.entry",
        ["None"],
        [],
    ),
    "wrong arguments": (
        "def make(size):  # here\n    return nn.Identity()\n",
        {"source": {"file": "python/model.py", "entry": "make", "args": {"sice": 3}}},
        "wrong-arguments",
        "source.args",
        ["make(size)", "size"],
        [],
    ),
    "forward raises": (
        module("raise ValueError('bad')  # here"),
        {},
        "python-error",
        "source.entry",
        ["ValueError", "bad"],
        [],
    ),
    "wrong shape": (
        module("return self.linear(x)  # here", "self.linear = nn.Linear(4, 5)"),
        {},
        "wrong-shape",
        "inputs",
        ["mat1 and mat2"],
        ["`shape`"],
    ),
    "wrong rank": (
        module("return self.conv(x)  # here", "self.conv = nn.Conv2d(3, 5, 1)"),
        {"inputs": {"x": {"shape": [2, 3], "dtype": "float32"}}},
        "wrong-shape",
        "inputs",
        ["Expected 3D"],
        [],
    ),
    "floats into an embedding": (
        module("return self.table(x)  # here", "self.table = nn.Embedding(10, 4)"),
        {},
        "wrong-dtype",
        "inputs",
        ["index has to be an integer"],
        ['dtype = "int32"'],
    ),
    "index out of range": (
        module("return self.table(x)  # here", "self.table = nn.Embedding(3, 4)"),
        {"inputs": INT},
        "sample-range",
        "inputs.x",
        ["index out of range"],
        ["sample = { range = "],
    ),
    "integers into a linear": (
        module("return self.linear(x)  # here", "self.linear = nn.Linear(3, 5)"),
        {"inputs": INT},
        "wrong-dtype",
        "inputs",
        ["element types"],
        [],
    ),
    "forward misses an input": (
        returning("x + y", "x, y"),
        {},
        "wrong-inputs",
        "inputs",
        ["forward(x, y)", "missing"],
        [],
    ),
    "forward takes fewer": (
        returning("x"),
        {
            "inputs": {
                "a": {"shape": [2], "dtype": "float32"},
                "b": {"shape": [2], "dtype": "float32"},
            }
        },
        "wrong-inputs",
        "inputs",
        ["2 inputs (a, b)", "too many"],
        [],
    ),
    "half-named inputs": (
        returning("x + y", "x, y"),
        {
            "inputs": {
                "y": {"shape": [2], "dtype": "float32"},
                "b": {"shape": [2], "dtype": "float32"},
            }
        },
        "wrong-inputs",
        "inputs.b",
        ["`b`"],
        ["every input"],
    ),
    "None output": (
        "class Net(nn.Module):\n    def forward(self, x):  # here\n        x + 1\ndef make():\n   "
        " return Net()\n",
        {},
        "wrong-outputs",
        "outputs",
        ["None"],
        ["Return a tensor"],
    ),
    "number as output": (
        returning("x, 3"),
        {},
        "wrong-outputs",
        "outputs",
        ["`int`", "`1`"],
        [],
    ),
    "cache object as output": (
        (
            "class DynamicCache: pass\nclass Net(nn.Module):\n    def forward(self, x):  # here\n "
            "       return "
            "{'y': x * 2, 'past': DynamicCache()}\ndef make():\n    return Net()\n"
        ),
        {},
        "wrong-outputs",
        "outputs",
        ["DynamicCache", "`past`"],
        ["use_cache=False"],
    ),
    "too few output names": (
        returning("x * 2, x * 3"),
        {"outputs": {"a": {}}},
        "wrong-outputs",
        "outputs",
        ["2 tensors", "1 output"],
        [],
    ),
    "unknown output key": (
        returning("{'a': x * 2, 'b': x * 3}"),
        {"outputs": {"a": {}, "c": {}}},
        "wrong-outputs",
        "outputs.c",
        ["`a`, `b`", "`c`"],
        ["Call it `b`, as `forward` does.", "keep the names that `forward` gives them"],
    ),
    "renamed output key": (
        returning("{'start_logits': x * 2, 'end_logits': x * 3, 'hidden': x + 1}"),
        {"outputs": {"start_logits": {}, "logits_end": {}}},
        "wrong-outputs",
        "outputs.logits_end",
        ["`start_logits`, `end_logits`, `hidden`", "names an output `logits_end`"],
        ["Call it `end_logits`, as `forward` does."],
    ),
    "scalar output": (
        returning("x.sum()"),
        {},
        "rank",
        "outputs.output",
        ["without dimensions"],
        ["reshape(1)"],
    ),
    "rank six": (
        module(f"{PLACE}\nreturn x.reshape(1, 1, 1, 1, 2, 3)[i, i, i, i, i]  # here"),
        {},
        "rank",
        "source.entry",
        ["rank <= 5", "gather_nd"],
        ["five dimensions"],
    ),
    "rank six output": (
        returning("x.reshape(1, 1, 1, 1, 2, 3) * 2"),
        {},
        "rank",
        "outputs.output",
        ["6 dimensions", "rank <= 5"],
        [],
    ),
    "unsupported operation, trace": (
        module("y = torch.igamma(x, x)  # here\nreturn y + torch.igammac(x, x)"),
        {"capture": "trace"},
        "unsupported-op",
        "source.entry",
        ["`igammac`", "`igamma`"],
        ["Rewrite", 'capture = "export"'],
    ),
    "unsupported operation, export": (
        module("y = torch.igamma(x, x)  # here\nreturn y + torch.igammac(x, x)"),
        {"capture": "export"},
        "unsupported-op",
        "source.entry",
        ["`igamma`", "`igammac`"],
        ["Rewrite", 'capture = "trace"'],
    ),
    "unsupported operation, auto": (
        module("return torch.igamma(x, x)  # here"),
        {},
        "unsupported-op",
        "source.entry",
        ["igamma"],
        ['With `capture = "export"` it fails too'],
    ),
    "branch on data, trace": (
        module("if x.sum() > 0:  # here\n    return x * 2\nreturn x * 3"),
        {"capture": "trace"},
        "data-dependent",
        "capture",
        ["depends on the input"],
        ["torch.where"],
    ),
    "branch on data, export": (
        module("if x.sum() > 0:  # here\n    return x * 2\nreturn x * 3"),
        {"capture": "export"},
        "data-dependent",
        "source.entry",
        ["depends on the input"],
        ["torch.where"],
    ),
    "branch on data, auto": (
        module("if x.sum() > 0:  # here\n    return x * 2\nreturn x * 3"),
        {},
        "data-dependent",
        "capture",
        ["depends on the input"],
        ["torch.where", "fails too"],
    ),
    "bfloat16 in forward": (
        module("return (x.to(torch.bfloat16) * 2).float()  # here"),
        {"capture": "trace"},
        "unsupported-dtype",
        "source.entry",
        ["element type"],
        ["float32"],
    ),
    "complex output": (
        returning("torch.fft.fft(x)"),
        {},
        "complex",
        "outputs.output.dtype",
        ["complex"],
        ["x.real"],
    ),
    "too much memory": (
        "def make():\n    return nn.Linear(10**8, 10**8)  # here\n",
        {},
        "out-of-memory",
        "source.entry",
        ["not enough memory"],
        ["COREML_JOBS=1"],
    ),
    "CUDA": (
        "def make():\n    return nn.Linear(3, 3).cuda()  # here\n",
        {},
        "device",
        "source.entry",
        ["CUDA"],
        ["CPU"],
    ),
    "float16 features need iOS 16": (
        "def make():\n    return nn.Linear(3, 3)\n",
        {
            "minimum-deployment-target": "iOS15",
            "inputs": {"x": {"shape": [2, 3], "dtype": "float16"}},
        },
        "wrong-target",
        "minimum-deployment-target",
        ["float16"],
        ["iOS16"],
    ),
    "unknown target": (
        "def make():\n    return nn.Linear(3, 3)\n",
        {"minimum-deployment-target": "iOS99"},
        "wrong-target",
        "minimum-deployment-target",
        ["iOS99"],
        ["iOS18"],
    ),
    "labels do not fit": (
        returning("x[0].softmax(0)"),
        {
            "classifier": {
                "labels": ["a", "b"],
                "predicted-feature-name": "label",
                "predicted-probabilities-output": "p",
            }
        },
        "wrong-labels",
        "classifier.labels",
        ["2 labels", "[3]"],
        [],
    ),
    "classifier of two outputs": (
        returning("x[0].softmax(0), x * 2"),
        {"classifier": {"labels": ["a", "b", "c"]}},
        "wrong-outputs",
        "classifier",
        ["2 tensors"],
        [],
    ),
    "label twice": (
        "def make():\n    return nn.Linear(3, 3)\n",
        {"classifier": {"labels": ["a", "b", "a"]}},
        "wrong-labels",
        "classifier.labels",
        ["twice"],
        [],
    ),
    "labels missing": (
        "def make():\n    return nn.Linear(3, 3)\n",
        {"classifier": {"labels": "labels.txt"}},
        "missing-file",
        "classifier.labels",
        ["labels.txt"],
        [],
    ),
    "name that would be changed": (
        "def make():\n    return nn.Linear(3, 3)\n",
        {"inputs": {"my input-1": {"shape": [2, 3], "dtype": "float32"}}},
        "wrong-name",
        "inputs.my input-1",
        ["silently rename"],
        ["`my_input_1`"],
    ),
    "reserved name": (
        "def make():\n    return nn.Linear(3, 3)\n",
        {"outputs": {"tensor": {}}},
        "wrong-name",
        "outputs.tensor",
        ["word of Core ML"],
        ["tensor_values"],
    ),
    "later feature": (
        "def make():\n    return nn.Linear(3, 3)\n",
        {"distill": {"teacher": "x"}},
        "not-supported",
        "distill",
        ["not supported yet"],
        [],
    ),
    "unknown operation type in the selector": (
        "def make():\n    return nn.Linear(3, 3)\n",
        {"compute-precision": {"float32-ops": ["sofmax"], "float32-outputs": []}},
        "wrong-op-selector",
        "compute-precision.float32-ops",
        ["`sofmax`"],
        ["linear"],
    ),
    "unknown output in the selector": (
        "def make():\n    return nn.Linear(3, 3)\n",
        {"compute-precision": {"float32-ops": [], "float32-outputs": ["nowhere"]}},
        "wrong-op-selector",
        "compute-precision.float32-outputs",
        ["`nowhere`"],
        ["output"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_failure(package, name):
    source, changes, kind, key, words, cures = CASES[name]
    failed = package.convert(source, **changes).failed
    assert (failed["kind"], failed["key"]) == (kind, key), failed
    for word in words:
        assert word in failed["message"], failed
    for cure in cures:
        assert cure in " ".join(failed["advice"]), failed
    assert failed["advice"] or kind in ("not-supported",), failed
    assert (
        kind in failed["traceback"]
        or "Error" in failed["traceback"]
        or "SystemExit" in failed["traceback"]
    )
    assert failed["inputs"] == ["python/model.py"]
    if "# here" in source:
        assert failed["python"], failed
        assert failed["python"]["file"] == "python/model.py"
        assert failed["python"]["line"] == package.marked(), failed
        assert failed["python"]["text"].endswith("# here")


def test_missing_source(package):
    failed = package.convert(None).failed
    assert (failed["kind"], failed["key"], failed["inputs"]) == ("missing-file", "source.file", [])
    assert "python/model.py" in failed["message"]


def test_line_in_an_imported_file(package):
    package.write("python/blocks.py", "def shrink(x):\n    return x.reshape(7)  # here\n")
    failed = package.convert(module("import blocks\nreturn blocks.shrink(x)")).failed
    assert failed["kind"] == "wrong-shape"
    assert failed["python"]["file"] == "python/blocks.py"
    assert failed["python"]["line"] == package.marked("python/blocks.py")
    assert failed["inputs"] == ["python/blocks.py", "python/model.py"]


def test_syntax_error_in_an_imported_file(package):
    package.write("python/blocks.py", "x = 1\nif x\n    pass\n")
    failed = package.convert("import blocks\n").failed
    assert failed["kind"] == "syntax-error"
    assert (failed["python"]["file"], failed["python"]["line"]) == ("python/blocks.py", 2)


def test_an_unknown_error_is_kept_whole_and_says_how_to_report_it(package):
    """What no rule of the ladder understands, from inside of coremltools' own conversion."""
    package.write(
        "python/my_ops.py",
        "from coremltools.converters.mil.frontend.torch import register_torch_op\n"
        "@register_torch_op\n"
        "def special_i0(context, node):\n"
        "    raise ZeroDivisionError('nobody knows')\n",
    )
    source = module("y = x * 2\nreturn torch.special.i0(y)  # here")
    failed = package.convert(source, ops="python/my_ops.py", capture="trace").failed
    assert failed["kind"] == "unknown", failed
    assert failed["python"]["line"] == package.marked(), failed
    assert (
        "ZeroDivisionError while coremltools converted the graph (operation `special_i0`)"
        in failed["message"]
    )
    assert 'raise ZeroDivisionError("nobody knows")' in failed["traceback"].replace("'", '"')
    lower, report = failed["advice"]
    assert "one at a time" in lower and "`minimum-deployment-target`" in lower
    assert "report it with the log, the manifest and the versions" in report


def test_failures_are_exceptions_with_words():
    assert str(Failure("rank", "too many")) == "rank: too many"
