"""Phase labels → files that read back to the labels."""

import contextlib
import os

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from PIL import Image

from davegan_tf import image_output, vtk_output
from davegan_tf.errors import InputError
from davegan_tf.figures import image_grid, to_grey
from davegan_tf.image_output import SUFFIXES, check_output, write_labels
from davegan_tf.micrographs import load_micrograph


def random_labels(count, n_phases):
    labels = np.random.default_rng(0).integers(0, n_phases, (count, 64, 70), dtype=np.uint8)
    labels[:, 0, :n_phases] = np.arange(n_phases)
    return labels


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def to_labels(grey, n_phases):
    return np.rint(grey * ((n_phases - 1) / 255)).astype(np.uint8)


@pytest.mark.parametrize("n_phases", [2, 3, 8])
@pytest.mark.parametrize("name", ["a.npy", "a.tif", "a.TIFF", "a.png", "folder", "new/a.v2.npy"])
def test_formats_read_back_to_the_labels(name, n_phases, tmp_path):
    labels, path = random_labels(12, n_phases), tmp_path / name
    check_output(path)
    written = write_labels(path, labels, n_phases)
    assert str(path) in written
    assert "12 images of 64 × 70" in written
    suffix = path.suffix.lower()
    if suffix == ".npy":
        found = np.load(path, allow_pickle=False)
        assert found.dtype == np.uint8
    elif suffix == ".png":
        np.testing.assert_array_equal(iio.imread(path), image_grid(labels, n_phases))
        found = labels
    elif suffix:
        with tifffile.TiffFile(path) as pages:
            assert len(pages.pages) == 12
        found = to_labels(tifffile.imread(path), n_phases)
    else:
        assert names(path) == [f"{index:02d}.png" for index in range(12)]
        found = to_labels(np.stack([iio.imread(path / each) for each in names(path)]), n_phases)
    np.testing.assert_array_equal(found, labels)
    assert names(path.parent) == [path.name]


@pytest.mark.parametrize("name", ["a.npy", "a.tif", "a.png"])
def test_one_image_is_a_micrograph_again(name, tmp_path):
    labels = random_labels(1, 3)
    assert "1 image of" in write_labels(tmp_path / name, labels, 3)
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, np.load(path)[0])
    again = load_micrograph(path, phases=3)
    assert again.n_phases == 3
    np.testing.assert_array_equal(again.images, labels)


@pytest.mark.parametrize(
    ("pixel_size", "unit", "resolution", "resolution_unit"),
    [
        (0.5, "um", 20_000, "CENTIMETER"),
        (0.5, "µm", 20_000, "CENTIMETER"),
        (0.5, "\N{GREEK SMALL LETTER MU}m", 20_000, "CENTIMETER"),
        (2.5, "nm", 4_000_000, "CENTIMETER"),
        (4, "\N{ANGSTROM SIGN}", 25_000_000, "CENTIMETER"),
        (0.3, "mm", 100 / 3, "CENTIMETER"),
        (1e-6, "m", 10_000, "CENTIMETER"),
        (0.25, "lattice constants", 4, "NONE"),
        (0.25, None, 4, "NONE"),
    ],
)
def test_tiff_has_the_resolution(pixel_size, unit, resolution, resolution_unit, tmp_path):
    path, labels = tmp_path / "a.tif", random_labels(3, 2)
    check_output(path, 3, pixel_size, unit)
    written = write_labels(path, labels, 2, pixel_size, unit)
    assert (
        f"labels as grey levels, pixel {pixel_size:g} {unit or '(of an unknown unit)'})" in written
    )
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 3
        for page in file.pages:
            assert page.tags["ResolutionUnit"].value.name == resolution_unit
            for name in ("XResolution", "YResolution"):
                numerator, denominator = page.tags[name].value
                assert numerator / denominator == pytest.approx(resolution, rel=1e-8)
        (told,) = file.shaped_metadata
        assert (told["pixel_size"], told["unit"]) == (pixel_size, unit)
        np.testing.assert_array_equal(file.asarray(), labels * 255)
    # As another program reads the tags (Pillow), which converts them to dots per inch.
    with Image.open(path) as image:
        if resolution_unit == "CENTIMETER":
            assert image.info["dpi"][0] == pytest.approx(resolution * 2.54, rel=1e-6)


def test_tiff_without_a_pixel_size_claims_none(tmp_path):
    written = write_labels(tmp_path / "a.tif", random_labels(2, 2), 2, unit="um")
    assert written.endswith("(2 images of 64 × 70, a page each, labels as grey levels)")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].tags["ResolutionUnit"].value.name == "NONE"
        assert file.pages[0].tags["XResolution"].value == (1, 1)


@pytest.mark.parametrize("pixel_size", [5e-324, 1e-12, 1e8, 1e308])
def test_a_pixel_size_that_no_tiff_can_hold_is_refused(pixel_size, tmp_path, tree):
    for act in (
        lambda path: check_output(path, 2, pixel_size, "m"),
        lambda path: write_labels(path, random_labels(2, 2), 2, pixel_size, "m"),
    ):
        with pytest.raises(InputError, match="TIFF can't hold a pixel size of"):
            act(tmp_path / "a.tif")
    assert tree(tmp_path) == {}
    check_output(tmp_path / "a.vti", 2, pixel_size, "m")


def test_permissions_are_those_of_new_files(tmp_path):
    former = os.umask(0o022)
    try:
        write_labels(tmp_path / "a.npy", random_labels(2, 2), 2)
        write_labels(tmp_path / "folder", random_labels(2, 2), 2)
    finally:
        os.umask(former)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"a.npy": 0o644, "folder": 0o755}


def test_an_empty_folder_and_an_older_file_are_replaced(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.npy").write_text("old")
    for name in ("empty", "a.npy"):
        check_output(tmp_path / name)
        write_labels(tmp_path / name, random_labels(2, 2), 2)
    assert names(tmp_path / "empty") == ["0.png", "1.png"]
    assert np.load(tmp_path / "a.npy").shape == (2, 64, 70)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.jpg", r"\.jpg can't be written; end the name in \.npy, \.png, \.tif"),
        ("a.v2", r"\.v2 can't be written"),
        ("taken", "exists already; give a new or an empty folder"),
        ("file", "exists already"),
        ("folder.npy", "is a folder; give the name of a file in it"),
        ("folder.vti", "is a folder; give the name of a file in it"),
        ("file/a.vti", "file can't be written to; choose another place"),
        ("file/a.npy", "file can't be written to; choose another place"),
        ("file/folder", "file can't be written to"),
    ],
)
def test_bad_outputs_are_refused_beforehand(name, words, tmp_path, tree):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "a.png").write_text("precious")
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "folder.vti").mkdir()
    before = tree(tmp_path)
    with pytest.raises(InputError, match=words):
        check_output(tmp_path / name)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", [f"a{suffix}" for suffix in SUFFIXES] + ["folder"])
def test_a_failure_leaves_nothing_and_keeps_the_older_file(name, tmp_path, monkeypatch, tree):
    path = tmp_path / name
    if path.suffix:
        path.write_text("older")
    before = tree(tmp_path)

    def fail(*_, **__):
        raise OSError("no more")

    for module, function in ((np, "save"), (tifffile, "imwrite"), (iio, "imwrite")):
        monkeypatch.setattr(module, function, fail)
    # The grid's PNG is written by another module of ours; a failure at the end of the block is as good.
    monkeypatch.setattr(image_output, "save_png", fail)
    monkeypatch.setattr(vtk_output, "vti", fail)
    with pytest.raises(OSError, match="no more"):
        write_labels(path, random_labels(2, 2), 2)
    assert tree(tmp_path) == before


def test_a_folder_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    write, written = iio.imwrite, []

    def fail_at_third(path, image):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write(path, image)

    monkeypatch.setattr(iio, "imwrite", fail_at_third)
    with contextlib.suppress(KeyboardInterrupt):
        write_labels(tmp_path / "folder", random_labels(4, 2), 2)
    assert len(written) == 2
    assert names(tmp_path) == []


def test_grey_levels_are_spread():
    np.testing.assert_array_equal(to_grey(np.array([0, 1, 2], np.uint8), 3), [0, 128, 255])
