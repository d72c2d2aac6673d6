"""The config's schema: every number a run depends on, with its default, range, unit and source.

A config is a YAML file; ``data.source`` is the only key without a default, and the defaults are the
paper's Section 4.3 (Table 1). The field descriptions below are the reference for users.
"""

from typing import Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from davegan_tf.limits import LARGEST_MICROGRAPH, LARGEST_SEED, MOST_PHASES, SMALLEST_MICROGRAPH

Generator = Literal["checkerboard", "filtered_noise", "grains", "ellipses"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _number(cls, value, info):
        annotation = cls.model_fields[info.field_name].annotation
        if isinstance(value, bool) and annotation is not bool:
            raise PydanticCustomError("truth_value", "true or false where something else belongs")
        # PyYAML reads 2e4 as text; pydantic accepts such text for a float, but not for an int.
        kinds = (annotation, *get_args(annotation))
        if isinstance(value, str) and any(kind is int or isinstance(kind, int) for kind in kinds):
            try:
                number = float(value)
            except ValueError:
                return value
            return int(number) if number.is_integer() else value
        return value


class Data(_Strict):
    """What the model sees: the micrograph and how images are cut from it."""

    source: str = Field(
        min_length=1,
        description="Name of a micrograph (alloy, carbonate, …: `data list` shows them all), of a "
        "generator (checkerboard, filtered_noise, grains, ellipses), or the path of an image file "
        "(PNG, TIFF, BMP, JPEG, NPY), relative to the working directory.",
        json_schema_extra={
            "expected": "the name of a micrograph or generator (such as alloy or grains) or the "
            "path of an image file"
        },
    )
    image_size: Literal[32, 64, 128, 256] = Field(
        64, description="Side of the model's images in pixels; 64 is Table 3, 32 is Table 2."
    )
    sampling: Literal["tiles", "crops"] = Field(
        "tiles",
        description="tiles: the grid of non-overlapping tiles (16 for 256 × 256 pixels, Section "
        "4.3); crops: squares at random positions. An epoch has as many images as there are tiles.",
    )
    real_sampling: Literal["same", "tiles", "crops"] = Field(
        "same",
        description="What the discriminator is shown as real: the images that are encoded and "
        "reconstructed, as in the paper, or tiles or crops of its own. With tiles for the encoder "
        "and crops for the discriminator, samples learn from the whole micrograph.",
    )
    real_turned: bool = Field(
        False,
        description="Whether every second of the discriminator's own images, in the mean, is turned by 180°, "
        "which changes neither S2 nor chords; with real_sampling tiles or crops. Not for a material "
        "in which up and down differ.",
    )
    holdout: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of the micrograph kept out of training, for `evaluate --holdout`: its "
        "bottom rows, of several images the last; null: all is trained on.",
    )
    threshold: Literal["otsu"] | float | None = Field(
        None,
        description="For grey images: pixels above this grey level (in the file's own units) are "
        "phase 1, the others phase 0; otsu finds the level. Not together with phases.",
        json_schema_extra={"expected": "otsu, a grey level (a number) or null (none)"},
    )
    phases: int | None = Field(
        None,
        ge=2,
        le=MOST_PHASES,
        description="For grey images: number of phases, separated by multi-level Otsu. For label "
        "images: the number of phases to expect. Not together with threshold.",
    )
    offline_fallback: Generator | None = Field(
        None,
        description="Generator to train on, with a loud notice, where the named micrograph is "
        "neither on this machine nor to be downloaded; null: stop with an error instead.",
    )
    micrograph_size: int = Field(
        256,
        ge=SMALLEST_MICROGRAPH,
        le=LARGEST_MICROGRAPH,
        description="Side of a generated micrograph in pixels (not for ellipses).",
    )
    count: int = Field(
        60000, ge=1, description="Number of images of the source ellipses (60,000 in Section 4.2)."
    )
    generator_seed: int = Field(
        0,
        ge=0,
        le=LARGEST_SEED,
        description="Seed of a generated micrograph, apart from the run's seed.",
    )
    pixel_size: float | None = Field(
        None, gt=0, description="Side of a pixel of the micrograph in `unit`; null: not known."
    )
    unit: str | None = Field("um", description="Unit of pixel_size: um (micrometre), nm, …")

    @property
    def shows_turned(self) -> bool:
        """Whether D is shown the material turned by 180°, too."""
        return self.real_turned and self.real_sampling != "same"

    @model_validator(mode="after")
    def _consistent(self):
        if self.threshold is not None and self.phases is not None:
            raise ValueError(
                "data.threshold and data.phases contradict each other (threshold gives two phases, "
                "phases finds its own levels); keep one of them"
            )
        if "ellipses" in (self.source, self.offline_fallback) and self.image_size != 32:
            raise ValueError(
                "data.image_size must be 32 for the generator ellipses (Section 4.2), "
                f"not {self.image_size}"
            )
        if self.micrograph_size < self.image_size:
            raise ValueError(
                f"data.micrograph_size must be at least data.image_size ({self.image_size}), "
                f"not {self.micrograph_size}"
            )
        return self


class Model(_Strict):
    """The three networks and the weights of their losses (Tables 1–3, Eq. 1–9)."""

    latent_dim: int = Field(
        32, ge=1, le=1024, description="Number of latent dimensions: 32 in Section 4.3, 5 in 4.2."
    )
    beta: float = Field(1.0, ge=0, description="β, weight of L_KLD in L_Enc (0.01 … 50, Table 1).")
    lambda_vae: float = Field(
        1.0, ge=0, description="λ_vae, weight of −log D of reconstructed images in L_Gen (Table 1)."
    )
    lambda_noise: float = Field(
        1.0, ge=0, description="λ_noise, weight of −log D of generated images in L_Gen (Table 1)."
    )
    lambda_rec: float = Field(
        1e-4, ge=0, description="λ_rec, weight of L_Rec, a sum over pixels, in L_Gen (Table 1)."
    )
    lambda_statistics: float = Field(
        0.0,
        ge=0,
        description="Weight in L_Gen of how far generated images are from the material in means and "
        "variances of volume fractions, of how often neighbouring pixels differ, of corners and short "
        "chords (χ²), which batch normalisation hides from the discriminator. Acts from "
        "training.match_statistics_after on; not in the paper.",
    )
    statistics_rate: float = Field(
        0.0,
        ge=0,
        le=1,
        description="With model.lambda_statistics: how fast, per step, the Lagrange multipliers grow that "
        "take the means of these statistics all the way to the material's; 0: none, so that other "
        "losses hold them off by a little; not in the paper.",
    )
    lambda_independence: float = Field(
        0.0,
        ge=0,
        description="Weight in L_Gen of the squared mean trace that encoded images leave in samples "
        "whose z points the way of their codes. Acts from training.match_statistics_after on; not "
        "in the paper.",
    )
    lambda_normality: float = Field(
        0.0,
        ge=0,
        description="Weight in L_Enc, times β where that is below 1, of the maximum mean discrepancy "
        "between the codes of a batch, all together, and the prior N(0, 1); not in the paper.",
    )
    leaky_relu_slope: float = Field(
        0.2, ge=0, lt=1, description="Slope of LeakyReLU below zero; not in the paper, DCGAN's."
    )
    encoder_output_activation: Literal["leaky_relu", "linear"] = Field(
        "leaky_relu",
        description="Of the encoder's last layer, z_mean and z_log_var. leaky_relu: as in Tables 2 "
        "and 3; linear: a deviation that lets z_mean fill the prior below zero, too.",
    )
    normalization: Literal["batch", "renorm"] = Field(
        "batch",
        description="Of encoder and generator. batch: batch normalisation as in Tables 2 and 3; "
        "renorm: batch renormalisation, which trains with (nearly) the statistics of inference.",
    )
    discriminator_normalization: Literal["batch", "renorm"] = Field(
        "batch", description="The same for the discriminator's inner layers."
    )
    discriminator_output_normalization: Literal["batch", "renorm", "moving", "none"] = Field(
        "batch",
        description="Of the discriminator's last layer. batch: as in Tables 2 and 3; moving: by the "
        "moving statistics in training too, through which no gradient flows; none: no batch "
        "normalisation there, a deviation from the tables.",
    )
    discriminator_width: Literal[1, 2, 3, 4] = Field(
        1,
        description="Factor on the number of the discriminator's filters; 1: Tables 2 and 3.",
    )
    batch_norm_momentum: float = Field(
        0.99, gt=0, lt=1, description="Momentum of batch normalisation's moving statistics, a step."
    )
    discriminator_batches: Literal["one", "three"] = Field(
        "one",
        description="Real, reconstructed and generated images pass the discriminator as one "
        "concatenated batch or as three (three with batch normalisation in its last layer: it "
        "cannot tell them apart).",
    )
    generator_batches: Literal["two", "one"] = Field(
        "two",
        description="z of the encoder and z of the prior pass the generator as two batches or one "
        "(one: batch normalisation's moving statistics fit neither).",
    )


class Augmentation(_Strict):
    """Random transformations of images and latent distributions (Section 3.3)."""

    translation_std: float = Field(
        0.125,
        ge=0,
        le=1,
        description="Standard deviation of each entry of the periodic translation u of T(x, u), "
        "as a fraction of the image side; not in the paper, DiffAugment's; 0: no translation.",
    )
    translate_encoded: bool = Field(
        False,
        description="Whether the encoder is shown T(x, u), and that is reconstructed, instead of x as in the paper.",
    )
    mean_transform: Literal["scale", "shift", "none"] = Field(
        "scale",
        description="T_μ with u ~ U(0, 1): (1 + u) μ, μ + u (cancels in Eq. 8) or μ itself.",
    )
    sigma_transform: Literal["shift", "scale", "none"] = Field(
        "shift", description="T_σ with u ~ U(0, 1): σ + u, u σ (heavy-tailed) or σ itself."
    )
    prior: Literal["moments", "fixed", "gaussian"] = Field(
        "moments",
        description="μ_prior and σ_prior, drawn each step and latent dimension: mean and standard "
        "deviation of prior_draws draws of N(0, 1); fixed (0, 1), which is Eq. 9; or gaussian, "
        "μ ~ N(0, 1) and σ ~ |N(0, 1)|.",
    )
    prior_draws: int = Field(64, ge=2, description="Number of draws of `prior: moments`.")


class Training(_Strict):
    """Duration, optimizers and what is written how often (Table 1)."""

    epochs: int = Field(
        20000, ge=1, description="Passes over the tiles: 20,000 in Section 4.3, 200 in 4.2."
    )
    batch_size: int = Field(
        4,
        ge=2,
        description="Images a step: 4 in Section 4.3, 32 in 4.2. Of one alone, a layer of 1 × 1 pixels is "
        "normalised to zero.",
    )
    generator_learning_rate: float = Field(1e-4, gt=0, description="Adam's, Table 1.")
    discriminator_learning_rate: float = Field(4e-5, gt=0, description="Adam's, Table 1.")
    encoder_learning_rate: float = Field(1e-4, gt=0, description="Adam's, Table 1.")
    adam_beta_1: float = Field(0.9, ge=0, lt=1, description="Adam's first decay; its usual value.")
    adam_beta_2: float = Field(
        0.999, ge=0, lt=1, description="Adam's second decay; its usual value."
    )
    update_limit: float | None = Field(
        None,
        gt=0,
        description="Largest change of a weight in one step, in learning rates: keeps Adam from running away after "
        "gradients much larger than those before; null: none (with β₁ 0.5 some 16).",
    )
    weight_averaging: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Momentum, a step, of an exponential moving average of the weights of encoder "
        "and generator, which the finished model has; null: the last weights.",
    )
    chunk_steps: int = Field(
        200,
        ge=1,
        description="Steps per compiled call, per row of history.csv and per point of TensorBoard's "
        "curves (means over the chunk); the intervals below are looked at between two chunks.",
    )
    images_every: int | None = Field(
        5000, ge=1, description="Steps between images sent to TensorBoard; null: none."
    )
    evaluate_every: int | None = Field(
        5000, ge=1, description="Steps between measurements of E_rec, E_gen and φ; null: none."
    )
    checkpoint_every: int = Field(2000, ge=1, description="Steps between checkpoints.")
    checkpoints_kept: int = Field(2, ge=1, description="Number of newest checkpoints kept.")
    freeze_statistics_after: int | None = Field(
        None,
        ge=1,
        description="Epoch from which on encoder and generator train with the fixed statistics of "
        "batch normalisation that inference uses, re-estimated at that point; null: never.",
    )
    match_statistics_after: int | None = Field(
        None,
        ge=0,
        description="Epoch from which on model.lambda_statistics and model.lambda_independence act; "
        "null: never. While samples are still far from the material they would outweigh all else.",
    )
    decay_after: int | None = Field(
        None,
        ge=0,
        description="Epoch from which on the three learning rates fall linearly, to reach 0 at the end "
        "of training.epochs; null: never.",
    )
    recalibrate: bool = Field(
        True,
        description="Re-estimate batch normalisation's statistics after training (not frozen ones, nor those of renorm "
        "without weight_averaging, which are already those of inference).",
    )
    logit_limit: float | None = Field(
        None,
        gt=0,
        description="After training the generator's last layer is divided by the smallest power of two "
        "with which no logit is larger: phases stay, probabilities become soft enough for float32 "
        "and so alike in every runtime; null: never.",
    )
    backend: Literal["auto", "graph", "xla", "xla_matmul"] = Field(
        "auto",
        description="How steps are computed: as TensorFlow graph, as one XLA program (for graphics "
        "cards), or as one XLA program with convolutions as matrix products (the fastest on CPUs). "
        "auto chooses by the devices; results differ by rounding only.",
    )
    precision: Literal["float32", "mixed_bfloat16"] = Field(
        "float32",
        description="Of the layers' arithmetic; weights and losses are always float32. Not with "
        "backend xla_matmul.",
    )
    distribution: Literal["none", "mirrored", "multi_worker"] = Field(
        "none",
        description="Devices that share each batch. none: one; mirrored: all graphics cards of this "
        "machine; multi_worker: those of several processes or machines, named in the environment "
        "variable TF_CONFIG. Results differ by rounding only; with backend auto or graph.",
    )
    threads: int | None = Field(
        None,
        ge=1,
        description="CPU threads; null: all. Bit-identical results need the same number.",
    )


class Config(_Strict):
    """A whole experiment."""

    name: str = Field(
        "run",
        pattern=r"^\w[\w.-]{0,99}$",
        description="Name of the run's folders (runs/NAME, tb_logs/NAME); default: the file's.",
        json_schema_extra={
            "expected": "a plain folder name (letters, digits, ., _ and -; at most 100)"
        },
    )
    seed: int = Field(
        0, ge=0, le=LARGEST_SEED, description="Seed of weights, data order, noise and augmentation."
    )
    data: Data
    model: Model = Model()
    augmentation: Augmentation = Augmentation()
    training: Training = Training()

    @model_validator(mode="after")
    def _consistent(self):
        for name in ("lambda_statistics", "lambda_independence"):
            weight = getattr(self.model, name)
            if weight and self.training.match_statistics_after is None:
                raise ValueError(
                    "training.match_statistics_after must be the epoch from which on "
                    f"model.{name} {weight:g} acts, not null (which is for model.{name} 0)"
                )
        if self.training.precision != "float32" and self.training.backend == "xla_matmul":
            raise ValueError(
                "training.precision must be float32 with training.backend xla_matmul, not "
                f"{self.training.precision} (backends graph and xla have it)"
            )
        if self.augmentation.translate_encoded and not self.augmentation.translation_std:
            raise ValueError(
                "augmentation.translate_encoded must be false with augmentation.translation_std 0 (no translation), "
                "not true"
            )
        distribution, backend = self.training.distribution, self.training.backend
        if distribution != "none" and backend not in ("auto", "graph"):
            raise ValueError(
                f"training.backend must be auto or graph with training.distribution {distribution}, "
                f"not {backend} (an XLA program is one device's)"
            )
        return self
