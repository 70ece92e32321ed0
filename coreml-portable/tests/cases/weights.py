"""Compressed weights: every `constexpr_*` operation, alone, combined, and as coremltools'
optimizers write them.

The reference of single operations is coremltools' own decompression; of networks, PyTorch with the
decompressed weights.

Flow: `generate.py` → here → `archive.py`.
"""

import coremltools as ct
import coremltools.optimize as cto
import numpy as np
import torch
from archive import TOLERANCES, Operations, convert
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.ops.defs.iOS16 import constexpr_ops as ios16
from coremltools.converters.mil.mil.ops.defs.iOS18 import compression as ios18
from coremltools.converters.mil.mil.types.type_mapping import nptype_from_builtin
from coremltools.optimize import _utils as packing
from torch import nn

f32 = np.float32


def generate(archive):
    """Adds all cases."""
    ops = Operations(archive)
    older(ops)
    newer(ops)
    optimized(archive)


def add(ops, name, make, expected, targets):
    """Adds a case whose output is an input plus the expanded weight."""
    x = np.zeros(expected.shape, f32)
    ops.add(name, {"x": x}, lambda x: mb.add(x=x, y=make()), expected.astype(f32), targets)


def older(ops):
    """Adds the operations of iOS 16."""
    rng = np.random.default_rng(0)
    for dtype in (np.int8, np.uint8):
        info = np.iinfo(dtype)
        codes = rng.integers(info.min, info.max + 1, (4, 3, 2)).astype(dtype)
        for axis, shape in ((0, (4,)), (1, (3,)), (-1, (2,)), (0, ())):
            scale, zero = (
                rng.uniform(0.1, 1, shape).astype(f32),
                rng.integers(info.min, info.max + 1, shape).astype(dtype),
            )
            arguments = {
                "quantized_data": codes,
                "zero_point": zero,
                "scale": scale,
                "axis": np.int32(axis),
            }
            expected = ios16.constexpr_affine_dequantize.decompress(codes, zero, scale, axis)
            add(
                ops,
                f"affine_dequantize_{dtype.__name__}_{axis}_{len(shape)}".replace("-", "n"),
                lambda a=arguments: mb.constexpr_affine_dequantize(**a),
                expected,
                ("iOS16",),
            )
    halves = rng.normal(size=(3, 4)).astype(np.float16)
    add(
        ops,
        "cast",
        lambda: mb.constexpr_cast(source_val=halves, output_dtype="fp32"),
        halves,
        ("iOS16", "iOS18"),
    )
    for bits in (1, 2, 4, 6, 8):
        lut, codes = (
            rng.normal(size=2**bits).astype(f32),
            rng.integers(0, 2**bits, 35).astype(np.uint8),
        )
        packed = packing.pack_elements_into_bits(codes, bits)
        add(
            ops,
            f"lut_to_dense_{bits}",
            lambda l=lut, p=packed: mb.constexpr_lut_to_dense(
                indices=p, lut=l, shape=np.uint32([5, 7])
            ),
            lut[codes].reshape(5, 7),
            ("iOS16",),
        )
    dense = rng.normal(size=(5, 7)).astype(f32) * (rng.uniform(size=(5, 7)) < 0.4)
    mask = np.packbits(dense.flatten() != 0, bitorder="little")
    add(
        ops,
        "sparse_to_dense",
        lambda: mb.constexpr_sparse_to_dense(
            nonzero_data=dense[dense != 0].astype(f32), mask=mask, shape=np.uint32(dense.shape)
        ),
        dense,
        ("iOS16",),
    )


def narrow(array, builtin):
    """Returns integers of a type that NumPy has not."""
    return array.astype(nptype_from_builtin(builtin))


def newer(ops):
    """Adds the operations of iOS 18, and their combinations."""
    rng = np.random.default_rng(1)
    target = ("iOS18",)
    kinds = {
        "int4": (types.int4, -8, 8),
        "uint4": (types.uint4, 0, 16),
        "int8": (types.int8, -128, 128),
        "uint8": (types.uint8, 0, 256),
    }
    for name, (kind, low, high) in kinds.items():
        for blocks in ((1, 1), (4, 1), (2, 3), (4, 6)):
            codes = narrow(rng.integers(low, high, (4, 6)), kind)
            scale, offset = (
                rng.uniform(0.1, 1, blocks).astype(f32),
                narrow(rng.integers(low, high, blocks), kind),
            )
            expected = ios18.constexpr_blockwise_shift_scale.decompress(
                codes.astype(f32), scale, offset.astype(f32)
            )
            add(
                ops,
                f"blockwise_{name}_{blocks[0]}_{blocks[1]}",
                lambda c=codes, s=scale, o=offset: mb.constexpr_blockwise_shift_scale(
                    data=c, scale=s, offset=o
                ),
                expected,
                target,
            )
    codes, scale = (
        narrow(rng.integers(-128, 128, (4, 6)), types.int8),
        rng.uniform(0.1, 1, (1, 2)).astype(f32),
    )
    add(
        ops,
        "blockwise_plain",
        lambda: mb.constexpr_blockwise_shift_scale(data=codes, scale=scale),
        ios18.constexpr_blockwise_shift_scale.decompress(codes.astype(f32), scale, None),
        target,
    )
    for bits in (1, 2, 3, 4, 6, 8):
        kind = getattr(types, f"uint{bits}")
        for groups in ((1, 1), (2, 3)):
            indices, lut = (
                narrow(rng.integers(0, 2**bits, (4, 6)), kind),
                rng.normal(size=(*groups, 2**bits, 1)).astype(f32),
            )
            add(
                ops,
                f"lut_{bits}_{groups[0]}",
                lambda i=indices, l=lut: mb.constexpr_lut_to_dense(indices=i, lut=l),
                ios18.constexpr_lut_to_dense.decompress(indices, lut, None),
                target,
            )
    for axis in (0, 1, -1):
        indices, lut = (
            narrow(rng.integers(0, 4, (4, 6)), types.uint2),
            rng.normal(size=(2, 1, 4, 3)).astype(f32),
        )
        add(
            ops,
            f"lut_vector_{axis}".replace("-", "n"),
            lambda i=indices, l=lut, a=axis: mb.constexpr_lut_to_dense(
                indices=i, lut=l, vector_axis=np.int32(a)
            ),
            ios18.constexpr_lut_to_dense.decompress(indices, lut, axis),
            target,
        )
    mask = narrow(rng.integers(0, 2, (4, 6)), types.uint1)
    set_bits = int((mask != 0).sum())
    values = rng.normal(size=set_bits).astype(f32)
    add(
        ops,
        "sparse",
        lambda: mb.constexpr_sparse_to_dense(nonzero_data=values, mask=mask),
        ios18.constexpr_sparse_to_dense.decompress(values, mask),
        target,
    )
    for axis, width in ((None, 1), (0, 2), (1, 3)):
        indices, lut = (
            narrow(rng.integers(0, 4, set_bits), types.uint2),
            rng.normal(size=(1, 1, 4, width)).astype(f32),
        )
        options = {} if axis is None else {"vector_axis": np.int32(axis)}

        def sparse_lut(i=indices, l=lut, o=options):
            wide, data = mb.constexpr_lut_to_sparse(
                indices_mask=mask, indices_nonzero_data=i, lut=l, **o
            )
            return mb.constexpr_sparse_to_dense(nonzero_data=data, mask=wide)

        wide, data = ios18.constexpr_lut_to_sparse.decompress(mask, indices, lut, axis)
        add(
            ops,
            f"sparse_lut_{axis}",
            sparse_lut,
            ios18.constexpr_sparse_to_dense.decompress(data, wide),
            target,
        )
    codes = narrow(rng.integers(-128, 128, set_bits), types.int8)
    scale, offset = (
        rng.uniform(0.1, 1, (4, 1)).astype(f32),
        narrow(rng.integers(-128, 128, (4, 1)), types.int8),
    )

    def sparse_scale():
        same, data = mb.constexpr_sparse_blockwise_shift_scale(
            data_mask=mask, nonzero_data=codes, scale=scale, offset=offset
        )
        return mb.constexpr_sparse_to_dense(nonzero_data=data, mask=same)

    same, data = ios18.constexpr_sparse_blockwise_shift_scale.decompress(mask, codes, scale, offset)
    add(
        ops,
        "sparse_blockwise",
        sparse_scale,
        ios18.constexpr_sparse_to_dense.decompress(data, same),
        target,
    )
    indices, table = (
        narrow(rng.integers(0, 16, (4, 6)), types.uint4),
        narrow(rng.integers(-128, 128, (1, 1, 16, 1)), types.int8),
    )
    scale = rng.uniform(0.1, 1, (4, 1)).astype(f32)
    add(
        ops,
        "lut_then_scale",
        lambda: mb.constexpr_blockwise_shift_scale(
            data=mb.constexpr_lut_to_dense(indices=indices, lut=table), scale=scale
        ),
        scale * ios18.constexpr_lut_to_dense.decompress(indices, table, None),
        target,
    )


class Network(nn.Module):
    """A convolution and a linear layer, large enough for coremltools to compress."""

    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(8, 16, 3, padding=1), nn.Linear(64, 32)

    def forward(self, x):
        """Maps images to a vector."""
        return self.linear(torch.relu(self.conv(x)).mean(1).flatten(1))


def optimized(archive):
    """Adds a network with each of coremltools' compressions; the reference runs the decompressed
    weights."""
    torch.manual_seed(0)
    network, x = Network().eval(), torch.randn(1, 8, 8, 8)
    traced = torch.jit.trace(network, x)
    linear = {
        "int8": cto.coreml.OpLinearQuantizerConfig(
            mode="linear_symmetric", dtype="int8", weight_threshold=0
        ),
        "uint8": cto.coreml.OpLinearQuantizerConfig(
            mode="linear", dtype="uint8", weight_threshold=0
        ),
        "int4": cto.coreml.OpLinearQuantizerConfig(
            mode="linear_symmetric",
            dtype="int4",
            granularity="per_block",
            block_size=8,
            weight_threshold=0,
        ),
    }
    for name, config in linear.items():
        target = "iOS18" if name == "int4" else "iOS16"
        compress(
            archive,
            name,
            traced,
            network,
            x,
            target,
            lambda model, config=config: cto.coreml.linear_quantize_weights(
                model, cto.coreml.OptimizationConfig(global_config=config)
            ),
        )
    for bits in (4, 6, 8):
        config = cto.coreml.OpPalettizerConfig(mode="uniform", nbits=bits, weight_threshold=0)
        for target in ("iOS16", "iOS18"):
            compress(
                archive,
                f"palette{bits}",
                traced,
                network,
                x,
                target,
                lambda model, config=config: cto.coreml.palettize_weights(
                    model, cto.coreml.OptimizationConfig(global_config=config)
                ),
            )
    config = cto.coreml.OpMagnitudePrunerConfig(target_sparsity=0.6, weight_threshold=0)
    for target in ("iOS16", "iOS18"):
        compress(
            archive,
            "sparse",
            traced,
            network,
            x,
            target,
            lambda model: cto.coreml.prune_weights(
                model, cto.coreml.OptimizationConfig(global_config=config)
            ),
        )


def compress(archive, name, traced, network, x, target, optimize):
    """Converts, compresses, and adds the network."""
    types_ = {
        "inputs": [ct.TensorType(name="x", shape=x.shape)],
        "outputs": [ct.TensorType(name="y", dtype=f32)],
    }
    model = optimize(convert(traced, "float32", target, **types_))
    copy = Network().eval()
    copy.load_state_dict(network.state_dict())
    for weight in cto.coreml.get_weights_metadata(
        cto.coreml.decompress_weights(model), weight_threshold=0
    ).values():
        for parameter in copy.parameters():
            if tuple(parameter.shape) == weight.val.shape:
                parameter.data = torch.from_numpy(np.array(weight.val, f32))
    expected = {"y": copy(x).detach().numpy()}
    archive.add(
        f"network_{name}_{target}", model, {"x": x.numpy()}, expected, TOLERANCES["float32"]
    )
