"""Batch normalisation at very small batches: batch renormalisation, and re-estimated statistics.

At batch size 4 (Table 1) the statistics of a batch are noisy and differ from the moving ones used at inference, so
that the volume fraction of generated images drifts between training and use.
"""

import keras
import tensorflow as tf


def moments(layer, inputs):
    """Mean and biased variance, (channels,) each, of a batch that a batch normalisation sees."""
    axes = list(range(inputs.shape.rank - 1))
    return keras.ops.moments(inputs, axes, synchronized=layer.synchronized)


def update_moving(layer, mean, variance, momentum=None):
    """Take a batch's mean and biased variance, (channels,) each, into the moving statistics.

    ``momentum`` is the weight of their old values, by default the layer's own.
    """
    momentum = layer.momentum if momentum is None else momentum
    for moving, batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        batch = tf.stop_gradient(tf.cast(batch, moving.dtype))
        moving.assign(moving * momentum + batch * (1.0 - momentum))


@keras.saving.register_keras_serializable("davegan_tf")
class BatchRenormalization(keras.layers.BatchNormalization):
    """Batch normalisation whose training output equals its inference output (up to clipping).

    Same weights as ``keras.layers.BatchNormalization``. In training the batch-normalised value is corrected by
    r = σ_batch / σ_moving and d = (μ_batch − μ_moving) / σ_moving, through which no gradient flows. Channels last.

    Parameters
    ----------
    r_max, d_max : float
        The corrections are clipped to [1 / r_max, r_max] and [−d_max, d_max].

    References
    ----------
    S. Ioffe, "Batch Renormalization: Towards Reducing Minibatch Dependence in Batch-Normalized Models", NeurIPS 2017.
    """

    def __init__(self, r_max=3.0, d_max=5.0, **kwargs):
        super().__init__(**kwargs)
        self.r_max, self.d_max = r_max, d_max

    def corrections(self, mean, variance):
        """r and d of a batch with this mean and biased variance, (channels,) each."""
        moving_std = tf.sqrt(self.moving_variance + self.epsilon)
        r = tf.sqrt(variance + self.epsilon) / moving_std
        d = (mean - self.moving_mean) / moving_std
        return (
            tf.stop_gradient(tf.clip_by_value(r, 1.0 / self.r_max, self.r_max)),
            tf.stop_gradient(tf.clip_by_value(d, -self.d_max, self.d_max)),
        )

    def call(self, inputs, training=None):
        if not training:
            return super().call(inputs, training=False)
        inputs = tf.cast(inputs, self.variable_dtype)
        mean, variance = moments(self, inputs)
        r, d = self.corrections(mean, variance)
        update_moving(self, mean, variance)
        outputs = tf.nn.batch_normalization(
            inputs, mean, variance, d * self.gamma + self.beta, r * self.gamma, self.epsilon
        )
        return tf.cast(outputs, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "r_max": self.r_max, "d_max": self.d_max}


@keras.saving.register_keras_serializable("davegan_tf")
class MovingNormalization(keras.layers.BatchNormalization):
    """Batch normalisation that normalises by its moving statistics in training too.

    Same weights as ``keras.layers.BatchNormalization``; the batch only updates the moving statistics, and no gradient
    flows through them. In the discriminator's last layer this matters: the batch statistics there are those of the
    three sets' logits themselves, and their gradient cancels just what would raise the logits of generated images.
    """

    def call(self, inputs, training=None):
        if training:
            # As they are, in mixed precision, their moments would be rounded to their few digits.
            update_moving(self, *moments(self, tf.cast(inputs, self.variable_dtype)))
        return super().call(inputs, training=False)


NORMALIZATIONS = {
    "batch": keras.layers.BatchNormalization,
    "renorm": BatchRenormalization,
    "moving": MovingNormalization,
}


def recalibrate(network, batches):
    """Re-estimate the moving statistics of a network's batch normalisations, at fixed weights.

    After training the moving averages lag behind the weights and carry the noise of the last batches; here each becomes
    the plain mean over ``batches``. A channel that is the same in all of them (all tiles of a checkerboard are alike)
    is only centred, with a variance of 1: of a variance of 0 gradients would grow by 1 / √epsilon.

    Parameters
    ----------
    network : Encoder, Generator or Discriminator
    batches : iterable of tensors
        Inputs of the network, as it sees them in use.
    """
    norms = [
        layer
        for layer in network.stack.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [norm.momentum for norm in norms]

    # Layer by layer it would take ten times as long.
    @tf.function(autograph=False)
    def see(batch, momentum):
        for norm in norms:
            norm.momentum = momentum
        network(batch, training=True)

    try:
        for count, batch in enumerate(batches):
            see(tf.convert_to_tensor(batch), tf.constant(count / (count + 1.0)))
        for norm in norms:
            variance = norm.moving_variance
            constant = variance < 1e-3 * norm.epsilon
            variance.assign(tf.where(constant, tf.ones_like(variance), variance))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
