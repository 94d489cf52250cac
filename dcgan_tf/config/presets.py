"""Named combinations of settings: published recipes, and data sets with the settings of their papers."""

from typing import Any

# Radford, Metz and Chintala 2015 (arXiv 1511.06434): kernels, widths, batch size and Adam. The paper samples with
# the raw weights, so there is no moving average.
_DCGAN_PAPER: dict[str, Any] = {
    "kernel_size": 5,
    "generator_filters": "128",
    "discriminator_filters": "64",
    "batch_size": 128,
    "learning_rate_generator": 2e-4,
    "learning_rate_discriminator": 2e-4,
    "ema_decay": 0.0,
    "penalty": "none",
}

# "MNIST distance" in a comment is the Frechet distance after four minutes on one core, with the default's networks in
# place of the preset's (docs/objectives.md). It mostly reflects the learning rates.
PRESETS: dict[str, dict[str, Any]] = {
    # Chosen to produce legible digits within minutes on two CPU cores. The README shows the result. MNIST distance: 22.
    "default": {},
    # The paper's networks and hyperparameters, on any data set. MNIST distance: 92.
    # python train.py --dataset=mnist --preset=dcgan
    "dcgan": _DCGAN_PAPER,
    # Goodfellow et al. 2014 (arXiv 1406.2661): the fully connected networks that DCGAN replaced. LeakyReLU and
    # dropout replace the paper's maxout and dropout. MNIST distance: 281, with its own networks.
    # python train.py --dataset=mnist --preset=gan
    "gan": {
        "architecture": "mlp",
        "generator_filters": "256,512,1024",
        "discriminator_filters": "512,256",
        "dropout": 0.3,
        "learning_rate_generator": 2e-4,
        "learning_rate_discriminator": 2e-4,
    },
    # The layer sizes and hyperparameters of TensorFlow's tutorial (tensorflow.org/tutorials/generative/dcgan), to
    # compare speed and quality. Everything else follows this project: N(0, 0.02) weights, BatchNorm per channel even
    # after the first layer, and D's update before G's. After 15 minutes on two cores, the tutorial's own code has a
    # MNIST distance of 586, and the default 3.0 (docs/results.md).
    # python train.py --preset=tutorial
    "tutorial": {
        "dataset": "mnist",
        "image_size": "28",
        "kernel_size": 5,
        "blocks": 2,
        "generator_filters": "256,128,64",
        "generator_extra_layer": "base",
        "generator_activation": "leaky_relu",
        "discriminator_filters": "64,128",
        "discriminator_norm": "none",
        "dropout": 0.3,
        "leaky_slope": 0.3,
        "batchnorm_momentum": 0.99,
        "batch_size": 256,
        "learning_rate_generator": 1e-4,
        "learning_rate_discriminator": 1e-4,
        "beta_1": 0.9,
        "ema_decay": 0.0,
        "penalty": "none",
        "epochs": 50.0,
    },
    # Mao et al. 2017 (arXiv 1611.04076): DCGAN's networks with squared errors instead of cross-entropy.
    # MNIST distance: 135.
    # python train.py --dataset=mnist --preset=lsgan
    "lsgan": {**_DCGAN_PAPER, "loss": "least_squares"},
    # Arjovsky et al. 2017 (arXiv 1701.07875), algorithm 1: RMSProp without momentum, clipping, five critic updates.
    # MNIST distance: 334, after a third of the default's updates of G; 217 after 2,500 updates, with digits that can be
    # read.
    # python train.py --dataset=mnist --preset=wgan
    "wgan": {
        **_DCGAN_PAPER,
        "batch_size": 64,
        "loss": "wasserstein",
        "weight_clip": 0.01,
        "discriminator_steps": 5,
        "optimizer": "rmsprop",
        "learning_rate_generator": 5e-5,
        "learning_rate_discriminator": 5e-5,
        "beta_2": 0.99,
    },
    # Gulrajani et al. 2017 (arXiv 1704.00028), algorithm 1: a penalty instead of clipping, no BatchNorm in D.
    # MNIST distance: 257, after a quarter of the default's updates of G.
    # python train.py --dataset=mnist --preset=wgan_gp
    "wgan_gp": {
        **_DCGAN_PAPER,
        "batch_size": 64,
        "loss": "wasserstein",
        "penalty": "wgan_gp",
        "discriminator_norm": "layer",
        "discriminator_steps": 5,
        "learning_rate_generator": 1e-4,
        "learning_rate_discriminator": 1e-4,
        "beta_1": 0.0,
        "beta_2": 0.9,
    },
    # Miyato et al. 2018 (arXiv 1802.05957), table 1, setting C: spectral normalization and the hinge loss.
    # MNIST distance: 191.
    # python train.py --dataset=mnist --preset=sngan
    "sngan": {
        **_DCGAN_PAPER,
        "batch_size": 64,
        "loss": "hinge",
        "spectral_norm": True,
        "discriminator_norm": "none",
    },
    # Metz et al. 2017 (arXiv 1611.02163), the Stacked MNIST experiment: G's loss unrolls five updates of D, whose
    # learning rate is twice that of G. The paper uses far smaller networks for it.
    # With those, it finds 714 and 9 modes of Stacked MNIST in 5,000 steps (two seeds), where the plain GAN finds 60.
    # MNIST distance: 580, after a fifth of the default's updates of G.
    # python train.py --dataset=mnist --preset=unrolled
    "unrolled": {
        **_DCGAN_PAPER,
        "unroll_steps": 5,
        "latent_dim": 256,
        "learning_rate_generator": 1e-4,
        "learning_rate_discriminator": 2e-4,
        "beta_2": 0.99,
    },
    # Lin et al. 2018 (arXiv 1712.04086): DCGAN with a discriminator that judges two images at once. On Stacked MNIST
    # with tiny networks, D a quarter of G, packs of two find 758 modes where the plain GAN finds 60.
    # MNIST distance: 144.
    # python train.py --dataset=mnist --preset=pacgan
    "pacgan": {**_DCGAN_PAPER, "batch_size": 64, "pack": 2},
    # Huang et al. 2024 (arXiv 2501.05441): relativistic pairing with R1 and R2, a discriminator without normalization.
    # DCGAN's networks replace the paper's residual ones; the weights start from N(0, 0.02), G keeps its BatchNorm, and
    # rates and penalty stay constant, where the paper has schedules. With small dense networks, its loss and penalty
    # find all modes of the grid of Gaussians in 50,000 steps. The default does better on digits, Stacked MNIST and
    # faces. MNIST distance: 258.
    # python train.py --dataset=mnist --preset=r3gan
    "r3gan": {
        "loss": "relativistic_pairing",
        "penalty": "r1_r2",
        "penalty_weight": 1.0,
        "discriminator_norm": "none",
        "learning_rate_generator": 2e-4,
        "learning_rate_discriminator": 2e-4,
        "beta_1": 0.0,
        "beta_2": 0.99,
    },
    # Chosen on faces of 64x64 pixels (docs/performance.md). G doubles its maps by repeating pixels, which causes no
    # checkerboards. Half of the images are mirrored. The faces in the README were trained with it.
    # python train.py --dataset=folder --data_dir=FOLDER --preset=photos --image_size=64
    "photos": {"dataset": "folder", "flip": True, "upsampling": "nearest", "kernel_size": 3},
    # Lim and Ye 2017 (arXiv 1705.02894): the hinge loss on DCGAN's networks. MNIST distance: 97.
    # python train.py --dataset=mnist --preset=hinge
    "hinge": {**_DCGAN_PAPER, "batch_size": 64, "loss": "hinge"},
    # The data sets of the papers, with the DCGAN paper's networks and hyperparameters, which are the same for all data.
    # python train.py --preset=fashion_mnist --manual_dir=FOLDER_WITH_THE_FOUR_FILES
    # Checked with the original files, offline.
    "fashion_mnist": {**_DCGAN_PAPER, "dataset": "fashion_mnist", "image_size": "28", "epochs": 20.0},
    # python train.py --preset=cifar10
    # Checked with the same pictures as JPEG files: --preset=cifar10 --dataset=folder --data_dir=cifar10_jpeg
    "cifar10": {**_DCGAN_PAPER, "dataset": "cifar10", "image_size": "32", "epochs": 100.0},
    # python train.py --preset=svhn_cropped --split=train+extra
    # Checked with --dry_run only, because the data set was not available.
    "svhn_cropped": {**_DCGAN_PAPER, "dataset": "svhn_cropped", "image_size": "32", "epochs": 20.0},
    # The face fills the central 108 pixels of the aligned pictures.
    # python train.py --preset=celeb_a
    # Checked with --dry_run only, because the data set was not available.
    "celeb_a": {
        **_DCGAN_PAPER,
        "dataset": "celeb_a",
        "image_size": "64",
        "crop_size": 108,
        "epochs": 25.0,
    },
    # The paper shows samples after one epoch and after five.
    # python train.py --preset=lsun_bedroom
    # Checked with --dry_run only, because the data set was not available.
    "lsun_bedroom": {**_DCGAN_PAPER, "dataset": "lsun/bedroom", "image_size": "64", "epochs": 5.0},
}

_POINTS: dict[str, Any] = {
    "architecture": "mlp",
    "generator_filters": "128,128",
    "discriminator_filters": "128,128",
    "batch_size": 512,
    "learning_rate_generator": 5e-4,
    "learning_rate_discriminator": 5e-4,
}

# Data set -> settings that only it needs. They override a preset, and typed settings override them.
DATA_SET_NEEDS: dict[str, dict[str, Any]] = {"ring": _POINTS, "grid": _POINTS}
