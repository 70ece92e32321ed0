"""Recurrent layers: MIL's `recurrent`.

Owns: their kernels.
Must not: round results: a device rounds each step too, which the result of the whole stands for.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from coreml_driver.proof.kernels.activation import INSIDE_RECURRENT
from coreml_driver.proof.kernels.registry import Unproved, flag, kernel, number

#: Takes the products of a step's input and the states before it; returns those after it.
Take = Callable[[torch.Tensor, tuple[torch.Tensor, ...]], tuple[torch.Tensor, ...]]


@kernel("rnn")
def _rnn(
    x: torch.Tensor,
    initial_h: torch.Tensor,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    bias: torch.Tensor | None = None,
    direction: str | None = None,
    output_sequence: Any = None,
    activation: str | None = None,
) -> tuple[torch.Tensor, ...]:
    """`h' = activation(W x + R h + b)`."""
    act = _activation(activation, "tanh")

    def take(row: torch.Tensor, states: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (act(row + states[0] @ weight_hh.T),)

    rows = torch.nn.functional.linear(_directed(x, direction), weight_ih, bias)
    return _results(*_over_time(rows, (initial_h,), take), output_sequence)


@kernel("gru")
def _gru(
    x: torch.Tensor,
    initial_h: torch.Tensor,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    bias: torch.Tensor | None = None,
    direction: str | None = None,
    output_sequence: Any = None,
    recurrent_activation: str | None = None,
    activation: str | None = None,
    reset_after: Any = None,
    input_bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, ...]:
    """`h' = (1 - z) o + z h`; the weights hold reset, output and update gate in this order. With
    `reset_after` the product of the hidden state is reset, and the bias belongs to it.
    """
    inner = _activation(recurrent_activation, "sigmoid")
    outer = _activation(activation, "tanh")
    after = flag(reset_after, False)
    reset_weight, output_weight, update_weight = weight_hh.chunk(3)
    zeros = weight_hh.new_zeros(weight_hh.shape[0])
    own = zeros if bias is None else bias
    reset_bias, output_bias, update_bias = own.chunk(3)

    def take(row: torch.Tensor, states: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        (h,) = states
        reset_row, output_row, update_row = row.chunk(3, -1)
        reset = inner(reset_row + h @ reset_weight.T + reset_bias)
        update = inner(update_row + h @ update_weight.T + update_bias)
        if after:
            remembered = reset * (h @ output_weight.T + output_bias)
        else:
            remembered = (reset * h) @ output_weight.T + output_bias
        output = outer(output_row + remembered)
        return ((1 - update) * output + update * h,)

    rows = torch.nn.functional.linear(_directed(x, direction), weight_ih, input_bias)
    return _results(*_over_time(rows, (initial_h,), take), output_sequence)


@kernel("lstm")
def _lstm(
    x: torch.Tensor,
    initial_h: torch.Tensor,
    initial_c: torch.Tensor,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    bias: torch.Tensor | None = None,
    peephole: torch.Tensor | None = None,
    weight_ih_back: torch.Tensor | None = None,
    weight_hh_back: torch.Tensor | None = None,
    bias_back: torch.Tensor | None = None,
    peephole_back: torch.Tensor | None = None,
    direction: str | None = None,
    output_sequence: Any = None,
    recurrent_activation: str | None = None,
    cell_activation: str | None = None,
    activation: str | None = None,
    clip: Any = None,
) -> tuple[torch.Tensor, ...]:
    """Long short-term memory in one direction or in both; `clip` limits the cell's memory."""
    inner = _activation(recurrent_activation, "sigmoid")
    middle = _activation(cell_activation, "tanh")
    outer = _activation(activation, "tanh")
    limit = None if clip is None else number(clip)

    def one_way(
        rows: torch.Tensor,
        states: tuple[torch.Tensor, ...],
        recurrent: torch.Tensor,
        peep: torch.Tensor | None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        to_input, to_forget, to_output = (None,) * 3 if peep is None else peep.chunk(3)

        def take(row: torch.Tensor, before: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            h, c = before
            into, forget, out, cell = (row + h @ recurrent.T).chunk(4, -1)
            if peep is not None:
                into, forget = into + to_input * c, forget + to_forget * c
            new = inner(forget) * c + inner(into) * middle(cell)
            new = new if limit is None else new.clamp(-limit, limit)
            if peep is not None:
                out = out + to_output * new
            return inner(out) * outer(new), new

        return _over_time(rows, states, take)

    if direction != "bidirectional":
        rows = torch.nn.functional.linear(_directed(x, direction), weight_ih, bias)
        found = one_way(rows, (initial_h, initial_c), weight_hh, peephole)
        return _results(*found, output_sequence)
    if weight_ih_back is None or weight_hh_back is None:
        raise Unproved("two directions without weights for the way back")
    h, h_back = initial_h.chunk(2, -1)
    c, c_back = initial_c.chunk(2, -1)
    rows = torch.nn.functional.linear(x, weight_ih, bias)
    forth, last = one_way(rows, (h, c), weight_hh, peephole)
    rows = torch.nn.functional.linear(x.flip(0), weight_ih_back, bias_back)
    back, last_back = one_way(rows, (h_back, c_back), weight_hh_back, peephole_back)
    sequence = torch.cat([forth, back.flip(0)], -1)
    ends = tuple(torch.cat(pair, -1) for pair in zip(last, last_back, strict=True))
    return _results(sequence, ends, output_sequence)


def _activation(name: str | None, default: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function that a layer names."""
    found = INSIDE_RECURRENT.get((name or default).lower())
    if found is None:
        raise Unproved(f"the activation `{name}`")
    return found


def _directed(x: torch.Tensor, direction: str | None) -> torch.Tensor:
    """Return a sequence in the order in which it is read."""
    if direction not in (None, "forward", "reverse"):
        raise Unproved(f"the direction `{direction}`")
    return x.flip(0) if direction == "reverse" else x


def _over_time(
    rows: torch.Tensor, states: tuple[torch.Tensor, ...], take: Take
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Take all steps; return the hidden states of each and all states of the last."""
    hidden = []
    for row in rows:
        states = take(row, states)
        hidden.append(states[0])
    return torch.stack(hidden), states


def _results(
    sequence: torch.Tensor, last: tuple[torch.Tensor, ...], output_sequence: Any
) -> tuple[torch.Tensor, ...]:
    """Return what a layer gives: the sequence or its end, then the last states."""
    first = sequence if flag(output_sequence, False) else last[0][None]
    return (first, *last)
