"""How many cases there are of each kind: printed, and held above what docs/field-guide.md says.

Only named cases count: those in tables, each with sources or keys of its own. Tests without a table
come on top.
"""

from __future__ import annotations

from tests import (
    test_compression,
    test_failures,
    test_features,
    test_images,
    test_operations,
    test_shapes,
    test_states,
    test_traps,
)

#: Conversions that give a package, whose contents are read back.
FEATURES = {
    "outputs, captured in two ways": 2 * len(test_features.OUTPUTS),
    "networks": len(test_features.NETWORKS),
    "compressions": len(test_compression.CASES),
    "colors of images, captured in two ways": 2 * len(test_images.COLORS),
    "operations that coremltools lacks": len(test_operations.FIXED),
    "ways of writing to a state": len(test_states.WRITING),
    "writes into tensors that a trace keeps": len(test_traps.KEPT_BY_TRACES),
}
#: Mistakes of a user, each with its line, its key and its cure.
FAILURES = {
    "mistakes": len(test_failures.CASES),
    "wrong files of operations": len(test_operations.WRONG),
}
#: What coremltools or the tracer would let pass.
TRAPS = {
    "branches, training mode, integers, outputs": len(test_traps.TRAPS),
    "states": len(test_states.TRAPS),
    "sizes that are baked in": len(test_shapes.BAKED),
    "writes that a trace loses": len(test_traps.LOST),
}


def test_there_are_enough_cases_of_each_kind():
    for kinds, least in ((FEATURES, 60), (FAILURES, 40), (TRAPS, 20)):
        print({**kinds, "all": sum(kinds.values())})
        assert sum(kinds.values()) >= least, kinds
