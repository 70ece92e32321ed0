"""Makes the model packages that the tests of coreml-spec read.

Owns: the content of `packages/`. Must not: run in a test; the packages are committed.
Flow: `python make.py` with torch 2.7.0 and coremltools 9.0 rewrites `packages/`, byte for byte the
same every time.
"""

import json
import shutil
import struct
import uuid
from pathlib import Path

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
import torch
from coremltools.libmilstoragepython import _BlobStorageWriter as BlobWriter
from coremltools.proto import MIL_pb2 as mil
from coremltools.proto import Model_pb2

PACKAGES = Path(__file__).parent / "packages"

# Elements of each tensor in `constants`: not a multiple of 8, so that packed types end inside a
# byte.
COUNT = 21


class Scale(torch.nn.Module):
    """Halves each channel of a picture."""

    def forward(self, x):
        return x * 0.5


class Add(torch.nn.Module):
    """Adds two tensors."""

    def forward(self, x, y):
        return x + y


class Linear(torch.nn.Module):
    """One matrix of known weights."""

    def __init__(self, inputs=16, outputs=32, factor=1.0):
        super().__init__()
        self.linear = torch.nn.Linear(inputs, outputs)
        weights = torch.arange(inputs * outputs, dtype=torch.float32).reshape(outputs, inputs)
        self.linear.weight = torch.nn.Parameter(torch.sin(weights) * factor)
        self.linear.bias = torch.nn.Parameter(torch.linspace(-1, 1, outputs))

    def forward(self, x):
        return self.linear(x)


class Cache(torch.nn.Module):
    """Adds its input to a state."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(2, 3, dtype=torch.float16))

    def forward(self, x):
        self.total.add_(x)
        return self.total * 2


class Where(torch.nn.Module):
    """Has an output whose size depends on the data."""

    def forward(self, x):
        return torch.nonzero(x)


def convert(module, shapes, **options):
    """Traces and converts a module, iOS 16 unless said otherwise."""
    options.setdefault("minimum_deployment_target", ct.target.iOS16)
    traced = torch.jit.trace(
        module.eval(), tuple(torch.rand(shape) for shape in shapes), check_trace=False
    )
    return ct.convert(traced, convert_to="mlprogram", **options)


def save(name, model):
    """Saves a model as a package and takes the accidental out of its bytes."""
    folder = PACKAGES / f"{name}.mlpackage"
    model.save(str(folder))
    canonicalize(folder)


def canonicalize(folder):
    """Makes a package the same on every run: ordered maps, fixed identifiers, no date, no
    machine-specific version."""
    path = folder / "Data/com.apple.CoreML/model.mlmodel"
    model = Model_pb2.Model.FromString(path.read_bytes())
    for key in ("conversion_date", "source"):
        model.description.metadata.userDefined.pop(f"com.github.apple.coremltools.{key}", None)
    model.mlProgram.attributes.clear()
    path.write_bytes(model.SerializeToString(deterministic=True))
    items = []
    if (path.parent / "weights").exists():
        items.append(("weights", "com.apple.CoreML/weights", "CoreML Model Weights"))
    items.append(("model.mlmodel", "com.apple.CoreML/model.mlmodel", "CoreML Model Specification"))
    entries = {}
    for file, item, text in items:
        identifier = str(uuid.uuid5(uuid.NAMESPACE_URL, item))
        entries[identifier] = {
            "author": "com.apple.CoreML",
            "description": text,
            "name": file,
            "path": item,
        }
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": identifier,
    }
    (folder / "Manifest.json").write_text(json.dumps(manifest, indent=4, sort_keys=True) + "\n")


def tensors():
    """Shapes of tensors: fixed, ranged, enumerated, exported, of unknown size."""
    described = convert(
        Linear(), [(1, 16)], inputs=[ct.TensorType("x", (1, 16))], outputs=[ct.TensorType("y")]
    )
    described.short_description = "A matrix."
    described.author = "The tests"
    described.license = "MIT"
    described.version = "3"
    described.input_description["x"] = "What goes in."
    described.output_description["y"] = "What comes out."
    described.user_defined_metadata["key"] = "value"
    save("fixed", described)
    half = dict(minimum_deployment_target=ct.target.iOS18, compute_units=ct.ComputeUnit.CPU_ONLY)
    save(
        "float16",
        convert(
            Linear(4, 2),
            [(3, 4)],
            inputs=[ct.TensorType("x", (3, 4), np.float16)],
            outputs=[ct.TensorType("y", dtype=np.float16)],
            **half,
        ),
    )
    save(
        "int32",
        convert(
            Add(),
            [(), (5,)],
            inputs=[ct.TensorType("x", (1,), np.int32), ct.TensorType("y", (5,), np.int32)],
            outputs=[ct.TensorType("z", dtype=np.int32)],
        ),
    )
    batch = ct.RangeDim(1, 9, default=4)
    save(
        "ranges",
        convert(
            Add(),
            [(4, 3), (4, 3)],
            outputs=[ct.TensorType("z", dtype=np.float32)],
            inputs=[
                ct.TensorType("x", (batch, 3), np.float32),
                ct.TensorType(
                    "y", (batch, 3), np.float32, default_value=np.full((4, 3), 2.5, np.float32)
                ),
            ],
        ),
    )
    shapes = ct.EnumeratedShapes(shapes=[(1, 4), (1, 8), (2, 8)], default=(1, 8))
    save(
        "enumerated",
        convert(
            Scale(),
            [(1, 8)],
            inputs=[ct.TensorType("x", shapes, np.float32)],
            outputs=[ct.TensorType("y", dtype=np.float32)],
        ),
    )
    exported = torch.export.export(
        Scale().eval(),
        (torch.rand(4, 3),),
        dynamic_shapes={"x": {0: torch.export.Dim("batch", min=2, max=64)}},
    )
    save(
        "exported",
        ct.convert(
            exported.run_decompositions({}),
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS16,
            outputs=[ct.TensorType("y", dtype=np.float32)],
        ),
    )
    save(
        "unknown",
        convert(
            Where(),
            [(4, 3)],
            inputs=[ct.TensorType("x", (4, 3), np.float32)],
            outputs=[ct.TensorType("places", dtype=np.int32)],
        ),
    )


def images():
    """Pictures in and out, with every form of size."""
    layout = ct.colorlayout
    save(
        "image",
        convert(
            Scale(),
            [(1, 3, 8, 6)],
            outputs=[ct.ImageType("y", color_layout=layout.BGR)],
            inputs=[ct.ImageType("x", (1, 3, 8, 6), scale=1 / 255, bias=[0.1, 0.2, 0.3])],
        ),
    )
    save(
        "image_gray",
        convert(
            Add(),
            [(1, 1, 8, 6)] * 2,
            outputs=[ct.ImageType("z", color_layout=layout.GRAYSCALE_FLOAT16)],
            inputs=[
                ct.ImageType("x", (1, 1, 8, 6), color_layout=layout.GRAYSCALE),
                ct.ImageType("y", (1, 1, 8, 6), color_layout=layout.GRAYSCALE_FLOAT16),
            ],
        ),
    )
    ranged = (1, 3, ct.RangeDim(4, 32, default=8), ct.RangeDim(2, 64, default=6))
    save(
        "image_ranges",
        convert(
            Scale(),
            [(1, 3, 8, 6)],
            inputs=[ct.ImageType("x", ranged)],
            outputs=[ct.TensorType("y", dtype=np.float32)],
        ),
    )
    shapes = ct.EnumeratedShapes(shapes=[(1, 3, 4, 4), (1, 3, 8, 6)], default=(1, 3, 8, 6))
    save(
        "image_enumerated",
        convert(
            Scale(),
            [(1, 3, 8, 6)],
            inputs=[ct.ImageType("x", shapes)],
            outputs=[ct.TensorType("y", dtype=np.float32)],
        ),
    )


def classifiers():
    """Classifiers with text and number labels."""

    def classify(labels, **names):
        module = torch.nn.Sequential(Linear(4, 3), torch.nn.Softmax(-1))
        return convert(
            module,
            [(1, 4)],
            inputs=[ct.TensorType("x", (1, 4))],
            classifier_config=ct.ClassifierConfig(labels, **names),
        )

    save("classifier_strings", classify(["cat", "a dog", "größe"], predicted_feature_name="animal"))
    save("classifier_ints", classify([7, -1, 2**40]))


def functions():
    """States and several functions."""
    save(
        "state",
        convert(
            Cache(),
            [(2, 3)],
            minimum_deployment_target=ct.target.iOS18,
            inputs=[ct.TensorType("x", (2, 3), np.float16)],
            outputs=[ct.TensorType("y", dtype=np.float16)],
            states=[ct.StateType(ct.TensorType(shape=(2, 3), dtype=np.float16), name="total")],
        ),
    )
    described = ct.utils.MultiFunctionDescriptor()
    for name, batch in (("one", 1), ("four", 4)):
        part = convert(
            Linear(),
            [(batch, 16)],
            minimum_deployment_target=ct.target.iOS18,
            inputs=[ct.TensorType("x", (batch, 16), np.float16)],
            outputs=[ct.TensorType("y", dtype=np.float16)],
        )
        path = PACKAGES / f"{name}.part.mlpackage"
        part.save(str(path))
        described.add_function(str(path), src_function_name="main", target_function_name=name)
    described.default_function_name = "four"
    folder = PACKAGES / "multifunction.mlpackage"
    ct.utils.save_multifunction(described, str(folder))
    canonicalize(folder)
    for part in PACKAGES.glob("*.part.mlpackage"):
        shutil.rmtree(part)


def compressed():
    """Weights in every compressed form that coremltools writes."""

    def matrix():
        return convert(
            Linear(),
            [(1, 16)],
            minimum_deployment_target=ct.target.iOS18,
            inputs=[ct.TensorType("x", (1, 16))],
            outputs=[ct.TensorType("y")],
        )

    def config(options):
        return cto.OptimizationConfig(global_config=options)

    int4 = cto.OpLinearQuantizerConfig(
        dtype="int4", granularity="per_block", block_size=8, weight_threshold=0
    )
    save("int4", cto.linear_quantize_weights(matrix(), config(int4)))
    int8 = cto.OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=0)
    save(
        "int8",
        cto.linear_quantize_weights(
            convert(Linear(), [(1, 16)], inputs=[ct.TensorType("x", (1, 16))]), config(int8)
        ),
    )
    save(
        "palettized",
        cto.palettize_weights(
            matrix(), config(cto.OpPalettizerConfig(mode="uniform", nbits=3, weight_threshold=0))
        ),
    )
    save(
        "sparse",
        cto.prune_weights(
            matrix(), config(cto.OpMagnitudePrunerConfig(target_sparsity=0.5, weight_threshold=0))
        ),
    )


def constants():
    """A tensor of every element type, in a weight file and in place; element `i` is `i` as far as
    the type goes."""
    model = Model_pb2.Model(specificationVersion=9)
    output = model.description.output.add(name="float32")
    output.type.multiArrayType.dataType = 65568
    function = model.mlProgram.functions["main"]
    function.opset = "CoreML8"
    block = function.block_specializations["CoreML8"]
    block.outputs.append("float32")
    folder = PACKAGES / "constants.mlpackage/Data/com.apple.CoreML"
    (folder / "weights").mkdir(parents=True)
    writer = BlobWriter(str(folder / "weights/weight.bin"))

    def constant(name, code):
        """Adds an operation and returns its value."""
        operation = block.operations.add(type="const")
        result = operation.outputs.add(name=name)
        result.type.tensorType.dataType = code
        result.type.tensorType.rank = 1
        result.type.tensorType.dimensions.add().constant.size = COUNT
        value = operation.attributes["val"]
        value.type.CopyFrom(result.type)
        return value

    def pack(values, bits):
        """Packs codes, low bits first."""
        number = sum(int(value) << (bits * index) for index, value in enumerate(values))
        return number.to_bytes((bits * len(values) + 7) // 8, "little")

    def place(name, code, offset, file="weight.bin"):
        """Adds a constant in a weight file."""
        constant(name, code).blobFileValue.CopyFrom(
            mil.Value.BlobFileValue(fileName=f"@model_path/weights/{file}", offset=offset)
        )

    numbers = np.arange(COUNT)
    for bits in (1, 2, 3, 4, 6):
        code = getattr(mil, f"UINT{bits}")
        values = numbers % 2**bits
        place(
            f"uint{bits}", code, getattr(writer, f"write_uint{bits}_data")(values.astype(np.uint8))
        )
        constant(f"uint{bits}_here", code).immediateValue.tensor.bytes.values = pack(values, bits)
    signed = (numbers % 16) - 8
    place("int4", mil.INT4, writer.write_int4_data(signed.astype(np.int8)))
    constant("int4_here", mil.INT4).immediateValue.tensor.bytes.values = pack(signed % 16, 4)
    for name, dtype in (
        ("uint8", np.uint8),
        ("int8", np.int8),
        ("uint16", np.uint16),
        ("int16", np.int16),
        ("uint32", np.uint32),
        ("int32", np.int32),
    ):
        values = (numbers - 10 if name[0] == "i" else numbers).astype(dtype)
        code = getattr(mil, name.upper())
        place(name, code, getattr(writer, f"write_{name}_data")(values))
        tensor = constant(f"{name}_here", code).immediateValue.tensor
        if name.endswith("8"):
            tensor.bytes.values = values.tobytes()
        else:
            tensor.ints.values.extend(values.tolist())
    half = numbers.astype(np.float16)
    place("float16", mil.FLOAT16, writer.write_fp16_data(half.view(np.uint16)))
    constant("float16_here", mil.FLOAT16).immediateValue.tensor.bytes.values = half.tobytes()
    place("float32", mil.FLOAT32, writer.write_float_data(numbers.astype(np.float32)))
    constant("float32_here", mil.FLOAT32).immediateValue.tensor.floats.values.extend(numbers)
    constant("float64_here", mil.FLOAT64).immediateValue.tensor.doubles.values.extend(numbers)
    constant("int64_here", mil.INT64).immediateValue.tensor.longInts.values.extend(
        (numbers - 10).tolist()
    )
    constant("uint64_here", mil.UINT64).immediateValue.tensor.longInts.values.extend(
        numbers.tolist()
    )
    constant("bool_here", mil.BOOL).immediateValue.tensor.bools.values.extend(
        (numbers % 2 == 1).tolist()
    )
    constant("string_here", mil.STRING).immediateValue.tensor.strings.values.extend(
        map(str, numbers)
    )
    del writer
    # coremltools has no writer for these: a second file in the same format.
    small = {
        "bfloat16": (
            mil.BFLOAT16,
            5,
            torch.arange(COUNT).to(torch.bfloat16).view(torch.uint8).numpy().tobytes(),
        ),
        "float8e4m3fn": (
            mil.FLOAT8E4M3FN,
            16,
            torch.arange(COUNT).to(torch.float8_e4m3fn).view(torch.uint8).numpy().tobytes(),
        ),
        "float8e5m2": (
            mil.FLOAT8E5M2,
            17,
            torch.arange(COUNT).to(torch.float8_e5m2).view(torch.uint8).numpy().tobytes(),
        ),
    }
    content = bytearray(struct.pack("<II56x", len(small), 2))
    for name, (code, blob_code, data) in small.items():
        offset = len(content)
        content += struct.pack("<IIQQQ32x", 0xDEADBEEF, blob_code, len(data), offset + 64, 0) + data
        content += bytes(-len(content) % 64)
        place(name, code, offset, "small.bin")
    (folder / "weights/small.bin").write_bytes(content)
    (folder / "model.mlmodel").write_bytes(model.SerializeToString(deterministic=True))
    canonicalize(folder.parent.parent)


def main():
    """Rewrites every package."""
    shutil.rmtree(PACKAGES, ignore_errors=True)
    PACKAGES.mkdir()
    for make in (tensors, images, classifiers, functions, compressed, constants):
        make()


if __name__ == "__main__":
    main()
