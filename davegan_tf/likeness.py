"""Are samples diverse, do they cover the material, are they copies? Records of :mod:`davegan_tf.similarity`."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from davegan_tf import ratios, records, similarity
from davegan_tf.real_pieces import RealPieces

# PASS: samples at least so diverse as this, in units of real crops.
LEAST_DIVERSITY = 0.8
# The share of the real crops that are nearer than the threshold of memorisation, which is their 1st percentile.
MEMORISED_FLOOR = 0.01
# Images of white noise that are searched for copies: none is ever near.
NOISE_SEARCHED = 32
# For the floor of memorisation each half of the training data has as many crops as there are samples, and these at
# least: of fewer it depends on their draw.
LEAST_CROPS_OF_A_HALF = 64


def diversity(generated, noise, real, rng):
    """How much samples differ: the mean distance of two of them over that of two real crops without a common pixel.

    Parameters
    ----------
    generated, noise : (n, side, side) int
    real : davegan_tf.real_pieces.RealPieces
    rng : numpy.random.Generator

    Returns
    -------
    dict
        See :mod:`davegan_tf.records`; no value where all crops overlap, or are equal and the samples are not.
    """
    distances = similarity.pairwise_distances(generated, generated)
    of_crops = similarity.pairwise_distances(real.crops, real.crops)
    disjoint = ~similarity.overlapping(real.places, real.places, real.side)
    real_mean = similarity.mean_distance(of_crops, counted=disjoint)

    def value(mean_distance):
        return ratios.ratio(mean_distance, real_mean)

    n, n_crops = len(generated), len(real.crops)
    floors = [
        value(
            similarity.mean_distance(
                of_crops, indices=rng.permutation(n_crops)[:n], counted=disjoint
            )
        )
        for _ in range(ratios.RESAMPLINGS)
    ]
    # Of few crops of a small micrograph all may overlap; all crops have a floor of 1.
    floors = [each for each in floors if each is not None] or [1.0]
    bootstrap = [
        value(similarity.mean_distance(distances, indices=rng.integers(0, n, n)))
        for _ in range(ratios.RESAMPLINGS)
    ]
    record = records.of_share(
        value(similarity.mean_distance(distances)),
        floors,
        value(similarity.mean_distance(similarity.pairwise_distances(noise, noise))),
        bootstrap,
    )
    if record["value"] is not None:
        record["passed"] = record["value"] >= LEAST_DIVERSITY
    return record


def coverage(generated, noise, real, rng):
    """The share of the first half of the crops that a sample is near to; the floor is that of the other half.

    Parameters
    ----------
    generated, noise : (n, side, side) int
    real : davegan_tf.real_pieces.RealPieces
    rng : numpy.random.Generator

    Returns
    -------
    dict
        See :mod:`davegan_tf.records`; no value where no crop has another without a common pixel.
    """
    n = min(len(generated), len(real.crops) // 2)
    crops, places = real.crops[:n], real.places[:n]
    # Relative to chance: else an image of the majority phase alone would be near every crop.
    covered = similarity.coverage(generated[:n], crops, places, relative=True)
    by_crops = similarity.coverage(
        real.crops[n : 2 * n], crops, places, real.places[n : 2 * n], relative=True
    )
    by_noise = similarity.coverage(noise[:n], crops, places, relative=True)
    # Of crops with a disjoint other one, as the share itself.
    defined = np.flatnonzero(np.isfinite(covered.radius))
    if not len(defined):
        defined = np.arange(n)
    draws = defined[rng.integers(0, len(defined), (ratios.RESAMPLINGS, len(defined)))]
    return records.of_share(
        covered.share,
        [by_crops.covered[draw].mean() for draw in draws],
        by_noise.share,
        [covered.covered[draw].mean() for draw in draws],
    )


class Found(NamedTuple):
    """The piece of the training data that is most like each image.

    nearest : davegan_tf.similarity.Nearest
        Of an image turned by 180° itself, where ``turned``.
    turned : (n,) bool
    """

    nearest: similarity.Nearest
    turned: NDArray[np.bool_]


def _search(images, real, exclude=None):
    """Of a model that was shown the training data turned by 180°, too, both are searched (by turning the image)."""
    ways = [images, images[:, ::-1, ::-1]] if real.turned else [images]
    found = [similarity.nearest_places(way, real.training, real.n_phases, exclude) for way in ways]
    turned = found[-1].relative < found[0].relative
    chosen = [
        np.where(turned.reshape(-1, *[1] * (upright.ndim - 1)), other, upright)
        for upright, other in zip(found[0], found[-1], strict=True)
    ]
    return Found(similarity.Nearest(*chosen), turned)


def _relative_distances(images, real, exclude=None):
    """To the piece of the training data that is most like each image, relative to chance."""
    found = _search(images, real, exclude).nearest.relative
    return found[~np.isnan(found)]


def _shares_between_halves(real, seed):
    """Memorised share of crops of one half of the training data, had the model been trained on the other."""
    images, count = real.training, max(LEAST_CROPS_OF_A_HALF, len(real.crops) // 2)
    for axis in (0,) if len(images) > 1 else (1, 2):
        halves = np.array_split(images, 2, axis=axis)
        if min(min(half.shape[1:]) for half in halves) < real.side:
            continue
        pieces = [
            RealPieces(half, half, real.side, count, real.n_phases, seed, real.turned)
            for half in halves
        ]
        for seen, unseen in (pieces, pieces[::-1]):
            own = _relative_distances(seen.crops, seen, seen.places)
            if np.any(own > 0):
                others = _relative_distances(unseen.crops, seen)
                yield similarity.memorisation(others, own)["share"]


class Copies:
    """What of the training data each sample is most like, and real crops, of places apart from theirs.

    One hundredth of the crops that set the threshold are nearer than it; of pieces of the material from elsewhere more,
    since no two parts of a micrograph are quite alike. The floor is what that gives: the share for crops of one half
    against the other, mean of the four ways to halve the training data along its sides, one hundredth and one sample
    at least.

    ``mirrored`` is the share once all samples are mirrored, left to right. A copy is one no more, while the structure
    stays (but for a slant): what is near then, too, is near because the structure is simple.

    Parameters
    ----------
    generated, noise : (n, side, side) int
    real : davegan_tf.real_pieces.RealPieces
    seed : int
        Of the crops of each half.
    """

    def __init__(self, generated, noise, real, seed):
        self.of_samples = _search(generated, real)
        self.mirrored = _relative_distances(generated[:, :, ::-1], real)
        self.noise = _relative_distances(noise[:NOISE_SEARCHED], real)
        # What was held out has no pixel of the training data.
        self.crops = _relative_distances(real.crops, real, None if real.held_out else real.places)
        self.floors = list(_shares_between_halves(real, seed))

    def record(self, rng):
        """The memorised share: none where all crops repeat, or have no other place; without halves it has no floor."""
        distances = self.of_samples.nearest.relative
        summary = similarity.memorisation(distances, self.crops)
        threshold, value = summary["threshold"], summary.pop("share")
        if threshold is None:
            return records.undefined() | summary
        noise = similarity.memorised_share(self.noise, threshold)
        mirrored = similarity.memorised_share(self.mirrored, threshold)
        record = (
            records.undefined() | {"value": value, "noise": noise, "mirrored": mirrored} | summary
        )
        if not self.floors:
            return record
        floor = max(MEMORISED_FLOOR, 1 / len(distances), float(np.mean(self.floors)))
        draws = rng.integers(0, len(distances), (ratios.RESAMPLINGS, len(distances)))
        record |= records.against(value, floor, np.std(self.floors), noise)
        # Where material from elsewhere lies so near, nothing could fail, not even copies.
        if ratios.LIMIT * floor >= 1:
            record["passed"] = None
        return record | {
            "interval": ratios.interval(
                similarity.memorised_share(distances[draw], threshold) / floor for draw in draws
            )
        }

    def nearest(self, count):
        """The most alike pairs, JSON-ready: number of the sample, whether it is turned, place, shift and distance."""
        found, turned = self.of_samples
        chosen = similarity.nearest_pairs(found.relative, count)
        return [
            {
                "sample": int(index),
                "turned": bool(turned[index]),
                "place": found.place[index].tolist(),
                "shift": found.shift[index].tolist(),
                "distance": float(found.distance[index]),
                "relative": float(found.relative[index]),
            }
            for index in chosen
        ]
