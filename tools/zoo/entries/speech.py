"""Models that hear and speak: recognition, speakers, synthesis.

Owns: configurations, and what of a package is called.
Flow: `catalogue.load` imports it.
"""

from __future__ import annotations

from typing import Any

import torch
from catalogue import add, entry, tokens

WAVE = "inputs.input_values = { shape = [1, 4000], sample = { range = [-1, 1] } }"
CONVOLUTIONS = (
    "conv_dim=[32, 32, 32], conv_kernel=[10, 3, 3], conv_stride=[5, 4, 4], "
    "num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, "
)
HEARING = (
    "vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, "
    f"intermediate_size=64, {CONVOLUTIONS}num_feat_extract_layers=3"
)
#: By class: arguments of the configuration.
HEARERS = {
    "Wav2Vec2ForCTC": HEARING,
    "HubertForCTC": HEARING,
    "WavLMForCTC": f"{HEARING}, num_buckets=32, max_bucket_distance=64",
    "UniSpeechSatForCTC": HEARING,
    "Wav2Vec2ConformerForCTC": f'{HEARING}, position_embeddings_type="relative"',
    "Data2VecAudioForCTC": HEARING.replace("num_conv_pos_embeddings=16", "conv_pos_kernel_size=3"),
    "SEWForCTC": f"{HEARING}, squeeze_factor=2",
}
for architecture, arguments in HEARERS.items():
    prefix = architecture.removesuffix("ForCTC")
    add(
        "speech",
        f"speech_{prefix.lower()}",
        "transformers",
        "import transformers",
        f"transformers.{architecture}(\n        transformers.{prefix}Config({arguments})\n    )",
        WAVE,
    )

SEQUENCE = (
    "vocab_size=100, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, "
    "decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, use_cache=False"
)
add(
    "speech",
    "speech_whisper_encoder",
    "transformers",
    "import transformers",
    "transformers.WhisperModel(\n        transformers.WhisperConfig("
    f"{SEQUENCE}, pad_token_id=0, max_source_positions=50)\n    ).encoder",
    "inputs.input_features = { shape = [1, 80, 100] }",
)
add(
    "speech",
    "speech_ast",
    "transformers",
    "import transformers",
    "transformers.ASTForAudioClassification(\n        transformers.ASTConfig("
    "hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, "
    "max_length=64, num_mel_bins=32)\n    )",
    "inputs.input_values = { shape = [1, 64, 32] }",
)
add(
    "speech",
    "speech_parakeet",
    "transformers",
    "import transformers",
    "transformers.ParakeetForCTC(\n        transformers.ParakeetCTCConfig(\n            "
    "vocab_size=40, pad_token_id=39,\n            encoder_config=dict(hidden_size=32, "
    "num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, "
    "subsampling_conv_channels=16, num_mel_bins=80)\n        )\n    )",
    "inputs.input_features = { shape = [1, 64, 80] }",
)
add(
    "speech",
    "speech_wav2vec2_bert",
    "transformers",
    "import transformers",
    "transformers.Wav2Vec2BertModel(\n        transformers.Wav2Vec2BertConfig("
    "hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, "
    "feature_projection_input_dim=40)\n    )",
    "inputs.input_features = { shape = [1, 50, 40] }",
)


@entry(
    "transformers",
    "inputs.input_features = { shape = [1, 80, 100] }",
    tokens(8, 100, "decoder_input_ids"),
)
def speech_whisper() -> Any:
    """Return the logits of the next tokens."""
    import transformers

    configuration = transformers.WhisperConfig(
        vocab_size=100,
        pad_token_id=0,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_source_positions=50,
        max_target_positions=32,
        use_cache=False,
    )

    class Recogniser(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whisper = transformers.WhisperForConditionalGeneration(configuration)

        def forward(
            self, input_features: torch.Tensor, decoder_input_ids: torch.Tensor
        ) -> torch.Tensor:
            return self.whisper(input_features, decoder_input_ids=decoder_input_ids).logits

    return Recogniser()


@entry(
    "transformers",
    "inputs.input_values = { shape = [1, 8000], sample = { range = [-1, 1] } }",
    tokens(8, 100, "decoder_input_ids"),
)
def speech_moonshine() -> Any:
    """Return the logits of the next tokens."""
    import transformers

    configuration = transformers.MoonshineConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=64,
        encoder_num_hidden_layers=2,
        decoder_num_hidden_layers=2,
        encoder_num_attention_heads=4,
        decoder_num_attention_heads=4,
        max_position_embeddings=64,
        pad_token_id=0,
        use_cache=False,
    )

    class Recogniser(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.moonshine = transformers.MoonshineForConditionalGeneration(configuration)

        def forward(
            self, input_values: torch.Tensor, decoder_input_ids: torch.Tensor
        ) -> torch.Tensor:
            return self.moonshine(input_values, decoder_input_ids=decoder_input_ids).logits

    return Recogniser()


@entry(
    "transformers",
    "inputs.input_features = { shape = [1, 100, 40] }",
    tokens(8, 100, "decoder_input_ids"),
)
def speech_to_text() -> Any:
    """Return the logits of the next tokens."""
    import transformers

    configuration = transformers.Speech2TextConfig(
        vocab_size=100,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_source_positions=100,
        max_target_positions=32,
        input_feat_per_channel=40,
        conv_channels=32,
        use_cache=False,
    )

    class Recogniser(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = transformers.Speech2TextForConditionalGeneration(configuration)

        def forward(
            self, input_features: torch.Tensor, decoder_input_ids: torch.Tensor
        ) -> torch.Tensor:
            return self.model(input_features, decoder_input_ids=decoder_input_ids).logits

    return Recogniser()


@entry("torchaudio", "inputs.features = { shape = [1, 50, 40] }")
def torchaudio_conformer() -> Any:
    """Return the frames of an utterance of a whole length."""
    from torchaudio.models import Conformer

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conformer = Conformer(40, 4, 64, 2, 15)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            lengths = torch.tensor([features.shape[1]])
            return self.conformer(features, lengths)[0]

    return Encoder()


@entry("torchaudio", "inputs.features = { shape = [1, 36, 32] }")
def torchaudio_emformer() -> Any:
    """Return the frames of an utterance with its context on the right."""
    from torchaudio.models import Emformer

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.emformer = Emformer(32, 4, 64, 2, 8, right_context_length=4)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            lengths = torch.tensor([features.shape[1] - 4])
            return self.emformer(features, lengths)[0]

    return Encoder()


add(
    "speech",
    "torchaudio_deepspeech",
    "torchaudio",
    "from torchaudio.models import DeepSpeech",
    "DeepSpeech(40, n_hidden=64, n_class=29)",
    "inputs.features = { shape = [1, 1, 20, 40] }",
)
add(
    "speech",
    "torchaudio_wav2letter",
    "torchaudio",
    "from torchaudio.models import Wav2Letter",
    'Wav2Letter(num_classes=29, input_type="mfcc", num_features=13)',
    "inputs.features = { shape = [1, 13, 60] }",
)
add(
    "speech",
    "torchaudio_wavernn",
    "torchaudio",
    "from torchaudio.models import WaveRNN",
    "WaveRNN([2, 2, 2], 16, 8, n_res_block=1, n_rnn=32, n_fc=32, n_freq=16, n_hidden=16, "
    "n_output=16)",
    "inputs.wave = { shape = [1, 1, 48], sample = { range = [-1, 1] } }",
    "inputs.mel = { shape = [1, 1, 16, 10] }",
)
add(
    "speech",
    "torchaudio_mel_spectrogram",
    "torchaudio",
    "from torchaudio.transforms import MelSpectrogram",
    "MelSpectrogram(16000, n_fft=400, hop_length=160, n_mels=40)",
    "inputs.wave = { shape = [1, 8000], sample = { range = [-1, 1] } }",
)
add(
    "speech",
    "torchaudio_mfcc",
    "torchaudio",
    "from torchaudio.transforms import MFCC",
    'MFCC(16000, n_mfcc=13, melkwargs={"n_fft": 400, "n_mels": 40})',
    "inputs.wave = { shape = [1, 8000], sample = { range = [-1, 1] } }",
)


@entry("torch", "inputs.wave = { shape = [1, 4000], sample = { range = [-1, 1] } }")
def torch_stft() -> Any:
    """Return size and angle of each frequency of a wave, and the wave again."""

    class Spectrum(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.window = torch.nn.Parameter(torch.hann_window(256))

        def forward(self, wave: torch.Tensor) -> dict[str, torch.Tensor]:
            found = torch.stft(wave, 256, 64, window=self.window, return_complex=True)
            again = torch.istft(found * 0.5, 256, 64, window=self.window, length=4000)
            return {"size": found.abs(), "real": found.real, "again": again}

    return Spectrum()


add(
    "speech",
    "speechbrain_ecapa",
    "speechbrain",
    "from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN",
    "ECAPA_TDNN(\n        40, channels=[32, 32, 32, 32, 96], attention_channels=16, "
    "lin_neurons=24,\n    )",
    "inputs.features = { shape = [1, 60, 40] }",
)
add(
    "speech",
    "speechbrain_xvector",
    "speechbrain",
    "from speechbrain.lobes.models.Xvector import Xvector",
    "Xvector(in_channels=40, tdnn_channels=[32, 32, 32, 32, 96], lin_neurons=24)",
    "inputs.features = { shape = [1, 60, 40] }",
)
add(
    "speech",
    "speechbrain_crdnn",
    "speechbrain",
    "from speechbrain.lobes.models.CRDNN import CRDNN",
    "CRDNN(input_size=40, time_pooling=True, rnn_layers=1, rnn_neurons=32, dnn_neurons=32)",
    "inputs.features = { shape = [1, 60, 40] }",
)
add(
    "speech",
    "conformer_encoder",
    "conformer",
    "from conformer import Conformer",
    "Conformer(dim=32, depth=2, dim_head=8, heads=4)",
    "inputs.features = { shape = [1, 50, 32] }",
)


@entry(
    "silero-vad",
    "inputs.wave = { shape = [1, 576], sample = { range = [-1, 1] } }",
    "inputs.memory = { shape = [2, 1, 128], sample = { range = [-1, 1] } }",
    published=True,
)
def silero_voice_activity() -> Any:
    """Return how likely a piece of sound has a voice, and the next state."""
    from silero_vad import load_silero_vad

    return load_silero_vad()._model
