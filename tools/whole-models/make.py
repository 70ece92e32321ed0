"""Whole models with random weights, converted by coremltools, with samples computed by PyTorch in
single precision.

    python tools/whole-models/make.py FOLDER [NAME ...] [--onnx]

writes `NAME-VARIANT.mlpackage` and `NAME-VARIANT.safetensors` for every network, or for the named
ones. With `--onnx` also `NAME.onnx` by PyTorch's own exporter, which `bench-portable` compares
with. The same seeds give the same weights and samples on each run. Wants the packages of
`requirements.txt`, and nothing from a model hub.

Owns: the command line. Flow: families → `package.py`.
"""

import argparse
import pathlib
import sys
import time

import package
import recurrent
import speech
import text
import torch
import vision

NETWORKS = vision.NETWORKS | text.NETWORKS | recurrent.NETWORKS | speech.NETWORKS


def main() -> int:
    """Writes the models and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path, help="where to write")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NETWORKS)}")
    parser.add_argument("--onnx", action="store_true", help="also write PyTorch's own ONNX export")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in NETWORKS]
    if unknown:
        parser.error(f"there is no network {', '.join(unknown)}; there are {', '.join(NETWORKS)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    failures = []
    for name in arguments.names or NETWORKS:
        network = NETWORKS[name]()
        for variant in network.variants:
            start = time.monotonic()
            try:
                path = package.write(arguments.folder, name, network, variant)
            except Exception as error:  # the other models are still wanted
                failures.append(f"{name}-{variant}: {type(error).__name__}: {error}")
                print(failures[-1], flush=True)
                continue
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            print(f"{path.name}: {size / 1e6:.1f} MB, {time.monotonic() - start:.1f} s", flush=True)
        if arguments.onnx and network.exportable:
            try:
                package.export(arguments.folder, name, network)
            except Exception as error:  # likewise
                failures.append(f"{name}.onnx: {type(error).__name__}: {error}")
                print(failures[-1], flush=True)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
