"""The library interface of a trained generator: `load_generator` and the class `Generator`."""

import os
from collections.abc import Callable, Sequence
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import files
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError
from dcgan_tf.generation.directions import Directions, find_principal_directions
from dcgan_tf.generation.networks import load_discriminator_network, load_generator_network
from dcgan_tf.generation.paths import make_path
from dcgan_tf.generation.projection import Projection, project
from dcgan_tf.generation.sampling import decode, seed_latents
from dcgan_tf.generation.source import PRETRAINED_WEIGHTS, Source, open_source
from dcgan_tf.models.configured import configured_discriminator, configured_generator
from dcgan_tf.models.weights import digest_of_weights

Numbers = Sequence[int] | np.ndarray


class Generator:
    """A trained generator, with the discriminator it was trained against.

    Every result depends only on the arguments: the same seed always gives the same image. Images are uint8
    [N, height, width, channels]. A run on points generates float32 [N, 2].

    Attributes:
        config: The settings of the training.
        network: z float32 [N, latent_dim] -> images float32 in [-1, 1]; takes [z, labels] if conditional.
        step: Number of train steps done.
        digest: Digest of the generator's weights. Directions and vectors are valid only for these weights.
    """

    def __init__(
        self, config: Config, network: keras.Model, read_discriminator: Callable[[], keras.Model | None], step: int
    ) -> None:
        self.config = config
        self.network = network
        self._read_discriminator = read_discriminator
        self.step = step
        self.digest = digest_of_weights(network)

    @cached_property
    def discriminator(self) -> keras.Model | None:
        """The network from images in [-1, 1] to logits [N, 1]; None in the export of a run with ``pack``."""
        return self._read_discriminator()

    @property
    def latent_dim(self) -> int:
        """The length of a latent."""
        return self.config.latent_dim

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class names of a conditional generator in the order of the labels; empty for any other generator."""
        return self.config.class_names[: self.config.label_count]

    def latents(self, seeds: Numbers, psi: float = 1.0) -> np.ndarray:
        """The latents of seeds (from 0 to 2**63 - 1), scaled by psi: float32 [N, latent_dim]."""
        return np.float32(psi) * seed_latents(_checked_seeds(seeds), self.latent_dim)

    def decode(self, z: np.ndarray, labels: Numbers | None = None) -> np.ndarray:
        """The images of latents float32 [N, latent_dim], and of labels int [N] if the generator is conditional."""
        z = np.asarray(z, np.float32)
        if z.ndim != 2 or z.shape[1] != self.latent_dim or not len(z):
            raise UserError(f"expected latents of the shape [N, {self.latent_dim}]. Received: {list(z.shape)}")
        return decode(self.network, z, self._checked_labels(labels, len(z)))

    def sample(self, seeds: Numbers, psi: float = 1.0, labels: Numbers | None = None) -> np.ndarray:
        """The images of seeds.

        Args:
            seeds: N whole numbers from 0 to 2**63 - 1.
            psi: Scale of the latents: 1 as in training; smaller values give more typical and less diverse images.
            labels: N classes, for a conditional generator only.

        Returns:
            uint8 [N, height, width, channels], or points float32 [N, 2].

        Raises:
            UserError: There is no seed, a seed or label is invalid, or there are labels for an unconditional generator.
        """
        return self.decode(self.latents(seeds, psi), labels)

    def interpolate(
        self,
        seeds: Numbers,
        steps: int = 8,
        *,
        spherical: bool = True,
        closed: bool = False,
        psi: float = 1.0,
        shift: np.ndarray | None = None,
        label: int | None = None,
    ) -> np.ndarray:
        """The images on a path through the latents of two or more seeds; see `generation.paths.make_path`.

        Args:
            seeds: At least two seeds.
            steps: Number of steps from each seed to the next.
            spherical: Whether the path follows great circles; otherwise, straight lines.
            closed: Whether the path returns to the first seed.
            psi: Scale of the latents.
            shift: float32 [latent_dim], added to the latent of each seed.
            label: The class of every image, for a conditional generator only.

        Returns:
            uint8 [(N - 1) * steps + 1, height, width, channels] for N seeds; [N * steps, ...] if closed.

        Raises:
            UserError: There are fewer than two seeds or no step, or a seed or the label is invalid.
        """
        if len(seeds) < 2 or steps < 1:
            raise UserError(f"expected at least 2 seeds and 1 step. Received: {len(seeds)} seeds, {steps} steps")
        stations = self.latents(seeds, psi) + (0 if shift is None else shift)
        z = make_path(stations, steps, spherical=spherical, closed=closed)
        return self.decode(z, self.repeat_label(label, len(z)))

    def project(
        self,
        image: np.ndarray,
        *,
        steps: int = 300,
        restarts: int = 8,
        seed: int = 0,
        feature_weight: float = 0.1,
        label: int | None = None,
    ) -> Projection:
        """Finds the latent whose image comes nearest to a given one; see `generation.projection.project`.

        Args:
            image: uint8 [height, width, channels], of the generator's size.
            steps: Number of optimization steps.
            restarts: Number of latents that are optimized in parallel; the best one is returned.
            seed: Seed of the initial latents.
            feature_weight: Weight of the distance in the discriminator's features, relative to that in pixels. 0: only
                pixels are compared.
            label: The class of the image, for a conditional generator only.

        Raises:
            UserError: The generator makes points, the image has another shape or type, or the discriminator has no
                features of single images.
        """
        self.require_images()
        if image.shape != self.config.sample_shape or image.dtype != np.uint8:
            raise UserError(
                f"expected an image uint8 {list(self.config.sample_shape)}. Received: {image.dtype} {list(image.shape)}"
            )
        if feature_weight and (self.discriminator is None or self.config.pack > 1):
            raise UserError(
                "the discriminator of this run judges several images at once, so it has no features of single images. "
                "Use `feature_weight=0`"
            )
        return project(
            self.network,
            self.discriminator if feature_weight else None,
            image[None],
            self.repeat_label(label, 1),
            steps=steps,
            restarts=restarts,
            seed=seed,
            feature_weight=feature_weight,
        )

    @cached_property
    def principal_directions(self) -> Directions:
        """The leading directions of the latent space; see `generation.directions.find_principal_directions`."""
        return find_principal_directions(self.network)

    def repeat_label(self, label: int | None, count: int) -> np.ndarray | None:
        """The labels of ``count`` images of one class, as the other methods take them; None stays None."""
        return None if label is None else np.full(count, label, np.int64)

    def require_images(self) -> None:
        """Raises UserError for a generator of points."""
        if self.config.draws_points:
            raise UserError(f"`dataset={self.config.dataset}` makes points: expected a generator of images")

    def _checked_labels(self, labels: Numbers | None, count: int) -> np.ndarray | None:
        classes = len(self.class_names)
        if labels is None:
            if classes:
                raise UserError(f"this generator is conditional: expected labels from 0 to {classes - 1}")
            return None
        labels = np.asarray(labels)
        if not classes:
            raise UserError("this generator is not conditional: expected no labels")
        if labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
            raise UserError(f"expected {count} labels from 0 to {classes - 1}. Received: {labels.tolist()}")
        return labels.astype(np.int64)


def load_generator(path: str | os.PathLike[str], checkpoint: str = "best") -> Generator:
    """Loads a trained generator from the folder of a run, from an export, or from the package itself.

    ``load_generator("mnist")`` loads the bundled generator of handwritten digits, which needs no training.

    >>> from dcgan_tf import load_generator
    >>> generator = load_generator(PATH)
    >>> images = generator.sample([0, 1, 2])
    >>> images.shape, images.dtype
    ((3, 16, 16, 1), dtype('uint8'))
    >>> bool((generator.sample([2]) == images[2:]).all())
    True
    >>> generator.interpolate([0, 1], steps=4).shape
    (5, 16, 16, 1)
    >>> generator.project(images[0], steps=3).z.shape
    (8,)

    Args:
        path: Folder of a run; folder of an export, whose newest version is loaded; folder of one version; or ``mnist``,
            if there is no such folder.
        checkpoint: Checkpoint of a run: ``best`` (by the evaluations during training, or the newest if there were
            none), ``latest``, or a step.

    Raises:
        UserError: There is no generator at this path, or it cannot be read.
    """
    return read_source(open_source(path, checkpoint))


def read_source(source: Source) -> Generator:
    """Reads the generator of an opened source. Its discriminator is read on first use."""
    if (source.directory / PRETRAINED_WEIGHTS).is_file():
        return _read_pretrained(source)
    if source.run is None:
        return _read_saved_model(source)
    run = source.run
    network, step = load_generator_network(run, source.checkpoint)
    return Generator(source.config, network, lambda: load_discriminator_network(run, step), step)


def _read_pretrained(source: Source) -> Generator:
    arrays = files.read_arrays(source.directory / PRETRAINED_WEIGHTS)

    def fill(network: keras.Model) -> keras.Model:
        for weight in network.weights:
            weight.assign(arrays[f"{network.name}/{weight.path}"])
        return network

    network = fill(configured_generator(source.config, seed=0))
    return Generator(source.config, network, lambda: fill(configured_discriminator(source.config, seed=0)), source.step)


def _read_saved_model(source: Source) -> Generator:
    try:
        with files.plain_path(source.directory) as path:
            loaded = tf.saved_model.load(str(path))
        # The exported graphs round to gray levels and have no gradient, so their weights are put into networks.
        network = configured_generator(source.config, seed=0)
        _copy_weights(loaded.signatures["serving_default"], network)
        has_discriminator = "discriminate" in loaded.signatures
    except UserError:
        raise
    except Exception as error:  # TensorFlow's exceptions for damaged files have no common type.
        raise UserError(
            f"`saved_model`: '{source.directory}' cannot be loaded: {files.reason(error)}. Name another version, or "
            "export the run again"
        ) from None

    def read_discriminator() -> keras.Model | None:
        if not has_discriminator:
            return None
        discriminator = configured_discriminator(source.config, seed=0)
        # `loaded` must be kept until here, because it owns the variables.
        _copy_weights(loaded.signatures["discriminate"], discriminator)
        return discriminator

    return Generator(source.config, network, read_discriminator, source.step)


def _copy_weights(signature: tf.types.experimental.ConcreteFunction, network: keras.Model) -> None:
    exported = {variable.name.removesuffix(":0"): variable for variable in signature.variables}
    for weight in network.weights:
        if weight.path not in exported:
            raise UserError(f"`saved_model`: the export has no weight {weight.path} for its {network.name}")
        weight.assign(exported[weight.path])


def _checked_seeds(seeds: Numbers) -> np.ndarray:
    try:
        numbers = np.array([int(seed) for seed in seeds], np.int64)
    except (OverflowError, TypeError, ValueError):
        numbers = np.array([-1])
    if not len(numbers) or numbers.min() < 0:
        raise UserError(f"expected at least one seed, each from 0 to {2**63 - 1}. Received: {list(seeds)}")
    return numbers
