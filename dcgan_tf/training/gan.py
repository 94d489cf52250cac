"""The networks, their optimizers, and the mathematics of one train step."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.distributed import replicas
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.models.configured import configured_discriminator, configured_generator
from dcgan_tf.models.pixels import to_float
from dcgan_tf.objectives.adaptive import AdaptiveProbability, augment_adaptively
from dcgan_tf.objectives.augment import augment
from dcgan_tf.objectives.chance import subkey
from dcgan_tf.objectives.losses import LOSSES
from dcgan_tf.objectives.penalties import PENALTIES, squared_gradient_norms
from dcgan_tf.objectives.stabilizers import add_instance_noise, fake_targets, mix_terms, real_targets
from dcgan_tf.objectives.unrolled import unroll
from dcgan_tf.training import noise
from dcgan_tf.training.average import update_average
from dcgan_tf.training.optimizers import apply_gradients, build_optimizer, decay_learning_rates
from dcgan_tf.training.virtual import logits_apart, virtual_logits, with_classes

METRICS = (
    "loss/discriminator",
    "loss/discriminator_real",
    "loss/discriminator_fake",
    "loss/generator",
    "prob/real",
    "prob/fake",
    "gradient_norm/discriminator",
    "gradient_norm/generator",
)
BEYOND_ANY_COUNT = 2**30
ADAPTIVE_METRICS = ("augment/probability", "augment/real_sign")
Metrics = dict[str, tf.Tensor]
StepResults = tuple[Metrics, dict[str, tf.Tensor]]
Discriminate = Callable[[tf.Tensor], tf.Tensor]


class GAN:
    """A generator and a discriminator in training.

    Attributes:
        generator, discriminator: The networks that are trained.
        ema_generator: The generator to sample from and to export. Its weights are the moving average of the trained
            ones, always in float32.
        step: int64 variable, number of train steps done.
        adaptive: Probability of adaptive augmentation; None without it.

    Args:
        config: A complete configuration, without ``auto``.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.loss = LOSSES[config.loss]
        self._strategy = tf.distribute.get_strategy()
        self.step = tf.Variable(0, dtype=tf.int64, name="step")
        generator_seed, discriminator_seed = (int(s) for s in np.random.SeedSequence(config.seed).generate_state(2))
        dtype = "mixed_bfloat16" if config.mixed_precision is True else "float32"
        self.generator = configured_generator(config, seed=generator_seed, dtype=dtype)
        self.ema_generator = configured_generator(config, seed=generator_seed)
        self.discriminator = configured_discriminator(config, seed=discriminator_seed, dtype=dtype)
        self.generator_optimizer = build_optimizer(config, config.learning_rate_generator, self.generator)
        self.discriminator_optimizer = build_optimizer(config, config.learning_rate_discriminator, self.discriminator)
        self.adaptive = None
        if config.augment == "ada":
            self.adaptive = AdaptiveProbability(config.batch_size, config.batch_size // config.pack)
        self.metric_names = METRICS + (("loss/penalty",) if config.penalty != "none" else ())
        self.metric_names += ADAPTIVE_METRICS if self.adaptive is not None else ()
        self._has_batch_norm = config.architecture == "dcgan" and config.discriminator_norm == "batch"
        self._noise = noise.StepNoise(config, self.step)
        self._dropouts = [layer for layer in self.discriminator.layers if isinstance(layer, keras.layers.Dropout)]
        self._has_lazy_penalty: bool | None = None

    def checkpoint(self) -> tf.train.Checkpoint:
        """Everything that training depends on. Noise and data need no state, because they follow from (seed, step)."""
        # Included only if it is used, so that older checkpoints still fit.
        adaptive = {"augmentation": self.adaptive} if self.adaptive is not None else {}
        return tf.train.Checkpoint(
            step=self.step,
            generator=self.generator,
            discriminator=self.discriminator,
            ema_generator=self.ema_generator,
            generator_optimizer=self.generator_optimizer,
            discriminator_optimizer=self.discriminator_optimizer,
            **adaptive,
        )

    # AutoGraph would need the source code, and a temporary folder to write to.
    @tf.function(autograph=False)
    def train_steps(self, batches: tf.data.Iterator, count: tf.Tensor) -> StepResults:
        """Runs ``count`` train steps without returning to Python. Stops early if a loss or gradient is not finite.

        Args:
            batches: Images uint8 [batch, height, width, channels] and labels int64 [batch]. With several replicas, the
                shares of this worker's replicas in turn.
            count: int32 scalar, at least 1.

        Returns:
            The scalars named in ``metric_names``, averaged over the steps taken, and the gradient norms of the last
            step.
        """
        step = tf.function(self.train_step, jit_compile=True) if self.config.jit_compile else self.train_step

        def take(number: tf.Tensor, taken: tf.Tensor, sums: Metrics, _: Metrics) -> tuple[Any, ...]:
            metrics, norms = self._run(step, batches)
            is_finite = tf.reduce_all(tf.math.is_finite(tf.stack(list(metrics.values()))))
            # On a GPU, a condition copies only this flag to the host, where the number is.
            following = number + tf.cond(is_finite, lambda: 1, lambda: BEYOND_ANY_COUNT)
            return following, taken + 1.0, {name: sums[name] + metrics[name] for name in sums}, norms

        sums = dict.fromkeys(self.metric_names, tf.constant(0.0))
        norms = {
            network.name: tf.zeros(len(network.trainable_variables)) for network in (self.discriminator, self.generator)
        }
        _, taken, sums, norms = tf.while_loop(
            lambda number, *_: number < count, take, (tf.constant(0), tf.constant(0.0), sums, norms)
        )
        return {name: total / taken for name, total in sums.items()}, norms

    def _run(self, step: Callable[..., Any], batches: tf.data.Iterator) -> Any:
        """Runs one step on each replica, and returns the results of one, because all are the same."""
        # TensorFlow's distributed iterator contains a generator op, which makes glibc request every tensor above 128
        # KiB from the operating system (tensorflow::data::ApplyPython311MemoryPatch): 8% of a step at 64x64 pixels.
        shares = self._strategy.experimental_distribute_values_from_function(lambda _: next(batches))

        def run(has_lazy_penalty: bool | None) -> Any:
            with self.tracing(has_lazy_penalty):
                results = self._strategy.run(step, args=shares)
            return tf.nest.map_structure(lambda value: self._strategy.experimental_local_results(value)[0], results)

        if self.config.penalty_every > 1 and self._strategy.num_replicas_in_sync > 1:
            # TensorFlow cannot sum over replicas inside a branch of the step, so the branches hold whole steps.
            return tf.cond(self._is_penalty_due(), lambda: run(True), lambda: run(False))
        return run(None)

    @contextlib.contextmanager
    def tracing(self, has_lazy_penalty: bool | None) -> Iterator[None]:
        """Traces steps with or without a penalty that is due only every few steps. None: they decide themselves."""
        self._has_lazy_penalty = has_lazy_penalty
        try:
            yield
        finally:
            self._has_lazy_penalty = None

    def _is_penalty_due(self) -> tf.Tensor:
        return tf.equal(self.step % self.config.penalty_every, 0)

    # All branches and loops are decided in Python during tracing. AutoGraph's rewriting would only cost seconds.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, images: tf.Tensor, labels: tf.Tensor) -> StepResults:
        """Updates the discriminator once or more, then the generator once (Goodfellow et al. 2014, algorithm 1).

        Args:
            images: Real images uint8 [discriminator_steps * batch, height, width, channels], or points float32.
            labels: Their classes, int64. A conditional run generates its fakes from the same classes.

        Returns:
            The scalars named in ``metric_names``, and for each network the norms of its gradients, [variables].
        """
        *_, (_, results) = self.step_parts(images, labels)
        return results

    def step_parts(self, images: tf.Tensor, labels: tf.Tensor) -> Iterator[tuple[str, Any]]:
        """The train step in parts: yields the name of each part and what it computed.

        If the discriminator is updated several times, only the last update is yielded in parts. The last part holds
        the results of `train_step`.
        """
        config = self.config
        self._noise.key_dropouts(self._dropouts)
        decay_learning_rates(config, self.step, self.generator_optimizer, self.discriminator_optimizer)
        real_batches = tf.split(to_float(images), config.discriminator_steps)
        class_batches = (
            tf.split(labels, config.discriminator_steps) if config.conditional else [None] * len(real_batches)
        )
        last = config.discriminator_steps - 1
        for update in range(last):
            fake_images = self._generate(noise.LATENTS, class_batches[update], update)
            for _ in self._discriminator_parts(real_batches[update], fake_images, class_batches[update], update):
                pass

        real_images, classes = real_batches[last], class_batches[last]
        # The tape is opened here, so that the fakes shown to the discriminator also serve the generator's update.
        with tf.GradientTape() as generator_tape:
            fake_images = self._generate(noise.LATENTS, classes, last)
            yield "generator, forward", fake_images
            with generator_tape.stop_recording():
                metrics, discriminator_norms = yield from self._discriminator_parts(
                    real_images, fake_images, classes, last
                )
            if config.fresh_noise:
                fake_images = self._generate(noise.FRESH_LATENTS, classes, last)
            generator_loss = self._generator_loss(real_images, fake_images, classes)
            yield "generator's loss, forward", generator_loss
        variables = self.generator.trainable_variables
        generator_gradients = replicas.total(generator_tape.gradient(generator_loss, variables))
        yield "generator's loss, backward", generator_gradients
        apply_gradients(self.generator_optimizer, generator_gradients, variables)
        yield "generator, optimizer", generator_loss

        update_average(self.ema_generator, self.generator, config.ema_decay, self.step)
        self.step.assign_add(1)
        yield "moving average", generator_loss
        generator_norms = _norms(generator_gradients)
        metrics["loss/generator"] = generator_loss
        # Each replica holds its part of the global means, which are summed here. Gradients are summed already.
        metrics = dict(zip(metrics, replicas.total(list(metrics.values())), strict=True))
        metrics |= {
            "gradient_norm/discriminator": tf.norm(discriminator_norms),
            "gradient_norm/generator": tf.norm(generator_norms),
        }
        if self.adaptive is not None:
            metrics["augment/probability"] = tf.identity(self.adaptive.value)
        scalars = {name: metrics[name] for name in self.metric_names}
        yield "metrics and norms", (scalars, {"discriminator": discriminator_norms, "generator": generator_norms})

    def _discriminator_parts(
        self, real_images: tf.Tensor, fake_images: tf.Tensor, classes: tf.Tensor | None, update: int
    ) -> Generator[tuple[str, Any], None, tuple[Metrics, tf.Tensor]]:
        """The parts of one discriminator update. Returns its scalars and the norms of its gradients, [variables]."""
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as discriminator_tape:
            # A penalty must not change BatchNorm's moving statistics.
            penalized = logits_apart(self.discriminator, classes) if self._has_batch_norm else None
            loss, metrics = self._discriminator_loss(
                real_images, fake_images, update, lambda seen: self._logits(seen, classes), penalized
            )
        yield "discriminator, forward", loss
        gradients = replicas.total(discriminator_tape.gradient(loss, variables))
        yield "discriminator, backward", gradients
        self._apply_to_discriminator(gradients)
        if self.adaptive is not None:
            self.adaptive.observe(metrics["augment/real_sign"])
        yield "discriminator, optimizer", loss
        return metrics, _norms(gradients)

    def _apply_to_discriminator(self, gradients: list[tf.Tensor]) -> None:
        """Applies the gradients, then clips the weights if the run asks for it."""
        variables = self.discriminator.trainable_variables
        apply_gradients(self.discriminator_optimizer, gradients, variables)
        if self.config.weight_clip:
            for variable in variables:
                variable.assign(tf.clip_by_value(variable, -self.config.weight_clip, self.config.weight_clip))

    def _discriminator_loss(
        self,
        real_images: tf.Tensor,
        fake_images: tf.Tensor,
        update: int,
        discriminate: Discriminate,
        penalized: Discriminate | None = None,
    ) -> tuple[tf.Tensor, Metrics]:
        """D's loss and scalars. ``penalized``, if given, computes the logits for the gradient penalty."""
        config = self.config
        real_seen = self._show(real_images, noise.REAL_INPUTS, update)
        fake_seen = self._show(fake_images, noise.FAKE_INPUTS, update)
        real_logits, fake_logits = self._judge(real_seen, fake_seen, discriminate)
        metrics = {
            "prob/real": self._mean(tf.sigmoid(real_logits)),
            "prob/fake": self._mean(tf.sigmoid(fake_logits)),
        }
        if self.adaptive is not None:
            metrics["augment/real_sign"] = self._mean(tf.sign(real_logits - self.loss.undecided))
        if self.loss.relative is not None:
            real_logits, fake_logits = self.loss.relative(real_logits, fake_logits)
        real_term, fake_term = self.loss.discriminator_real, self.loss.discriminator_fake
        if config.label_smoothing or config.label_noise or config.label_flip:
            key, count = self._noise.key(noise.TARGETS, update), real_logits.shape[0]
            real_loss = self._mean(mix_terms(real_targets(count, config, key), real_term, fake_term, real_logits))
            targets = fake_targets(count, config, subkey(key, 2))
            fake_loss = self._mean(mix_terms(targets, real_term, fake_term, fake_logits))
        else:
            real_loss, fake_loss = self._mean(real_term(real_logits)), self._mean(fake_term(fake_logits))
        metrics |= {
            "loss/discriminator": real_loss + fake_loss,
            "loss/discriminator_real": real_loss,
            "loss/discriminator_fake": fake_loss,
        }
        if config.penalty == "none":
            return real_loss + fake_loss, metrics
        penalty = self._penalty(real_seen, fake_seen, update, penalized or discriminate)
        return real_loss + fake_loss + penalty, metrics | {"loss/penalty": penalty}

    def _penalty(
        self, real_seen: tf.Tensor, fake_seen: tf.Tensor, update: int, discriminate: Discriminate
    ) -> tf.Tensor:
        """The weighted penalty. If it is due only every k steps, it is k times as strong then, and otherwise 0."""
        config, penalty = self.config, PENALTIES[self.config.penalty]

        def weighted() -> tf.Tensor:
            batches = penalty.points(real_seen, fake_seen, self._noise.key(noise.PENALTY, update))
            if config.joint_batch:
                batches = (tf.concat(batches, axis=0),)
            # As in the loss, D's statistics over a batch are those of real or of fake images, not of both.
            terms = [penalty.terms(squared_gradient_norms(discriminate, points)) for points in batches]
            return config.penalty_weight * config.penalty_every * self._mean(tf.concat(terms, axis=0))

        if config.penalty_every == 1 or self._has_lazy_penalty:
            return weighted()
        if self._has_lazy_penalty is False:
            return tf.constant(0.0)
        return tf.cond(self._is_penalty_due(), weighted, lambda: tf.constant(0.0))

    def _generator_loss(self, real_images: tf.Tensor, fake_images: tf.Tensor, classes: tf.Tensor | None) -> tf.Tensor:
        """G's loss against the current discriminator, or against the one after virtual updates, plus its response."""
        last = self.config.discriminator_steps - 1
        discriminate, response = lambda seen: self._logits(seen, classes), tf.constant(0.0)
        if self.config.unroll_steps:
            logits_of = virtual_logits(self.discriminator, classes)
            weights = unroll(
                [tf.convert_to_tensor(variable) for variable in self.discriminator.trainable_variables],
                self.discriminator_optimizer,
                lambda weights: self._discriminator_loss(
                    real_images, fake_images, last, lambda seen: logits_of(seen, weights)
                )[0],
                self.config.unroll_steps,
            )
            response = self._response(real_images, fake_images, lambda seen: logits_of(seen, weights))
            discriminate = lambda seen: logits_of(seen, weights, hold=True)  # noqa: E731
        fake_logits = discriminate(self._show(fake_images, noise.GENERATOR_INPUTS, last))
        if self.loss.generator_real is None or self.loss.relative is None:
            return self._mean(self.loss.generator(fake_logits)) + response
        real_logits = discriminate(self._show(real_images, noise.REAL_INPUTS, last))
        real_logits, fake_logits = self.loss.relative(real_logits, fake_logits)
        own = self._mean(self.loss.generator(fake_logits)) + self._mean(self.loss.generator_real(real_logits))
        return own + response

    def _response(self, real_images: tf.Tensor, fake_images: tf.Tensor, discriminate: Discriminate) -> tf.Tensor:
        """A term of G's loss with the value 0. Its gradient is how G's images change what D learns from them.

        In the game of the unrolled GAN (arXiv 1611.02163, section 2), G wants D's loss to be high after D has learned,
        and nothing else. The gradient has two parts: G faces the updated D, and G changes the updates. For the first
        part, the project takes G's own loss; with plain `minimax`, this is the paper's gradient. This term is the
        second part, which vanishes if D learns well. With G's own loss, it would not: G would gain by misleading D.
        """
        last = self.config.discriminator_steps - 1
        loss, _ = self._discriminator_loss(real_images, tf.stop_gradient(fake_images), last, discriminate)
        return tf.stop_gradient(loss) - loss

    def _show(self, images: tf.Tensor, purpose: int, update: int) -> tf.Tensor:
        """Images as the discriminator sees them: augmented, with noise, and packed into rows if it judges several."""
        config = self.config
        key = self._noise.key(purpose, update)
        if config.augmentations:
            images = augment(images, config.augmentations, subkey(key, 1), parts=config.pack)
        if self.adaptive is not None:
            images = augment_adaptively(images, self.adaptive.value, subkey(key, 1), parts=config.pack)
        if config.instance_noise:
            images = add_instance_noise(images, config, self.step, key)
        return tf.concat(tf.split(images, config.pack), axis=-1) if config.pack > 1 else images

    def _judge(
        self, real_seen: tf.Tensor, fake_seen: tf.Tensor, discriminate: Discriminate
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if self.config.joint_batch:
            return tuple(tf.split(discriminate(tf.concat([real_seen, fake_seen], axis=0)), 2))
        return discriminate(real_seen), discriminate(fake_seen)

    def _logits(self, seen: tf.Tensor, classes: tf.Tensor | None) -> tf.Tensor:
        """The discriminator's logits in training mode, [N]."""
        return self.discriminator(with_classes(seen, classes), training=True)[:, 0]

    def _generate(self, purpose: int, classes: tf.Tensor | None, update: int) -> tf.Tensor:
        z = self._noise.latents(purpose, self.config.batch_size // replicas.count(), update)
        return self.generator(with_labels(z, classes), training=True)

    def _mean(self, terms: tf.Tensor) -> tf.Tensor:
        """This replica's part of the mean over the global batch. The parts are summed over replicas later."""
        return tf.reduce_sum(terms) * self.config.pack / self.config.batch_size


def _norms(gradients: list[tf.Tensor]) -> tf.Tensor:
    return tf.sqrt(2.0 * tf.stack([tf.nn.l2_loss(gradient) for gradient in gradients]))
