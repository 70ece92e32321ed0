"""The proof: a finished package computes what PyTorch computes.

Owns: what other modules of the driver call.
Must not: publish or convert.
"""

from coreml_driver.proof.prove import Case, Proof, Subject, prove

__all__ = ["Case", "Proof", "Subject", "prove"]
