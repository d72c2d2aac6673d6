"""What TensorBoard's log measures; what is written is tested in test_training.py."""

from types import SimpleNamespace

import numpy as np

from davegan_tf import callbacks
from davegan_tf.config import load_config


def test_the_measured_tiles_are_of_the_whole_micrograph(tmp_path):
    images = np.zeros((1, 20 * 32, 20 * 32), np.uint8)
    images[:, 10 * 32 :] = 1
    micrograph = SimpleNamespace(images=images, n_phases=2)
    model = SimpleNamespace(sample_latent=lambda count, seed: SimpleNamespace(numpy=lambda: None))
    config = load_config("paper/ellipses.yaml")
    log = callbacks.TensorBoardLog(tmp_path, config, micrograph, model, step=1)
    log.close()
    assert len(log.tiles) == callbacks.MEASURED
    assert log.tiles.mean() == 0.5
