"""Files that are written whole or not at all."""

import os
from pathlib import Path

import pytest

from davegan_tf.errors import InputError
from davegan_tf.files import atomic_path, check_new_folder, check_writable, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "a.tar.gz"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffixes == path.suffixes
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["a.tar.gz"]


def test_a_failure_keeps_the_older_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_writer_that_replaces_or_removes_its_file(tmp_path):
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.unlink()
        temporary.write_text("new file, same name")
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "b.txt") as temporary:
        temporary.unlink()
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_follow_the_umask(mask, tmp_path):
    former = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "x")
        assert os.umask(mask) == mask, "the umask was changed"
    finally:
        os.umask(former)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~mask


def test_text_is_utf_8_and_keeps_its_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "β = 1\r\nφ = 0.9\n")
    assert (tmp_path / "a.txt").read_bytes() == "β = 1\r\nφ = 0.9\n".encode()


def test_check_writable(tmp_path):
    check_writable(tmp_path)
    check_writable(tmp_path / "not" / "yet" / "there.npy")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"--out .*file can't be written to"):
        check_writable(tmp_path / "file" / "a.npy")
    assert names(tmp_path) == ["file"]


def test_check_writable_asks_for_the_permission(tmp_path, monkeypatch):
    # Permissions don't bind root, who runs the tests in a container.
    monkeypatch.setattr(
        os, "access", lambda path, mode: (str(path), mode) != (str(tmp_path), os.W_OK)
    )
    with pytest.raises(InputError, match=r"--run-dir .*/runs/a: .* can't be written to; choose"):
        check_writable(tmp_path / "runs" / "a", "--run-dir")


def test_the_folder_one_is_in_is_no_new_folder(tmp_path, monkeypatch):
    (tmp_path / "in" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "in" / "here")
    for folder in (Path("."), tmp_path / "in" / "here"):
        with pytest.raises(InputError, match="is the folder you are in"):
            check_new_folder(folder)
    check_new_folder(Path("new"))


def test_check_new_folder(tmp_path):
    check_new_folder(tmp_path / "new")
    check_new_folder(tmp_path)
    (tmp_path / "file").write_text("x")
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match="exists already; give a new or an empty folder"):
            check_new_folder(taken)
