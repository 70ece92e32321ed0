"""States: buffers that become `StateType`s, their samples, and every way in which a write could be
lost."""

from __future__ import annotations

import numpy as np
import pytest
from coremltools.converters.mil.frontend.milproto.load import load as mil_load

from coreml_driver import program

#: A cache of four positions.
STATES = {"k": {"shape": [1, 4, 2], "dtype": "float16"}}
INPUTS = {
    "x": {"shape": [1, 1, 2], "dtype": "float32"},
    "pos": {"shape": [1], "dtype": "int32", "sample": {"start": 0}},
}
INIT = "self.register_buffer('k', torch.zeros(1, 4, 2))"


def cache(body, init=INIT, parameters="x, pos"):
    """Return a source whose `forward` has the lines of `body`."""
    lines = "\n        ".join(body.split("\n"))
    inits = "\n        ".join(init.split("\n"))
    return (
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        "
        f"{inits}\n"
        f"    def forward(self, {parameters}):\n        {lines}\ndef make():\n    return Net()\n"
    )


WRITE = "p = pos[0]\nself.k[:, p : p + 1] = x\nreturn self.k.sum(1) * x[0]"


def convert(package, body, init=INIT, **changes):
    return package.convert(
        cache(body, init), **({"inputs": INPUTS, "states": STATES, "capture": "trace"} | changes)
    )


def test_a_state_is_in_the_package_and_in_the_samples(package):
    outcome = convert(package, WRITE, parity={"samples": 2, "steps": 3})
    description = outcome.specification.description
    assert [
        (state.name, list(state.type.stateType.arrayType.shape)) for state in description.state
    ] == [("k", [1, 4, 2])]
    kinds = [operation.type for operation in program.operations(outcome.specification)]
    assert kinds.count("write_state") == 1 and "read_state" in kinds
    for number in range(2):
        sample = outcome.tensors(number)
        assert sorted(sample) == sorted(
            [f"step{step}/{key}" for step in range(3) for key in ("in/x", "in/pos", "out/output")]
            + ["final_state/k"]
        )
        expected = np.zeros((1, 4, 2), np.float32)
        for step in range(3):
            assert sample[f"step{step}/in/pos"].tolist() == [step]
            expected[:, step] = sample[f"step{step}/in/x"][:, 0]
            given = sample[f"step{step}/out/output"]
            np.testing.assert_allclose(
                given, expected.sum(1) * sample[f"step{step}/in/x"][0], rtol=1e-5
            )
        np.testing.assert_allclose(sample["final_state/k"], expected)


def test_states_stand_in_the_order_of_the_manifest_and_may_lie_deep(package):
    source = """
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("k", torch.zeros(1, 4, 2))
        def forward(self, x, p):
            self.k[:, p : p + 1] = x
            return self.k.sum(1, keepdim=True)
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([Layer(), Layer()])
        def forward(self, x, pos):
            k = x + 1
            for layer in self.layers:
                k = layer(k, pos[0])
            return k * 2
    def make():
        return Net()
    """
    states = {"layers_1_k": {"shape": [1, 4, 2]}, "k": {"shape": [1, 4, 2], "buffer": "layers.0.k"}}
    outcome = package.convert(source, inputs=INPUTS, states=states)
    assert [state.name for state in outcome.specification.description.state] == ["layers_1_k", "k"]
    function = program.main(outcome.specification)
    assert [value.name for value in function.inputs] == ["x", "pos", "layers_1_k", "k"]
    names = [
        output.name
        for operation in program.operations(outcome.specification)
        for output in operation.outputs
    ]
    assert "k" not in names and "layers_1_k" not in names


#: Ways of writing that the capture keeps.
WRITING = [
    ("trace", "self.k[:, p : p + 1] = x"),
    ("trace", "self.k.index_put_((torch.zeros(1, dtype=torch.long), pos), x[0])"),
    ("trace", "self.k[:] = torch.where(torch.arange(4)[None, :, None] == pos, x, self.k)"),
    ("trace", "self.k[0] = torch.where(torch.arange(4)[:, None] == pos, x[0], self.k[0])"),
    ("trace", "self.k.mul_(0.5).add_(x)"),
    ("trace", "self.k += x\nself.k.clamp_(-1, 1)"),
    ("export", "self.k[:, pos] = x"),
    ("export", "self.k[0].index_put_((pos,), x[0])"),
    ("export", "self.k.copy_(torch.where(torch.arange(4)[None, :, None] == pos, x, self.k))"),
    ("auto", "self.k[:, pos] = x"),
]


@pytest.mark.parametrize(("capture", "write"), WRITING)
def test_forms_of_writing_that_work(package, capture, write):
    outcome = convert(
        package, f"p = pos[0]\n{write}\nreturn self.k.sum(1) * 2 + pos", capture=capture
    )
    assert [state.name for state in outcome.specification.description.state] == ["k"]
    assert outcome.report["capture"]["method"] == capture.replace("auto", "export")


def functional(package, body, **changes):
    """Convert with states as inputs and outputs; return the outcome and the program that
    coremltools reads from it."""
    outcome = convert(package, body, **({"states_mode": "io"} | changes))
    weights = str(outcome.output / "model.mlpackage/Data/com.apple.CoreML")
    specification = outcome.specification
    loaded = mil_load(specification, specification.specificationVersion, file_weights_dir=weights)
    return outcome, loaded.functions["main"]


def test_states_can_be_inputs_and_outputs(package):
    outcome, function = functional(package, WRITE, parity={"samples": 1, "steps": 3})
    description = outcome.specification.description
    assert list(function.inputs) == ["x", "pos", "k"] and not description.state
    assert [(item.name, list(item.type.multiArrayType.shape)) for item in description.input][2] == (
        "k",
        [1, 4, 2],
    )
    assert [item.name for item in description.output] == ["output", "k_out"]
    assert [output.name for output in function.outputs] == ["output", "k_out"]
    assert description.metadata.userDefined["coreml-rt.states.main"] == "k=k_out"
    kinds = {operation.type for operation in program.operations(outcome.specification)}
    assert kinds.isdisjoint({"read_state", "write_state"}) and "slice_update" in kinds
    kept = convert(package, WRITE, parity={"samples": 1, "steps": 3})
    for key, value in kept.sample.items():
        np.testing.assert_array_equal(value, outcome.sample[key])


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_several_writes_and_reads_follow_each_other(package, capture):
    body = (
        "a = self.k.sum(1)\nself.k += x\nb = self.k.sum(1)\nself.k *= 2\nreturn {'y': a + b, "
        "'k_out': self.k + pos}"
    )
    outcome, function = functional(package, body, capture=capture)
    assert [output.name for output in function.outputs] == ["y", "k_out", "k_out_"]
    kinds = [operation.op_type for operation in function.operations if operation.op_type != "const"]
    assert kinds.count("mul") == 1 and kinds.count("reduce_sum") == 2
    assert (
        outcome.specification.description.metadata.userDefined["coreml-rt.states.main"]
        == "k=k_out_"
    )


def test_an_output_that_shows_a_state_stays(package):
    body = "p = pos[0]\nself.k[:, p : p + 1] = x\nreturn {'sum': x.sum(1) * 2, 'all': self.k + 0}"
    outcome, function = functional(package, body, outputs={"sum": {}, "all": {"dtype": "float16"}})
    assert [output.name for output in function.outputs] == ["sum", "all", "k_out"]
    assert [item.name for item in outcome.specification.description.output] == [
        "sum",
        "all",
        "k_out",
    ]


@pytest.mark.parametrize(
    "name", ["write that a trace drops", "never written", "a view older than the write"]
)
def test_traps_hold_for_states_as_inputs_and_outputs(package, name):
    body, init, states, kind, _ = TRAPS[name]
    assert convert(package, body, init, states=states, states_mode="io").failed["kind"] == kind


#: name -> (forward, init, states, kind, words)
TRAPS = {
    "write that a trace drops": (
        "self.k[:, pos] = x  # here\nreturn self.k.sum(1) * 2",
        INIT,
        STATES,
        "dropped-write",
        "dropped the write",
    ),
    "one of two writes dropped": (
        "p = pos[0]\nself.k[:, p : p + 1] = x  # here\nself.k[:, pos] += x\nreturn self.k.sum(1) "
        "* 2",
        INIT,
        STATES,
        "dropped-write",
        "1 of 2 writes",
    ),
    "scatter on a view": (
        "self.k[0].scatter_(0, pos[:, None].expand(1, 2), x[0])  # here\nreturn self.k.sum(1) * 2",
        INIT,
        STATES,
        "dropped-write",
        "dropped the write",
    ),
    "never written": (
        "return self.k.sum(1) + x[0] * pos",
        INIT,
        STATES,
        "unwritten-state",
        "never writes",
    ),
    "another tensor in its place": (
        "self.k = self.k + x * pos  # here\nreturn self.k.sum(1) * 2",
        INIT,
        STATES,
        "assigned-state",
        "in the place of `k`",
    ),
    "a view older than the write": (
        "p = pos[0]\nold = self.k[0]\nself.k[:, p : p + 1] = x\nreturn old.sum(0) * 2  # here",
        INIT,
        STATES,
        "stale-state",
        "before a write",
    ),
    "a buffer that begins with ones": (
        WRITE,
        INIT.replace("zeros", "ones"),
        STATES,
        "wrong-state",
        "begin at zero",
    ),
    "a buffer of integers": (
        "self.k += 1\nreturn x * self.k[:, :1] * pos",
        "self.register_buffer('k', torch.zeros(1, 4, 2, dtype=torch.int32))",
        STATES,
        "wrong-state",
        "int32",
    ),
    "a buffer of another shape": (
        WRITE,
        INIT,
        {"k": {"shape": [1, 4, 3]}},
        "wrong-state",
        "[1, 4, 2]",
    ),
    "no such buffer": (WRITE, INIT, {"key": {"shape": [1, 4, 2]}}, "wrong-state", "no buffer"),
    "a plain attribute": (
        WRITE,
        "self.k = torch.zeros(1, 4, 2)",
        STATES,
        "wrong-state",
        "no buffer",
    ),
    "one buffer declared twice": (
        WRITE,
        INIT,
        STATES | {"also": {"shape": [1, 4, 2], "buffer": "k"}},
        "wrong-state",
        "same buffer",
    ),
    "a second buffer that is not declared": (
        WRITE.replace("p = pos[0]", "p = pos[0]\nself.count += 1  # here") + " + self.count",
        INIT + "\nself.register_buffer('count', torch.zeros(1))",
        STATES,
        "written-buffer",
        "`count`",
    ),
    "not declared at all": (WRITE.replace("= x", "= x  # here"), INIT, {}, "written-buffer", "`k`"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_traps_of_states(package, name):
    body, init, states, kind, words = TRAPS[name]
    failed = convert(package, body, init, states=states).failed
    assert failed["kind"] == kind, failed
    assert words in failed["message"] and failed["advice"], failed
    if "# here" in body:
        assert failed["python"]["line"] == package.marked(), failed


def test_a_copy_into_the_whole_state_needs_an_export(package):
    body = (
        "self.k.copy_(torch.where(torch.arange(4)[None, :, None] == pos, x, self.k))\nreturn "
        "self.k.sum(1) * 2"
    )
    failed = convert(package, body).failed
    assert failed["kind"] == "dropped-write" and "`self.k[:] = …`" in failed["advice"][0], failed
    assert convert(package, body, capture="auto").report["capture"]["method"] == "export"


def test_a_view_older_than_the_write_is_right_when_exported(package):
    body = "old = self.k[0]\nself.k[:, pos] = x\nreturn old.sum(0) * 2"
    sample = convert(package, body, capture="export", parity={"samples": 1, "steps": 2}).sample
    first, second = (sample[f"step{step}/in/x"][0, 0] for step in range(2))
    np.testing.assert_allclose(sample["step0/out/output"], 2 * first)
    np.testing.assert_allclose(sample["step1/out/output"], 2 * (first + second))


def test_a_state_can_be_an_output_when_something_is_computed(package):
    body = "p = pos[0]\nself.k[:, p : p + 1] = x\nreturn {'sum': x.sum(1) * 2, 'all': self.k}"
    failed = convert(package, body).failed
    assert (failed["kind"], failed["key"]) == (
        "state-is-output",
        "outputs",
    ) and "`self.k + 0`" in failed["advice"][0]
    outcome = convert(package, body.replace("self.k}", "self.k + 0}"))
    assert [item.name for item in outcome.specification.description.output] == ["sum", "all"]


def test_states_are_deterministic(package):
    first, second = (convert(package, WRITE) for _ in range(2))
    assert first.digest == second.digest
