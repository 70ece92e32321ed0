"""What the proof costs: CPU time and peak memory of converting whole models with and without it.

    python tools/bench-proof/bench.py [NAME ...] [--rounds N] [--precision float32]

Every network of `tools/whole-models` goes through the driver, in a process that has imported the
libraries already, as in a build; with the proof and without it by turns, and the smaller time of
each counts. Prints a table and the totals; the exit code says whether the proof adds at most 15 %
to the time and a quarter to the memory. Needs the packages of
`tools/whole-models/requirements.txt`.

Owns: the processes and the table.
Must not: know what a proof does.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import resource
import sys
import tempfile
import textwrap
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "coreml-build/python"), str(ROOT / "tools/whole-models")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import recurrent  # noqa: E402
import speech  # noqa: E402
import text  # noqa: E402
import torch  # noqa: E402
import vision  # noqa: E402
from coreml_driver import conversion, inputs, versions  # noqa: E402
from coreml_driver.request import Job  # noqa: E402

NETWORKS = vision.NETWORKS | text.NETWORKS | recurrent.NETWORKS | speech.NETWORKS
#: How much longer and how much larger a conversion may be with the proof.
MOST_TIME, MOST_MEMORY = 1.15, 1.25
#: What the entry of a network is: the networks are made in this process and inherited.
ENTRY = """
    import bench
    def make():
        return bench.CURRENT.module
"""
#: The network that is being converted.
CURRENT = None
DTYPES = {torch.float32: "float32", torch.int32: "int32"}


@dataclass
class Cost:
    """What one conversion took."""

    #: Seconds of CPU time.
    seconds: float
    #: Peak memory in megabytes, the imported libraries included.
    memory: float
    said: str


def table(network, precision: str, proof: bool) -> dict:
    """Return the driver's table for a network."""
    first = network.samples[0]
    declared = {}
    for name, value in first.items():
        shape: list = list(value.shape)
        for axis, (low, high) in network.ranges.get(name, {}).items():
            # A sentence and its mask have one length.
            size = {"min": low, "max": high, "default": shape[axis], "symbol": f"to_{high}"}
            shape[axis] = size
        declared[name] = {"shape": shape, "dtype": DTYPES[value.dtype]}
        if value.dtype == torch.int32:
            values = torch.cat([sample[name].reshape(-1) for sample in network.samples])
            bounds = [int(values.min()), int(values.max())]
            declared[name]["sample"] = {"range": bounds}
    buffers = dict(network.module.named_buffers())
    states = {
        name: {"shape": list(buffers[name].shape), "dtype": "float16"} for name in network.states
    }
    made = {
        "source": {"file": "entry.py", "entry": "make", "args": {}},
        "capture": "trace",
        "compute-precision": precision,
        "format": "mlprogram",
        "inputs": declared,
        "outputs": {name: {"dtype": "float32"} for name in network.outputs},
        "metadata": {},
        "minimum-deployment-target": "iOS18" if states else "iOS16",
        "parity": {"samples": 3} | ({"steps": 2} if states else {}),
        "proof": proof,
    }
    return made | ({"states": states} if states else {})


def measure(network, precision: str, proof: bool) -> Cost:
    """Convert in a process of its own."""
    global CURRENT
    CURRENT = network
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "package"
        root.mkdir()
        (root / "entry.py").write_text(textwrap.dedent(ENTRY))
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            said = []
            made = table(network, precision, proof)
            job = Job("model", pathlib.Path(folder) / "output", made, root)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            started = resource.getrusage(resource.RUSAGE_SELF)
            conversion.convert(
                job,
                root,
                versions.installed(),
                [],
                lambda event, **fields: said.append((event, fields)),
            )
            ended = resource.getrusage(resource.RUSAGE_SELF)
            event, fields = said[-1]
            words = event if event == "converted" else f"{fields['kind']}: {fields['message']}"
            seconds = ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime
            os.write(writing, f"{seconds}\n{ended.ru_maxrss / 1024}\n{words}".encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            parts = pipe.read().split("\n", 2)
        _, status = os.waitpid(child, 0)
        if status or len(parts) < 3:
            return Cost(0.0, 0.0, f"died with status {status}")
        return Cost(float(parts[0]), float(parts[1]), parts[2])


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NETWORKS)}")
    parser.add_argument("--rounds", type=int, default=1, help="measurements of each (1)")
    parser.add_argument("--precision", default="float16", choices=("float16", "float32"))
    arguments = parser.parse_args()
    sys.modules["bench"] = sys.modules[__name__]
    torch.set_num_threads(1)
    inputs.watch()
    totals = {False: 0.0, True: 0.0}
    largest = {False: 0.0, True: 0.0}
    failed = False
    print("| network | without | with | time | MB without | MB with | memory |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.names or NETWORKS:
        network = NETWORKS[name]()
        best: dict[bool, Cost] = {}
        for _ in range(arguments.rounds):
            for proof in (False, True):
                cost = measure(network, arguments.precision, proof)
                if proof not in best or cost.seconds < best[proof].seconds:
                    best[proof] = cost
        without, with_ = best[False], best[True]
        if with_.said != "converted" or without.said != "converted":
            failed = True
            print(f"| {name} | {without.said[:200]} | {with_.said[:400]} | | | | |", flush=True)
            continue
        for proof, cost in best.items():
            totals[proof] += cost.seconds
            largest[proof] = max(largest[proof], cost.memory)
        print(
            f"| {name} | {without.seconds:.1f} s | {with_.seconds:.1f} s "
            f"| {with_.seconds / without.seconds:.2f} "
            f"| {without.memory:.0f} | {with_.memory:.0f} "
            f"| {with_.memory / without.memory:.2f} |",
            flush=True,
        )
    if not totals[False]:
        return 1
    time_ratio, memory_ratio = totals[True] / totals[False], largest[True] / largest[False]
    print(
        f"| **all** | {totals[False]:.1f} s | {totals[True]:.1f} s | **{time_ratio:.3f}** "
        f"| {largest[False]:.0f} | {largest[True]:.0f} | **{memory_ratio:.2f}** |"
    )
    return int(failed or time_ratio > MOST_TIME or memory_ratio > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
