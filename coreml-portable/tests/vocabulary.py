"""Writes `vocabulary.json`: every MIL operation and version that coremltools can write, with its
parameters.

Owns: nothing but that file.  Must not: be needed to run the tests; they read the committed result.
Flow: run by hand with coremltools 9.0 installed, `python vocabulary.py`; `vocabulary.rs` compares
the table of operations with the file, so that a missing row or a misspelt parameter fails a test.
"""

import json
import pathlib

import coremltools
from coremltools.converters.mil.mil import ops  # noqa: F401  (importing fills the registry)
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

# Names of the opsets in a program, by coremltools' names for the same thing.
OPSETS = {
    "iOS13": "CoreML5",
    "iOS14": "CoreML5",
    "iOS15": "CoreML5",
    "iOS16": "CoreML6",
    "iOS17": "CoreML7",
    "iOS18": "CoreML8",
}


def parameter_names(specification):
    """Returns `{parameter: required}` in the declared order; a leading `!` marks what must be known
    at compile time."""
    return {
        name: {"required": not kind.optional, "constant": bool(kind.const)}
        for name, kind in specification.input_types.items()
    }


def main():
    """Collects one entry per (operation, first opset whose class differs from the one before)."""
    rows = []
    for name, versions in sorted(SSAOpRegistry.core_ops.items()):
        previous = None
        for target, operation in sorted(versions.items(), key=lambda item: item[0].value):
            if operation is not previous:
                opset = OPSETS.get(target.name, target.name)
                rows.append(
                    {
                        "name": name,
                        "since": opset,
                        "parameters": parameter_names(operation.input_spec),
                    }
                )
            previous = operation
    document = {
        "coremltools": coremltools.__version__,
        "operations": len(SSAOpRegistry.core_ops),
        "rows": rows,
    }
    text = json.dumps(document, indent=None, separators=(",", ":")).replace('{"name"', '\n{"name"')
    pathlib.Path(__file__).with_name("vocabulary.json").write_text(text + "\n")
    print(len(rows), "rows of", len(SSAOpRegistry.core_ops), "operations")


if __name__ == "__main__":
    main()
