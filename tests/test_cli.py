"""The group of commands: light to start, and every error reaches the person as one sentence."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from cli.main import COMMANDS, davegan, main
from davegan_tf import __version__
from davegan_tf.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def command(monkeypatch):
    """Register a command `fake` whose body is the given function."""

    def register(body):
        fake = click.command("fake")(body)
        monkeypatch.setitem(davegan.commands, "fake", fake)

    return register


def run(*arguments, code=None, **options):
    start = ["-c", code] if code else ["-m", "cli"]
    options = {"capture_output": True, "text": True, "cwd": ROOT} | options
    return subprocess.run([sys.executable, *start, *arguments], **options)


# Starting


def test_help_lists_the_commands_and_imports_nothing_heavy():
    code = (
        "import sys; from cli.main import main; code = main(['--help']); "
        "heavy = ('tensorflow', 'keras', 'numpy', 'scipy', 'matplotlib', 'pydantic'); "
        "print([name for name in heavy if name in sys.modules], code)"
    )
    done = run(code=code)
    assert done.stdout.splitlines()[-1] == "[] 0", done.stderr
    for name, (_, summary) in COMMANDS.items():
        assert name in done.stdout
        assert summary in done.stdout


def test_help_is_quick():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert run("--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


def test_every_command_loads_lightly_and_has_its_name():
    code = (
        "import sys, click; from cli.main import COMMANDS, davegan\n"
        "for name in COMMANDS:\n"
        "    command = davegan.get_command(click.Context(davegan), name)\n"
        "    assert isinstance(command, click.Command) and command.name == name, name\n"
        "print([name for name in ('tensorflow', 'keras', 'matplotlib') if name in sys.modules])"
    )
    done = run(code=code)
    assert done.stdout.strip() == "[]", done.stderr


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"davegan, version {__version__}"


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], 'There is no command "trian". Did you mean train?'),
        (
            ["zzzzz"],
            "There are train, generate, reconstruct, traverse, interpolate, find, embed, evaluate, study, sweep, "
            "reproduce, export, data, benchmark.",
        ),
        (["--verison"], "No such option"),
        (["generate", "x", "--count", str(10**9), "--out", "x.vti"], "range 1<=x<=1000000."),
        ([], "Usage:"),
    ],
)
def test_wrong_usage_exits_2(arguments, words, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.out + captured.err
    assert "Traceback" not in captured.err


def test_wrong_option_of_a_command_exits_2(command, capsys):
    command(lambda: None)
    assert main(["fake", "--count", "3"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_the_process_exits_with_the_code():
    done = run("trian")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


# What a command raises


def failing(error):
    def body():
        raise error

    return body


def test_success_is_0_whatever_the_command_returns(command):
    command(lambda: 17)
    assert main(["fake"]) == 0


def test_exit_code_of_a_command_is_kept(command):
    command(lambda: click.get_current_context().exit(3))
    assert main(["fake"]) == 3


def test_input_error_is_one_sentence_and_exit_code_2(command, capsys):
    command(failing(InputError("alloy.yaml: model.beta must be a number.")))
    assert main(["fake"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "Error: alloy.yaml: model.beta must be a number.\n"
    assert captured.out == ""


def test_click_exceptions_exit_2(command, capsys):
    command(failing(click.FileError("model.npy", "no such file")))
    assert main(["fake"]) == 2
    assert "model.npy" in capsys.readouterr().err


def test_keyboard_interrupt_exits_130(command, capsys):
    command(failing(KeyboardInterrupt()))
    assert main(["fake"]) == 130
    assert capsys.readouterr().err.strip() == "Interrupted."


def test_interrupt_signal_exits_130():
    code = (
        "import click, os, signal, sys, time; from cli.main import davegan, main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "@davegan.command()\n"
        f"def fake(): os.kill(os.getpid(), {int(signal.SIGINT)}); time.sleep(5)\n"
        "sys.exit(main(['fake']))"
    )
    done = run(code=code)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),  # from write: no path
    OSError(errno.ENOSPC, "No space left on device", "/data/out.npy"),
    OSError(errno.EDQUOT, "Disk quota exceeded", "/data/out.npy"),
    RuntimeError("{{node WriteFile}} /data/ckpt-1.data; No space left on device"),  # TensorFlow's
]


@pytest.mark.parametrize("error", FULL)
def test_full_disk(error, command, capsys):
    command(failing(error))
    assert main(["fake"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("Error: The disk is full")
    assert message.count("\n") == 1
    path = getattr(error, "filename", None)
    assert path is None or path in message


full_device = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")


@full_device
def test_full_disk_for_real(command, capsys):
    def body():
        with open("/dev/full", "w") as file:
            file.write("x")

    command(body)
    assert main(["fake"]) == 2
    assert capsys.readouterr().err.startswith("Error: The disk is full")


@full_device
def test_full_disk_behind_stdout():
    with open("/dev/full", "w") as full:
        done = run("--help", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: The disk is full")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/root/x.npy"), "Permission denied"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/root/x.npy"), "Is a directory"),
        (OSError(errno.EROFS, "Read-only file system", b"/root/x.npy"), "Read-only file system"),
    ],
)
def test_file_errors_name_the_path(error, sentence, command, capsys):
    command(failing(error))
    assert main(["fake"]) == 2
    assert capsys.readouterr().err == f"Error: Cannot use /root/x.npy: {sentence}.\n"


def test_renaming_names_the_target(tmp_path, command, capsys):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    command(lambda: os.replace(tmp_path / "file", tmp_path / "folder"))
    assert main(["fake"]) == 2
    assert capsys.readouterr().err.startswith(f"Error: Cannot use {tmp_path / 'folder'}:")


def test_too_little_memory(command, capsys):
    import numpy as np

    command(lambda: np.zeros((10**7, 10**7)))
    assert main(["fake"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: There is not enough memory (Unable to allocate 728. TiB")
    assert "; ask for smaller or fewer images, or for a smaller training.batch_size" in error
    assert error.endswith("data.image_size in training.\n") and error.count("\n") == 1


def test_too_little_memory_of_a_graphics_card(command, capsys):
    class ResourceExhaustedError(Exception):
        pass

    # What a process that has TensorFlow would be given, without the seconds of its import.
    ResourceExhaustedError.__module__ = "tensorflow.python.framework.errors_impl"
    command(failing(ResourceExhaustedError("OOM when allocating tensor with shape[512,256]")))
    assert main(["fake"]) == 2
    assert capsys.readouterr().err.startswith("Error: There is not enough memory; ask for smaller")
    for reason in ("No space left on device", "Disk quota exceeded"):
        command(failing(ResourceExhaustedError(f"/root/x.data; {reason}")))
        assert main(["fake"]) == 2
        assert capsys.readouterr().err.startswith("Error: The disk is full")


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), OSError("x")])
def test_a_defect_keeps_its_traceback(error, command):
    command(failing(error))
    with pytest.raises(type(error)):
        main(["fake"])


# Nobody reads what is printed


def after_the_reader_has_left(body, *arguments, stderr=subprocess.PIPE, **options):
    """What a process prints to stderr, and its exit code, whose command `fake` is this code."""
    code = (
        "import click, sys; from cli.main import davegan, main; from cli.progress import Progress\n"
        "@davegan.command()\n"
        "def fake():\n"
        "    sys.stdin.read()\n"  # until the reader has left
        f"    {body}\n"
        "sys.exit(main(['fake']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        cwd=ROOT,
    )
    process.stdout.close()
    process.stdin.close()
    said = b""
    if process.stderr:
        with process.stderr:
            said = process.stderr.read()
    return said, process.wait()


@pytest.mark.parametrize("lines", [1, 100_000])
@pytest.mark.parametrize("stderr", [subprocess.PIPE, subprocess.STDOUT])
def test_a_reader_that_leaves_is_neither_an_error_nor_success(lines, stderr):
    body = f"[click.echo('line', err=i > 9) for i in range({lines})]"
    assert after_the_reader_has_left(body, stderr=stderr) == (b"", 141)
    assert after_the_reader_has_left(f"print({lines} * 'line')", stderr=stderr) == (b"", 141)


@pytest.mark.parametrize("stderr", [subprocess.PIPE, subprocess.STDOUT])
def test_a_training_goes_on_when_its_reader_leaves(stderr, tmp_path):
    body = (
        "progress = Progress(); progress.__enter__(); progress.start(5, 9, 1, ['3'])\n"
        "    click.echo('to stdout'); click.echo('to stderr', err=True)\n"
        "    open(sys.argv[1], 'x'); click.echo('trained')"
    )
    said, code = after_the_reader_has_left(body, tmp_path / "trained", stderr=stderr)
    assert code == 0 and (tmp_path / "trained").exists()
    assert said == (b"to stderr\n" if stderr == subprocess.PIPE else b"")
