"""How good are reconstructions and samples? The scorecard: every measure beside its floor and white noise.

Eq. 12 alone (Section 4.1) cannot tell most materials from white noise, and gives 0 to a copied training tile. So every
measure stands beside what real crops of the micrograph get (the floor: what the choice of crops alone gives) and what
white noise gets (what no structure gives), and has a verdict; :mod:`davegan_tf.scorecard` and
:mod:`davegan_tf.similarity` have those that see structure and copies.
"""

from typing import Any

import numpy as np

from davegan_tf import likeness, measures, records, scorecard, similarity
from davegan_tf.errors import InputError
from davegan_tf.measures import Labels
from davegan_tf.real_pieces import RealPieces, tile_places

# E_rec and E_gen are taken over all lags, and over those shorter than 16 pixels.
ERRORS = {"": None, "_near": np.nextafter(16, 0)}
# Pairs of sample and training data in the result, the most alike first.
NEAREST_SHOWN = 8


def evaluate(
    training: Labels,
    reconstructed: Labels,
    generated: Labels,
    *,
    n_phases: int,
    reference: Labels | None = None,
    turned: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure reconstructions and samples against the micrograph.

    Parameters
    ----------
    training : (n_images, height, width) int
        What the model was trained on, phase labels 0 … n_phases − 1.
    reconstructed : (n, side, side) int
        decode(encode(tile)) of the tiles of the reference at :func:`tile_places`, all or the first n, rounded to
        phases.
    generated : (m, side, side) int, m ≥ 2
        decode(z) with z from the prior, rounded to phases.
    n_phases : int, ≥ 2
    reference : (n_images, height, width) int, optional
        What tiles and real crops are cut from: by default the training data, with a holdout what was held out.
    turned : bool
        Whether the model was shown the training data turned by 180°, too (``data.real_turned``): copies of either are
        searched for.
    seed : int, ≥ 0
        Of the crops, of white noise and of the resampling.

    Returns
    -------
    dict
        JSON-ready: ``reconstructions`` and ``samples`` with a record for each measure, ``verdict`` with ``passed``,
        ``failed`` (names) and ``measures`` (how many there are), and what was measured. A record has ``value``,
        ``floor`` (``mean`` and ``std`` over sets of real crops), ``noise``, ``ratio`` to the floor (1: as good as
        real), its 95 % ``interval``, ``noise_ratio`` and ``passed``; None: not defined here. E_gen, by the closest of
        all training tiles (of more than 4,096, of so many evenly spread ones), also has ``disjoint``, what real crops
        get from tiles that they share no pixel with.
        See :func:`davegan_tf.scorecard.judge` for the statistics.

    Raises
    ------
    InputError
        If an array does not hold phase labels, or shapes do not fit together.
    """
    sets = {"training": training, "reconstructed": reconstructed, "generated": generated}
    training, reconstructed, generated = (
        _checked(name, labels, n_phases) for name, labels in sets.items()
    )
    # The very same array where nothing was held out: by this the real pieces tell.
    reference = training if reference is None else _checked("reference", reference, n_phases)
    _check_shapes(training, reference, reconstructed, generated)
    rng = np.random.default_rng(seed)
    side, phases = generated.shape[1], measures.evaluated_phases(n_phases)
    real, noise = _real_and_noise(training, reference, side, len(generated), n_phases, seed, turned)
    crops, tiles, noises = (
        scorecard.describe(labels, n_phases) for labels in (real.crops, real.tiles, noise)
    )
    originals = {
        name: {phase: values[: len(reconstructed)] for phase, values in of_phases.items()}
        for name, of_phases in tiles.items()
    }

    reconstructions = {
        **_reconstruction_errors(reconstructed, real, phases, rng),
        **scorecard.judge(
            scorecard.describe(reconstructed, n_phases), originals, tiles, noises, rng, paired=True
        ),
    }
    copies = likeness.Copies(generated, noise, real, seed)
    samples = {
        **_generation_errors(generated, noise, real, phases, rng),
        **scorecard.judge(scorecard.describe(generated, n_phases), crops, tiles, noises, rng),
        "diversity": likeness.diversity(generated, noise, real, rng),
        "coverage": likeness.coverage(generated, noise, real, rng),
        "memorisation": copies.record(rng),
    }
    verdicts = {
        f"{subject}.{name}": record["passed"]
        for subject, records in (("reconstructions", reconstructions), ("samples", samples))
        for name, record in records.items()
        if record["passed"] is not None
    }
    failed = [name for name, passed in verdicts.items() if not passed]
    return {
        "counts": {
            "tiles": len(reconstructed),
            "samples": len(generated),
            "crops": len(real.crops),
        },
        "image_size": side,
        "n_phases": n_phases,
        "phases": phases,
        "true_volume_fraction": {str(phase): float(real.fractions[phase]) for phase in phases},
        "holdout": real.held_out,
        "seed": seed,
        "reconstructions": reconstructions,
        "samples": samples,
        "nearest": copies.nearest(NEAREST_SHOWN),
        "verdict": {"passed": not failed, "failed": failed, "measures": len(verdicts)},
    }


def real_crops_and_noise(
    reference: Labels, side: int, count: int, n_phases: int, seed: int
) -> tuple[Labels, Labels]:
    """The real crops, 2 · count, and the white noise, count, that :func:`evaluate` compares samples with."""
    real, noise = _real_and_noise(reference, reference, side, count, n_phases, seed)
    return real.crops, noise


def _real_and_noise(training, reference, side, count, n_phases, seed, turned=False):
    """What ``count`` samples are compared with: twice as many crops, and as many images of white noise."""
    real = RealPieces(training, reference, side, 2 * count, n_phases, seed, turned)
    shape = (count, side, side)
    return real, measures.white_noise(real.fractions, shape, np.random.default_rng(seed))


def _reconstruction_errors(reconstructed, real, phases, rng):
    """E_rec over all lags and the near ones, and the share of right pixels.

    The floor is the error between a tile and a real crop that has no pixel of it, the noise's that of white noise of
    the tile's own phase fractions: a reconstruction that merely gets φ right.
    """
    n = len(reconstructed)
    originals = real.tiles[:n]
    noise = measures.white_noise(
        measures.phase_fractions(originals, real.n_phases), originals.shape, rng
    )
    overlap = similarity.overlapping(real.tile_places[:n], real.places, real.side)
    tiles, crops = np.nonzero(~overlap)
    chosen = rng.permutation(len(tiles))[: len(real.crops)]
    errors_of = {}
    for name, max_lag in ERRORS.items():

        def errors(one, other, max_lag=max_lag):
            return measures.reconstruction_errors(one, other, phases, max_lag)

        errors_of[f"E_rec{name}"] = records.of_error(
            errors(originals, reconstructed),
            errors(originals[tiles[chosen]], real.crops[crops[chosen]]),
            errors(originals, noise),
            phases,
            rng,
        )
    accuracy = measures.pixel_accuracy(originals, reconstructed)
    noise_accuracy = measures.pixel_accuracy(originals, noise)["value"]
    errors_of["pixel_accuracy"] = records.undefined() | accuracy | {"noise": noise_accuracy}
    return errors_of


def _generation_errors(generated, noise, real, phases, rng):
    """E_gen over all lags and the near ones; the floor is that of real crops.

    Crops are pieces of tiles, which no sample is. So ``disjoint`` stands beside the floor: the same of crops that are
    compared only with tiles they share no pixel with, which are fewer tiles.
    """
    elsewhere = real.disjoint.any(axis=1)
    errors_of = {}
    for name, max_lag in ERRORS.items():

        def errors(labels, max_lag=max_lag):
            return measures.generation_errors(real.training_tiles, labels, phases, max_lag)

        each = measures.tile_errors(real.training_tiles, real.crops, phases, max_lag)
        # Crops of a micrograph that is one tile are that tile: no floor.
        alone = len(real.training_tiles) == 1 and not real.held_out
        of_crops = np.empty((len(phases), 0)) if alone else each.min(axis=-1)
        of_disjoint = np.where(real.disjoint, each, np.inf).min(axis=-1)[:, elsewhere]
        errors_of[f"E_gen{name}"] = records.of_error(
            errors(generated), of_crops, errors(noise), phases, rng
        ) | {"disjoint": float(of_disjoint.mean()) if elsewhere.any() else None}
    return errors_of


def _checked(name: str, labels: Labels, n_phases: int) -> Labels:
    labels = np.asarray(labels)
    if labels.ndim != 3 or 0 in labels.shape or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{name} is {labels.dtype} of shape {labels.shape}; expected integer phase labels of "
            "shape (images, height, width), at least one image."
        )
    if labels.min() < 0 or labels.max() >= n_phases:
        raise InputError(
            f"{name} holds labels {labels.min()} to {labels.max()}; expected 0 to {n_phases - 1}, "
            f"since there are {n_phases} phases."
        )
    return labels


def _check_shapes(
    training: Labels, reference: Labels, reconstructed: Labels, generated: Labels
) -> None:
    side = generated.shape[1]
    tiles = len(tile_places(reference, side))
    if reconstructed.shape[1:] != (side, side) or len(reconstructed) > tiles:
        raise InputError(
            f"reconstructed has the shape {reconstructed.shape}; expected (n, {side}, {side}), one reconstruction of "
            f"each of the reference's {tiles} tiles in their order, or of the first n."
        )
    tile_places(training, side)
    if generated.shape[2] != side or len(generated) < 2:
        raise InputError(
            f"generated has the shape {generated.shape}; expected two square samples or more."
        )
