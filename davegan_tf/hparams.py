"""Finished runs in TensorBoard's tab HParams: what was varied, beside what came of it.

Only the values of each run are written, in its own log folder, and no list of all hyperparameters and metrics
(``hparams_config``): TensorBoard takes the first such list it finds for all that it shows, so that of two sweeps
in one folder it would show one. Without a list it finds the names itself.
"""

import os

import tensorflow as tf
from tensorboard.plugins.hparams import api

SUFFIX = ".hparams"


def write_hparams(folder, values, metrics, step):
    """Write a run's hyperparameters and metrics; those of an earlier call are replaced.

    Parameters
    ----------
    folder : Path
        Of the run's TensorBoard log, named as the run is.
    values : dict of str to bool, int, float, str or None
        Hyperparameters.
    metrics : dict of str to float
        They get the tags ``evaluation/NAME``.
    step : int
        At which the metrics were measured.
    """
    for events in folder.glob(f"events.out.tfevents.*{SUFFIX}"):
        events.unlink()
    with tf.summary.create_file_writer(os.fspath(folder), filename_suffix=SUFFIX).as_default():
        # Runs of one trial are averaged, and trials are told apart by their values alone, if not by the run's name.
        known = {key: "null" if value is None else value for key, value in values.items()}
        api.hparams(known, trial_id=folder.name)
        for name, value in metrics.items():
            tf.summary.scalar(f"evaluation/{name}", value, step=step)
