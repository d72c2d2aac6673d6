"""`davegan export`: a model for other programs."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder to write.")
def export(run, out):
    """Write a model as a TensorFlow SavedModel: RUN is a run folder or a packaged model's name.

    It has the signatures encode, generate, reconstruct and sample, takes any batch size, and needs TensorFlow
    alone, not this package.
    """
    from davegan_tf.files import check_new_folder
    from davegan_tf.packaged import find_run

    folder = find_run(run)
    folder.read_manifest()
    check_new_folder(out)
    from cli.quiet_tensorflow import start_tensorflow

    start_tensorflow()
    from davegan_tf.building import load_model
    from davegan_tf.export import export_saved_model

    model, step = load_model(folder)
    difference = export_saved_model(model, out)
    click.echo(f"{folder.describe()}, step {step}")
    click.echo(f"reloaded: largest difference to the model {difference:.1e}")
    click.echo(f"wrote {out} (SavedModel with encode, generate, reconstruct, sample)")
