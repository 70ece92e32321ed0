"""Trains the bracket checker and writes what the example commits.

Owns: `weights/checker.safetensors` and `data/texts.safetensors`.   Must not: be needed by a build.
Flow: run by hand, `python python/train.py`, where torch and safetensors are installed. One core,
about ten minutes. Seeds are fixed, so the same versions give the same weights.
"""

import argparse
import random
from pathlib import Path

import torch
from brackets import LONGEST, checker
from safetensors.torch import save_file
from torch.nn import functional

EXAMPLE = Path(__file__).resolve().parent.parent
SEED = 11
STEPS = 4000
BATCH = 96
PEAK_LEARNING_RATE = 2e-3
TESTS = 300
LETTERS = "abcxyz+-*0123456789 "
WRONG = 0.6  # part of the texts in which some brackets are changed


def draw(generator: random.Random, length: int) -> str:
    """Returns a text of this length: brackets that fit, and in some texts a few that do not."""
    text, depth = [], 0
    for left in range(length, 0, -1):
        choice = generator.random()
        if depth >= left:
            text.append(")")
            depth -= 1
        elif choice < 0.3 and depth + 2 <= left:
            text.append("(")
            depth += 1
        elif choice < 0.5 and depth:
            text.append(")")
            depth -= 1
        else:
            text.append(generator.choice(LETTERS))
    if generator.random() < WRONG:
        for _ in range(generator.randint(1, 3)):
            text[generator.randrange(length)] = generator.choice("()x")
    return "".join(text)


def unmatched(text: str) -> list[int]:
    """Returns 1 for each bracket without a partner."""
    found, opened = [0] * len(text), []
    for position, character in enumerate(text):
        if character == "(":
            opened.append(position)
        elif character == ")":
            if opened:
                opened.pop()
            else:
                found[position] = 1
    for position in opened:
        found[position] = 1
    return found


def tensors(texts: list[str], width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns characters, mask and what is unmatched, padded to `width`."""
    padded = [[list(text.encode()), [1] * len(text), unmatched(text)] for text in texts]
    parts = [[row[part] + [0] * (width - len(row[part])) for row in padded] for part in range(3)]
    return tuple(torch.tensor(part) for part in parts)


def main() -> None:
    """Trains, measures once on texts that training never saw, and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument(
        "--out", type=Path, default=EXAMPLE, help="folder that gets weights/ and data/"
    )
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    generator = random.Random(SEED)
    model = checker()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_LEARNING_RATE, total_steps=options.steps
    )
    for step in range(options.steps):
        # Texts of one batch are about equally long: most of the work is then on characters, not on
        # padding.
        longest = generator.randint(4, LONGEST)
        texts = [
            draw(generator, generator.randint(max(1, longest // 2), longest)) for _ in range(BATCH)
        ]
        text, mask, expected = tensors(texts, longest)
        result = model(text, mask)
        expected = expected.float()
        each = functional.binary_cross_entropy(
            result["unmatched"], expected, weight=mask.float(), reduction="sum"
        )
        whole = functional.binary_cross_entropy(
            result["balanced"][:, 0], (expected.sum(1) == 0).float()
        )
        loss = each / mask.sum() * 4 + whole
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 250 == 0:
            print(f"step {step}: loss {float(loss):.4f}", flush=True)

    model.eval()
    characters = right = texts_right = 0
    tests = [draw(generator, generator.randint(1, LONGEST)) for _ in range(TESTS)]
    results = []
    with torch.no_grad():
        for one in tests:
            text, mask, expected = tensors([one], len(one))
            result = model(text, mask)
            found = result["unmatched"] > 0.5
            characters += len(one)
            right += int((found == (expected == 1)).sum())
            texts_right += bool((result["balanced"] > 0.5) == (expected.sum() == 0))
            results.append(result)
    print(f"characters right: {right / characters:.4f}, texts right: {texts_right / TESTS:.4f}")
    for folder in ("weights", "data"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), options.out / "weights" / "checker.safetensors")
    # PyTorch's results, one text at a time and without padding, for the example to compare with.
    kept = {
        "text": tensors(tests, LONGEST)[0].to(torch.uint8),
        "length": torch.tensor([len(one) for one in tests]),
    }
    unmatched_of_all = torch.zeros(TESTS, LONGEST)
    for row, result in zip(unmatched_of_all, results, strict=True):
        row[: result["unmatched"].shape[1]] = result["unmatched"][0]
    balanced = torch.cat([result["balanced"][0] for result in results])
    truth = tensors(tests, LONGEST)[2].to(torch.uint8)
    files = kept | {"unmatched": unmatched_of_all, "balanced": balanced, "truth": truth}
    save_file(files, options.out / "data" / "texts.safetensors")


if __name__ == "__main__":
    main()
