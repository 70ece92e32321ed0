"""Models of transformers that see: classifiers, detection, segmentation, depth; small ones.

Owns: configurations.
Flow: `catalogue.load` imports it.
"""

from __future__ import annotations

from typing import Any

import torch
from catalogue import add, entry, image

VIT = (
    "hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, "
    "image_size=64, patch_size=16"
)
#: A convolutional backbone for detectors.
BACKBONE = (
    "transformers.ResNetConfig(\n            embedding_size=8, hidden_sizes=[8, 16, 32, 32], "
    'depths=[1, 1, 1, 1], layer_type="basic",\n            '
    'out_features=["stage2", "stage3", "stage4"]\n        )'
)
ONE_BACKBONE = BACKBONE.replace('"stage2", "stage3", "stage4"', '"stage4"')
SWIN = "image_size=64, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4"
DETR = (
    "d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=4, "
    "decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, num_queries=10"
)
#: By name: class, configuration, its arguments, side of the picture.
MODELS = {
    "vit": ("ViTForImageClassification", "ViTConfig", VIT, 64),
    "deit": ("DeiTForImageClassification", "DeiTConfig", VIT, 64),
    "beit": ("BeitModel", "BeitConfig", f"{VIT}, use_relative_position_bias=True", 64),
    "dinov2": ("Dinov2Model", "Dinov2Config", VIT, 64),
    "dinov2_registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", VIT, 64),
    "dinov3": ("DINOv3ViTModel", "DINOv3ViTConfig", f"{VIT}, num_register_tokens=2", 64),
    "siglip_vision": ("SiglipVisionModel", "SiglipVisionConfig", VIT, 64),
    "clip_vision": ("CLIPVisionModel", "CLIPVisionConfig", VIT, 64),
    "swin": ("SwinForImageClassification", "SwinConfig", SWIN, 64),
    "swinv2": ("Swinv2Model", "Swinv2Config", SWIN, 64),
    "swin2sr": (
        "Swin2SRForImageSuperResolution",
        "Swin2SRConfig",
        "image_size=32, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=8, upscale=2",
        32,
    ),
    "segformer": (
        "SegformerForSemanticSegmentation",
        "SegformerConfig",
        "depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 16, 32], num_attention_heads=[1, 2, 2, 4], "
        "decoder_hidden_size=32",
        64,
    ),
    "convnextv2": (
        "ConvNextV2ForImageClassification",
        "ConvNextV2Config",
        "depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 16, 32]",
        64,
    ),
    "pvt": (
        "PvtForImageClassification",
        "PvtConfig",
        "image_size=64, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 16, 32], "
        "num_attention_heads=[1, 2, 2, 4]",
        64,
    ),
    "mobilevit": (
        "MobileViTModel",
        "MobileViTConfig",
        "image_size=64, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 48], "
        "num_attention_heads=2",
        64,
    ),
    "yolos": (
        "YolosForObjectDetection",
        "YolosConfig",
        f"{VIT.replace('image_size=64', 'image_size=[64, 64]')}, num_detection_tokens=10",
        64,
    ),
    "detr": (
        "DetrForObjectDetection",
        "DetrConfig",
        f"use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, "
        f"{DETR},\n        backbone_config={ONE_BACKBONE}",
        64,
    ),
    "conditional_detr": (
        "ConditionalDetrForObjectDetection",
        "ConditionalDetrConfig",
        f"use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, "
        f"{DETR},\n        backbone_config={ONE_BACKBONE}",
        64,
    ),
    "deformable_detr": (
        "DeformableDetrForObjectDetection",
        "DeformableDetrConfig",
        f"use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, "
        f"num_feature_levels=3, {DETR},\n        backbone_config={BACKBONE}",
        64,
    ),
    "rt_detr": (
        "RTDetrForObjectDetection",
        "RTDetrConfig",
        "encoder_hidden_dim=32, encoder_in_channels=[16, 32, 32], encoder_ffn_dim=64, "
        "encoder_attention_heads=4, d_model=32, num_queries=10, decoder_in_channels=[32, 32, 32], "
        "decoder_ffn_dim=64, decoder_layers=2, decoder_attention_heads=4, anchor_image_size=None, "
        "use_timm_backbone=False, use_pretrained_backbone=False,\n        "
        "backbone_config=transformers.RTDetrResNetConfig(\n            embedding_size=8, "
        'hidden_sizes=[8, 16, 32, 32], depths=[1, 1, 1, 1], layer_type="basic",\n            '
        'out_features=["stage2", "stage3", "stage4"]\n        )',
        64,
    ),
    "mask2former": (
        "Mask2FormerForUniversalSegmentation",
        "Mask2FormerConfig",
        "feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_layers=1, "
        "decoder_layers=2, num_attention_heads=4, dim_feedforward=64, "
        "encoder_feedforward_dim=64, num_queries=10,\n        "
        "backbone_config=transformers.SwinConfig(\n            image_size=64, embed_dim=16, "
        "depths=[1, 1, 1, 1], num_heads=[2, 2, 2, 2], window_size=4,\n            "
        'out_features=["stage1", "stage2", "stage3", "stage4"]\n        )',
        64,
    ),
    "maskformer": (
        "MaskFormerForInstanceSegmentation",
        "MaskFormerConfig",
        "fpn_feature_size=32, mask_feature_size=32,\n        "
        "backbone_config=transformers.SwinConfig(\n            image_size=64, embed_dim=16, "
        "depths=[1, 1, 1, 1], num_heads=[2, 2, 2, 2], window_size=4,\n            "
        'out_features=["stage1", "stage2", "stage3", "stage4"]\n        ),\n        '
        f"decoder_config=transformers.DetrConfig(\n            {DETR}\n        )",
        64,
    ),
    "dpt": (
        "DPTForDepthEstimation",
        "DPTConfig",
        f"{VIT.replace('num_hidden_layers=2', 'num_hidden_layers=4')}, is_hybrid=False, "
        "backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16], "
        "fusion_hidden_size=16",
        64,
    ),
    "depth_anything": (
        "DepthAnythingForDepthEstimation",
        "DepthAnythingConfig",
        "patch_size=14, reassemble_hidden_size=32, reassemble_factors=[4, 2, 1, 0.5], "
        "neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16, head_hidden_size=8,\n        "
        "backbone_config=transformers.Dinov2Config(\n            hidden_size=32, "
        "num_hidden_layers=4, num_attention_heads=4, image_size=56, patch_size=14,\n            "
        'out_features=["stage1", "stage2", "stage3", "stage4"], '
        "reshape_hidden_states=False\n        )",
        56,
    ),
    "glpn": (
        "GLPNForDepthEstimation",
        "GLPNConfig",
        "depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 16, 32], num_attention_heads=[1, 2, 2, 4], "
        "decoder_hidden_size=16",
        64,
    ),
    "superpoint": (
        "SuperPointForKeypointDetection",
        "SuperPointConfig",
        "encoder_hidden_sizes=[8, 8, 16, 16], decoder_hidden_size=16, descriptor_decoder_dim=16, "
        "keypoint_decoder_dim=65",
        64,
    ),
    "hiera": (
        "HieraModel",
        "HieraConfig",
        "image_size=[64, 64], embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 4]",
        64,
    ),
}
for name, (architecture, configuration, arguments, size) in MODELS.items():
    add(
        "vision_transformers",
        f"transformers_{name}",
        "transformers",
        "import transformers",
        f"transformers.{architecture}(transformers.{configuration}(\n        {arguments}\n    ))",
        image(size, name="pixel_values"),
    )
for name, architecture in (("videomae", "VideoMAEModel"), ("timesformer", "TimesformerModel")):
    configuration = architecture.replace("Model", "Config")
    add(
        "vision_transformers",
        f"transformers_{name}",
        "transformers",
        "import transformers",
        f"transformers.{architecture}(\n        transformers.{configuration}({VIT}, "
        "num_frames=4)\n    )",
        "inputs.pixel_values = { shape = [1, 4, 3, 64, 64] }",
    )


@entry(
    "transformers",
    'inputs.input_ids = { shape = [2, 8], dtype = "int32", sample = { range = [0, 98] } }',
    "inputs.pixel_values = { shape = [1, 3, 64, 64] }",
)
def transformers_clip() -> Any:
    """Return how well a picture fits each of two texts."""
    import transformers

    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {"vocab_size": 100, "max_position_embeddings": 16, "eos_token_id": 99, **size}
    vision = {"image_size": 64, "patch_size": 16, **size}
    made = transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    )

    class Fit(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.clip = made

        def forward(self, input_ids: torch.Tensor, pixel_values: torch.Tensor) -> torch.Tensor:
            return self.clip(input_ids, pixel_values).logits_per_image

    return Fit()


@entry(
    "transformers",
    "inputs.pixel_values = { shape = [1, 3, 64, 64] }",
    "inputs.points = { shape = [1, 1, 2, 2], sample = { range = [0, 63] } }",
)
def transformers_sam() -> Any:
    """Return masks for two points of a picture."""
    import transformers

    vision = transformers.SamVisionConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=64,
        patch_size=16,
        output_channels=32,
        mlp_dim=64,
        window_size=2,
        global_attn_indexes=[1],
        num_pos_feats=16,
    )
    prompt = transformers.SamPromptEncoderConfig(hidden_size=32, image_size=64, patch_size=16)
    decoder = transformers.SamMaskDecoderConfig(
        hidden_size=32, mlp_dim=64, num_attention_heads=4, iou_head_hidden_dim=32
    )
    made = transformers.SamModel(
        transformers.SamConfig(
            vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder
        )
    )

    class Masks(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sam = made

        def forward(self, pixel_values: torch.Tensor, points: torch.Tensor) -> tuple[Any, ...]:
            labels = torch.ones(1, 1, 2, dtype=torch.int32)
            found = self.sam(pixel_values, input_points=points, input_labels=labels)
            return found.pred_masks, found.iou_scores

    return Masks()
