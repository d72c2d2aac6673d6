"""`davegan benchmark`: how fast this is here, beside Keras' own `fit` and PyTorch."""

import json
from pathlib import Path

import click

from cli.options import SET, comma_separated

# What the PyTorch step knows, too.
TABLE_3 = (
    "data.source=grains",
    "data.real_sampling=same",
    "model.discriminator_width=1",
    "training.update_limit=null",
)


@click.command()
@click.option("--only", help="Parts, comma-separated: step,generation,startup,cost. [default: all]")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Repetitions.")
@click.option(
    "--steps", type=click.IntRange(1), default=100, show_default=True, help="Steps a round."
)
@click.option(
    "--contenders",
    default="fit,loop,torch",
    show_default=True,
    help="Whose steps; also loop:graph, loop:xla, loop:xla_matmul, ablation, torch:1, torch:2.",
)
@SET
@click.option("--out", type=click.Path(path_type=Path), help="Write everything as JSON, too.")
def benchmark(only, rounds, steps, contenders, overrides, out):
    """Measure training steps, generation, start-up and the cost of larger images on this machine.

    Takes the settings of alloy.yaml with the networks of Table 3 and the built-in generator as data. All that is
    compared runs side by side, in turns, each in a process of its own; medians are given with the spread. A quiet
    machine gives better numbers.
    """
    from benchmarks import measure
    from benchmarks.pool import WorkerError
    from davegan_tf.config import load_config
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_writable, write_text

    parts = _chosen("--only", only, measure.PARTS) if only is not None else measure.PARTS
    contenders = _chosen("--contenders", contenders, measure.CONTENDERS)
    options = {"config": "alloy.yaml", "overrides": [*TABLE_3, *overrides]}
    load_config(options["config"], options["overrides"])
    if "cost" in parts:
        for side in measure.COST_SIDES:
            largest = measure.cost_overrides(options, side, measure.COST_BATCHES[0])
            load_config(options["config"], largest)
    if out is not None:
        check_writable(out)
        if out.is_dir():
            raise InputError(f"--out {out}: is a folder; give the name of a JSON file.")

    try:
        results = measure.measure(
            parts,
            options,
            contenders=contenders,
            rounds=rounds,
            steps=steps,
            say=lambda text: click.echo(text, err=True),
        )
    except WorkerError as error:
        raise click.ClickException(str(error)) from None
    from benchmarks.report import print_report

    print_report(results)
    if out is not None:
        write_text(out, json.dumps(results, indent=2, ensure_ascii=False) + "\n")
        click.echo(f"wrote {out}")
    if results["failures"]:
        raise click.ClickException("\n".join(results["failures"]))


def _chosen(option, text, known):
    """The names in a comma-separated list, each a known one."""
    from davegan_tf.errors import InputError

    names = comma_separated(text)
    for name in names:
        if name not in known:
            raise InputError(f'{option}: there is no "{name}"; choose from {", ".join(known)}.')
    return tuple(names)
