"""Programs that draw random numbers: what they give is no reference but a distribution.

Owns: the programs.  Must not: hold outputs; `distributions.rs` judges the numbers themselves.
Flow: `python generate.py distributions` writes `distributions.safetensors`.
"""

import coremltools as ct
import numpy as np
from archive import convert
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import types

# How many numbers each program draws.
COUNT = 20_000


def generate(archive):
    """Adds each distribution, seeded and not."""
    for suffix, seed in (("", {}), ("_seeded", {"seed": np.int32(7)})):
        add(
            archive,
            f"bernoulli{suffix}",
            lambda s=seed: mb.random_bernoulli(shape=[COUNT], prob=0.25, **s),
        )
        add(
            archive,
            f"normal{suffix}",
            lambda s=seed: mb.random_normal(shape=[COUNT], mean=1.0, stddev=2.0, **s),
        )
        add(
            archive,
            f"uniform{suffix}",
            lambda s=seed: mb.random_uniform(shape=[COUNT], low=-1.0, high=3.0, **s),
        )
        for mode, weights in (
            ("logits", np.log(np.float32([[0.1, 0.2, 0.7]])) + np.float32(3)),
            ("probs", np.float32([[0.1, 0.2, 0.7]])),
        ):
            add(
                archive,
                f"categorical_{mode}{suffix}",
                lambda s=seed, m=mode, w=weights: mb.cast(
                    x=mb.reshape(
                        x=mb.random_categorical(x=w, mode=m, size=np.int32(COUNT), **s),
                        shape=[COUNT],
                    ),
                    dtype="fp32",
                ),
            )


def add(archive, name, draw):
    """Adds a program that gives what `draw` makes plus its input, which is a zero: a model has an
    input."""

    @mb.program(
        input_specs=[mb.TensorSpec(shape=(1,), dtype=types.fp32)], opset_version=ct.target.iOS15
    )
    def built(x):
        return mb.add(x=draw(), y=x, name="y")

    model = convert(built, target="iOS15", pass_pipeline=ct.PassPipeline.EMPTY)
    archive.add(name, model, {"x": np.zeros(1, np.float32)}, {}, 0.0)
