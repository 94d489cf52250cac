"""What the generator and the discriminator share: initial weights, normalisation, ways to upsample, widths."""

from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.config.settings import Config, parse_filters
from dcgan_tf.distributed import replicas
from dcgan_tf.errors import UserError
from dcgan_tf.models.spectral import SpectralConv2D, SpectralDense
from dcgan_tf.models.transposed import ImageConv2DTranspose

DCGAN_INITIAL_DEVIATION = 0.02
MOST_IMAGE_CHANNELS = 3


class LayerFactory:
    """Makes layers with the rules that hold for a whole network.

    The weights are drawn from N(0, 0.02) as in the DCGAN paper, or Glorot uniform for the fully connected pair,
    where nothing (no BatchNorm) would bring the tiny signals of N(0, 0.02) back to scale.

    Args:
        config: sizes and choices.
        seed: of the initial weights of this network.
        dtype: Keras dtype policy of the hidden layers. The layers that make images or logits use float32.
        spectral: normalise the kernels of dense layers and downsampling convolutions by their largest singular value.
    """

    def __init__(self, config: Config, seed: int, dtype: str, spectral: bool = False) -> None:
        self._config = config
        self._dtype = dtype
        self._seed = keras.random.SeedGenerator(seed)
        self._spectral = spectral
        self._spectral_options = {"is_unrolled": config.unroll_steps > 0} if spectral else {}

    def dense(
        self,
        units: int,
        *,
        use_bias: bool = True,
        deviation: float | None = None,
        dtype: str | None = None,
        name: str,
    ) -> keras.Layer:
        """A linear layer; ``deviation`` of normal initial weights in place of the network's own rule."""
        kind = SpectralDense if self._spectral else keras.layers.Dense
        if deviation is None:
            initializer = self._initializer()
        else:
            initializer = keras.initializers.RandomNormal(stddev=deviation, seed=self._seed)
        return kind(
            units,
            use_bias=use_bias,
            kernel_initializer=initializer,
            dtype=dtype or self._dtype,
            name=name,
            **self._spectral_options,
        )

    def downsample(self, filters: int, *, use_bias: bool, name: str) -> keras.Layer:
        """A convolution of stride 2: the network learns its own downsampling, there is no pooling."""
        kind = SpectralConv2D if self._spectral else keras.layers.Conv2D
        return kind(
            filters,
            self._config.kernel_size,
            strides=2,
            padding="same",
            use_bias=use_bias,
            kernel_initializer=self._initializer(),
            dtype=self._dtype,
            name=name,
            **self._spectral_options,
        )

    def upsample(
        self,
        x: keras.KerasTensor,
        filters: int,
        size: tuple[int, int] | None,
        *,
        use_bias: bool,
        dtype: str | None = None,
        name: str,
    ) -> keras.KerasTensor:
        """Doubles height and width, by a transposed convolution or by resizing and a convolution of stride 1.

        Ends at ``size``, cutting one row or column where that is odd; with None, at the size that x has.

        A transposed convolution whose kernel is no multiple of its stride covers some pixels more often than their
        neighbours and draws checkerboards (Odena et al. 2016, distill.pub/2016/deconv-checkerboard).
        """
        method = self._config.upsampling
        options = {
            "filters": filters,
            "kernel_size": self._config.kernel_size,
            "padding": "same",
            "use_bias": use_bias,
            "kernel_initializer": self._initializer(),
            "dtype": dtype or self._dtype,
            "name": name,
        }
        if size is None:
            return (
                keras.layers.Conv2DTranspose(**options)(x)
                if method == "transposed"
                else keras.layers.Conv2D(**options)(x)
            )
        if method == "transposed":
            kind = ImageConv2DTranspose if filters <= MOST_IMAGE_CHANNELS else keras.layers.Conv2DTranspose
            x = kind(strides=2, **options)(x)
        else:
            x = keras.layers.UpSampling2D(2, interpolation=method, dtype=self._dtype, name=f"{name}_resize")(x)
            x = keras.layers.Conv2D(**options)(x)
        excess = tuple((0, has - wanted) for has, wanted in zip(x.shape[1:3], size, strict=True))
        if excess == ((0, 0), (0, 0)):
            return x
        return keras.layers.Cropping2D(excess, dtype=dtype or self._dtype, name=f"{name}_crop")(x)

    def batch_norm(self, name: str) -> keras.Layer:
        return BatchNorm(
            momentum=self._config.batchnorm_momentum,
            epsilon=1e-5,
            synchronized=replicas.count() > 1,
            dtype=self._dtype,
            name=name,
        )

    def normalize(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """The discriminator's normalisation of feature maps."""
        match self._config.discriminator_norm:
            case "batch":
                return self.batch_norm(name)(x)
            case "layer":
                return LayerNorm(groups=1, epsilon=1e-5, dtype=self._dtype, name=name)(x)
        return x

    def activate_generator(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        if self._config.generator_activation == "leaky_relu":
            return self.leaky_relu(f"{name}_leaky_relu")(x)
        return keras.layers.ReLU(dtype=self._dtype, name=f"{name}_relu")(x)

    def leaky_relu(self, name: str) -> keras.Layer:
        return keras.layers.LeakyReLU(self._config.leaky_slope, dtype=self._dtype, name=name)

    def dropout(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        if not self._config.dropout:
            return x
        rows = self._config.batch_size // self._config.pack
        return Dropout(self._config.dropout, rows, seed=0, dtype=self._dtype, name=name)(x)

    def _initializer(self) -> keras.Initializer:
        if self._config.architecture == "mlp":
            return keras.initializers.GlorotUniform(seed=self._seed)
        return keras.initializers.RandomNormal(stddev=DCGAN_INITIAL_DEVIATION, seed=self._seed)


class BatchNorm(keras.layers.BatchNormalization):
    """Keras's batch normalisation, with fewer and larger operations in training.

    Keras computes mean, variance and result one after the other, each a pass or more over all activations; here they
    are one operation forward and one backward. Synchronized, Keras sums three times over the replicas forward and twice
    backward; here it is once each. Second derivatives, which unrolling needs, are right in both; Keras's are not.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training:
            return super().call(inputs, training=training, mask=mask)
        is_fused = len(inputs.shape) == 4 and not self.synchronized
        outputs, mean, variance = (self._fused if is_fused else self._by_moments)(inputs)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def _fused(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The operation's variance is the unbiased estimate; Keras averages the mean square itself.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        return outputs, mean, variance * (count - 1) / count

    def _by_moments(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        values = tf.cast(inputs, self.variable_dtype)
        mean, variance = replicas.moments(values, list(range(len(inputs.shape) - 1)))
        return tf.cast(_standardize(self, values, mean, variance), inputs.dtype), mean, variance


class LayerNorm(keras.layers.GroupNormalization):
    """Layer normalization: each image by itself, over all its pixels and channels, in one group.

    Keras takes mean and variance from TensorFlow's `moments`, which holds the mean constant within the variance: the
    first derivative is right, and the second one, which a gradient penalty and unrolling need, is wrong.
    """

    def call(self, inputs: Any) -> Any:
        values = tf.cast(inputs, self.variable_dtype)
        axes = list(range(1, len(inputs.shape)))
        mean = tf.reduce_mean(values, axes, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(values, mean), axes, keepdims=True)
        return tf.cast(_standardize(self, values, mean, variance), inputs.dtype)


def _standardize(layer: keras.Layer, values: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
    # The mean goes first: where it is large, the difference of two products would lose the digits that count.
    factor = tf.math.rsqrt(variance + layer.epsilon) * tf.convert_to_tensor(layer.gamma)
    return (values - mean) * factor + tf.convert_to_tensor(layer.beta)


class Dropout(keras.layers.Dropout):
    """Keras's dropout, whose masks do not depend on the number of replicas.

    Args:
        rate: share that is dropped.
        batch_rows: rows of a global batch. An input with twice as many on all replicas is of two, one behind the other.
    """

    def __init__(self, rate: float, batch_rows: int, **options: Any) -> None:
        super().__init__(rate, **options)
        self.batch_rows = batch_rows

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or replicas.count() == 1:
            return super().call(inputs, training)
        rows = inputs.shape[0] * replicas.count()
        ones = keras.ops.ones((rows, *inputs.shape[1:]), inputs.dtype)
        mask = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        return inputs * replicas.share(mask, parts=rows // self.batch_rows)


def block_filters(name: str, text: str, blocks: int) -> tuple[int, ...]:
    """Filters of each of a network's ``blocks`` feature maps.

    One number belongs to the map nearest to the image and doubles with each map away from it. Several numbers are
    taken as they are, in the order of the network.

    Args:
        name: the flag, ``generator_filters`` (from z to the image) or ``discriminator_filters`` (from the image on).
        text: its value.
        blocks: how many feature maps there are.

    Returns:
        Filters in the order of the network.

    Raises:
        UserError: not as many numbers as blocks.
    """
    filters = parse_filters(name, text)
    if len(filters) == 1:
        doubled = tuple(filters[0] << block for block in range(blocks))
        return doubled[::-1] if name == "generator_filters" else doubled
    if len(filters) != blocks:
        raise UserError(
            f"--{name}: this image size has {blocks} blocks: expected one number, or {blocks}. Received: {text!r}"
        )
    return filters
