"""Models of torchvision: classifiers, segmentation, detection, optical flow, videos.

Owns: one line for each architecture, and what a detector's list of pictures becomes.
Flow: `catalogue.load` imports it.
"""

from __future__ import annotations

from typing import Any

import torch
from catalogue import add, entry, image

#: By architecture: side of the picture.
CLASSIFIERS = {
    "googlenet": 96,
    "mnasnet0_5": 64,
    "shufflenet_v2_x0_5": 64,
    "squeezenet1_1": 64,
    "mobilenet_v3_small": 64,
    "efficientnet_b0": 64,
    "convnext_tiny": 64,
    "swin_v2_t": 64,
}
for name, size in CLASSIFIERS.items():
    more = ", init_weights=False, aux_logits=False" if name == "googlenet" else ""
    add(
        "vision_torchvision",
        f"torchvision_{name}",
        "torchvision",
        "from torchvision import models",
        f"models.{name}(num_classes=10{more})",
        image(size),
    )
add(
    "vision_torchvision",
    "torchvision_vit",
    "torchvision",
    "from torchvision.models import VisionTransformer",
    "VisionTransformer(64, 16, 2, 4, 64, 128, num_classes=10)",
    image(64),
)
for name in ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"):
    add(
        "vision_torchvision",
        f"torchvision_{name}",
        "torchvision",
        "from torchvision.models import segmentation",
        f"segmentation.{name}(weights=None, weights_backbone=None, num_classes=5)",
        image(64),
    )
for name in ("r3d_18",):
    add(
        "vision_torchvision",
        f"torchvision_{name}",
        "torchvision",
        "from torchvision.models import video",
        f"video.{name}(num_classes=10)",
        "inputs.clip = { shape = [1, 3, 8, 56, 56] }",
    )
add(
    "vision_torchvision",
    "torchvision_swin3d",
    "torchvision",
    "from torchvision.models.video import SwinTransformer3d",
    "SwinTransformer3d(\n        [2, 4, 4], 24, [2, 2], [2, 4], [4, 4, 4], num_classes=10\n    )",
    "inputs.clip = { shape = [1, 3, 8, 64, 64] }",
)


@entry(
    "torchvision",
    "inputs.first = { shape = [1, 3, 128, 128], sample = { range = [-1, 1] } }",
    "inputs.second = { shape = [1, 3, 128, 128], sample = { range = [-1, 1] } }",
)
def torchvision_raft() -> Any:
    """Return the last flow of a few updates."""
    from torchvision.models.optical_flow import raft_small

    class Flow(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.raft = raft_small()

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return self.raft(first, second, num_flow_updates=3)[-1]

    return Flow()


@entry(
    "torchvision",
    "inputs.image = { shape = [1, 3, 96, 96], sample = { range = [0, 1] } }",
    "outputs.boxes = {}",
    'outputs.labels = { dtype = "int32" }',
    "outputs.scores = {}",
    "outputs.masks = {}",
)
def torchvision_mask_rcnn() -> Any:
    """Return boxes, classes, scores and masks of a picture."""
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    class Detector(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.detector = maskrcnn_resnet50_fpn(
                weights=None,
                weights_backbone=None,
                num_classes=5,
                min_size=96,
                max_size=96,
                rpn_post_nms_top_n_test=20,
                box_score_thresh=0.0,
                box_detections_per_img=10,
            )

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = self.detector([image[0]])[0]
            return found["boxes"], found["labels"], found["scores"], found["masks"]

    return Detector()


@entry(
    "torchvision",
    "inputs.image = { shape = [1, 3, 96, 96], sample = { range = [0, 1] } }",
    "outputs.boxes = {}",
    'outputs.labels = { dtype = "int32" }',
    "outputs.scores = {}",
)
def torchvision_faster_rcnn() -> Any:
    """Return boxes, classes and scores of a picture."""
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    class Detector(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.detector = fasterrcnn_mobilenet_v3_large_320_fpn(
                weights=None,
                weights_backbone=None,
                num_classes=5,
                min_size=96,
                max_size=96,
                rpn_post_nms_top_n_test=20,
                box_score_thresh=0.0,
                box_detections_per_img=10,
            )

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = self.detector([image[0]])[0]
            return found["boxes"], found["labels"], found["scores"]

    return Detector()


@entry("torchvision", "inputs.image = { shape = [1, 3, 96, 96], sample = { range = [0, 1] } }")
def torchvision_ssdlite() -> Any:
    """Return what the heads say for each anchor."""
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    class Heads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.detector = ssdlite320_mobilenet_v3_large(
                weights=None, weights_backbone=None, num_classes=5
            )

        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            features = self.detector.backbone(image)
            return self.detector.head(list(features.values()))

    return Heads()


@entry("torchvision", "inputs.image = { shape = [1, 3, 96, 96], sample = { range = [0, 1] } }")
def torchvision_retinanet() -> Any:
    """Return what the heads say for each anchor."""
    from torchvision.models.detection import retinanet_resnet50_fpn

    class Heads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.detector = retinanet_resnet50_fpn(
                weights=None, weights_backbone=None, num_classes=5
            )

        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            features = self.detector.backbone(image)
            return self.detector.head(list(features.values()))

    return Heads()
