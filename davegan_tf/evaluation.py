"""How good are reconstructions and samples? The scorecard: every measure beside its floor and white noise.

Eq. 12 alone (Section 4.1) cannot tell most materials from white noise, and gives 0 to a copied training tile. So every
measure stands beside what real crops of the micrograph get (the floor: what the choice of crops alone gives) and what
white noise gets (what no structure gives), and has a verdict; :mod:`davegan_tf.scorecard` and
:mod:`davegan_tf.similarity` have those that see structure and copies.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from davegan_tf import measures, scorecard, similarity
from davegan_tf.dataset import BatchPositions, cut, tile_positions
from davegan_tf.errors import InputError
from davegan_tf.measures import Labels

# Table 4, by the name of the material in `data.source`.
PAPER_TABLE_4 = {
    "alloy": {"E_gen": 5.66e-3, "E_rec": 4.66e-3},
    "carbonate": {"E_gen": 6.78e-3, "E_rec": 8.16e-3},
    "ceramics": {"E_gen": 1.71e-2, "E_rec": 1.01e-2},
    "checkerboard": {"E_gen": 0.0, "E_rec": 0.0},
    "copolymer": {"E_gen": 5.64e-2, "E_rec": 6.96e-2},
    "rubber": {"E_gen": 8.15e-4, "E_rec": 3.08e-4},
    "synth1": {"E_gen": 1.06e-2, "E_rec": 1.81e-2},
    "synth2": {"E_gen": 1.53e-2, "E_rec": 4.53e-3},
    "synth3": {"E_gen": 1.89e-2, "E_rec": 4.42e-3},
    "composite": {"E_gen": 3.84e-2, "E_rec": 9.71e-2},
    "sandstone": {"E_gen": 5.97e-3, "E_rec": 1.71e-2},
}


# E_rec and E_gen are taken over all lags, and over those shorter than 16 pixels.
ERRORS = {"": None, "_near": np.nextafter(16, 0)}
RECORD = ("value", "floor", "noise", "ratio", "interval", "noise_ratio", "passed")
# PASS: samples at least so diverse as this, in units of real crops.
LEAST_DIVERSITY = 0.8
# The share of the real crops that are nearer than the threshold of memorisation, which is their 1st percentile.
MEMORISED_FLOOR = 0.01
# Of the 60,000 images of Section 4.2, so many are enough for a mean.
MOST_TILES = 256
# Images of white noise that are searched for copies: none is ever near.
NOISE_SEARCHED = 32
# Crops of each half of the training data, for the floor of memorisation.
CROPS_OF_A_HALF = 128
# Pairs of sample and training data in the result, the most alike first.
NEAREST_SHOWN = 8
RESAMPLINGS = scorecard.RESAMPLINGS


def tile_places(images: Labels, side: int) -> NDArray[np.int32]:
    """Places of the tiles that are looked at: all, of more than MOST_TILES evenly spread ones.

    Parameters
    ----------
    images : (n_images, height, width) int
    side : int, pixels

    Returns
    -------
    (n, 3) int32
        (image, row, column) of the upper left corners, see :func:`davegan_tf.dataset.tile_positions`.
    """
    places = tile_positions(images.shape, side)
    chosen = np.linspace(0, len(places) - 1, min(len(places), MOST_TILES))
    return places[np.rint(chosen).astype(np.intp)]


def evaluate(
    training: Labels,
    reconstructed: Labels,
    generated: Labels,
    *,
    n_phases: int,
    reference: Labels | None = None,
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
    seed : int, ≥ 0
        Of the crops, of white noise and of the resampling.

    Returns
    -------
    dict
        JSON-ready: ``reconstructions`` and ``samples`` with a record for each measure, ``verdict`` with ``passed``,
        ``failed`` (names) and ``measures`` (how many there are), and what was measured. A record has ``value``,
        ``floor`` (``mean`` and ``std`` over sets of real crops), ``noise``, ``ratio`` to the floor (1: as good as
        real), its 95 % ``interval``, ``noise_ratio``, ``limit`` (in words) and ``passed``; None: not defined here.
        See :func:`davegan_tf.scorecard.judge` for the statistics.

    Raises
    ------
    InputError
        If an array does not hold phase labels, or shapes do not fit together.
    """
    reference = training if reference is None else reference
    sets = {
        "training": training,
        "reference": reference,
        "reconstructed": reconstructed,
        "generated": generated,
    }
    training, reference, reconstructed, generated = (
        _checked(name, labels, n_phases) for name, labels in sets.items()
    )
    _check_shapes(training, reference, reconstructed, generated)
    rng = np.random.default_rng(seed)
    side, phases = generated.shape[1], measures.evaluated_phases(n_phases)
    real = _Real(training, reference, side, 2 * len(generated), n_phases, seed)
    noise = measures.white_noise(real.fractions, generated.shape, np.random.default_rng(seed))
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
    copies = _Copies(generated, noise, real, seed)
    samples = {
        **_generation_errors(generated, noise, real, phases, rng),
        **scorecard.judge(scorecard.describe(generated, n_phases), crops, tiles, noises, rng),
        "diversity": _diversity(generated, noise, real, rng),
        "coverage": _coverage(generated, noise, real, rng),
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
    real = _Real(reference, reference, side, 2 * count, n_phases, seed)
    shape = (count, side, side)
    return real.crops, measures.white_noise(real.fractions, shape, np.random.default_rng(seed))


class _Real:
    """The real side of all comparisons: crops and tiles with their places, phase fractions."""

    def __init__(self, training, reference, side, count, n_phases, seed):
        self.training, self.reference, self.n_phases = training, reference, n_phases
        self.side, self.held_out = side, reference is not training
        crops = BatchPositions(reference.shape, side, "crops", count, seed)
        self.places = crops.positions(0, 1)[0]
        self.crops = cut(reference, self.places, side)
        self.tile_places = tile_places(reference, side)
        self.tiles = cut(reference, self.tile_places, side)
        self.fractions = measures.phase_fractions(self.tiles, n_phases).mean(axis=0)
        # E_gen is the distance to the training tiles, whatever the crops are cut from.
        self.training_tiles = cut(training, tile_places(training, side), side)


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
    records = {}
    for name, max_lag in ERRORS.items():

        def errors(one, other, max_lag=max_lag):
            return measures.reconstruction_errors(one, other, phases, max_lag)

        records[f"E_rec{name}"] = _error_record(
            errors(originals, reconstructed),
            errors(originals[tiles[chosen]], real.crops[crops[chosen]]),
            errors(originals, noise),
            phases,
            rng,
        )
    accuracy = measures.pixel_accuracy(originals, reconstructed)
    noise_accuracy = measures.pixel_accuracy(originals, noise)["value"]
    records["pixel_accuracy"] = dict.fromkeys(RECORD) | accuracy | {"noise": noise_accuracy}
    return records


def _generation_errors(generated, noise, real, phases, rng):
    """E_gen over all lags and the near ones; the floor is that of real crops."""
    records = {}
    for name, max_lag in ERRORS.items():

        def errors(labels, max_lag=max_lag):
            return measures.generation_errors(real.training_tiles, labels, phases, max_lag)

        # Crops of a micrograph that is one tile are that tile: no floor.
        alone = len(real.training_tiles) == 1
        of_crops = np.empty((len(phases), 0)) if alone else errors(real.crops)
        records[f"E_gen{name}"] = _error_record(
            errors(generated), of_crops, errors(noise), phases, rng
        )
    return records


def _error_record(errors, of_crops, of_noise, phases, rng):
    """Record of an error that every image has: (phases, n) each."""
    of_images, crops = errors.mean(axis=0), of_crops.mean(axis=0)
    record = dict.fromkeys(RECORD) | {
        "value": float(of_images.mean()),
        "noise": float(of_noise.mean()),
        "per_phase": dict(zip(map(str, phases), map(float, errors.mean(axis=1)), strict=True)),
    }
    if not len(crops):
        return record
    n = min(len(of_images), len(crops))
    floors = [crops[rng.permutation(len(crops))[:n]].mean() for _ in range(RESAMPLINGS)]
    draws = rng.integers(0, len(of_images), (RESAMPLINGS, len(of_images)))
    floor = float(crops.mean())
    return (
        record
        | _against(record["value"], floor, np.std(floors), record["noise"])
        | {
            "interval": scorecard.interval(
                scorecard.ratio(value, floor) for value in of_images[draws].mean(axis=1)
            )
        }
    )


def _against(value, floor, floor_std, noise):
    ratio = scorecard.ratio(value, floor)
    return {
        "floor": {"mean": floor, "std": float(floor_std)},
        "ratio": ratio,
        "noise_ratio": scorecard.ratio(noise, floor),
        "passed": ratio is not None and ratio <= scorecard.LIMIT,
    }


def _diversity(generated, noise, real, rng):
    distances = similarity.pairwise_distances(generated, generated)
    of_crops = similarity.pairwise_distances(real.crops, real.crops)
    disjoint = ~similarity.overlapping(real.places, real.places, real.side)
    real_mean = similarity.mean_distance(of_crops, counted=disjoint)

    def value(mean_distance):
        return scorecard.ratio(mean_distance, real_mean)

    n, n_crops = len(generated), len(real.crops)
    floors = [
        value(
            similarity.mean_distance(
                of_crops, indices=rng.permutation(n_crops)[:n], counted=disjoint
            )
        )
        for _ in range(RESAMPLINGS)
    ]
    bootstrap = [
        value(similarity.mean_distance(distances, indices=rng.integers(0, n, n)))
        for _ in range(RESAMPLINGS)
    ]
    record = _share_record(
        value(similarity.mean_distance(distances)),
        floors,
        value(similarity.mean_distance(similarity.pairwise_distances(noise, noise))),
        bootstrap,
    )
    if record["value"] is not None:
        record["passed"] = record["value"] >= LEAST_DIVERSITY
    return record


def _coverage(generated, noise, real, rng):
    """Of the first half of the crops by the samples, and by the other half, by as many each."""
    n = min(len(generated), len(real.crops) // 2)
    crops, places = real.crops[:n], real.places[:n]
    # Relative to chance: else an image of the majority phase alone would be near every crop.
    covered = similarity.coverage(generated[:n], crops, places, relative=True)
    by_crops = similarity.coverage(
        real.crops[n : 2 * n], crops, places, real.places[n : 2 * n], relative=True
    )
    by_noise = similarity.coverage(noise[:n], crops, places, relative=True)
    draws = rng.integers(0, n, (RESAMPLINGS, n))
    return _share_record(
        covered.share,
        [by_crops.covered[draw].mean() for draw in draws],
        by_noise.share,
        [covered.covered[draw].mean() for draw in draws],
    )


def _share_record(value, floors, noise, bootstrap):
    """Record of a measure that should be as large as the floor: ratios are floor over value."""
    if value is None or None in floors:
        return dict.fromkeys(RECORD)
    floor = float(np.mean(floors))
    ratio = scorecard.ratio(floor, value)
    return {
        "value": float(value),
        "floor": {"mean": floor, "std": float(np.std(floors))},
        "noise": noise,
        "ratio": ratio,
        "interval": scorecard.interval(scorecard.ratio(floor, each) for each in bootstrap),
        "noise_ratio": scorecard.ratio(floor, noise),
        "passed": ratio is not None and ratio <= scorecard.LIMIT,
    }


def _relative_distances(images, real, exclude=None):
    """To the piece of the training data that is most like each image, relative to chance."""
    found = similarity.nearest_places(images, real.training, real.n_phases, exclude).relative
    return found[~np.isnan(found)]


def _shares_between_halves(real, seed):
    """Memorised share of crops of one half of the training data, had the model been trained on the other."""
    images = real.training
    for axis in (0,) if len(images) > 1 else (1, 2):
        halves = np.array_split(images, 2, axis=axis)
        if min(half.shape[1:] for half in halves) < (real.side, real.side):
            continue
        for seen, unseen in (halves, halves[::-1]):
            seen, unseen = (
                _Real(half, half, real.side, CROPS_OF_A_HALF, real.n_phases, seed)
                for half in (seen, unseen)
            )
            own = _relative_distances(seen.crops, seen, seen.places)
            if len(own):
                others = _relative_distances(unseen.crops, seen)
                yield similarity.memorisation(others, own)["share"]


class _Copies:
    """What of the training data each sample is most like, and real crops, of places apart from theirs.

    One hundredth of the crops that set the threshold are nearer than it; of pieces of the material from elsewhere more,
    since no two parts of a micrograph are quite alike. The floor is what that gives: the share for crops of one half
    against the other, mean of the four ways to halve the micrograph along its sides, and one hundredth at least.
    """

    def __init__(self, generated, noise, real, seed):
        self.of_samples = similarity.nearest_places(generated, real.training, real.n_phases)
        self.noise = _relative_distances(noise[:NOISE_SEARCHED], real)
        # What was held out has no pixel of the training data.
        self.crops = _relative_distances(real.crops, real, None if real.held_out else real.places)
        shares = [] if real.held_out else list(_shares_between_halves(real, seed))
        self.floors = shares or [MEMORISED_FLOOR]

    def record(self, rng):
        if not len(self.crops):
            return dict.fromkeys(RECORD)
        distances = self.of_samples.relative
        summary = similarity.memorisation(distances, self.crops)
        threshold, value = summary.pop("threshold"), summary.pop("share")
        floor = max(MEMORISED_FLOOR, float(np.mean(self.floors)))
        noise = similarity.memorised_share(self.noise, threshold)
        draws = rng.integers(0, len(distances), (RESAMPLINGS, len(distances)))
        return _against(value, floor, np.std(self.floors), noise) | {
            "value": value,
            "noise": noise,
            "interval": scorecard.interval(
                similarity.memorised_share(distances[draw], threshold) / floor for draw in draws
            ),
            "threshold": threshold,
            **summary,
        }

    def nearest(self, count):
        """The most alike pairs, JSON-ready: number of the sample, place, shift and distance."""
        chosen = similarity.nearest_pairs(self.of_samples.relative, count)
        return [
            {
                "sample": int(index),
                "place": self.of_samples.place[index].tolist(),
                "shift": self.of_samples.shift[index].tolist(),
                "distance": float(self.of_samples.distance[index]),
                "relative": float(self.of_samples.relative[index]),
            }
            for index in chosen
        ]


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
