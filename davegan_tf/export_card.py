"""The model card beside an export: what an engineer must know who never saw the training."""

import json

from davegan_tf import __version__
from davegan_tf.evaluation_table import format_table
from davegan_tf.registry import NAMED
from davegan_tf.synthetic import GENERATORS

CARD = """\
# {name}

DA-VEGAN trained on {source}, {shape} pixels, {steps} steps: makes and encodes microstructures. {kind}, written by \
davegan-tf {version}.

| function | input | output |
|---|---|---|
| `encode` | `images` | `z_mean`, `z_log_var`: mean and log-variance of the posterior, (n, {latent_dim}) |
| `generate` | `z` | `probabilities`, shaped like images |
| `reconstruct` | `images` | `probabilities`, those of `generate` for z = `z_mean` |

- `images`: (n, {side}, {side}, {channels}), {range}
- `z`: (n, {latent_dim}); drawn from N(0, 1) it gives new microstructures, beyond ±3 it is far from all training data
- `probabilities`: in [0, 1]; {rounding}
- All are float32; n, the number of images, is any; axes are image, row, column, channel.
- Phases: {n_phases}; {phases}
- Pixel size: {pixel_size}
- Licence of the training data: {licence}
- Limits: it knows this one micrograph, at this magnification; the scorecard says how well.{precision}

## Use

{use}
## Checked

{checked}

## Scorecard

{scorecard}
"""


def model_card(run, model, step, kind, use, checked):
    """The card as Markdown.

    Parameters
    ----------
    run : davegan_tf.run_folder.RunFolder
    model : DAVEGAN
        As exported.
    step : int
        Of the training.
    kind : str
        Of the export, for people.
    use : str
        How it is used, Markdown that ends with a newline.
    checked : str
        What was compared with the run, plain text.

    Returns
    -------
    str
    """
    config, data = run.read_config(), run.read_manifest()["data"]
    trained_in = config.training.precision
    computes_in = model.arguments["precision"]
    two_phases = model.arguments["channels"] == 1
    return CARD.format(
        name=run.name,
        source=_source(data),
        shape=" × ".join(map(str, data["shape"][-2:])),
        steps=step,
        kind=kind,
        version=__version__,
        latent_dim=model.latent_dim,
        side=model.arguments["image_size"],
        channels=model.arguments["channels"],
        range="in [0, 1]: 0 is phase 0, 1 is phase 1, between them for greys"
        if two_phases
        else "in [0, 1]: channel k is 1 where a pixel is of phase k, else 0",
        rounding="of phase 1, so that a pixel is of phase 1 from 0.5"
        if two_phases
        else "channel k of phase k, so that a pixel is of the phase of its largest channel",
        n_phases=data["n_phases"],
        phases=_phases(data),
        pixel_size=_pixel_size(config.data),
        licence=_licence(data["name"]),
        precision=""
        if computes_in == trained_in
        else f"\n- It computes in {computes_in}; it was trained in {trained_in}.",
        use=use,
        checked=_block(checked),
        scorecard=_scorecard(run),
    )


def _source(data):
    name = data["name"]
    if name in GENERATORS:
        stand_in = data["stands_in_for"]
        return f"the built-in generator `{name}`{f', in place of `{stand_in}`' if stand_in else ''}"
    return f"the micrograph `{name}`"


def _phases(data):
    name = data["name"]
    described = f"{NAMED[name].description}; " if name in NAMED else ""
    return f"{described}{data['segmentation']}"


def _pixel_size(data):
    size = data.pixel_size
    return f"{size:g} {data.unit or ''}".rstrip() if size else "not known; statistics are in pixels"


def _licence(name):
    if name in NAMED:
        return NAMED[name].licence
    if name in GENERATORS:
        return "none needed: it is generated"
    return "not known here; the owner of the image decides"


def _scorecard(run):
    if not run.evaluation.is_file():
        return f"Not measured yet: `python -m cli evaluate {run.name}` does it."
    evaluation = json.loads(run.evaluation.read_text("utf-8"))
    name = run.read_manifest()["data"]["name"]
    return f"At step {evaluation['step']}, by `evaluate`:\n\n{_block(format_table(evaluation, paper=name))}"


def _block(text):
    return f"```\n{text}\n```"
