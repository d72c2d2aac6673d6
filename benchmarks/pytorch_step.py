"""The same training step in PyTorch, written as one would write it there; for comparison only.

Same layers (the rows of ``davegan_tf.networks.layer_table``), losses, random draws, batch, optimizers and averaged
weights as ``davegan_tf.davegan``. Images are (batch, channels, height, width) here.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from davegan_tf.dataset import BatchPositions, encode_phases
from davegan_tf.errors import InputError

BATCH_NORM = {"eps": 1e-3}  # Keras' default, not PyTorch's
MEAN_TRANSFORMS = {
    "scale": lambda mean, u: (1.0 + u) * mean,
    "shift": lambda mean, u: mean + u,
    "none": lambda mean, u: mean,
}
STD_TRANSFORMS = {
    "shift": lambda std, u: std + u,
    "scale": lambda std, u: u * std,
    "none": lambda std, u: std,
}


class Draws(NamedTuple):
    """All random numbers of one step, as ``davegan_tf.draws.Draws``."""

    posterior_noise: torch.Tensor  # (batch, latent_dim) N(0, 1)
    z_noise: torch.Tensor  # (batch, latent_dim) N(0, 1)
    shifts: torch.Tensor  # (3, batch, 2) int64 pixels
    u_mean: torch.Tensor  # (batch, latent_dim) U(0, 1)
    u_std: torch.Tensor  # (batch, latent_dim) U(0, 1)
    prior_normal: torch.Tensor  # (prior_draws, latent_dim) N(0, 1)


class MovingNorm(nn.BatchNorm2d):
    """Normalises by its moving statistics in training too, as ``davegan_tf.normalization.MovingNormalization``."""

    def forward(self, inputs):
        if self.training:
            with torch.no_grad():
                variance, mean = torch.var_mean(inputs, dim=(0, 2, 3), correction=0)
                # New tensors: those of an earlier pass are still needed for its gradients.
                self.running_mean = self.running_mean.lerp(mean, self.momentum)
                self.running_var = self.running_var.lerp(variance, self.momentum)
        return functional.batch_norm(
            inputs, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def translate(images, shift):
    """T(x, u), one ``roll`` a sample: for small batches faster than a gather with its inverse as gradient.

    ``shift`` None: T is off.
    """
    if shift is None:
        return images
    moved = [image.roll(u, (1, 2)) for image, u in zip(images, shift.tolist(), strict=True)]
    return torch.stack(moved)


def build_network(rows, channels, *, transposed, slope, momentum, output_normalization="batch"):
    """One model of the table up to its logits, as an nn.Sequential.

    Parameters
    ----------
    rows : sequence of (filters, stride, padding, batch_norm, activation)
    channels : int, of the input
    transposed : bool
    slope : float, of LeakyReLU
    momentum : float, Keras' meaning: of the old value
    output_normalization : "batch", "moving" or "none", of the last row
    """
    convolution = nn.ConvTranspose2d if transposed else nn.Conv2d
    layers = []
    for index, (filters, stride, padding, batch_norm, activation) in enumerate(rows):
        kind = output_normalization if index == len(rows) - 1 else "batch"
        normalized = batch_norm and kind != "none"
        # Keras' "same" at stride 2 and kernel 4 is one pixel on each side, for both kinds of convolution.
        pad = 1 if padding == "same" else 0
        layer = convolution(channels, filters, 4, stride, pad, bias=not normalized)
        nn.init.xavier_uniform_(layer.weight)
        if not normalized:
            nn.init.zeros_(layer.bias)
        layers.append(layer)
        if normalized:
            norm = MovingNorm if kind == "moving" else nn.BatchNorm2d
            layers.append(norm(filters, momentum=1.0 - momentum, **BATCH_NORM))
        if activation == "leaky_relu":
            layers.append(nn.LeakyReLU(slope, inplace=True))
        channels = filters
    return nn.Sequential(*layers)


class PyTorchStep:
    """Encoder, generator and discriminator with their optimizers, and one update of all three.

    Parameters
    ----------
    config : davegan_tf.config.Config
    table : (encoder rows, generator rows, discriminator rows) of ``layer_table``
    micrograph : davegan_tf.micrographs.Micrograph

    Raises
    ------
    InputError
        If the config asks for what this comparison does not have.
    """

    def __init__(self, config, table, micrograph):
        model, training = config.model, config.training
        kinds = (
            model.normalization,
            model.discriminator_normalization,
            model.discriminator_output_normalization,
        )
        if "renorm" in kinds or training.precision != "float32":
            raise InputError(
                "the PyTorch step has neither batch renormalisation nor mixed precision; leave --contenders torch out."
            )
        if model.discriminator_width != 1 or config.data.real_sampling != "same":
            raise InputError(
                "the PyTorch step has the discriminator of Table 3 and shows it the images that are encoded; leave "
                "--contenders torch out, or model.discriminator_width and data.real_sampling."
            )
        if model.lambda_normality or model.encoder_output_activation != "leaky_relu":
            raise InputError(
                "the PyTorch step has the encoder of the layer tables and its losses; leave --contenders torch out, or "
                "model.lambda_normality and model.encoder_output_activation."
            )
        if training.update_limit is not None:
            raise InputError(
                "the PyTorch step has Adam as it is; leave --contenders torch out, or training.update_limit."
            )
        if config.augmentation.translate_encoded:
            raise InputError(
                "the PyTorch step encodes images as they are; leave --contenders torch out, or "
                "augmentation.translate_encoded."
            )
        self.config, self.model = config, model
        self.side, self.batch = config.data.image_size, training.batch_size
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        encoded = encode_phases(micrograph.images, micrograph.n_phases).transpose(0, 3, 1, 2)
        images = torch.from_numpy(np.ascontiguousarray(encoded)).to(self.device)
        self.windows = images.unfold(2, self.side, 1).unfold(3, self.side, 1)
        self.positions = BatchPositions(
            micrograph.images.shape, self.side, config.data.sampling, self.batch, config.seed
        )
        self.step_number = 0
        torch.manual_seed(config.seed)
        shared = {"slope": model.leaky_relu_slope, "momentum": model.batch_norm_momentum}
        channels = images.shape[1]
        encoder, generator, discriminator = table
        self.encoder = build_network(encoder, channels, transposed=False, **shared)
        self.generator = build_network(generator, model.latent_dim, transposed=True, **shared)
        self.discriminator = build_network(
            discriminator,
            channels,
            transposed=False,
            output_normalization=model.discriminator_output_normalization,
            **shared,
        )
        betas = (training.adam_beta_1, training.adam_beta_2)
        self.parameters, self.optimizers = {}, {}
        for name in ("encoder", "generator", "discriminator"):
            # Channels last: measured, a tenth faster.
            network = getattr(self, name).to(self.device, memory_format=torch.channels_last)
            self.parameters[name] = list(network.parameters())
            rate = getattr(training, f"{name}_learning_rate")
            self.optimizers[name] = torch.optim.Adam(
                self.parameters[name],
                lr=rate,
                betas=betas,
                eps=1e-7,
                # On CUDA, PyTorch 2.11's refuses these gradients, with either memory format.
                fused=self.device.type == "cpu",
            )
        self.averaging = training.weight_averaging
        self.averaged = [*self.parameters["encoder"], *self.parameters["generator"]]
        self.averages = [parameter.detach().clone() for parameter in self.averaged]

    def run(self, n_steps):
        """Train for ``n_steps`` steps; waits for the last one."""
        positions = torch.from_numpy(self.positions.positions(self.step_number, n_steps)).long()
        for image, row, column in positions.to(self.device).transpose(1, 2):
            self.train_step(self.windows[image, :, row, column])
        self.step_number += n_steps
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def train_step(self, images):
        """One update of the three models, each by its own loss and optimizer alone (Section 3.2)."""
        losses = self.compute_losses(images, self.draw(len(images)))
        gradients = {
            name: torch.autograd.grad(
                losses[f"{name}_loss"], parameters, retain_graph=name != "discriminator"
            )
            for name, parameters in self.parameters.items()
        }
        for name, optimizer in self.optimizers.items():
            for parameter, gradient in zip(self.parameters[name], gradients[name], strict=True):
                parameter.grad = gradient
            optimizer.step()
        if self.averaging is not None:
            with torch.no_grad():
                torch._foreach_lerp_(self.averages, self.averaged, 1.0 - self.averaging)

    def draw(self, batch):
        """The random numbers of one step."""
        latent = (2, batch, self.model.latent_dim)
        noise = torch.randn(latent, device=self.device)
        uniform = torch.rand(latent, device=self.device)
        std = self.config.augmentation.translation_std * self.side
        shifts = torch.randn((3, batch, 2), device=self.device).mul_(std).round_().long()
        draws = (self.config.augmentation.prior_draws, self.model.latent_dim)
        return Draws(*noise, shifts, *uniform, torch.randn(draws, device=self.device))

    def compute_losses(self, images, draws):
        """Forward pass of all three models in training mode: the losses of Eq. 1–9.

        Parameters
        ----------
        images : (batch, channels, side, side) float in [0, 1]
        draws : Draws

        Returns
        -------
        dict of () float tensors, named as ``davegan_tf.davegan.LOGS``
        """
        augmentation = self.config.augmentation
        z_mean, z_log_var = self.encoder(images).flatten(1).chunk(2, dim=1)
        posterior_std = torch.exp(0.5 * z_log_var)
        z_vae = z_mean + posterior_std * draws.posterior_noise
        vae_logits, noise_logits = self._split(
            self.generator,
            [z_vae[:, :, None, None], draws.z_noise[:, :, None, None]],
            self.model.generator_batches == "one",
        )
        on = self.config.augmentation.translation_std > 0
        real_shift, vae_shift, noise_shift = draws.shifts if on else (None, None, None)
        vae_logits = translate(vae_logits, vae_shift)
        noise_logits = translate(noise_logits, noise_shift)
        sets = [
            translate(images, real_shift),
            self._activate(vae_logits),
            self._activate(noise_logits),
        ]
        real, reconstructed, generated = (
            logits.flatten()
            for logits in self._split(
                self.discriminator, sets, self.model.discriminator_batches == "one"
            )
        )

        targets = translate(images, vae_shift)
        if images.shape[1] == 1:
            reconstruction = functional.binary_cross_entropy_with_logits(
                vae_logits, targets, reduction="sum"
            )
        else:
            reconstruction = functional.cross_entropy(vae_logits, targets, reduction="sum")
        reconstruction = reconstruction / len(images)
        transform_mean = MEAN_TRANSFORMS[augmentation.mean_transform]
        transform_std = STD_TRANSFORMS[augmentation.sigma_transform]
        prior_mean, prior_std = self._prior(draws.prior_normal)
        kl = _kl_loss(
            transform_mean(prior_mean, draws.u_mean),
            transform_std(prior_std, draws.u_std),
            transform_mean(z_mean, draws.u_mean),
            transform_std(posterior_std, draws.u_std),
        )
        adversarial_vae = functional.softplus(-reconstructed).mean()
        adversarial_noise = functional.softplus(-generated).mean()
        return {
            "discriminator_loss": (
                functional.softplus(-real)
                + functional.softplus(reconstructed)
                + functional.softplus(generated)
            ).mean(),
            "generator_loss": self.model.lambda_vae * adversarial_vae
            + self.model.lambda_noise * adversarial_noise
            + self.model.lambda_rec * reconstruction,
            "encoder_loss": self.model.beta * kl + reconstruction,
            "kl_loss": kl,
            "reconstruction_loss": reconstruction,
            "adversarial_vae_loss": adversarial_vae,
            "adversarial_noise_loss": adversarial_noise,
        }

    def _split(self, network, inputs, as_one):
        """The network's outputs for several inputs, passed as one batch or each for itself."""
        if as_one:
            return network(torch.cat(inputs)).chunk(len(inputs))
        return [network(each) for each in inputs]

    def _activate(self, logits):
        return torch.sigmoid(logits) if logits.shape[1] == 1 else torch.softmax(logits, dim=1)

    def _prior(self, normal):
        kind = self.config.augmentation.prior
        if kind == "fixed":
            return torch.zeros_like(normal[0]), torch.ones_like(normal[0])
        if kind == "gaussian":
            return normal[0], normal[1].abs()
        std, mean = torch.std_mean(normal, dim=0, correction=0)
        return mean, std


def _kl_loss(prior_mean, prior_std, posterior_mean, posterior_std):
    """Eq. 8, summed over latent dimensions, mean over the batch."""
    variance_ratio = (posterior_std / prior_std).square()
    distance = ((prior_mean - posterior_mean) / prior_std).square()
    divergence = 0.5 * (variance_ratio + distance - 1.0) + torch.log(prior_std / posterior_std)
    return divergence.sum(dim=-1).mean()
