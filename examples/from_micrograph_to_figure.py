"""From a micrograph to a figure: train, generate, measure and draw, all in Python.

The cells (# %%) run one by one in VS Code, Spyder or PyCharm, and in Jupyter with jupytext; or all at once:

    python examples/from_micrograph_to_figure.py --source my.png --set data.phases=2

Without --source it takes the built-in generator "grains", and needs no file and no network. It trains for a few minutes
on two CPU cores; run again, it goes on with what is there.
"""

# %% [markdown]
# ## Settings
# `--source` is an image file (PNG, TIFF, NPY, …) or a name that `python -m cli data list` shows. A grey image needs a
# stated segmentation, `--set data.threshold=otsu` or `--set data.phases=2`.

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import davegan_tf
from cli.progress import Progress
from davegan_tf import descriptors
from davegan_tf.config import load_config
from davegan_tf.drawing import COLORS
from davegan_tf.evaluation import real_crops_and_noise
from davegan_tf.evaluation_table import format_table
from davegan_tf.figures import image_grid, to_grey
from davegan_tf.micrographs import load_from_config
from davegan_tf.run_folder import RunFolder
from davegan_tf.tensorflow_setup import start_tensorflow

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--source", default="grains", help="image file or name")
parser.add_argument("--epochs", type=int, default=3000, help="of training")
parser.add_argument("--count", type=int, default=128, help="samples to measure")
parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the config")
parser.add_argument("--out", type=Path, default=Path("from_micrograph_to_figure"), help="folder")
# In a notebook, the arguments are those of its kernel.
options, _ = parser.parse_known_args()

# %% [markdown]
# ## The micrograph
# An image of phase labels 0, 1, …; how they came about is in `segmentation`.

# %%
settings = [f"data.source={options.source}", f"training.epochs={options.epochs}", *options.set]
config = load_config("quickstart.yaml", settings)
micrograph = load_from_config(config)
n_phases = micrograph.n_phases
print(f"{micrograph.title}: {micrograph.images.shape[1:]} pixels; {micrograph.segmentation}")

# %% [markdown]
# ## Training
# The run folder has the model, its checkpoints and losses, so that an interrupted training goes on where it stopped.

# %%
start_tensorflow()
from davegan_tf.training import train  # noqa: E402, it imports TensorFlow

run = RunFolder(options.out / "run")
with Progress() as progress:
    train(config, micrograph, run, resume=run.manifest.is_file(), observers=[progress])

# %% [markdown]
# ## The trained model
# `davegan_tf.load("alloy")` would give a packaged one instead, without any training.

# %%
model = davegan_tf.load(run.path)
print(model)

# %%
side = model.image_size
samples = model.generate(options.count, seed=0)
originals = micrograph.images[0, :side, : 2 * side]
reconstructions = model.reconstruct(originals)
path = model.interpolate(1, 2, steps=9)

# %% [markdown]
# ## Measures
# Samples are compared with crops of the micrograph at random places: volume fraction φ and two-point correlation S2 of
# phase 1, over all directions. The scorecard has every measure beside its floor and white noise.

# %%
crops, _ = real_crops_and_noise(micrograph.images, side, options.count, n_phases, seed=0)
sets = {"real crops": crops == 1, "samples": samples == 1}
fractions = {name: descriptors.volume_fraction(phase) for name, phase in sets.items()}
correlations = {
    name: descriptors.radial_average(descriptors.two_point_correlation(phase))
    for name, phase in sets.items()
}
for name, values in fractions.items():
    print(f"φ of {name}: {values.mean():.3f} ± {values.std():.3f}")

# %%
print(format_table(model.evaluate(options.count)))

# %% [markdown]
# ## The figure

# %%
pixel_size, unit = (
    config.data.pixel_size or 1,
    config.data.unit if config.data.pixel_size else "pixels",
)
figure, axes = plt.subplots(2, 3, figsize=(11, 7), layout="constrained")
pictures = {
    "(a) Micrograph": to_grey(micrograph.images[0], n_phases),
    "(b) Original, above its reconstruction": image_grid(
        np.stack([originals, reconstructions]), n_phases, columns=1
    ),
    "(c) Samples": image_grid(samples[:16], n_phases),
    "(d) From one sample to another": image_grid(path, n_phases),
}
for each, (title, picture) in zip(axes.flat, pictures.items(), strict=False):
    each.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    each.set_title(title, loc="left", fontsize=10)
    each.set_axis_off()

s2_axes, fraction_axes = axes[1, 1:]
bins = np.histogram_bin_edges(np.concatenate(list(fractions.values())), 12)
for name, values in correlations.items():
    color = COLORS[name]
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    lag = pixel_size * np.arange(len(mean))
    s2_axes.plot(lag, mean, color=color, label=name)
    s2_axes.fill_between(lag, mean - deviation, mean + deviation, color=color, alpha=0.2, lw=0)
    fraction_axes.hist(fractions[name], bins, color=color, alpha=0.5, density=True, label=name)
s2_axes.set_title("(e) Two-point correlation, mean ± deviation", loc="left", fontsize=10)
s2_axes.set(xlabel=f"|r| in {unit}", ylabel="S2 of phase 1")
fraction_axes.set_title("(f) Volume fraction of phase 1", loc="left", fontsize=10)
fraction_axes.set(xlabel="φ", ylabel="density")
for each in (s2_axes, fraction_axes):
    each.legend(frameon=False, fontsize=9)
    each.spines[["top", "right"]].set_visible(False)

figure.suptitle(f"{micrograph.title}, {model.step} steps of training")
figure.savefig(options.out / "figure.png", dpi=200)
print(f"wrote {options.out / 'figure.png'}")
