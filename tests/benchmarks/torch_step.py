"""The train step of TensorFlow's DCGAN tutorial in PyTorch, eager: one side of `speed_comparison`.

Imports nothing of the project, so that any Python with PyTorch runs it: python tests/benchmarks/torch_step.py
"""

import sys
import time

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit("error: PyTorch is missing here. pip install torch, or name another Python with --torch_python")

BATCH_SIZE = 256


def build_generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(100, 7 * 7 * 256, bias=False),
        nn.BatchNorm1d(7 * 7 * 256),
        nn.LeakyReLU(0.3),
        nn.Unflatten(1, (256, 7, 7)),
        nn.ConvTranspose2d(256, 128, 5, padding=2, bias=False),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.3),
        nn.ConvTranspose2d(128, 64, 5, stride=2, padding=2, output_padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.3),
        nn.ConvTranspose2d(64, 1, 5, stride=2, padding=2, output_padding=1, bias=False),
        nn.Tanh(),
    )


def build_discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 64, 5, stride=2, padding=2),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.Conv2d(64, 128, 5, stride=2, padding=2),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(128 * 7 * 7, 1),
    )


class Step:
    """As PyTorch's own DCGAN example trains: D on real and on fake images, then G against the updated D."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.generator, self.discriminator = build_generator(), build_discriminator()
        self.optimizers = [torch.optim.Adam(n.parameters(), 1e-4) for n in (self.generator, self.discriminator)]
        self.images = torch.rand(BATCH_SIZE, 1, 28, 28) * 2 - 1
        self.loss = nn.BCEWithLogitsLoss()

    def __call__(self) -> float:
        generator_optimizer, discriminator_optimizer = self.optimizers
        real, fake = torch.ones(BATCH_SIZE, 1), torch.zeros(BATCH_SIZE, 1)
        images = self.generator(torch.randn(BATCH_SIZE, 100))
        discriminator_optimizer.zero_grad()
        loss = self.loss(self.discriminator(self.images), real)
        loss = loss + self.loss(self.discriminator(images.detach()), fake)
        loss.backward()
        discriminator_optimizer.step()
        generator_optimizer.zero_grad()
        # G's update needs the gradient of the images alone, not of D's weights.
        self.discriminator.requires_grad_(False)
        generator_loss = self.loss(self.discriminator(images), real)
        generator_loss.backward()
        self.discriminator.requires_grad_(True)
        generator_optimizer.step()
        return generator_loss.item()


def main() -> None:
    """Answers each line of standard input, a number of steps, with the seconds that they took."""
    step = Step()
    print(f"ready PyTorch {torch.__version__}, eager, {torch.get_num_threads()} threads", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
