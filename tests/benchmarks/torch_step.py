"""A train step of DCGAN in PyTorch: one side of `speed_comparison` and of tests.gpu.run.

It imports nothing from the project, so that any Python with PyTorch can run it: python tests/benchmarks/torch_step.py
Without arguments, it trains the networks of TensorFlow's tutorial, eagerly, on the CPU.
"""

import argparse
import contextlib
import itertools
import sys
import time
from collections.abc import Sequence

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit("error: PyTorch is missing here. pip install torch, or name another Python with --torch_python")

# Size -> pixels, channels, kernel, filters next to the image in G and D, images in a batch.
SIZES = {
    "default": (28, 1, 4, 64, 32, 64),
    "dcgan64": (64, 3, 5, 128, 64, 128),
    "dcgan128": (128, 3, 5, 128, 64, 64),
}
LATENTS = 100
MIN_BASE = 4


class Crop(nn.Module):
    """The first rows and columns of a feature map."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, : self.side, : self.side]


def build_tutorial_generator() -> nn.Module:
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


def build_tutorial_discriminator() -> nn.Module:
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


def plan_sides(pixels: int) -> list[int]:
    """The sides of the feature maps from the smallest to the image, each half of the next, rounded up."""
    sides = [pixels]
    while -(-sides[0] // 2) >= MIN_BASE:
        sides.insert(0, -(-sides[0] // 2))
    return sides


def build_generator(pixels: int, channels: int, kernel: int, filters: int) -> nn.Module:
    """The project's generator: a linear layer, and a transposed convolution for each doubling."""
    base, *sides = plan_sides(pixels)
    width = filters << len(sides) - 1
    layers: list[nn.Module] = [
        nn.Linear(LATENTS, base * base * width, bias=False),
        nn.Unflatten(1, (width, base, base)),
        nn.BatchNorm2d(width, eps=1e-5),
        nn.ReLU(),
    ]
    # With this padding the output is twice as large, as with TensorFlow's SAME.
    options = {"stride": 2, "padding": (kernel - 1) // 2, "output_padding": kernel % 2}
    for number, side in enumerate(sides):
        is_last = number == len(sides) - 1
        out = channels if is_last else width // 2
        layers += [nn.ConvTranspose2d(width, out, kernel, bias=is_last, **options), Crop(side)]
        layers += [nn.Tanh()] if is_last else [nn.BatchNorm2d(out, eps=1e-5), nn.ReLU()]
        width = out
    return nn.Sequential(*layers)


def build_discriminator(pixels: int, channels: int, kernel: int, filters: int) -> nn.Module:
    """The project's discriminator: a convolution for each halving, and a linear layer."""
    sides = plan_sides(pixels)[::-1]
    layers: list[nn.Module] = []
    before, width = channels, filters
    for number, (side, half) in enumerate(itertools.pairwise(sides)):
        padding = max(0, (half - 1) * 2 + kernel - side)
        first, last = padding // 2, padding - padding // 2
        layers += [
            nn.ZeroPad2d((first, last, first, last)),
            nn.Conv2d(before, width, kernel, stride=2, bias=number == 0),
            *([nn.BatchNorm2d(width, eps=1e-5)] if number else []),
            nn.LeakyReLU(0.2),
        ]
        before, width = width, 2 * width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * sides[-1] ** 2, 1))


class Step:
    """A train step as in PyTorch's own DCGAN example: D on real and on fake images, then G against the updated D."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.device = options.device
        self.has_bfloat16 = options.dtype == "bfloat16"
        if options.size == "tutorial":
            pixels, channels, self.batch_size = 28, 1, 256
            generator, discriminator = build_tutorial_generator(), build_tutorial_discriminator()
        else:
            pixels, channels, kernel, *filters, self.batch_size = SIZES[options.size]
            generator = build_generator(pixels, channels, kernel, filters[0])
            discriminator = build_discriminator(pixels, channels, kernel, filters[1])
        self.batch_size = options.batch_size or self.batch_size
        self.generator, self.discriminator = generator.to(self.device), discriminator.to(self.device)
        fused = {"fused": True} if self.device == "cuda" else {}
        self.optimizers = [torch.optim.Adam(n.parameters(), 1e-4, **fused) for n in (generator, discriminator)]
        self.images = torch.rand(self.batch_size, channels, pixels, pixels, device=self.device) * 2 - 1
        self.loss = nn.BCEWithLogitsLoss()
        self.real, self.fake = (maker(self.batch_size, 1, device=self.device) for maker in (torch.ones, torch.zeros))
        self.losses = (self.generate, self.discriminator_loss, self.generator_loss)
        if options.compile:
            self.losses = tuple(torch.compile(function) for function in self.losses)

    def generate(self, z: torch.Tensor) -> torch.Tensor:
        with self.precision():
            return self.generator(z).float()

    def discriminator_loss(self, images: torch.Tensor) -> torch.Tensor:
        with self.precision():
            logits = self.discriminator(self.images), self.discriminator(images)
        return self.loss(logits[0].float(), self.real) + self.loss(logits[1].float(), self.fake)

    def generator_loss(self, images: torch.Tensor) -> torch.Tensor:
        with self.precision():
            logits = self.discriminator(images)
        return self.loss(logits.float(), self.real)

    def precision(self) -> contextlib.AbstractContextManager:
        if self.has_bfloat16:
            return torch.autocast(self.device, torch.bfloat16)
        return contextlib.nullcontext()

    def __call__(self) -> torch.Tensor:
        generator_optimizer, discriminator_optimizer = self.optimizers
        generate, discriminator_loss, generator_loss = self.losses
        images = generate(torch.randn(self.batch_size, LATENTS, device=self.device))
        discriminator_optimizer.zero_grad()
        discriminator_loss(images.detach()).backward()
        discriminator_optimizer.step()
        generator_optimizer.zero_grad()
        # G's update needs the gradient of the images alone, not of D's weights.
        self.discriminator.requires_grad_(False)
        loss = generator_loss(images)
        loss.backward()
        self.discriminator.requires_grad_(True)
        generator_optimizer.step()
        return loss.detach()


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("tutorial", *SIZES), default="tutorial")
    parser.add_argument("--batch_size", type=int, default=0, help="0: the size's own.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="float32 is TF32 on a GPU.")
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args(words)


def main() -> None:
    """Answers each line of standard input, a number of steps, with the seconds that they took together."""
    options = parse_arguments(sys.argv[1:])
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    step = Step(options)
    if options.compile:
        step().item()
    kind = "compiled" if options.compile else "eager"
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"{torch.get_num_threads()} threads"
    weights = sum(weight.numel() for network in (step.generator, step.discriminator) for weight in network.parameters())
    print(f"ready PyTorch {torch.__version__}, {kind}, {where}, {weights} weights", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            loss = step()
            if options.device == "cpu":
                loss.item()
        loss.item()  # Waits for all steps.
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
