"""From z to properties of the structure, and back: a fitted map, and a search for structures that have given ones.

``model`` is a :class:`davegan_tf.davegan.DAVEGAN`; properties are those of :mod:`davegan_tf.properties`, measured on
images rounded to phases. Section 4.2 steers the latent space by eye; here a number is asked for.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from davegan_tf import properties
from davegan_tf.descriptors import Floats
from davegan_tf.errors import InputError
from davegan_tf.inference import batches, decode_labels

# The fit takes seconds, which grow with the third power of this number.
SAMPLES = 4096
# Candidates that are only predicted, and those of them that are decoded and measured.
PREDICTED, DECODED = 65536, 2048
# Steps of the refinement, from coarse to fine, and how many ways each structure tries at every step.
ANGLES, WAYS = np.geomspace(0.5, 0.05, 32), 16
# Rows of z that are predicted at once, so that the kernel matrix fits any memory.
_ROWS = 4096
_FOLDS, _LEAST = 5, 20
_RIDGE = 0.1


class Linkage(NamedTuple):
    """A map from z to properties.

    names : k names of properties
    regressor : fitted scikit-learn regressor, (n, latent_dim) → (n, k)
    r2 : (k,) float64 ≤ 1, of predictions by cross-validation; NaN where a property never changes
    z : (n, latent_dim) float32, the samples of the prior that the map was fitted to
    values : (n, k) float64, their properties
    """

    names: list[str]
    regressor: Any
    r2: Floats
    z: NDArray[np.float32]
    values: Floats

    @property
    def low(self):
        """Least value among the samples: (k,) float64."""
        return self.values.min(axis=0)

    @property
    def high(self):
        """Largest value among the samples: (k,) float64."""
        return self.values.max(axis=0)

    @property
    def spread(self):
        """Standard deviation among the samples: (k,) float64."""
        return self.values.std(axis=0)

    def predict(self, z):
        """Properties of the structures of z, without decoding them: (n, latent_dim) → (n, k) float64."""
        z = np.asarray(z, np.float64)
        parts = [self.regressor.predict(z[i : i + _ROWS]) for i in range(0, len(z), _ROWS)]
        return np.concatenate(parts)


class Found(NamedTuple):
    """Structures near a target, the nearest first.

    z : (count, latent_dim) float32
    labels : (count, side, side) uint8
    values : (count, k) float64, properties in the order of the targets
    distances : (count,) float64 ≥ 0, root of the summed squares of the errors, each in units of its property's spread
    density_rank : (count,) float64 in [0, 1], share of the prior's samples where its density is lower, since they are
        farther from its centre; uniform for samples, near 0 or 1 for a z that is unlike them
    """

    z: NDArray[np.float32]
    labels: NDArray[np.uint8]
    values: Floats
    distances: Floats
    density_rank: Floats


def linkage(model, n_phases, names=None, count=SAMPLES, seed=0):
    """Fit a map from z to properties of the generated structures.

    Kernel ridge regression on samples of the prior, with a Gaussian kernel as wide as the prior: two samples, whose
    squared distance is 2 latent_dim on average, have a kernel of 1/e. Of what we tried on earlier packaged
    models, it had the best cross-validated R² (4,096 samples; of label 1):

    ==================================  ================  =================  ==========
    R² on the alloy / the composite     volume fraction   interface density  anisotropy
    ==================================  ================  =================  ==========
    kernel ridge                        0.58 / 0.87       0.60 / 0.87        0.52 / 0.21
    support vectors, Gaussian kernel    0.56 / 0.86       0.58 / 0.86        0.50 / 0.18
    perceptron, 256 hidden units        0.55 / 0.83       0.58 / 0.85        0.50 / 0.17
    ridge on all products of two z      0.54 / 0.84       0.57 / 0.85        0.48 / 0.16
    linear                              0.46 / 0.71       0.46 / 0.79        0.18 / 0.04
    gradient-boosted trees              0.45 / 0.68       0.46 / 0.72        0.27 / 0.08
    ==================================  ================  =================  ==========

    Parameters
    ----------
    model : DAVEGAN
    n_phases : int ≥ 2
    names : sequence of str, optional
        Some of :func:`davegan_tf.properties.names`; all if None.
    count : int ≥ 20
        Number of samples; time grows with its third power.
    seed : int ≥ 0
        Of the samples, and of the parts of the cross-validation.

    Returns
    -------
    Linkage

    Raises
    ------
    InputError
        If there is no property of a name, or there are too few samples.
    """
    # Not at the top: davegan_tf.trained_model is imported before arguments are checked.
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.preprocessing import StandardScaler

    names = properties.names(n_phases) if names is None else list(names)
    properties.check_names(names, n_phases)
    if count < _LEAST:
        raise InputError(
            f"{count} samples are too few for a linkage; take {_LEAST} at the very least."
        )
    z = np.asarray(model.sample_latent(count, seed))
    values = properties.measure(decode_labels(model, z), names, n_phases)
    kernel = KernelRidge(alpha=_RIDGE, kernel="rbf", gamma=0.5 / z.shape[1])
    # Ridge regression has no intercept: it predicts deviations from the mean.
    regressor = TransformedTargetRegressor(kernel, transformer=StandardScaler())
    inputs = z.astype(np.float64)
    parts = KFold(_FOLDS, shuffle=True, random_state=seed)
    predicted = cross_val_predict(regressor, inputs, values, cv=parts)
    # Of a property that never changes there is nothing to predict.
    r2 = r2_score(values, predicted, multioutput="raw_values")
    r2[np.ptp(values, axis=0) == 0] = np.nan
    return Linkage(names, regressor.fit(inputs, values), r2, z, values)


def find(model, n_phases, fitted, targets, count=8, seed=0):
    """Structures of the prior whose properties are nearest to a target.

    Many z of the prior are ranked by the map's prediction, the most promising ones decoded and measured, and the
    nearest of them and of the map's own samples refined, each for itself, and never to a structure that is there: by
    moves z' = z cos t + ξ sin t with ξ from the prior, which keep the prior N(0, 1) (preconditioned Crank–Nicolson),
    kept where they come nearer. So z stays where the prior has its samples, as far as the target allows;
    `density_rank` tells.

    Parameters
    ----------
    model : DAVEGAN
    n_phases : int ≥ 2
    fitted : Linkage
        Of this model; it has the properties of the targets.
    targets : dict of str to float
        Property to the value it should have.
    count : int, 1 … DECODED
        Of different structures; fewer are found where the model makes no more.
    seed : int ≥ 0
        Of everything random; the map's own is as good as any.

    Returns
    -------
    Found
        The same for the same arguments.

    References
    ----------
    S. L. Cotter, G. O. Roberts, A. M. Stuart and D. White, MCMC methods for functions: modifying old algorithms to
    make them faster, Statistical Science 28, 424, 2013.
    """
    names, target = list(targets), np.array(list(targets.values()))
    columns = [fitted.names.index(name) for name in names]
    # A property that never changes cannot be steered, whatever its unit.
    unit = np.where(fitted.spread > 0, fitted.spread, 1)[columns]

    def distance(values):
        return np.linalg.norm((values - target) / unit, axis=-1)

    def measured(labels):
        return properties.measure(labels, names, n_phases)

    # The map's samples are the first of its seed.
    drawn = np.asarray(model.sample_latent(len(fitted.z) + PREDICTED, seed))[len(fitted.z) :]
    predicted = distance(fitted.predict(drawn)[:, columns])
    promising = drawn[np.argsort(predicted, kind="stable")[:DECODED]]
    z = np.concatenate([fitted.z, promising])
    values = measured(decode_labels(model, promising))
    distances = distance(np.concatenate([fitted.values[:, columns], values]))
    nearest, structures = _different(model, z, np.argsort(distances, kind="stable"), count)
    z, distances, count = z[nearest], distances[nearest], len(nearest)

    rng, each = np.random.default_rng(seed), np.arange(count)
    for angle in ANGLES:
        moves = rng.standard_normal((WAYS, *z.shape), dtype=np.float32)
        tried = math.cos(angle) * z + math.sin(angle) * moves
        labels = decode_labels(model, tried.reshape(-1, z.shape[1]))
        reached = distance(measured(labels)).reshape(WAYS, count)
        best = reached.argmin(axis=0)
        nearer = reached[best, each] < distances
        for index in np.flatnonzero(nearer):
            structure = labels[best[index] * count + index].tobytes()
            if structure in structures:
                nearer[index] = False
            else:
                structures[index] = structure
        z = np.where(nearer[:, None], tried[best, each], z)
        distances = np.where(nearer, reached[best, each], distances)

    z = z[np.argsort(distances, kind="stable")]
    labels = decode_labels(model, z)
    values = properties.measure(labels, names, n_phases)
    density_rank = chdtrc(z.shape[1], (z.astype(np.float64) ** 2).sum(axis=1))
    return Found(z, labels, values, distance(values), density_rank)


def _different(model, z, order, count):
    """The first indices of an order whose structures differ, ``count`` at most, and these structures as bytes."""
    chosen, structures = [], []
    for part in batches(order):
        for index, labels in zip(part, decode_labels(model, z[part]), strict=True):
            if len(chosen) < count and labels.tobytes() not in structures:
                chosen.append(index)
                structures.append(labels.tobytes())
        if len(chosen) == count:
            break
    return np.array(chosen), structures
