"""The proof: a finished package computes what PyTorch computes.

Owns: what other modules of the driver call.
Must not: publish or convert.
"""

from coreml_driver.proof.edges import edges
from coreml_driver.proof.prove import prove
from coreml_driver.proof.replay import again
from coreml_driver.proof.subject import Case, Proof, Subject, of_run

__all__ = ["Case", "Proof", "Subject", "again", "edges", "of_run", "prove"]
