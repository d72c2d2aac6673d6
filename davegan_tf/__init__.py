"""DA-VEGAN: microstructure generation and reconstruction from a single micrograph.

For a notebook: :func:`load` a trained model, see :class:`davegan_tf.trained_model.TrainedModel` for what it can do.
Nothing heavy is imported here; the functions import what they need when they are called.
"""

__version__ = "0.1.0"


def load(run_or_name):
    """A trained model: that of a run folder, or a packaged one by its name.

    Parameters
    ----------
    run_or_name : str or Path
        Of a run folder, such as ``runs/alloy``, or one of :func:`packaged_models`. A folder goes first.

    Returns
    -------
    davegan_tf.trained_model.TrainedModel

    Raises
    ------
    InputError
        If there is neither, or the folder holds no trained model.

    Examples
    --------
    >>> import davegan_tf
    >>> model = davegan_tf.load("alloy")
    >>> model.generate(16).shape
    (16, 64, 64)
    """
    from davegan_tf.trained_model import load

    return load(run_or_name)


def packaged_models():
    """Names of the trained models that come with the package: list of str.

    Examples
    --------
    >>> import davegan_tf
    >>> davegan_tf.packaged_models()[:3]
    ['alloy', 'carbonate', 'ceramics']
    """
    from davegan_tf.packaged import names

    return names()
