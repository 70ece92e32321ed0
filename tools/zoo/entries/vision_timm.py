"""Classifiers of timm: convolutional networks, transformers, and what lies between.

Owns: one line for each architecture.
Flow: `catalogue.load` imports it.
"""

from __future__ import annotations

from catalogue import add, image

#: By architecture: side of the picture, and arguments besides.
ARCHITECTURES = {
    "resnet18": (64, ""),
    "seresnet50": (64, ""),
    "efficientnet_b0": (64, ""),
    "mobilenetv2_100": (64, ""),
    "mobilenetv3_small_100": (64, ""),
    "mobilenetv4_conv_small": (64, ""),
    "regnety_002": (64, ""),
    "convnext_atto": (64, ""),
    "convnextv2_atto": (64, ""),
    "vit_tiny_patch16_224": (64, "img_size=64"),
    "swin_tiny_patch4_window7_224": (56, "img_size=56"),
    "mixer_s32_224": (64, "img_size=64"),
    "efficientformerv2_s0": (64, "img_size=64"),
    "mobileone_s0": (64, ""),
    "repvgg_a0": (64, ""),
    "poolformer_s12": (64, ""),
    "fastvit_t8": (64, ""),
    "levit_128s": (64, "img_size=64"),
    "xcit_nano_12_p16_224": (64, "img_size=64"),
    "eva02_tiny_patch14_224": (56, "img_size=56"),
    "repvit_m0_9": (64, ""),
}

for name, (size, arguments) in ARCHITECTURES.items():
    more = f", {arguments}" if arguments else ""
    expression = f'timm.create_model("{name}", num_classes=10{more})'
    add("vision_timm", f"timm_{name}", "timm", "import timm", expression, image(size))

add(
    "vision_timm",
    "timm_features_of_resnet18",
    "timm",
    "import timm",
    'timm.create_model("resnet18", features_only=True)',
    image(64),
)
add(
    "vision_timm",
    "timm_features_of_convnext",
    "timm",
    "import timm",
    'timm.create_model("convnext_atto", features_only=True, out_indices=(1, 3))',
    image(64),
)
