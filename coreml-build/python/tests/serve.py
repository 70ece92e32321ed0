"""Serves one repository as the Hugging Face hub does: `python serve.py FOLDER`, for tests that
build whole crates.

It holds a classifier of BERT's architecture with random weights, made in FOLDER. One line on
standard output has the endpoint and the commit, as JSON; the server ends with standard input.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import transformers

from tests.hub import Hub, Repository

NAME = "owner/moods"
LABELS = ["negative", "neutral", "positive"]


def main() -> None:
    """Make the model and serve it."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        vocab_size=30,
        max_position_embeddings=16, id2label=dict(enumerate(LABELS)), label2id={},
    )  # fmt: skip
    folder = Path(sys.argv[1])
    transformers.BertForSequenceClassification(config).eval().save_pretrained(folder)
    repository = Repository({path.name: path.read_bytes() for path in folder.iterdir()})
    server = Hub({NAME: repository})
    print(json.dumps({"endpoint": server.endpoint, "commit": repository.commit}), flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
