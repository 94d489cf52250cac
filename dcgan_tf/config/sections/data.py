"""Settings of the data: which images, and how they are prepared."""

import dataclasses

from dcgan_tf.config.sections.option import option

POINT_DATA_SETS = ("ring", "grid")
OWN_PICTURES = ("folder", "parquet")  # Data sets that consist of files in `data_dir`


@dataclasses.dataclass(frozen=True)
class Data:
    """Settings of the data: which images, and how they are prepared."""

    dataset: str = option(
        "mnist",
        "Data set to train on: folder, parquet, or a name in TensorFlow Datasets such as mnist. folder: your own "
        "pictures in `data_dir`. parquet: parquet files in `data_dir` with the bytes of pictures, as on Hugging Face. "
        "mnist is bundled. stacked_mnist: three random digits as the channels of an RGB image. ring, grid: points of a "
        "mixture of Gaussians in the plane.",
    )
    split: str = option(
        "train",
        "Part of the data set to train on, in TFDS notation, such as train or train[:5000]. For a folder: the "
        "subfolder of that name, if all subfolders are named after splits. For parquet: the files whose names "
        "begin with it.",
    )
    image_size: str = option(
        "auto",
        "Image size in pixels: one number for a square, or HEIGHTxWIDTH. auto: the data's own size if the networks can "
        "be built for it, otherwise 64.",
    )
    channels: str = option(
        "auto",
        "Color channels of the images. 1: gray. 3: RGB. 4: RGBA, with transparency. auto: gray or RGB, as in the data. "
        "Images of another kind are converted.",
        choices=("auto", "1", "3", "4"),
    )
    crop: str = option(
        "center",
        "How pictures are brought to the aspect ratio of the image. center: the center crop. random: a new random crop "
        "per batch, from a region an eighth larger. none: resize the whole picture without keeping its aspect ratio.",
        choices=("center", "random", "none"),
    )
    crop_size: int = option(
        0,
        "Center-crop each picture to a square of this many pixels first, such as 108 for aligned faces. 0: no crop.",
        minimum=0,
    )
    flip: bool = option(False, "Mirror half of the images in every batch, left to right.")
    background: str = option(
        "white",
        "Color behind transparent pixels: a name such as black, or #rrggbb. With `channels=4`, the color of pixels "
        "that are fully transparent.",
    )
    max_pixels: int = option(
        100_000_000, "Pictures with more pixels than this count as bad and are not decoded.", minimum=1
    )
    max_side: int = option(
        65_535, "Pictures with more pixels than this on one side count as bad and are not decoded.", minimum=1
    )
    max_bad_share: float = option(
        0.1, "Stop if more than this share of the pictures cannot be used.", minimum=0, maximum=1, may_change=True
    )
    data_dir: str = option(
        "",
        "Folder or zip archive of your pictures with `dataset=folder`; file or folder of files with "
        "`dataset=parquet`; otherwise, folder of TensorFlow Datasets. A data set that is already prepared there is not "
        "downloaded. Default: $TFDS_DATA_DIR or ~/tensorflow_datasets.",
        may_change=True,
        path=True,
    )
    manual_dir: str = option(
        "", "Folder with the data set's original files, used instead of a download.", may_change=True, path=True
    )
    cache_dir: str = option(
        "",
        "Folder for the decoded and resized images. Default: $XDG_CACHE_HOME/dcgan_tf or ~/.cache/dcgan_tf.",
        may_change=True,
        path=True,
    )

    # Determined from the data; there are no flags for these.
    class_names: tuple[str, ...] = option((), "Names of the classes, in the order of their labels.", flag=False)
    data_digest: str = option("", "Digest of the prepared images and labels.", flag=False)
    data_rules: int = option(
        0,
        "Version of the rules that choose and label a folder's pictures. 0: not determined yet.",
        may_change=True,
        flag=False,
    )
    replicas: int = option(0, "Number of devices that train, determined at the start.", may_change=True, flag=False)
