"""What the commands that train on a few pictures count as a copy."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.benchmarks import few_pictures
from tests.benchmarks.few_pictures import Pictures


@pytest.mark.parametrize(("flip", "is_copy"), [(True, True), (False, False)])
def test_mirrored_copies_are_copies_if_training_mirrors(monkeypatch, flip, is_copy):
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 1), np.uint8)
    data = SimpleNamespace(read=lambda rows: images[rows], images=images)
    pictures = Pictures(None, data, np.arange(60), images[60:], None, None)
    monkeypatch.setattr(few_pictures, "generate", lambda *_: images[:20, :, ::-1])
    gan = SimpleNamespace(ema_generator=None, config=SimpleNamespace(flip=flip))
    assert (pictures.memorization(gan, 50) < 1e-3) == is_copy
    assert pictures.memorization(gan, 50) < 1.2
