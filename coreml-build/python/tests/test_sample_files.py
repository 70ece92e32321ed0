"""Samples that come from files: pictures, tensors, tokenized texts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy

from tests.test_failures import module

#: What reads the ids of a text and says how many of them are real.
TEXT = """
class Text(nn.Module):
    def forward(self, ids, mask):
        return {"sum": (ids * mask).sum(1).float(), "count": mask.sum(1).float()}

def make():
    return Text()
"""

#: A tokenizer of words, with a token at each end.
TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {
            "id": index,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, token in enumerate(("[UNK]", "[CLS]", "[SEP]", "[PAD]"))
    ],
    "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            "[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]},
            "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]},
        },
    },
    "decoder": None,
    "model": {
        "type": "WordLevel",
        "vocab": {
            "[UNK]": 0,
            "[CLS]": 1,
            "[SEP]": 2,
            "[PAD]": 3,
            "one": 4,
            "two": 5,
            "three": 6,
            "four": 7,
        },
        "unk_token": "[UNK]",
    },
}


def texts(length, **more):
    """Return ids and mask of the same texts."""
    sample = lambda output: {  # noqa: E731
        "texts": {"file": "texts.txt", "tokenizer": "tokenizer.json", "output": output}
    }
    feature = lambda output: {  # noqa: E731
        "shape": [1, length],
        "dtype": "int32",
        "sample": sample(output),
    }
    return {"ids": feature("input_ids"), "mask": feature("attention_mask")} | more


def with_texts(package, lines):
    """Give a package texts and their tokenizer."""
    package.write("texts.txt", lines)
    package.write("tokenizer.json", json.dumps(TOKENIZER))


def test_texts_are_cut_and_padded_with_their_mask(package):
    pytest.importorskip("tokenizers")
    with_texts(package, "one two\n\nthree one two four three\nfour\n")
    outcome = package.convert(TEXT, inputs=texts(5), parity={"samples": 7})
    first, second, third = (outcome.tensors(index) for index in range(3))
    assert first["in/ids"].tolist() == [[1, 4, 5, 2, 3]]
    assert first["in/mask"].tolist() == [[1, 1, 1, 1, 0]]
    assert (first["out/sum"].tolist(), first["out/count"].tolist()) == ([12.0], [4.0])
    # The end of a text is cut off, and its last token is kept.
    assert second["in/ids"].tolist() == [[1, 6, 4, 5, 2]]
    assert second["in/mask"].tolist() == [[1, 1, 1, 1, 1]]
    assert third["in/ids"].tolist() == [[1, 7, 2, 3, 3]]
    # There are as many samples as texts.
    assert not (outcome.output / "samples/3.safetensors").exists()
    assert second["in/ids"].dtype == np.int32


def test_a_flexible_text_has_the_length_of_its_run(package):
    pytest.importorskip("tokenizers")
    with_texts(package, "one two three\nfour\n")
    length = {"min": 3, "max": 6, "default": 4, "symbol": "T"}
    outcome = package.convert(TEXT, inputs=texts(length), parity={"samples": 2})
    assert outcome.tensors(0)["in/ids"].tolist() == [[1, 4, 5, 2]]
    shortest = outcome.tensors(1)
    assert shortest["in/ids"].tolist() == [[1, 7, 2]]
    assert shortest["in/mask"].tolist() == [[1, 1, 1]]


def test_texts_of_buckets(package):
    pytest.importorskip("tokenizers")
    with_texts(package, "one two three four one two\nfour\n")
    length = {"min": 1, "max": 8, "default": 8, "symbol": "T"}
    inputs = texts(length, mask={"shape": [1, length], "dtype": "int32"})
    buckets = {"input": "ids", "axis": 1, "sizes": [4, 8], "pad": {"ids": 3}, "mask": "mask"}
    outcome = package.convert(TEXT, inputs=inputs, buckets=buckets, parity={"samples": 3})
    assert outcome.converted
    found = [
        safetensors.numpy.load_file(path)["in/ids"].tolist()
        for path in sorted((outcome.output / "samples").iterdir())
    ]
    # Each size takes both texts, each at a length that it takes.
    assert found == [[[1, 4]], [[1, 7, 2, 3]], [[1, 4, 5, 6, 7, 2]], [[1, 7, 2, *[3] * 5]]]


def tensors_of(shape):
    """Return an input whose samples are tensors of a file."""
    sample = {"safetensors": "s.safetensors"}
    return {"x": {"shape": shape, "dtype": "float32", "sample": sample}}


def test_tensors_are_taken_in_order(package):
    samples = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    safetensors.numpy.save_file({"x": samples, "y": samples}, package.root / "s.safetensors")
    inputs = {
        "x": {"shape": [2, 3], "dtype": "float32", "sample": {"safetensors": "s.safetensors"}}
    }
    outcome = package.convert(module("return x * 2"), inputs=inputs, parity={"samples": 3})
    for index in range(2):
        found = outcome.tensors(index)
        np.testing.assert_array_equal(found["in/x"], samples[index])
        np.testing.assert_array_equal(found["out/output"], 2 * samples[index])
    assert not (outcome.output / "samples/2.safetensors").exists()


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"y": np.zeros((1, 2, 3))}, "has no tensor `x`; it has `y`."),
        (
            {"x": np.zeros((2, 3))},
            "has the shape [2, 3], but samples of this input have [N, 2, 3].",
        ),
        ({"x": np.zeros((1, 2, 4))}, "has the shape [1, 2, 4], but samples of this input have"),
        ({"x": np.zeros((0, 2, 3))}, "has no sample."),
        ({"x": np.full((1, 2, 3), np.nan)}, "has values that are not finite."),
    ],
)
def test_wrong_tensors(package, tensors, message):
    safetensors.numpy.save_file(tensors, package.root / "s.safetensors")
    inputs = {
        "x": {"shape": [2, 3], "dtype": "float32", "sample": {"safetensors": "s.safetensors"}}
    }
    failed = package.convert(module("return x * 2"), inputs=inputs).failed
    assert (failed["kind"], failed["key"]) == ("wrong-samples", "inputs.x.sample.safetensors")
    assert message in failed["message"]


def test_flexible_tensors_are_cut_and_padded(package):
    samples = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 4)
    safetensors.numpy.save_file({"x": samples}, package.root / "s.safetensors")
    size = {"min": 2, "max": 6, "default": 6}
    inputs = tensors_of([1, size])
    outcome = package.convert(module("return x * 2"), inputs=inputs)
    assert outcome.sample["in/x"].tolist() == [[1, 2, 3, 4, 0, 0]]


def picture(package, name, pixels):
    """Write a picture of rows of pixels."""
    image = pytest.importorskip("PIL.Image")
    path = package.root / name
    path.parent.mkdir(exist_ok=True)
    image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def pictures(color, *paths):
    """Return an input of pictures of 2 by 2 pixels."""
    sides = {"width": 2, "height": 2, "color": color}
    return {"x": {"image": sides, "sample": {"files": list(paths)}}}


def test_pictures_are_decoded_and_scaled(package):
    pixels = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]
    picture(package, "samples/a.png", pixels)
    picture(package, "samples/b.png", np.tile([[[50, 60, 70]]], (6, 9, 1)))
    inputs = pictures("rgb", "samples/a.png", "samples/b.png")
    outcome = package.convert(module("return x.mean((2, 3))"), inputs=inputs, parity={"samples": 4})
    exact = outcome.sample["in/x"]
    assert (exact.shape, exact.dtype) == ((1, 3, 2, 2), np.float32)
    np.testing.assert_array_equal(exact[0].transpose(1, 2, 0), pixels)
    assert outcome.tensors(1)["in/x"][0, :, 0, 0].tolist() == [50, 60, 70]
    assert not (outcome.output / "samples/2.safetensors").exists()
    turned = package.convert(
        module("return x.mean((2, 3))"), inputs=pictures("bgr", "samples/a.png")
    )
    np.testing.assert_array_equal(turned.sample["in/x"][0, ::-1].transpose(1, 2, 0), pixels)


def test_gray_pictures(package):
    picture(package, "a.png", [[0, 51], [102, 255]])
    outcome = package.convert(module("return x * 1.0"), inputs=pictures("grayscale", "a.png"))
    assert outcome.sample["in/x"].tolist() == [[[[0, 51], [102, 255]]]]
    outcome = package.convert(
        module("return x * 1.0"), inputs=pictures("grayscale-float16", "a.png")
    )
    half = np.float16([[0, 0.2], [0.4, 1]]).astype(np.float32)
    np.testing.assert_array_equal(outcome.sample["in/x"][0, 0], half)


def test_what_is_no_picture(package):
    pytest.importorskip("PIL.Image")
    package.write("a.png", "no picture")
    failed = package.convert(module("return x * 1.0"), inputs=pictures("rgb", "a.png")).failed
    assert (failed["kind"], failed["key"]) == ("wrong-samples", "inputs.x.sample.files")
    assert "a.png is no picture that Pillow reads" in failed["message"]


def test_a_missing_library_is_named(package, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    failed = package.convert(module("return x * 1.0"), inputs=pictures("rgb", "a.png")).failed
    assert failed["kind"] == "missing-module"
    assert failed["message"] == "The samples are read by Pillow, and this Python does not have it."
    assert 'dependencies = ["pillow"]' in failed["advice"][0]
