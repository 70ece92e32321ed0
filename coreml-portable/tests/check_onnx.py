"""Checks ONNX files with ONNX's own checker, and runs them where ONNX Runtime is there too.

Owns: nothing.  Must not: know where the files come from.
Flow: `python check_onnx.py FOLDER` checks every `NAME.onnx` of a folder. Beside it
`NAME.safetensors` may hold `in/…` and `out/…`, and `NAME.tolerance` the largest difference relative
to the largest expected magnitude. Needs the package `onnx`; `onnxruntime` and `safetensors` for
running. `export.rs` does so with every case of the archives.

A package by hand:

    cargo coreml export MODEL.mlpackage out/model.onnx
    python coreml-portable/tests/check_onnx.py out
"""

import pathlib
import sys

import numpy as np
import onnx

try:
    import onnxruntime
    import safetensors.numpy
except ImportError:
    onnxruntime = None

# ONNX Runtime's names of the element types that our graphs have at their borders.
BORDERS = {"tensor(float)": np.float32, "tensor(int32)": np.int32}


def main():
    """Checks a folder, prints what is wrong, and exits with 1 when anything is."""
    folder = pathlib.Path(sys.argv[1])
    files = sorted(folder.glob("*.onnx"))
    failures, runs = [], 0
    for file in files:
        try:
            onnx.checker.check_model(file, full_check=True)
            sample = file.with_suffix(".safetensors")
            if onnxruntime is not None and sample.exists():
                run(
                    file,
                    safetensors.numpy.load_file(sample),
                    float(file.with_suffix(".tolerance").read_text()),
                )
                runs += 1
        except Exception as error:  # the others are still wanted
            failures.append(f"{file.name}: {type(error).__name__}: {error}")
    runtime = f"ONNX Runtime {onnxruntime.__version__}" if onnxruntime else "no ONNX Runtime"
    print(
        f"onnx {onnx.__version__} checked {len(files)} files; {runtime} ran {runs}; "
        f"{len(failures)} failed"
    )
    if failures or not files:
        raise SystemExit("\n".join(failures) or "there is no file")


def run(file, sample, tolerance):
    """Runs a file on its sample and compares each output."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    inputs = {
        port.name: sample[f"in/{port.name}"].astype(BORDERS[port.type])
        for port in session.get_inputs()
    }
    names = [port.name for port in session.get_outputs() if f"out/{port.name}" in sample]
    assert names, "it has none of the outputs of its sample"
    for name, given in zip(names, session.run(names, inputs), strict=True):
        expected = sample[f"out/{name}"].astype(np.float64)
        given = np.asarray(given, dtype=np.float64)
        assert given.size == expected.size, (
            f"{name} has shape {given.shape} instead of {expected.shape}"
        )
        given = given.reshape(expected.shape)
        finite = np.isfinite(expected)
        assert np.array_equal(given[~finite], expected[~finite], equal_nan=True), (
            f"{name} is not finite elsewhere"
        )
        if finite.any():
            largest = max(np.abs(expected[finite]).max(), np.finfo(np.float32).tiny)
            worst = np.abs(given[finite] - expected[finite]).max()
            assert worst <= tolerance * largest, (
                f"{name} differs by {worst}, allowed are {tolerance * largest}"
            )


if __name__ == "__main__":
    main()
