"""Ways through latent space: from one latent to the next, on a sphere or straight, open or closed."""

import numpy as np

from dcgan_tf.generation.sampling import slerp


def make_path(stations: np.ndarray, steps: int, *, spherical: bool = True, closed: bool = False) -> np.ndarray:
    """Latents from each station to the next in equal steps.

    Args:
        stations: float32 [N, latent_dim], at least two.
        steps: from one station to the next, at least one.
        spherical: on a great circle, which keeps the length of normal latents; else on a straight line.
        closed: go back from the last station to the first, so that the path repeats without a jump: its last latent
            is one step before its first.

    Returns:
        float32 [(N - 1) * steps + 1, latent_dim], through every station; [N * steps, latent_dim] if closed.
    """
    following = np.roll(stations, -1, axis=0)
    legs = len(stations) if closed else len(stations) - 1
    first, last = (np.repeat(ends[:legs], steps, axis=0) for ends in (stations, following))
    t = np.tile(np.arange(steps, dtype=np.float32) / steps, legs)
    between = slerp(first, last, t).numpy() if spherical else first + t[:, None] * (last - first)
    # Exactly the stations at their places, free of the rounding of sines.
    between[::steps] = stations[:legs]
    return between if closed else np.concatenate([between, stations[-1:]])


def path_rows(images: np.ndarray, steps: int) -> np.ndarray:
    """The images of a path, a row from each station to the next with both of them in it.

    Args:
        images: [(N - 1) * steps + 1, ...], of an open path; of a closed one, with its first image again at the end.
        steps: from one station to the next.

    Returns:
        [(N - 1) * (steps + 1), ...].
    """
    legs = (len(images) - 1) // steps
    return images[(np.arange(legs)[:, None] * steps + np.arange(steps + 1)).ravel()]
