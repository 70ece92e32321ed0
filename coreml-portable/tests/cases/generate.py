"""Writes the case archives beside this file: `python generate.py [FAMILY…]`.

Needs torch 2.7.0, coremltools 9.0 and safetensors. The archives are committed, so the tests need no
Python.
"""

import importlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from archive import Archive  # noqa: E402  (found through the line above)

FAMILIES = [
    "control",
    "differences",
    "distributions",
    "edges",
    "elementwise",
    "images",
    "integers",
    "limits",
    "linear",
    "nans",
    "networks",
    "tensors",
    "weights",
]


def main():
    """Generates the families named on the command line, or all."""
    for family in sys.argv[1:] or FAMILIES:
        archive = Archive(family)
        importlib.import_module(family).generate(archive)
        archive.write()


if __name__ == "__main__":
    main()
