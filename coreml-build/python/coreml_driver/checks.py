"""Silent wrong results, turned into failures: before the capture and during it.

Owns: the rules. Each is something that coremltools or the tracer lets pass, and that a prediction
would suffer from.
Must not: run the module (that is `witness`), repair anything, or look at a package (that is
`reread`).
Flow: `conversion` -> `run` and `constants` (before capture), `tracer_warnings` (during).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch.jit._trace import TracerWarning

from coreml_driver.failures import Failure, PythonLine
from coreml_driver.witness import (
    FLOAT16_MAX,
    Sighting,
    Sightings,
    has_numbers,
    kept_tensors,
    wide_integer,
)

#: Conversions to Python values that `witness` sees when they depend on data; what it does not see
#: comes from a shape, which is fixed.
SHAPE_CONVERSION = re.compile(
    r"Converting a tensor to a Python (boolean|integer|number|float|index)"
)
#: Smallest float16 above 0.
FLOAT16_SMALLEST = 2.0**-24
#: Tracer warnings about things that are constants as long as shapes are.
HARMLESS_TRACER_WARNINGS = re.compile(
    r"results are registered as constants|Using len to get tensor shape|Iterating over a tensor"
)


def run(
    sightings: Sightings,
    read: Sequence[str],
    repeatable: bool,
    training: Sequence[str],
    is_wide: bool,
    line: PythonLine | None,
) -> None:
    """Judge the watched run.

    Parameters: `read` — names of tensors that are written to, are no declared states, and whose old
    value is read; `repeatable` — two runs on the same inputs gave the same outputs; `training` —
    modules that the run left in training mode; `is_wide` — a result depends on an integer beyond 32
    bits; `line` — of `forward`, for what has no better line.
    Errors: `Failure` of kind `training-mode`, `random`, `written-buffer` or `wide-integer`. What
    depends on data is judged with the capture: an export may keep it.
    """
    if training:
        message = (
            f"`forward` puts {', '.join(training)} into training mode, so batch statistics or "
            "dropout would be "
            "converted."
        )
        raise Failure(
            "training-mode", message, line, "source.entry", ("Remove `self.train()` from forward.",)
        )
    if sightings.batch_statistics:
        place = sightings.batch_statistics[0].line or line
        message = (
            "A batch normalisation runs in training mode: it uses the statistics of its input "
            "instead of the "
            "learned ones."
        )
        raise Failure(
            "training-mode",
            message,
            place,
            "source.entry",
            ("Pass `training=False`, or `training=self.training`.",),
        )
    if not repeatable:
        _not_repeatable(sightings, line)
    written = [sighting for sighting in sightings.written if sighting.what in read]
    if written:
        names = ", ".join(
            f"`{name}`" for name in dict.fromkeys(sighting.what for sighting in written)
        )
        message = (
            f"`forward` writes to {names}, and reads what an earlier prediction has left there. A "
            "captured graph drops such writes: every prediction would start from the same values."
        )
        place = next((one.line for one in written if one.line), line)
        raise Failure(
            "written-buffer", message, place, "source.entry", _kept_cures(written[0].what)
        )
    wide = [*sightings.wide_integers, *(sightings.wide_results if is_wide else ())]
    if wide:
        message = (
            f"Core ML's integers have 32 bits; {wide[0].what} does not fit and would "
            "silently become another number."
        )
        raise Failure(
            "wide-integer",
            message,
            wide[0].line or line,
            "source.entry",
            ("Compute with smaller integers or in floating point.",),
            place=wide[0].place,
        )


def _kept_cures(name: str) -> tuple[str, ...]:
    """Return what to do about a tensor that predictions leave for each other."""
    return (
        "If predictions are to see it, declare a state (iOS18): "
        f'`states.{name.replace(".", "_")} = {{ shape = […], dtype = "float16" }}`.',
        "Take the old value as an input and return the new one as an output.",
        "Compute it once, in `__init__`.",
    )


def remembered(names: Sequence[str], line: PythonLine | None) -> Failure:
    """Return the failure about a module whose results depend on what it was run on before.

    Parameters: `names` — its attributes that have changed.
    """
    shown = ", ".join(f"`{name}`" for name in names)
    message = (
        "`forward` remembers an earlier prediction: on the same inputs, a module that has run "
        "before gives other results than one that has not"
        + (f" (running it changes {shown})" if shown else "")
        + ". A captured graph would keep what the sample has left."
    )
    return Failure(
        "written-buffer", message, line, "source.entry", _kept_cures(names[0] if names else "k")
    )


def unwritten(sightings: Sightings, line: PythonLine | None) -> Failure:
    """Return the failure about a result that depends on memory which nobody has written to."""
    names = ", ".join(
        f"`{name}`" for name in dict.fromkeys(one.what for one in sightings.unwritten)
    )
    message = (
        f"`forward` allocates memory that it does not fill ({names}) and reads it before it has "
        "written all of it: what was there by chance becomes part of the results."
    )
    cures = (
        "Make it with values: `torch.zeros(…)` instead of `torch.empty(…)`.",
        "Write every element before it is read.",
        "Make it of its parts: `torch.stack` or `torch.cat`.",
    )
    seen = sightings.unwritten[0]
    return Failure("random", message, seen.line or line, "source.entry", cures, place=seen.place)


def _not_repeatable(sightings: Sightings, line: PythonLine | None) -> None:
    """Say why two runs on the same inputs differ."""
    if sightings.random:
        names = ", ".join(
            f"`{name}`" for name in dict.fromkeys(sighting.what for sighting in sightings.random)
        )
        message = (
            f"`forward` draws random numbers ({names}): two runs on the same inputs differ, and a "
            "converted model "
            "would not follow PyTorch."
        )
        cures = (
            "For a dropout pass `training=self.training`; take noise as an input of the model.",
        )
        seen = sightings.random[0]
        raise Failure("random", message, seen.line or line, "source.entry", cures, place=seen.place)
    if not sightings.written:
        message = (
            "Two runs of `forward` on the same inputs differ: it depends on something that is not "
            "an input (a "
            "counter, a clock, a random number)."
        )
        raise Failure(
            "random",
            message,
            line,
            "source.entry",
            ("Take what changes as an input of the model.",),
        )


def aliases(
    inputs: Mapping[str, torch.Tensor], outputs: Mapping[str, torch.Tensor], line: PythonLine | None
) -> None:
    """Refuse outputs that are an input or another output: coremltools drops or renames one of the
    two.

    Errors: `Failure` of kind `output-is-input` or `duplicate-output`.
    """
    names: dict[tuple[int, ...], str] = {}
    for name, tensor in outputs.items():
        key = _view(tensor)
        for source, fed in inputs.items():
            if _view(fed) == key:
                message = (
                    f"Output `{name}` is input `{source}` unchanged; Core ML has no such outputs."
                )
                cures = (
                    "Remove the output: the caller has that tensor already.",
                    f"If it must be there, return `{source} + 0`.",
                )
                raise Failure("output-is-input", message, line, f"outputs.{name}", cures)
        if key in names:
            message = (
                f"Outputs `{names[key]}` and `{name}` are the same tensor; coremltools would "
                "rename or drop one "
                "of them."
            )
            raise Failure(
                "duplicate-output", message, line, f"outputs.{name}", ("Return it once.",)
            )
        names[key] = name


def _view(tensor: torch.Tensor) -> tuple[int, ...]:
    """Return what two tensors share if they are the same view of the same memory."""
    return (tensor.data_ptr(), *tensor.shape, *tensor.stride())


def constants(module: torch.nn.Module, float16: bool, line: PythonLine | None) -> list[str]:
    """Check the numbers that the module keeps.

    Returns: warnings about numbers that float16 cannot hold.
    Errors: `Failure` of kind `wide-integer`.
    """
    found = []
    for name, tensor in kept_tensors(module).items():
        if tensor.numel() == 0 or not has_numbers(tensor):
            continue
        if tensor.dtype == torch.int64:
            wide = wide_integer(tensor)
            if wide is not None:
                message = (
                    f"Core ML's integers have 32 bits; `{name}` holds {wide}, which would "
                    "silently become another."
                )
                raise Failure(
                    "wide-integer",
                    message,
                    line,
                    "source.entry",
                    ("Keep smaller integers or floating-point numbers.",),
                )
        elif float16 and tensor.is_floating_point():
            largest = float(tensor.abs().nan_to_num(posinf=0.0).max())
            if largest > FLOAT16_MAX:
                found.append(
                    f"`{name}` holds {largest:g}, beyond float16 (65504): it becomes infinite or "
                    "keeps its "
                    "operation in float32"
                )
            elif 0 < largest < FLOAT16_SMALLEST / 2:
                found.append(
                    f"`{name}` holds nothing above {largest:g}, below float16's smallest number "
                    "(6e-8): all of it becomes 0 unless its operation stays in float32"
                )
    return found


def overflow(sightings: Sightings) -> list[str]:
    """Return a warning when a value of the run is beyond float16."""
    if sightings.overflow is None:
        return []
    value, sighting = sightings.overflow
    place = f" at {Path(sighting.line.file).name}:{sighting.line.line}" if sighting.line else ""
    cure = 'compute-precision = "float32", or float32-ops for that operation'
    return [
        f"`{sighting.what}`{place} gives {value:g}, beyond float16 (65504); if parity fails: {cure}"
    ]


def tracer_warnings(
    caught: Sequence[warnings.WarningMessage], sightings: Sightings, line: PythonLine | None
) -> list[str]:
    """Judge what the tracer warned about.

    A conversion to a Python value is an error where the watched run saw it depend on an input.
    Elsewhere it comes from a shape, or from code that treats tracing apart: both are constants as
    long as shapes are.

    Returns: notes about what is harmless while shapes are fixed.
    Errors: `Failure` of kind `data-dependent` or `tracer-warning`.
    """
    notes = []
    for warning in caught:
        if not issubclass(warning.category, TracerWarning):
            continue
        text, place = str(warning.message), (warning.filename, warning.lineno)
        if SHAPE_CONVERSION.search(text):
            for sighting in sightings.data_dependent:
                if place in sighting.stack:
                    raise _data_dependent(sighting, place, line)
        elif not HARMLESS_TRACER_WARNINGS.search(text):
            message = f"The tracer cannot follow this line, so its result would be baked in: {text}"
            raise Failure("tracer-warning", message, PythonLine(*place), "capture", DATA_CURES)
        notes.append(
            f"{text.split('. ')[0].split(' might ')[0]} "
            f"({Path(warning.filename).name}:{warning.lineno})"
        )
    return list(dict.fromkeys(notes))


DATA_CURES = (
    (
        "Choose with tensor operations: `torch.where(condition, a, b)` instead of `if`, a "
        "comparison or mask "
        "instead of `.item()`."
    ),
)


def _data_dependent(sighting: Sighting, place: tuple[str, int], line: PythonLine | None) -> Failure:
    """Return the failure about a value that decides what Python does."""
    where = (
        "here"
        if sighting.line == PythonLine(*place)
        else f"in {Path(place[0]).name}, line {place[1]}"
    )
    message = (
        f"A value that depends on the input becomes a Python value {where} (an `if`, a loop, "
        "`.item()`, an index): "
        "a trace would bake in what the sample happened to give."
    )
    return Failure(
        "data-dependent",
        message,
        sighting.line or line,
        "capture",
        DATA_CURES,
        place=sighting.place,
    )
