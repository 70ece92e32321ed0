"""Sound: codecs, vocoders, separation, pitch.

Owns: configurations, and what of a package is called.
Flow: `catalogue.load` imports it.
"""

from __future__ import annotations

from typing import Any

import torch
from catalogue import add, entry, tokens

WAVE = "inputs.wave = { shape = [1, 1, 2048], sample = { range = [-1, 1] } }"
STEREO = "inputs.mix = { shape = [1, 2, 8192], sample = { range = [-1, 1] } }"


@entry("snac", WAVE)
def snac_codec() -> Any:
    """Return the wave that is left of the codes, without the decoder's noise."""
    from snac import SNAC

    class Codec(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.snac = SNAC(
                encoder_dim=8,
                encoder_rates=[2, 4, 4],
                decoder_dim=64,
                decoder_rates=[4, 4, 2],
                attn_window_size=None,
                codebook_size=32,
                codebook_dim=4,
                vq_strides=[4, 2, 1],
                noise=False,
            )

        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            return self.snac(wave)[0]

    return Codec()


@entry("vocos", "inputs.mel = { shape = [1, 32, 20] }")
def vocos_vocoder() -> Any:
    """Return the wave of a mel spectrogram."""
    from vocos.heads import ISTFTHead
    from vocos.models import VocosBackbone

    return torch.nn.Sequential(VocosBackbone(32, 64, 128, 2), ISTFTHead(64, 256, 64, "center"))


@entry("descript-audio-codec", WAVE)
def descript_codec() -> Any:
    """Return the wave that is left of the codes."""
    from partial import bare, stand_in

    stand_in("audiotools", AudioSignal=object)
    stand_in("audiotools.ml", BaseModel=torch.nn.Module)
    bare("dac", "dac.model", "dac.nn")
    from dac.model.dac import DAC

    class Codec(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dac = DAC(8, [2, 4, 4], None, 64, [4, 4, 2], n_codebooks=3, codebook_size=32)

        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            return self.dac(wave)["audio"]

    return Codec()


@entry("transformers", WAVE)
def transformers_dac() -> Any:
    """Return the wave that is left of the codes."""
    import transformers

    class Codec(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dac = transformers.DacModel(
                transformers.DacConfig(
                    encoder_hidden_size=8,
                    downsampling_ratios=[2, 4, 4],
                    decoder_hidden_size=64,
                    n_codebooks=3,
                    codebook_size=32,
                    codebook_dim=4,
                )
            )

        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            return self.dac(wave).audio_values

    return Codec()


@entry("transformers", WAVE)
def transformers_encodec() -> Any:
    """Return the wave that is left of the codes."""
    import transformers

    class Codec(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encodec = transformers.EncodecModel(
                transformers.EncodecConfig(
                    num_filters=8,
                    hidden_size=32,
                    codebook_size=32,
                    codebook_dim=32,
                    upsampling_ratios=[4, 4, 2],
                )
            )

        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            return self.encodec(wave).audio_values

    return Codec()


@entry("transformers", WAVE)
def transformers_mimi() -> Any:
    """Return the wave that is left of the codes."""
    import transformers

    class Codec(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mimi = transformers.MimiModel(
                transformers.MimiConfig(
                    num_filters=8,
                    hidden_size=32,
                    codebook_size=32,
                    codebook_dim=16,
                    vector_quantization_hidden_dimension=16,
                    num_quantizers=4,
                    num_semantic_quantizers=1,
                    upsampling_ratios=[4, 4, 2],
                    upsample_groups=32,
                    num_hidden_layers=2,
                    num_attention_heads=4,
                    num_key_value_heads=4,
                    intermediate_size=64,
                    head_dim=8,
                    frame_rate=375,
                    use_cache=False,
                )
            )

        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            return self.mimi(wave, use_cache=False).audio_values

    return Codec()


@entry("encodec", WAVE)
def encodec_frames() -> Any:
    """Return the wave that is left of the encoder's frames, without codes."""
    from encodec.modules import SEANetDecoder, SEANetEncoder

    arguments = {"dimension": 32, "n_filters": 8, "ratios": [4, 4, 2], "n_residual_layers": 1}
    return torch.nn.Sequential(SEANetEncoder(**arguments), SEANetDecoder(**arguments))


@entry(
    "kokoro",
    "inputs.text = { shape = [1, 512, 10] }",
    "inputs.pitch = { shape = [1, 20], sample = { range = [80, 300] } }",
    "inputs.energy = { shape = [1, 20] }",
    "inputs.style = { shape = [1, 16] }",
)
def kokoro_decoder() -> Any:
    """Return the wave of a text's frames, with a source that is not random."""
    from partial import bare

    bare("kokoro")
    from kokoro import istftnet

    class Still:
        """torch, with a constant in place of noise."""

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

        def rand(self, *shape: int, device: Any = None) -> torch.Tensor:
            return torch.full(shape, 0.25)

        def randn_like(self, given: torch.Tensor) -> torch.Tensor:
            return torch.full_like(given, 0.1)

    istftnet.torch = Still()

    class Voice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = istftnet.Decoder(
                dim_in=512,
                style_dim=16,
                dim_out=80,
                resblock_kernel_sizes=[3, 7],
                upsample_rates=[4, 2],
                upsample_initial_channel=512,
                resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5]],
                upsample_kernel_sizes=[8, 4],
                gen_istft_n_fft=20,
                gen_istft_hop_size=5,
                disable_complex=True,
            )

        def forward(
            self,
            text: torch.Tensor,
            pitch: torch.Tensor,
            energy: torch.Tensor,
            style: torch.Tensor,
        ) -> torch.Tensor:
            return self.decoder(text, pitch, energy, style)

    return Voice()


@entry("demucs", STEREO)
def demucs_hybrid_transformer() -> Any:
    """Return the parts of a mix: HTDemucs."""
    from demucs.htdemucs import HTDemucs

    return HTDemucs(
        ["drums", "voice"],
        channels=8,
        nfft=512,
        depth=3,
        t_layers=1,
        t_heads=4,
        bottom_channels=32,
        dconv_comp=4,
        segment=8192 / 44100,
        use_train_segment=False,
        samplerate=44100,
    )


@entry("demucs", STEREO)
def demucs_hybrid() -> Any:
    """Return the parts of a mix: HDemucs."""
    from demucs.hdemucs import HDemucs

    return HDemucs(["drums", "voice"], channels=8, nfft=1024, depth=5, norm_starts=3)


@entry("demucs", STEREO)
def demucs_waveform() -> Any:
    """Return the parts of a mix: the Demucs of waveforms."""
    from demucs.demucs import Demucs

    return Demucs(["drums", "voice"], channels=8, depth=4, lstm_layers=1, resample=False)


add(
    "audio",
    "torchaudio_hdemucs",
    "torchaudio",
    "from torchaudio.models import HDemucs",
    'HDemucs(["drums", "voice"], channels=8, nfft=1024, depth=5, norm_starts=3)',
    STEREO,
)
add(
    "audio",
    "torchaudio_conv_tasnet",
    "torchaudio",
    "from torchaudio.models import ConvTasNet",
    "ConvTasNet(2, 16, 64, 3, 32, 64, 3, 2)",
    "inputs.mix = { shape = [1, 1, 1600], sample = { range = [-1, 1] } }",
)
add(
    "audio",
    "open_unmix",
    "openunmix",
    "from openunmix.model import OpenUnmix",
    "OpenUnmix(nb_bins=129, nb_channels=2, hidden_size=32, nb_layers=2)",
    "inputs.spectrum = { shape = [1, 2, 129, 12], sample = { range = [0, 1] } }",
)
add(
    "audio",
    "transformers_hifigan",
    "transformers",
    "import transformers",
    "transformers.SpeechT5HifiGan(\n        transformers.SpeechT5HifiGanConfig("
    "model_in_dim=20, upsample_initial_channel=32, upsample_rates=[4, 4], "
    "upsample_kernel_sizes=[8, 8])\n    )",
    "inputs.mel = { shape = [1, 20, 20] }",
)


@entry("transformers", tokens(12, 40))
def transformers_vits() -> Any:
    """Return the wave of a text, with no noise."""
    import transformers

    configuration = transformers.VitsConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=64,
        flow_size=32,
        spectrogram_bins=65,
        prior_encoder_num_flows=2,
        prior_encoder_num_wavenet_layers=2,
        posterior_encoder_num_wavenet_layers=2,
        duration_predictor_filter_channels=32,
        upsample_initial_channel=32,
        upsample_rates=[4, 4],
        upsample_kernel_sizes=[8, 8],
        use_stochastic_duration_prediction=False,
        noise_scale=0.0,
        noise_scale_duration=0.0,
    )

    class Voice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vits = transformers.VitsModel(configuration)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return self.vits(input_ids).waveform

    return Voice()


@entry("torchcrepe", "inputs.frames = { shape = [1, 1024], sample = { range = [-1, 1] } }")
def crepe_tiny() -> Any:
    """Return how likely each pitch is, with the weights that the package ships."""
    import sys

    from partial import bare

    bare("torchcrepe")
    sys.modules["torchcrepe"].PITCH_BINS = 360
    from torchcrepe.model import Crepe

    return Crepe("tiny")
