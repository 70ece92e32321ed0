"""Smaller weights: pruning, palettization and quantization of a converted model.

Owns: the translation of the manifest's words into `coremltools.optimize.coreml`, and that each way
has had an effect.
Must not: touch the reference: samples stay the uncompressed module's.
Flow: `convert` has a model -> `compress` -> the package; the report counts what was compressed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import coremltools.optimize.coreml as cto
import numpy as np
from coremltools.optimize.coreml._quantization_passes import prune_weights
from coremltools.proto import Model_pb2

from coreml_driver import program
from coreml_driver.failures import Failure

#: The operations by which each way shows in a program.
OPERATIONS = {
    "prune": (
        "constexpr_sparse_to_dense",
        "constexpr_lut_to_sparse",
        "constexpr_sparse_blockwise_shift_scale",
    ),
    "palettize": ("constexpr_lut_to_dense", "constexpr_lut_to_sparse"),
    "quantize": (
        "constexpr_blockwise_shift_scale",
        "constexpr_affine_dequantize",
        "constexpr_sparse_blockwise_shift_scale",
    ),
}


def compress(model: Any, wanted: Mapping[str, Mapping[str, Any]]) -> tuple[Any, list[str]]:
    """Compress the weights of a converted model.

    Parameters: `model` — an `MLModel`; `wanted` — the manifest's tables by key.
    Returns: the compressed model, and what coremltools said about weights that it left as they are.
    """
    steps: dict[str, Callable[..., Any]] = {
        "prune": cto.prune_weights,
        "palettize": cto.palettize_weights,
        "quantize": cto.linear_quantize_weights,
    }
    remarks: list[str] = []
    # Each further step compresses what the one before has left: zeros, then look-up tables, then
    # scales.
    chosen = [key for key in steps if key in wanted]
    for key in chosen:
        configuration = cto.OptimizationConfig(global_config=CONFIGURATIONS[key](wanted[key]))
        with _collected(remarks), _one_thread(), _pruning_in_float32():
            model = steps[key](model, configuration, joint_compression=key != chosen[0])
    return model, list(dict.fromkeys(f"weights left as they are: {remark}" for remark in remarks))


def check(specification: Model_pb2.Model, wanted: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a compression that compressed nothing: coremltools leaves small weights alone without
    a word.

    Errors: `Failure` of kind `nothing-compressed`.
    """
    counts = count(specification)
    for key, table in wanted.items():
        if any(counts[kind] for kind in OPERATIONS[key]):
            continue
        bound = table["weight-threshold"]
        message = f"`{key}` changes no weight of this model."
        advice = [
            f"Weights of fewer than {bound} elements stay as they are: lower it with "
            "`weight-threshold = 0`."
        ]
        if table.get("per") == "block":
            advice.append(
                "Rows must be whole blocks: choose a `block-size` that divides them (now "
                f"{_size(table)})."
            )
        if table.get("mode") == "threshold":
            share = table["minimum-sparsity-percentile"]
            advice.append(
                f"Raise `threshold`, or lower `minimum-sparsity-percentile` (now {share})."
            )
        raise Failure("nothing-compressed", message, key=key, advice=tuple(advice))


def count(specification: Model_pb2.Model) -> Counter[str]:
    """Return how many weights there are of each compressed form."""
    kinds = (operation.type for operation in program.operations(specification))
    return Counter(kind for kind in kinds if kind.startswith("constexpr_"))


def _quantize(table: Mapping[str, Any]) -> Any:
    """Return coremltools' configuration of a linear quantization."""
    return cto.OpLinearQuantizerConfig(
        mode=table["mode"].replace("-", "_"),
        dtype=table["weights"],
        granularity=f"per_{table['per']}",
        weight_threshold=table["weight-threshold"],
        **({"block_size": _size(table)} if table["per"] == "block" else {}),
    )


def _palettize(table: Mapping[str, Any]) -> Any:
    """Return coremltools' configuration of a palettization."""
    return cto.OpPalettizerConfig(
        mode=table["mode"],
        nbits=table["bits"],
        granularity=f"per_{table['per'].replace('-', '_')}",
        weight_threshold=table["weight-threshold"],
        **({"group_size": table["group-size"]} if table["per"] == "grouped-channel" else {}),
    )


def _prune(table: Mapping[str, Any]) -> Any:
    """Return coremltools' configuration of a pruning."""
    bound = table["weight-threshold"]
    if table["mode"] == "magnitude":
        return cto.OpMagnitudePrunerConfig(
            target_sparsity=table["target-sparsity"], weight_threshold=bound
        )
    percentile = table["minimum-sparsity-percentile"]
    return cto.OpThresholdPrunerConfig(table["threshold"], percentile, weight_threshold=bound)


CONFIGURATIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "prune": _prune,
    "palettize": _palettize,
    "quantize": _quantize,
}


def _size(table: Mapping[str, Any]) -> int:
    """Return the size of a block."""
    return int(table["block-size"])


@contextlib.contextmanager
def _collected(remarks: list[str]) -> Iterator[None]:
    """Collect what coremltools warns of into `remarks`."""

    class Collector(logging.Handler):
        """Keeps the messages."""

        def emit(self, record: logging.LogRecord) -> None:
            """Keep one message."""
            remarks.append(record.getMessage())

    # Some of it goes to the root logger, and what goes to coremltools' own arrives there, too.
    collector, logger = Collector(logging.WARNING), logging.getLogger()
    logger.addHandler(collector)
    try:
        yield
    finally:
        logger.removeHandler(collector)


#: coremltools' own: from which size on the smallest weights of a tensor are zero.
PRUNE = prune_weights.compress_by_magnitude


@contextlib.contextmanager
def _pruning_in_float32() -> Iterator[None]:
    """Let pruning find its bound in float32. Beyond 65504 half-precision weights numpy counts
    further than they do: the bound is not a number, and nothing is pruned, without a word.
    """

    def prune(val: Any, *arguments: Any, **keywords: Any) -> Any:
        found = PRUNE(np.asarray(val, np.float32), *arguments, **keywords)
        return (
            None
            if found is None
            else found._replace(nonzero_data=found.nonzero_data.astype(val.dtype))
        )

    prune_weights.compress_by_magnitude = staticmethod(prune)
    try:
        yield
    finally:
        prune_weights.compress_by_magnitude = staticmethod(PRUNE)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let k-means sum in one order, so that the same weights give the same tables on every
    machine.
    """
    if importlib.util.find_spec("threadpoolctl") is None:
        yield
        return
    import threadpoolctl

    with threadpoolctl.threadpool_limits(1):
        yield
