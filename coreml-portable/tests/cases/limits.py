"""Programs that meet a limit of the table: valid, and nothing that some engine can express.

Owns: one program for each limit; it is called `OPERATION-NUMBER`. Must not: hold inputs or outputs;
no engine runs them all.
Flow: `python generate.py limits` writes `limits.safetensors`; `table.rs` loads each and reads the
errors.
"""

import coremltools as ct
import numpy as np
from archive import convert
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import get_new_symbol, types


def generate(archive):
    """Adds every program."""
    varying = get_new_symbol()
    square = (1, 4, 4, 4)
    kernel = np.zeros((2, 4, 3, 3, 3), np.float32)
    volume = [(1, 4, 6, 6, varying)]
    image = [(1, 4, 6, varying)]

    add(archive, "conv-1", volume, lambda x: mb.conv(x=x, weight=kernel, pad_type="same"))
    add(
        archive,
        "max_pool-1",
        volume,
        lambda x: mb.max_pool(x=x, kernel_sizes=[2, 2, 2], pad_type="same"),
    )
    add(
        archive,
        "avg_pool-1",
        volume,
        lambda x: mb.avg_pool(x=x, kernel_sizes=[2, 2, 2], pad_type="valid"),
    )
    add(
        archive,
        "conv_transpose-1",
        image,
        lambda x: mb.conv_transpose(
            x=x,
            weight=np.zeros((4, 2, 2, 2), np.float32),
            output_shape=[1, 2, 12, 12],
            strides=[2, 2],
        ),
    )
    for number, (kind, bits) in enumerate([("lut", 8), ("linear", 4)], 1):
        add(
            archive,
            f"conv_quantized-{number}",
            [square],
            lambda x, kind=kind, bits=bits: quantized(x, kind, bits),
        )
    add(
        archive,
        "resize_bilinear-1",
        image,
        lambda x: mb.resize_bilinear(
            x=x, target_size_height=8, target_size_width=8, sampling_mode="OFFSET_CORNERS"
        ),
    )
    add(
        archive,
        "upsample_bilinear-1",
        [square],
        lambda x: mb.upsample_bilinear(
            x=x,
            scale_factor_height=2.0,
            scale_factor_width=2.0,
            align_corners=True,
            half_pixel_centers=True,
        ),
        "iOS16",
    )
    add(
        archive,
        "resize-1",
        [square],
        lambda x: mb.resize(
            x=x,
            shape=[8, 8],
            resized_dims=np.uint32(2),
            interpolation_mode="NEAREST_NEIGHBOR",
            sampling_mode="ALIGN_CORNERS",
        ),
        "iOS17",
    )
    add(
        archive,
        "affine-1",
        [(1, 1, 4, 4), (1, 6)],
        lambda x, m: mb.affine(
            x=x,
            transform_matrix=m,
            output_height=5000,
            output_width=5000,
            sampling_mode="bilinear",
            padding_mode="constant",
            padding_value=0.0,
            coordinates_mode="normalized_minus_one_to_one",
            align_corners=True,
        ),
    )
    add(archive, "instance_norm-1", [(1, varying, 4, 4)], lambda x: mb.instance_norm(x=x))
    add(
        archive,
        "scaled_dot_product_attention-1",
        [(1, 2, 3, varying)] * 3,
        lambda q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v),
        "iOS18",
    )
    add(
        archive,
        "scatter-1",
        [(4,)],
        lambda x: mb.cast(
            x=mb.scatter(
                data=mb.cast(x=x, dtype="int32"),
                indices=np.int32([1]),
                updates=np.int32([2]),
                mode="div",
            ),
            dtype="fp32",
        ),
    )
    table = np.zeros((1, 1, 2, 300), np.float32)
    indices = np.zeros((1, 2), types.nptype_from_builtin(types.string_to_builtin("uint1")))
    add(
        archive,
        "constexpr_lut_to_dense-1",
        [(1, 600)],
        lambda x: mb.add(
            x=x, y=mb.constexpr_lut_to_dense(indices=indices, lut=table, vector_axis=np.int32(1))
        ),
        "iOS18",
    )
    state(archive)


def quantized(x, kind, bits):
    """A convolution with quantized weights."""
    return mb.conv_quantized(
        x=x,
        weight=np.zeros((2, 4, 1, 1), np.uint8),
        quantization_type=kind,
        nbits=np.int32(bits),
        quant_scale=np.ones(2, np.float32),
        quant_bias=np.zeros(2, np.float32),
    )


def state(archive):
    """Adds a program that writes a state inside of a branch."""
    specs = [
        mb.TensorSpec(shape=(1,), dtype=types.fp16),
        mb.StateTensorSpec(shape=(3,), dtype=types.fp16),
    ]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS18)
    def built(x, kept):
        before = mb.read_state(input=kept)
        again = mb.cond(
            pred=mb.squeeze(x=mb.greater(x=x, y=np.float16(0))),
            _true_fn=lambda: mb.coreml_update_state(
                state=kept, value=mb.mul(x=before, y=np.float16(2))
            ),
            _false_fn=lambda: mb.identity(x=before),
        )
        return mb.identity(x=again, name="y")

    archive.add("write_state-1", converted(built, "iOS18"), {}, {}, 0.0)


def add(archive, name, shapes, build, target="iOS15"):
    """Adds a program of float32 inputs; a symbol among the sizes varies."""
    names = list("xabcdefg"[: len(shapes)])
    specs = [mb.TensorSpec(shape=shape, dtype=types.fp32) for shape in shapes]
    source = f"lambda {', '.join(names)}: mb.identity(x=build({', '.join(names)}), name='y')"
    function = eval(source, {"build": build, "mb": mb})  # noqa: S307  (the names are those of the line above)
    try:
        model = converted(
            mb.program(input_specs=specs, opset_version=getattr(ct.target, target))(function),
            target,
        )
    except Exception as error:  # the others are still wanted; `write` reports all that failed
        archive.failures.append(f"{name}: {type(error).__name__}: {error}")
        return
    archive.add(name, model, {}, {}, 0.0)


def converted(built, target):
    """Converts a program that no pass shall touch."""
    inputs = []
    for name, variable in built.functions["main"].inputs.items():
        if types.is_state(variable.sym_type):
            continue
        sizes = [
            ct.RangeDim(1, 64) if not isinstance(size, (int, np.integer)) else size
            for size in variable.shape
        ]
        inputs.append(ct.TensorType(name=name, shape=sizes))
    ranged = any(isinstance(size, ct.RangeDim) for tensor in inputs for size in tensor.shape.shape)
    return convert(
        built,
        target=target,
        pass_pipeline=ct.PassPipeline.EMPTY,
        **({"inputs": inputs} if ranged else {}),
    )
