"""Records of diversity on known cases; the measures behind them are tested in test_similarity.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from davegan_tf import likeness


def record(generated, crops, places):
    real = SimpleNamespace(crops=crops, places=np.array(places), side=crops.shape[-1])
    return likeness.diversity(generated, crops, real, np.random.default_rng(0))


def apart(count):
    """Places of crops none of which overlaps another."""
    return [(index, 0, 0) for index in range(count)]


def test_diversity_of_real_crops_is_1_and_of_constant_samples_0():
    crops = np.random.default_rng(0).integers(0, 2, (40, 8, 8))
    for generated, value in ((crops, 1), (np.ones_like(crops), 0)):
        found = record(generated, crops, apart(40))
        assert found["value"] == pytest.approx(value)
        assert found["passed"] is (value == 1)


def test_diversity_counts_disjoint_pairs_of_crops_only():
    crops = np.stack([np.full((2, 2), label) for label in (0, 0, 1)])
    samples = np.array([[[0, 0], [0, 0]], [[0, 0], [1, 1]], [[1, 1], [1, 1]]])
    mean = (0.5 + 0.5 + 1) / 3
    assert record(samples, crops, apart(3))["value"] == pytest.approx(mean / (2 / 3))
    overlapping = [(0, 0, 0), (0, 1, 1), (0, 9, 9)]
    assert record(samples, crops, overlapping)["value"] == pytest.approx(mean)


def test_diversity_needs_no_disjoint_pair_in_every_set_of_few_crops():
    crops = np.random.default_rng(0).integers(0, 2, (6, 8, 8))
    # Only the first two of six have no pixel in common: most pairs of crops drawn for the floor overlap.
    places = [(0, 0, 0), (0, 10, 10), *[(0, 5, 5)] * 4]
    for samples in (crops[:2], crops):
        found = record(samples, crops, places)
        assert found["value"] is not None and found["passed"] is not None
        assert found["floor"]["mean"] == pytest.approx(1, abs=0.3)


def test_diversity_is_none_where_it_is_undefined():
    crops = np.random.default_rng(0).integers(0, 2, (3, 4, 4))
    alike = np.zeros_like(crops)
    assert record(crops[:1], crops, apart(3))["value"] is None
    assert record(crops, crops, [(0, 0, 0)] * 3)["value"] is None
    assert record(crops, alike, apart(3))["value"] is None
    assert record(alike, alike, apart(3))["value"] == 1
