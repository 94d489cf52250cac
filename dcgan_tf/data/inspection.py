"""A report on a data set before training: sizes, color modes, classes, bad files and duplicates."""

import collections
import dataclasses
import functools
import hashlib
import time
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from dcgan_tf import progress
from dcgan_tf.config.settings import Config
from dcgan_tf.data.colors import convert_colors
from dcgan_tf.data.pictures import BadPictureError, NamedPicture, Recipe, make_row, memory_for
from dcgan_tf.data.processes import core_count
from dcgan_tf.data.shards import Shard
from dcgan_tf.data.sources import Source
from dcgan_tf.errors import printable

PICTURES_PER_SHARD = 256
SHEET_PICTURES = 64
# A sheet of classes has one row per class, for at most SHEET_CLASSES of them. The pictures of a row are chosen from
# about SHEET_CHOICE times as many.
SHEET_CLASSES, SHEET_COLUMNS, SHEET_CHOICE = 40, 8, 3
LINES_A_TABLE = 10
HASH_SIDE = 16
NEAR_BITS = 12
MAX_BUCKET = 200


@dataclasses.dataclass(frozen=True)
class Facts:
    """The facts about one picture.

    Attributes:
        name, label: As the source gives them.
        reason: Why the picture cannot be used; empty if it can. The facts below are known only for usable pictures.
        size: ``HEIGHTxWIDTH`` in pixels, upright.
        mode: Pillow's name for the pixel format.
        kind: File format; empty if the picture does not come from a file.
        pixels: Digest of the RGB pixels; the same for exact duplicates.
        look: Difference hash of 16x16 bits, few of which differ between pictures that look alike. Empty for a picture
            of a single tone.
        row: The picture as training would see it; kept for a few pictures only.
    """

    name: str
    label: int
    reason: str = ""
    size: str = ""
    mode: str = ""
    kind: str = ""
    pixels: bytes = b""
    look: bytes = b""
    row: np.ndarray | None = None


def examine(source: Source, recipe: Recipe) -> tuple[list[Facts], float]:
    """Decodes every picture of a source without writing anything.

    Returns:
        The facts in the order of the source, and the time taken in seconds.
    """
    count = source.count()
    shards = [Shard(first, min(first + PICTURES_PER_SHARD, count)) for first in range(0, count, PICTURES_PER_SHARD)]
    chosen = max(SHEET_PICTURES, SHEET_CHOICE * SHEET_COLUMNS * min(len(source.class_names), SHEET_CLASSES))
    sheet = frozenset(round(i) for i in np.linspace(0, count - 1, min(count, chosen)))
    work = functools.partial(_examine_shard, recipe=recipe, sheet=sheet)
    parts = {}
    start = time.monotonic()
    with progress.bar(total=count, desc="examining images", unit=" images") as shown:
        for first, facts in source.map_shards(work, shards):
            parts[first] = facts
            shown.update(len(facts))
    return [facts for first in sorted(parts) for facts in parts[first]], time.monotonic() - start


def sample_classes(source: Source, facts: Sequence[Facts]) -> list[tuple[str, np.ndarray]]:
    """A few pictures of each class, the most frequent class first, as training would see them.

    Returns:
        Name and number of pictures of each class, and uint8 [N, height, width, channels]. Empty without classes.
    """
    counts = collections.Counter(fact.label for fact in facts if not fact.reason and fact.label >= 0)
    classes = []
    for label, count in counts.most_common(SHEET_CLASSES):
        rows = [fact.row for fact in facts if fact.label == label and fact.row is not None]
        if rows:
            spread = [rows[i] for i in sorted({round(i) for i in np.linspace(0, len(rows) - 1, SHEET_COLUMNS)})]
            classes.append((f"{printable(source.class_names[label])}: {count:,}", np.stack(spread)))
    return classes


def describe(source: Source, config: Config, facts: Sequence[Facts], seconds: float) -> str:
    """The text of the report."""
    good = [fact for fact in facts if not fact.reason]
    bad = [fact for fact in facts if fact.reason]
    lines = [f"{source.full_name}: {len(facts):,} images, {len(bad):,} of which cannot be used", *source.notes]
    lines += _table("size (height x width)", (fact.size for fact in good))
    lines += _table("mode", (fact.mode for fact in good))
    lines += _table("file format", (fact.kind for fact in good if fact.kind))
    lines += _table("class", (printable(source.class_names[fact.label]) for fact in good if fact.label >= 0))
    lines += _listing("cannot be used", [f"{fact.name}: {fact.reason}" for fact in bad])
    exact = _exact_duplicates(good)
    lines += _listing("exact duplicates", [" = ".join(group) for group in exact])
    known = {name for group in exact for name in group[1:]}
    alike = _near_duplicates([fact for fact in good if fact.name not in known])
    lines += _listing("look alike", [" ~ ".join(group) for group in alike])
    recipe = Recipe.of(config)
    megabytes = len(good) * recipe.height * recipe.width * recipe.channels / 1e6
    channels = f"{recipe.channels} channel{'s' * (recipe.channels > 1)}"
    cores = core_count()
    lines.append(
        f"\nAfter preparation: {recipe.height} x {recipe.width} pixels, {channels}, {megabytes:.1f} MB of cache "
        f"(about {seconds:.0f} s on {cores} core{'s' * (cores > 1)})"
    )
    return "\n".join(lines)


def _examine_shard(
    shard: Shard, pictures: Iterable[NamedPicture], recipe: Recipe, sheet: frozenset[int]
) -> tuple[int, list[Facts]]:
    facts = []
    for number, named in enumerate(pictures, start=shard.first):
        try:
            with memory_for(named.name):
                facts.append(_examine_picture(named, recipe, number in sheet))
        except BadPictureError as error:
            facts.append(Facts(named.name, named.label, reason=str(error)))
    return shard.first, facts


def _examine_picture(named: NamedPicture, recipe: Recipe, in_sheet: bool) -> Facts:
    picture = named.load()
    rgb = convert_colors(picture, 3, recipe.background)
    return Facts(
        named.name,
        named.label,
        size=f"{picture.height}x{picture.width}",
        mode=picture.mode,
        kind=picture.format or "",
        pixels=hashlib.sha256(f"{rgb.size}".encode() + rgb.tobytes()).digest(),
        look=_difference_hash(make_row(rgb, dataclasses.replace(recipe, channels=1, crop="none"))),
        row=make_row(rgb, recipe) if in_sheet else None,
    )


def _difference_hash(gray: np.ndarray) -> bytes:
    """Whether each pixel of a tiny version is brighter than its left neighbor; empty for a picture of one tone."""
    small = Image.fromarray(gray[:, :, 0]).resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.LANCZOS)
    brighter = np.diff(np.asarray(small).astype(int), axis=1) > 0
    return np.packbits(brighter).tobytes() if brighter.any() else b""


def _exact_duplicates(facts: Sequence[Facts]) -> list[list[str]]:
    groups = collections.defaultdict(list)
    for fact in facts:
        groups[fact.pixels].append(fact.name)
    return [names for names in groups.values() if len(names) > 1]


def _near_duplicates(facts: Sequence[Facts]) -> list[list[str]]:
    """Groups of similar pictures: the hashes of two neighbors in a chain differ in at most NEAR_BITS bits.

    Two hashes that differ in fewer bits than there are 16-bit bands agree in at least one band, so only pictures that
    share a band are compared. Bands without contrast (all zero) and bands that very many pictures share are skipped.
    """
    facts = [fact for fact in facts if fact.look]
    if not facts:
        return []
    hashes = np.frombuffer(b"".join(fact.look for fact in facts), np.uint16).reshape(len(facts), -1)
    group_of = list(range(len(facts)))

    def root(index: int) -> int:
        while group_of[index] != index:
            group_of[index] = index = group_of[group_of[index]]
        return index

    for band in hashes.T:
        order = np.argsort(band, kind="stable")
        starts = np.flatnonzero(np.diff(band[order].astype(int), prepend=-1))
        for bucket in np.split(order, starts[1:]):
            if not 1 < len(bucket) <= MAX_BUCKET or band[bucket[0]] == 0:
                continue
            distances = np.bitwise_count(hashes[bucket][:, None] ^ hashes[bucket][None]).sum(axis=2)
            for one, other in np.argwhere(np.triu(distances <= NEAR_BITS, k=1)):
                group_of[root(int(bucket[one]))] = root(int(bucket[other]))
    groups = collections.defaultdict(list)
    for index, fact in enumerate(facts):
        groups[root(index)].append(fact.name)
    return [names for names in groups.values() if len(names) > 1]


def _table(title: str, values: Iterable[str]) -> list[str]:
    counts = collections.Counter(values)
    if not counts:
        return []
    lines = [f"\n{title}"]
    lines += [f"  {count:>9,}  {value}" for value, count in counts.most_common(LINES_A_TABLE)]
    hidden = counts.most_common()[LINES_A_TABLE:]
    if hidden:
        lines.append(f"  {sum(count for _, count in hidden):>9,}  ({len(hidden)} other values)")
    return lines


def _listing(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return [f"\n{title}: none"]
    lines = [f"\n{title}: {len(entries)}", *(f"  {entry}" for entry in entries[:LINES_A_TABLE])]
    return lines + ([f"  and {len(entries) - LINES_A_TABLE} more"] if len(entries) > LINES_A_TABLE else [])
