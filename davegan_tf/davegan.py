"""The hybrid model: encoder, generator and discriminator trained together (Section 3, Figures 1 and 2)."""

import keras
import tensorflow as tf

from davegan_tf import augmentation, losses, set_losses
from davegan_tf.distribution import this_replica
from davegan_tf.draws import Draws, draw_latent, draw_step
from davegan_tf.networks import Discriminator, Encoder, Generator, run_stack
from davegan_tf.normalization import NORMALIZATIONS

# What a step reports: the losses of Eq. 1, 6, 7 and their terms, and D's mean answer for the three sets.
LOGS = (
    "discriminator_loss",
    "generator_loss",
    "encoder_loss",
    "kl_loss",
    "reconstruction_loss",
    "adversarial_vae_loss",
    "adversarial_noise_loss",
    "probability_real",
    "probability_reconstructed",
    "probability_generated",
)


# What each argument that names a variant may be.
CHOICES = {
    "mean_transform": tuple(augmentation.MEAN_TRANSFORMS),
    "sigma_transform": tuple(augmentation.STD_TRANSFORMS),
    "prior": ("moments", "fixed", "gaussian"),
    "discriminator_batches": ("one", "three"),
    "generator_batches": ("two", "one"),
    "normalization": tuple(NORMALIZATIONS),
    "discriminator_normalization": tuple(NORMALIZATIONS),
    "discriminator_output_normalization": (*NORMALIZATIONS, "none"),
    "encoder_output_activation": ("leaky_relu", "linear"),
}


@keras.saving.register_keras_serializable("davegan_tf")
class DAVEGAN(keras.Model):
    """Differentiably augmenting β-VAE and GAN.

    Used like any Keras model: ``compile`` with three optimizers, ``fit`` on batches of images, ``save``. Images are
    (batch, side, side, channels) float in [0, 1]: the phase label for two phases (one channel), one-hot for K ≥ 3.

    Parameters
    ----------
    image_size, channels, latent_dim : int
        See :func:`davegan_tf.networks.layer_table`.
    beta : float ≥ 0
        Weight of the KL term (Eq. 1).
    lambda_vae, lambda_noise, lambda_rec : float ≥ 0
        Weights of the generator's terms (Eq. 7).
    lambda_statistics : float ≥ 0
        Weight, in the generator's loss, of :func:`davegan_tf.set_losses.statistics_loss` of generated images. It acts
        with ``matched_statistics``, which is for the end of a training. Not in the paper.
    statistics_rate : float ≥ 0
        Of the Lagrange multipliers of this term, see :func:`davegan_tf.set_losses.next_multipliers`; 0: none.
    lambda_independence : float ≥ 0
        The same for :func:`davegan_tf.set_losses.independence_loss` between generated images and those encoded.
    lambda_normality : float ≥ 0
        Weight of :func:`davegan_tf.set_losses.normality_loss` of z_vae in the encoder's loss, times β where that is
        below 1. Not in the paper.
    translation_std : float ≥ 0
        Standard deviation of T's displacement as a fraction of the image side; 0 switches T off.
    translate_encoded : bool
        Whether what is encoded, and so reconstructed, is T(x, u) instead of x. Not in the paper.
    mean_transform, sigma_transform : str
        T_μ and T_σ, see :data:`davegan_tf.augmentation.MEAN_TRANSFORMS` and ``STD_TRANSFORMS``.
    prior, prior_draws : str, int
        See :func:`davegan_tf.augmentation.prior_moments`.
    discriminator_batches : str
        ``one``: the three sets pass D as one concatenated batch; ``three``: separately. As three, batch normalisation
        in D's last layer gives all sets the same mean logit and D can't separate them.
    generator_batches : str
        ``two``: z_vae and z_noise pass G separately; ``one``: concatenated.
    leaky_relu_slope, encoder_output_activation, normalization, discriminator_normalization,
    discriminator_output_normalization, discriminator_width, batch_norm_momentum, precision
        See :mod:`davegan_tf.networks`.
    seed : int
        Of the initial weights and of every random draw; the draws of a step are a pure function of (seed, step).

    Attributes
    ----------
    encoder, generator, discriminator
        See :mod:`davegan_tf.networks`.
    arguments : dict
        Every parameter above by name.
    training_step : keras.Variable, () int64
        Steps that the model was trained for.
    frozen_statistics : bool
        Whether encoder and generator train with the fixed statistics of batch normalisation that inference uses.
        ``fit`` reads it when it traces its step: compile again after a change.
    matched_statistics : bool
        Whether ``lambda_statistics`` and ``lambda_independence`` act. The same.
    material_statistics : (2, k) float32 or None
        What ``lambda_statistics`` needs to act: mean and variance of the material's
        :func:`davegan_tf.set_losses.short_range_statistics` over its images.

    Raises
    ------
    ValueError
        If a parameter that names something has another value than those there are.
    """

    def __init__(
        self,
        image_size=64,
        channels=1,
        latent_dim=32,
        *,
        beta=1.0,
        lambda_vae=1.0,
        lambda_noise=1.0,
        lambda_rec=1e-4,
        lambda_statistics=0.0,
        statistics_rate=0.0,
        lambda_independence=0.0,
        lambda_normality=0.0,
        translation_std=0.125,
        translate_encoded=False,
        mean_transform="scale",
        sigma_transform="shift",
        prior="moments",
        prior_draws=64,
        discriminator_batches="one",
        generator_batches="two",
        leaky_relu_slope=0.2,
        encoder_output_activation="leaky_relu",
        normalization="batch",
        discriminator_normalization="batch",
        discriminator_output_normalization="batch",
        discriminator_width=1,
        batch_norm_momentum=0.99,
        precision="float32",
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.arguments = {
            name: value
            for name, value in locals().items()
            if name not in ("self", "kwargs", "__class__")
        }
        for name, choices in CHOICES.items():
            if self.arguments[name] not in choices:
                raise ValueError(
                    f"{name} is {self.arguments[name]!r}, expected one of {', '.join(choices)}"
                )
        self.latent_dim, self.seed = latent_dim, seed
        self.beta = beta
        self.lambda_vae, self.lambda_noise = lambda_vae, lambda_noise
        self.lambda_rec, self.lambda_statistics = lambda_rec, lambda_statistics
        self.statistics_rate = statistics_rate
        self.lambda_independence = lambda_independence
        self.lambda_normality = lambda_normality
        self.translation_std_pixels = translation_std * image_size
        # Of a standard deviation of 0 every displacement is 0.
        self.translate = augmentation.translate if translation_std else lambda images, shift: images
        self.translate_encoded = translate_encoded
        self.transform_mean = augmentation.MEAN_TRANSFORMS[mean_transform]
        self.transform_std = augmentation.STD_TRANSFORMS[sigma_transform]
        self.prior, self.prior_draws = prior, prior_draws
        self.discriminator_sets = {"one": 1, "three": 3}[discriminator_batches]
        self.generator_sets = {"one": 1, "two": 2}[generator_batches]
        self.frozen_statistics = False
        self.matched_statistics = False
        self.material_statistics = None
        network = {
            "image_size": image_size,
            "channels": channels,
            "latent_dim": latent_dim,
            "leaky_relu_slope": leaky_relu_slope,
            "batch_norm_momentum": batch_norm_momentum,
            "precision": precision,
            "seed": seed,
        }
        self.encoder = Encoder(
            name="encoder",
            normalization=normalization,
            output_activation=encoder_output_activation,
            **network,
        )
        self.generator = Generator(name="generator", normalization=normalization, **network)
        self.discriminator = Discriminator(
            name="discriminator",
            normalization=discriminator_normalization,
            output_normalization=discriminator_output_normalization,
            width=discriminator_width,
            **network,
        )
        # Named so as not to hide Keras' own counters; int64 so that streams never overflow.
        self.training_step = self.add_weight(
            shape=(), dtype="int64", initializer="zeros", trainable=False, name="training_step"
        )
        self.statistics_multipliers = None
        if lambda_statistics and statistics_rate:
            self.statistics_multipliers = self.add_weight(
                shape=(set_losses.n_statistics(channels),),
                initializer="zeros",
                trainable=False,
                name="statistics_multipliers",
            )
        self.built = True

    def get_config(self):
        return {**super().get_config(), **self.arguments}

    def compile(
        self,
        encoder_optimizer=None,
        generator_optimizer=None,
        discriminator_optimizer=None,
        **kwargs,
    ):
        """Give each model its own optimizer; the defaults are Adam with the learning rates of Table 1.

        Parameters
        ----------
        encoder_optimizer, generator_optimizer, discriminator_optimizer : keras.optimizers.Optimizer
        **kwargs
            As ``keras.Model.compile``, without ``optimizer``, ``loss`` and ``metrics``.
        """
        self.encoder_optimizer = encoder_optimizer or keras.optimizers.Adam(1e-4)
        self.generator_optimizer = generator_optimizer or keras.optimizers.Adam(1e-4)
        self.discriminator_optimizer = discriminator_optimizer or keras.optimizers.Adam(4e-5)
        for _, optimizer, variables in self.updates():
            optimizer.build(variables)
        # Keras would make an unused RMSprop of its own, and log its learning rate.
        super().compile(optimizer=self.generator_optimizer, **kwargs)
        # It is not the optimizer of the whole model: `fit` would give all weights its averages at the end.
        self.optimizer = None

    def fit(self, *args, **kwargs):
        """As ``keras.Model.fit``; at the end the weights are their averages, where an optimizer keeps any.

        The moving statistics are not re-estimated for them; see :func:`davegan_tf.normalization.recalibrate`.
        """
        history = super().fit(*args, **kwargs)
        self.average_weights()
        return history

    def average_weights(self):
        """Give the weights the values of their moving averages, where an optimizer keeps any (``use_ema``)."""
        for _, optimizer, variables in self.updates():
            optimizer.finalize_variable_values(variables)

    def get_compile_config(self):
        if not self.compiled:
            return None
        serialize = keras.saving.serialize_keras_object
        optimizers = {
            f"{name}_optimizer": serialize(getattr(self, f"{name}_optimizer"))
            for name in ("encoder", "generator", "discriminator")
        }
        options = ("run_eagerly", "steps_per_execution", "jit_compile")
        return {**optimizers, **{name: getattr(self, name) for name in options}}

    def compile_from_config(self, config):
        deserialize = keras.saving.deserialize_keras_object
        self.compile(
            **{
                key: deserialize(value) if key.endswith("_optimizer") else value
                for key, value in config.items()
            }
        )

    def updates(self):
        """What a step trains: (network, its optimizer, its variables) of each."""
        pairs = (
            (self.encoder, self.encoder_optimizer),
            (self.generator, self.generator_optimizer),
            (self.discriminator, self.discriminator_optimizer),
        )
        return [(*pair, pair[0].trainable_variables) for pair in pairs]

    # --- use -------------------------------------------------------------------------------------------------------

    def encode(self, images):
        """Images (batch, side, side, channels) in [0, 1] → z_mean, z_log_var, (batch, latent_dim) each."""
        return self.encoder(images, training=False)

    def generate(self, z):
        """Latent vectors (batch, latent_dim), N(0, 1) → phase probabilities (batch, side, side, channels)."""
        return self.generator(z, training=False)

    def reconstruct(self, images):
        """decode(encode(x)), with z = z_mean: images → phase probabilities, same shape."""
        z_mean, _ = self.encode(images)
        return self.generate(z_mean)

    def sample_latent(self, count, seed):
        """Latent vectors of the prior: (count, latent_dim) float32, N(0, 1), a pure function of the seed."""
        return draw_latent((count, self.latent_dim), seed)

    def call(self, images, training=False):
        """The VAE: reconstruction of the images."""
        return self.generator(self.encoder(images, training=training)[0], training=training)

    # --- training --------------------------------------------------------------------------------------------------

    def draw(self, step, batch_size):
        """The random numbers of one step, a pure function of (seed, step).

        Parameters
        ----------
        step : () int64 tensor
        batch_size : int or () int32 tensor

        Returns
        -------
        Draws
        """
        arguments = batch_size, self.latent_dim, self.translation_std_pixels, self.prior_draws
        return draw_step(self.seed, step, *arguments)

    def compute_losses(
        self,
        images,
        real_images,
        draws,
        run=run_stack,
        batch_statistics=True,
        matched_statistics=False,
    ):
        """Forward pass of all three models in training mode: every loss of Eq. 1–9.

        Parameters
        ----------
        images : (batch, side, side, channels) float in [0, 1]
            What is encoded and reconstructed.
        real_images : same shape
            What D is shown as real; the paper takes the same images.
        draws : Draws
        run : callable
            Computes the layers of a network, see :func:`davegan_tf.networks.run_stack`.
        batch_statistics : bool, or what else ``run`` takes as ``training``
            Whether encoder and generator normalise by the batch, not by the fixed statistics of inference.
        matched_statistics : bool or () bool tensor
            Whether ``lambda_statistics`` and ``lambda_independence`` act.

        Returns
        -------
        dict of () float tensors, keyed by LOGS
        """
        how = {"run": run, "training": batch_statistics}
        real_shift, vae_shift, noise_shift = tf.unstack(draws.shifts)
        if self.translate_encoded:
            # Moved once: moved again with its reconstruction, its seam would lie elsewhere than that of a real image.
            images, vae_shift = self.translate(images, vae_shift), tf.zeros_like(vae_shift)
        z_mean, z_log_var = self.encoder.posterior(images, **how)
        posterior_std = tf.exp(0.5 * z_log_var)
        z_vae = z_mean + posterior_std * draws.posterior_noise
        z = tf.concat([z_vae, draws.z_noise], axis=0)
        # Twice: what the generator's loss reads, and what the encoder's reads.
        decoded, for_encoder = self.generator.logits(
            z, sets=self.generator_sets, read_by_others=(0,), **how
        )

        # T commutes with the pixel-wise sigmoid.
        logits = self.translate(decoded, tf.concat([vae_shift, noise_shift], axis=0))
        judged = tf.concat(
            [self.translate(real_images, real_shift), self.generator.activate(logits)],
            axis=0,
        )
        answers, for_generator = self.discriminator.logits(
            judged,
            run=run,
            training=True,
            sets=self.discriminator_sets,
            read_by_others=(1, 2) if self.discriminator_sets == 3 else (0,),
        )
        real, reconstructed, generated = tf.split(answers, 3)

        # Of T(x, u) and its reconstruction, moved by the same u, L_Rec has the same terms: it needs no translation.
        reconstruction = of_encoder = losses.reconstruction_loss(images, tf.split(decoded, 2)[0])
        if for_encoder is not decoded:
            of_encoder = losses.reconstruction_loss(images, tf.split(for_encoder, 2)[0])
        prior_mean, prior_std = augmentation.prior_moments(draws.prior_normal, self.prior)
        kl = losses.kl_loss(
            self.transform_mean(prior_mean, draws.u_mean),
            self.transform_std(prior_std, draws.u_std),
            self.transform_mean(z_mean, draws.u_mean),
            self.transform_std(posterior_std, draws.u_std),
        )
        samples = self.generator.activate(tf.split(decoded, 2)[1])
        unseen = set_losses.where_asked(
            matched_statistics, self._unseen_loss, samples, draws.z_noise, images, z_mean
        )
        normality = self._normality_loss(z_vae)
        _, *fakes = tf.split(for_generator, 3)
        adversarial_vae, adversarial_noise = map(losses.adversarial_loss, fakes)
        values = (
            losses.discriminator_loss(real, reconstructed, generated),
            losses.generator_loss(
                adversarial_vae,
                adversarial_noise,
                reconstruction,
                self.lambda_vae,
                self.lambda_noise,
                self.lambda_rec,
            )
            + unseen,
            losses.encoder_loss(kl, of_encoder, self.beta) + normality,
            kl,
            reconstruction,
            adversarial_vae,
            adversarial_noise,
            *(tf.reduce_mean(tf.sigmoid(logits)) for logits in (real, reconstructed, generated)),
        )
        return dict(zip(LOGS, values, strict=True))

    def _unseen_loss(self, samples, z_noise, images, z_mean):
        """The generator's loss beyond the paper, of what D does not see of samples: () float tensor, or 0.0."""
        # Sets are those of the whole batch, not of a replica's part of it.
        samples, *known = map(this_replica().together, (samples, z_noise, images, z_mean))
        loss = 0.0
        if self.lambda_statistics:
            loss += self.lambda_statistics * self._match_statistics(samples)
        if self.lambda_independence:
            likeness = set_losses.independence_loss(samples, *known)
            loss += self.lambda_independence * likeness
        return loss

    def _normality_loss(self, z_vae):
        """The encoder's loss beyond the paper: () float tensor, or 0.0."""
        if not self.lambda_normality:
            return 0.0
        # Not more for β above 1: the estimate of a batch is noisy, and would drown what z tells of an image.
        weight = min(self.beta, 1.0) * self.lambda_normality
        return weight * set_losses.normality_loss(this_replica().together(z_vae))

    def _match_statistics(self, samples):
        """The loss of the samples' statistics; the multipliers move on."""
        found, material = set_losses.short_range_statistics(samples), self.material_statistics
        if self.statistics_multipliers is None:
            return set_losses.statistics_loss(found, material)
        multipliers = self.statistics_multipliers.value
        loss = set_losses.statistics_loss(found, material, multipliers)
        self.statistics_multipliers.assign(
            set_losses.next_multipliers(multipliers, found, material, self.statistics_rate)
        )
        return loss

    def train_step(self, data):
        """One update of the three models, each by its own loss and optimizer alone (Section 3.2).

        Parameters
        ----------
        data : (batch, side, side, channels) float in [0, 1], or a pair of them
            The images; of a pair, D is shown the second as real.
        """
        images, real_images, _ = keras.utils.unpack_x_y_sample_weight(data)
        real_images = images if real_images is None else real_images
        how = not self.frozen_statistics, self.matched_statistics
        return self.update(images, real_images, run_stack, *how)

    def update(
        self,
        images,
        real_images,
        run=run_stack,
        batch_statistics=True,
        matched_statistics=False,
        materialize=lambda x: x,
        routed=False,
        updates=None,
    ):
        """As :meth:`train_step`, with all arguments of :meth:`compute_losses` but the draws.

        Parameters
        ----------
        images, real_images, run, batch_statistics, matched_statistics
            As of :meth:`compute_losses`.
        materialize : callable
            What the draws pass: a compiler can be kept from making them anew wherever they are used.
        routed : bool
            Whether ``run`` lets a loss through to its own network alone (``read_by_others``), so that the gradients of
            all three can be taken at once.
        updates : list of (network, optimizer, variables), or None for those of :meth:`updates`
            What is trained, where ``run`` takes the weights from other variables than the networks' own.

        Returns
        -------
        dict of () float tensors, keyed by LOGS
        """
        replica = this_replica()
        batch_size = replica.whole(tf.shape(images)[0])
        draws = self.draw(self.training_step.value, batch_size).of(replica)
        draws = Draws(*map(materialize, draws))
        how = run, batch_statistics, matched_statistics
        with tf.GradientTape(persistent=not routed) as tape:
            logs = self.compute_losses(images, real_images, draws, *how)
        networks, optimizers, variables = zip(*(updates or self.updates()), strict=True)
        its_losses = [logs[f"{network.name}_loss"] for network in networks]
        if routed:
            gradients = tape.gradient(its_losses, variables)
        else:
            gradients = [
                tape.gradient(loss, its, replica.gradient_weight)
                for loss, its in zip(its_losses, variables, strict=True)
            ]
        for optimizer, *pair in zip(optimizers, gradients, variables, strict=True):
            optimizer.apply(*pair)
        self.training_step.assign_add(1)
        return replica.mean(logs)

    def test_step(self, data):
        """The VAE's losses at inference, z = z_mean and the standard normal prior (Eq. 3 and 9)."""
        images, *_ = keras.utils.unpack_x_y_sample_weight(data)
        z_mean, z_log_var = self.encode(images)
        return {
            "kl_loss": losses.kl_loss(0.0, 1.0, z_mean, tf.exp(0.5 * z_log_var)),
            "reconstruction_loss": losses.reconstruction_loss(
                images, self.generator.logits(z_mean)
            ),
        }
