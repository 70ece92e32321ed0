"""Trains the pipeline's two networks and writes what the example commits.

Owns: `weights/*.safetensors` and `data/noisy.safetensors`.   Must not: be needed by a build.
Flow: run by hand, `python python/train.py`, where torch, safetensors and scikit-learn are
installed. One core, less than a minute. Seeds are fixed, so the same versions give the same
weights.
"""

import argparse
from pathlib import Path

import torch
from restore import decoder, encoder
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional

EXAMPLE = Path(__file__).resolve().parent.parent
SEED = 7
TEST_IMAGES = 200
EPOCHS = 60
BATCH = 64
PEAK_LEARNING_RATE = 4e-3
NOISE = 0.3  # standard deviation, where ink is 1
INK = 16.0  # the data set counts 0 to 16 dark pixels in a 4x4 block


def add_noise(images: torch.Tensor) -> torch.Tensor:
    """Returns the images with Gaussian noise, kept between 0 and 1."""
    return (images + NOISE * torch.randn_like(images)).clamp(0, 1)


def main() -> None:
    """Trains, measures once on images that training never saw, and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument(
        "--out", type=Path, default=EXAMPLE, help="folder that gets weights/ and data/"
    )
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    images = torch.from_numpy(load_digits().images).to(torch.float32).unsqueeze(1) / INK
    train, test = (
        images[part]
        for part in train_test_split(range(len(images)), test_size=TEST_IMAGES, random_state=SEED)
    )

    models = torch.nn.ModuleDict({"encoder": encoder(), "decoder": decoder()})
    restore = torch.nn.Sequential(models["encoder"], models["decoder"])
    steps = options.epochs * -(-len(train) // BATCH)
    optimizer = torch.optim.AdamW(restore.parameters(), lr=PEAK_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK_LEARNING_RATE, total_steps=steps
    )
    for _ in range(options.epochs):
        for batch in torch.randperm(len(train)).split(BATCH):
            clean = train[batch]
            loss = functional.mse_loss(restore(add_noise(clean)), clean)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    restore.eval()
    noisy = add_noise(test)
    with torch.no_grad():
        restored = torch.cat([restore(image[None]) for image in noisy])
    before, after = functional.mse_loss(noisy, test), functional.mse_loss(restored, test)
    print(f"mean squared error: noisy {before:.4f}, restored {after:.4f}")

    for folder in ("weights", "data"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    for name, model in models.items():
        save_file(model.state_dict(), options.out / "weights" / f"{name}.safetensors")
    # `restored` is PyTorch's result, one image at a time, for the example to compare with.
    save_file(
        {"clean": test, "noisy": noisy, "restored": restored},
        options.out / "data" / "noisy.safetensors",
    )


if __name__ == "__main__":
    main()
