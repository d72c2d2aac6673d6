"""`davegan data list` and `davegan data show`."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cli.data import data
from davegan_tf import registry, synthetic
from davegan_tf.errors import InputError


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def fail(name):
        raise registry.NotObtainable(f"{name} must not be downloaded by a test")

    monkeypatch.setattr(registry, "download", fail)


def run(*arguments):
    result = CliRunner().invoke(data, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def read(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def test_list_names_everything_and_where_it_comes_from(monkeypatch):
    monkeypatch.setattr(registry, "search_folders", lambda: [])
    result = run("list")
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    for name, entry in registry.NAMED.items():
        assert "download" in lines[name]
        assert entry.description in lines[name]
    for name in synthetic.GENERATORS:
        assert "generated" in lines[name]


def test_list_measures_the_micrographs_it_finds():
    if registry.find_local("composite") is None:
        pytest.skip("the composite micrograph is not on this computer")
    line = next(line for line in run("list").output.splitlines() if line.startswith("composite"))
    assert "0.562  0.269  0.169" in line


def test_show_tiles(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (100, 140), dtype=np.uint8)
    np.save(tmp_path / "a.npy", labels)
    out = tmp_path / "new folder" / "a.png"
    result = run("show", tmp_path / "a.npy", "--out", out, "--image-size", "32")
    assert result.exit_code == 0
    for phrase in (
        "3 phases",
        "volume fractions: phase 0 0.3",
        "12 tiles",
        "last 4 rows",
        str(out),
    ):
        assert phrase in result.output
    assert "12 columns" in result.output
    picture = read(out)
    factor = 768 // 140
    assert picture.shape == (100 * factor, 140 * factor, 3)
    middle = picture[factor // 2 :: factor, factor // 2 :: factor]
    np.testing.assert_array_equal(middle[:96, :128, 1], np.array([0, 128, 255])[labels[:96, :128]])
    assert (middle[96:, :, 0] > middle[96:, :, 1]).all(), "the remainder is not dyed"
    red = (picture == (220, 40, 40)).all(axis=-1)
    np.testing.assert_array_equal(np.flatnonzero(red.all(axis=1)), np.array([32, 64, 96]) * factor)
    np.testing.assert_array_equal(
        np.flatnonzero(red.all(axis=0)), np.array([32, 64, 96, 128]) * factor
    )
    assert [path.name for path in out.parent.iterdir()] == ["a.png"]


def test_show_crops_ellipses_and_segmentation(tmp_path):
    out = tmp_path / "a.png"
    result = run("show", "grains", "--out", out, "--sampling", "crops", "--micrograph-size", 128)
    assert "16 random crops of 64 × 64" in result.output
    assert read(out).shape == (768, 768, 3)
    result = run("show", "ellipses", "--out", out)
    assert "the first 16 images of 32 × 32" in result.output
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    result = run("show", tmp_path / "grey.png", "--out", out, "--threshold", "100")
    assert "the stated threshold 100" in result.output
    result = run("show", tmp_path / "grey.png", "--out", out, "--phases", "3")
    assert "multi-Otsu" in result.output


def test_mistakes_leave_nothing_behind(tmp_path):
    small = ("--micrograph-size", 128)
    with pytest.raises(InputError, match=r"\.png"):
        run("show", "grains", "--out", tmp_path / "a.jpg")
    with pytest.raises(InputError, match='did you mean "grains"'):
        run("show", "grain", "--out", tmp_path / "a.png")
    with pytest.raises(InputError, match=r"^--image-size: .* hold no image of 256"):
        run("show", "grains", "--out", tmp_path / "a.png", "--image-size", 256, *small)
    with pytest.raises(InputError, match=r"100 pixels \(--micrograph-size\) cannot be made"):
        run("show", "checkerboard", "--out", tmp_path / "a.png", "--micrograph-size", 100)
    result = run("show", "grains", "--out", tmp_path / "a.png", "--threshold", "mean")
    assert result.exit_code == 2
    assert "mean: expected otsu or a number" in result.output
    with pytest.raises(InputError, match="--threshold and --phases contradict each other"):
        run("show", "grains", "--out", tmp_path / "a.png", "--threshold", 50, "--phases", 2)
    assert list(tmp_path.iterdir()) == []
    Image.fromarray(np.arange(64 * 64).reshape(64, 64).astype(np.uint8)).save(tmp_path / "mine.png")
    with pytest.raises(InputError, match=r"give --threshold .* or --phases"):
        run("show", tmp_path / "mine.png", "--out", tmp_path / "a.png")
    before = (tmp_path / "mine.png").read_bytes()
    with pytest.raises(InputError, match="would replace"):
        run("show", tmp_path / "mine.png", "--out", tmp_path / "." / "mine.png")
    assert (tmp_path / "mine.png").read_bytes() == before
