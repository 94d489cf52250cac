"""Dropout with masks that do not depend on the number of replicas."""

from typing import Any

import keras

from dcgan_tf.distributed import replicas
from dcgan_tf.models.registration import register, require_options


@register
class Dropout(keras.layers.Dropout):
    """Keras's dropout with masks that do not depend on the number of replicas.

    Args:
        rate: Share of the activations that are dropped.
        batch_rows: Rows of a global batch, needed on several replicas. An input with twice as many rows over all
            replicas holds two batches, one after the other.
    """

    def __init__(self, rate: float, batch_rows: int = 0, **options: Any) -> None:
        super().__init__(rate, **options)
        require_options(self, noise_shape=None)
        self.batch_rows = batch_rows

    def get_config(self) -> dict[str, Any]:
        """The arguments of the layer, for saving."""
        return super().get_config() | {"batch_rows": self.batch_rows}

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or replicas.count() == 1:
            return super().call(inputs, training)
        rows = inputs.shape[0] * replicas.count()
        ones = keras.ops.ones((rows, *inputs.shape[1:]), inputs.dtype)
        mask = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        return inputs * replicas.share(mask, parts=rows // self.batch_rows)
