"""Batch normalisation at very small batches: batch renormalisation, and re-estimated statistics.

At batch size 4 (Table 1) the statistics of a batch are noisy and differ from the moving ones used at inference, so
that the volume fraction of generated images drifts between training and use.
"""

import keras
import tensorflow as tf


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

    def call(self, inputs, training=None):
        if not training:
            return super().call(inputs, training=False)
        ones = tf.ones_like(self.moving_mean)
        normalized, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, ones, tf.zeros_like(ones), epsilon=self.epsilon, is_training=True
        )
        mean, variance = tf.stop_gradient(mean), tf.stop_gradient(variance)
        moving_std = tf.sqrt(self.moving_variance + self.epsilon)
        # The kernel normalises by the biased variance and returns the unbiased one, which the moving average wants.
        count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], variance.dtype)
        r = tf.sqrt(variance * (count - 1.0) / count + self.epsilon) / moving_std
        d = (mean - self.moving_mean) / moving_std
        r = tf.clip_by_value(r, 1.0 / self.r_max, self.r_max)
        d = tf.clip_by_value(d, -self.d_max, self.d_max)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return normalized * (r * self.gamma) + (d * self.gamma + self.beta)

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
            mean, variance = tf.nn.moments(inputs, axes=list(range(inputs.shape.rank - 1)))
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                batch = tf.stop_gradient(batch)
                moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return super().call(inputs, training=False)


NORMALIZATIONS = {
    "batch": keras.layers.BatchNormalization,
    "renorm": BatchRenormalization,
    "moving": MovingNormalization,
}


def recalibrate(network, batches):
    """Re-estimate the moving statistics of a network's batch normalisations, at fixed weights.

    After training the moving averages lag behind the weights and carry the noise of the last batches; here each becomes
    the plain mean over ``batches``.

    Parameters
    ----------
    network : keras.Model
    batches : iterable of tensors
        Inputs of the network, as it sees them in use.
    """
    norms = [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [norm.momentum for norm in norms]
    try:
        for count, batch in enumerate(batches):
            for norm in norms:
                norm.momentum = count / (count + 1.0)
            network(batch, training=True)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
