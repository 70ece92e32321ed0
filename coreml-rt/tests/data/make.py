"""Makes the model packages and parity samples that the tests of coreml-rt use.

Owns: the content of `packages/`. Must not: run in a test; the packages are committed.
Flow: `python make.py` with torch 2.7.0, coremltools 9.0 and safetensors rewrites `packages/`;
`fixture/mod.rs` lays them out as a build would.
"""

import json
import shutil
import sys
import tempfile
import uuid
from pathlib import Path

import coremltools as ct
import numpy as np
import torch
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parents[3] / "coreml-build" / "python"))
from coreml_driver import canonical, functional, symbols  # noqa: E402

PACKAGES = Path(__file__).parent / "packages"

# So that the package is the same every time.
NAMESPACE = uuid.UUID("6f0f3c0e-0000-4000-8000-000000000000")


class Pets(torch.nn.Module):
    """Tells three animals apart by four numbers."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)
        self.linear.weight = torch.nn.Parameter(torch.sin(torch.arange(12.0).reshape(3, 4)))
        self.linear.bias = torch.nn.Parameter(torch.tensor([0.25, -0.5, 0.0]))

    def forward(self, x):
        return torch.softmax(self.linear(x), dim=-1)


class Mix(torch.nn.Module):
    """Has inputs and outputs of several types, and an input that may be left out."""

    def forward(self, half, ids, scale):
        return half * scale, ids + ids, (half * scale).sum(dim=-1)


class Encoder(torch.nn.Module):
    """Makes three numbers of two rows of four."""

    def forward(self, image):
        return torch.tanh(image.reshape(1, 8) @ torch.linspace(-1, 1, 24).reshape(8, 3))


class Decoder(torch.nn.Module):
    """Makes five numbers of three."""

    def forward(self, code):
        return code @ torch.linspace(-1, 1, 15).reshape(3, 5)


class Wide(torch.nn.Module):
    """Doubles more numbers than are worth copying."""

    def forward(self, wide):
        return wide + wide


class Masked(torch.nn.Module):
    """Keeps what a mask of the same length, which stands upright, has ones for."""

    def forward(self, ids, mask):
        kept = ids * mask.reshape(1, -1)
        return kept, kept.sum(dim=-1)


class Halves(torch.nn.Module):
    """Halves numbers of half precision."""

    def forward(self, wide):
        return wide * 0.5


class Memory(torch.nn.Module):
    """Adds up what it is given, and counts how often."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(2, 3))
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.total.add_(x)
        self.count.add_(1)
        return self.total / self.count


class Text(torch.nn.Module):
    """Doubles numbers, of which there may be one to eight, and sums them."""

    def forward(self, ids):
        return ids * 2.0, ids.sum(dim=1)


class Pair(torch.nn.Module):
    """Multiplies each number of one input with the sum of the other."""

    def forward(self, a, b):
        return a * b.sum()


class Letters(torch.nn.Module):
    """Scales numbers, multiplies all pairs of rows, and finds the mean of those numbers that the
    mask says are real."""

    def forward(self, ids, rows, mask, scale):
        real = ids.float() * mask
        return ids * scale, rows @ rows.T, real.sum(dim=1) / mask.sum(dim=1)


class Encoding(torch.nn.Module):
    """Makes three numbers of four."""

    def forward(self, plain):
        return plain @ torch.linspace(-1, 1, 12).reshape(4, 3)


class Decoding(torch.nn.Module):
    """Makes four numbers of three, by the same matrix."""

    def forward(self, secret):
        return secret @ torch.linspace(-1, 1, 12).reshape(4, 3).T


class Depth(torch.nn.Module):
    """Doubles half-precision pixels."""

    def forward(self, depth):
        return depth * 2


class Photo(torch.nn.Module):
    """Turns colors round, and finds the brightness of each."""

    def forward(self, picture):
        return 255 - picture, picture.mean(dim=(2, 3))


def write(name, module, inputs, outputs, fed, target=ct.target.iOS16, **options):
    """Converts a module and writes its package and one sample."""
    tensors = [
        torch.from_numpy(values).to(torch.float32 if values.dtype == np.float16 else None)
        for values in fed.values()
    ]
    traced = torch.jit.trace(module.eval(), tuple(tensors), check_trace=False)
    model = ct.convert(
        traced,
        inputs=inputs,
        outputs=outputs,
        convert_to="mlprogram",
        minimum_deployment_target=target,
        **options,
    )
    package = PACKAGES / f"{name}.mlpackage"
    with tempfile.TemporaryDirectory() as folder:
        model.save(str(Path(folder) / package.name))
        shutil.copytree(Path(folder) / package.name, package)
    make_repeatable(package)
    if "states" in options:
        save_file(steps(module, tensors, fed, outputs), PACKAGES / f"{name}.safetensors")
        (PACKAGES / f"{name}.safetensors").chmod(0o644)
        return
    results = module(*tensors)
    results = results if isinstance(results, tuple) else (results,)
    names = [output.name for output in outputs] if outputs else ["classLabel_probs"]
    sample = {f"in/{key}": values for key, values in fed.items()}
    sample |= {
        f"out/{key}": result.detach().numpy() for key, result in zip(names, results, strict=True)
    }
    if not outputs:
        label = np.array([int(results[0].argmax())], dtype=np.int32)
        sample = {
            key: value.reshape(-1) if key.startswith("out/") else value
            for key, value in sample.items()
        }
        sample["out/classLabel"] = label
    save_file(sample, PACKAGES / f"{name}.safetensors")
    (PACKAGES / f"{name}.safetensors").chmod(0o644)


def letters(size, name, folder, target):
    """Converts the letters for one length."""
    types = {"ids": (1, size), "rows": (size, 2), "mask": (1, size), "scale": (1,)}
    traced = torch.jit.trace(
        Letters(), tuple(torch.ones(shape) for shape in types.values()), check_trace=False
    )
    kinds = {"ids": np.int32, "mask": np.float16, "scale": np.float32, "rows": np.float32}
    default = {"scale": np.array([2.0], dtype=np.float32)}
    model = ct.convert(
        traced,
        inputs=[ct.TensorType(key, types[key], kinds[key], default.get(key)) for key in types],
        outputs=[ct.TensorType("scaled"), ct.TensorType("products"), ct.TensorType("mean")],
        convert_to="mlprogram",
        minimum_deployment_target=target,
        compute_precision=ct.precision.FLOAT32,
    )
    model.save(str(Path(folder) / f"{name}.mlpackage"))


def write_letters(name, sizes):
    """Writes a package with a function for each size, or with one alone, and what it says of its
    buckets."""
    with tempfile.TemporaryDirectory() as folder:
        target = ct.target.iOS18 if len(sizes) > 1 else ct.target.iOS16
        for size in sizes:
            letters(size, f"bucket_{size}", folder, target)
        package = Path(folder) / f"bucket_{sizes[0]}.mlpackage"
        if len(sizes) > 1:
            package = Path(folder) / "all.mlpackage"
            descriptor = ct.utils.MultiFunctionDescriptor()
            for size in sizes:
                descriptor.add_function(
                    str(Path(folder) / f"bucket_{size}.mlpackage"), "main", f"bucket_{size}"
                )
            descriptor.default_function_name = f"bucket_{sizes[-1]}"
            ct.utils.save_multifunction(descriptor, str(package))
        path = package / "Data" / "com.apple.CoreML" / "model.mlmodel"
        specification = ct.utils.load_spec(str(path))
        buckets = {
            "input": "ids",
            "axis": 1,
            "min": 2,
            "sizes": sizes,
            "padded": [
                {"input": "ids", "axes": [1], "value": 3},
                {"input": "rows", "axes": [0], "value": -1.5},
            ],
            "mask": {"input": "mask", "axis": 1},
            "trimmed": [{"output": "scaled", "axes": [1]}, {"output": "products", "axes": [0, 1]}],
        }
        specification.description.metadata.userDefined["coreml-build.buckets"] = json.dumps(
            buckets, sort_keys=True
        )
        path.write_bytes(specification.SerializeToString(deterministic=True))
        make_repeatable(package)
        shutil.copytree(package, PACKAGES / f"{name}.mlpackage")


def write_cipher():
    """Writes a package with two functions that have nothing in common but a matrix."""
    functions = {
        "encode": (Encoding(), "plain", 4, "secret"),
        "decode": (Decoding(), "secret", 3, "restored"),
    }
    with tempfile.TemporaryDirectory() as folder:
        descriptor = ct.utils.MultiFunctionDescriptor()
        for name, (module, fed, size, output) in functions.items():
            traced = torch.jit.trace(module, (torch.ones(1, size),), check_trace=False)
            model = ct.convert(
                traced,
                inputs=[ct.TensorType(fed, (1, size), np.float32)],
                outputs=[ct.TensorType(output)],
                convert_to="mlprogram",
                minimum_deployment_target=ct.target.iOS18,
                compute_precision=ct.precision.FLOAT32,
            )
            model.save(str(Path(folder) / f"{name}.mlpackage"))
            descriptor.add_function(str(Path(folder) / f"{name}.mlpackage"), "main", name)
        descriptor.default_function_name = "encode"
        package = Path(folder) / "cipher.mlpackage"
        ct.utils.save_multifunction(descriptor, str(package))
        make_repeatable(package)
        shutil.copytree(package, PACKAGES / package.name)


def write_samples_of_letters():
    """Writes inputs of three lengths, none of them padded, with PyTorch's results."""
    for length in (3, 4, 7):
        fed = {
            "ids": np.arange(1, length + 1, dtype=np.int32)[None],
            "rows": np.linspace(-1, 1, 2 * length, dtype=np.float32).reshape(length, 2),
            "mask": np.ones((1, length), dtype=np.float16),
            "scale": np.array([0.5], dtype=np.float32),
        }
        results = Letters()(
            *(torch.from_numpy(fed[key]) for key in ("ids", "rows", "mask", "scale"))
        )
        sample = {f"in/{key}": values for key, values in fed.items()}
        named = zip(("scaled", "products", "mean"), results, strict=True)
        sample |= {f"out/{key}": result.to(torch.float32).numpy() for key, result in named}
        save_file(sample, PACKAGES / f"letters.{length}.safetensors")
        (PACKAGES / f"letters.{length}.safetensors").chmod(0o644)


def steps(module, tensors, fed, outputs):
    """Returns a sample of three steps with growing inputs, states being zero at first."""
    for buffer in module.buffers():
        buffer.zero_()
    sample = {}
    for step in range(3):
        result = module(*(tensor * (step + 1) for tensor in tensors))
        sample |= {
            f"step{step}/in/{key}": values * np.float16(step + 1) for key, values in fed.items()
        }
        sample[f"step{step}/out/{outputs[0].name}"] = result.detach().numpy().copy()
    return sample | {
        f"final_state/{key}": buffer.numpy().copy() for key, buffer in module.named_buffers()
    }


def write_functional(name):
    """Writes the package and the sample of `name` once more, its states being inputs and outputs:
    `NAME_io`."""
    package = PACKAGES / f"{name}_io.mlpackage"
    shutil.copytree(PACKAGES / f"{name}.mlpackage", package)
    functional.to_inputs_and_outputs(package, canonical.read_specification(package), {})
    make_repeatable(package)
    shutil.copy(PACKAGES / f"{name}.safetensors", PACKAGES / f"{name}_io.safetensors")


def write_symbols(name, found):
    """Writes into the package of `name` which of its dimensions have one size."""
    package = PACKAGES / f"{name}.mlpackage"
    symbols.describe(package, canonical.read_specification(package), found, {})
    make_repeatable(package)


def make_repeatable(package):
    """Replaces what differs from run to run: identifiers, the order of maps, and file modes."""
    path = package / "Data" / "com.apple.CoreML" / "model.mlmodel"
    path.write_bytes(ct.utils.load_spec(str(path)).SerializeToString(deterministic=True))
    path.chmod(0o644)
    path = package / "Manifest.json"
    manifest = json.loads(path.read_text())
    items = {
        str(uuid.uuid5(NAMESPACE, item["path"])).upper(): item
        for item in manifest["itemInfoEntries"].values()
    }
    root = next(key for key, item in items.items() if item["path"].endswith(".mlmodel"))
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": items, "rootModelIdentifier": root}
    path.write_text(json.dumps(manifest, indent=4, sort_keys=True))


def main():
    """Rewrites every package."""
    shutil.rmtree(PACKAGES, ignore_errors=True)
    PACKAGES.mkdir()
    tensor = ct.TensorType
    write(
        "pets",
        Pets(),
        [tensor("x", (1, 4), np.float32)],
        None,
        {"x": np.array([[0.5, -1.0, 2.0, 0.25]], dtype=np.float32)},
        classifier_config=ct.ClassifierConfig(["cat", "dog", "gold fish"]),
        compute_precision=ct.precision.FLOAT32,
    )
    write(
        "species",
        Pets(),
        [tensor("x", (1, 4), np.float32)],
        None,
        {"x": np.array([[0.5, -1.0, 2.0, 0.25]], dtype=np.float32)},
        classifier_config=ct.ClassifierConfig(
            [40, -2, 3_000_000_000], predicted_feature_name="species"
        ),
        compute_precision=ct.precision.FLOAT32,
    )
    write(
        "mix",
        Mix(),
        [
            tensor("half", (2, 3), np.float16),
            tensor("ids", (4,), np.int32),
            tensor("scale", (1,), np.float32, default_value=np.array([2.0], dtype=np.float32)),
        ],
        [
            tensor("scaled", dtype=np.float16),
            tensor("doubled", dtype=np.int32),
            tensor("sums", dtype=np.float32),
        ],
        {
            "half": np.array([[0.5, -1.5, 2.0], [4.0, 0.125, -3.0]], dtype=np.float16),
            "ids": np.array([1, -2, 3, 1000], dtype=np.int32),
            "scale": np.array([2.0], dtype=np.float32),
        },
    )
    write(
        "encoder",
        Encoder(),
        [tensor("image", (2, 4), np.float32)],
        [tensor("code")],
        {"image": np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)},
        compute_precision=ct.precision.FLOAT32,
    )
    write(
        "decoder",
        Decoder(),
        [tensor("code", (1, 3), np.float32)],
        [tensor("drawn")],
        {"code": np.array([[0.25, -0.5, 0.75]], dtype=np.float32)},
        compute_precision=ct.precision.FLOAT32,
    )
    write(
        "wide",
        Wide(),
        [tensor("wide", (64, 128), np.float32)],
        [tensor("grown")],
        {"wide": np.linspace(-1, 1, 64 * 128, dtype=np.float32).reshape(64, 128)},
        compute_precision=ct.precision.FLOAT32,
    )
    write(
        "halves",
        Halves(),
        [tensor("wide", (4, 16, 128), np.float16)],
        [tensor("halved", dtype=np.float16)],
        {"wide": np.linspace(-1, 1, 64 * 128).astype(np.float16).reshape(4, 16, 128)},
    )
    state = ct.StateType
    write(
        "memory",
        Memory(),
        [tensor("x", (2, 3), np.float16)],
        [tensor("mean", dtype=np.float16)],
        {"x": np.array([[1.0, 2.0, 3.0], [-4.0, 0.5, 0.0]], dtype=np.float16)},
        target=ct.target.iOS18,
        states=[
            state(tensor(shape=(2, 3), dtype=np.float16), "total"),
            state(tensor(shape=(1,), dtype=np.float16), "count"),
        ],
    )
    write_functional("memory")
    write(
        "text",
        Text(),
        [tensor("ids", (1, ct.RangeDim(1, 8, default=4)), np.float32)],
        [tensor("doubled"), tensor("sum")],
        {"ids": np.array([[1.0, 2.0, 3.0, 4.0]], dtype=np.float32)},
        compute_precision=ct.precision.FLOAT32,
    )
    write(
        "choice",
        Text(),
        [tensor("ids", ct.EnumeratedShapes([(1, 2), (1, 4)], default=(1, 4)), np.float32)],
        [tensor("doubled"), tensor("sum")],
        {"ids": np.array([[1.0, 2.0, 3.0, 4.0]], dtype=np.float32)},
        compute_precision=ct.precision.FLOAT32,
    )
    write(
        "pair",
        Pair(),
        [
            tensor("a", ct.EnumeratedShapes([(1, 2), (1, 4)], default=(1, 4)), np.float32),
            tensor("b", ct.EnumeratedShapes([(1, 3), (1, 6)], default=(1, 6)), np.float32),
        ],
        [tensor("product")],
        {"a": np.ones((1, 4), dtype=np.float32), "b": np.ones((1, 6), dtype=np.float32)},
        target=ct.target.iOS18,
        compute_precision=ct.precision.FLOAT32,
    )
    length = ct.RangeDim(1, 8, default=4)
    write(
        "masked",
        Masked(),
        [tensor("ids", (1, length), np.float32), tensor("mask", (length, 1), np.float32)],
        [tensor("kept"), tensor("sum")],
        {
            "ids": np.array([[1.0, 2.0, 3.0, 4.0]], dtype=np.float32),
            "mask": np.array([[1], [1], [0], [1]], np.float32),
        },
        compute_precision=ct.precision.FLOAT32,
    )
    write_symbols("masked", [symbols.Symbol("T", (("ids", 1), ("mask", 0)), (("kept", 1),))])
    write_letters("letters", [4, 8])
    write_letters("letters_4", [4])
    write_letters("letters_8", [8])
    write_samples_of_letters()
    write_cipher()
    for name, layout in ("photo", ct.colorlayout.RGB), ("photo_bgr", ct.colorlayout.BGR):
        write(
            name,
            Photo(),
            [ct.ImageType("picture", (1, 3, 2, 4), color_layout=layout)],
            [ct.ImageType("negative", color_layout=layout), tensor("brightness", dtype=np.float32)],
            {"picture": np.arange(0, 240, 10, dtype=np.float32).reshape(1, 3, 2, 4)},
            compute_precision=ct.precision.FLOAT32,
        )
    half = ct.colorlayout.GRAYSCALE_FLOAT16
    write(
        "depth",
        Depth(),
        [ct.ImageType("depth", (1, 1, 3, 5), color_layout=half)],
        [ct.ImageType("deeper", color_layout=half)],
        {"depth": np.linspace(-7, 7, 15, dtype=np.float32).reshape(1, 1, 3, 5)},
    )


if __name__ == "__main__":
    main()
