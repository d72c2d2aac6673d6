"""Encoder, generator (= decoder) and discriminator, layer by layer as in Tables 2 and 3.

Table 2 is for images of side 32, Table 3 for side 64. Sides 128 and 256 are our extension: Table 3 with one or two
more stride-2 layers at the full-resolution end. All kernels are 4 × 4. A layer followed by batch normalisation has no
bias: the offset of the normalisation replaces it.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from davegan_tf.blocked_sum import BlockedSumConv2D
from davegan_tf.normalization import NORMALIZATIONS

KERNEL_SIZE = 4
IMAGE_SIZES = (32, 64, 128, 256)


class Row(NamedTuple):
    """One line of Table 2 or 3."""

    filters: int
    stride: int
    padding: str
    batch_norm: bool
    activation: str


class Table(NamedTuple):
    """One table: the rows of each model, input first."""

    encoder: tuple
    generator: tuple
    discriminator: tuple


def layer_table(image_size, channels=1, latent_dim=32, discriminator_width=1):
    """The layer table for one image size.

    Parameters
    ----------
    image_size : int, one of 32 (Table 2), 64 (Table 3), 128, 256 (our extension of Table 3)
    channels : int, channels of an image: 1 for two phases, K for K ≥ 3 phases
    latent_dim : int, dimension of z; the encoder's last layer has twice as many filters
    discriminator_width : int, factor on the filters of the discriminator's layers, the last one apart (1: the tables)

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        For another image size, or two channels.
    """
    lrelu, out = "leaky_relu", "sigmoid" if channels == 1 else "softmax"
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image_size is {image_size}, expected one of {IMAGE_SIZES}")
    if channels == 2:
        raise ValueError("channels is 2, expected 1 for two phases or K for K ≥ 3 phases")
    d = discriminator_width
    if image_size == 32:
        return Table(
            encoder=(
                Row(16, 2, "same", False, lrelu),
                Row(32, 2, "same", True, lrelu),
                Row(64, 2, "same", True, lrelu),
                Row(2 * latent_dim, 1, "valid", True, lrelu),
            ),
            generator=(
                Row(64, 1, "valid", True, lrelu),
                Row(32, 2, "same", True, lrelu),
                Row(16, 2, "same", True, lrelu),
                Row(channels, 2, "same", True, out),
            ),
            discriminator=(
                Row(8 * d, 2, "same", False, lrelu),
                Row(16 * d, 2, "same", True, lrelu),
                Row(32 * d, 2, "same", True, lrelu),
                Row(1, 1, "valid", True, "sigmoid"),
            ),
        )
    more = {64: 0, 128: 1, 256: 2}[image_size]
    return Table(
        encoder=(
            Row(16, 2, "same", False, lrelu),
            *more * (Row(16, 2, "same", True, lrelu),),
            Row(16, 2, "same", True, lrelu),
            Row(32, 2, "same", True, lrelu),
            Row(64, 2, "same", True, lrelu),
            Row(2 * latent_dim, 1, "valid", True, lrelu),
        ),
        generator=(
            Row(64, 1, "valid", True, lrelu),
            Row(32, 2, "same", True, lrelu),
            Row(32, 2, "same", True, lrelu),
            Row(16, 2, "same", True, lrelu),
            *more * (Row(16, 2, "same", True, lrelu),),
            Row(channels, 2, "same", False, out),
        ),
        discriminator=(
            Row(4 * d, 2, "same", False, lrelu),
            *more * (Row(4 * d, 2, "same", True, lrelu),),
            Row(8 * d, 2, "same", True, lrelu),
            Row(16 * d, 2, "same", True, lrelu),
            Row(32 * d, 2, "same", True, lrelu),
            Row(1, 1, "valid", True, "sigmoid"),
        ),
    )


def _stack(input_shape, rows, convolution, *, slope, normalizations, momentum, precision, seed):
    """A Sequential of the rows; the last row's sigmoid or softmax is left to the caller, who needs the logits."""
    # Said for every layer: other packages change Keras' global default.
    dtype = keras.dtype_policies.DTypePolicy(precision)
    # A name of its own: Keras would number the Sequentials of a process, and their variables' paths with them.
    stack = keras.Sequential([keras.Input(input_shape)], name="layers")
    for index, (row, kind) in enumerate(zip(rows, normalizations, strict=True)):
        stack.add(
            convolution(
                row.filters,
                KERNEL_SIZE,
                strides=row.stride,
                padding=row.padding,
                use_bias=not row.batch_norm,
                kernel_initializer=keras.initializers.GlorotUniform(seed=seed + index),
                dtype=dtype,
                name=f"layer_{index + 1}",
            )
        )
        if row.batch_norm:
            name = f"layer_{index + 1}_batch_norm"
            stack.add(NORMALIZATIONS[kind](momentum=momentum, dtype=dtype, name=name))
        if row.activation == "leaky_relu":
            name = f"layer_{index + 1}_leaky_relu"
            stack.add(keras.layers.LeakyReLU(negative_slope=slope, dtype=dtype, name=name))
    return stack


def run_stack(stack, inputs, *, training=False, sets=1, read_by_others=None):
    """A network's layers, one after the other.

    Parameters
    ----------
    stack : keras.Sequential
    inputs : (batch, height, width, channels) float
    training : bool
    sets : int
        In training, the batch is that many sets of equal size, one after the other in the batch, which pass batch
        normalisation as batches of their own.

    read_by_others : tuple of int or None
        Sets, side by side, whose outputs the losses of other networks read.

    Returns
    -------
    (batch, height, width, filters) float
        With ``read_by_others`` twice: for the losses of this network's weights, and for those of others. Here they are
        one and the same; :func:`davegan_tf.matrix_products.run_stack` knows by them where a gradient has to go.
    """
    if sets == 1 or not training:
        outputs = stack(inputs, training=training)
    else:
        parts = [stack(part, training=True) for part in tf.split(inputs, sets)]
        outputs = tf.concat(parts, axis=0)
    return outputs if read_by_others is None else (outputs, outputs)


class _Network(keras.Model):
    """What the three networks share: the arguments, kept for ``get_config``, and the stack of layers.

    Methods that take ``how`` hand it to ``run``, the function that computes the stack, by default
    :func:`run_stack`: ``training`` and ``sets`` as there, and ``run`` itself.

    Parameters
    ----------
    image_size : int
        32, 64, 128 or 256 pixels.
    channels : int
        1 for two phases, K for K ≥ 3.
    latent_dim : int
    leaky_relu_slope : float
        Below zero; the layer tables do not say.
    normalization : str
        ``batch``: by the batch's statistics in training, as the paper does; ``renorm``: those corrected towards the
        moving ones (batch renormalisation); ``moving``: by the moving statistics, through which no gradient flows.
    batch_norm_momentum : float
        Of the moving statistics.
    precision : str
        Keras' name of a dtype policy; ``mixed_bfloat16``: arithmetic in bfloat16. Outputs are float32.
    seed : int
        Of the initial weights.
    """

    _seed_offset = 0

    def __init__(
        self,
        image_size=64,
        channels=1,
        latent_dim=32,
        leaky_relu_slope=0.2,
        normalization="batch",
        batch_norm_momentum=0.99,
        precision="float32",
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.arguments = {
            "image_size": image_size,
            "channels": channels,
            "latent_dim": latent_dim,
            "leaky_relu_slope": leaky_relu_slope,
            "normalization": normalization,
            "batch_norm_momentum": batch_norm_momentum,
            "precision": precision,
            "seed": seed,
        }
        self.image_shape = (image_size, image_size, channels)
        self.latent_dim = latent_dim
        self.table = layer_table(image_size, channels, latent_dim)

    def _build_stack(self, input_shape, rows, convolution, last_normalization=None):
        kind = self.arguments["normalization"]
        stack = _stack(
            input_shape,
            rows,
            convolution,
            slope=self.arguments["leaky_relu_slope"],
            normalizations=[kind] * (len(rows) - 1) + [last_normalization or kind],
            momentum=self.arguments["batch_norm_momentum"],
            precision=self.arguments["precision"],
            seed=1000 * self.arguments["seed"] + self._seed_offset,
        )
        self.built = True
        return stack

    def _run(self, inputs, shape, run=run_stack, **how):
        """The stack's outputs in this shape, or both of them where ``how`` has ``read``."""

        def shaped(outputs):
            return tf.reshape(tf.cast(outputs, tf.float32), shape)

        outputs = run(self.stack, inputs, **how)
        if not isinstance(outputs, tuple):
            return shaped(outputs)
        first, second = outputs
        shaped_first = shaped(first)
        return shaped_first, shaped_first if second is first else shaped(second)

    def get_config(self):
        return {**super().get_config(), **self.arguments}


def _encoder_convolution(*arguments, padding, **options):
    # "valid" is the last row's, whose kernel covers its whole input.
    kind = BlockedSumConv2D if padding == "valid" else keras.layers.Conv2D
    return kind(*arguments, padding=padding, **options)


@keras.saving.register_keras_serializable("davegan_tf")
class Encoder(_Network):
    """Images → mean and log-variance of the posterior q(z|x) (Tables 2 and 3, "Enc.").

    ``encoder(images)`` takes (batch, side, side, channels) float in [0, 1] and returns ``z_mean, z_log_var``, each
    (batch, latent_dim) float. ``output_activation`` is that of the last layer: ``leaky_relu`` as in the tables, or
    ``linear``, a deviation, without which z_mean is squeezed where it is negative, and hardly fills the prior there.
    """

    _seed_offset = 100

    def __init__(self, output_activation="leaky_relu", **kwargs):
        super().__init__(**kwargs)
        self.output_activation = output_activation
        *rows, last = self.table.encoder
        rows.append(last._replace(activation=output_activation))
        self.stack = self._build_stack(self.image_shape, rows, _encoder_convolution)

    def posterior(self, images, **how):
        """(batch, side, side, channels) → z_mean, z_log_var, (batch, latent_dim) each."""
        features = self._run(images, [-1, 2 * self.latent_dim], **how)
        return features[:, : self.latent_dim], features[:, self.latent_dim :]

    def call(self, images, training=False):
        return self.posterior(images, training=training)

    def get_config(self):
        return {**super().get_config(), "output_activation": self.output_activation}


@keras.saving.register_keras_serializable("davegan_tf")
class Generator(_Network):
    """Latent vectors → images; the decoder of the VAE and the generator of the GAN (Tables 2 and 3, "Gen.").

    ``generator(z)`` takes (batch, latent_dim) float, N(0, 1) when generating, and returns phase probabilities,
    (batch, side, side, channels) float in [0, 1]; ``generator.logits(z)`` is the same before the sigmoid or softmax.
    """

    _seed_offset = 200

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stack = self._build_stack(
            (1, 1, self.latent_dim), self.table.generator, keras.layers.Conv2DTranspose
        )

    def logits(self, z, **how):
        """(batch, latent_dim) → (batch, side, side, channels) logits."""
        z = tf.reshape(z, [-1, 1, 1, self.latent_dim])
        return self._run(z, [-1, *self.image_shape], **how)

    def call(self, z, training=False):
        return self.activate(self.logits(z, training=training))

    def activate(self, logits):
        """The last row's activation: logits → phase probabilities."""
        return tf.sigmoid(logits) if self.image_shape[-1] == 1 else tf.nn.softmax(logits)


@keras.saving.register_keras_serializable("davegan_tf")
class Discriminator(_Network):
    """Images → probability that they are real, D(x) (Tables 2 and 3, "Disc.").

    ``discriminator(images)`` takes (batch, side, side, channels) float in [0, 1] and returns (batch,) float in
    [0, 1]; ``discriminator.logits(images)`` is the same before the sigmoid. ``output_normalization`` is that of the
    last layer: ``batch``, ``renorm``, ``moving`` or ``none`` (no batch normalisation but a bias, a deviation from
    the tables). ``width`` multiplies the number of filters of all layers but the last (1: as in the tables).
    """

    _seed_offset = 300

    def __init__(self, output_normalization="batch", width=1, **kwargs):
        super().__init__(**kwargs)
        self.output_normalization, self.width = output_normalization, width
        _, side, channels = self.image_shape
        self.table = layer_table(side, channels, self.latent_dim, width)
        *rows, last = self.table.discriminator
        rows.append(last._replace(batch_norm=output_normalization != "none"))
        self.stack = self._build_stack(
            self.image_shape, rows, keras.layers.Conv2D, output_normalization
        )

    def logits(self, images, **how):
        """(batch, side, side, channels) → (batch,) logits."""
        return self._run(images, [-1], **how)

    def call(self, images, training=False):
        return tf.sigmoid(self.logits(images, training=training))

    def get_config(self):
        own = {"output_normalization": self.output_normalization, "width": self.width}
        return {**super().get_config(), **own}
