"""Paths through latent space, spherical or straight, open or closed."""

import numpy as np

from dcgan_tf.generation.sampling import slerp


def make_path(stations: np.ndarray, steps: int, *, spherical: bool = True, closed: bool = False) -> np.ndarray:
    """Latents on a path from each station to the next, in equal steps.

    Args:
        stations: float32 [N, latent_dim], at least two latents to pass through.
        steps: Number of steps from one station to the next, at least one.
        spherical: Whether to follow great circles, which keep the length of normal latents; otherwise, straight lines.
        closed: Whether to return from the last station to the first. The last latent is then one step before the
            first, so the path can be repeated without a jump.

    Returns:
        float32 [(N - 1) * steps + 1, latent_dim], through every station; [N * steps, latent_dim] if closed.
    """
    following = np.roll(stations, -1, axis=0)
    legs = len(stations) if closed else len(stations) - 1
    first, last = (np.repeat(ends[:legs], steps, axis=0) for ends in (stations, following))
    t = np.tile(np.arange(steps, dtype=np.float32) / steps, legs)
    between = slerp(first, last, t).numpy() if spherical else first + t[:, None] * (last - first)
    # Insert the stations themselves, which interpolation would only reproduce up to rounding.
    between[::steps] = stations[:legs]
    return between if closed else np.concatenate([between, stations[-1:]])


def path_rows(images: np.ndarray, steps: int) -> np.ndarray:
    """Arranges the images of a path in rows. Each row leads from one station to the next and includes both.

    Args:
        images: [(N - 1) * steps + 1, ...], the images of an open path, or of a closed path with its first image
            repeated at the end.
        steps: Number of steps from one station to the next.

    Returns:
        [(N - 1) * (steps + 1), ...].
    """
    legs = (len(images) - 1) // steps
    return images[(np.arange(legs)[:, None] * steps + np.arange(steps + 1)).ravel()]
