"""The encoder's last convolution, summed in blocks, so that float32 keeps the digits of z.

Each of its results is a sum of 1024 terms (Table 3) in which a large part common to all images runs up to 200, before
batch normalisation makes a log-variance of 5 to 12 of it. Added up one after the other, the terms leave a rounding of
1.7e-5 in z_log_var, and every runtime, with an order of its own, another one. In blocks of 64 terms, one for each
pixel, it is a fifth of that.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("davegan_tf")
class BlockedSumConv2D(keras.layers.Conv2D):
    """``Conv2D`` with padding "valid" on images of its kernel's size.

    The weights are the same, and the result but for rounding. With batch statistics (``training``) it is Keras' own, as
    a rounding means nothing there.
    """

    def call(self, inputs, training=False):
        """(n, height, width, channels) → (n, 1, 1, filters)."""
        if training:
            return super().call(inputs)
        pixels = tf.transpose(inputs, [1, 2, 0, 3])
        total = tf.reduce_sum(tf.matmul(pixels, tf.cast(self.kernel, inputs.dtype)), axis=(0, 1))
        if self.use_bias:
            total += tf.cast(self.bias, total.dtype)
        return total[:, None, None]
