"""Names and descriptions of a run's scalars in TensorBoard."""

# Prefix of a name in metrics.jsonl -> prefix of its tag. TensorBoard sorts groups by name and opens the first two, so
# losses and evaluations come first, and what is rarely needed stays closed.
_GROUPS = {
    "augment/": "monitor/augment_",
    "diagnosis/": "monitor/",
    "gradient_norm/": "norm/gradient_",
    "weight_norm/": "norm/weight_",
}
# Name in metrics.jsonl -> its description. A name that ends in "/" or "[" stands for all that begin with it.
_DESCRIPTIONS = {
    "loss/discriminator": "D's loss: the sum of its losses on real and on generated images",
    "loss/discriminator_real": "D's loss on real images",
    "loss/discriminator_fake": "D's loss on generated images",
    "loss/generator": "G's loss. It rises when D improves, so judge by the samples and by metric/*",
    "loss/penalty": "The penalty, which is added to D's loss",
    "metric/frechet_distance[": "Distance between generated and training images, by the features in brackets. Lower is "
    "better. The checkpoint with the lowest distance is exported",
    "prob/real": "Mean probability of being real that D gives to real images; 0.5 if it guesses",
    "prob/fake": "Mean probability of being real that D gives to generated images; 0.5 if it guesses",
    "gradient_norm/": "Norm of the gradient of all weights of this network",
    "weight_norm/": "Norm of all weights of this network",
    "augment/probability": "Probability of each adaptive augmentation",
    "augment/real_sign": "Mean sign of D's logits on real images, which adaptive augmentation keeps near its target",
    "diagnosis/diversity": "Mean distance between two samples, relative to that between two real images. Near 0 is "
    "collapse",
    "diagnosis/repeats": "Share of samples that have a near copy among the others",
    "diagnosis/group_distance": "How differently samples and real images spread over groups of similar images. 0 is "
    "best",
    "diagnosis/realism": "Share of samples that are as near to a real image as real images are to each other",
    "diagnosis/probability_gap": "prob/real minus prob/fake",
    "diagnosis/discriminator_loss_share": "D's loss as a share of its loss when it guesses. Near 0, D has won",
    "diagnosis/": "1 while the monitor sees this failure, else 0",
    "perf/steps_per_sec": "Train steps per second, excluding compilation",
    "perf/images_per_sec": "Training images per second, excluding compilation",
}


def tag_of(name: str) -> str:
    """The tag of a scalar of metrics.jsonl."""
    for beginning, tag in _GROUPS.items():
        if name.startswith(beginning):
            return tag + name.removeprefix(beginning)
    return name


def describe_scalar(name: str) -> str:
    """What a scalar of metrics.jsonl means."""
    for known, description in _DESCRIPTIONS.items():
        if name == known or (known[-1] in "/[" and name.startswith(known)):
            return description
    return f"{name} in metrics.jsonl"
