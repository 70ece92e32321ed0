"""The same pipeline in faster-whisper (CTranslate2), with the weights of the example's size "tiny".

Owns: one measured run in a process of its own, so that its memory is its own, and the conversion of
the weights.
Must not: choose what is compared.
Flow: `bench.py` starts it with a folder, and it writes the model there; then with the folder, a
sound, threads, rounds and tokens, and it prints one line of JSON, as `pytorch_side.py` does.
"""

import json
import sys
import time
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "whisper"


def convert(folder: str) -> None:
    """Writes the model as CTranslate2 reads it, in float32, with a tokenizer that has numbers for
    words."""
    import tokenizers
    import torch
    from ctranslate2.specs import WhisperSpec

    sys.path.insert(0, str(EXAMPLE / "python"))
    import whisper_model

    model = whisper_model.whisper("tiny")
    size, weights = model.dimensions, model.state_dict()
    spec = WhisperSpec(size.n_audio_layer, size.n_audio_head, size.n_text_layer, size.n_text_head)

    def linear(target, *names: str) -> None:
        target.weight = torch.cat([weights[f"{name}.weight"] for name in names])
        zeros = torch.zeros(size.n_audio_state)  # keys have no bias
        if any(f"{name}.bias" in weights for name in names):
            target.bias = torch.cat([weights.get(f"{name}.bias", zeros) for name in names])

    def norm(target, name: str) -> None:
        target.gamma, target.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]

    for side, layers in ((spec.encoder, "encoder"), (spec.decoder, "decoder")):
        side.position_encodings.encodings = weights[f"{layers}.positional_embedding"]
        for index, layer in enumerate(side.layer):
            block = f"{layers}.blocks.{index}"
            norm(layer.self_attention.layer_norm, f"{block}.attn_ln")
            linear(
                layer.self_attention.linear[0],
                *(f"{block}.attn.{part}" for part in ("query", "key", "value")),
            )
            linear(layer.self_attention.linear[1], f"{block}.attn.out")
            if layers == "decoder":
                norm(layer.attention.layer_norm, f"{block}.cross_attn_ln")
                linear(layer.attention.linear[0], f"{block}.cross_attn.query")
                linear(
                    layer.attention.linear[1],
                    f"{block}.cross_attn.key",
                    f"{block}.cross_attn.value",
                )
                linear(layer.attention.linear[2], f"{block}.cross_attn.out")
            norm(layer.ffn.layer_norm, f"{block}.mlp_ln")
            linear(layer.ffn.linear_0, f"{block}.mlp.0")
            linear(layer.ffn.linear_1, f"{block}.mlp.2")
    linear(spec.encoder.conv1, "encoder.conv1")
    linear(spec.encoder.conv2, "encoder.conv2")
    norm(spec.encoder.layer_norm, "encoder.ln_post")
    norm(spec.decoder.layer_norm, "decoder.ln")
    spec.decoder.embeddings.weight = weights["decoder.token_embedding.weight"]
    spec.decoder.projection.weight = weights["decoder.token_embedding.weight"]

    names = [str(token) for token in range(50257)]
    names += [
        "<|endoftext|>",
        "<|startoftranscript|>",
        "<|en|>",
        *(f"<|language{number}|>" for number in range(98)),
    ]
    names += [
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ]
    names += [f"<|{0.02 * step:.2f}|>" for step in range(1501)]
    spec.register_vocabulary(names)
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.lang_ids = (
        [],
        [220, 50257],
        [*range(50259, 50358)],
    )
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(folder)
    words = tokenizers.models.WordLevel(
        {name: token for token, name in enumerate(names)}, unk_token="0"
    )
    tokenizers.Tokenizer(words).save(f"{folder}/tokenizer.json")


class Multilingual:
    """A model of CTranslate2, which takes one that was made here for an English one: its prompt
    would be another."""

    is_multilingual = True

    def __init__(self, model) -> None:
        self._model = model

    def __getattr__(self, name: str):
        """Returns what the model has."""
        return getattr(self._model, name)


def run(
    folder: str, sound: str, threads: int, rounds: int, tokens: int, suppressed: list[int]
) -> None:
    """Runs, and prints the least seconds and the tokens."""
    from faster_whisper import WhisperModel

    model = WhisperModel(
        folder, device="cpu", compute_type="float32", cpu_threads=threads, num_workers=1
    )
    model.model = Multilingual(model.model)
    best, written = float("inf"), []
    for _ in range(rounds):
        begun = time.perf_counter()
        segments, _ = model.transcribe(
            sound,
            language="en",
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            # CTranslate2 writes at most half of the longest sequence; four tokens are the prompt.
            max_new_tokens=2 * tokens - 4,
            compression_ratio_threshold=None,
            log_prob_threshold=None,
            no_speech_threshold=None,
            condition_on_previous_text=False,
            suppress_tokens=suppressed,
        )
        written = [segment.tokens for segment in segments]
        best = min(best, time.perf_counter() - begun)
    print(json.dumps({"seconds": best, "tokens": written}))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        convert(sys.argv[1])
    else:
        run(*sys.argv[1:3], *map(int, sys.argv[3:6]), json.loads(sys.argv[6]))
