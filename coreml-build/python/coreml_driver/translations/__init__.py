"""Translations from PyTorch's operations to MIL that coremltools lacks or gets wrong.

Owns: the list of families. Importing this package fills `registry.ROWS`.
Must not: be imported by what a translation uses.
"""

from coreml_driver.translations import elementary
from coreml_driver.translations.registry import ORIGINAL, ROWS, Row, install

__all__ = ["ORIGINAL", "ROWS", "Row", "elementary", "install"]
