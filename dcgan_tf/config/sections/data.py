"""Which images there are, and how they look."""

import dataclasses

from dcgan_tf.config.sections.option import option

POINT_DATA_SETS = ("ring", "grid")


@dataclasses.dataclass(frozen=True)
class Data:
    """Which images there are, and how they look."""

    dataset: str = option(
        "mnist",
        "Image data set: folder, for your own pictures in `data_dir`; or a name in TensorFlow Datasets, such as the "
        "bundled mnist; or stacked_mnist, three random digits as RGB; or ring or grid, points of a mixture of "
        "Gaussians in the plane.",
    )
    split: str = option(
        "train",
        "Part of the data set to train on, in TFDS notation, such as train or train[:5000]; of a folder, the "
        "sub-folder of that name, where all of its folders have names of splits.",
    )
    image_size: str = option(
        "auto", "Pixels of the square image, or HEIGHTxWIDTH. auto: the data's own size where it can be built, else 64."
    )
    channels: str = option(
        "auto",
        "1: gray. 3: RGB. auto: as the data has it. Images of the other kind are converted.",
        choices=("auto", "1", "3"),
    )
    crop: str = option(
        "center",
        "center: the middle, in the image's aspect ratio. random: from the middle and an eighth around it, another "
        "part in every batch. none: the whole picture, squeezed.",
        choices=("center", "random", "none"),
    )
    crop_size: int = option(
        0,
        "Side in pixels of a centred square cut from each picture first, such as 108 for aligned faces; 0: none.",
        minimum=0,
    )
    flip: bool = option(False, "Mirror half of the images of every batch, left to right.")
    background: str = option("white", "Colour behind transparent pixels: a name such as black, or #rrggbb.")
    max_pixels: int = option(100_000_000, "A picture with more pixels counts as bad, and is not decoded.", minimum=1)
    max_side: int = option(65_535, "The same for a picture with more pixels than this on one side.", minimum=1)
    max_bad_share: float = option(
        0.1, "Stop where more than this share of the pictures cannot be used.", minimum=0, maximum=1, may_change=True
    )
    data_dir: str = option(
        "",
        "With `dataset=folder`, the folder of pictures. Else where TensorFlow Datasets keeps prepared data sets; a "
        "copy found there is used first. "
        "Default: $TFDS_DATA_DIR or ~/tensorflow_datasets.",
        may_change=True,
        path=True,
    )
    manual_dir: str = option(
        "", "Folder with the data set's original files, used in place of a download.", may_change=True, path=True
    )
    cache_dir: str = option(
        "",
        "Where the decoded and resized images are kept. Default: $XDG_CACHE_HOME/dcgan_tf or ~/.cache/dcgan_tf.",
        may_change=True,
        path=True,
    )

    # Settled from the data: not flags
    class_names: tuple[str, ...] = option((), "Names of the classes, in the order of their labels.", flag=False)
    data_digest: str = option("", "Digest of the prepared images and labels.", flag=False)
    data_rules: int = option(
        0, "Rules by which a folder's pictures are chosen and labeled; 0: not settled.", may_change=True, flag=False
    )
    replicas: int = option(0, "Devices that train, settled at the start.", may_change=True, flag=False)
