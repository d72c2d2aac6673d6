"""A training in files, for a machine with a graphics card but without TensorFlow.

    python -m benchmarks.program export FOLDER --config paper/alloy.yaml    here
    python -m benchmarks.card FOLDER --train                                there, with JAX
    python -m benchmarks.program collect FOLDER runs/card                   here: a run for `train --resume`

The program is the one that the backend ``xla`` has of a chunk of steps. FOLDER holds ``program.mlir.gz`` (StableHLO),
``start.npz`` (its arguments but the first two, in their order), ``positions.npz`` (its first argument, for all chunks),
``expected.npz`` (what the first chunk makes of the variables here), ``program.json`` and ``config.yaml``; after the
training ``trained.npz``, and in ``trained.json`` the machine, its times and the logs of the chunks.
"""

import gzip
import json
import re
import sys
import zipfile
from pathlib import Path

import click
import numpy as np

from cli.main import main
from cli.options import RUN, SET
from cli.running import warn_of_stand_in

DATA = "images"  # the argument that is no variable


@click.group()
def program():
    """A training in files, for a machine with a graphics card but without TensorFlow."""


@program.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--config", "name", default="paper/alloy.yaml", show_default=True)
@SET
def export(folder, name, overrides):
    """Write FOLDER: the steps of a config up to the first change of what a step computes."""
    from davegan_tf.config import dump_config, load_config
    from davegan_tf.files import atomic_folder, check_new_folder, write_text
    from davegan_tf.micrographs import load_from_config

    config = load_config(name, list(overrides))
    check_new_folder(folder, "FOLDER")
    micrograph = load_from_config(config)
    warn_of_stand_in(micrograph)
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow(config.training.threads)
    from davegan_tf.schedule import Schedule

    schedule = Schedule(config, micrograph)
    positions = _positions(schedule, config)
    text, start, expected, about = _compiled(config, micrograph, schedule, positions[0])
    with atomic_folder(folder) as new:
        (new / "program.mlir.gz").write_bytes(gzip.compress(text.encode()))
        np.savez_compressed(new / "start.npz", *start)
        np.savez_compressed(new / "positions.npz", positions)
        np.savez_compressed(new / "expected.npz", **expected)
        write_text(new / "config.yaml", dump_config(config))
        write_text(new / "program.json", json.dumps(about, indent=1) + "\n")
    click.echo(f"wrote {folder}: {len(positions)} chunks of {config.training.chunk_steps} steps")


def _positions(schedule, config):
    """Where the images lie of all chunks up to the first change: (chunks, steps, encoded or real, batch, 3) int32."""
    from davegan_tf.errors import InputError

    length = config.training.chunk_steps
    ends = {
        "training.epochs": schedule.total,
        "training.freeze_statistics_after": schedule.frozen_from,
        "training.match_statistics_after": schedule.matched_from,
        "training.decay_after": schedule.decayed_from,
    }
    first = min(ends, key=ends.get)
    chunks = int(ends[first]) // length
    if not chunks:
        raise InputError(
            f"{first}: leaves {ends[first]} steps, less than one chunk of training.chunk_steps {length}; give more"
            " epochs."
        )
    sets = (schedule.positions, schedule.real_positions)
    positions = np.stack([each.positions(0, chunks * length) for each in sets], axis=1)
    return positions.reshape(chunks, length, 2, config.training.batch_size, 3)


def _compiled(config, micrograph, schedule, positions):
    """The program of a chunk as text, its arguments' values, those that the first chunk changes, and what is what."""
    from davegan_tf.building import build_model
    from davegan_tf.checkpoints import Checkpoints
    from davegan_tf.chunk import Chunk

    model = build_model(config, micrograph.n_phases)
    chunk = Chunk(model, schedule.images, micrograph.n_phases, "xla")
    arguments = chunk.arguments(positions[:, 0], positions[:, 1])
    variables = Checkpoints("", model).variables
    names = {id(variable.handle): name for name, variable in variables.items()}
    captured = chunk.function.get_concrete_function(*arguments).captured_inputs
    names = [names.get(id(each), DATA) for each in captured]
    start = [variables[name].numpy() if name != DATA else schedule.images for name in names]
    text = chunk.function.experimental_get_compiler_ir(*arguments)(stage="stablehlo")
    # The only operation that is not StableHLO; it does nothing here.
    text = re.sub(r"\bmhlo\.copy\b", "stablehlo.optimization_barrier", text)
    logs = chunk.function(*arguments)
    after = {name: variables[name].numpy() for name in names if name != DATA}
    expected = {
        name: after[name]
        for name, before in zip(names, start, strict=True)
        if name != DATA and not np.array_equal(before, after[name])
    }
    about = {
        "digest": micrograph.digest,
        "arguments": names,
        "results": [*sorted(logs), *expected],
        "logs": {name: logs[name].numpy().item() for name in sorted(logs)},
    }
    return text, start, expected, about


@program.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@RUN
def collect(folder, run):
    """Make a run of what the card trained (FOLDER/trained.npz); `train --resume` goes on with it."""
    from davegan_tf.config import load_config
    from davegan_tf.errors import InputError
    from davegan_tf.micrographs import load_from_config
    from davegan_tf.run_folder import RunFolder

    config = load_config(str(folder / "config.yaml"))
    length = config.training.chunk_steps
    about, told, values = _read(folder)
    step = int(values["training_step"])
    if step != length * len(told["logs"]):
        raise InputError(
            f"{folder}: trained.npz is of step {step}, trained.json of {length * len(told['logs'])}; train again."
        )
    for index, logs in enumerate(told["logs"]):
        if logs["finite_steps"] < length:
            raise InputError(
                f"{folder}: a loss was no longer finite after step {index * length + logs['finite_steps']}; lower the"
                " learning rates (training.*_learning_rate) or model.lambda_rec and export again."
            )
    run_folder = RunFolder(run)
    run_folder.check_free()
    micrograph = load_from_config(config)
    if micrograph.digest != about["digest"]:
        raise InputError(
            f"{folder}: was exported with other data than {micrograph.title} ({micrograph.origin}) as it is now;"
            " restore the data or export again."
        )
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow(config.training.threads)
    from davegan_tf.building import build_model
    from davegan_tf.callbacks import History
    from davegan_tf.checkpoints import Checkpoints
    from davegan_tf.davegan import LOGS
    from davegan_tf.manifest import describe_run
    from davegan_tf.schedule import Schedule

    checkpoints = Checkpoints(run_folder.checkpoints, build_model(config, micrograph.n_phases))
    for name, value in values.items():
        checkpoints.variables[name].assign(value)
    manifest = describe_run(config, micrograph)
    manifest["machine"] = told["machine"]
    manifest["versions"] |= told["versions"]
    per_epoch = Schedule(config, micrograph).positions.samples_per_epoch
    with run_folder.lock():
        seconds = told["seconds"]
        times = {"wall_seconds": sum(seconds.values()), "seconds": seconds}
        run_folder.create(config, manifest | times)
        checkpoints.save(step)
        history = History(run_folder.history, 0, per_epoch / config.training.batch_size)
        for index, logs in enumerate(told["logs"]):
            row = {name: logs[name] for name in LOGS}
            history.chunk(index * length, (index + 1) * length, row)
        history.close()
    click.echo(f"wrote {run}: step {step}; go on with `train --resume`")


def _read(folder):
    """What was exported and what was trained: program.json, trained.json, the arrays of trained.npz by name."""
    from davegan_tf.errors import InputError

    if not (folder / "trained.json").is_file():
        raise InputError(
            f"{folder}: has no trained.json; train with `python -m benchmarks.card {folder} --train`."
        )
    try:
        about, told = (
            json.loads((folder / name).read_text("utf-8"))
            for name in ("program.json", "trained.json")
        )
        with np.load(folder / "trained.npz") as file:
            values = {name: file[name] for name in file.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{folder}: not readable ({error}); train again.") from None
    if not set(values) <= set(about["arguments"]):
        raise InputError(f"{folder}: trained.npz is of another program; train again.")
    infinite = [name for name, value in values.items() if not np.all(np.isfinite(value))]
    if infinite:
        raise InputError(
            f"{folder}: {infinite[0]} is no longer finite; lower the learning rates (training.*_learning_rate) or"
            " model.lambda_rec and export again."
        )
    return about, told, values


if __name__ == "__main__":
    sys.exit(main(command=program))
