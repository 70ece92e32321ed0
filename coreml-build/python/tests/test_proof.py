"""The proof: what it refuses and in which words, what it warns of, and what it costs."""

from __future__ import annotations

import struct
import weakref
from pathlib import Path

import coremltools as ct
import numpy as np
import pytest
import torch

from coreml_driver import program
from coreml_driver.interface import Interface
from coreml_driver.proof import budget, compare, edges, noise
from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.execute import Executable
from coreml_driver.proof.subject import Predictor
from coreml_driver.proof.values import Precision
from coreml_driver.request import understand
from coreml_driver.samples import draw
from tests.test_compression import INPUTS, INT8, NETWORK
from tests.test_failures import module, returning
from tests.test_functions import BOTH, SHARING
from tests.test_functions import convert as convert_functions

#: Translations that are wrong on purpose, by the user's own file.
WRONG = """
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.torch import register_torch_op
from coremltools.converters.mil.frontend.torch.ops import _get_inputs

@register_torch_op(override=True)
def cos(context, node):
    (x,) = _get_inputs(context, node, expected=1)
    {body}
"""


def at(expression: str) -> str:
    """Return a source whose forward returns `expression`, at a marked line."""
    lines = returning(expression).replace("# here", "").splitlines()
    return "\n".join(
        f"{line}  # here" if line.strip().startswith("return") and expression in line else line
        for line in lines
    )


def wrong(package, body: str, **changes):
    """Convert `x.cos()` with another translation of it."""
    package.write("python/my_ops.py", WRONG.format(body=body))
    return package.convert(at("x.cos()"), ops="python/my_ops.py", **changes)


@pytest.mark.parametrize("precision", ["float16", "float32"])
@pytest.mark.parametrize("capture", ["trace", "export"])
def test_the_operation_at_fault_is_named(package, capture, precision):
    outcome = wrong(
        package,
        "context.add(mb.sin(x=x, name=node.name))",
        capture=capture,
        compute_precision=precision,
    )
    failed = outcome.failed
    assert failed["kind"] == "wrong-conversion" and failed["key"] == "source"
    assert failed["python"]["line"] == package.marked()
    for words in ("for the sample `sample 1`", "instead of", "is `sin`", "cos"):
        assert words in failed["message"]
    assert any("proof = false" in cure for cure in failed["advice"])


def test_an_operation_that_is_left_out_is_named(package):
    failed = wrong(package, "context.add(mb.identity(x=x), torch_name=node.name)").failed
    assert failed["kind"] == "wrong-conversion" and "aten::cos" in failed["message"]


def test_a_program_that_cannot_be_executed_is_refused(package):
    body = (
        "i = mb.cast(x=mb.mul(x=mb.shape(x=x), y=np.int32(100)), dtype='int32')\n"
        "    y = mb.reduce_sum(x=mb.cast(x=mb.gather(x=mb.shape(x=x), indices=i), dtype='fp32'))\n"
        "    context.add(mb.add(x=x, y=y, name=node.name))"
    )
    failed = wrong(package, body, inputs={"x": {"shape": [{"min": 2, "max": 4}, 3]}}).failed
    assert failed["kind"] == "wrong-conversion"
    assert "fails where PyTorch does not" in failed["message"]
    assert "out of bounds" in failed["message"]


def test_what_only_edges_show(package):
    outcome = wrong(
        package, "context.add(mb.cos(x=mb.clip(x=x, alpha=-9., beta=9.), name=node.name))"
    )
    assert "`large numbers`" in outcome.failed["message"]


def test_it_can_be_turned_off(package):
    outcome = wrong(package, "context.add(mb.sin(x=x, name=node.name))", proof=False)
    assert outcome.report["proof"] == {}


def test_the_report_lists_what_was_proved(package):
    entry = package.convert(returning("x.cos()")).report["proof"]["main"]
    assert entry["proved"] and not entry["not-proved"]
    assert {"sample 0", "sample 1", "zeros", "small numbers"} <= set(entry["samples"])
    assert entry["half-precision-decibels"] > 60


def test_random_operations_are_named_and_not_proved(package):
    body = (
        "r = mb.random_uniform(shape=np.int32([2, 3]), low=0., high=1e-6)\n"
        "    context.add(mb.add(x=mb.cos(x=x), y=r, name=node.name))"
    )
    outcome = wrong(package, body)
    entry = outcome.report["proof"]["main"]
    assert not entry["proved"] and "drawn at random" in entry["not-proved"]["random_uniform"]
    assert any("not proved" in words for words in outcome.converted["warnings"])


def test_what_pytorch_does_not_take_is_left_out(package):
    entry = package.convert(returning("torch.log(x)")).report["proof"]["main"]
    assert "finite" in entry["skipped"]["zeros"] and "zeros" not in entry["samples"]


def test_half_precision_that_overflows_is_refused(package):
    failed = package.convert(at("(x.exp() * 300).square().sqrt()")).failed
    assert failed["kind"] == "half-precision" and failed["key"] == "compute-precision"
    assert "inf" in failed["message"] and failed["python"]["line"] == package.marked()
    assert "float32-ops" in failed["advice"][0]
    assert package.convert(compute_precision="float32").converted


def test_integers_of_integers_are_exact(package):
    inputs = {"x": {"shape": [64], "dtype": "int32", "sample": {"range": [0, 100]}}}
    source = returning("(x / 10).int()")
    outputs = {"y": {"dtype": "int32"}}
    outcome = package.convert(source, inputs=inputs, outputs=outputs, compute_precision="float32")
    assert outcome.converted
    half = package.convert(source, inputs=inputs, outputs=outputs)
    # Right, or refused: a quotient in half precision is cut off one too low.
    assert half.last["event"] == "converted" or half.failed["kind"] == "half-precision"


def test_a_narrowed_type_is_a_fault_in_single_precision(package):
    body = (
        "n = mb.cast(x=mb.cast(x=x, dtype='fp16'), dtype='fp32')\n"
        "    context.add(mb.cos(x=n, name=node.name))"
    )
    assert wrong(package, body, compute_precision="float32").failed["kind"] == "wrong-conversion"


STATE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("k", torch.zeros(2, 3))
    def forward(self, x):
        self.k.add_(x.cos())
        return self.k * 2
def make():
    return Net()
"""


def test_states_go_from_one_step_to_the_next(package):
    states = {"k": {"shape": [2, 3], "dtype": "float16"}}
    changes = {"states": states, "parity": {"samples": 1, "steps": 3}}
    assert package.convert(STATE, **changes).report["proof"]["main"]["proved"]
    # Right while the state is zero: only a later step shows it.
    package.write(
        "python/my_ops.py",
        WRONG.replace("def cos", "def add")
        .replace("(x,)", "x, y, *_")
        .replace(", expected=1", "")
        .format(body="context.add(mb.add(x=mb.mul(x=x, y=np.float32(.5)), y=y, name=node.name))"),
    )
    failed = package.convert(STATE, ops="python/my_ops.py", **changes).failed
    assert failed["kind"] == "wrong-conversion"
    assert "of step 1" in failed["message"] or "state `k`" in failed["message"]


def test_a_weight_that_compression_spoils_is_refused(package, monkeypatch):
    compress = ct.optimize.coreml.linear_quantize_weights

    def spoiled(model, *arguments, **keywords):
        """Make the scales of the finished program larger by a tenth."""
        small = compress(model, *arguments, **keywords)
        weights = Path(small.weights_dir) / "weight.bin"
        content = bytearray(weights.read_bytes())
        for operation in program.operations(small._spec):
            if operation.type == "constexpr_blockwise_shift_scale":
                scale = operation.inputs["scale"].arguments[0].value
                # The entry says where the numbers are: a mark, a type, a size, a place.
                entry = struct.unpack_from("<IIQQ", content, scale.blobFileValue.offset)
                size, place = entry[2:]
                scales = np.frombuffer(bytes(content[place : place + size]), np.float16)
                content[place : place + size] = (scales * np.float16(1.1)).tobytes()
        weights.write_bytes(content)
        return small

    small = package.convert(NETWORK, inputs=INPUTS, quantize=INT8)
    assert small.report["proof"]["main"]["compressed-weights"] > 0
    monkeypatch.setattr(ct.optimize.coreml, "linear_quantize_weights", spoiled)
    failed = package.convert(inputs=INPUTS, quantize=INT8).failed
    assert failed["kind"] == "wrong-compression" and failed["key"] == "quantize", failed


def kept(outcome, step: int = 0) -> dict[str, np.ndarray]:
    """Return what operations give in a prediction, by the kind of the operation."""
    kinds = {
        operation.outputs[0].name: operation.type
        for operation in program.operations(outcome.specification)
        if operation.outputs
    }
    values = outcome.report["checkpoints"]["main"][step]["values"]
    return {kinds[name]: np.array(text.split(), float) for name, text in values.items()}


def fed(outcome, sample: int) -> bool:
    """Return whether the checkpoints are those of a sample."""
    (inputs,) = (one["inputs"] for one in outcome.report["checkpoints"]["main"])
    ((name, text),) = inputs.items()
    array = outcome.tensors(sample)[f"in/{name}"].ravel()
    evenly = array[np.arange(32) * array.size // 32]
    return bool((np.array(text.split(), np.float32) == evenly).all())


def test_the_report_keeps_what_operations_give(package):
    wide = {"input": {"shape": [3, 64]}}
    outcome = package.convert(NETWORK, inputs=wide, parity={"samples": 2})
    assert fed(outcome, 1) and not fed(outcome, 0)
    values = kept(outcome)
    assert set(values) == {"linear", "relu", "cast"}
    # The last `linear` is the output: 32 of its 192 elements, evenly spaced.
    (output,) = (array for name, array in outcome.tensors(1).items() if name.startswith("out/"))
    evenly = output.reshape(-1)[np.arange(32) * 192 // 32]
    np.testing.assert_allclose(values["linear"], evenly, rtol=1e-4, atol=1e-5)
    # One sample alone is the one that has captured the graph: it is executed for itself.
    alone = package.convert(inputs=wide, parity={"samples": 1})
    assert set(kept(alone)) == set(values) and fed(alone, 0)
    assert package.convert(inputs=wide, proof=False).report["checkpoints"] == {}


def test_checkpoints_of_a_compressed_package_are_those_of_the_dense_network(package):
    dense = package.convert(NETWORK, inputs=INPUTS)
    small = package.convert(inputs=INPUTS, quantize=INT8)
    assert kept(small)
    for kind, values in kept(small).items():
        np.testing.assert_allclose(values, kept(dense)[kind], rtol=1e-4, atol=1e-5)


def test_checkpoints_of_states_are_kept_for_each_step(package):
    states = {"k": {"shape": [2, 3], "dtype": "float16"}}
    outcome = package.convert(STATE, states=states, parity={"samples": 1, "steps": 3})
    sample = outcome.tensors(0)
    for step in range(3):
        values = kept(outcome, step)
        cosine = np.cos(sample[f"step{step}/in/x"]).ravel()
        np.testing.assert_allclose(values["cos"], cosine, rtol=1e-3)
        expected = sample[f"step{step}/out/output"].ravel()
        np.testing.assert_allclose(values["mul"], expected, rtol=1e-3)


def test_a_function_that_joining_changes_is_refused(package, monkeypatch):
    join = ct.utils.save_multifunction

    def spoiled(descriptor, path):
        """Join, and set one weight to zero."""
        join(descriptor, path)
        for file in path_of(path).rglob("weight.bin"):
            content = bytearray(file.read_bytes())
            content[-64:] = bytes(64)
            file.write_bytes(content)

    assert convert_functions(package, SHARING, BOTH).converted
    monkeypatch.setattr(ct.utils, "save_multifunction", spoiled)
    failed = convert_functions(package, SHARING, BOTH).failed
    assert failed["kind"] == "changed-interface" and "joined" in failed["message"]


def path_of(path):
    """Return a path of the package that coremltools was told to write."""
    from pathlib import Path

    return Path(path)


def test_results_are_forgotten_with_their_last_use(package):
    outcome = package.convert(returning("x.cos().sin().exp().tanh().relu()"), proof=False)
    root = outcome.output / "model.mlpackage"
    alive: list[weakref.ref] = []
    most = 0

    def watch(step, results, inputs):
        nonlocal most
        alive.extend(weakref.ref(one) for one in results)
        most = max(most, sum(one() is not None for one in alive))

    with Blobs(root) as blobs:
        executable = Executable(program.main(outcome.specification), blobs)
        executable.run({"x": torch.ones(2, 3)}, precision=Precision.WIDENED, watcher=watch)
    # One result, and the one that it is made of.
    assert len(alive) > 5 and most <= 3


def test_weights_are_views_of_the_file(package):
    source = "def make():\n    return nn.Linear(100, 100)\n"
    outcome = package.convert(
        source, inputs={"x": {"shape": [1, 100]}}, compute_precision="float32"
    )
    with Blobs(outcome.output / "model.mlpackage") as blobs:
        function = Executable(program.main(outcome.specification), blobs).function
        (weight,) = (one for one in function.constants.values() if one.elements == 10_000)
        one, other = weight.read(blobs), weight.read(blobs)
        assert one.data_ptr() == other.data_ptr()


def test_precisions(package):
    outcome = package.convert(returning("x * 0.1"))
    interface = Interface((), (), (), None, ())
    with Blobs(outcome.output / "model.mlpackage") as blobs:
        run = Predictor(interface, outcome.specification, blobs, [np.float32(0.1)]).executable.run
        x = {"x": torch.full((2, 3), 3.0)}
        found = {one: run(x, precision=one)["output"][0, 0].item() for one in Precision}
    tenth = float(np.float16(0.1))
    assert found[Precision.SINGLE] == pytest.approx(0.3, rel=1e-7)
    assert found[Precision.WIDENED] == pytest.approx(3 * tenth, rel=1e-7)
    assert found[Precision.DEVICE] == float(np.float16(3 * tenth))


def test_noise_tells_a_fault_from_a_sum_in_another_order():
    x = torch.randn(4096, generator=torch.Generator().manual_seed(0)) * 1e3
    expected = [x.sum()[None]]
    other = x.flip(0).cumsum(0)[-1:]
    (moved,) = noise.measure(lambda: [(x * 1).sum()[None]], expected)
    assert compare.difference(expected[0], other, moved) is None
    assert compare.difference(expected[0], expected[0] * 1.01 + 1, moved) is not None


def test_another_index_of_an_equal_value_counts_and_one_out_of_range_does_not():
    x = torch.zeros(1, 6)
    expected = [x.argmax(-1)]
    (moved,) = noise.measure(lambda: [(x + 1.0).argmax(-1)], expected)
    chosen = int(moved.high.max())
    assert chosen > 0, "rounding has to break the tie"
    assert compare.difference(expected[0], torch.tensor([chosen]), moved) is None
    assert compare.difference(expected[0], torch.tensor([-15536]), moved) is not None


def test_not_finite_values_have_to_agree():
    one = torch.tensor([1.0, float("inf"), float("nan")])
    assert compare.difference(one, one.clone()) is None
    assert compare.difference(one, torch.tensor([1.0, 5.0, 5.0])) is not None
    assert compare.difference(one, torch.tensor([1.0, 5.0, 5.0]), where_finite=True) is None
    spoiled = torch.tensor([float("nan"), float("inf"), float("nan")])
    assert compare.difference(one, spoiled, where_finite=True) is not None


def drawn_edges(package, **inputs):
    """Return the edge samples of inputs by name."""
    from coreml_driver.request import Job

    model = understand(Job("m", package.root, package.table(inputs=inputs), package.root))
    choice = tuple(one.shape for one in model.inputs)
    found = edges(model.inputs, choice, draw(model, choice, 0))
    return {edge.name: edge.sample.arrays for edge in found}


def test_edges_stay_in_the_declared_range(package):
    found = drawn_edges(
        package,
        ids={"shape": [64], "dtype": "int32", "sample": {"range": [0, 50000]}},
        x={"shape": [64], "sample": {"range": [0.25, 2.0]}},
        mask={"shape": [2, 4], "dtype": "int32", "sample": {"range": [0, 1]}},
    )
    for ids, x, mask in found.values():
        assert ids.min() >= 0 and ids.max() <= 50000
        assert x.min() >= 0.25 and x.max() <= 2.0
        assert set(np.unique(mask)) <= {0, 1}
    assert set(np.unique(found["limits of 16 bits"][0])) == {32767, 32768, 32769}
    assert set(np.unique(found["ends of the range"][0])) == {0, 50000}
    assert not found["a mask that leaves nothing"][2].any()
    assert found["a mask that leaves everything"][2].all()
    assert found["a mask with padding on the left"][2].tolist() == [[0, 0, 1, 1]] * 2


def test_edges_are_the_same_each_time(package):
    shape = {"shape": [5, 5]}
    one, other = drawn_edges(package, x=shape), drawn_edges(package, x=shape)
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name][0], other[name][0])


def test_the_budget_counts_and_does_not_measure(package):
    outcome = package.convert("def make():\n    return nn.Linear(3, 4)\n")
    with Blobs(outcome.output / "model.mlpackage") as blobs:
        executable = Executable(program.main(outcome.specification), blobs)
        seconds = []
        for _ in range(2):
            work = budget.Work()
            executable.run({"x": torch.ones(2, 3)}, precision=Precision.WIDENED, watcher=work.count)
            seconds.append(work.seconds)
    assert seconds[0] == seconds[1] > 0
    left = budget.Budget(executable.function, seconds[0])
    assert left.take(seconds[0]) and not left.take(1e9)


@pytest.mark.parametrize(
    "expression",
    [
        # PyTorch's own kernel subtracts 1 from an exponential, which loses digits.
        "F.elu(x) + F.selu(x)",
        # Its edges are matrices that have no inverse.
        "torch.linalg.inv(x + 3 * torch.eye(3))",
    ],
)
def test_what_pytorch_does_not_know_itself_is_no_difference(package, expression):
    inputs = {"x": {"shape": [3, 3]}}
    outcome = package.convert(returning(expression), inputs=inputs, compute_precision="float32")
    assert outcome.report["proof"]["main"]["proved"]


def test_a_wrong_inverse_is_a_difference():
    """Only where nothing is certain may anything be given."""
    expected = torch.tensor([[1.0, 2], [3, 4]]).inverse()
    certain = compare.Noise(expected.abs().double() * 1e-5, expected - 1e-5, expected + 1e-5)
    uncertain = compare.Noise(expected.abs().double(), expected - 1, expected + 1)
    other = torch.full((2, 2), float("nan"))
    assert compare.difference(expected, other, certain, where_finite=True) is not None
    assert compare.difference(expected, other, uncertain) is not None
    assert compare.difference(expected, other, uncertain, where_finite=True) is None


def test_a_number_of_results_that_rounding_changes_is_no_fault(package):
    # Two ways to the same numbers, which differ in the last bit where rounding will have it.
    source = module(
        "y = F.layer_norm(x, (64,))\n"
        "z = (x - x.mean(1, True)) * torch.rsqrt(x.var(1, correction=0, keepdim=True) + 1e-5)\n"
        "return y.flatten()[(y <= z).flatten()] * 2"
    )
    inputs = {"x": {"shape": [16, 64], "dtype": "float32"}}
    outcome = package.convert(source, inputs=inputs, capture="trace", compute_precision="float32")
    proof = outcome.report["proof"]["main"]
    undecided = [name for name, why in proof["skipped"].items() if "how many results" in why]
    assert "sample 0" in undecided or "sample 0" in proof["samples"], proof
    assert undecided, proof
    assert proof["proved"] == bool(proof["samples"])
    if not proof["samples"]:
        assert any("how many results" in warning for warning in outcome.converted["warnings"])
