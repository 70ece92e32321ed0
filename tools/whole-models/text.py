"""Networks for text: BERT, DistilBERT and a step of Llama.

Owns: architectures and samples. Flow: `make.py` → [`NETWORKS`].
"""

import torch
import transformers
from network import Network, Sample, seed, tokens
from torch import nn
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb


class Bert(nn.Module):
    """transformers' BERT with plain tensors at its border."""

    def __init__(self, layers: int = 6) -> None:
        """Makes the encoder with random weights."""
        super().__init__()
        config = transformers.BertConfig(
            hidden_size=384,
            num_hidden_layers=layers,
            num_attention_heads=6,
            intermediate_size=1536,
            vocab_size=8000,
            attn_implementation="eager",
        )
        self.model = transformers.BertModel(config)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the hidden states and the pooled one."""
        # As a mask that is added: transformers' own holds the least number of single precision,
        # which half precision lacks.
        hidden = (1.0 - attention_mask[:, None, None, :].float()) * -1e4
        places = torch.arange(input_ids.shape[1])[None]
        x = self.model.embeddings(
            input_ids, token_type_ids=torch.zeros_like(input_ids), position_ids=places
        )
        y = self.model.encoder(x, attention_mask=hidden).last_hidden_state
        return y, self.model.pooler(y)


class DistilBert(nn.Module):
    """transformers' DistilBERT with plain tensors at its border."""

    def __init__(self) -> None:
        """Makes the encoder with random weights."""
        super().__init__()
        config = transformers.DistilBertConfig(
            dim=256,
            n_layers=4,
            n_heads=4,
            hidden_dim=1024,
            vocab_size=4000,
            attn_implementation="eager",
        )
        self.model = transformers.DistilBertModel(config)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Returns the hidden states."""
        return self.model(input_ids, attention_mask=attention_mask).last_hidden_state


def sentence(generator: torch.Generator, vocabulary: int, length: int, padding: int) -> Sample:
    """Returns a sentence whose last `padding` tokens are masked."""
    mask = torch.ones(1, length, dtype=torch.int32)
    mask[:, length - padding :] = 0
    return {"input_ids": tokens(generator, vocabulary, 1, length), "attention_mask": mask}


def bert() -> Network:
    """Returns a BERT encoder of 384 channels, 6 layers and 128 tokens."""
    generator = seed(21)
    samples = [sentence(generator, 8000, 128, 28)]
    variants = ("fp32", "fp16", "int8", "int4")
    return Network(
        spread(Bert()).eval(), samples, ("hidden", "pooled"), target="iOS18", variants=variants
    )


def bert_ranged() -> Network:
    """Returns a BERT encoder of two layers for sentences of 1 to 128 tokens."""
    generator = seed(22)
    samples = [sentence(generator, 8000, length, length // 3) for length in (32, 1, 128, 77)]
    ranges = {"input_ids": {1: (1, 128)}, "attention_mask": {1: (1, 128)}}
    module = spread(Bert(layers=2)).eval()
    return Network(
        module, samples, ("hidden", "pooled"), ranges=ranges, target="iOS17", variants=("fp32",)
    )


def distilbert() -> Network:
    """Returns a DistilBERT encoder."""
    generator = seed(23)
    samples = [sentence(generator, 4000, 48, 9)]
    variants = ("fp32", "fp16", "palettized", "sparse")
    return Network(spread(DistilBert()).eval(), samples, ("hidden",), variants=variants)


@torch.no_grad()
def spread(module: nn.Module) -> nn.Module:
    """Gives matrices the spread of trained ones: with transformers' initial weights attention is
    the same everywhere."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            part.weight.normal_(0, 1.3 / part.in_features**0.5)
            if part.bias is not None:
                part.bias.normal_(0, 0.1)
        elif isinstance(part, nn.Embedding):
            part.weight.normal_(0, 1)
    return module


LLAMA = transformers.LlamaConfig(
    hidden_size=256,
    intermediate_size=688,
    num_hidden_layers=4,
    num_attention_heads=8,
    num_key_value_heads=4,
    vocab_size=2000,
    max_position_embeddings=256,
    attn_implementation="eager",
)


class LlamaStep(nn.Module):
    """One token through transformers' Llama, whose keys and values are buffers written in place."""

    def __init__(self, model: transformers.LlamaForCausalLM) -> None:
        """Takes the layers of a model."""
        super().__init__()
        self.model = model
        config = model.config
        self.context = config.max_position_embeddings
        self.width = config.hidden_size // config.num_attention_heads
        shape = (config.num_hidden_layers, config.num_key_value_heads, self.context, self.width)
        self.register_buffer("keys", torch.zeros(shape))
        self.register_buffer("values", torch.zeros(shape))
        self.register_buffer("places", torch.arange(self.context), persistent=False)

    def forward(self, token: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Returns the logits of the next token. Parameters: `token`, `position` — [1] each."""
        return self.step(token, position, self.write)

    def write(self, layer: int, key: torch.Tensor, value: torch.Tensor, at: torch.Tensor) -> tuple:
        """Writes a layer's new key and value, and returns all of the layer."""
        self.keys[layer, :, at : at + 1, :] = key
        self.values[layer, :, at : at + 1, :] = value
        return self.keys[layer], self.values[layer]

    def step(self, token: torch.Tensor, position: torch.Tensor, write) -> torch.Tensor:
        """Runs one token; `write` keeps the keys and values."""
        inner, config, at = self.model.model, self.model.config, position[0]
        x = inner.embed_tokens(token)
        cos, sin = inner.rotary_emb(x[None], position[None])
        hidden = (self.places > position).float() * -1e4
        groups = config.num_attention_heads // config.num_key_value_heads
        for number, layer in enumerate(inner.layers):
            attention, y = layer.self_attn, layer.input_layernorm(x)
            heads = [
                part(y).view(1, 1, -1, self.width).transpose(1, 2)
                for part in (attention.q_proj, attention.k_proj, attention.v_proj)
            ]
            query, key = apply_rotary_pos_emb(heads[0], heads[1], cos, sin)
            keys, values = write(number, key[0], heads[2][0], at)
            keys = keys.repeat_interleave(groups, dim=0)
            values = values.repeat_interleave(groups, dim=0)
            weights = torch.softmax(
                query[0] @ keys.transpose(1, 2) / self.width**0.5 + hidden, dim=-1
            )
            x = x + attention.o_proj((weights @ values).transpose(0, 1).reshape(1, -1))
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        return self.model.lm_head(inner.norm(x))


class LlamaExplicit(LlamaStep):
    """The same step with the keys and values as inputs and outputs, as ONNX has it."""

    def forward(
        self, token: torch.Tensor, position: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple:
        """Returns the logits and what the keys and values are afterwards."""
        caches = {"keys": list(keys.unbind(0)), "values": list(values.unbind(0))}

        def write(layer: int, key: torch.Tensor, value: torch.Tensor, at: torch.Tensor) -> tuple:
            here = (self.places == at)[None, :, None]
            caches["keys"][layer] = torch.where(here, key, caches["keys"][layer])
            caches["values"][layer] = torch.where(here, value, caches["values"][layer])
            return caches["keys"][layer], caches["values"][layer]

        logits = self.step(token, position, write)
        return logits, torch.stack(caches["keys"]), torch.stack(caches["values"])


def llama_step() -> Network:
    """Returns a step of a Llama of 4 layers with grouped queries, and its keys and values as
    states."""
    generator = seed(24)
    model = spread(transformers.LlamaForCausalLM(LLAMA)).eval()
    ids = tokens(generator, LLAMA.vocab_size, 6)
    samples = [
        {"token": ids[i : i + 1], "position": torch.tensor([i], dtype=torch.int32)}
        for i in range(len(ids))
    ]
    module = LlamaStep(model).eval()
    check_llama(model, module, ids)

    def explicit() -> Network:
        other = LlamaExplicit(model).eval()
        full = [
            sample | {"keys": other.keys.clone(), "values": other.values.clone()}
            for sample in samples
        ]
        return Network(other, full, ("logits", "keys_after", "values_after"))

    variants = ("fp32", "fp16", "int4")
    states = ("keys", "values")
    return Network(
        module,
        samples,
        ("logits",),
        states=states,
        target="iOS18",
        variants=variants,
        onnx=explicit,
    )


@torch.no_grad()
def check_llama(model: nn.Module, step: LlamaStep, ids: torch.Tensor) -> None:
    """Compares the steps with transformers' own pass over all tokens."""
    wanted = model(ids[None].long()).logits[0]
    given = torch.cat([step(ids[i : i + 1], torch.tensor([i])) for i in range(len(ids))])
    assert torch.allclose(given, wanted, atol=1e-4), (given - wanted).abs().max()
    step.keys.zero_()
    step.values.zero_()


NETWORKS = {
    "bert": bert,
    "bert_ranged": bert_ranged,
    "distilbert": distilbert,
    "llama_step": llama_step,
}
