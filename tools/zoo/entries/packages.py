"""Models of many packages that see: segmentation, detection, restoration, matching.

Owns: one entry for each architecture.
Flow: `catalogue.load` imports it.
"""

from __future__ import annotations

from typing import Any

import torch
from catalogue import add, entry, image, tokens

for architecture in (
    "Unet",
    "FPN",
    "DeepLabV3Plus",
    "PSPNet",
    "Linknet",
    "UPerNet",
    "Segformer",
):
    add(
        "packages",
        f"smp_{architecture.lower()}",
        "segmentation-models-pytorch",
        "import segmentation_models_pytorch as smp",
        f'smp.{architecture}("resnet18", encoder_weights=None, classes=3)',
        image(64),
    )

#: What `forward` of a detector returns.
DETECTORS = {
    "yolov8n": ["predictions"],
    "yolo11n": ["predictions"],
    "yolo12n": ["predictions"],
    "yolov8n-seg": ["predictions", "prototypes"],
    "yolov10n": ["predictions"],
}
for name, outputs in DETECTORS.items():
    add(
        "packages",
        f"ultralytics_{name.replace('-', '_')}",
        "ultralytics",
        "from partial import for_export\n    from ultralytics import YOLO",
        f'for_export(YOLO("{name}.yaml").model)',
        image(64),
        *(f"outputs.{output} = {{}}" for output in outputs),
    )
add(
    "packages",
    "ultralytics_rtdetr",
    "ultralytics",
    "from ultralytics.nn.tasks import RTDETRDetectionModel",
    'RTDETRDetectionModel("rtdetr-resnet50.yaml", verbose=False)',
    image(160),
)

#: By name: the module of the architecture's class, and the call.
SPANDREL = {
    "esrgan": ("ESRGAN.__arch.RRDB", "RRDBNet", "RRDBNet(num_filters=16, num_blocks=2)"),
    "compact": (
        "Compact.__arch.SRVGG",
        "SRVGGNetCompact",
        "SRVGGNetCompact(num_feat=16, num_conv=4)",
    ),
    "swinir": (
        "SwinIR",
        "SwinIR",
        "SwinIR(img_size=32, embed_dim=16, depths=[2], num_heads=[2], window_size=8, upscale=2,\n"
        '        upsampler="pixelshuffle")',
    ),
    "span": ("SPAN", "SPAN", "SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16)"),
    "dat": (
        "DAT",
        "DAT",
        "DAT(img_size=32, embed_dim=16, depth=[2], num_heads=[2], split_size=[8, 8], upscale=2)",
    ),
    "hat": (
        "HAT",
        "HAT",
        "HAT(img_size=32, embed_dim=16, depths=[2], num_heads=[2], window_size=8, upscale=2,\n"
        '        upsampler="pixelshuffle", squeeze_factor=4)',
    ),
    "scunet": ("SCUNet", "SCUNet", "SCUNet(dim=64, config=[1, 1, 1, 1, 1, 1, 1])"),
    "plksr": ("PLKSR", "PLKSR", "PLKSR(dim=16, n_blocks=2)"),
}
for name, (module, architecture, call) in SPANDREL.items():
    add(
        "packages",
        f"spandrel_{name}",
        "spandrel",
        f"from spandrel.architectures.{module} import {architecture}",
        call,
        image(64 if name == "scunet" else 32),
    )

add(
    "packages",
    "facenet",
    "facenet-pytorch",
    "from facenet_pytorch import InceptionResnetV1",
    "InceptionResnetV1(classify=False)",
    image(96),
)
add(
    "packages",
    "efficientnet_b0",
    "efficientnet-pytorch",
    "from efficientnet_pytorch import EfficientNet",
    'EfficientNet.from_name("efficientnet-b0", image_size=64, num_classes=10)',
    image(64),
)
add(
    "packages",
    "kornia_hardnet",
    "kornia",
    "from kornia.feature import HardNet",
    "HardNet()",
    "inputs.patches = { shape = [4, 1, 32, 32] }",
)
add(
    "packages",
    "kornia_dexined",
    "kornia",
    "from kornia.filters.dexined import DexiNed",
    "DexiNed(pretrained=False)",
    image(64),
)
add(
    "packages",
    "kornia_canny",
    "kornia",
    "from kornia.filters import Canny",
    "Canny(hysteresis=False)",
    "inputs.image = { shape = [1, 1, 32, 32], sample = { range = [0, 1] } }",
)
add(
    "packages",
    "vit_pytorch_simple",
    "vit-pytorch",
    "from vit_pytorch.simple_vit import SimpleViT",
    "SimpleViT(\n        image_size=64, patch_size=16, num_classes=10, dim=32, depth=2, heads=4, "
    "mlp_dim=64\n    )",
    image(64),
)
add(
    "packages",
    "vit_pytorch_cct",
    "vit-pytorch",
    "from vit_pytorch.cct import CCT",
    "CCT(\n        img_size=64, embedding_dim=32, n_conv_layers=2, num_layers=2, num_heads=4,\n"
    "        mlp_ratio=2.0, num_classes=10,\n    )",
    image(64),
)


@entry("lpips", image(64, name="first"), image(64, name="second"), published=False)
def lpips_squeeze() -> Any:
    """Return how far two pictures are apart."""
    import lpips

    return lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)


@entry("open-clip-torch", image(64), tokens(16, 100, "text"))
def open_clip_vit() -> Any:
    """Return the features of a picture and of a text."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    class Features(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.clip = CLIP(
                32,
                CLIPVisionCfg(layers=2, width=64, head_width=16, image_size=64, patch_size=16),
                CLIPTextCfg(context_length=16, vocab_size=100, width=32, heads=4, layers=2),
            )

        def forward(self, image: torch.Tensor, text: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return self.clip(image, text)[:2]

    return Features()


@entry("sam2", image(128))
def sam2_image_encoder() -> Any:
    """Return the features of a picture at three sizes."""
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = ImageEncoder(
                Hiera(
                    embed_dim=16,
                    num_heads=1,
                    stages=(1, 1, 2, 1),
                    global_att_blocks=(3,),
                    window_pos_embed_bkg_spatial_size=(7, 7),
                    window_spec=(8, 4, 4, 2),
                ),
                FpnNeck(PositionEmbeddingSine(32), 32, [128, 64, 32, 16], fpn_top_down_levels=[2]),
                scalp=1,
            )

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(self.encoder(image)["backbone_fpn"])

    return Encoder()


@entry(
    "sam2",
    "inputs.features = { shape = [1, 32, 8, 8] }",
    "inputs.points = { shape = [1, 2, 2], sample = { range = [0, 127] } }",
)
def sam2_mask_decoder() -> Any:
    """Return masks for two points from the features of a picture."""
    from sam2.modeling.sam.mask_decoder import MaskDecoder
    from sam2.modeling.sam.prompt_encoder import PromptEncoder
    from sam2.modeling.sam.transformer import TwoWayTransformer

    class Decoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.prompt = PromptEncoder(32, (8, 8), (128, 128), 8)
            self.decoder = MaskDecoder(
                transformer_dim=32,
                transformer=TwoWayTransformer(2, 32, 4, 64),
                iou_head_hidden_dim=32,
            )

        def forward(
            self, features: torch.Tensor, points: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            labels = torch.ones(1, 2, dtype=torch.int32)
            sparse, dense = self.prompt((points, labels), None, None)
            masks, scores, _, _ = self.decoder(
                image_embeddings=features,
                image_pe=self.prompt.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=True,
                repeat_image=False,
            )
            return masks, scores

    return Decoder()
