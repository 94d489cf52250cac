"""Spectral normalisation (Miyato et al. 2018, arXiv 1802.05957): a kernel divided by its largest singular value."""

from typing import Any

import keras

from dcgan_tf.models.registration import register, require_options

EPSILON = 1e-12


class _SpectralKernel:
    """Shared by the layers below: one step of the power iteration a training call, its vector a saved weight.

    Keras's own SpectralNormalization overwrites the kernel in every call and passes no gradient through the singular
    value; here the kernel stays as it is, and the gradient is that of the quotient (equation 9).

    Args:
        is_unrolled: differentiate the power iteration, too. Equation 9 holds the singular vectors constant, which
            leaves the second derivative of the singular value out. Unrolling needs it.
        arguments, options: those of Keras's layer.
    """

    def __init__(self, *arguments: Any, is_unrolled: bool = False, **options: Any) -> None:
        super().__init__(*arguments, **options)
        require_options(self, activation=keras.activations.linear)  # type: ignore[arg-type]
        self.is_unrolled = is_unrolled

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments, for saving."""
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

    # Keras's layers save the kernel and the bias alone.
    def save_own_variables(self, store: Any) -> None:
        """Writes the layer's variables."""
        super().save_own_variables(store)  # type: ignore[misc]
        store["singular_vector"] = self.singular_vector

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote."""
        super().load_own_variables(store)  # type: ignore[misc]
        self.singular_vector.assign(store["singular_vector"])

    def normalized_kernel(self, training: bool) -> Any:
        """The kernel by its spectral norm, in the layer's compute dtype."""
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
class SpectralConv2D(_SpectralKernel, keras.layers.Conv2D):
    """A convolution whose kernel, seen as a matrix [height * width * inputs, outputs], has the spectral norm 1."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        outputs = self.convolution_op(inputs, self.normalized_kernel(training))
        return outputs + self.bias if self.use_bias else outputs


@register
class SpectralDense(_SpectralKernel, keras.layers.Dense):
    """A linear layer whose kernel has the spectral norm 1."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        outputs = keras.ops.matmul(inputs, self.normalized_kernel(training))
        return outputs + self.bias if self.use_bias else outputs


def _unit(vector: Any) -> Any:
    return vector / (keras.ops.sqrt(keras.ops.sum(keras.ops.square(vector))) + EPSILON)
