"""Labels in, labels out: batches, and images of any size cut into tiles and put together."""

from types import SimpleNamespace

import numpy as np
import pytest

from davegan_tf.inference import BATCH, generate_labels, reconstruct_image, reconstruct_labels

SIDE = 8


class Echo:
    """A model that returns its input; each batch's size is noted."""

    def __init__(self):
        self.arguments = {"image_size": SIDE}
        self.sizes = []

    def reconstruct(self, images):
        assert images.shape[1:3] == (SIDE, SIDE)
        self.sizes.append(len(images))
        return SimpleNamespace(numpy=lambda: images)

    def sample_latent(self, count, seed):
        return np.random.default_rng(seed).standard_normal((count, 4))

    def generate(self, z):
        self.sizes.append(len(z))
        return np.broadcast_to(z[:, :1, None, None] > 0, (len(z), SIDE, SIDE, 1)).astype(float)


@pytest.mark.parametrize("n_phases", [2, 3, 5])
@pytest.mark.parametrize("shape", [(8, 8), (16, 24), (9, 8), (13, 22), (100, 15), (23, 95)])
def test_an_image_of_any_size_comes_back_exactly(shape, n_phases):
    image = np.random.default_rng(0).integers(0, n_phases, shape, dtype=np.uint8)
    whole = reconstruct_image(Echo(), image, n_phases)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole, image)


class Numbered(Echo):
    """A model whose k-th tile is of phase k everywhere."""

    def reconstruct(self, images):
        numbers = np.broadcast_to(np.arange(len(images))[:, None, None], images.shape[:3])
        return SimpleNamespace(numpy=lambda: np.eye(images.shape[-1])[numbers])


def test_tiles_moved_inwards_fill_only_what_the_grid_leaves():
    whole = reconstruct_image(Numbered(), np.zeros((8, 19), np.uint8), n_phases=3)
    np.testing.assert_array_equal(
        whole, np.repeat([[0, 1, 2]], [8, 8, 3], axis=1).repeat(8, axis=0)
    )
    corners = reconstruct_image(Numbered(), np.zeros((11, 10), np.uint8), n_phases=4)
    np.testing.assert_array_equal(corners[:8, :8], 0)
    np.testing.assert_array_equal(corners[:8, 8:], 1)
    np.testing.assert_array_equal(corners[8:, :8], 2)
    np.testing.assert_array_equal(corners[8:, 8:], 3)


@pytest.mark.parametrize("count", [1, BATCH, BATCH + 1, 2 * BATCH + 2])
def test_batches_are_bounded_and_keep_their_order(count):
    model = Echo()
    images = np.random.default_rng(1).integers(0, 3, (count, SIDE, SIDE), dtype=np.uint8)
    np.testing.assert_array_equal(reconstruct_labels(model, images, 3), images)
    assert sum(model.sizes) == count
    assert max(model.sizes) <= BATCH


def test_samples_are_a_function_of_the_seed():
    model = Echo()
    labels = generate_labels(model, BATCH + 3, seed=5)
    assert labels.shape == (BATCH + 3, SIDE, SIDE)
    assert labels.dtype == np.uint8
    assert model.sizes == [BATCH, 3]
    z = np.random.default_rng(5).standard_normal((BATCH + 3, 4))
    np.testing.assert_array_equal(labels[:, 0, 0], z[:, 0] > 0)
