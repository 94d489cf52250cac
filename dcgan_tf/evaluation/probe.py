"""Linear probe of the discriminator's features: an L2-SVM on all convolutional layers, as in the DCGAN paper."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import minimize

from dcgan_tf import progress
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.features import IMAGES_PER_CALL
from dcgan_tf.metrics.arrays import Estimate, confidence_interval, slices, standard_error
from dcgan_tf.metrics.neighbors import nearest
from dcgan_tf.models.pixels import to_float

GRID = 4
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
VALIDATION_SHARE = 0.2
MAX_VALIDATION_IMAGES = 5000
MAX_ITERATIONS = 200
# Minimum standard deviation of a feature, relative to the mean over the features.
MIN_DEVIATION = 0.1

Read = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class LabeledImages:
    """Images and labels of a split. ``read`` maps rows int64 [N] to images uint8 [N, height, width, channels]."""

    read: Read
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """The result of `probe`.

    Attributes:
        features: Name of the features, such as ``discriminator``.
        labels_per_class: Number of labels per class; 0 for all labels.
        accuracy: Accuracy on the test images, averaged over the draws.
        interval: Half the width of the 95% confidence interval of that mean; None for a single draw.
        penalty: C of the SVM, chosen on validation images.
        draws: Number of random label subsets.
        n_train, n_test: Numbers of images.
        length: Length of a feature vector.
    """

    features: str
    labels_per_class: int
    accuracy: float
    interval: float | None
    penalty: float
    draws: int
    n_train: int
    n_test: int
    length: int


def pooled_features(discriminator: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function from images to the maps of all convolutional layers, each max-pooled to 4x4, flattened and joined.

    Raises:
        UserError: The discriminator is fully connected, so it has no convolutional layers.
    """
    maps = [layer.output for layer in discriminator.layers if isinstance(layer, keras.layers.LeakyReLU)]
    if any(len(tensor.shape) != 4 for tensor in maps):
        raise UserError("`probe=True`: the run's discriminator has no convolutional layers (`architecture=mlp`)")
    network = keras.Model(discriminator.inputs[0], maps)

    @tf.function(reduce_retracing=True)
    def function(images: tf.Tensor) -> tf.Tensor:
        outputs = network(to_float(images), training=False)
        pooled = [max_pool_to_grid(tf.cast(tensor, tf.float32)) for tensor in outputs]
        return tf.concat([tf.reshape(tensor, [tf.shape(images)[0], -1]) for tensor in pooled], axis=1)

    return lambda images: function(tf.constant(images)).numpy()


def max_pool_to_grid(maps: tf.Tensor) -> tf.Tensor:
    """Takes the maximum in each cell of a 4x4 grid: float [N, height, width, channels] -> [N, 4, 4, channels].

    Maps that are no larger than the grid are unchanged.
    """
    height, width = maps.shape[1:3]
    if height <= GRID and width <= GRID:
        return maps

    def cells(side: int) -> list[slice]:
        count = min(side, GRID)
        # If the side is not a multiple of the count, some cells are a pixel larger. Every pixel is in exactly one cell.
        return [slice(i * side // count, (i + 1) * side // count) for i in range(count)]

    rows = [
        tf.stack([tf.reduce_max(maps[:, ys, xs], axis=[1, 2]) for xs in cells(width)], axis=1) for ys in cells(height)
    ]
    return tf.stack(rows, axis=1)


def raw_pixels(images: np.ndarray) -> np.ndarray:
    """The baseline features: pixels in 0..1."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


class LinearSVM:
    """A one-vs-rest linear SVM with squared hinge loss and an L2 penalty (Fan et al. 2008; scikit-learn's LinearSVC).

    LinearSVC copies its data into a sparse format with 16 bytes per number, which takes 3 GB for 50,000 images with
    3,584 features. This class minimizes the same function with float32 matrix products. They are TensorFlow's, because
    the threads of NumPy's wait for each other by spinning: next to another busy program, a fit took 60 times as long.

    Args:
        penalty: C, the weight of the losses relative to the norm of the weights.
    """

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty

    def fit(self, features: np.ndarray, labels: np.ndarray, classes: int) -> "LinearSVM":
        """Fits the SVM to features float32 [N, F] and labels int [N]; returns itself."""
        signs = tf.constant(np.where(np.arange(classes) == labels[:, None], np.float32(1), np.float32(-1)))
        inputs, penalty, count = tf.constant(features), tf.constant(self.penalty, tf.float32), features.shape[1]

        def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = tf.constant(flat.reshape(count + 1, classes), tf.float32)
            loss, gradient = _loss_and_gradient(weights, inputs, signs, penalty)
            return float(loss), gradient.numpy().ravel().astype(np.float64)

        start = np.zeros((count + 1) * classes)
        options = {"maxiter": MAX_ITERATIONS, "ftol": 1e-7}
        found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
        self.weights = found.x.reshape(count + 1, classes).astype(np.float32)
        return self

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """The share of correct predictions."""
        return float(np.mean(np.argmax(features @ self.weights[:-1] + self.weights[-1], axis=1) == labels))


@tf.function(reduce_retracing=True)
def _loss_and_gradient(
    weights: tf.Tensor, features: tf.Tensor, signs: tf.Tensor, penalty: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Loss (float64) and gradient for weights [F + 1, classes], whose last row holds the intercepts."""
    # As in liblinear, the intercept is the weight of a constant feature and is penalized like the others.
    margins = tf.nn.relu(1 - signs * (features @ weights[:-1] + weights[-1]))
    slope = (-2 * penalty) * signs * margins
    gradient = weights + tf.concat([tf.matmul(features, slope, transpose_a=True), [tf.reduce_sum(slope, 0)]], axis=0)
    squares = [tf.reduce_sum(tf.square(tf.cast(values, tf.float64))) for values in (weights, margins)]
    return 0.5 * squares[0] + tf.cast(penalty, tf.float64) * squares[1], gradient


def probe(
    name: str,
    function: Callable[[np.ndarray], np.ndarray],
    train: LabeledImages,
    test: LabeledImages,
    classes: int,
    *,
    labels_per_class: int = 0,
    draws: int = 1,
    seed: int = 0,
) -> ProbeResult:
    """Fits the SVM to the features of labeled images and tests it on others.

    Each feature is divided by its standard deviation over the labeled images. If that is less than a tenth of the mean
    over all features, the feature is divided by this tenth instead. Otherwise, a feature that is almost constant on
    the labeled images, but varies on others, would outweigh the rest. C, the SVM's penalty, is chosen on a fifth of the
    labeled images of the first draw. The SVM is then fitted to all of them.

    Args:
        name: Name of the features.
        function: Maps images to features.
        train, test: The images to fit and to test on.
        classes: Number of classes.
        labels_per_class: Number of labels per class given to the SVM; 0 for all labels.
        draws: Number of random label subsets.
        seed: Seed of the draws.

    Raises:
        UserError: A class has fewer images than the number of labels requested.
    """
    random = np.random.default_rng(seed)
    if labels_per_class:
        picks = [
            random.permutation(draw_labels("`labels_per_class`", train.labels, labels_per_class, classes, random))
            for _ in range(draws)
        ]
    else:
        picks = [random.permutation(len(train.labels))]
    test_features = _features(function, test.read, np.arange(len(test.labels)), f"{name} features of the test images")
    accuracies, penalty = [], 0.0
    for number, rows in enumerate(picks):
        features = _features(function, train.read, rows, f"{name} features, draw {number + 1} of {len(picks)}")
        deviation = features.std(0)
        deviation = np.maximum(deviation, MIN_DEVIATION * deviation.mean() + 1e-6)
        features /= deviation
        labels = train.labels[rows]
        if not penalty:
            penalty = _choose_penalty(features, labels, classes)
        machine = LinearSVM(penalty).fit(features, labels, classes)
        accuracies.append(machine.accuracy(test_features / deviation, test.labels))
    interval = confidence_interval(np.array(accuracies)) if len(picks) > 1 else None
    return ProbeResult(
        name,
        labels_per_class,
        float(np.mean(accuracies)),
        interval,
        penalty,
        len(picks),
        len(picks[0]),
        len(test.labels),
        test_features.shape[1],
    )


def nearest_neighbor_accuracy(train: np.ndarray, train_labels: np.ndarray, test: LabeledImages) -> Estimate:
    """The test accuracy of a 1-nearest-neighbor classifier on pixels, fitted to images uint8 [N, ...]."""
    images = test.read(np.arange(len(test.labels)))
    _, rows = nearest(raw_pixels(images), raw_pixels(train))
    right = train_labels[rows[:, 0]] == test.labels
    return Estimate(float(right.mean()), standard_error(right))


def draw_labels(flag: str, labels: np.ndarray, per_class: int, classes: int, random: np.random.Generator) -> np.ndarray:
    """Draws ``per_class`` rows of each class at random; raises UserError as `check_labels` does."""
    check_labels(flag, labels, per_class, classes)
    return np.concatenate(
        [random.choice(np.flatnonzero(labels == label), per_class, replace=False) for label in range(classes)]
    )


def check_labels(flag: str, labels: np.ndarray, per_class: int, classes: int) -> None:
    """Raises UserError if a class has fewer than ``per_class`` rows; the message begins with ``flag``."""
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    if counts.min() < per_class:
        raise UserError(
            f"{flag}: expected at least {per_class} training images of each class. Received: {counts.min()} of class "
            f"{counts.argmin()}"
        )


def _choose_penalty(features: np.ndarray, labels: np.ndarray, classes: int) -> float:
    # The rows are shuffled, so the first of them are a random sample.
    validation = min(max(1, int(len(labels) * VALIDATION_SHARE)), MAX_VALIDATION_IMAGES)
    scores = {}
    for penalty in progress.bar(PENALTIES, desc="choosing C"):
        machine = LinearSVM(penalty).fit(features[validation:], labels[validation:], classes)
        scores[penalty] = machine.accuracy(features[:validation], labels[:validation])
    return max(scores, key=lambda penalty: (scores[penalty], -penalty))


def _features(function: Callable, read: Read, rows: np.ndarray, description: str) -> np.ndarray:
    features: np.ndarray | None = None
    with progress.bar(total=len(rows), desc=description, unit=" images") as shown:
        for part in slices(len(rows), IMAGES_PER_CALL):
            values = function(read(rows[part]))
            if features is None:  # Filled in place, because joining parts at the end would need twice the memory.
                features = np.empty((len(rows), values.shape[1]), np.float32)
            features[part] = values
            shown.update(len(values))
    assert features is not None
    return features
