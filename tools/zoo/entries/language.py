"""Language models of transformers, and models that translate and summarise; small ones.

Owns: configurations.
Flow: `catalogue.load` imports it.
"""

from __future__ import annotations

from catalogue import add, mask, tokens

#: What most decoders call the same.
USUAL = (
    "vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, "
    "intermediate_size=64, max_position_embeddings=64, use_cache=False, pad_token_id=0"
)
GROUPED = f"{USUAL}, num_key_value_heads=2"
#: By class: arguments of the configuration.
DECODERS = {
    "GPT2LMHeadModel": (
        "vocab_size=100, n_embd=32, n_layer=2, n_head=4, n_positions=64, use_cache=False"
    ),
    "GPTNeoForCausalLM": (
        "vocab_size=100, hidden_size=32, num_layers=2, num_heads=4, "
        'attention_types=[[["global", "local"], 1]], window_size=8, '
        "max_position_embeddings=64, use_cache=False"
    ),
    "GPTJForCausalLM": (
        "vocab_size=100, n_embd=32, n_layer=2, n_head=4, n_positions=64, rotary_dim=4, "
        "use_cache=False"
    ),
    "GPTNeoXForCausalLM": USUAL,
    "OPTForCausalLM": (
        "vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64, "
        "max_position_embeddings=64, word_embed_proj_dim=32, use_cache=False"
    ),
    "BloomForCausalLM": "vocab_size=100, hidden_size=32, n_layer=2, n_head=4, use_cache=False",
    "LlamaForCausalLM": GROUPED,
    "MistralForCausalLM": f"{GROUPED}, sliding_window=8",
    "MixtralForCausalLM": f"{GROUPED}, num_local_experts=4, num_experts_per_tok=2",
    "Qwen2ForCausalLM": GROUPED,
    "Qwen3ForCausalLM": f"{GROUPED}, head_dim=8",
    "Qwen3MoeForCausalLM": (
        f"{GROUPED}, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32"
    ),
    "Gemma2ForCausalLM": f"{GROUPED}, head_dim=8, sliding_window=8",
    "Gemma3ForCausalLM": f"{GROUPED}, head_dim=8, sliding_window=8",
    "PhiForCausalLM": GROUPED,
    "Phi3ForCausalLM": GROUPED,
    "FalconForCausalLM": f"{USUAL}, new_decoder_architecture=True, num_kv_heads=2",
    "Olmo2ForCausalLM": GROUPED,
    "GraniteForCausalLM": GROUPED,
    "SmolLM3ForCausalLM": GROUPED,
    "GptOssForCausalLM": (
        f"{GROUPED}, head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=8"
    ),
    "DeepseekV3ForCausalLM": (
        f"{USUAL}, num_key_value_heads=4, moe_intermediate_size=32, n_routed_experts=4, "
        "num_experts_per_tok=2, n_group=2, topk_group=1, kv_lora_rank=16, q_lora_rank=16, "
        "qk_rope_head_dim=4, qk_nope_head_dim=8, v_head_dim=8, first_k_dense_replace=1"
    ),
    "MambaForCausalLM": (
        "vocab_size=100, hidden_size=32, num_hidden_layers=2, state_size=8, use_cache=False"
    ),
    "Mamba2ForCausalLM": (
        "vocab_size=100, hidden_size=32, num_hidden_layers=2, state_size=8, num_heads=8, "
        "head_dim=8, n_groups=2, chunk_size=8, use_cache=False"
    ),
    "RwkvForCausalLM": (
        "vocab_size=100, hidden_size=32, attention_hidden_size=32, num_hidden_layers=2, "
        "intermediate_size=64, use_cache=False"
    ),
    "RecurrentGemmaForCausalLM": (
        f"{USUAL}, num_key_value_heads=1, head_dim=8, lru_width=32, attention_window_size=8, "
        'block_types=["recurrent", "attention"]'
    ),
    "Lfm2ForCausalLM": f'{GROUPED}, layer_types=["conv", "full_attention"]',
}

for architecture, arguments in DECODERS.items():
    prefix = architecture.removesuffix("LMHeadModel").removesuffix("ForCausalLM")
    configuration = "Gemma3TextConfig" if prefix == "Gemma3" else f"{prefix}Config"
    add(
        "language",
        f"language_{prefix.lower()}",
        "transformers",
        "import transformers",
        f"transformers.{architecture}(\n        transformers.{configuration}({arguments})\n    )",
        tokens(16, 100),
    )

SEQUENCES = (
    "vocab_size=100, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, "
    "decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, "
    "max_position_embeddings=64, use_cache=False"
)
T5 = (
    "vocab_size=100, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, use_cache=False, "
    "decoder_start_token_id=0"
)
#: By class: arguments of the configuration.
TRANSLATORS = {
    "T5ForConditionalGeneration": T5,
    "MT5ForConditionalGeneration": T5,
    "BartForConditionalGeneration": SEQUENCES,
    "PegasusForConditionalGeneration": SEQUENCES,
    "MarianMTModel": f"{SEQUENCES}, pad_token_id=0, decoder_start_token_id=0",
    "M2M100ForConditionalGeneration": SEQUENCES,
}

for architecture, arguments in TRANSLATORS.items():
    prefix = architecture.removesuffix("MTModel").removesuffix("ForConditionalGeneration")
    add(
        "language",
        f"translation_{prefix.lower()}",
        "transformers",
        "import transformers",
        f"transformers.{architecture}(\n        transformers.{prefix}Config({arguments})\n    )",
        tokens(16, 100),
        mask(16),
        tokens(8, 100, "decoder_input_ids"),
    )
