"""`davegan evaluate`: the measures of Section 4.1 beside their baselines."""

from pathlib import Path

import click

from cli.options import RUN, SEED


@click.command()
@RUN
@click.option(
    "--count", type=click.IntRange(2), default=256, show_default=True, help="Samples to measure."
)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Of z and crops.",
)
@click.option(
    "--holdout",
    is_flag=True,
    help="Measure on what data.holdout kept out of training: the honest test of the encoder.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the results. [default: the run folder; of a packaged model evaluations/NAME]",
)
@click.option(
    "--filter",
    "filter_size",
    type=click.IntRange(1),
    default=1,
    help="Majority filter on the samples, as in `generate`. [default: none]",
)
def evaluate(run, count, seed, holdout, out, filter_size):
    """Measure reconstructions and samples of a model against its micrograph.

    RUN is a run folder or the name of a packaged model (alloy, …). Prints the scorecard and writes
    evaluation.json and report.html, with --holdout evaluation_holdout.json and
    report_holdout.html, into the run folder.
    """
    from davegan_tf.files import check_writable
    from davegan_tf.measured import measure, micrograph_of
    from davegan_tf.packaged import find_run, is_packaged
    from davegan_tf.postprocessing import check_size
    from davegan_tf.trained_model import TrainedModel

    check_size(filter_size)
    folder = find_run(run)
    config = folder.read_config()
    micrograph = micrograph_of(folder, holdout)
    out = out or (Path("evaluations") / folder.name if is_packaged(folder) else folder.path)
    check_writable(out / "evaluation.json")
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow(config.training.threads)
    import json

    from davegan_tf.evaluation_table import format_table
    from davegan_tf.files import write_text
    from davegan_tf.provenance import provenance
    from davegan_tf.report import Pictures, write_report

    measured = measure(TrainedModel(folder), micrograph, count, seed, holdout, filter_size)
    result = measured.result
    suffix = "_holdout" if holdout else ""
    path, page = out / f"evaluation{suffix}.json", out / f"report{suffix}.html"
    paper = provenance(config, folder.read_manifest()["data"]).paper
    write_report(
        page,
        result,
        Pictures(
            measured.tiles,
            measured.reconstructed,
            measured.generated,
            measured.crops,
            measured.noise,
            micrograph.images,
            micrograph.n_phases,
            config.data.pixel_size,
            config.data.unit,
        ),
        title=f"{folder.name}: {micrograph.title}, seed {config.seed}",
        paper=paper,
        history=folder.history if folder.history.is_file() else None,
    )
    # Last: by this file a run counts as measured.
    write_text(path, json.dumps(result, indent=2) + "\n")
    click.echo(f"{folder.describe()}, step {result['step']}")
    click.echo(format_table(result, paper=paper))
    click.echo(f"wrote {path} and {page}")
