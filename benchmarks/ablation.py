"""What each idea of ``davegan_tf.matrix_products`` brings: the same step without it.

Every ablation computes the same numbers by slower operations.
"""

import tensorflow as tf

from davegan_tf import matrix_products, networks
from davegan_tf.backends import BACKENDS


def _no_barriers():
    """XLA may compute whatever it likes anew in every operation that reads it."""
    matrix_products.materialize = tf.identity
    _draws_in_place()


def _automatic_gradients():
    """The gradients of the convolutions by automatic differentiation of their forward passes."""
    _no_barriers()  # a barrier has no gradient of its own

    def convolution(features, kernel):
        product = tf.matmul(
            matrix_products._rows(kernel),
            matrix_products._block_patches(features),
            transpose_a=True,
        )
        _, n, height, width = features.shape
        return tf.reshape(product, [kernel.shape[-1], n, height // 2, width // 2])

    matrix_products._convolution = convolution
    matrix_products._transposed_convolution = matrix_products._unfold


def _separate_passes():
    """Each of D's three and G's two sets passes the network alone."""
    together = matrix_products.run_stack

    def run_stack(stack, inputs, *, training=False, sets=1):
        outputs = [together(stack, part, training=training) for part in tf.split(inputs, sets)]
        return tf.concat(outputs, axis=0)

    _replace(run_stack=run_stack)


def _draws_in_place():
    """XLA may compute the random numbers anew in every operation that reads them."""
    _replace(materialize=lambda values: values)


def _library_convolutions():
    """XLA's own convolutions."""
    _replace(run_stack=networks.run_stack, switches=False)


def _replace(**parts):
    BACKENDS["xla_matmul"] = BACKENDS["xla_matmul"]._replace(**parts)


ABLATIONS = {
    "no_barriers": _no_barriers,
    "automatic_gradients": _automatic_gradients,
    "separate_passes": _separate_passes,
    "draws_in_place": _draws_in_place,
    "library_convolutions": _library_convolutions,
}
