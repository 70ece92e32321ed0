"""Whole networks with random weights, small enough to commit; the reference is PyTorch in single
precision.

Flow: `generate.py` → here → `archive.py`.
"""

import coremltools as ct
import numpy as np
import torch
from archive import TOLERANCES, convert
from torch import nn


class Mlp(nn.Module):
    """Two linear layers."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 5, bias=False), nn.Tanh()
        )

    def forward(self, x):
        """Maps `[2, 12]` to `[2, 5]`."""
        return self.layers(x)


class Bottleneck(nn.Module):
    """A residual block of ResNet."""

    def __init__(self, width, wide, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(wide, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * wide, 1, bias=False),
            nn.BatchNorm2d(2 * wide),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(wide, 2 * wide, 1, stride, bias=False), nn.BatchNorm2d(2 * wide)
        )

    def forward(self, x):
        """Adds the body to the shortcut."""
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    """Stem, two residual blocks, head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        self.blocks = nn.Sequential(Bottleneck(4, 8, 1), Bottleneck(8, 16, 2))
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        """Maps images to logits."""
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class InvertedResidual(nn.Module):
    """A block of MobileNet v2, or of v3 with squeeze-and-excitation and hard swish."""

    def __init__(self, width, expand, third):
        super().__init__()
        inner = width * expand
        activation = nn.Hardswish if third else nn.ReLU6
        self.expand = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner), activation()
        )
        self.depthwise = nn.Sequential(
            nn.Conv2d(
                inner, inner, 5 if third else 3, 1, 2 if third else 1, groups=inner, bias=False
            ),
            nn.BatchNorm2d(inner),
            activation(),
        )
        self.excite = (
            nn.Sequential(
                nn.AdaptiveAvgPool2d(1),
                nn.Conv2d(inner, 4, 1),
                nn.ReLU(),
                nn.Conv2d(4, inner, 1),
                nn.Hardsigmoid(),
            )
            if third
            else None
        )
        self.project = nn.Sequential(nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        """Adds the projection to the input."""
        y = self.depthwise(self.expand(x))
        if self.excite is not None:
            y = y * self.excite(y)
        return x + self.project(y)


class MobileNet(nn.Module):
    """Stem, two inverted residuals, head."""

    def __init__(self, third):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.Hardswish() if third else nn.ReLU6(),
            InvertedResidual(8, 3, third),
            InvertedResidual(8, 4, third),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 6)
        )

    def forward(self, x):
        """Maps images to logits."""
        return self.head(self.features(x))


class UNet(nn.Module):
    """One level down with pooling, one up with a transposed convolution and a skip connection."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.LeakyReLU(0.1))
        self.middle = nn.Sequential(
            nn.AvgPool2d(2), nn.Conv2d(6, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.SiLU()
        )
        self.up = nn.ConvTranspose2d(12, 6, 2, 2)
        self.out = nn.Conv2d(12, 2, 1)

    def forward(self, x):
        """Maps images to maps of the same size."""
        skip = self.down(x)
        return self.out(torch.cat([skip, self.up(self.middle(skip))], 1))


class Encoder(nn.Module):
    """A BERT-like encoder: embeddings of tokens and positions, `nn.TransformerEncoder`, a pooled
    head."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(50, 16), nn.Embedding(12, 16)
        layer = nn.TransformerEncoderLayer(
            16, 4, 32, activation="gelu", batch_first=True, norm_first=False
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 3)

    def forward(self, ids):
        """Maps token ids to hidden states and a pooled prediction."""
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        x = self.layers(self.norm(x))
        return x, torch.softmax(self.head(x[:, 0]), -1)


class Tied(nn.Module):
    """Logits by the embedding that made the input: one weight, gathered from and multiplied by."""

    def __init__(self):
        super().__init__()
        self.tokens, self.inner = nn.Embedding(50, 16), nn.Linear(16, 16)

    def forward(self, ids):
        """Maps token ids to the logits of all positions, and of the last one."""
        x = torch.tanh(self.inner(self.tokens(ids)))
        return x @ self.tokens.weight.t(), x[:, -1] @ self.tokens.weight.t()


class Attention(nn.Module):
    """Masked self-attention written with `scaled_dot_product_attention`."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x, mask):
        """Attends where the mask is one."""
        b, t, d = x.shape
        q, k, v = (z.reshape(b, t, 2, 8).transpose(1, 2) for z in self.qkv(x).chunk(3, -1))
        y = nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=(mask[:, None, None, :] - 1.0) * 1e4
        )
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class Unmasked(Attention):
    """The same without padding."""

    def forward(self, x):
        """Attends everywhere."""
        return super().forward(x, torch.ones_like(x[:, :, 0]))


def images(*shape):
    """Returns normally distributed images."""
    return {"x": torch.randn(*shape)}


def generate(archive):
    """Adds each network in single and half precision."""
    torch.manual_seed(0)
    # The fused layer of eager PyTorch is one opaque operation in a trace.
    torch.backends.mha.set_fastpath_enabled(False)
    tokens = {"ids": torch.randint(0, 50, (1, 12), dtype=torch.int32)}
    masked = {"x": torch.randn(2, 6, 16), "mask": torch.tensor([[1.0] * 6, [1, 1, 1, 0, 0, 0]])}
    networks = [
        ("mlp", Mlp(), {"x": torch.randn(2, 12)}, "iOS15"),
        ("resnet", ResNet(), images(1, 3, 32, 32), "iOS15"),
        ("mobilenet_v2", MobileNet(third=False), images(1, 3, 24, 24), "iOS15"),
        ("mobilenet_v3", MobileNet(third=True), images(1, 3, 24, 24), "iOS16"),
        ("unet", UNet(), images(1, 1, 16, 16), "iOS16"),
        ("encoder", Encoder(), tokens, "iOS16"),
        ("attention", Attention(), masked, "iOS18"),
    ]
    for name, network, inputs, target in networks:
        network.eval()
        randomize_statistics(network)
        for precision in ("float32", "float16"):
            add(archive, f"{name}_{precision}", network, inputs, precision, target)
    classifiers(archive)
    flexible(archive)
    tied = Tied().eval()
    for precision in ("float32", "float16"):
        add(
            archive,
            f"tied_{precision}",
            tied,
            {"ids": torch.randint(0, 50, (1, 5), dtype=torch.int32)},
            precision,
            "iOS16",
        )


def randomize_statistics(network):
    """Gives normalizations statistics that are not those of an untrained network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)


def add(archive, name, network, inputs, precision, target, **options):
    """Traces, converts and adds a network."""
    with torch.no_grad():
        traced = torch.jit.trace(network, tuple(inputs.values()), check_trace=False)
        expected = network(*inputs.values())
    expected = expected if isinstance(expected, tuple) else (expected,)
    half = precision == "float16" and target != "iOS15"
    types = [tensor_type(key, value, half) for key, value in inputs.items()]
    outputs = [
        ct.TensorType(name=f"y{i}", dtype=np.float16 if half else np.float32)
        for i in range(len(expected))
    ]
    model = convert(traced, precision, target, inputs=types, outputs=outputs, **options)
    arrays = {key: as_array(value, half) for key, value in inputs.items()}
    results = {f"y{i}": value.numpy() for i, value in enumerate(expected)}
    archive.add(name, model, arrays, results, TOLERANCES[precision])


def tensor_type(name, value, half):
    """Describes an input."""
    return ct.TensorType(name=name, shape=value.shape, dtype=as_array(value, half).dtype.type)


def as_array(value, half):
    """Returns a tensor as the model takes it."""
    array = value.numpy()
    return array.astype(np.float16) if half and array.dtype == np.float32 else array


def classifiers(archive):
    """Adds classifiers with text and number labels."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.Softmax(-1)).eval()
    x = torch.randn(1, 1, 4, 4)
    for name, labels in (
        ("classifier_text", ["ant", "bee", "cat", "dog"]),
        ("classifier_number", [7, 1, 4, 9]),
    ):
        traced = torch.jit.trace(network, x)
        config = ct.ClassifierConfig(labels)
        model = convert(
            traced, inputs=[ct.TensorType(name="x", shape=x.shape)], classifier_config=config
        )
        expected = network(x).detach().numpy()[0]
        outputs = {
            "classLabel_probs": expected,
            "classLabel": np.array([expected.argmax()], np.int32),
        }
        archive.add(name, model, {"x": x.numpy()}, outputs, TOLERANCES["float32"])


def flexible(archive):
    """Adds one network per kind of flexible shape, each with two shapes that are not the
    default."""
    network = Unmasked().eval()
    for kind in ("ranged", "enumerated"):
        shapes = [(1, length, 16) for length in (4, 7, 9)]
        traced = torch.jit.trace(network, torch.randn(1, 4, 16))
        if kind == "ranged":
            shape = ct.Shape((1, ct.RangeDim(2, 16, default=4), 16))
        else:
            shape = ct.EnumeratedShapes(shapes, default=shapes[0])
        model = convert(
            traced, inputs=[ct.TensorType(name="x", shape=shape)], outputs=[ct.TensorType(name="y")]
        )
        for _, length, _ in shapes[1:]:
            x = torch.randn(1, length, 16)
            expected = {"y": network(x).detach().numpy()}
            archive.add(
                f"{kind}_{length}", model, {"x": x.numpy()}, expected, TOLERANCES["float32"]
            )
