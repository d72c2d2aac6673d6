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


# Nothing here branches by a tensor's value, and autograph would convert every function that goes backwards anew.
@tf.autograph.experimental.do_not_convert
def run_stack(stack, inputs, *, training=False, sets=1, read_by_others=None, values_of=None):
    """As :func:`davegan_tf.networks.run_stack`, by matrix products; a gradient goes to the weights or to the inputs.

    The sets share every product; only batch normalisation keeps them apart. ``training`` may be a () bool tensor, so
    that one compiled program serves both.

    With ``read_by_others`` what the first output's losses have goes backwards to the weights alone, what the second's
    have to the inputs alone, and only through the sets that are read: the losses of all networks then have their
    gradients at once, and nothing is computed that no optimizer uses.

    ``values_of`` gives the tensors for the network's trainable variables, by default their values.
    """
    blocks = _blocks(stack)
    variables = [variable for block in blocks for variable in _weights(*block[:2])]
    values = iter(values_of(variables) if values_of else map(tf.convert_to_tensor, variables))
    weights = [[next(values) for _ in _weights(*block[:2])] for block in blocks]

    @tf.custom_gradient
    def outputs_of(inputs, *_):
        ways = _Ways(inputs.shape[0], sets, read_by_others)
        features, pulls = tf.transpose(inputs, [3, 0, 1, 2]), []
        for (convolution, normalization, slope), (kernel, *others) in zip(
            blocks, weights, strict=True
        ):
            features, pull_convolution = _convolve(convolution, features, kernel)
            if normalization is None:
                features, pull = _biased(features, *others, slope, ways)
            else:
                features, pull = _normalize(normalization, features, *others, slope, training, ways)
            pulls.append((pull_convolution, pull))
        outputs = tf.transpose(features, [1, 2, 3, 0])

        def gradient(*upstreams):
            upstreams = ways.begin([tf.transpose(each, [3, 0, 1, 2]) for each in upstreams])
            by_weights = []
            for pull_convolution, pull in reversed(pulls):
                upstreams, by_others = pull(upstreams)
                lowest = pull_convolution is pulls[0][0]
                upstreams, by_kernel = pull_convolution(upstreams, lowest)
                by_weights[:0] = [by_kernel, *by_others]
            return (tf.transpose(ways.end(upstreams), [1, 2, 3, 0]), *by_weights)

        both = outputs if read_by_others is None else (outputs, tf.identity(outputs))
        return both, gradient

    return outputs_of(inputs, *[each for its in weights for each in its])


class _Ways:
    """The ways backwards through a network: of all sets for the weights, and of the sets read for the inputs.

    Each has an upstream of its own, (C, n of its sets, h, w). Where nothing is read by others there is but one way, for
    both.
    """

    def __init__(self, batch, sets, read_by_others):
        self.batch, self.of_set, self.sets = batch, batch // sets, sets
        self.ranges = [slice(0, sets)]
        if read_by_others is not None:
            self.ranges.append(slice(read_by_others[0], read_by_others[-1] + 1))

    def begin(self, upstreams):
        """Of those of each output's whole batch."""
        return [
            each[:, self._images(its)] for each, its in zip(upstreams, self.ranges, strict=True)
        ]

    def part(self, *values):
        """(C, sets, …) each → for each way its sets of all of them."""
        return [[each[:, its] for each in values] for its in self.ranges]

    def end(self, upstreams):
        """The gradient of all inputs, zero for those sets that nobody reads."""
        images = self._images(self.ranges[-1])
        around = [images.start, self.batch - images.stop]
        return tf.pad(upstreams[-1], [[0, 0], around, [0, 0], [0, 0]])

    def _images(self, sets):
        return slice(sets.start * self.of_set, sets.stop * self.of_set)


def _weights(convolution, normalization):
    if normalization is None:
        return convolution.kernel, convolution.bias
    return convolution.kernel, normalization.gamma, normalization.beta


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
    """Keep XLA from computing ``values`` anew in each operation that reads them.

    Before and after a reshape, too: else the operation that writes, or those that read, find the place of every single
    number by divisions.
    """
    return optimization_barrier(values)[0]


# --- convolutions: each returns its result, and the function that goes backwards: from the upstreams of all ways to
# those of the features (at the lowest layer of the last way alone, as the weights need none) and the kernel's gradient


def _convolve(layer, features, kernel):
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    if layer.strides == (2, 2):
        return (_transposed_convolution if transposed else _convolution)(features, kernel)
    return (_from_one_pixel if transposed else _to_one_pixel)(features, kernel)


def _needed(upstreams, lowest):
    return upstreams[-1:] if lowest else upstreams


def _from_one_pixel(features, kernel):
    """(F, n, 1, 1) and (4, 4, C, F) → (C, n, 4, 4)."""
    size, _, channels, filters = kernel.shape
    rows = tf.reshape(kernel, [-1, filters])
    features = features[:, :, 0, 0]
    product = tf.reshape(rows @ features, [size, size, channels, -1])

    def pull(upstreams, lowest):
        upstreams = [
            tf.reshape(tf.transpose(each, [2, 3, 0, 1]), [rows.shape[0], -1]) for each in upstreams
        ]
        by_features = [
            _few_columns(rows, each)[:, :, None, None] for each in _needed(upstreams, lowest)
        ]
        by_kernel = tf.matmul(upstreams[0], features, transpose_b=True)
        return by_features, tf.reshape(by_kernel, kernel.shape)

    return tf.transpose(product, [2, 3, 0, 1]), pull


def _to_one_pixel(features, kernel):
    """(C, n, 4, 4) and (4, 4, C, F) → (F, n, 1, 1)."""
    size, _, channels, filters = kernel.shape
    rows = tf.reshape(kernel, [-1, filters])
    pixels = tf.reshape(tf.transpose(features, [2, 3, 0, 1]), [rows.shape[0], -1])
    product = _few_columns(rows, pixels)

    def pull(upstreams, lowest):
        upstreams = [each[:, :, 0, 0] for each in upstreams]
        by_pixels = [
            tf.reshape(rows @ each, [size, size, channels, -1])
            for each in _needed(upstreams, lowest)
        ]
        by_kernel = tf.matmul(pixels, upstreams[0], transpose_b=True)
        by_features = [tf.transpose(each, [2, 3, 0, 1]) for each in by_pixels]
        return by_features, tf.reshape(by_kernel, kernel.shape)

    return product[:, :, None, None], pull


def _few_columns(rows, pixels):
    """(K, F) and (K, n) → (F, n): their product by way of its transpose, as XLA is faster so with few columns n."""
    return tf.transpose(materialize(tf.matmul(pixels, rows, transpose_a=True)))


def _convolution(features, kernel):
    """Stride 2, "same": (C, n, 2 h, 2 w) and (4, 4, C, F) → (F, n, h, w)."""
    patches = _block_patches(features)
    product = _columns(kernel) @ patches
    n, height, width = features.shape[1], features.shape[2] // 2, features.shape[3] // 2

    def pull(upstreams, lowest):
        upstreams = [materialize(each) for each in upstreams]
        by_features = [_unfold(each, kernel) for each in _needed(upstreams, lowest)]
        return by_features, _kernel_gradient(patches, upstreams[0], kernel.shape)

    return tf.reshape(product, [kernel.shape[-1], n, height, width]), pull


def _transposed_convolution(features, kernel):
    """Stride 2, "same": (F, n, h, w) and (4, 4, C, F) → (C, n, 2 h, 2 w)."""
    features = materialize(features)

    def pull(upstreams, lowest):
        patches = [_block_patches(materialize(each)) for each in upstreams]
        columns = _columns(kernel)
        by_features = [
            tf.reshape(columns @ each, [features.shape[0], -1, *features.shape[2:]])
            for each in _needed(patches, lowest)
        ]
        return by_features, _kernel_gradient(patches[0], features, kernel.shape)

    return _unfold(features, kernel), pull


def _block_patches(features):
    """(C, n, 2 h, 2 w) → (16 C, n h w): the 2 × 2 neighbouring blocks of 2 × 2 pixels that each result sees.

    Rows are in the order of a kernel's: row of the kernel (that of the block, that within it), column, channel.
    """
    channels, n, height, width = features.shape
    rows, columns = height // 2, width // 2
    planes = materialize(_planes(features))
    patches = [
        planes[i, ..., a : a + rows, b : b + columns]
        for a in (0, 1)
        for i in (0, 1)
        for b in (0, 1)
    ]
    return tf.reshape(tf.stack(patches), [16 * channels, n * rows * columns])


def _planes(features):
    """(C, n, 2 h, 2 w) → (2, 2, C, n, h + 1, w + 1): a plane for each place within a block of 2 × 2 pixels.

    The blocks are those of the feature maps with a border of one zero. By strides, as XLA would leave pixels in place
    for a transposition, and patches then be copied pixel by pixel; each plane with a border of its own, as XLA writes
    them in one operation then, and not the bordered maps first.
    """

    def plane(i, j):
        return tf.pad(
            features[..., 1 - i :: 2, 1 - j :: 2], [[0, 0], [0, 0], [1 - i, i], [1 - j, j]]
        )

    return tf.stack([tf.stack([plane(i, j) for j in (0, 1)]) for i in (0, 1)])


def _columns(kernel):
    """(4, 4, C, F) → (F, 16 C), in the order of :func:`_block_patches`.

    Written out, as XLA's products with the transpose of a matrix are slower than those with the matrix.
    """
    return materialize(tf.transpose(tf.reshape(kernel, [-1, kernel.shape[-1]])))


def _kernel_gradient(patches, values, shape):
    """(16 C, m) and (F, n, h, w) with n h w = m → the gradient of a kernel of this shape."""
    product = tf.matmul(patches, tf.reshape(values, [shape[-1], -1]), transpose_b=True)
    return tf.reshape(product, shape)


def _unfold(features, kernel):
    """The transposed convolution: (F, n, h, w) and (4, 4, C, F) → (C, n, 2 h, 2 w)."""
    filters, n, rows, columns = features.shape
    channels = kernel.shape[2]
    kernel = tf.reshape(kernel, [2, 2, 2, 2, channels, filters])
    kernel = materialize(tf.transpose(kernel, [1, 3, 4, 0, 2, 5]))
    blocks = tf.reshape(kernel, [4 * channels, 4 * filters]) @ _pixel_patches(features)
    blocks = tf.reshape(blocks, [2, 2, channels, n, rows + 1, columns + 1])
    pixels = tf.transpose(blocks, [2, 3, 4, 0, 5, 1])
    pixels = tf.reshape(pixels, [channels, n, 2 * rows + 2, 2 * columns + 2])
    return materialize(pixels[..., 1:-1, 1:-1])


def _pixel_patches(features):
    """(F, n, h, w) → (4 F, n (h + 1) (w + 1)): the 2 × 2 neighbouring pixels that each block of results sees.

    There is one block more than pixels, half outside.
    """
    filters, n, rows, columns = features.shape
    patches = [
        tf.pad(features, [[0, 0], [0, 0], [i, 1 - i], [j, 1 - j]]) for i in (0, 1) for j in (0, 1)
    ]
    patches = materialize(tf.stack(patches))
    return tf.reshape(patches, [4 * filters, n * (rows + 1) * (columns + 1)])


# --- bias or batch normalisation, and activation: each returns its result, and the function that goes backwards: from
# the upstreams of all ways to those of the features and the gradients of bias, or scale and offset


def _biased(features, bias, slope, ways):
    """leaky_relu(features + bias), (C, …) and (C,)."""
    values = materialize(features) + bias[:, None, None, None]

    def pull(upstreams):
        by_features = []
        for upstream, (its,) in zip(upstreams, ways.part(_by_set(values, ways.sets)), strict=True):
            its = tf.reshape(its, upstream.shape)
            by_features.append(materialize(tf.where(its > 0, upstream, slope * upstream)))
        return by_features, [_sums(_by_set(by_features[0], 1))[:, 0]]

    return tf.maximum(values, slope * values), pull


def _normalize(layer, features, gamma, beta, slope, training, ways):
    """Batch normalisation as ``layer`` would do it to one set after the other, then leaky ReLU."""
    mean, variance = own = _moments(features, ways.sets)
    moving, corrections = [], []  # of each set; the latter are r and d of batch renormalisation
    for each in zip(*(tf.unstack(part, axis=1) for part in own), strict=True):
        if isinstance(layer, BatchRenormalization):
            r, d = layer.corrections(*each)
            r, d = _where(training, r, tf.ones_like(r)), _where(training, d, tf.zeros_like(d))
            corrections.append((r, d))
        update_moving(layer, *each, _where(training, layer.momentum, 1.0))
        moving.append([tf.convert_to_tensor(v) for v in (layer.moving_mean, layer.moving_variance)])
    if isinstance(layer, MovingNormalization):
        mean, variance = _by_channel(moving)
    else:
        # The moving ones where they stay what they are.
        mean, variance = (
            _where(training, part, known[:, None])
            for part, known in zip(own, moving[0], strict=True)
        )
    scale, offset = gamma[:, None], beta[:, None]
    if corrections:
        r, d = _by_channel(corrections)
        scale, offset = r * scale, d * scale + offset
    shape = [features.shape[0], ways.sets]
    mean, variance, scale, offset = (
        tf.broadcast_to(each, shape)[:, :, None] for each in (mean, variance, scale, offset)
    )
    inverse_std = tf.math.rsqrt(variance + layer.epsilon)
    # 1 where mean and inverse standard deviation are those of the features themselves, so that the gradient flows
    # through them, 0 where they are constants.
    through = 0.0 if isinstance(layer, MovingNormalization) else _where(training, 1.0, 0.0)
    rows = _by_set(materialize(features), ways.sets)
    values = (rows - mean) * inverse_std * scale + offset

    def pull(upstreams):
        known = ways.part(rows, mean, inverse_std, scale, offset)
        found = [
            _pull_affine(upstream, *its, through, slope)
            for upstream, its in zip(upstreams, known, strict=True)
        ]
        _, by_scale, by_offset = found[0]
        by_gamma = by_scale
        if corrections:
            by_gamma = r * by_scale + d * by_offset
        by_weights = [tf.reduce_sum(each, axis=1) for each in (by_gamma, by_offset)]
        return [by_features for by_features, _, _ in found], by_weights

    return tf.reshape(tf.maximum(values, slope * values), features.shape), pull


def _pull_affine(upstream, rows, mean, inverse_std, scale, offset, through, slope):
    """The upstream of leaky_relu(scale · (rows − mean) · inverse_std + offset) → that of the rows, scale and offset."""

    def normalized():
        return (rows - mean) * inverse_std

    shape = upstream.shape
    upstream = tf.reshape(upstream, rows.shape)
    values = normalized() * scale + offset
    upstream = materialize(tf.where(values > 0, upstream, slope * upstream))
    offset_mean = _means(upstream)
    scale_mean = _means(materialize(upstream * normalized()))
    common = offset_mean[:, :, None] + normalized() * scale_mean[:, :, None]
    by_rows = materialize(scale * inverse_std * (upstream - through * common))
    count = rows.shape[-1]
    return tf.reshape(by_rows, shape), count * scale_mean, count * offset_mean


def _where(condition, a, b):
    """``a`` if the condition holds, else ``b``; the condition may be a bool or a () bool tensor."""
    if isinstance(condition, bool):
        return a if condition else b
    return tf.where(condition, a, b)


def _by_channel(of_sets):
    """Pairs of (C,) for each set → (C, sets) twice."""
    return [tf.stack(each, axis=1) for each in zip(*of_sets, strict=True)]


def _by_set(features, sets):
    """(C, n, h, w) → (C, sets, n h w / sets)."""
    return tf.reshape(features, [features.shape[0], sets, -1])


def _sums(rows):
    """(C, sets, m) → (C, sets)."""
    return tf.reduce_sum(rows, axis=-1)


def _means(rows):
    """(C, sets, m) → (C, sets)."""
    return tf.reduce_mean(rows, axis=-1)


def _moments(features, sets):
    """Mean and biased variance by channel and set, (C, sets) each, as constants for the gradient."""
    rows = _by_set(materialize(features), sets)
    mean = _means(rows)
    return mean, _means(materialize(tf.square(rows - mean[:, :, None])))
