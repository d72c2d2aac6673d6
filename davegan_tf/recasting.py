"""A model at another precision: the same weights, computed in more digits or fewer."""

from davegan_tf.davegan import DAVEGAN


def recast(model, precision):
    """Encoder and generator of a model, computing at another precision.

    Parameters
    ----------
    model : DAVEGAN
    precision : str
        A Keras dtype policy such as ``float32``, or ``float64``, beside which the rounding of float32 can be seen.

    Returns
    -------
    DAVEGAN
        The model itself if that is its precision; else a new one, whose discriminator is an untrained one.
    """
    if model.arguments["precision"] == precision:
        return model
    other = DAVEGAN(**model.arguments | {"precision": precision})
    for name in ("encoder", "generator"):
        getattr(other, name).set_weights(getattr(model, name).get_weights())
    return other
