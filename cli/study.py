"""`davegan study`: the numbers of Section 4.2 for a model of the ellipses."""

import click

from cli.options import RUN, SEED


@click.command()
@RUN
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Of the images measured.",
)
def study(run, seed):
    """Measure what a model of the ellipses (ellipses.yaml) has learnt: reconstruction, disentanglement, traversals.

    RUN is a run folder, to which study.json is written.
    """
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_writable
    from davegan_tf.run_folder import RunFolder

    folder = RunFolder(run).require()
    micrograph = folder.load_micrograph()
    if micrograph.parameters is None:
        raise InputError(
            f"{folder.path}: was trained on {micrograph.title}, of whose images no parameters are known; this study "
            "needs a run of ellipses.yaml (data.source: ellipses). For other runs there are traverse and embed."
        )
    check_writable(folder.study)
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow(folder.read_config().training.threads)
    import json

    from davegan_tf.building import load_model
    from davegan_tf.ellipse_study import study as measure
    from davegan_tf.files import write_text

    model, step = load_model(folder)
    result = measure(model, micrograph.images, micrograph.parameters, seed)
    write_text(folder.study, json.dumps({"step": step, "seed": seed, **result}, indent=1) + "\n")
    codes, traversals = result["disentanglement"], result["traversals"]
    click.echo(f"{folder.describe()}, step {step}")
    click.echo(f"E_rec {result['E_rec']:.3g}, pixels right {result['pixel_accuracy']:.2%}")
    click.echo(
        f"DCI: disentanglement {codes['dci_disentanglement']:.2f}, completeness {codes['dci_completeness']:.2f}, "
        f"informativeness {codes['dci_informativeness']:.2f}; MIG {codes['mig']:.2f}"
    )
    r2 = ", ".join(f"{name} {scores['neighbours']:.2f}" for name, scores in result["r2"].items())
    click.echo(f"R² from z (nearest neighbours): {r2}")
    click.echo(
        f"frames of traversals that are one ellipse: {traversals['one_ellipse_within_2']:.1%} within ±2, "
        f"{traversals['one_ellipse_within_3']:.1%} within ±3 (mean of {result['images']['traversed']} images)"
    )
    click.echo(f"wrote {folder.study}")
