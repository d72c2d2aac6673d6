"""The layers of a network as few large matrix products: the fast way through Tables 2 and 3 on CPUs.

XLA joins all operations of a training step but is slow at convolutions on CPUs. Here each convolution is one matrix
product, with the weights of the Keras layer that it stands for and the same result. A 4 × 4 convolution of stride 2
is a 2 × 2 convolution of stride 1 over blocks of 2 × 2 pixels, and the transposed one likewise, backwards; so the
gradient of either is computed by the other.

Feature maps are (channels, batch, height, width) in this file: a product's long side is then contiguous in memory, and
what belongs to a channel is one row. Runs under XLA only (``jit_compile=True``), with static shapes.
"""

import keras
import tensorflow as tf
from tensorflow.compiler.tf2xla.python.xla import optimization_barrier

from davegan_tf.normalization import BatchRenormalization, MovingNormalization, update_moving


def run_stack(stack, inputs, *, training=False, sets=1):
    """As :func:`davegan_tf.networks.run_stack`, by matrix products.

    The sets share every product; only batch normalisation keeps them apart. ``training`` may be a () bool tensor, so
    that one compiled program serves both.
    """
    features = tf.transpose(inputs, [3, 0, 1, 2])
    for convolution, normalization, slope in _blocks(stack):
        features = _convolve(convolution, features)
        if normalization is not None:
            features = _normalize(normalization, features, slope, training, sets)
        else:
            features = _biased(features, convolution.bias, slope)
    return tf.transpose(features, [1, 2, 3, 0])


def _blocks(stack):
    """The rows of the table: (convolution, batch normalisation or None, slope for negative values)."""
    blocks = []
    for layer in stack.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            blocks[-1][1] = layer
        elif isinstance(layer, keras.layers.LeakyReLU):
            blocks[-1][2] = layer.negative_slope
        else:
            blocks.append([layer, None, 1.0])
    return blocks


def materialize(values):
    """Keep XLA from computing ``values`` anew in each operation that reads them."""
    return optimization_barrier(values)[0]


# --- convolutions ------------------------------------------------------------------------------------------------


def _convolve(layer, features):
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    if layer.strides == (2, 2):
        return (_transposed_convolution if transposed else _convolution)(features, layer.kernel)
    kernel = layer.kernel
    size, _, channels, filters = kernel.shape
    if transposed:  # 1 × 1 pixels to 4 × 4
        product = tf.reshape(kernel, [-1, filters]) @ features[:, :, 0, 0]
        return tf.transpose(tf.reshape(product, [size, size, channels, -1]), [2, 3, 0, 1])
    # 4 × 4 pixels to 1 × 1
    pixels = tf.reshape(tf.transpose(features, [2, 3, 0, 1]), [size * size * channels, -1])
    product = tf.matmul(tf.reshape(kernel, [-1, filters]), pixels, transpose_a=True)
    return product[:, :, None, None]


@tf.custom_gradient
def _convolution(features, kernel):
    """Stride 2, "same": (C, n, 2 h, 2 w) and (4, 4, C, F) → (F, n, h, w)."""
    patches = _block_patches(features)
    product = tf.matmul(_rows(kernel), patches, transpose_a=True)
    n, height, width = features.shape[1], features.shape[2] // 2, features.shape[3] // 2

    def gradient(upstream):
        upstream = materialize(upstream)
        return _unfold(upstream, kernel), _kernel_gradient(patches, upstream, kernel.shape)

    return tf.reshape(product, [kernel.shape[-1], n, height, width]), gradient


@tf.custom_gradient
def _transposed_convolution(features, kernel):
    """Stride 2, "same": (F, n, h, w) and (4, 4, C, F) → (C, n, 2 h, 2 w)."""
    features = materialize(features)

    def gradient(upstream):
        patches = _block_patches(materialize(upstream))
        product = tf.matmul(_rows(kernel), patches, transpose_a=True)
        kernel_gradient = _kernel_gradient(patches, features, kernel.shape)
        return tf.reshape(product, features.shape), kernel_gradient

    return _unfold(features, kernel), gradient


def _block_patches(features):
    """(C, n, 2 h, 2 w) → (16 C, n h w): the 2 × 2 neighbouring blocks of 2 × 2 pixels that each result sees.

    Rows are in the order of a kernel's: row of the kernel (that of the block, that within it), column, channel.
    """
    channels, n, height, width = features.shape
    rows, columns = height // 2, width // 2
    padded = tf.pad(features, [[0, 0], [0, 0], [1, 1], [1, 1]])
    blocks = tf.reshape(padded, [channels, n, rows + 1, 2, columns + 1, 2])
    blocks = materialize(tf.transpose(blocks, [3, 5, 0, 1, 2, 4]))
    patches = [
        blocks[i, ..., a : a + rows, b : b + columns]
        for a in (0, 1)
        for i in (0, 1)
        for b in (0, 1)
    ]
    return tf.reshape(tf.stack(patches), [16 * channels, n * rows * columns])


def _rows(kernel):
    """(4, 4, C, F) → (16 C, F), in the order of :func:`_block_patches`."""
    return tf.reshape(kernel, [-1, kernel.shape[-1]])


def _kernel_gradient(patches, values, shape):
    """(16 C, m) and (F, n, h, w) with n h w = m → the gradient of a kernel of this shape."""
    product = tf.matmul(patches, tf.reshape(values, [shape[-1], -1]), transpose_b=True)
    return tf.reshape(product, shape)


def _unfold(features, kernel):
    """The transposed convolution: (F, n, h, w) and (4, 4, C, F) → (C, n, 2 h, 2 w)."""
    filters, n, rows, columns = features.shape
    channels = kernel.shape[2]
    padded = materialize(tf.pad(features, [[0, 0], [0, 0], [1, 1], [1, 1]]))
    # A block of results sees 2 × 2 neighbouring pixels; there is one block more than pixels, half outside.
    patches = [
        padded[..., 1 - i : 2 - i + rows, 1 - j : 2 - j + columns] for i in (0, 1) for j in (0, 1)
    ]
    patches = tf.reshape(tf.stack(patches), [4 * filters, n * (rows + 1) * (columns + 1)])
    kernel = tf.reshape(kernel, [2, 2, 2, 2, channels, filters])
    kernel = tf.reshape(tf.transpose(kernel, [1, 3, 4, 0, 2, 5]), [4 * channels, 4 * filters])
    blocks = kernel @ patches
    blocks = tf.reshape(blocks, [2, 2, channels, n, rows + 1, columns + 1])
    pixels = tf.transpose(blocks, [2, 3, 4, 0, 5, 1])
    pixels = tf.reshape(pixels, [channels, n, 2 * rows + 2, 2 * columns + 2])
    return materialize(pixels[..., 1:-1, 1:-1])


@tf.custom_gradient
def _biased(features, bias, slope):
    """leaky_relu(features + bias), (C, …) and (C,)."""
    values = materialize(features) + bias[:, None, None, None]

    def gradient(upstream):
        upstream = materialize(tf.where(values > 0, upstream, slope * upstream))
        rows = _by_set(upstream, 1)
        return upstream, rows.shape[-1] * _means(rows)[:, 0], None

    return tf.maximum(values, slope * values), gradient


# --- batch normalisation and activation --------------------------------------------------------------------------


def _normalize(layer, features, slope, training, sets):
    """Batch normalisation as ``layer`` would do it to one set after the other, then leaky ReLU."""
    mean, variance = _moments(features, sets)
    statistics = []  # of each set: mean and variance to normalise by, scale and offset
    for each in zip(tf.unstack(mean, axis=1), tf.unstack(variance, axis=1), strict=True):
        scale, offset = tf.convert_to_tensor(layer.gamma), tf.convert_to_tensor(layer.beta)
        if isinstance(layer, BatchRenormalization):
            r, d = layer.corrections(*each)
            scale, offset = (
                _where(training, r * scale, scale),
                _where(training, d * scale + offset, offset),
            )
        momentum = _where(training, layer.momentum, 1.0)
        update_moving(layer, *each, momentum)
        moving = (
            tf.convert_to_tensor(layer.moving_mean),
            tf.convert_to_tensor(layer.moving_variance),
        )
        if isinstance(layer, MovingNormalization):
            each = moving
        else:
            each = [_where(training, own, other) for own, other in zip(each, moving, strict=True)]
        statistics.append([*each, scale, offset])
    mean, variance, scale, offset = (
        tf.stack(each, axis=1) for each in zip(*statistics, strict=True)
    )
    inverse_std = tf.math.rsqrt(variance + layer.epsilon)
    through = 0.0 if isinstance(layer, MovingNormalization) else _where(training, 1.0, 0.0)
    return _affine(features, mean, inverse_std, scale, offset, through, slope)


def _where(condition, a, b):
    """``a`` if the condition holds, else ``b``; the condition may be a bool or a () bool tensor."""
    if isinstance(condition, bool):
        return a if condition else b
    return tf.where(condition, a, b)


def _by_set(features, sets):
    """(C, n, h, w) → (C, sets, n h w / sets)."""
    return tf.reshape(features, [features.shape[0], sets, -1])


def _means(rows):
    """(C, sets, m) → (C, sets)."""
    return tf.reduce_mean(rows, axis=-1)


def _moments(features, sets):
    """Mean and biased variance by channel and set, (C, sets) each, as constants for the gradient."""
    rows = _by_set(tf.stop_gradient(materialize(features)), sets)
    mean = _means(rows)
    return mean, _means(materialize(tf.square(rows - mean[:, :, None])))


@tf.custom_gradient
def _affine(features, mean, inverse_std, scale, offset, through, slope):
    """leaky_relu(scale · (features − mean) · inverse_std + offset), the four of them (C, sets).

    ``through`` is 1 where mean and inverse standard deviation are those of the features themselves, so that the
    gradient flows through them, 0 where they are constants.
    """
    rows = _by_set(materialize(features), mean.shape[1])
    mean, inverse_std, scale, offset = (
        each[:, :, None] for each in (mean, inverse_std, scale, offset)
    )

    def normalized():
        return (rows - mean) * inverse_std

    values = normalized() * scale + offset

    def gradient(upstream):
        upstream = tf.reshape(upstream, rows.shape)
        values = normalized() * scale + offset
        upstream = materialize(tf.where(values > 0, upstream, slope * upstream))
        offset_mean = _means(upstream)
        scale_mean = _means(materialize(upstream * normalized()))
        common = offset_mean[:, :, None] + normalized() * scale_mean[:, :, None]
        by_features = scale * inverse_std * (upstream - through * common)
        count = rows.shape[-1]
        return (
            tf.reshape(by_features, features.shape),
            None,
            None,
            count * scale_mean,
            count * offset_mean,
            None,
            None,
        )

    return tf.reshape(tf.maximum(values, slope * values), features.shape), gradient
