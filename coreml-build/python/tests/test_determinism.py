"""Every kind of model, converted in two processes with different hash seeds: the same bytes, samples included."""

from __future__ import annotations

from tests.conftest import Package, digest
from tests.test_compression import HALF, INT4, INT8, NETWORK, UNIFORM
from tests.test_compression import INPUTS as WIDE
from tests.test_images import CONVOLUTION, MEAN, STD, image
from tests.test_process import Driver, table
from tests.test_shapes import LINEAR, one, ranged
from tests.test_sources import MIL
from tests.test_states import INPUTS, STATES, WRITE, cache


def models(package: Package) -> dict:
    """Return the tables of all kinds."""
    package.write("prog.py", MIL)
    steps = {"samples": 1, "steps": 3}
    mil = package.table(source={"mil": "prog.py", "entry": "make", "args": {}})
    exported = {"inputs": INPUTS, "states": STATES, "parity": steps, "capture": "export"}
    return {
        "states": table(package, "states", cache(WRITE), inputs=INPUTS, states=STATES, parity=steps),
        "exported": table(package, "exported", cache(WRITE.replace("p : p + 1", "pos")), **exported),
        "ranges": table(package, "ranges", LINEAR, inputs=one(1, ranged(), 3), parity={"samples": 3}),
        "enumerated": table(package, "enumerated", LINEAR, inputs={"x": {"shapes": [[1, 6, 3], [1, 2, 3]]}}),
        "images": table(package, "images", CONVOLUTION, inputs=image(mean=MEAN, std=STD), args={"channels": 3}),
        "int8": table(package, "int8", NETWORK, inputs=WIDE, quantize=INT8),
        "joint": table(package, "joint", NETWORK, inputs=WIDE, quantize=INT4, prune=HALF),
        "palettes": table(package, "palettes", NETWORK, inputs=WIDE, palettize=UNIFORM),
        "mil": {key: value for key, value in mil.items() if key != "inputs"},
    }


def test_two_processes_give_the_same_bytes(package):
    tables = models(package)
    digests = []
    for seed in ("1", "2"):
        events = Driver(package, tables, seed=seed).events()
        failed = [event for event in events if event["event"] == "failed"]
        assert not failed, failed
        folder = package.root.parent / "out"
        digests.append(
            {name: (digest(folder / name / "model.mlpackage"), digest(folder / name / "samples")) for name in tables}
        )
        folder.rename(folder.with_name(f"out{seed}"))
    assert digests[0] == digests[1]
