"""Models of diffusers that make pictures: denoisers and autoencoders, small ones.

Owns: configurations.
Flow: `catalogue.load` imports it.
"""

from __future__ import annotations

from typing import Any

import torch
from catalogue import add, entry

LATENT = "inputs.sample = { shape = [1, 4, 16, 16] }"
TIME = "inputs.timestep = { shape = [1], sample = { range = [0, 999] } }"
#: The output, which has the name of an input otherwise.
NOISE = "outputs.noise = {}"
STATES = "inputs.encoder_hidden_states = { shape = [1, 8, 32] }"
BLOCKS = "block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,\n        "
#: By name: class, arguments, lines of the inputs.
MODELS = {
    "unet": (
        "UNet2DModel",
        f"sample_size=16, in_channels=4, out_channels=4, {BLOCKS}"
        'down_block_types=("DownBlock2D", "AttnDownBlock2D"), '
        'up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=8',
        (LATENT, TIME, NOISE),
    ),
    "unet_condition": (
        "UNet2DConditionModel",
        f"sample_size=16, cross_attention_dim=32, attention_head_dim=4, {BLOCKS}"
        'down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), '
        'up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")',
        (LATENT, TIME, STATES, NOISE),
    ),
    "autoencoder_kl": (
        "AutoencoderKL",
        f'latent_channels=4, {BLOCKS}down_block_types=("DownEncoderBlock2D",) * 2, '
        'up_block_types=("UpDecoderBlock2D",) * 2',
        ("inputs.image = { shape = [1, 3, 32, 32] }",),
    ),
    "autoencoder_tiny": (
        "AutoencoderTiny",
        "encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), "
        "num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1)",
        ("inputs.image = { shape = [1, 3, 32, 32] }",),
    ),
    "sd3": (
        "SD3Transformer2DModel",
        "sample_size=16, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8, "
        "num_attention_heads=4, joint_attention_dim=32, caption_projection_dim=32, "
        "pooled_projection_dim=16, pos_embed_max_size=16",
        (
            LATENT.replace("sample", "hidden_states"),
            STATES,
            "inputs.pooled_projections = { shape = [1, 16] }",
            TIME,
        ),
    ),
    "controlnet": (
        "ControlNetModel",
        f"cross_attention_dim=32, attention_head_dim=4, {BLOCKS}"
        'down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), '
        "conditioning_embedding_out_channels=(8, 16)",
        (LATENT, TIME, STATES, "inputs.controlnet_cond = { shape = [1, 3, 32, 32] }"),
    ),
    "unet_motion": (
        "UNet3DConditionModel",
        "sample_size=16, cross_attention_dim=32, attention_head_dim=4, "
        f'{BLOCKS}down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"), '
        'up_block_types=("UpBlock3D", "CrossAttnUpBlock3D")',
        ("inputs.sample = { shape = [1, 4, 2, 16, 16] }", TIME, STATES, NOISE),
    ),
}
for name, (architecture, arguments, lines) in MODELS.items():
    add(
        "generation",
        f"diffusers_{name}",
        "diffusers",
        "import diffusers",
        f"diffusers.{architecture}(\n        {arguments}\n    )",
        *lines,
    )


@entry(
    "diffusers",
    "inputs.sample = { shape = [1, 16, 4] }",
    "inputs.states = { shape = [1, 8, 32] }",
    "inputs.pooled = { shape = [1, 16] }",
    "inputs.timestep = { shape = [1], sample = { range = [0, 1] } }",
)
def diffusers_flux() -> Any:
    """Return the velocity of a picture's patches."""
    from diffusers import FluxTransformer2DModel

    class Denoiser(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flux = FluxTransformer2DModel(
                in_channels=4,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=32,
                pooled_projection_dim=16,
                axes_dims_rope=(4, 4, 8),
            )

        def forward(
            self,
            sample: torch.Tensor,
            states: torch.Tensor,
            pooled: torch.Tensor,
            timestep: torch.Tensor,
        ) -> torch.Tensor:
            return self.flux(
                sample, states, pooled, timestep, torch.zeros(16, 3), torch.zeros(8, 3)
            ).sample

    return Denoiser()


@entry(
    "diffusers",
    LATENT,
    TIME,
    'inputs.classes = { shape = [1], dtype = "int32", sample = { range = [0, 9] } }',
)
def diffusers_dit() -> Any:
    """Return the noise of a latent picture of a class."""
    from diffusers import DiTTransformer2DModel

    class Denoiser(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dit = DiTTransformer2DModel(
                num_attention_heads=4,
                attention_head_dim=8,
                in_channels=4,
                num_layers=2,
                sample_size=16,
                norm_num_groups=8,
                num_embeds_ada_norm=10,
            )

        def forward(
            self, sample: torch.Tensor, timestep: torch.Tensor, classes: torch.Tensor
        ) -> torch.Tensor:
            return self.dit(sample, timestep, classes).sample

    return Denoiser()
