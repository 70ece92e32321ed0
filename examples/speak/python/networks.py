"""The three networks of the speaking example: phonemes to durations, to frames of a spectrogram, to
samples.

Owns: the architecture.   Must not: train, read files, know Core ML.
Flow: `speak.toml` names `encoder`, `decoder` and `vocoder` as entries; `train.py` trains what they
return.
"""

import torch
from torch import nn
from torch.nn import functional

PHONEMES = 40  # rows of the table of phonemes; `data/words.txt` uses fewer
LONGEST = 48  # phonemes of a phrase
ENCODED = 64  # numbers for each phoneme
MELS = 80
HOP = 256  # samples of a frame: 16 ms
GROUP = 4  # frames of a decoder's step
STEPS = 64  # of a phrase: 4.1 s
WIDTH = 128  # numbers for each step
HEADS = 4
LAYERS = 2
MASKED = -1e4  # far below any score, and inside half precision, which -inf is not
UPSAMPLING = (8, 8, 4)  # their product is HOP
CHANNELS = (80, 64, 40)  # at the rate of the frames, 8 times that, 64 times that
NOISES = 4  # channels of noise, at 64 times the rate of the frames
SLOPE = 0.1


def heads(x: torch.Tensor) -> torch.Tensor:
    """[batch, length, width] to [batch, heads, length, width / heads]."""
    batch, length, width = x.shape
    return x.reshape(batch, length, HEADS, width // HEADS).transpose(1, 2)


class Layer(nn.Module):
    """Attention and a feed-forward network, each behind a normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def attend(
        self,
        x: torch.Tensor,
        normal: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor,
    ):
        """Attends from `normal` to keys and values, and feeds forward. `bias` is added to the
        scores."""
        scores = functional.scaled_dot_product_attention
        seen = scores(heads(self.query(normal)), heads(key), heads(value), attn_mask=bias)
        x = x + self.out(seen.transpose(1, 2).reshape(x.shape))
        return x + self.feed(self.before_feed(x))

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Returns [batch, length, width]."""
        normal = self.before_attention(x)
        return self.attend(x, normal, self.key(normal), self.value(normal), bias)


class Encoder(nn.Module):
    """Phonemes, [batch, length], to what the decoder is told of each, and to how long each
    sounds."""

    def __init__(self) -> None:
        super().__init__()
        self.phonemes, self.positions = (
            nn.Embedding(PHONEMES, ENCODED),
            nn.Embedding(LONGEST, ENCODED),
        )
        self.near = nn.Conv1d(ENCODED, ENCODED, 5, padding=2)
        self.layers = nn.ModuleList(Layer(ENCODED) for _ in range(LAYERS))
        self.last = nn.LayerNorm(ENCODED)
        self.duration = nn.Sequential(nn.Linear(ENCODED, ENCODED), nn.GELU(), nn.Linear(ENCODED, 1))

    def forward(self, phonemes: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns the encoding and the logarithm of each duration in frames. `mask` is 1 where
        there is a phoneme."""
        real = mask.to(torch.float32)
        position = torch.arange(phonemes.shape[1], device=phonemes.device)
        x = (self.phonemes(phonemes) + self.positions(position)) * real[..., None]
        x = x + functional.gelu(self.near(x.transpose(1, 2))).transpose(1, 2)
        bias = ((1.0 - real) * MASKED)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, bias)
        x = self.last(x)
        return {"encoded": x, "log_duration": self.duration(x).squeeze(-1)}


class Decoder(nn.Module):
    """One step: what was said last, and what the next frames are to say, to the next frames."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = nn.Sequential(
            nn.Linear(GROUP * MELS, WIDTH), nn.ReLU(), nn.Dropout(0.3), nn.Linear(WIDTH, WIDTH)
        )
        self.told = nn.Linear(GROUP * (ENCODED + 2), WIDTH)
        self.positions = nn.Embedding(STEPS, WIDTH)
        self.layers = nn.ModuleList(Layer(WIDTH) for _ in range(LAYERS))
        self.last = nn.LayerNorm(WIDTH)
        self.frames = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, GROUP * MELS)
        )
        for name in ("key_cache", "value_cache"):
            self.register_buffer(name, torch.zeros(LAYERS, 1, STEPS, WIDTH), persistent=False)

    def embed(
        self,
        previous: torch.Tensor,
        encoded: torch.Tensor,
        place: torch.Tensor,
        position: torch.Tensor,
    ):
        """Returns the input of the first layer, [batch, steps, width]."""
        told = torch.cat([encoded, place], dim=-1).flatten(-2)
        return self.heard(previous.flatten(-2)) + self.told(told) + self.positions(position)

    def train_steps(
        self, previous: torch.Tensor, encoded: torch.Tensor, place: torch.Tensor
    ) -> torch.Tensor:
        """Returns the frames of all steps at once, [batch, steps, group, mels]; each step sees
        those before it.

        Called by: `train.py`, with the true frames as `previous`.
        """
        count = previous.shape[1]
        x = self.embed(previous, encoded, place, torch.arange(count))
        bias = torch.full((count, count), MASKED).triu(1)
        for layer in self.layers:
            x = layer(x, bias)
        return self.frames(self.last(x)).reshape(previous.shape)

    def forward(
        self,
        previous: torch.Tensor,
        encoded: torch.Tensor,
        place: torch.Tensor,
        position: torch.Tensor,
    ) -> torch.Tensor:
        """Returns the next frames, [1, group, mels].

        Parameters: `previous` is what the last step returned, zeros at first; `encoded` [1, group,
        64] is the encoding of each frame's phoneme; `place` [1, group, 2] is how far into it the
        frame is, 0 to 1, and a tenth of its frames.
        """
        now = position[0]
        x = self.embed(previous[None], encoded[None], place[None], position)
        hidden = (torch.arange(STEPS) > now).to(torch.float32)[None] * MASKED
        for index, layer in enumerate(self.layers):
            normal = layer.before_attention(x)
            self.key_cache[index : index + 1, :, now : now + 1] = layer.key(normal)[None]
            self.value_cache[index : index + 1, :, now : now + 1] = layer.value(normal)[None]
            x = layer.attend(x, normal, self.key_cache[index], self.value_cache[index], hidden)
        return self.frames(self.last(x)).reshape(1, GROUP, MELS)


class Residual(nn.Module):
    """Convolutions that look further and further, each added to what it looked at: HiFi-GAN's
    residual block."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.looks = nn.ModuleList(
            nn.Conv1d(
                channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2
            )
            for dilation in dilations
        )

    def forward(self, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Returns [batch, channels, length]. `real` zeroes what is behind the end before each
        convolution reads it."""
        for look in self.looks:
            x = x + look(functional.leaky_relu(x, SLOPE) * real)
        return x


class Vocoder(nn.Module):
    """Frames, [batch, length, mels], to samples, [batch, length, hop]: HiFi-GAN's generator, small.

    The last transposed convolution is a filter bank without residual blocks behind it: at 16 kHz
    those would cost more than all others. `noise` is what hissing is made of; the generator shapes
    it.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third = CHANNELS
        self.before = nn.Conv1d(MELS, first, 7, padding=3)
        self.slow = nn.ConvTranspose1d(first, second, 16, 8, 4)
        self.slow_blocks = nn.ModuleList(
            [Residual(second, 3, (1, 3, 9)), Residual(second, 7, (1, 3))]
        )
        self.fast = nn.ConvTranspose1d(second, third, 16, 8, 4)
        self.noise = nn.Conv1d(NOISES, third, 1)
        self.fast_blocks = nn.ModuleList(
            [Residual(third, 3, (1, 3, 9)), Residual(third, 7, (1, 3))]
        )
        self.after = nn.ConvTranspose1d(third, 1, 32, 4, 14)

    def forward(
        self, frames: torch.Tensor, noise: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Returns samples in [-1, 1]. `mask` is 1 where there is a frame; `noise` is [batch,
        length, hop]."""
        batch, length, _ = frames.shape
        real = mask.to(torch.float32)[:, None, :]
        slow_real, fast_real = longer(real, 8), longer(real, 64)
        noise = noise.reshape(batch, length * HOP // NOISES, NOISES).transpose(1, 2)
        x = self.before(frames.transpose(1, 2) * real)
        x = self.slow(functional.leaky_relu(x, SLOPE) * real)
        x = mean([block(x, slow_real) for block in self.slow_blocks])
        x = self.fast(functional.leaky_relu(x, SLOPE) * slow_real) + self.noise(noise)
        x = mean([block(x, fast_real) for block in self.fast_blocks])
        x = torch.tanh(self.after(functional.leaky_relu(x, SLOPE) * fast_real))
        return x.reshape(batch, length, HOP)


def longer(real: torch.Tensor, factor: int) -> torch.Tensor:
    """Returns a mask, [batch, 1, length], for `factor` times the length."""
    batch, _, length = real.shape
    return real[..., None].expand(batch, 1, length, factor).reshape(batch, 1, length * factor)


def mean(parts: list[torch.Tensor]) -> torch.Tensor:
    """Returns the mean of tensors of one shape."""
    return sum(parts[1:], parts[0]) / len(parts)


def encoder() -> nn.Module:
    """Returns the untrained encoder. Called by: the driver of the build, `train.py`."""
    return Encoder()


def decoder() -> nn.Module:
    """Returns the untrained decoder. Called by: the driver of the build, `train.py`."""
    return Decoder()


def vocoder() -> nn.Module:
    """Returns the untrained vocoder. Called by: the driver of the build, `train.py`."""
    return Vocoder()
