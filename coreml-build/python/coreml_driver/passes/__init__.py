"""coremltools' passes over MIL programs, with what they get wrong repaired.

Owns: the list of families; `install`.
Must not: know PyTorch: a pass sees MIL alone.
Flow: `conversion` -> `install` before coremltools is called -> its pipelines run these passes.
"""

from coreml_driver.passes import division, half, narrowing, patterns, ranks
from coreml_driver.passes.registry import REPAIRS, Repair, install

__all__ = ["REPAIRS", "Repair", "division", "half", "install", "narrowing", "patterns", "ranks"]
