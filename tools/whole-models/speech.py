"""Networks for sound: HiFi-GAN, and the parts of Whisper.

Owns: architectures and samples. Flow: `make.py` → [`NETWORKS`].
"""

import torch
import transformers
import whisper
from network import Network, halves, seed, tokens
from torch import nn
from whisper.audio import N_FFT, mel_filters
from whisper.model import MultiHeadAttention

# Whisper-tiny's own sizes, with a smaller vocabulary: that of the real one is a matrix of 80 MB.
WHISPER = whisper.model.ModelDimensions(
    n_mels=80,
    n_audio_ctx=1500,
    n_audio_state=384,
    n_audio_head=6,
    n_audio_layer=4,
    n_vocab=5000,
    n_text_ctx=448,
    n_text_state=384,
    n_text_head=6,
    n_text_layer=4,
)


def hifigan() -> Network:
    """Returns transformers' HiFi-GAN with half of its channels."""
    generator = seed(31)
    config = transformers.SpeechT5HifiGanConfig(upsample_initial_channel=128, normalize_before=True)
    module = transformers.SpeechT5HifiGan(config).eval()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, (nn.Conv1d, nn.ConvTranspose1d)):
                part.weight.mul_(4)
    samples = [{"spectrogram": halves(generator, 40, 80)}]
    return Network(module, samples, ("waveform",))


def model() -> whisper.model.Whisper:
    """Returns Whisper with random weights."""
    seed(32)
    MultiHeadAttention.use_sdpa = False
    made = whisper.model.Whisper(WHISPER).eval()
    with torch.no_grad():
        made.decoder.positional_embedding.normal_(0, 0.3)
        for part in made.modules():
            if isinstance(part, nn.Linear):
                part.weight.normal_(0, 1.3 / part.in_features**0.5)
    return made


class Mel(nn.Module):
    """Whisper's log-mel spectrogram of 30 s of sound, for sound of one second here."""

    def __init__(self) -> None:
        """Makes window and filters."""
        super().__init__()
        self.register_buffer("window", torch.hann_window(N_FFT))
        self.register_buffer("filters", mel_filters("cpu", 80))

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """Returns [1, 80, frames]. Parameters: `sound` — [1, samples], 16 kHz, -1 to 1."""
        spectrum = torch.stft(
            sound, N_FFT, whisper.audio.HOP_LENGTH, window=self.window, return_complex=True
        )
        power = spectrum.abs()[..., :-1] ** 2
        logs = torch.clamp(self.filters @ power, min=1e-10).log10()
        logs = torch.maximum(logs, logs.amax() - 8.0)
        return (logs + 4.0) / 4.0


def whisper_mel() -> Network:
    """Returns the log-mel spectrogram."""
    generator = seed(33)
    time = torch.arange(16000) / 16000
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * time) + 0.05 * torch.randn(
        16000, generator=generator
    )
    return Network(
        Mel().eval(),
        [{"sound": tone[None].half().float()}],
        ("mel",),
        variants=("fp32",),
        exportable=False,
    )


def whisper_encoder() -> Network:
    """Returns Whisper-tiny's encoder."""
    generator = seed(34)
    sample = {"mel": 0.5 * halves(generator, 1, 80, 3000)}
    variants = ("fp32", "fp16", "int8")
    return Network(model().encoder, [sample], ("audio",), target="iOS18", variants=variants)


class CrossKeysValues(nn.Module):
    """The keys and values that all decoder layers make of the encoder's result, once per sound."""

    def __init__(self, decoder: nn.Module) -> None:
        """Takes the decoder's layers."""
        super().__init__()
        self.blocks = decoder.blocks

    def forward(self, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns keys and values, [layers, 1, frames, width] each."""
        keys = torch.stack([block.cross_attn.key(audio) for block in self.blocks])
        values = torch.stack([block.cross_attn.value(audio) for block in self.blocks])
        return keys, values


def whisper_cross() -> Network:
    """Returns the keys and values of cross attention."""
    generator = seed(35)
    sample = {"audio": halves(generator, 1, WHISPER.n_audio_ctx, WHISPER.n_audio_state)}
    return Network(
        CrossKeysValues(model().decoder).eval(), [sample], ("cross_keys", "cross_values")
    )


class Step(nn.Module):
    """One token through Whisper's decoder, whose own keys and values are buffers written in
    place."""

    def __init__(self, decoder: nn.Module) -> None:
        """Takes the decoder."""
        super().__init__()
        self.decoder = decoder
        shape = (WHISPER.n_text_layer, 1, WHISPER.n_text_ctx, WHISPER.n_text_state)
        self.register_buffer("self_keys", torch.zeros(shape))
        self.register_buffer("self_values", torch.zeros(shape))
        self.register_buffer("places", torch.arange(WHISPER.n_text_ctx), persistent=False)

    def forward(
        self,
        token: torch.Tensor,
        position: torch.Tensor,
        cross_keys: torch.Tensor,
        cross_values: torch.Tensor,
    ) -> torch.Tensor:
        """Returns the logits [1, 1, vocabulary]. Parameters: `token` — [1, 1]; `position` — [1]."""
        return self.step(token, position, cross_keys, cross_values, self.write)

    def write(self, layer: int, key: torch.Tensor, value: torch.Tensor, at: torch.Tensor) -> tuple:
        """Writes a layer's new key and value, and returns all of the layer."""
        self.self_keys[layer, :, at : at + 1, :] = key
        self.self_values[layer, :, at : at + 1, :] = value
        return self.self_keys[layer], self.self_values[layer]

    def step(self, token, position, cross_keys, cross_values, write) -> torch.Tensor:
        """Runs one token; `write` keeps the keys and values."""
        decoder = self.decoder
        x = decoder.token_embedding(token) + decoder.positional_embedding[position.long()][None]
        hidden = (self.places > position).float() * -1e4
        for number, block in enumerate(decoder.blocks):
            y = block.attn_ln(x)
            keys, values = write(number, block.attn.key(y), block.attn.value(y), position[0])
            x = x + block.attn.out(attend(block.attn.query(y), keys, values, hidden))
            y = block.cross_attn.query(block.cross_attn_ln(x))
            x = x + block.cross_attn.out(attend(y, cross_keys[number], cross_values[number], None))
            x = x + block.mlp(block.mlp_ln(x))
        return decoder.ln(x) @ decoder.token_embedding.weight.T


def attend(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, hidden: torch.Tensor | None
) -> torch.Tensor:
    """Returns attention over the heads; all arguments are [1, tokens, width], `hidden` is added to
    the scores."""
    heads = WHISPER.n_text_head
    query, keys, values = (
        part.view(1, part.shape[1], heads, -1).transpose(1, 2) for part in (query, keys, values)
    )
    scores = query @ keys.transpose(-1, -2) * query.shape[-1] ** -0.5
    if hidden is not None:
        scores = scores + hidden
    return (torch.softmax(scores, dim=-1) @ values).transpose(1, 2).flatten(2)


class ExplicitStep(Step):
    """The same step with the keys and values as inputs and outputs, as ONNX has it."""

    def forward(self, token, position, cross_keys, cross_values, self_keys, self_values) -> tuple:
        """Returns the logits and what the keys and values are afterwards."""
        caches = {"keys": list(self_keys.unbind(0)), "values": list(self_values.unbind(0))}

        def write(layer: int, key: torch.Tensor, value: torch.Tensor, at: torch.Tensor) -> tuple:
            here = (self.places == at)[None, :, None]
            caches["keys"][layer] = torch.where(here, key, caches["keys"][layer])
            caches["values"][layer] = torch.where(here, value, caches["values"][layer])
            return caches["keys"][layer], caches["values"][layer]

        logits = self.step(token, position, cross_keys, cross_values, write)
        return logits, torch.stack(caches["keys"]), torch.stack(caches["values"])


@torch.no_grad()
def whisper_step() -> Network:
    """Returns a step of Whisper-tiny's decoder with its keys and values as states."""
    generator = seed(36)
    decoder = model().decoder
    audio = halves(generator, 1, WHISPER.n_audio_ctx, WHISPER.n_audio_state)
    cross = [part.half().float() for part in CrossKeysValues(decoder)(audio)]
    ids = tokens(generator, WHISPER.n_vocab, 5)
    samples = [
        {
            "token": ids[i : i + 1][None],
            "position": torch.tensor([i], dtype=torch.int32),
            "cross_keys": cross[0],
            "cross_values": cross[1],
        }
        for i in range(len(ids))
    ]
    module = Step(decoder).eval()
    check_step(decoder, module, samples, audio, ids)

    def explicit() -> Network:
        other = ExplicitStep(decoder).eval()
        states = {"self_keys": other.self_keys.clone(), "self_values": other.self_values.clone()}
        return Network(
            other, [sample | states for sample in samples], ("logits", "keys_after", "values_after")
        )

    states = ("self_keys", "self_values")
    variants = ("fp32", "fp16", "int8")
    return Network(
        module,
        samples,
        ("logits",),
        states=states,
        target="iOS18",
        variants=variants,
        onnx=explicit,
    )


@torch.no_grad()
def check_step(
    decoder: nn.Module, step: Step, samples: list, audio: torch.Tensor, ids: torch.Tensor
) -> None:
    """Compares the steps with Whisper's own pass over all tokens."""
    wanted = decoder(ids[None], audio)[0]
    given = torch.cat([step(*sample.values())[0] for sample in samples])
    # The keys and values of the sound are rounded to half precision in the samples.
    assert torch.allclose(given, wanted, atol=0.05 * wanted.abs().max().item()), (
        (given - wanted).abs().max()
    )
    step.self_keys.zero_()
    step.self_values.zero_()


class Decoder(nn.Module):
    """Whisper's whole decoder for any number of tokens."""

    def __init__(self, decoder: nn.Module) -> None:
        """Takes the decoder."""
        super().__init__()
        self.decoder = decoder

    def forward(self, tokens: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        """Returns the logits [1, tokens, vocabulary]."""
        return self.decoder(tokens, audio)


def whisper_decoder() -> Network:
    """Returns the decoder for 1 to 64 tokens."""
    generator = seed(37)
    audio = halves(generator, 1, WHISPER.n_audio_ctx, WHISPER.n_audio_state)
    samples = [
        {"tokens": tokens(generator, WHISPER.n_vocab, 1, length), "audio": audio}
        for length in (8, 1, 33)
    ]
    return Network(
        Decoder(model().decoder).eval(), samples, ("logits",), ranges={"tokens": {1: (1, 64)}}
    )


NETWORKS = {
    "hifigan": hifigan,
    "whisper_mel": whisper_mel,
    "whisper_encoder": whisper_encoder,
    "whisper_cross": whisper_cross,
    "whisper_step": whisper_step,
    "whisper_decoder": whisper_decoder,
}
