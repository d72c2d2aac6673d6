"""What a training leaves behind as it runs: history.csv and TensorBoard's log.

Both are told of every chunk of steps by ``chunk(previous, step, logs)``.
"""

import csv
import io
import os

import numpy as np
import tensorflow as tf

from davegan_tf import descriptors
from davegan_tf.config import dump_config
from davegan_tf.dataset import decode_phases, encode_phases, tiles
from davegan_tf.figures import image_grid
from davegan_tf.files import write_text
from davegan_tf.measures import evaluated_phases

SHOWN = 16
# Eq. 12 needs many samples to be steady; these are cheap enough to be measured as training goes on.
MEASURED = 64


def due(every, previous, step):
    """Whether a multiple of ``every`` lies in (previous, step]; never, if ``every`` is None."""
    return every is not None and previous // every != step // every


class History:
    """history.csv: one row per chunk, with the means of all losses.

    Parameters
    ----------
    path : Path
    step : int
        The step a run goes on from; rows beyond it, from before an interruption, are dropped.
    steps_per_epoch : float
    """

    def __init__(self, path, step, steps_per_epoch):
        self.steps_per_epoch = steps_per_epoch
        rows = []
        if step and path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))
            # A row that a kill cut short has too few columns.
            whole = (row for row in rows[1:] if len(row) == len(rows[0]))
            rows = rows[:1] + [row for row in whole if float(row[0]) <= step]
        self.header = rows[0] if rows else None
        kept = io.StringIO()
        csv.writer(kept).writerows(rows)
        write_text(path, kept.getvalue())
        self.file = path.open("a", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)

    def chunk(self, previous, step, logs):
        if self.header is None:
            self.header = ["step", "epoch", *logs]
            self.writer.writerow(self.header)
        # By name: a run that goes on may be told in another order.
        values = (f"{logs[name]:.6g}" for name in self.header[2:])
        self.writer.writerow([step, f"{step / self.steps_per_epoch:.6g}", *values])
        self.file.flush()

    def close(self):
        self.file.close()


class TensorBoardLog:
    """Losses of Figure 5, images, and E_rec, E_gen, φ as training goes on.

    TensorBoard sorts groups by their names. Those that tell whether a training is healthy come first: ``images``, then
    ``measures``, which all go to 0 or near it.

    Parameters
    ----------
    folder : Path or None
        None: nothing is written.
    config : davegan_tf.config.Config
    micrograph : davegan_tf.micrographs.Micrograph
    model : DAVEGAN
    step : int
        The step a run goes on from.
    """

    def __init__(self, folder, config, micrograph, model, step):
        self.training, self.model, self.n_phases = config.training, model, micrograph.n_phases
        self.writer = None
        if folder is None:
            return
        self.writer = tf.summary.create_file_writer(os.fspath(folder), flush_millis=30_000)
        side = config.data.image_size
        self.tiles = tiles(micrograph.images, side, MEASURED)
        self.tiles_s2 = self._s2(self.tiles)
        self.z = model.sample_latent(MEASURED, seed=config.seed).numpy()
        if step == 0:
            with self.writer.as_default(step=0):
                tf.summary.text("config", f"```yaml\n{dump_config(config)}\n```")
                tf.summary.text("data", micrograph.title)
                self._image("images/training_tiles", self.tiles)

    def chunk(self, previous, step, logs):
        if self.writer is None:
            return
        with self.writer.as_default(step=step):
            for name, value in logs.items():
                group = "probabilities" if name.startswith("probability") else "training_losses"
                tf.summary.scalar(f"{group}/{name}", value)
            images = due(self.training.images_every, previous, step)
            measures = due(self.training.evaluate_every, previous, step)
            if not images and not measures:
                return
            reconstructed = self._labels(
                self.model.reconstruct(encode_phases(self.tiles, self.n_phases))
            )
            generated = self._labels(self.model.generate(self.z))
            if images:
                self._image("images/reconstructed_images", reconstructed)
                self._image("images/generated_images", generated)
            if measures:
                self._measure(reconstructed, generated)

    def close(self):
        if self.writer is not None:
            self.writer.close()

    def _labels(self, probabilities):
        return decode_phases(probabilities.numpy())

    def _s2(self, labels):
        """S2 of every phase that ``evaluate`` looks at: (phases, n, side, side)."""
        phases = np.array(evaluated_phases(self.n_phases))[:, None, None, None]
        return descriptors.two_point_correlation(labels == phases)

    def _image(self, tag, labels):
        tf.summary.image(tag, image_grid(labels[:SHOWN], self.n_phases)[None])

    def _measure(self, reconstructed, generated):
        error = descriptors.s2_error(self.tiles_s2, self._s2(reconstructed))
        tf.summary.scalar("measures/E_rec", error.mean())
        nearest = [
            descriptors.pairwise_s2_error(of_phase, of_tiles).min(axis=1).mean()
            for of_phase, of_tiles in zip(self._s2(generated), self.tiles_s2, strict=True)
        ]
        tf.summary.scalar("measures/E_gen", np.mean(nearest))
        for phase in range(1, self.n_phases):
            fractions = {
                "training_tiles": np.mean(self.tiles == phase),
                "reconstructed_images": np.mean(reconstructed == phase),
                "generated_images": np.mean(generated == phase),
            }
            for kind, fraction in fractions.items():
                tf.summary.scalar(f"volume_fraction_{phase}/{kind}", fraction)
            error = fractions["generated_images"] - fractions["training_tiles"]
            tf.summary.scalar(f"measures/volume_fraction_{phase}_error", error)
