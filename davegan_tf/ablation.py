"""What each of our settings brings: one change at a time from configs/*.yaml, docs/results/ablation.{md,json}."""

import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

from davegan_tf import tables
from davegan_tf.jobs import Job
from davegan_tf.results import volume_fractions

# A third of a full training, with shares of it at fixed and at matched statistics nearly as large as there.
COMMON = (
    "training.epochs=3000",
    "training.freeze_statistics_after=500",
    "training.match_statistics_after=1500",
    "training.decay_after=2600",
)
STEPS = 12_000  # with 16 tiles, in batches of 4


class Variant(NamedTuple):
    """One change, in one key or in keys that only make sense together."""

    meaning: str
    overrides: tuple[str, ...]


VARIANTS = {
    "base": Variant("our settings", ()),
    "tiles": Variant("D is shown the encoded tiles, as in the paper", ("data.real_sampling=same",)),
    "crops": Variant("crops are encoded, too", ("data.sampling=crops", "data.real_sampling=same")),
    "not_turned": Variant("D is shown no turned crops", ("data.real_turned=false",)),
    "translated": Variant("T on", ("augmentation.translation_std=0.125",)),
    "translated_far": Variant("T on, twice as far", ("augmentation.translation_std=0.25",)),
    "translated_encoded": Variant(
        "T on, for the encoder, too",
        ("augmentation.translation_std=0.125", "augmentation.translate_encoded=true"),
    ),
    "narrow": Variant("D as in the layer tables", ("model.discriminator_width=1",)),
    "wide": Variant("D four times as wide", ("model.discriminator_width=4",)),
    "judged": Variant("λ_vae as in Table 1", ("model.lambda_vae=1",)),
    "unjudged": Variant("D's answer to reconstructions left out", ("model.lambda_vae=0",)),
    "lambda_rec_1e-3": Variant("a weaker reconstruction", ("model.lambda_rec=1e-3",)),
    "lambda_rec_1e-4": Variant("λ_rec as in Table 1", ("model.lambda_rec=1e-4",)),
    "no_statistics": Variant("statistics not matched", ("model.lambda_statistics=0",)),
    "no_multipliers": Variant(
        "statistics matched by a penalty alone", ("model.statistics_rate=0",)
    ),
    "no_independence": Variant(
        "traces of encoded images left in samples", ("model.lambda_independence=0",)
    ),
    "beta_1": Variant("β as in Table 1", ("model.beta=1",)),
    "beta_10": Variant("half of β", ("model.beta=10",)),
    "one_batch": Variant(
        "D's statistics those of one batch, also in its last layer",
        ("model.discriminator_batches=one", "model.discriminator_output_normalization=batch"),
    ),
    "no_last_norm": Variant(
        "D's last layer without normalisation", ("model.discriminator_output_normalization=none",)
    ),
    "batch_statistics": Variant(
        "statistics never fixed, re-estimated at the end",
        ("training.freeze_statistics_after=null",),
    ),
    "not_re-estimated": Variant(
        "statistics never fixed nor re-estimated",
        ("training.freeze_statistics_after=null", "training.recalibrate=false"),
    ),
    "renorm": Variant(
        "batch renormalisation in G and encoder",
        ("model.normalization=renorm", "training.freeze_statistics_after=null"),
    ),
    "generator_one": Variant("both kinds of z as one batch", ("model.generator_batches=one",)),
    "no_decay": Variant("learning rates that do not fall", ("training.decay_after=null",)),
    "last_weights": Variant("no average of the weights", ("training.weight_averaging=null",)),
    "adam_0.9": Variant("Adam's usual β₁", ("training.adam_beta_1=0.9",)),
    "table_1_rates": Variant(
        "learning rates of Table 1",
        (
            "training.encoder_learning_rate=1e-4",
            "training.generator_learning_rate=1e-4",
            "training.discriminator_learning_rate=4e-5",
        ),
    ),
    "slow_discriminator": Variant(
        "a slower discriminator", ("training.discriminator_learning_rate=4e-5",)
    ),
    "fast_discriminator": Variant(
        "a faster discriminator", ("training.discriminator_learning_rate=6.4e-4",)
    ),
    "linear_encoder": Variant(
        "the encoder's last layer linear", ("model.encoder_output_activation=linear",)
    ),
    "fixed_prior": Variant("no drawn prior: Eq. 9", ("augmentation.prior=fixed",)),
    "gaussian_prior": Variant(
        "μ and σ of the prior drawn themselves", ("augmentation.prior=gaussian",)
    ),
    "no_T_mu_sigma": Variant(
        "neither T_μ nor T_σ",
        ("augmentation.mean_transform=none", "augmentation.sigma_transform=none"),
    ),
    "T_sigma_scale": Variant("T_σ is u σ", ("augmentation.sigma_transform=scale",)),
}


def job(variant: str, material: str, seed: int) -> Job:
    """The run of one change on one material with one seed."""
    overrides = COMMON + VARIANTS[variant].overrides
    return Job(f"{variant}-{material}-{seed}", f"{material}.yaml", seed, overrides)


def document(table: Mapping[str, Any], command: str) -> str:
    """The Markdown page.

    Parameters
    ----------
    table : dict
        material → variant → seed (text) → result, as of :func:`davegan_tf.results.read_result`.
    command : str
        What made it.
    """
    lines = [
        "# What each setting brings",
        "",
        f"Made by `{command}`: our settings (`configs/*.yaml`) with one change at a time, a third of the",
        f"training ({STEPS:,} steps; {', '.join(COMMON)}). Medians over the seeds, in brackets the smallest and the",
        "largest; all figures are in [`ablation.json`](ablation.json). Ratios are to the scorecard's floor: 2 passes.",
    ]
    for material, variants in table.items():
        lines += ["", f"## {material}", "", *_table(variants)]
    return "\n".join(lines) + "\n"


def _table(variants):
    columns = {
        "E_rec": _value("reconstructions", "E_rec", "value", "{:.1e}"),
        "E_gen": _value("samples", "E_gen", "value", "{:.1e}"),
        "φ − true": _drift,
        "spread of φ": _value("samples", "volume_fraction_spread", "ratio", "{:.1f}"),
        "autocovariance ≤ 8": _value("samples", "autocovariance_8", "ratio", "{:.1f}"),
        "≤ 32": _value("samples", "autocovariance_32", "ratio", "{:.1f}"),
        "interface": _value("samples", "interface_density", "ratio", "{:.1f}"),
        "Euler number": _value("samples", "euler_number", "ratio", "{:.0f}"),
        "largest cluster": _value("samples", "largest_cluster", "ratio", "{:.1f}"),
        "diversity": _value("samples", "diversity", "value", "{:.2f}"),
        "memorised": _value("samples", "memorisation", "value", "{:.3f}"),
    }
    head = ("change", "keys", "seeds", *columns)
    rows = []
    for name, results in variants.items():
        variant = VARIANTS[name]
        keys = " ".join(f"`{override}`" for override in variant.overrides)
        cells = [column(list(results.values())) for column in columns.values()]
        rows.append((variant.meaning, keys, str(len(results)), *cells))
    return tables.markdown(head, rows)


def _value(subject, measure, key, form):
    def cell(results):
        records = [result[subject][measure] for result in results]
        if any(record["value"] is None for record in records) or (
            key == "ratio" and any(record["floor"] is None for record in records)
        ):
            return "–"
        return _spread([record[key] for record in records], form)

    return cell


def _drift(results):
    """Of more than two phases that which is off most; all together are never off."""
    drifts = [
        max((mine - true for mine, true in volume_fractions(result)), key=abs) for result in results
    ]
    return _spread(drifts, "{:+.3f}")


def _spread(values, form):
    """Median, and the range of more than one; an infinite ratio is None."""
    if None in values:
        return "∞" if len(values) == 1 else f"∞ in {values.count(None)} of {len(values)}"
    median = form.format(statistics.median(values))
    if len(values) == 1:
        return median
    return f"{median} ({form.format(min(values))} … {form.format(max(values))})"
