"""A trained model beside the micrograph it knows: the scorecard, and the images that it was measured on."""

from typing import Any, NamedTuple

from davegan_tf.dataset import cut
from davegan_tf.errors import InputError
from davegan_tf.measures import Labels
from davegan_tf.real_pieces import tile_places


class Measured(NamedTuple):
    """A scorecard, and the images that it was measured on.

    result : what :meth:`davegan_tf.trained_model.TrainedModel.evaluate` returns
    tiles : (n, side, side) uint8, of what is compared with
    reconstructed : (n, side, side) uint8, decode(encode(tile)) of each
    generated : (count, side, side) uint8, samples of the prior
    crops : (2 · count, side, side) uint8, the real ones that they are compared with
    noise : (count, side, side) uint8, the white noise that stands beside them
    """

    result: dict[str, Any]
    tiles: Labels
    reconstructed: Labels
    generated: Labels
    crops: Labels
    noise: Labels


def micrograph_of(folder, holdout=False, option="--holdout"):
    """The micrograph that a run was trained on, to measure its model by.

    Parameters
    ----------
    folder : davegan_tf.run_folder.RunFolder
    holdout : bool
        Whether there must be a part that was kept out of training.
    option : str
        What asked for that, for the message.

    Returns
    -------
    davegan_tf.micrographs.Micrograph

    Raises
    ------
    InputError
        If it is not at hand, is another one, or was trained on as a whole.
    """
    micrograph = folder.load_micrograph()
    if holdout and micrograph.held_out is None:
        raise InputError(
            f"{folder.path}: all of the micrograph was trained on (data.holdout is null), so that {option} has "
            "nothing to measure on; train with --set data.holdout=0.25."
        )
    return micrograph


def measure(model, micrograph, count, seed, holdout, filter_size):
    """What :meth:`davegan_tf.trained_model.TrainedModel.evaluate` does, with the images that were measured.

    Parameters
    ----------
    model : davegan_tf.trained_model.TrainedModel
    micrograph : davegan_tf.micrographs.Micrograph
        Of :func:`micrograph_of`.
    count, seed, holdout, filter_size
        Of ``evaluate``.

    Returns
    -------
    Measured
    """
    # Not at the top: this imports scikit-image, which nothing else here needs.
    from davegan_tf.evaluation import evaluate, real_crops_and_noise

    reference = micrograph.held_out if holdout else micrograph.images
    side, n_phases = model.image_size, model.n_phases
    tiles = cut(reference, tile_places(reference, side), side)
    reconstructed = model.reconstruct(tiles)
    generated = model.generate(count, seed, filter_size=filter_size)
    result = evaluate(
        micrograph.images,
        reconstructed,
        generated,
        n_phases=n_phases,
        reference=reference if holdout else None,
        turned=model.config.data.shows_turned,
        seed=seed,
    )
    result = {"data": micrograph.title, "step": model.step, "filter": filter_size, **result}
    compared = real_crops_and_noise(reference, side, count, n_phases, seed)
    return Measured(result, tiles, reconstructed, generated, *compared)
