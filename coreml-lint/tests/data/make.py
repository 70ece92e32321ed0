"""Makes the model packages that the tests of coreml-lint read.

Owns: the content of `hostile.mlpackage`, which every rule but ANE071 finds fault with exactly once,
of `clean.mlpackage`, which is too small and otherwise without fault, of `pictures.mlpackage`, the
end of a MobileNet with its classifier, and of `masked.mlpackage`, attention with a mask. Must not:
run in a test; the packages are committed.
Flow: `python make.py` with coremltools 9.0 rewrites all, byte for byte the same every time.
"""

import json
import shutil
import uuid
from pathlib import Path

import coremltools as ct
import numpy as np
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import get_new_symbol, types
from coremltools.proto import Model_pb2

HERE = Path(__file__).parent
half = np.float16


def save(name, program, **options):
    """Converts a program without any pass, and saves it without what is accidental."""
    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS18,
        compute_precision=ct.precision.FLOAT32,  # as it is written
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
        **options,
    )
    folder = HERE / f"{name}.mlpackage"
    shutil.rmtree(folder, ignore_errors=True)
    model.save(str(folder))
    path = folder / "Data/com.apple.CoreML/model.mlmodel"
    specification = Model_pb2.Model.FromString(path.read_bytes())
    specification.description.metadata.userDefined.clear()
    specification.mlProgram.attributes.clear()
    path.write_bytes(specification.SerializeToString(deterministic=True))
    entries = {}
    for file, item, text in (
        ("weights", "com.apple.CoreML/weights", "CoreML Model Weights"),
        ("model.mlmodel", "com.apple.CoreML/model.mlmodel", "CoreML Model Specification"),
    ):
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


def weight(*shape):
    """Returns a weight of small numbers."""
    return np.linspace(-0.5, 0.5, int(np.prod(shape))).reshape(shape).astype(half)


def hostile():
    """Makes one fault after the other."""
    length = get_new_symbol("length")

    @mb.program(
        input_specs=[
            mb.TensorSpec((1, 32, length, 32), dtype=types.fp16),  # ANE001
            mb.TensorSpec((1, 32, 32, 32), dtype=types.fp16),
            mb.StateTensorSpec((1, 30), dtype=types.fp16),  # ANE010, ANE011
        ],
        opset_version=ct.target.iOS18,
    )
    def program(flexible, x, cache):
        mean = mb.reduce_mean(x=flexible, axes=[2], keep_dims=True, name="mean")  # (1, 32, 1, 32)
        x = mb.add(x=x, y=mean, name="sum")
        kept = mb.read_state(input=cache, name="kept")
        kept = mb.concat(values=[kept, weight(1, 2)], axis=1, name="widened")  # (1, 32)
        x = mb.add(x=x, y=kept, name="with_state")

        narrow = mb.reshape(x=x, shape=[1, 1024, 8, 4], name="narrow")  # ANE002
        x = mb.reshape(x=narrow, shape=[1, 32, 32, 32], name="wide")
        five = mb.reshape(x=x, shape=[1, 2, 16, 32, 32], name="five")  # ANE003
        x = mb.reshape(x=five, shape=[1, 32, 32, 32], name="four")
        single = mb.cast(
            x=x, dtype="fp32", name="single"
        )  # ANE004, with an eligible operation before and after: ANE060
        x = mb.cast(x=single, dtype="fp16", name="double")
        long = mb.reshape(x=x, shape=[1, 1, 1, 32768], name="long")  # ANE005
        x = mb.reshape(x=long, shape=[1, 32, 32, 32], name="short")
        row = mb.reshape(x=x, shape=[1024, 32], name="row")
        places = mb.reduce_argmax(
            x=row, axis=1, keep_dims=False, name="places"
        )  # ANE006: int32, [1024]
        embedded = mb.gather(x=weight(32, 32), indices=places, axis=0, name="embedded")  # ANE022
        x = mb.reshape(x=embedded, shape=[1, 32, 32, 32], name="embedding")

        sequence = mb.reshape(x=x, shape=[32, 1, 1024], name="sequence")
        piece = mb.slice_by_size(x=sequence, begin=[0, 0, 0], size=[4, 1, 32], name="piece")
        recurrent, _, _ = mb.lstm(  # ANE020
            x=piece,
            initial_h=np.zeros((1, 32), half),
            initial_c=np.zeros((1, 32), half),
            weight_ih=weight(128, 32),
            weight_hh=weight(128, 32),
            name="recurrent",
        )
        repeated = mb.tile(x=recurrent, reps=[8, 1, 32], name="repeated")  # ANE021
        linear = mb.linear(
            x=sequence, weight=weight(32, 1024), bias=weight(32), name="product"
        )  # ANE030: [32, 1, 32]
        heads = mb.reshape(x=linear, shape=[1, 4, 8, 32], name="heads")
        attention = mb.softmax(x=heads, axis=-1, name="attention")  # ANE031
        fused = mb.scaled_dot_product_attention(  # ANE032
            query=attention, key=attention, value=attention, name="fused"
        )
        image = mb.reshape(x=fused, shape=[1, 1, 32, 32], name="image")
        image = mb.mul(
            x=image,
            y=mb.slice_by_size(x=repeated, begin=[0, 0, 0], size=[1, 1, 32], name="slice"),
            name="i",
        )
        kernel = mb.reshape(
            x=mb.slice_by_size(x=row, begin=[0, 0], size=[4, 32], name="part"), shape=[8, 1, 4, 4]
        )
        y = mb.conv(
            x=image, weight=kernel, pad_type="same", name="dynamic"
        )  # ANE040: [1, 8, 32, 32]
        y = mb.conv(x=y, weight=weight(8, 8, 1, 15), pad_type="same", name="long_kernel")  # ANE041
        y = mb.conv(
            x=y, weight=weight(8, 8, 1, 1), strides=[5, 1], pad_type="valid", name="stride"
        )  # ANE042
        y = mb.conv(
            x=y, weight=weight(8, 8, 1, 2), dilations=[1, 7], pad_type="valid", name="dilated"
        )  # ANE043
        y = mb.max_pool(
            x=y, kernel_sizes=[1, 3], strides=[1, 3], pad_type="valid", name="pooled"
        )  # ANE044
        y = mb.minimum(x=y, y=half(np.inf), name="bounded")  # ANE050
        plane = mb.mul(x=mean, y=weight(1, 1, 64, 1), name="plane")  # [1, 32, 64, 32]
        wave = mb.sin(x=plane, name="wave")  # ANE051
        return mb.reduce_sum(x=y, axes=[1, 2, 3], keep_dims=False, name="y"), wave

    save("hostile", program)


def clean():
    """Makes a model that follows every advice."""

    @mb.program(
        input_specs=[mb.TensorSpec((1, 64, 1, 128), dtype=types.fp16)],
        opset_version=ct.target.iOS18,
    )
    def program(x):
        y = mb.conv(
            x=x, weight=weight(64, 64, 1, 3), pad_type="same", strides=[1, 2], name="encoder_layer"
        )
        y = mb.relu(x=y, name="activation")
        return mb.conv(x=y, weight=weight(64, 64, 1, 1), name="decoder_layer")

    save("clean", program)


def pictures():
    """Makes the last block of a MobileNet, with the classifier that coremltools puts behind it."""

    @mb.program(
        input_specs=[mb.TensorSpec((1, 8, 28, 28), dtype=types.fp32)],
        opset_version=ct.target.iOS18,
    )
    def program(x):
        x = mb.cast(x=x, dtype="fp16", name="half")
        x = mb.conv(x=x, weight=weight(8, 8, 3, 3), pad_type="same", strides=[2, 2], name="first")
        x = mb.conv(x=x, weight=weight(160, 8, 1, 1), name="wide")  # [1, 160, 14, 14]
        x = mb.relu6(x=x, name="active")
        x = mb.conv(x=x, weight=weight(160, 1, 3, 3), pad_type="same", groups=160, name="depth")
        x = mb.reduce_mean(x=x, axes=[2, 3], keep_dims=False, name="mean")
        x = mb.linear(x=x, weight=weight(3, 160), bias=weight(3), name="scores")
        x = mb.softmax(x=x, axis=-1, name="shares")
        return mb.cast(x=x, dtype="fp32", name="probabilities")

    labels = ct.ClassifierConfig(["cat", "dog", "mouse"])
    save("pictures", program, classifier_config=labels)


def masked():
    """Makes attention of four heads with a mask of infinities, and an infinity that is no mask."""

    @mb.program(
        input_specs=[mb.TensorSpec((1, 4, 32, 32), dtype=types.fp16)],
        opset_version=ct.target.iOS18,
    )
    def program(x):
        places = np.triu(np.full((32, 32), -np.inf, half), 1)
        scores = mb.matmul(x=x, y=x, transpose_y=True, name="scores")
        scores = mb.add(x=scores, y=places, name="masked")
        shares = mb.softmax(x=scores, axis=-1, name="shares")
        values = mb.matmul(x=shares, y=x, name="values")
        return mb.maximum(x=values, y=half(-np.inf), name="bounded")

    save("masked", program)


if __name__ == "__main__":
    hostile()
    clean()
    pictures()
    masked()
