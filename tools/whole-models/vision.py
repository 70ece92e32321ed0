"""Networks for images: MobileNet v2 and v3, ResNet-18, a vision transformer, a U-Net.

Owns: architectures and samples. Flow: `make.py` → [`NETWORKS`].
"""

import torch
import torchvision
from network import Network, halves, seed, settle
from torch import nn


def mobilenet_v2() -> Network:
    """Returns torchvision's MobileNet v2."""
    generator = seed(1)
    sample = {"image": halves(generator, 1, 3, 224, 224)}
    module = settle(torchvision.models.mobilenet_v2(weights=None), sample)
    calm(module.features, "conv")
    return Network(module, [sample], ("logits",), variants=("fp32", "fp16", "int8"))


@torch.no_grad()
def calm(blocks: nn.Module, name: str) -> None:
    """Weakens what residual blocks add, as training does; else rounding one weight changes all that
    follows."""
    for block in blocks:
        if getattr(block, "use_res_connect", False):
            norms = [
                part for part in getattr(block, name).modules() if isinstance(part, nn.BatchNorm2d)
            ]
            norms[-1].weight.mul_(0.3)
            norms[-1].bias.mul_(0.3)


def mobilenet_v3() -> Network:
    """Returns torchvision's small MobileNet v3: hard swish, squeeze and excitation."""
    generator = seed(2)
    sample = {"image": halves(generator, 1, 3, 224, 224)}
    module = settle(torchvision.models.mobilenet_v3_small(weights=None), sample)
    calm(module.features, "block")
    return Network(module, [sample], ("logits",), variants=("fp32", "fp16", "palettized"))


def resnet18() -> Network:
    """Returns torchvision's ResNet-18."""
    generator = seed(3)
    sample = {"image": halves(generator, 1, 3, 224, 224)}
    module = settle(torchvision.models.resnet18(weights=None), sample)
    return Network(
        module, [sample], ("logits",), variants=("fp32", "fp16", "int8", "palettized", "sparse")
    )


def vit() -> Network:
    """Returns a small one of torchvision's vision transformers, whose attention is one operation
    since iOS 18."""
    torch.backends.mha.set_fastpath_enabled(False)
    generator = seed(5)
    module = torchvision.models.VisionTransformer(
        image_size=64,
        patch_size=8,
        num_layers=3,
        num_heads=4,
        hidden_dim=128,
        mlp_dim=256,
        num_classes=10,
    ).eval()
    nn.init.normal_(module.heads.head.weight, std=0.1)
    return Network(
        module, [{"image": halves(generator, 1, 3, 64, 64)}], ("logits",), target="iOS18"
    )


class UNet(nn.Module):
    """A U-Net of three levels: transposed convolutions, skips, group normalisation, bilinear
    upsampling at the end."""

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64)) -> None:
        """Makes the parts."""
        super().__init__()
        self.down = nn.ModuleList()
        channels = 3
        for width in widths:
            self.down.append(block(channels, width))
            channels = width
        self.pool = nn.MaxPool2d(2)
        self.middle = block(channels, 2 * channels)
        channels *= 2
        self.lift, self.up = nn.ModuleList(), nn.ModuleList()
        for width in reversed(widths):
            self.lift.append(nn.ConvTranspose2d(channels, width, 2, stride=2))
            self.up.append(block(2 * width, width))
            channels = width
        self.head = nn.Conv2d(channels, 4, 1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns a mask, and a coarse one that is upsampled."""
        skips = []
        x = image
        for down in self.down:
            x = down(x)
            skips.append(x)
            x = self.pool(x)
        x = self.middle(x)
        for lift, up, skip in zip(self.lift, self.up, reversed(skips), strict=True):
            x = up(torch.cat([lift(x), skip], dim=1))
        mask = self.head(x)
        coarse = nn.functional.interpolate(
            self.pool(mask), scale_factor=2, mode="bilinear", align_corners=False
        )
        return torch.sigmoid(mask), coarse


def block(channels: int, width: int) -> nn.Sequential:
    """Returns two convolutions with their normalisations."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.GroupNorm(4, width),
        nn.SiLU(),
    )


def unet() -> Network:
    """Returns the U-Net."""
    generator = seed(4)
    sample = {"image": halves(generator, 1, 3, 96, 128)}
    module = settle(UNet(), sample)
    return Network(module, [sample], ("mask", "coarse"), variants=("fp32", "fp16", "sparse"))


NETWORKS = {
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "resnet18": resnet18,
    "vit": vit,
    "unet": unet,
}
