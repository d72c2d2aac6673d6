"""The model card beside an export: what an engineer must know who never saw the training."""

from davegan_tf import __version__
from davegan_tf.evaluation_table import format_table
from davegan_tf.provenance import provenance

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
    origin = provenance(config, data)
    trained_in = config.training.precision
    computes_in = model.arguments["precision"]
    two_phases = model.arguments["channels"] == 1
    return CARD.format(
        name=run.name,
        source=origin.source,
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
        phases="; ".join(filter(None, (origin.description, data["segmentation"]))),
        pixel_size=_pixel_size(config.data),
        licence=origin.licence,
        precision=""
        if computes_in == trained_in
        else f"\n- It computes in {computes_in}; it was trained in {trained_in}.",
        use=use,
        checked=_block(checked),
        scorecard=_scorecard(run, step),
    )


def scorecard_of(run, step):
    """The scorecard of what is exported, as text; None if `evaluate` has not measured just this.

    Parameters
    ----------
    run : davegan_tf.run_folder.RunFolder
    step : int
        Of the training, at which it is exported.
    """
    evaluation = run.read_evaluation()
    # Of an earlier step it is another model's; an export has no filter.
    if evaluation is None or (evaluation["step"], evaluation["filter"]) != (step, 1):
        return None
    paper = provenance(run.read_config(), run.read_manifest()["data"]).paper
    return format_table(evaluation, paper=paper)


def _pixel_size(data):
    size = data.pixel_size
    return f"{size:g} {data.unit or ''}".rstrip() if size else "not known; statistics are in pixels"


def _scorecard(run, step):
    scorecard = scorecard_of(run, step)
    if scorecard is None:
        return f"Not measured yet: `python -m cli evaluate {run.path}` does it."
    return f"By `evaluate`:\n\n{_block(scorecard)}"


def _block(text):
    return f"```\n{text}\n```"
