"""Recurrent layers, branches, loops, lists, states and whole recurrent networks.

The reference is the operations' definition in NumPy, or PyTorch. Stateful cases have several steps:
their inputs and outputs are called `step0/NAME`, `step1/NAME`, …, and what the states hold at the
end `final/NAME`.

Flow: `generate.py` → here → `archive.py`.
"""

import itertools

import coremltools as ct
import numpy as np
import torch
from archive import TOLERANCES, Operations, convert
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import types
from torch import nn

f32, i32 = np.float32, np.int32
BOTH = ("iOS15", "iOS17")
ACTIVATIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
}


def generate(archive):
    """Adds all cases."""
    ops = Operations(archive)
    simple(ops)
    gated(ops)
    long_short(ops)
    branches(ops)
    loops(ops)
    lists(ops)
    networks(archive)
    states(archive)


def normal(*shape, seed=0):
    """Returns normally distributed numbers."""
    return (np.random.default_rng(seed).normal(size=shape) * 0.6).astype(f32)


def unrolled(x, states, step, reverse):
    """Runs a layer over time; returns all hidden states, and the last states."""
    sequence = []
    for row in x[::-1] if reverse else x:
        states = step(row, *states)
        sequence.append(states[0])
    return np.stack(sequence), states


def simple(ops):
    """Adds rnn."""
    x, h, w, r, b = (
        normal(4, 2, 3),
        normal(2, 5, seed=1),
        normal(5, 3, seed=2),
        normal(5, 5, seed=3),
        normal(5, seed=4),
    )
    for direction, sequence, activation in itertools.product(
        ("forward", "reverse"), (True, False), ("tanh", "relu")
    ):
        act = ACTIVATIONS[activation]

        def expected(x, h, direction=direction, sequence=sequence, act=act):
            ys, (last,) = unrolled(
                x, (h,), lambda row, h: (act(row @ w.T + h @ r.T + b),), direction == "reverse"
            )
            return ys if sequence else ys[-1:], last

        ops.add(
            f"rnn_{direction}_{sequence}_{activation}",
            {"x": x, "h": h},
            lambda x, h, d=direction, s=sequence, a=activation: mb.rnn(
                x=x,
                initial_h=h,
                weight_ih=w,
                weight_hh=r,
                bias=b,
                direction=d,
                output_sequence=s,
                activation=a,
            ),
            expected,
            BOTH,
        )


def gated(ops):
    """Adds gru: MIL's own order of reset, output and update gate, reset before and after the
    product."""
    x, h = normal(4, 2, 3), normal(2, 5, seed=1)
    w, r, b, b_in = (
        normal(15, 3, seed=2),
        normal(15, 5, seed=3),
        normal(15, seed=4),
        normal(15, seed=5),
    )
    (wr, wo, wz), (rr, ro, rz) = np.split(w, 3), np.split(r, 3)
    (br, bo, bz), (ir, io, iz) = np.split(b, 3), np.split(b_in, 3)
    for direction, sequence, (inner, outer) in itertools.product(
        ("forward", "reverse"), (True, False), (("sigmoid", "tanh"), ("tanh", "relu"))
    ):
        f, g = ACTIVATIONS[inner], ACTIVATIONS[outer]

        def step(row, h, f=f, g=g):
            z, reset = f(row @ wz.T + h @ rz.T + bz), f(row @ wr.T + h @ rr.T + br)
            return ((1 - z) * g(row @ wo.T + (reset * h) @ ro.T + bo) + z * h,)

        def expected(x, h, step=step, direction=direction, sequence=sequence):
            ys, (last,) = unrolled(x, (h,), step, direction == "reverse")
            return ys if sequence else ys[-1:], last

        ops.add(
            f"gru_{direction}_{sequence}_{inner}",
            {"x": x, "h": h},
            lambda x, h, d=direction, s=sequence, i=inner, o=outer: mb.gru(
                x=x,
                initial_h=h,
                weight_ih=w,
                weight_hh=r,
                bias=b,
                direction=d,
                output_sequence=s,
                recurrent_activation=i,
                activation=o,
            ),
            expected,
            ("iOS15", "iOS17", "iOS18"),
        )

    def after(row, h):
        f, g = ACTIVATIONS["sigmoid"], np.tanh
        z, reset = f(row @ wz.T + iz + h @ rz.T + bz), f(row @ wr.T + ir + h @ rr.T + br)
        return ((1 - z) * g(row @ wo.T + io + reset * (h @ ro.T + bo)) + z * h,)

    ops.add(
        "gru_reset_after",
        {"x": x, "h": h},
        lambda x, h: mb.gru(
            x=x,
            initial_h=h,
            weight_ih=w,
            weight_hh=r,
            bias=b,
            input_bias=b_in,
            reset_after=True,
            output_sequence=True,
        ),
        lambda x, h: (lambda ys, last: (ys, last[0]))(*unrolled(x, (h,), after, False)),
        ("iOS18",),
    )


def long_short(ops):
    """Adds lstm in each direction, with and without unusual activations, peepholes and clipping."""

    def weights(seed):
        return {
            "w": normal(20, 3, seed=seed),
            "r": normal(20, 5, seed=seed + 1),
            "b": normal(20, seed=seed + 2),
            "p": normal(15, seed=seed + 3),
        }

    def stepper(k, names, peephole, clip):
        f, g, o = (ACTIVATIONS[name] for name in names)
        pi, pf, po = np.split(k["p"], 3) if peephole else (0, 0, 0)

        def step(row, h, c):
            gi, gf, go, gz = np.split(row @ k["w"].T + h @ k["r"].T + k["b"], 4, -1)
            i, forget, z = f(gi + pi * c), f(gf + pf * c), g(gz)
            c = forget * c + i * z
            if clip:
                c = np.clip(c, -clip, clip)
            return f(go + po * c) * o(c), c

        return step

    forth, back = weights(10), weights(20)
    usual = ("sigmoid", "tanh", "tanh")
    options = [
        (d, s, usual, False, None)
        for d in ("forward", "reverse", "bidirectional")
        for s in (True, False)
    ]
    options += [
        ("forward", True, ("tanh", "relu", "sigmoid"), False, None),
        ("reverse", False, usual, True, None),
        ("bidirectional", True, usual, True, 0.3),
        ("forward", True, usual, False, 0.25),
    ]
    for number, (direction, sequence, names, peephole, clip) in enumerate(options):
        both = direction == "bidirectional"
        x, h, c = (
            normal(4, 2, 3),
            normal(2, 10 if both else 5, seed=1),
            normal(2, 10 if both else 5, seed=2),
        )

        def expected(
            x, h, c, n=names, p=peephole, k=clip, both=both, direction=direction, sequence=sequence
        ):
            if not both:
                ys, (h, c) = unrolled(x, (h, c), stepper(forth, n, p, k), direction == "reverse")
                return ys if sequence else ys[-1:], h, c
            y1, (h1, c1) = unrolled(x, (h[:, :5], c[:, :5]), stepper(forth, n, p, k), False)
            y2, (h2, c2) = unrolled(x, (h[:, 5:], c[:, 5:]), stepper(back, n, p, k), True)
            last = np.concatenate((h1, h2), 1)
            ys = np.concatenate((y1, y2[::-1]), 2) if sequence else last[None]
            return ys, last, np.concatenate((c1, c2), 1)

        arguments = {
            "weight_ih": forth["w"],
            "weight_hh": forth["r"],
            "bias": forth["b"],
            "direction": direction,
            "output_sequence": sequence,
            "recurrent_activation": names[0],
            "cell_activation": names[1],
            "activation": names[2],
        }
        if both:
            arguments |= {
                "weight_ih_back": back["w"],
                "weight_hh_back": back["r"],
                "bias_back": back["b"],
            }
        if peephole:
            arguments |= {"peephole": forth["p"]} | ({"peephole_back": back["p"]} if both else {})
        if clip:
            arguments["clip"] = f32(clip)
        ops.add(
            f"lstm_{number}_{direction}",
            {"x": x, "h": h, "c": c},
            lambda x, h, c, a=arguments: mb.lstm(x=x, initial_h=h, initial_c=c, **a),
            expected,
            BOTH,
        )


def branches(ops):
    """Adds cond: with values from outside, constants, and one inside the other."""
    for flag in (0, 1):
        inputs = {"p": np.array([flag], i32), "x": normal(2, 3)}

        def build(p, x):
            doubled = mb.add(x=x, y=x)
            return mb.cond(
                pred=mb.cast(x=mb.squeeze(x=p), dtype="bool"),
                _true_fn=lambda: mb.mul(x=doubled, y=3.0),
                _false_fn=lambda: mb.identity(x=x),
            )

        ops.add(f"cond_{flag}", inputs, build, lambda p, x: x * 6 if p[0] else x)

        def pair(p, x):
            predicate = mb.cast(x=mb.squeeze(x=p), dtype="bool")
            return mb.cond(
                pred=predicate,
                _true_fn=lambda: (mb.relu(x=x), mb.fill(shape=[2], value=1.0)),
                _false_fn=lambda: (
                    mb.cond(
                        pred=mb.logical_not(x=predicate),
                        _true_fn=lambda: mb.abs(x=x),
                        _false_fn=lambda: mb.identity(x=x),
                    ),
                    mb.fill(shape=[2], value=2.0),
                ),
            )

        ops.add(
            f"cond_nested_{flag}",
            inputs,
            pair,
            lambda p, x: (
                (np.maximum(x, 0), np.full(2, 1.0, f32))
                if p[0]
                else (np.abs(x), np.full(2, 2.0, f32))
            ),
        )


def loops(ops):
    """Adds while_loop: counting, never entered, growing, and one inside the other."""

    def count(n, x):
        limit = mb.squeeze(x=n)
        results = mb.while_loop(
            _cond=lambda i, y: mb.less(x=i, y=limit),
            _body=lambda i, y: (mb.add(x=i, y=1), mb.mul(x=y, y=2.0)),
            loop_vars=(0, x),
        )
        return results[0], results[1]

    for n in (0, 1, 5):
        ops.add(
            f"while_{n}",
            {"n": np.array([n], i32), "x": normal(2, 3)},
            count,
            lambda n, x: (np.array([n[0]], i32), x * 2.0 ** n[0]),
        )

    def nested(n, x):
        limit = mb.squeeze(x=n)

        def body(i, y):
            inner = mb.while_loop(
                _cond=lambda j, z: mb.less(x=j, y=i),
                _body=lambda j, z: (mb.add(x=j, y=1), mb.add(x=z, y=1.0)),
                loop_vars=(0, y),
            )
            return mb.add(x=i, y=1), inner[1]

        return mb.while_loop(
            _cond=lambda i, y: mb.less(x=i, y=limit), _body=body, loop_vars=(0, x)
        )[1]

    ops.add("while_nested", {"n": np.array([4], i32), "x": normal(2)}, nested, lambda n, x: x + 6)


def lists(ops):
    """Adds lists: written, read, gathered, scattered, grown, and filled in a loop."""
    x = {"x": normal(3, 2)}

    def row(x, i):
        return mb.squeeze(x=mb.slice_by_index(x=x, begin=[i, 0], end=[i + 1, 2]), axes=[0])

    def write(x):
        ls = mb.make_list(init_length=3, elem_shape=(2,), dtype="fp32")
        ls = mb.list_write(ls=ls, index=2, value=row(x, 0))
        ls = mb.list_write(ls=ls, index=0, value=row(x, 1))
        return (
            mb.list_read(ls=ls, index=2),
            mb.list_gather(ls=ls, indices=[1, 0]),
            mb.list_length(ls=ls),
        )

    ops.add(
        "list_write",
        x,
        write,
        lambda x: (x[0], np.stack((np.zeros(2, f32), x[1])), np.array([3], i32)),
    )

    def grow(x):
        ls = mb.make_list(init_length=1, elem_shape=(2,), dtype="fp32", dynamic_length=True)
        ls = mb.list_write(ls=ls, index=3, value=row(x, 2))
        return mb.list_gather(ls=ls, indices=[0, 3]), mb.list_length(ls=ls)

    ops.add(
        "list_grow", x, grow, lambda x: (np.stack((np.zeros(2, f32), x[2])), np.array([4], i32))
    )

    def scatter(x):
        ls = mb.make_list(init_length=4, elem_shape=(2,), dtype="fp32")
        ls = mb.list_scatter(ls=ls, indices=[3, 0, 1], value=x)
        return mb.list_gather(ls=ls, indices=[0, 1, 2, 3])

    ops.add("list_scatter", x, scatter, lambda x: np.stack((x[1], x[2], np.zeros(2, f32), x[0])))

    def loop(x):
        ls = mb.make_list(init_length=3, elem_shape=(2,), dtype="fp32")

        def body(i, ls):
            part = mb.gather(x=x, indices=i, axis=0)
            return mb.add(x=i, y=1), mb.list_write(ls=ls, index=i, value=mb.mul(x=part, y=2.0))

        _, ls = mb.while_loop(_cond=lambda i, ls: mb.less(x=i, y=3), _body=body, loop_vars=(0, ls))
        return mb.list_gather(ls=ls, indices=[2, 1, 0])

    ops.add("list_loop", x, loop, lambda x: 2 * x[::-1])


class Recurrent(nn.Module):
    """A recurrent layer with its sequence and last state."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        """Returns the sequence."""
        return self.layer(x)[0]


def networks(archive):
    """Adds PyTorch's own recurrent layers."""
    torch.manual_seed(0)
    layers = {
        "lstm": nn.LSTM(4, 6, num_layers=2, bidirectional=True, batch_first=True),
        "gru": nn.GRU(4, 6, batch_first=True),
        "rnn": nn.RNN(4, 6, batch_first=True),
    }
    for name, layer in layers.items():
        network, x = Recurrent(layer).eval(), torch.randn(1, 5, 4)
        traced = torch.jit.trace(network, x)
        model = convert(
            traced,
            inputs=[ct.TensorType(name="x", shape=x.shape)],
            outputs=[ct.TensorType(name="y")],
        )
        archive.add(
            f"torch_{name}",
            model,
            {"x": x.numpy()},
            {"y": network(x).detach().numpy()},
            TOLERANCES["float32"],
        )


class Sum(nn.Module):
    """A running sum."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(2, 3))

    def forward(self, x):
        """Adds and reads."""
        self.total.add_(x)
        return self.total * 2


def states(archive):
    """Adds stateful programs of several steps."""
    program_states(archive)
    x = torch.randn(2, 3)
    total = ct.StateType(wrapped_type=ct.TensorType(shape=(2, 3), dtype=np.float16), name="total")
    traced = torch.jit.trace(Sum().eval(), x)
    model = convert(
        traced,
        "float16",
        "iOS18",
        inputs=[ct.TensorType(name="x", shape=x.shape)],
        outputs=[ct.TensorType(name="y")],
        states=[total],
    )
    inputs, outputs, held = {}, {}, np.zeros((2, 3), f32)
    for step in range(3):
        inputs[f"step{step}/x"] = normal(2, 3, seed=step).astype(np.float16)
        held = held + inputs[f"step{step}/x"]
        outputs[f"step{step}/y"] = (held * 2).astype(np.float16)
    outputs["final/total"] = held.astype(np.float16)
    archive.add("state_sum", model, inputs, outputs, TOLERANCES["float16"])


def program_states(archive):
    """Adds a program with two states, one written twice, one only read."""
    specs = [
        mb.TensorSpec(shape=(1, 3), dtype=types.fp16),
        mb.TensorSpec(shape=(1,), dtype=types.int32),
        mb.StateTensorSpec(shape=(5, 3), dtype=types.fp16),
        mb.StateTensorSpec(shape=(3,), dtype=types.fp16),
    ]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS18)
    def build(x, position, cache, kept):
        before = mb.read_state(input=cache)
        begin = mb.concat(values=(position, [0]), axis=0)
        end = mb.concat(values=(mb.add(x=position, y=1), [3]), axis=0)
        updated = mb.slice_update(x=before, update=x, begin=begin, end=end)
        after = mb.coreml_update_state(state=cache, value=updated)
        again = mb.coreml_update_state(state=cache, value=mb.mul(x=after, y=np.float16(2)))
        return mb.identity(x=mb.add(x=again, y=mb.read_state(input=kept)), name="y")

    model = ct.convert(
        build,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS18,
        compute_precision=ct.precision.FLOAT32,
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )
    inputs, outputs, held = {}, {}, np.zeros((5, 3), f32)
    for step, at in enumerate((1, 4, 1)):
        row = normal(1, 3, seed=step).astype(np.float16)
        inputs[f"step{step}/x"], inputs[f"step{step}/position"] = row, np.array([at], i32)
        held[at] = row
        held = held * 2
        outputs[f"step{step}/y"] = held.astype(np.float16)
    outputs["final/cache"], outputs["final/kept"] = held.astype(np.float16), np.zeros(3, np.float16)
    archive.add("state_cache", model, inputs, outputs, TOLERANCES["float16"])
