"""Losses of whole sets, beyond the paper: samples against the material and the encoded images, codes against the prior.

Each compares means over a batch, estimated without bias, so that single images and codes stay free to differ.
"""

import tensorflow as tf

# Of `short_range_statistics`.
LONGEST_CHORD = 3
# Of `statistics_loss`: what is rarer than this, of a thousand pixels one, counts as if it were so frequent.
RARE = 1e-3
# s² / latent_dim of the kernels of `normality_loss`.
KERNEL_WIDTHS = (0.2, 0.4, 1.0)


def short_range_statistics(probabilities):
    """What an image, rounded to phases, has of each phase, how its neighbouring pixels differ, and its short chords.

    Of each phase the volume fraction; of each channel the share of pairs of pixels one of which is of the phase and the
    other is not, for the four pairs of neighbours: beside, below, and on both diagonals; of each phase its corners, as
    the share of squares of 2 × 2 pixels with one pixel of it; of each phase the chords of 1, 2 and 3 pixels, along rows
    and along columns, as shares of the places where one would have room. A stray pixel is a chord of one pixel both
    ways, the end of a thin line has two corners; and corners with pairs make the Euler number (Gray, 1971). Rounding
    lets the gradient through as if it were none (the straight-through estimator): what is measured is what users get.

    Parameters
    ----------
    probabilities : (batch, height, width, channels) float in [0, 1]

    Returns
    -------
    (batch, k) float in [0, 1]
        k is 20 for two phases, 12 times the number of phases for more.

    References
    ----------
    S. B. Gray, Local properties of binary images in two dimensions, IEEE Transactions on Computers C-20, 1971.
    """
    channels = probabilities.shape[-1]
    if channels == 1:
        rounded = tf.round(probabilities)
    else:
        rounded = tf.one_hot(tf.argmax(probabilities, axis=-1), channels, dtype=probabilities.dtype)
    images = probabilities + tf.stop_gradient(rounded - probabilities)
    phases = images if channels > 1 else tf.concat([images, 1.0 - images], axis=-1)
    pairs = (
        (images[:, :, 1:], images[:, :, :-1]),
        (images[:, 1:], images[:, :-1]),
        (images[:, 1:, 1:], images[:, :-1, :-1]),
        (images[:, 1:, :-1], images[:, :-1, 1:]),
    )
    maps = [phases, *(_one_and_none(*pair)[0] for pair in pairs)]
    one, none = _one_and_none(phases[:, :, 1:], phases[:, :, :-1])
    maps.append(one[:, 1:] * none[:, :-1] + none[:, 1:] * one[:, :-1])
    maps += [*_chords(phases), *_chords(tf.transpose(phases, [0, 2, 1, 3]))]
    return tf.concat([tf.reduce_mean(each, axis=(1, 2)) for each in maps], axis=-1)


def _one_and_none(a, b):
    """Whether exactly one of two pixels is of a phase, and whether none is."""
    return a + b - 2.0 * a * b, (1.0 - a) * (1.0 - b)


def _chords(inside):
    """Where along a row a chord of 1, 2 … pixels lies: (batch, height, places, phases), 0 or 1, each."""
    outside, runs = 1.0 - inside, inside
    for length in range(1, LONGEST_CHORD + 1):
        yield outside[:, :, : -length - 1] * runs[:, :, 1:-1] * outside[:, :, length + 1 :]
        runs = runs[:, :, :-1] * inside[:, :, length:]


def n_statistics(channels):
    """How many :func:`short_range_statistics` images with so many channels have."""
    side = LONGEST_CHORD + 2
    return short_range_statistics(tf.zeros([1, side, side, channels])).shape[1]


def statistics_loss(generated, material, multipliers=0.0):
    """How far generated images are from the material in their statistics' means and variances; without bias.

    Of differences d_i of n images from the material's mean m it is Σ_(i≠j) d_i d_j / (n (n − 1)), divided by m, as in
    Pearson's χ²: what is rare counts as much as what is not. The square of their mean would be larger by the variance
    of d over n, and its gradient would make all images alike. To this comes the same of d_i² − v, with the material's
    variance v, divided by v. Batch normalisation, which takes the mean of each set away, hides just these differences
    from the discriminator.

    Parameters
    ----------
    generated : (n, k) float in [0, 1], statistics of images, n ≥ 2
    material : (2, k) float in [0, 1], mean and variance of each over images of the material
    multipliers : (k,) float
        Added to every d_i of the means; see :func:`next_multipliers`.

    Returns
    -------
    () float, of either sign

    Raises
    ------
    ValueError
        If n is known to be 1.
    """
    if generated.shape[0] == 1:
        raise ValueError("statistics are those of two images or more, and the batch has one")
    mean, variance = tf.unstack(material)
    difference = generated - mean
    of_means = _square_of_mean(difference + multipliers) / (mean + RARE)
    of_variances = _square_of_mean(tf.square(difference) - variance) / (variance + RARE**2)
    return tf.reduce_sum(of_means + of_variances)


def next_multipliers(multipliers, generated, material, rate):
    """The multipliers of :func:`statistics_loss` for the next step.

    A squared penalty holds a steady force, such as the discriminator's, off only at some distance. With c added,
    (d + c)² = d² + 2 c d + c² has c as the Lagrange multiplier of d = 0 (the method of multipliers of Hestenes and of
    Powell, 1969): it grows by ``rate`` · d a step until d is zero in the mean. No further than one standard deviation
    of the material's images: what cannot be reached does not outgrow all else.

    Parameters
    ----------
    multipliers : (k,) float
    generated, material
        As for :func:`statistics_loss`.
    rate : float in [0, 1]
        The multipliers follow the differences of the last 1 / rate steps or so.

    Returns
    -------
    (k,) float, without gradient
    """
    mean, variance = tf.unstack(material)
    difference = tf.stop_gradient(tf.reduce_mean(generated, axis=0)) - mean
    limit = tf.sqrt(variance)
    return tf.clip_by_value(multipliers + rate * difference, -limit, limit)


def where_asked(asked, loss, samples, *others):
    """``loss(samples, *others)`` where it is asked for, else 0.0; its gradient goes to the samples alone.

    Parameters
    ----------
    asked : bool or () bool tensor
        As a tensor, one compiled program serves both, and computes the loss and its gradient only where it holds.
    loss : callable
        Returns a () float tensor.
    samples, others : float tensors

    Returns
    -------
    () float
    """
    others = [tf.stop_gradient(each) for each in others]
    if isinstance(asked, bool):
        return loss(samples, *others) if asked else 0.0

    @tf.custom_gradient
    def value_of(samples):
        def value_and_gradient():
            with tf.GradientTape() as tape:
                tape.watch(samples)
                value = loss(samples, *others)
            return value, tape.gradient(value, samples)

        def nothing():
            return tf.zeros(()), tf.zeros_like(samples)

        # Both in one branch: a gradient in a branch of its own would have all that is between handed over.
        value, gradient = tf.cond(asked, value_and_gradient, nothing)
        return value, lambda upstream: upstream * gradient

    return value_of(samples)


def _square_of_mean(values):
    """(n, k), n ≥ 2 → (k,): the square of the expectation, estimated without bias from n draws of it."""
    products = tf.square(tf.reduce_sum(values, 0)) - tf.reduce_sum(tf.square(values), 0)
    return products / _pairs(tf.cast(tf.shape(values)[0], values.dtype))


def _pairs(n):
    """n (n − 1); of one image, with which ``fit`` may end, 1 instead: a sum over no pairs is 0, not NaN."""
    return tf.maximum(n * (n - 1.0), 1.0)


def independence_loss(generated, z, images, z_mean):
    """How much of an encoded image shows through in samples whose z points the way of its code; estimated without bias.

    For a sample i and an image j let d_ij be the cosine of z_i and z_mean_j times the correlation of their pixels.
    Over z ~ N(0, I) its mean is zero if samples know nothing of the image. The loss is the square of this mean,
    Σ_(i≠k) d_ij d_kj / (n (n − 1)), averaged over the images; as in :func:`statistics_loss` single samples stay
    free to differ.

    Parameters
    ----------
    generated : (n, height, width, channels) float in [0, 1], n ≥ 2, decoded from z
    z : (n, latent_dim) float, N(0, 1)
    images : (m, height, width, channels) float in [0, 1]
    z_mean : (m, latent_dim) float, their codes

    Returns
    -------
    () float, of either sign
    """

    def centred(images):
        deviations = images - tf.reduce_mean(images, axis=(1, 2), keepdims=True)
        return tf.reshape(deviations, [tf.shape(images)[0], -1])

    def cosines(a, b):
        a, b = (tf.math.l2_normalize(vectors, axis=1) for vectors in (a, b))
        return tf.matmul(a, b, transpose_b=True)

    alike = cosines(z, z_mean) * cosines(centred(generated), centred(images))
    return tf.reduce_mean(_square_of_mean(alike))


def normality_loss(z):
    """Squared maximum mean discrepancy between codes and the standard normal prior, estimated without bias.

    Eq. 9 pulls each posterior to the prior; this compares the codes of all images together with it. With Gaussian
    kernels k = exp(−‖z − z'‖² / 2s²), s² = 0.2, 0.4 and 1 times latent_dim, averaged, the expectations over the prior
    are known, so that only the codes are a sample: mean_(i≠j) k(z_i, z_j) − 2 mean_i E k(z_i, ·) + E k(·, ·), the
    statistic of Baringhaus and Henze. Not in the paper.

    Parameters
    ----------
    z : (n, latent_dim) float, n ≥ 2

    Returns
    -------
    () float, of either sign; 0 in the mean for draws from the prior, and above 0 for those of any other distribution

    Raises
    ------
    ValueError
        If n is known to be 1.

    References
    ----------
    L. Baringhaus and N. Henze, A consistent test for multivariate normality based on the empirical characteristic
    function, Metrika 35, 1988. As a term of a VAE: S. Zhao, J. Song and S. Ermon, InfoVAE, AAAI 2019.
    """
    if z.shape[0] == 1:
        raise ValueError("codes are compared with the prior by two or more, and the batch has one")
    n, dim = tf.cast(tf.shape(z)[0], z.dtype), z.shape[1]
    norm = tf.reduce_sum(tf.square(z), axis=1)
    # Not ‖a‖² + ‖b‖² − 2 a·b, which rounds to less than 0 for codes that are equal.
    distance = tf.reduce_sum(tf.square(z[:, None] - z[None]), axis=2)
    total = 0.0
    for width in KERNEL_WIDTHS:
        s2 = width * dim
        # n of the n² pairs are of a code with itself, whose kernel is 1.
        pairs = (tf.reduce_sum(tf.exp(-distance / (2 * s2))) - n) / _pairs(n)
        prior = (s2 / (s2 + 1)) ** (dim / 2) * tf.exp(-norm / (2 * (s2 + 1)))
        total += pairs - 2 * tf.reduce_mean(prior) + (s2 / (s2 + 2)) ** (dim / 2)
    return total / len(KERNEL_WIDTHS)
