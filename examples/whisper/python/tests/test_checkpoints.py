"""Checkpoints as other libraries write them.

Owns: that their weights land where they belong, by comparing the models' results. Needs the library
transformers, and says so where it is missing.
"""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from whisper_model import SIZES, whisper  # noqa: E402

transformers = pytest.importorskip(
    "transformers", reason="the library transformers is not installed"
)


def test_a_checkpoint_of_transformers_computes_the_same(tmp_path: Path) -> None:
    """Every parameter has its place: the logits are those of the library's own model."""
    size = SIZES["tiny"]
    config = transformers.WhisperConfig(
        vocab_size=size.n_vocab,
        num_mel_bins=size.n_mels,
        d_model=size.n_text_state,
        encoder_layers=size.n_audio_layer,
        decoder_layers=size.n_text_layer,
        encoder_attention_heads=size.n_audio_head,
        decoder_attention_heads=size.n_text_head,
        encoder_ffn_dim=4 * size.n_audio_state,
        decoder_ffn_dim=4 * size.n_text_state,
    )
    torch.manual_seed(1)
    theirs = transformers.WhisperForConditionalGeneration(config).eval()
    for parameter in (
        theirs.parameters()
    ):  # biases and norms begin with zeros and ones, which any mistake would keep
        parameter.data += 0.02 * torch.randn_like(parameter)
    theirs.save_pretrained(tmp_path)
    ours = whisper("tiny", str(tmp_path / "model.safetensors"))
    mel, tokens = torch.randn(1, size.n_mels, size.frames), torch.randint(0, size.n_vocab, (1, 7))
    with torch.no_grad():
        expected = theirs(input_features=mel, decoder_input_ids=tokens).logits
        got = ours.decoder(tokens, ours.encoder(mel))
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
