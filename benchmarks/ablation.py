"""What each idea of ``davegan_tf.matrix_products`` brings: the same step without it.

Every ablation computes the same numbers by slower operations.
"""

import tensorflow as tf

from davegan_tf import flat_weights, matrix_products, networks
from davegan_tf.backends import BACKENDS


def _no_barriers():
    """XLA may compute whatever it likes anew in every operation that reads it."""
    matrix_products.materialize = tf.identity
    _draws_in_place()


def _automatic_gradients():
    """The gradients of the convolutions by automatic differentiation of their forward passes."""
    _no_barriers()  # a barrier has no gradient of its own

    def automatic(result_of):
        def convolve(features, kernel):
            result = result_of(features, kernel)

            def pull(upstreams, lowest):
                by_features = []
                for each in upstreams[-1:] if lowest else upstreams:
                    # Of some images alone: what the others are does not matter to their gradient.
                    missing = features.shape[1] - each.shape[1]
                    filled = tf.pad(each, [[0, 0], [0, missing], [0, 0], [0, 0]])
                    gradient = tf.gradients(result, features, filled)[0]
                    by_features.append(gradient[:, : each.shape[1]])
                return by_features, tf.gradients(result, kernel, upstreams[0])[0]

            return result, pull

        return convolve

    by_hand = matrix_products._convolution
    matrix_products._convolution = automatic(lambda *arguments: by_hand(*arguments)[0])
    matrix_products._transposed_convolution = automatic(matrix_products._unfold)


def _operands_in_place():
    """Products with the transposes of kernels, and of few columns, as they come."""
    matrix_products._columns = lambda kernel: tf.transpose(
        tf.reshape(kernel, [-1, kernel.shape[-1]])
    )
    matrix_products._few_columns = lambda rows, pixels: tf.matmul(rows, pixels, transpose_a=True)


def _bordered(features):
    """(C, n, h, w) → (C, n, h + 2, w + 2), zeros around."""
    return tf.pad(features, [[0, 0], [0, 0], [1, 1], [1, 1]])


def _pixels_in_place():
    """Patches copied together from where their pixels are."""

    def planes(features):
        features = _bordered(features)
        channels, n, height, width = features.shape
        blocks = tf.reshape(features, [channels, n, height // 2, 2, width // 2, 2])
        return tf.transpose(blocks, [3, 5, 0, 1, 2, 4])

    matrix_products._planes = planes


def _borders_first():
    """Feature maps with a border of zeros, from which planes and patches are then cut."""

    def planes(features):
        features = matrix_products.materialize(_bordered(features))
        return tf.stack([tf.stack([features[..., i::2, j::2] for j in (0, 1)]) for i in (0, 1)])

    def pixel_patches(features):
        filters, n, rows, columns = features.shape
        features = matrix_products.materialize(_bordered(features))
        patches = [
            features[..., 1 - i : 2 - i + rows, 1 - j : 2 - j + columns]
            for i in (0, 1)
            for j in (0, 1)
        ]
        return tf.reshape(tf.stack(patches), [4 * filters, n * (rows + 1) * (columns + 1)])

    matrix_products._planes, matrix_products._pixel_patches = planes, pixel_patches


def _uneven_vectors():
    """Vectors of weights as long as there are weights."""
    flat_weights.LENGTH_UNIT = 1


def _gradients_apart():
    """The gradient of each loss by itself, through all sets of every network on its way."""
    at_once = matrix_products.run_stack

    def run_stack(stack, inputs, *, read_by_others=None, **how):
        outputs = at_once(stack, inputs, **how)
        return outputs if read_by_others is None else (outputs, outputs)

    _replace(run_stack=run_stack, routed=False)


def _separate_passes():
    """Each of D's three and G's two sets passes the network alone."""
    together = matrix_products.run_stack

    def run_stack(stack, inputs, *, sets=1, read_by_others=None, **how):
        read = None if read_by_others is None else (0,)
        parts = [
            together(stack, part, read_by_others=read, **how) for part in tf.split(inputs, sets)
        ]
        if read is None:
            return tf.concat(parts, axis=0)
        return tuple(tf.concat(each, axis=0) for each in zip(*parts, strict=True))

    _replace(run_stack=run_stack)


def _weights_apart():
    """Every weight with an update of its own."""
    _replace(flat=False)


def _draws_in_place():
    """XLA may compute the random numbers anew in every operation that reads them."""
    _replace(materialize=lambda values: values)


def _library_convolutions():
    """XLA's own convolutions."""
    _replace(run_stack=networks.run_stack, switches=False, routed=False, flat=False)


def _replace(**parts):
    BACKENDS["xla_matmul"] = BACKENDS["xla_matmul"]._replace(**parts)


ABLATIONS = {
    "no_barriers": _no_barriers,
    "automatic_gradients": _automatic_gradients,
    "operands_in_place": _operands_in_place,
    "pixels_in_place": _pixels_in_place,
    "borders_first": _borders_first,
    "uneven_vectors": _uneven_vectors,
    "gradients_apart": _gradients_apart,
    "separate_passes": _separate_passes,
    "weights_apart": _weights_apart,
    "draws_in_place": _draws_in_place,
    "library_convolutions": _library_convolutions,
}
