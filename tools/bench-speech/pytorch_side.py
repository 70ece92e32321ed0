"""The same pipeline in PyTorch: openai-whisper's own `transcribe`, with the example's weights of a
size.

Owns: one measured run in a process of its own, so that its memory is its own. Must not: choose what
is compared.
Flow: `bench.py` starts it with a size, a sound, threads, rounds and tokens; it prints one line of
JSON.
"""

import json
import sys
import time
import types
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "whisper"
sys.path.insert(0, str(EXAMPLE / "python"))
# openai-whisper imports numba for times of words, which nobody asks for here.
sys.modules["numba"] = types.SimpleNamespace(jit=lambda *_args, **_named: lambda function: function)

import soundfile  # noqa: E402
import torch  # noqa: E402
import whisper  # noqa: E402
import whisper_model  # noqa: E402


def main() -> None:
    """Runs, and prints the least seconds and the tokens."""
    size, sound, threads, rounds, tokens = *sys.argv[1:3], *map(int, sys.argv[3:6])
    torch.set_num_threads(threads)
    ours = whisper_model.whisper(size)
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**vars(ours.dimensions)))
    model.load_state_dict(ours.state_dict())
    model.eval()
    del ours
    best, result = float("inf"), {}
    for _ in range(rounds):
        # Reading is part of it, as it is of our program.
        begun = time.perf_counter()
        samples, _ = soundfile.read(sound, dtype="float32")
        result = whisper.transcribe(
            model,
            samples,
            temperature=0.0,
            without_timestamps=True,
            sample_len=tokens,
            compression_ratio_threshold=None,
            logprob_threshold=None,
            no_speech_threshold=None,
            condition_on_previous_text=False,
            language="en",
            fp16=False,
        )
        best = min(best, time.perf_counter() - begun)
    print(
        json.dumps(
            {"seconds": best, "tokens": [segment["tokens"] for segment in result["segments"]]}
        )
    )


if __name__ == "__main__":
    main()
