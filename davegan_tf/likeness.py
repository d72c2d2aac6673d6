"""Are samples diverse, do they cover the material, are they copies? Records of :mod:`davegan_tf.similarity`."""

import numpy as np

from davegan_tf import records, scorecard, similarity
from davegan_tf.real_pieces import RealPieces
from davegan_tf.records import RESAMPLINGS

# PASS: samples at least so diverse as this, in units of real crops.
LEAST_DIVERSITY = 0.8
# The share of the real crops that are nearer than the threshold of memorisation, which is their 1st percentile.
MEMORISED_FLOOR = 0.01
# Images of white noise that are searched for copies: none is ever near.
NOISE_SEARCHED = 32
# Crops of each half of the training data, for the floor of memorisation.
CROPS_OF_A_HALF = 128


def diversity(generated, noise, real, rng):
    """Record of the mean distance of two samples over that of two real crops (``RealPieces``)."""
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
    return records.of_share(
        covered.share,
        [by_crops.covered[draw].mean() for draw in draws],
        by_noise.share,
        [covered.covered[draw].mean() for draw in draws],
    )


def _relative_distances(images, real, exclude=None):
    """To the piece of the training data that is most like each image, relative to chance."""
    found = similarity.nearest_places(images, real.training, real.n_phases, exclude).relative
    return found[~np.isnan(found)]


def _shares_between_halves(real, seed):
    """Memorised share of crops of one half of the training data, had the model been trained on the other."""
    images = real.training
    for axis in (0,) if len(images) > 1 else (1, 2):
        halves = np.array_split(images, 2, axis=axis)
        if min(min(half.shape[1:]) for half in halves) < real.side:
            continue
        for seen, unseen in (halves, halves[::-1]):
            seen, unseen = (
                RealPieces(half, half, real.side, CROPS_OF_A_HALF, real.n_phases, seed)
                for half in (seen, unseen)
            )
            own = _relative_distances(seen.crops, seen, seen.places)
            if len(own):
                others = _relative_distances(unseen.crops, seen)
                yield similarity.memorisation(others, own)["share"]


class Copies:
    """What of the training data each sample is most like, and real crops, of places apart from theirs.

    One hundredth of the crops that set the threshold are nearer than it; of pieces of the material from elsewhere more,
    since no two parts of a micrograph are quite alike. The floor is what that gives: the share for crops of one half
    against the other, mean of the four ways to halve the micrograph along its sides, and one hundredth at least.

    ``turned`` is the share once all samples are turned by 180°. S2 and chords stay, and a copy is one no more: what is
    near then, too, is near by its structure. Of a model that was shown turned crops (``data.real_turned``) a copy may
    show in either share.
    """

    def __init__(self, generated, noise, real, seed):
        self.of_samples = similarity.nearest_places(generated, real.training, real.n_phases)
        self.turned = _relative_distances(generated[:, ::-1, ::-1], real)
        self.noise = _relative_distances(noise[:NOISE_SEARCHED], real)
        # What was held out has no pixel of the training data.
        self.crops = _relative_distances(real.crops, real, None if real.held_out else real.places)
        shares = [] if real.held_out else list(_shares_between_halves(real, seed))
        self.floors = shares or [MEMORISED_FLOOR]

    def record(self, rng):
        if not len(self.crops):
            return records.undefined()
        distances = self.of_samples.relative
        summary = similarity.memorisation(distances, self.crops)
        threshold, value = summary.pop("threshold"), summary.pop("share")
        floor = max(MEMORISED_FLOOR, float(np.mean(self.floors)))
        noise = similarity.memorised_share(self.noise, threshold)
        draws = rng.integers(0, len(distances), (RESAMPLINGS, len(distances)))
        return records.against(value, floor, np.std(self.floors), noise) | {
            "value": value,
            "noise": noise,
            "interval": scorecard.interval(
                similarity.memorised_share(distances[draw], threshold) / floor for draw in draws
            ),
            "threshold": threshold,
            "turned": similarity.memorised_share(self.turned, threshold),
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
