"""`davegan export`: a model for other programs."""

import importlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

import click

from cli.options import RUN


class Format(NamedTuple):
    """One way to export.

    about : a phrase for --help
    writer : module:function of (path, model, run folder, step), which returns what to tell; imported when needed
    packages : what it needs beyond this package's own dependencies, as pip calls it
    suffix : how the name of the file it writes ends; empty: it writes a folder
    """

    about: str
    writer: str
    packages: tuple[str, ...] = ()
    suffix: str = ""


FORMATS = {
    "savedmodel": Format("for TensorFlow", "davegan_tf.export_savedmodel:write_savedmodel"),
    "onnx": Format(
        "a file per function", "davegan_tf.export_onnx:write_onnx", ("onnx", "onnxruntime")
    ),
    "litert": Format(
        "one small file", "davegan_tf.export_litert:write_litert", ("ai-edge-litert",)
    ),
    "explorer": Format(
        "a page to explore, without Python", "davegan_tf.explorer:write_explorer", suffix=".html"
    ),
}


@click.command()
@RUN
@click.option(
    "--format",
    "name",
    type=click.Choice(list(FORMATS)),
    default="savedmodel",
    show_default=True,
    help="; ".join(f"{name}: {each.about}" for name, each in FORMATS.items()) + ".",
)
@click.option(
    "--quantize", is_flag=True, help="LiteRT's weights in eight bits; the error is printed."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="New folder to write, or file."
)
def export(run, name, quantize, out):
    """Write a model for other programs: RUN is a run folder or a packaged model's name.

    It has the functions encode, generate and reconstruct, takes any batch size, and needs its runtime alone, not this
    package. It is run by that runtime in a fresh process and compared with the run before it is put in its place; a
    model card lies beside it. The explorer is a page for a browser, with the networks and the card inside; its
    arithmetic is compared in NumPy.
    """
    from davegan_tf.errors import InputError
    from davegan_tf.packaged import find_run

    chosen = FORMATS[name]
    options = {"quantize": True} if quantize else {}
    if quantize and name != "litert":
        raise InputError(
            f"--quantize: only --format litert has quantised weights, not {name}; take that, or leave --quantize out."
        )
    folder = find_run(run)
    folder.read_manifest()
    folder.read_evaluation()  # for the card: damaged files are told of now, not at the end
    _check_out(out, chosen.suffix)
    _check_installed(name, chosen.packages)
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow()
    from davegan_tf.building import load_model
    from davegan_tf.export_check import ExportFailed

    module, _, function = chosen.writer.partition(":")
    write = getattr(importlib.import_module(module), function)
    model, step = load_model(folder)
    try:
        told = write(out, model, folder, step, **options)
    except ExportFailed as error:
        raise click.ClickException(f"{out} was not written. {error}") from None
    click.echo(f"{folder.describe()}, step {step}")
    click.echo(told)


def _check_out(out, suffix):
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_new_folder, check_writable

    if not suffix:
        if out.suffix in (".onnx", ".tflite", ".pb"):
            raise InputError(
                f"--out {out}: give the name of a folder, without {out.suffix}; files go into it, with a model card."
            )
        return check_new_folder(out)
    if out.suffix.lower() != suffix or out.is_dir():
        raise InputError(f"--out {out}: give the name of a file that ends in {suffix}.")
    check_writable(out)


def _check_installed(name, packages):
    from davegan_tf.errors import InputError

    missing = [
        package
        for package in packages
        if importlib.util.find_spec(package.replace("-", "_")) is None
    ]
    if missing:
        raise InputError(
            f"--format {name}: needs {' and '.join(missing)}, not installed here; install with"
            f" `python -m pip install {' '.join(missing)}`."
        )
