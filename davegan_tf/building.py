"""The model of a config, new or as a run folder has it."""

import functools

from keras.optimizers import Adam

from davegan_tf.checkpoints import Checkpoints, load_compact_weights, load_weights
from davegan_tf.davegan import DAVEGAN
from davegan_tf.errors import InputError
from davegan_tf.limited_adam import LimitedAdam


def image_channels(n_phases):
    """Channels of an image: one for two phases, else one-hot."""
    return 1 if n_phases == 2 else n_phases


def build_model(config, n_phases):
    """The compiled model that a config describes.

    Parameters
    ----------
    config : davegan_tf.config.Config
    n_phases : int ≥ 2

    Returns
    -------
    DAVEGAN
    """
    model = DAVEGAN(
        config.data.image_size,
        image_channels(n_phases),
        precision=config.training.precision,
        seed=config.seed,
        **config.model.model_dump(),
        **config.augmentation.model_dump(),
    )
    t = config.training
    kind = Adam
    if t.update_limit is not None:
        kind = functools.partial(LimitedAdam, update_limit=t.update_limit)
    adam = {"beta_1": t.adam_beta_1, "beta_2": t.adam_beta_2}
    averaging = {"use_ema": t.weight_averaging is not None, "ema_momentum": t.weight_averaging or 0}
    model.compile(
        encoder_optimizer=kind(t.encoder_learning_rate, **adam, **averaging),
        generator_optimizer=kind(t.generator_learning_rate, **adam, **averaging),
        discriminator_optimizer=kind(t.discriminator_learning_rate, **adam),
    )
    return model


def load_model(run):
    """The model of a run folder: finished, or as its newest checkpoint left it.

    Of a packaged model, encoder and generator; its discriminator is an untrained one.

    Parameters
    ----------
    run : davegan_tf.run_folder.RunFolder

    Returns
    -------
    model : DAVEGAN
    step : int

    Raises
    ------
    InputError
        If there is neither a finished model nor a readable checkpoint.
    """
    manifest = run.read_manifest()
    model = build_model(run.read_config(), manifest["data"]["n_phases"])
    if run.compact_weights.is_file():
        load_compact_weights(model, run.compact_weights)
        return model, manifest["step"]
    checkpoints = Checkpoints(run.checkpoints, model)
    newest = max(checkpoints.steps(), default=-1)
    if run.weights.is_file():
        load_weights(model, run.weights)
        # A run continued beyond its first end has a newer checkpoint than its finished model.
        if int(model.training_step) >= newest:
            return model, int(model.training_step)
    step, _ = checkpoints.restore_newest()
    if step is None:
        raise InputError(
            f"{run.path}: holds no finished model and no readable checkpoint; continue the run with"
            f" `train --run-dir {run.path} --resume`."
        )
    return model, step
