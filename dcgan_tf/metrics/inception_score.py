"""Inception-style score: whether samples are classified with confidence, and cover all classes."""

import numpy as np

from dcgan_tf.metrics.arrays import Estimate, check_features, random_blocks, standard_error

SPLITS = 10
MIN_SAMPLES = 10 * SPLITS


def inception_score(probabilities: np.ndarray) -> Estimate:
    """Computes exp(mean KL(p(class | sample) || p(class))), averaged over ten random splits (Salimans et al. 2016).

    The score is what papers call IS only with the Inception network for ImageNet. It does not use real images.

    Args:
        probabilities: float [samples, classes], rows that sum to 1.

    Returns:
        The score, from 1 to the number of classes.

    Raises:
        UserError: There are fewer than 100 samples, or values are not finite.
    """
    check_features("inception_score", probabilities, minimum=MIN_SAMPLES)
    scores = []
    for split in random_blocks(probabilities.astype(np.float64), SPLITS, key=0):
        marginal = split.mean(0, keepdims=True)
        # 0 log 0 is 0.
        terms = np.where(
            split > 0, split * (np.log(np.maximum(split, 1e-300)) - np.log(np.maximum(marginal, 1e-300))), 0
        )
        scores.append(np.exp(terms.sum(1).mean()))
    return Estimate(float(np.mean(scores)), standard_error(np.array(scores)))
