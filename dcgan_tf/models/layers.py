"""What the generator and the discriminator share: initial weights, up- and downsampling, and layer widths."""

from collections.abc import Sequence
from typing import Any

import keras

from dcgan_tf.distributed import replicas
from dcgan_tf.errors import UserError
from dcgan_tf.models import bfloat16
from dcgan_tf.models.cropping import Crop
from dcgan_tf.models.dropout import Dropout
from dcgan_tf.models.normalization import BatchNorm, LayerNorm
from dcgan_tf.models.resizing import NearestConv2D
from dcgan_tf.models.spectral import SpectralConv2D, SpectralDense
from dcgan_tf.models.transposed import MAX_IMAGE_CHANNELS, ImageConv2DTranspose

DCGAN_INITIAL_STDDEV = 0.02


class LayerFactory:
    """Makes layers with the options of a whole network.

    Args:
        seed: Seed of the initial weights of this network.
        dtype: Keras dtype policy of the hidden layers. The layers that make images or logits use float32.
        initializer: ``dcgan`` draws weights from N(0, 0.02), as in the DCGAN paper. ``glorot`` is Glorot uniform, for
            networks without BatchNorm, where nothing would rescale the tiny signals that N(0, 0.02) produces.
        kernel_size: Side of the convolution kernels in pixels.
        upsampling: ``transposed``, ``nearest``, ``bilinear`` or ``bicubic``.
        activation: Activation of the generator: ``relu`` or ``leaky_relu``.
        leaky_slope: Slope of LeakyReLU below zero.
        batchnorm_momentum: Momentum of BatchNorm's moving statistics.
        spectral_norm: Divide the kernels of dense layers and downsampling convolutions by their largest singular value.
        is_unrolled: Give spectral normalization a correct second derivative.
        dropout: Share of the activations dropped in training.
        dropout_rows: Rows of a global batch, for dropout on several replicas.
    """

    def __init__(
        self,
        seed: int,
        dtype: str,
        *,
        initializer: str = "dcgan",
        kernel_size: int = 4,
        upsampling: str = "transposed",
        activation: str = "relu",
        leaky_slope: float = 0.2,
        batchnorm_momentum: float = 0.9,
        spectral_norm: bool = False,
        is_unrolled: bool = False,
        dropout: float = 0.0,
        dropout_rows: int = 0,
    ) -> None:
        self._seed = keras.random.SeedGenerator(seed)
        self._dtype = dtype
        self._initializer_name = initializer
        self._kernel_size = kernel_size
        self._upsampling = upsampling
        self._activation = activation
        self._leaky_slope = leaky_slope
        self._batchnorm_momentum = batchnorm_momentum
        self._spectral_norm = spectral_norm
        self._spectral_options = {"is_unrolled": is_unrolled} if spectral_norm else {}
        self._dropout = dropout
        self._dropout_rows = dropout_rows

    def dense(
        self,
        units: int,
        *,
        use_bias: bool = True,
        stddev: float | None = None,
        dtype: str | None = None,
        name: str,
    ) -> keras.Layer:
        """Makes a linear layer. With ``stddev``, its initial weights are normal, whatever the network's initializer."""
        kind = SpectralDense if self._spectral_norm else keras.layers.Dense
        if stddev is None:
            initializer = self._initializer()
        else:
            initializer = keras.initializers.RandomNormal(stddev=stddev, seed=self._seed)
        return kind(
            units,
            use_bias=use_bias,
            kernel_initializer=initializer,
            dtype=dtype or self._dtype,
            name=name,
            **self._spectral_options,
        )

    def downsample(self, filters: int, *, use_bias: bool, name: str) -> keras.Layer:
        """Makes a convolution of stride 2: the network learns its own downsampling instead of pooling."""
        kind = SpectralConv2D if self._spectral_norm else bfloat16.Conv2D
        options = self._convolution_options(filters, use_bias, None, name)
        return kind(strides=2, **options, **self._spectral_options)

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
        """Doubles height and width by a transposed convolution, or by resizing and a convolution of stride 1.

        If the height or width in ``size`` is odd, the last row or column of the result is cropped. If ``size`` is None,
        the result has the size of x.

        A transposed convolution whose kernel size is not a multiple of its stride covers some pixels more often than
        their neighbors, which causes checkerboard patterns (Odena et al. 2016, distill.pub/2016/deconv-checkerboard).
        """
        options = self._convolution_options(filters, use_bias, dtype, name)
        is_transposed = self._upsampling == "transposed"
        if size is None:
            return (bfloat16.Conv2DTranspose if is_transposed else bfloat16.Conv2D)(**options)(x)
        if is_transposed:
            kind = ImageConv2DTranspose if filters <= MAX_IMAGE_CHANNELS else bfloat16.Conv2DTranspose
            x = kind(strides=2, **options)(x)
        elif self._upsampling == "nearest":
            x = NearestConv2D(**options)(x)
        else:
            x = keras.layers.UpSampling2D(
                2, interpolation=self._upsampling, data_format="channels_last", dtype=self._dtype, name=f"{name}_resize"
            )(x)
            x = bfloat16.Conv2D(**options)(x)
        excess = tuple((0, has - wanted) for has, wanted in zip(x.shape[1:3], size, strict=True))
        if excess == ((0, 0), (0, 0)):
            return x
        return Crop(excess, data_format="channels_last", dtype=dtype or self._dtype, name=f"{name}_crop")(x)

    def batch_norm(self, name: str) -> keras.Layer:
        """Makes a batch normalization whose statistics cover all replicas."""
        return BatchNorm(
            momentum=self._batchnorm_momentum,
            epsilon=1e-5,
            synchronized=replicas.count() > 1,
            dtype=self._dtype,
            name=name,
        )

    def normalize(self, x: keras.KerasTensor, norm: str, name: str) -> keras.KerasTensor:
        """Applies the discriminator's normalization of feature maps, ``batch`` or ``layer``."""
        if norm == "batch":
            return self.batch_norm(name)(x)
        return LayerNorm(epsilon=1e-5, dtype=self._dtype, name=name)(x)

    def activate(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """Applies the generator's activation."""
        if self._activation == "leaky_relu":
            return self.leaky_relu(f"{name}_leaky_relu")(x)
        return keras.layers.ReLU(dtype=self._dtype, name=f"{name}_relu")(x)

    def leaky_relu(self, name: str) -> keras.Layer:
        """Makes the discriminator's activation."""
        return keras.layers.LeakyReLU(self._leaky_slope, dtype=self._dtype, name=name)

    def drop(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """Applies dropout, if the network has any."""
        if not self._dropout:
            return x
        return Dropout(self._dropout, self._dropout_rows, seed=0, dtype=self._dtype, name=name)(x)

    def _convolution_options(self, filters: int, use_bias: bool, dtype: str | None, name: str) -> dict[str, Any]:
        return {
            "filters": filters,
            "kernel_size": self._kernel_size,
            "padding": "same",
            "data_format": "channels_last",
            "use_bias": use_bias,
            "kernel_initializer": self._initializer(),
            "dtype": dtype or self._dtype,
            "name": name,
        }

    def _initializer(self) -> keras.Initializer:
        if self._initializer_name == "glorot":
            return keras.initializers.GlorotUniform(seed=self._seed)
        return keras.initializers.RandomNormal(stddev=DCGAN_INITIAL_STDDEV, seed=self._seed)


def block_filters(name: str, filters: int | Sequence[int], blocks: int, *, from_image: bool) -> tuple[int, ...]:
    """The number of filters of each feature map of a network.

    A single number is for the map nearest to the image, and doubles with each map away from it. Several numbers are
    used as they are, in the order of the network.

    Args:
        name: Name of the argument, for the error message.
        filters: One number or several.
        blocks: Number of feature maps.
        from_image: Whether the network starts at the image (a discriminator) or ends there.

    Returns:
        The numbers of filters in the order of the network.

    Raises:
        UserError: There is neither a single number nor one number per block.
    """
    widths = (filters,) if isinstance(filters, int) else tuple(filters)
    if len(widths) == 1:
        doubled = tuple(widths[0] << block for block in range(blocks))
        return doubled if from_image else doubled[::-1]
    if len(widths) != blocks:
        raise UserError(
            f"`{name}`: expected one number or {blocks}, because this image size has {blocks} blocks. "
            f"Received: {','.join(map(str, widths))}"
        )
    return widths
