"""PyTorch's examples/dcgan as a program of the benchmark of quality, from its published settings.

python -m dcgan_tf quality --results=quality.jsonl --name="PyTorch example"
--program="PYTHON_WITH_PYTORCH -m tests.benchmarks.pytorch_example". It imports nothing from the package.

Settings: images of 64x64 pixels (others are resized); batches of 64; latents of length 100; 64 filters next to the
image; kernels of 4; weights from N(0, 0.02), and BatchNorm's scales from N(1, 0.02); Adam with a learning rate of 2e-4
and a beta_1 of 0.5; and cross-entropy on probabilities. D is updated on a real and a fake batch, then G against the
updated D. As published, the generator samples in training mode, and the last batch of an epoch may be smaller.
"""

import sys

import numpy as np

from tests.benchmarks.reference_program import parse_arguments, train_to_marks

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit("error: PyTorch is missing here. pip install torch, or name another Python")

SIDE, LATENTS, FILTERS, BATCH_SIZE = 64, 100, 64, 64


def build_generator(channels: int) -> nn.Module:
    layers: list[nn.Module] = []
    before = LATENTS
    for width in (8 * FILTERS, 4 * FILTERS, 2 * FILTERS, FILTERS):
        layers += [
            nn.ConvTranspose2d(before, width, 4, *((2, 1) if layers else (1, 0)), bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
        ]
        before = width
    return nn.Sequential(*layers, nn.ConvTranspose2d(before, channels, 4, 2, 1, bias=False), nn.Tanh())


def build_discriminator(channels: int) -> nn.Module:
    layers: list[nn.Module] = []
    before = channels
    for width in (FILTERS, 2 * FILTERS, 4 * FILTERS, 8 * FILTERS):
        layers += [
            nn.Conv2d(before, width, 4, 2, 1, bias=False),
            *([nn.BatchNorm2d(width)] if layers else []),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        before = width
    return nn.Sequential(*layers, nn.Conv2d(before, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0))


def initialize(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def enlarge(array: np.ndarray) -> torch.Tensor:
    """The images as uint8 [N, channels, 64, 64], resized bilinearly with antialiasing as torchvision does."""
    images = torch.from_numpy(array).permute(0, 3, 1, 2)
    if images.shape[2:] == (SIDE, SIDE):
        return images
    resize = {"size": (SIDE, SIDE), "mode": "bilinear", "antialias": True}
    parts = [nn.functional.interpolate(part.float(), **resize) for part in images.split(1000)]
    return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in parts])


def main() -> None:
    options = parse_arguments()
    torch.manual_seed(options.seed)
    images = enlarge(np.load(options.images))
    channels = images.shape[1]
    generator, discriminator = (
        build_generator(channels).apply(initialize),
        build_discriminator(channels).apply(initialize),
    )
    of_discriminator, of_generator = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in (discriminator, generator)
    )
    criterion = nn.BCELoss()
    order: list[torch.Tensor] = []

    def train_step() -> float:
        if not order:
            order.extend(torch.randperm(len(images)).split(BATCH_SIZE))
        real = images[order.pop()].float() / 127.5 - 1
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
        discriminator.zero_grad()
        criterion(discriminator(real), ones).backward()
        fake = generator(torch.randn(len(real), LATENTS, 1, 1))
        criterion(discriminator(fake.detach()), zeros).backward()
        of_discriminator.step()
        generator.zero_grad()
        loss = criterion(discriminator(fake), ones)
        loss.backward()
        of_generator.step()
        return loss.item()

    @torch.no_grad()
    def sample(count: int) -> np.ndarray:
        parts = [generator(torch.randn(BATCH_SIZE, LATENTS, 1, 1)) for _ in range(-(-count // BATCH_SIZE))]
        pixels = (torch.cat(parts)[:count] * 127.5 + 127.5).round().clamp(0, 255)
        return pixels.to(torch.uint8).permute(0, 2, 3, 1).numpy()

    train_to_marks(options, train_step, sample)


if __name__ == "__main__":
    main()
