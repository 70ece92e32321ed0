"""Writes what openai-whisper's tokenizer knows, for the test that compares ours with it.

Owns: `data/openai_tokens.json`.   Must not: be needed by a build or a test.
Flow: run by hand, `python python/openai_tokens.py`, where openai-whisper, tiktoken and regex are
installed; `tests/openai.rs` reads the file.
"""

import json
import sys
import types
from importlib.metadata import version
from pathlib import Path

# openai-whisper imports numba for times of words, which nobody asks for here.
sys.modules["numba"] = types.SimpleNamespace(jit=lambda *_args, **_named: lambda function: function)

from whisper.tokenizer import get_tokenizer  # noqa: E402

OUT = Path(__file__).resolve().parent.parent / "data" / "openai_tokens.json"
TOKENS = {51865: 99, 51866: 100}  # of a model, and how many languages are among them
SPOKEN = [("en", "transcribe"), ("de", "transcribe"), ("ja", "translate"), ("su", "transcribe")]
TEXTS = [
    " And so my fellow Americans, ask not what your country can do for you.",
    " Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "色は匂へど散りぬるを 🎵",
]


def suppressed(tokenizer) -> list[int]:
    """Returns what `DecodingOptions(suppress_tokens="-1")` never writes, as
    `DecodingTask._get_suppress_tokens` has it."""
    special = (
        tokenizer.transcribe,
        tokenizer.translate,
        tokenizer.sot,
        tokenizer.sot_prev,
        tokenizer.sot_lm,
    )
    return sorted({*tokenizer.non_speech_tokens, *special, tokenizer.no_speech})


def main() -> None:
    """Writes the file."""
    models = []
    for tokens, languages in TOKENS.items():
        for language, task in SPOKEN:
            tokenizer = get_tokenizer(True, num_languages=languages, language=language, task=task)
            models.append(
                {
                    "tokens": tokens,
                    "language": language,
                    "translate": task == "translate",
                    "prompt": list(tokenizer.sot_sequence),
                    "end": tokenizer.eot,
                    "no_speech": tokenizer.no_speech,
                    "no_timestamps": tokenizer.no_timestamps,
                    "first_timestamp": tokenizer.timestamp_begin,
                    "suppressed": suppressed(tokenizer),
                    "blank": [*tokenizer.encode(" "), tokenizer.eot],
                }
            )
    texts = [{"text": text, "tokens": tokenizer.encode(text)} for text in TEXTS]
    written = {"openai-whisper": version("openai-whisper"), "models": models, "texts": texts}
    OUT.write_text(json.dumps(written, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
