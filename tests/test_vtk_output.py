"""Image data of VTK as its readers see it: the format's text, PyVista, DAMASK; then the command line."""

import base64
import re
import shutil
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from cli.main import main
from cli.pixel_size import find_pixel_size
from davegan_tf import tensorflow_setup
from davegan_tf.config_schema import Data
from davegan_tf.errors import InputError
from davegan_tf.packaged import MODELS
from davegan_tf.vtk_output import check_series, vti, write_vti

SIZES = pytest.mark.parametrize(
    ("pixel_size", "unit", "spacing", "named"),
    [
        (None, "um", 1.0, "pixel"),
        (0.25, "um", 0.25, "um"),
        (1 / 3, "µm", 1 / 3, "µm"),
        (5e-7, "m", 5e-7, "m"),
        (2, None, 2.0, "unknown"),
    ],
)


@pytest.fixture
def labels():
    """No flip or transposition leaves it as it is."""
    labels = np.zeros((5, 8), np.uint8)
    labels[0, :6] = 1
    labels[1:, -1] = 2
    labels[3, 1] = 7
    return labels


def parsed(text):
    """(cells along x, y, z; spacing; unit; material in the order of the file), by the format's definition."""
    root = ElementTree.fromstring(text)
    image = root.find("ImageData")
    extent = [int(number) for number in image.get("WholeExtent").split()]
    assert extent[::2] == [0, 0, 0]
    assert image.find("Piece").get("Extent") == image.get("WholeExtent")
    codes = image.find("FieldData/Array[@Name='unit']").text.split()
    assert codes[-1] == "0"
    element = image.find("Piece/CellData/DataArray")
    data = element.text.strip()
    # Four numbers of eight bytes fill 44 letters.
    blocks, size, last, compressed = np.frombuffer(base64.b64decode(data[:44]), "<u8")
    packed = base64.b64decode(data[44:])
    assert (blocks, last, compressed) == (1, 0, len(packed))
    raw = zlib.decompress(packed)
    assert len(raw) == size
    spacing = [float(number) for number in image.get("Spacing").split()]
    unit = bytes(map(int, codes[:-1])).decode()
    return extent[1::2], spacing, unit, np.frombuffer(raw, "<i4")


@SIZES
def test_the_text_by_the_format_s_definition(labels, pixel_size, unit, spacing, named):
    cells, found, name, material = parsed(vti(labels, pixel_size, unit))
    assert cells == [8, 5, 1]
    assert found == [spacing] * 3
    assert name == named
    # x runs fastest, and y points up.
    expected = [labels[4 - y, x] for y in range(5) for x in range(8)]
    np.testing.assert_array_equal(material, expected)


def test_the_text_is_in_the_dialect_that_damask_s_solver_reads(labels):
    """Line by line, without an XML parser: what its Fortran source (VTI.f90) insists on."""
    text = vti(labels, 0.5, "um")
    assert "\r" not in text
    lines = [line.strip() for line in text.splitlines()]
    for attribute in (
        'type="ImageData"',
        'byte_order="LittleEndian"',
        'compressor="vtkZLibDataCompressor"',
        'header_type="UInt64"',
    ):
        assert attribute in lines[1]
    (image,) = (line for line in lines if line.startswith("<ImageData"))
    assert 'WholeExtent="0 8 0 5 0 1"' in image
    assert 'Spacing="0.5 0.5 0.5"' in image
    assert 'Origin="0 0 0"' in image
    assert 'Direction="1 0 0 0 1 0 0 0 1"' in image
    start = lines.index("<CellData>")
    end = lines.index("</CellData>")
    assert lines[start + 1] == '<DataArray type="Int32" Name="material" format="binary">'
    assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}[A-Za-z0-9+/]+={0,2}", lines[start + 2])
    assert lines[start + 3 : end] == ["</DataArray>"]


@SIZES
def test_pyvista_shows_the_picture_upright(labels, pixel_size, unit, spacing, named, tmp_path):
    pyvista = pytest.importorskip("pyvista", reason="needs pyvista (pip install -e '.[reference]')")
    (path,) = write_vti(tmp_path / "a.vti", labels[None], pixel_size, unit)
    grid = pyvista.read(path)
    assert isinstance(grid, pyvista.ImageData)
    assert grid.spacing == (spacing,) * 3
    assert grid.bounds == pytest.approx((0, 8 * spacing, 0, 5 * spacing, 0, spacing))
    assert list(grid.field_data["unit"]) == [named]
    material = grid.cell_data["material"]
    assert material.dtype == np.int32
    for row, column in np.ndindex(labels.shape):
        # Row 0 at the top, where y is largest; column 0 at the left, where x is 0.
        place = ((column + 0.5) * spacing, (5 - row - 0.5) * spacing, spacing / 2)
        assert material[grid.find_containing_cell(place)] == labels[row, column]


def test_damask_loads_it_as_its_grid(tmp_path):
    damask = pytest.importorskip("damask", reason="needs damask (pip install -e '.[reference]')")
    labels = np.random.default_rng(0).integers(0, 8, (300, 200), dtype=np.uint8)
    (path,) = write_vti(tmp_path / "a.vti", labels[None], 5e-7, "m")
    grid = damask.GeomGrid.load(path)
    np.testing.assert_array_equal(grid.cells, [200, 300, 1])
    np.testing.assert_allclose(grid.size, [1e-4, 1.5e-4, 5e-7], rtol=1e-12)
    np.testing.assert_array_equal(grid.material[:, ::-1, 0].T, labels)
    # What it writes itself has the same lines, its own numbers aside.
    grid.save(tmp_path / "b.vti")
    ours, theirs = (
        re.search(r"<CellData>\n.*</CellData>", (tmp_path / name).read_text(), re.S)[0]
        for name in ("a.vti", "b.vti")
    )
    pattern = r' Range\w+="\d+"|type="Int\d\d"|^ *[\w+/=]+$|^ +'
    assert re.sub(pattern, "", ours, flags=re.M) == re.sub(pattern, "", theirs, flags=re.M)


# Several images


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_several_images_are_a_series_and_not_a_stack(labels, tmp_path):
    images = np.stack([np.roll(labels, shift, axis=1) for shift in range(12)])
    paths = write_vti(tmp_path / "new" / "a.v2.vti", images)
    assert names(tmp_path / "new") == [f"a.v2_{index:03d}.vti" for index in range(12)]
    for path, image in zip(paths, images, strict=True):
        cells, _, _, material = parsed(path.read_text())
        assert cells == [8, 5, 1]
        np.testing.assert_array_equal(material.reshape(5, 8)[::-1], image)


def test_one_image_keeps_the_name_and_a_thousand_sort_by_it(labels, tmp_path):
    assert write_vti(tmp_path / "a.VTI", labels[None]) == [tmp_path / "a.VTI"]
    (tmp_path / "b_000.vti").write_text("of a shorter series")
    with pytest.raises(InputError, match=r"1001 images \(b_0000\.vti … b_1000\.vti\)"):
        check_series(tmp_path / "b.vti", 1001)


def test_a_series_is_replaced_but_never_mixed_with_another(labels, tmp_path, tree):
    write_vti(tmp_path / "a.vti", np.stack([labels] * 4))
    (tmp_path / "a_note.vti").write_text("no part of it")
    write_vti(tmp_path / "a.vti", np.stack([labels + 1] * 4))
    write_vti(tmp_path / "a.vti", labels[None])
    before = tree(tmp_path)
    for refused in (
        lambda: check_series(tmp_path / "a.vti", 3),
        lambda: write_vti(tmp_path / "a.vti", np.stack([labels] * 3)),
    ):
        with pytest.raises(InputError, match=r"a_003\.vti would pass for a part of this series"):
            refused()
    assert tree(tmp_path) == before
    _, _, _, material = parsed((tmp_path / "a_003.vti").read_text())
    assert material.max() == 8


def test_a_folder_in_the_way_is_told_beforehand(tmp_path):
    (tmp_path / "a_001.vti").mkdir()
    check_series(tmp_path / "a.vti", 1)
    with pytest.raises(InputError, match=r"a_001\.vti is a folder; choose another name"):
        check_series(tmp_path / "a.vti", 2)


def test_of_a_series_that_may_end_short_no_file_is_there(labels, tmp_path):
    check_series(tmp_path / "a.vti", 3, fewer=True)
    write_vti(tmp_path / "a.vti", np.stack([labels] * 3))
    check_series(tmp_path / "a.vti", 3)
    with pytest.raises(InputError, match=r"a_001\.vti would pass for .* of up to 3 images"):
        check_series(tmp_path / "a.vti", 3, fewer=True)
    (tmp_path / "b_0000.vti").write_text("of more than a thousand")
    with pytest.raises(InputError, match=r"b_0000\.vti would pass for .* of up to 1500 images"):
        check_series(tmp_path / "b.vti", 1500, fewer=True)


def test_a_failure_half_way_leaves_nothing(labels, tmp_path, monkeypatch, tree):
    write_vti(tmp_path / "a.vti", np.stack([labels] * 3))
    before, texts = tree(tmp_path), iter(["one", "two"])
    monkeypatch.setattr("davegan_tf.vtk_output.vti", lambda *_: next(texts))
    with pytest.raises(StopIteration):
        write_vti(tmp_path / "a.vti", np.stack([labels] * 3))
    assert tree(tmp_path) == before


# The command line


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def scaled(tmp_path_factory):
    """A run with a pixel size: the packaged alloy (small, and trained)."""
    path = tmp_path_factory.mktemp("scaled") / "alloy"
    shutil.copytree(MODELS / "alloy", path)
    config = (path / "config.yaml").read_text()
    assert "  pixel_size: null\n  unit: um\n" in config
    (path / "config.yaml").write_text(config.replace("pixel_size: null", "pixel_size: 0.5"))
    return path


def test_generate(scaled, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("generate", scaled, "--count", 2, "--out", "a.npy") == 0
    labels = np.load("a.npy")
    capsys.readouterr()
    # The config's pixel size …
    assert run("generate", scaled, "--count", 2, "--out", "a.vti") == 0
    said = "wrote a_000.vti … a_001.vti (2 images of 64 × 64, labels 0 … 1 as cell data material,"
    assert f"{said} spacing 0.5 um)" in capsys.readouterr().out
    for index, image in enumerate(labels):
        cells, spacing, unit, material = parsed((tmp_path / f"a_00{index}.vti").read_text())
        assert (cells, spacing, unit) == ([64, 64, 1], [0.5] * 3, "um")
        np.testing.assert_array_equal(material.reshape(64, 64)[::-1], image)
    # … or another …
    size = ("--pixel-size", 20, "--unit", "nm")
    assert run("generate", scaled, "--count", 2, "--out", "a.tif", *size) == 0
    assert "pixel 20 nm)" in capsys.readouterr().out
    with tifffile.TiffFile("a.tif") as file:
        assert file.pages[1].tags["XResolution"].value == (500_000, 1)
        assert file.pages[1].tags["ResolutionUnit"].value == 3
    # … or none that is known.
    assert run("generate", "alloy", "--count", 1, "--out", "c.vti") == 0
    assert "material, spacing 1: the pixel size is not known)" in capsys.readouterr().out
    assert parsed((tmp_path / "c.vti").read_text())[1:3] == ([1.0] * 3, "pixel")


def test_where_the_pixel_size_comes_from():
    out, unknown = Path("a.vti"), Data(source="grains")
    known = Data(source="grains", pixel_size=0.5, unit="nm")
    assert find_pixel_size(unknown, None, None, out) == (None, "um")
    assert find_pixel_size(unknown, 2.0, None, out) == (2.0, "um")
    assert find_pixel_size(known, None, None, Path("a.npy")) == (0.5, "nm")
    assert find_pixel_size(known, 2.0, None, out) == (2.0, "nm")
    assert find_pixel_size(known, 2.0, " mm ", Path("a.TIF")) == (2.0, "mm")


def test_reconstruct(scaled, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("image.npy", np.random.default_rng(0).integers(0, 2, (64, 96), dtype=np.uint8))
    assert run("reconstruct", scaled, "image.npy", "--out", "a.npy") == 0
    assert run("reconstruct", scaled, "image.npy", "--out", "a.vti") == 0
    assert "wrote a.vti (1 image of 64 × 96" in capsys.readouterr().out
    cells, spacing, unit, material = parsed((tmp_path / "a.vti").read_text())
    assert (cells, spacing, unit) == ([96, 64, 1], [0.5] * 3, "um")
    np.testing.assert_array_equal(material.reshape(64, 96)[::-1], np.load("a.npy")[0])
    size = ("--pixel-size", 3, "--unit", "m")
    assert run("reconstruct", "alloy", "image.npy", "--out", "b.vti", *size) == 0
    assert parsed((tmp_path / "b.vti").read_text())[1:3] == ([3.0] * 3, "m")


@pytest.mark.parametrize("command", ["generate alloy", "reconstruct alloy checkerboard"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("a.vti --pixel-size 0", "0: expected a number above 0"),
        ("a.vti --pixel-size -1", "-1: expected a number above 0"),
        ("a.vti --pixel-size nan", "nan: expected a number above 0"),
        ("a.vti --pixel-size inf", "inf: expected a number above 0"),
        ("a.vti --unit nm", "--unit nm: is the unit of --pixel-size; give both"),
        ("a.vti --pixel-size 1 --unit \t", "'\\t': expected the name of a unit"),
        ("a.vti --pixel-size 1 --unit \udcb5m", "expected the name of a unit"),
        ("a.npy --pixel-size 1", "a.npy would not hold it; end the name in .vti or .tif"),
        ("a --pixel-size 1", "a would not hold it"),
        ("a.tif --pixel-size 1e-12 --unit m", "TIFF can't hold a pixel size of 1e-12 m; give"),
        ("taken.vti", "taken.vti: is a folder"),
    ],
)
def test_refused_before_any_work(command, options, words, tmp_path, monkeypatch, capsys, tree):
    def too_early(*_):
        raise RuntimeError("TensorFlow would have been imported")

    monkeypatch.setattr(tensorflow_setup, "start_tensorflow", too_early)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.vti").mkdir()
    before = tree(tmp_path)
    assert run(*command.split(), "--out", *options.split(" ")) == 2
    said = capsys.readouterr()
    assert words in said.err.splitlines()[-1]
    assert "Traceback" not in said.err
    assert said.out == ""
    assert tree(tmp_path) == before


def test_a_series_in_the_way_is_refused_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tensorflow_setup, "start_tensorflow", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_016.vti").write_text("of an earlier series")
    assert run("generate", "alloy", "--out", "a.vti") == 2
    assert "a_016.vti would pass for a part" in capsys.readouterr().err
