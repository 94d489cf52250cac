"""Spectral normalization (Miyato et al. 2018, arXiv 1802.05957): kernels divided by their largest singular value."""

from typing import Any

import keras

from dcgan_tf.models import bfloat16
from dcgan_tf.models.registration import register, require_options

EPSILON = 1e-12


class _SpectralKernel:
    """Spectral normalization for the layers below: one step of power iteration per training call.

    The vector of the iteration is saved with the weights. Keras's own SpectralNormalization overwrites the kernel in
    every call and passes no gradient through the singular value. Here the kernel stays as it is, and the gradient is
    that of the quotient (equation 9).

    Args:
        is_unrolled: Also differentiate the power iteration. Equation 9 treats the singular vectors as constants, which
            omits the second derivative of the singular value. Unrolling needs it.
        arguments, options: Those of Keras's layer.
    """

    def __init__(self, *arguments: Any, is_unrolled: bool = False, **options: Any) -> None:
        super().__init__(*arguments, **options)
        require_options(self, activation=keras.activations.linear)  # type: ignore[arg-type]
        self.is_unrolled = is_unrolled

    def get_config(self) -> dict[str, Any]:
        """The arguments of the layer, for saving."""
        return super().get_config() | {"is_unrolled": self.is_unrolled}  # type: ignore[misc]

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)  # type: ignore[misc]
        self.singular_vector = self.add_weight(  # type: ignore[attr-defined]
            shape=(self.kernel.shape[-1],),  # type: ignore[attr-defined]
            initializer=keras.initializers.RandomNormal(seed=1),
            trainable=False,
            autocast=False,
            name="singular_vector",
        )

    # Keras's layers save only the kernel and the bias.
    def save_own_variables(self, store: Any) -> None:
        """Writes the layer's variables."""
        super().save_own_variables(store)  # type: ignore[misc]
        store["singular_vector"] = self.singular_vector

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote."""
        super().load_own_variables(store)  # type: ignore[misc]
        self.singular_vector.assign(store["singular_vector"])

    def normalized_kernel(self, training: bool) -> Any:
        """The kernel divided by its spectral norm, in the layer's compute dtype."""
        ops = keras.ops
        kernel = ops.cast(self.kernel, self.variable_dtype)  # type: ignore[attr-defined]
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
        factor = matrix if self.is_unrolled else ops.stop_gradient(matrix)
        left = _unit(ops.matmul(factor, ops.convert_to_tensor(self.singular_vector)))
        right = _unit(ops.matmul(left, factor))
        if training:
            self.singular_vector.assign(right)
        norm = ops.sum(left * ops.matmul(matrix, right))
        return ops.cast(kernel / norm, self.compute_dtype)  # type: ignore[attr-defined]


@register
class SpectralConv2D(_SpectralKernel, bfloat16.Conv2D):
    """A convolution whose kernel, as a matrix [height * width * inputs, outputs], has spectral norm 1."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        outputs = self.convolution_op(inputs, self.normalized_kernel(training))
        return outputs + self.bias if self.use_bias else outputs


@register
class SpectralDense(_SpectralKernel, keras.layers.Dense):
    """A linear layer whose kernel has spectral norm 1."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        outputs = keras.ops.matmul(inputs, self.normalized_kernel(training))
        return outputs + self.bias if self.use_bias else outputs


def _unit(vector: Any) -> Any:
    return vector / (keras.ops.sqrt(keras.ops.sum(keras.ops.square(vector))) + EPSILON)
