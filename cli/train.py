"""`davegan train`: from a config to a trained model in a run folder."""

from pathlib import Path

import click

from cli.options import SET
from cli.running import warn_of_stand_in


@click.command()
@click.option("--config", help="Config file, or name of a packaged one (alloy.yaml).")
@SET
@click.option("--run-dir", type=click.Path(path_type=Path), help="Run folder. [default: runs/NAME]")
@click.option("--resume", is_flag=True, help="Go on with the run in the run folder.")
@click.option("--overwrite", is_flag=True, help="Replace the run in the run folder.")
@click.option("--epochs", type=click.IntRange(1), help="Short for --set training.epochs=N.")
@click.option("--seed", type=click.IntRange(0), help="Short for --set seed=N.")
@click.option(
    "--dry-run", is_flag=True, help="Check everything, say what would run, write nothing."
)
def train(config, overrides, run_dir, resume, overwrite, epochs, seed, dry_run):
    """Train a model on one micrograph.

    The run folder takes the model, checkpoints, losses and figures; TensorBoard's log goes to
    tb_logs/NAME. Interrupt at any time (Ctrl-C) and go on with --resume: the result is the same.
    """
    from davegan_tf.cluster import read_cluster
    from davegan_tf.config import load_config
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_writable
    from davegan_tf.micrographs import load_from_config
    from davegan_tf.run_folder import RunFolder

    if resume and overwrite:
        raise InputError("--resume and --overwrite contradict each other; give one of them.")
    overrides = list(overrides)
    overrides += [f"training.epochs={epochs}"] if epochs is not None else []
    overrides += [f"seed={seed}"] if seed is not None else []
    if config is None:
        if not (resume and run_dir):
            raise InputError(
                "train: give --config FILE (for example --config alloy.yaml), or --run-dir FOLDER"
                " --resume to go on with a run."
            )
        config = RunFolder(run_dir).require().config
    settings = load_config(config, overrides)
    run = RunFolder(run_dir or Path("runs") / settings.name)
    cluster = read_cluster(settings.training.distribution)
    if resume:
        run.require().check_same(settings)
    elif cluster.workers == 1 or dry_run:
        # Several processes check it together, once they have met: worker 0 may have begun to write.
        run.check_free(overwrite=overwrite)
        run.check_log(Path("tb_logs") / run.name)
    check_writable(run.path, "--run-dir")
    check_writable(Path("tb_logs") / run.name, "TensorBoard's log")
    micrograph = run.load_micrograph(settings) if resume else load_from_config(settings)
    if cluster.chief:
        _say_what(settings, micrograph, run)
    else:
        click.echo(f"worker {cluster.index} of {cluster.workers}; worker 0 writes {run.path}")
    if dry_run:
        click.echo("Dry run: nothing was written.")
        return
    _train(settings, micrograph, run, resume, overwrite, cluster)


def _train(settings, micrograph, run, resume, overwrite, cluster):
    from cli.progress import Progress
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow(settings.training.threads)
    from davegan_tf.training import train as train_model

    log_folder = Path("tb_logs") / run.name
    with Progress() as progress:
        outcome = train_model(
            settings,
            micrograph,
            run,
            resume=resume,
            overwrite=overwrite,
            log_folder=log_folder,
            observers=[progress],
        )
    if outcome.signal is not None and outcome.step < outcome.total_steps:
        if cluster.chief:
            click.echo(
                f"Interrupted at step {outcome.step} of {outcome.total_steps}; everything is saved. Go on with:\n"
                f"  python -m cli train --run-dir {run.path} --resume"
            )
        raise SystemExit(128 + outcome.signal)
    if not cluster.chief:
        return
    _draw(settings, micrograph, run)
    warn_of_stand_in(micrograph)
    since = f" (from step {outcome.began_at} to {outcome.step})" if outcome.began_at else ""
    click.echo(
        f"Trained {outcome.step - outcome.began_at} steps{since} in {outcome.seconds / 60:.1f} minutes.\n"
        f"Wrote {run.path}: model.weights.h5, history.csv, figures/overview.png, figures/losses.png\n"
        "Next:\n"
        f"  python -m cli evaluate {run.path}\n"
        f"  python -m cli generate {run.path} --count 16 --out samples.png\n"
        f"  python -m cli export {run.path} --out exported/{run.name}\n"
        "  tensorboard --logdir tb_logs"
    )


def _say_what(settings, micrograph, run):
    from davegan_tf.dataset import tile_remainder
    from davegan_tf.schedule import Schedule

    schedule = Schedule(settings, micrograph)
    side = settings.data.image_size
    count, height, width = micrograph.images.shape
    rows, columns = tile_remainder(micrograph.images.shape, side)
    left = (
        f"; the last {rows} rows and {columns} columns belong to no tile" if rows + columns else ""
    )
    images = f"{count} images of" if count > 1 else "one image of"
    click.echo(
        f"data: {micrograph.title}, {images} {height} × {width} pixels ({micrograph.origin})"
    )
    click.echo(f"segmentation: {micrograph.segmentation}")
    click.echo(
        f"samples: {settings.data.sampling} of {side} × {side}, {schedule.positions.samples_per_epoch} an epoch{left}"
    )
    click.echo(
        f"training: {settings.training.epochs} epochs, {schedule.total} steps"
        f" of {settings.training.batch_size} samples, seed {settings.seed}"
    )
    late = schedule.never_reached
    if late:
        keys = ", ".join(f"training.{name} {epoch}" for name, epoch in late.items())
        click.echo(
            f"note: not reached within {settings.training.epochs} epochs, so without effect: {keys} (each begins with a"
            f" chunk of {settings.training.chunk_steps} steps); to keep its part in a training of another length,"
            " change it with training.epochs"
        )
    click.echo(f"run folder: {run.path}; TensorBoard: tb_logs/{run.name}")
    warn_of_stand_in(micrograph)


def _draw(settings, micrograph, run):
    """The run's figures: losses (Figure 5), originals, reconstructions and samples (Tables 5, 6)."""
    from davegan_tf import figures
    from davegan_tf.building import load_model
    from davegan_tf.curves import loss_curves
    from davegan_tf.dataset import tiles
    from davegan_tf.inference import generate_labels, reconstruct_labels

    title = f"{micrograph.title}, seed {settings.seed}"
    model, step = load_model(run)
    originals = tiles(micrograph.images, settings.data.image_size)[:16]
    n_phases = micrograph.n_phases
    figures.overview(
        originals,
        reconstruct_labels(model, originals, n_phases),
        generate_labels(model, 32, settings.seed),
        n_phases,
        run.figures / "overview.png",
        f"{title}, {step} steps",
    )
    loss_curves(run.history, run.figures / "losses.png", title)
