"""Arithmetic of a training step, counted from the layer tables.

Only convolutions are counted, a multiplication and an addition as two operations; normalisation, activations,
losses, translation and Adam are left out. One pass of a convolution over an image costs

    2 · 4 · 4 · c_in · c_out · positions,

with ``positions`` those of the output (of the input for a transposed convolution), borders counted in full. The
gradient by the input and the gradient by the filters cost as much as the pass itself.
"""

from typing import NamedTuple

from davegan_tf.networks import KERNEL_SIZE, layer_table


class Costs(NamedTuple):
    """Operations of one pass of one image through each layer, input first."""

    encoder: tuple
    generator: tuple
    discriminator: tuple


def layer_costs(table, image_size, channels, latent_dim):
    """Operations of one pass of one image, layer by layer.

    Parameters
    ----------
    table : davegan_tf.networks.Table
    image_size : int, pixels
    channels, latent_dim : int

    Returns
    -------
    Costs
    """
    return Costs(
        _shrinking(table.encoder, image_size, channels),
        _growing(table.generator, latent_dim),
        _shrinking(table.discriminator, image_size, channels),
    )


def step_gflop(image_size, channels, latent_dim, batch, discriminator_width=1):
    """Operations of one training step in units of 10⁹: 0.319 for Table 3 at batch 4.

    Passes through each network, per sample:

    ========================  =======  ========  =================================================
    network                   forward  filters   input
    ========================  =======  ========  =================================================
    encoder                   1        1         1 (its own loss), not of the first layer
    generator                 2        2         2 (its own loss), 1 (the encoder's, down to z)
    discriminator             3        3         3 (its own loss), 2 (the generator's, to the images)
    ========================  =======  ========  =================================================

    The first layers of generator and discriminator need no gradient by their input for their own losses either; a
    compiler leaves them out (0.316).

    Parameters
    ----------
    image_size : int, pixels
    channels, latent_dim, batch, discriminator_width : int

    Returns
    -------
    float
    """
    costs = layer_costs(
        layer_table(image_size, channels, latent_dim, discriminator_width),
        image_size,
        channels,
        latent_dim,
    )
    encoder, generator, discriminator = map(sum, costs)
    sample = (
        3 * encoder
        - costs.encoder[0]
        + (2 + 2 + 2 + 1) * generator
        + (3 + 3 + 3 + 2) * discriminator
    )
    return batch * sample / 1e9


def _pass(c_in, c_out, positions):
    return 2 * KERNEL_SIZE**2 * c_in * c_out * positions


def _shrinking(rows, side, channels):
    """Convolutions: a stride of 2 halves the side ("same"), the last row is "valid"."""
    costs = []
    for row in rows:
        side = side // row.stride if row.padding == "same" else side - KERNEL_SIZE + 1
        costs.append(_pass(channels, row.filters, side**2))
        channels = row.filters
    return tuple(costs)


def _growing(rows, channels):
    """Transposed convolutions from 1 × 1 on."""
    costs, side = [], 1
    for row in rows:
        costs.append(_pass(channels, row.filters, side**2))
        side = side * row.stride if row.padding == "same" else side + KERNEL_SIZE - 1
        channels = row.filters
    return tuple(costs)
