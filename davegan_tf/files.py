"""Writing files so that a reader never sees half of one."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from davegan_tf.errors import InputError


@contextlib.contextmanager
def atomic_path(path):
    """A temporary path beside ``path`` that becomes ``path`` if the block succeeds, and vanishes if it does not.

    Parameters
    ----------
    path : str or Path
        The file to write; missing parent folders are made, an older file of that name is replaced at the end.

    Yields
    ------
    Path
        With the same suffixes, so that writers that choose a format by the name keep working.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes)
    prefix = f".{path.name.removesuffix(suffix)}-"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        sync(temporary)
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 is for secrets
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path, *, replace=False):
    """The same for a folder: yields a temporary one to be filled.

    A folder of that name must be empty; with ``replace`` it goes at the end, whatever is in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.is_dir():
            (shutil.rmtree if replace else os.rmdir)(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync(path):
    """Return once what was written to a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path, text):
    """Write ``text`` to ``path`` at once or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def check_writable(path, option="--out"):
    """Raise InputError now if a file or folder ``path`` could not be made later.

    Parameters
    ----------
    path : Path
    option : str
        Of the command line, for the message.
    """
    parent = path.absolute()
    parent = parent if parent.is_dir() else parent.parent
    while not parent.exists():
        parent = parent.parent
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise InputError(f"{option} {path}: {parent} can't be written to; choose another place.")


def check_new_folder(path, option="--out"):
    """Raise InputError unless ``path`` can become a new folder, or is an empty one."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise InputError(f"{option} {path}: exists already; give a new or an empty folder.")
    check_not_here(path, option)
    check_writable(path, option)


def check_not_here(path, option="--out"):
    """Raise InputError if the folder ``path`` could not be replaced: the process works in it."""
    if Path.cwd().is_relative_to(path.resolve()):
        raise InputError(f"{option} {path}: is the folder you are in; give one inside it.")


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
