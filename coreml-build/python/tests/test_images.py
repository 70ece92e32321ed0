"""Image inputs and outputs: colours, sizes, and preprocessing that is the same on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from coreml_driver import program
from tests.test_failures import module

COLORS = {"grayscale": 10, "rgb": 20, "bgr": 30, "grayscale-float16": 40}
SIDES = {"width": 6, "height": 4}
CONVOLUTION = """
def make(channels=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2))
"""


def source(channels):
    return {"file": "python/model.py", "entry": "make", "args": {"channels": channels}}


def image(color="rgb", **more):
    return {"image": {"image": SIDES | {"color": color} | more}}


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("capture", ["trace", "export"])
def test_colors(package, color, capture):
    channels = 3 if color in ("rgb", "bgr") else 1
    inputs = image(color, scale=[1 / 127.5] * channels, bias=[-1] * channels)
    outcome = package.convert(CONVOLUTION, inputs=inputs, source=source(channels), capture=capture)
    (feature,) = outcome.specification.description.input
    found = feature.type.imageType
    assert (feature.name, found.width, found.height, found.colorSpace) == (
        "image",
        6,
        4,
        COLORS[color],
    )
    pixels = outcome.sample["in/image"]
    assert (pixels.shape, pixels.dtype) == ((1, channels, 4, 6), np.float32)
    if color == "grayscale-float16":
        assert pixels.min() >= 0 and 0.5 < pixels.max() <= 1
    else:
        np.testing.assert_array_equal(pixels, np.round(pixels))
        assert 0 <= pixels.min() < 30 and 200 < pixels.max() <= 255


MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def test_mean_and_std_are_those_of_torchvision(package):
    outcome = package.convert(
        module("return x * 1.0"), inputs={"x": image(mean=MEAN, std=STD)["image"]}
    )
    sample = outcome.sample
    channel = lambda values: np.array(values, np.float32).reshape(1, 3, 1, 1)  # noqa: E731
    expected = (sample["in/x"] / 255 - channel(MEAN)) / channel(STD)
    np.testing.assert_allclose(sample["out/output"], expected, rtol=1e-5, atol=1e-6)
    assert outcome.report["capture"]["largest-difference"] < 1e-5
    # coremltools makes one operation of the factor and the summand.
    assert "batch_norm" in {
        operation.type for operation in program.operations(outcome.specification)
    }


def test_scale_and_bias_may_differ_between_channels(package):
    inputs = {"x": image(scale=[1, 2, 3], bias=[0, 10, 20])["image"]}
    sample = package.convert(module("return x * 1.0"), inputs=inputs).sample
    for channel in range(3):
        expected = sample["in/x"][0, channel] * (channel + 1) + channel * 10
        np.testing.assert_allclose(sample["out/output"][0, channel], expected, rtol=1e-6)


def test_without_preprocessing_the_module_takes_raw_pixels(package):
    outcome = package.convert(
        module("return x.relu()"), inputs={"x": image()["image"]}, compute_precision="float32"
    )
    np.testing.assert_array_equal(outcome.sample["out/output"], outcome.sample["in/x"])
    assert set(outcome.report["operations"]) == {"relu"}


def test_sides_may_be_ranges(package):
    sizes = {
        "width": {"min": 4, "max": 16, "default": 8},
        "height": {"min": 2, "max": 9, "default": 6},
    }
    network = """
    def make():
        torch.manual_seed(0)
        head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        return nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU(), *head)
    """
    inputs = {"image": {"image": {"color": "rgb", "mean": MEAN} | sizes}}
    outcome = package.convert(network, inputs=inputs)
    found = outcome.specification.description.input[0].type.imageType
    assert (found.width, found.height) == (8, 6)
    ranges = found.imageSizeRange
    assert (ranges.widthRange.lowerBound, ranges.widthRange.upperBound) == (4, 16)
    assert (ranges.heightRange.lowerBound, ranges.heightRange.upperBound) == (2, 9)


def test_an_image_and_a_classifier(package):
    network = CONVOLUTION.replace("nn.Linear(24, 2)", "nn.Linear(24, 2), nn.Softmax(-1)")
    outcome = package.convert(
        network, inputs=image(mean=MEAN, std=STD), classifier={"labels": ["cat", "dog"]}
    )
    assert outcome.specification.description.input[0].type.WhichOneof("Type") == "imageType"


@pytest.mark.parametrize("color", COLORS)
def test_image_outputs(package, color):
    channels = 3 if color in ("rgb", "bgr") else 1
    outcome = package.convert(
        module("return x * 2"),
        inputs={"x": image(color)["image"]},
        outputs={"y": {"image": {"color": color}}},
    )
    (feature,) = outcome.specification.description.output
    found = feature.type.imageType
    assert (feature.name, found.width, found.height, found.colorSpace) == ("y", 6, 4, COLORS[color])
    picture = outcome.sample["out/y"]
    assert picture.shape == (1, channels, 4, 6) and picture.max() <= 255
    warned = any("clamp" in warning for warning in outcome.converted["warnings"])
    assert warned == (color != "grayscale-float16")


def test_a_picture_from_zero_to_one_warns(package):
    network = module("return x / 255")
    inputs, outputs = {"x": image()["image"]}, {"y": {"image": {"color": "rgb"}}}
    outcome = package.convert(network, inputs=inputs, outputs=outputs)
    assert any("multiply by 255" in warning for warning in outcome.converted["warnings"])
    right = package.convert(network.replace("x / 255", "255 - x"), inputs=inputs, outputs=outputs)
    assert not right.converted["warnings"]


def test_a_tensor_that_is_no_picture_is_refused(package):
    failed = package.convert(
        module("return x * 2"), outputs={"y": {"image": {"color": "rgb"}}}
    ).failed
    assert (failed["kind"], failed["key"]) == ("wrong-image", "outputs.y.image")
    assert "[2, 3]" in failed["message"]


def test_a_network_for_other_channels_fails_at_the_inputs(package):
    failed = package.convert(CONVOLUTION, inputs=image("grayscale")).failed
    assert (failed["kind"], failed["key"]) == ("wrong-shape", "inputs")


def test_images_are_deterministic(package):
    first, second = (
        package.convert(CONVOLUTION, inputs=image(mean=MEAN, std=STD)) for _ in range(2)
    )
    assert first.digest == second.digest
