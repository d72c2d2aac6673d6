"""The group of commands, and how every error reaches the person at the terminal.

A mistake that the person can mend is one sentence on stderr and exit code 2; a traceback means a
defect of this program.
"""

import errno
import importlib
import os
import re
import sys
from collections.abc import Sequence

import click

from cli.progress import silence
from davegan_tf import __version__
from davegan_tf.errors import InputError

# Command to (module:attribute, one line for --help). Modules are imported when they are needed.
COMMANDS = {
    "train": ("cli.train:train", "Train a model on one micrograph."),
    "generate": ("cli.generate:generate", "Make new microstructures with a trained model."),
    "reconstruct": ("cli.reconstruct:reconstruct", "Encode and decode an image."),
    "traverse": ("cli.traverse:traverse", "Draw what each latent dimension does to an image."),
    "interpolate": ("cli.interpolate:interpolate", "Go from one image to another through z."),
    "find": ("cli.find:find", "Find structures that have given properties."),
    "embed": ("cli.embed:embed", "Put the training images' z into TensorBoard's projector."),
    "evaluate": ("cli.evaluate:evaluate", "Measure a trained model against its micrograph."),
    "study": ("cli.study:study", "Measure the latent space of a model of the ellipses."),
    "sweep": ("cli.sweep:sweep", "Train a config with every combination of some values."),
    "reproduce": ("cli.reproduce:reproduce", "Make the results under docs/results anew."),
    "export": ("cli.export:export", "Write a trained model for other programs."),
    "data": ("cli.data:data", "List and show micrographs."),
    "benchmark": ("cli.benchmark:benchmark", "Measure speed and memory on this machine."),
}


class LazyGroup(click.Group):
    """A click group that imports a command's module only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *(name for name in self.commands if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS or cmd_name in self.commands:
            return self.commands.get(cmd_name)
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]):
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from davegan_tf.spelling import nearest

            names = self.list_commands(ctx)
            likely = nearest(name, names)
            advice = f"Did you mean {likely}?" if likely else f"There are {', '.join(names)}."
            ctx.fail(f'There is no command "{name}". {advice}')
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        """Run the command; what it returns is no exit code."""
        try:
            super().invoke(ctx)
        except BrokenPipeError:
            ctx.exit(_reader_left())  # click's own way ends with 1


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="davegan")
def davegan() -> None:
    """Train a generative model of a microstructure from a single micrograph (DA-VEGAN).

    Begin with: davegan train --config quickstart.yaml
    """


def main(args: Sequence[str] | None = None, command: click.Command = davegan) -> int:
    """Run a command line (default: that of the process).

    Parameters
    ----------
    args : sequence of str or None
        The words after the program's name; None: the process's own.
    command : click.Command
        What they are given to.

    Returns
    -------
    int
        Exit code: 0 done, 2 something to mend, 130 interrupted, 141 nobody reads what is printed.
    """
    try:
        code = command.main(args=None if args is None else list(args), standalone_mode=False)
        sys.stdout.flush()
        return code or 0
    except InputError as error:
        return _report(str(error))
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except BrokenPipeError:  # of the last flush
        return _reader_left()
    except Exception as error:
        sentence = _system_failure(error)
        if sentence is None:
            raise
        return _report(sentence)


def _reader_left() -> int:
    """Exit code where the reader has left (`| head`) and the command could not go on: 128 + SIGPIPE, as of a shell."""
    silence()  # Python flushes stdout once more at exit
    return 128 + 13


def _report(sentence: str) -> int:
    click.echo(f"Error: {sentence}", err=True)
    return 2


def _system_failure(error: Exception) -> str | None:
    """One sentence for a failure of the disk, its permissions or the memory, None for any other error."""
    if isinstance(error, MemoryError):
        detail = f" ({error})" if str(error) else ""
        return f"There is not enough memory{detail}; {_LESS}."
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)
    path = f" {os.fsdecode(name)}" if isinstance(name, (str, bytes)) else ""
    full = (errno.ENOSPC, errno.EDQUOT)
    is_full = isinstance(error, OSError) and error.errno in full
    # TensorFlow writes checkpoints and logs itself and has its own exceptions.
    if is_full or any(os.strerror(number) in str(error) for number in full):
        return (
            f"The disk is full{f', so that{path} could not be written' if path else ''}; "
            "free some space and run the command again."
        )
    if isinstance(error, OSError) and path:
        return f"Cannot use{path}: {error.strerror}."
    if isinstance(error, OSError) and error.errno in _FILE_FAILURES:
        return f"A file could not be written or read: {os.strerror(error.errno)}."
    if type(error).__module__.startswith("tensorflow."):
        reasons = "|".join(os.strerror(number) for number in _FILE_FAILURES)
        found = re.search(rf"(\S+)(?:; ({reasons})| is not a directory)", str(error))
        if found:
            return f"Cannot use {found[1]}: {found[2] or os.strerror(errno.ENOTDIR)}."
        # Of a graphics card's memory mostly.
        if type(error).__name__ == "ResourceExhaustedError":
            return f"There is not enough memory; {_LESS}."
    return None


_LESS = "ask for smaller or fewer images, or for a smaller training.batch_size or data.image_size in training"


_FILE_FAILURES = (
    errno.EACCES,
    errno.EFBIG,
    errno.EIO,
    errno.EISDIR,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
