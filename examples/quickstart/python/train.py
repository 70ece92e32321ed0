"""Trains the quickstart's network and writes what the example commits.

Owns: `weights/digits.safetensors` and `data/test.safetensors`.   Must not: be needed by a build.
Flow: run by hand, `python python/train.py`, where torch, safetensors and scikit-learn are
installed. One core, less than a minute. Seeds are fixed, so the same versions give the same
weights.
"""

import argparse
from pathlib import Path

import torch
from digits import classifier
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional

EXAMPLE = Path(__file__).resolve().parent.parent
SEED = 20
TEST_IMAGES = 360  # a fifth of the 1797 images, the same number of each digit to one
EPOCHS = 40
BATCH = 64
PEAK_LEARNING_RATE = 4e-3
INK = 16.0  # the data set counts 0 to 16 dark pixels in a 4x4 block


def split() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns training images, test images (uint8, [n, 1, 8, 8]), training labels and test labels
    (int64)."""
    digits = load_digits()
    images = torch.from_numpy(digits.images).to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(digits.target).to(torch.int64)
    train, test = train_test_split(
        range(len(labels)), test_size=TEST_IMAGES, random_state=SEED, stratify=digits.target
    )
    return images[train], images[test], labels[train], labels[test]


def jitter(images: torch.Tensor) -> torch.Tensor:
    """Returns each image turned by up to 12 degrees, scaled by up to 10 % and moved by up to 0.7
    pixels."""
    count = len(images)
    angle = (torch.rand(count) * 2 - 1) * torch.pi * 12 / 180
    scale = 1 + (torch.rand(count) * 2 - 1) * 0.1
    shift = (
        (torch.rand(count, 2) * 2 - 1) * 0.7 / 4
    )  # the sampling grid is 2 wide, so a pixel is a quarter
    affine = torch.stack(
        [
            torch.stack([angle.cos() * scale, -angle.sin() * scale, shift[:, 0]], dim=1),
            torch.stack([angle.sin() * scale, angle.cos() * scale, shift[:, 1]], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def train(images: torch.Tensor, labels: torch.Tensor, epochs: int) -> torch.nn.Module:
    """Returns the trained network, in eval mode. The number of epochs is fixed: nothing is chosen
    by the test split."""
    model = classifier()
    steps = epochs * -(-len(labels) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK_LEARNING_RATE, total_steps=steps
    )
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(labels)).split(BATCH):
            loss = functional.cross_entropy(
                model.logits(jitter(images[batch])), labels[batch], label_smoothing=0.05
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main() -> None:
    """Trains, measures once on the test split, and writes both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument(
        "--out", type=Path, default=EXAMPLE, help="folder that gets weights/ and data/"
    )
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    train_images, test_images, train_labels, test_labels = split()
    model = train(train_images / INK, train_labels, options.epochs)
    with torch.no_grad():
        probabilities = torch.cat([model(image[None] / INK) for image in test_images])
    correct = int((probabilities.argmax(dim=1) == test_labels).sum())
    print(f"test split: {correct} of {len(test_labels)} = {correct / len(test_labels):.4f}")

    for folder in ("weights", "data"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), options.out / "weights" / "digits.safetensors")
    save_file(
        {
            "images": test_images,
            "labels": test_labels.to(torch.uint8),
            # PyTorch's, one image at a time, for the example to compare with
            "probabilities": probabilities,
        },
        options.out / "data" / "test.safetensors",
    )


if __name__ == "__main__":
    main()
