"""What each idea of ``davegan_tf.matrix_products`` brings: the same step without it.

Every ablation computes the same numbers by slower operations.
"""

import tensorflow as tf

from davegan_tf import matrix_products, networks


def _no_barriers():
    """XLA may compute a feature map anew in every operation that reads it."""
    matrix_products._materialize = tf.identity


def _automatic_gradients():
    """The gradients of the convolutions by automatic differentiation of their forward passes."""
    _no_barriers()  # a barrier has no gradient of its own

    def convolution(features, kernel):
        product = tf.matmul(
            matrix_products._block_kernel(kernel),
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
        parts = tf.split(inputs, sets) if training else [inputs]
        return tf.concat([together(stack, part, training=training) for part in parts], axis=0)

    _use(run_stack)


def _reduced_sums():
    """Sums along rows by reductions instead of products with ones."""
    matrix_products._row_means = lambda rows: tf.reduce_mean(rows, axis=-1)


def _library_convolutions():
    """XLA's own convolutions."""
    _use(networks.run_stack)


def _use(run_stack):
    from davegan_tf.backends import BACKENDS

    BACKENDS["xla_matmul"] = BACKENDS["xla_matmul"]._replace(run_stack=run_stack)


ABLATIONS = {
    "no_barriers": _no_barriers,
    "automatic_gradients": _automatic_gradients,
    "separate_passes": _separate_passes,
    "reduced_sums": _reduced_sums,
    "library_convolutions": _library_convolutions,
}
