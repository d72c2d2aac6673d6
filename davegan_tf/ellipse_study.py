"""What Section 4.2 says about a model of the ellipses, as numbers: Figures 3 and 4 and what their text claims.

Reconstruction, disentanglement, the traversal of the paper's reference sample and of others, and how well the codes of
all images fill the prior.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from davegan_tf import descriptors, latent
from davegan_tf.dataset import encode_phases
from davegan_tf.disentanglement import (
    ELLIPSE_FACTORS,
    dci,
    ellipse_factors,
    ellipse_predictability,
    mig,
)
from davegan_tf.ellipse_fit import is_one_ellipse
from davegan_tf.inference import reconstruct_labels
from davegan_tf.smoothness import aggregate_posterior, frame_changes, has_sudden_change
from davegan_tf.synthetic import ELLIPSE_REFERENCE, draw_ellipses

# Images that are reconstructed, that are traversed, and whose codes are analysed.
RECONSTRUCTED, TRAVERSED, ANALYSED = 2000, 100, 10_000
# A traversal's frames from −3 to 3 standard deviations of the prior; a quarter of one from each to the next.
LIMIT, FRAMES = 3.0, 25
WITHIN = 2.0


def reference_image() -> np.ndarray:
    """The paper's reference sample: (32, 32) uint8, 1 in the inclusion."""
    return draw_ellipses([ELLIPSE_REFERENCE])[0]


def study(model, images: np.ndarray, parameters: ArrayLike, seed: int = 0) -> dict[str, Any]:
    """Measure a model of the ellipses.

    Parameters
    ----------
    model : DAVEGAN, of images of 32 × 32 pixels in two phases
    images : (n, 32, 32) uint8, phase labels, n ≥ 100
    parameters : (n, 5) float, of each image, see :func:`davegan_tf.synthetic.draw_ellipses`
    seed : int
        Of the choice of images and of the measures' own splits.

    Returns
    -------
    dict
        JSON-ready: ``E_rec`` (Eq. 12) and ``pixel_accuracy`` (mean over images), ``disentanglement``, ``r2``,
        ``posterior``, ``traversal`` (of the reference sample), ``traversals`` (of images drawn at random).
    """
    order = np.random.default_rng(seed).permutation(len(images))
    chosen = images[order[:RECONSTRUCTED]]
    reconstructed = reconstruct_labels(model, chosen, n_phases=2)
    s2, s2_reconstructed = map(descriptors.two_point_correlation, (chosen, reconstructed))
    analysed = order[:ANALYSED]
    z_mean, z_log_var = latent.encode(model, encode_phases(images[analysed], 2))
    reference = latent.z_of_image(model, encode_phases(reference_image(), 2))
    return {
        "images": {
            "reconstructed": len(chosen),
            "analysed": len(analysed),
            "traversed": min(TRAVERSED, len(analysed)),
        },
        "E_rec": float(descriptors.s2_error(s2, s2_reconstructed).mean()),
        "pixel_accuracy": float((chosen == reconstructed).mean()),
        **_codes(z_mean, z_log_var, np.asarray(parameters)[analysed], seed),
        "traversal": traversal_measures(model, reference),
        "traversals": _mean_traversal(model, z_mean[:TRAVERSED]),
    }


def _codes(z_mean, z_log_var, parameters, seed):
    """What the posteriors of images tell of their parameters, and how they fill the prior."""
    posterior = aggregate_posterior(z_mean, z_log_var)
    factors, oriented = ellipse_factors(parameters)
    trees = dci(z_mean[oriented], factors[oriented], seed)
    gap = mig(z_mean[oriented], factors[oriented])
    r2 = ellipse_predictability(z_mean, parameters, seed)
    return {
        "disentanglement": {
            "dci_disentanglement": trees.disentanglement,
            "dci_completeness": trees.completeness,
            "dci_informativeness": trees.informativeness,
            "importances": {
                factor: column.tolist()
                for factor, column in zip(ELLIPSE_FACTORS, trees.importances.T, strict=True)
            },
            "mig": gap.mean,
        },
        "r2": {
            name: {"linear": float(scores.linear), "neighbours": float(scores.neighbours)}
            for name, scores in r2.items()
        },
        "posterior": {
            "kl": posterior.kl.tolist(),
            "active": posterior.n_active,
            "mean": posterior.mean.tolist(),
            "std": posterior.std.tolist(),
        },
    }


def traversal_measures(model, z: np.ndarray) -> dict[str, Any]:
    """Of the frames with one dimension of z at a time set to −3 … 3 (:func:`davegan_tf.latent.traverse`).

    Parameters
    ----------
    model : DAVEGAN
    z : (latent_dim,) float

    Returns
    -------
    dict
        ``one_ellipse_within_2``, ``one_ellipse_within_3``: share of the frames of all dimensions whose inclusion is
        one ellipse, with |z| up to 2 or 3; ``sudden``: dimensions with a step of more than three times the mean step
        of theirs; ``largest_step``: of each dimension, over its mean step; ``mean_step``: of each, mean absolute
        change of a pixel from frame to frame.
    """
    frames = latent.traverse(model, z, limit=LIMIT, steps=FRAMES)[..., 0]
    within = np.abs(latent.traversal_values(LIMIT, FRAMES)) <= WITHIN + 1e-9
    ellipse = is_one_ellipse(frames)
    changes = [frame_changes(row) for row in frames]
    return {
        "one_ellipse_within_2": float(ellipse[:, within].mean()),
        "one_ellipse_within_3": float(ellipse.mean()),
        "sudden": [index for index, each in enumerate(changes) if has_sudden_change(each)],
        "largest_step": [each.maximum / each.mean if each.mean else 0.0 for each in changes],
        "mean_step": [each.mean for each in changes],
    }


def _mean_traversal(model, codes):
    """The same of many images, in the mean."""
    measured = [traversal_measures(model, z) for z in codes]
    return {
        "one_ellipse_within_2": float(np.mean([each["one_ellipse_within_2"] for each in measured])),
        "one_ellipse_within_3": float(np.mean([each["one_ellipse_within_3"] for each in measured])),
        "sudden": float(np.mean([len(each["sudden"]) for each in measured])),
    }
