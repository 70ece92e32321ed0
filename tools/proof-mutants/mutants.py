"""Faults planted into translations: does the proof see each of them?

    python tools/proof-mutants/mutants.py [NAME ...]

Converts a small network twice for each fault: as coremltools translates it, which has to be
published, and with the fault, which must not be. Prints a table; the exit code says whether every
fault was killed. Wants the packages of the driver's own environment.

Owns: how a fault is planted, and the table.
Must not: know how the proof finds it.
Flow: `faults.py` has the faults -> here -> `coreml_driver.conversion`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import pathlib
import sys
import tempfile
import textwrap
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "coreml-build/python")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # noqa: E402
from coreml_driver import conversion, inputs, versions  # noqa: E402
from coreml_driver.request import Job  # noqa: E402
from coreml_driver.translations import consumption  # noqa: E402
from coremltools.converters.mil.frontend.torch import ops  # noqa: E402
from faults import FAULTS, Fault  # noqa: E402

PRELUDE = """
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            {init}
        def forward(self, {names}):
            return {result}

    def make():
        torch.manual_seed(0)
        return Net()
"""
#: Failures by which the proof keeps a package from being published.
KILLS = frozenset({"wrong-conversion", "wrong-compression"})


class Builder:
    """Stands in for coremltools' builder where PyTorch's operations are translated."""

    def __init__(self, builder, fault: Fault) -> None:
        """Parameters: `fault` — what to plant."""
        self._builder, self._fault = builder, fault
        self.planted = 0

    def __getattr__(self, name: str):
        """Return a function of the builder; that of the fault's operation changes its arguments."""
        original = getattr(self._builder, name)
        if name != self._fault.operation:
            return original

        def changed(**arguments):
            """Call with other arguments, or call another function."""
            self.planted += 1
            kept = {key: arguments.pop(key) for key in ("name", "before_op") if key in arguments}
            return self._fault.change(self._builder, original, arguments, kept)

        return changed


@contextlib.contextmanager
def planted(fault: Fault):
    """Plant a fault; yield what counts how often it was met."""
    proxy = Builder(ops.mb, fault)
    # Translations are coremltools' and the driver's own.
    found = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("coreml_driver.") and getattr(module, "mb", None) is ops.mb
    ]
    for module in (ops, *found):
        module.mb = proxy
    # The check of arguments would see a dropped one before the proof does.
    following, consumption.following = consumption.following, contextlib.nullcontext
    try:
        yield proxy
    finally:
        consumption.following = following
        for module in (ops, *found):
            module.mb = proxy._builder


def convert(fault: Fault) -> tuple[str, str]:
    """Convert the fault's network; return the kind of failure, or `converted`, and its message."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "package"
        root.mkdir()
        source = textwrap.dedent(PRELUDE).format(
            init=fault.init, names=", ".join(fault.inputs), result=fault.result
        )
        (root / "model.py").write_text(source)
        table = {
            "source": {"file": "model.py", "entry": "make", "args": {}},
            "capture": fault.capture,
            "compute-precision": fault.precision,
            "format": "mlprogram",
            "inputs": fault.inputs,
            "outputs": fault.outputs,
            "metadata": {},
            "minimum-deployment-target": "iOS18",
            "parity": {"samples": 3},
        } | fault.more
        said: list[tuple[str, dict]] = []
        job = Job("model", pathlib.Path(folder) / "output", table, root)
        with contextlib.redirect_stderr(io.StringIO()):
            conversion.convert(
                job,
                root,
                versions.installed(),
                [],
                lambda event, **more: said.append((event, more)),
            )
        event, fields = said[-1]
        return ("converted", "") if event == "converted" else (fields["kind"], fields["message"])


def main() -> int:
    """Plant all faults; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which faults")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    torch.set_num_threads(1)
    inputs.watch()
    chosen = [fault for fault in FAULTS if not arguments.names or fault.name in arguments.names]
    survived, wrong = [], []
    print("| kind | fault | ended as | named |")
    print("|---|---|---|---|")
    for fault in chosen:
        before, message = convert(fault)
        if before != "converted":
            wrong.append(f"{fault.name}: without the fault {before}: {message}")
            continue
        with planted(fault) as proxy:
            after, message = convert(fault)
        if not proxy.planted:
            wrong.append(f"{fault.name}: no `{fault.operation}` was translated")
            continue
        killed = after in KILLS
        if not killed:
            survived.append(f"{fault.name}: {after}: {message}")
        named = message.partition("result differs from PyTorch's is ")[2].partition(",")[0]
        print(f"| {fault.kind} | {fault.name} | {after} | {named or '—'} |", flush=True)
    for line in (*survived, *wrong):
        print(line)
    count = len(chosen) - len(survived) - len(wrong)
    print(f"{count} of {len(chosen)} faults killed")
    return int(bool(survived or wrong))


if __name__ == "__main__":
    sys.exit(main())
