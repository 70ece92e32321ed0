"""Encoders of texts of transformers, small ones.

Owns: configurations.
Flow: `catalogue.load` imports it.
"""

from __future__ import annotations

from catalogue import add, mask, tokens

#: What most encoders call the same.
USUAL = (
    "vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, "
    "intermediate_size=64, max_position_embeddings=64"
)
#: By prefix of the classes: arguments of the configuration.
ENCODERS = {
    "Bert": USUAL,
    "Roberta": f"{USUAL}, pad_token_id=1",
    "Albert": f"{USUAL}, embedding_size=16",
    "Electra": f"{USUAL}, embedding_size=16",
    "DistilBert": "vocab_size=100, dim=32, n_layers=2, n_heads=4, hidden_dim=64",
    "Deberta": f'{USUAL}, relative_attention=True, pos_att_type=["p2c", "c2p"]',
    "DebertaV2": (
        f'{USUAL}, relative_attention=True, pos_att_type=["p2c", "c2p"], '
        "position_buckets=16, share_att_key=True, norm_rel_ebd='layer_norm'"
    ),
    "ModernBert": (
        f"{USUAL}, pad_token_id=0, global_attn_every_n_layers=2, local_attention=8, "
        "reference_compile=False"
    ),
    "MPNet": f"{USUAL}, pad_token_id=1",
    "MobileBert": (
        f"{USUAL}, embedding_size=32, true_hidden_size=16, intra_bottleneck_size=16, "
        "num_feedforward_networks=2"
    ),
    "SqueezeBert": f"{USUAL}, embedding_size=32",
    "ConvBert": f"{USUAL}, embedding_size=32, conv_kernel_size=3, head_ratio=2",
    "RoFormer": f"{USUAL}, embedding_size=32",
    "BigBird": f'{USUAL}, attention_type="original_full"',
    "Esm": f'{USUAL}, pad_token_id=1, mask_token_id=4, position_embedding_type="rotary"',
    "Longformer": f"{USUAL}, pad_token_id=1, attention_window=[8, 8]",
    "Funnel": (
        "vocab_size=100, block_sizes=[1, 1], d_model=32, n_head=4, d_head=8, d_inner=64, "
        "num_decoder_layers=1"
    ),
    "XLNet": "vocab_size=100, d_model=32, n_layer=2, n_head=4, d_inner=64",
    "Canine": f"{USUAL}, num_hash_buckets=64, local_transformer_stride=8, downsampling_rate=4",
    "EuroBert": f"{USUAL}, pad_token_id=0, num_key_value_heads=2",
}

for prefix, arguments in ENCODERS.items():
    add(
        "text",
        f"encoder_{prefix.lower()}",
        "transformers",
        "import transformers",
        f"transformers.{prefix}Model(\n        transformers.{prefix}Config({arguments})\n    )",
        tokens(16, 100),
        # Whether a position attends to all is decided in Python, from the mask.
        "" if prefix == "Longformer" else mask(16),
    )

add(
    "text",
    "encoder_fnet",
    "transformers",
    "import transformers",
    "transformers.FNetModel(\n        transformers.FNetConfig(\n"
    "            vocab_size=100, hidden_size=32, num_hidden_layers=2, intermediate_size=64\n"
    "        )\n    )",
    tokens(16, 100),
)
