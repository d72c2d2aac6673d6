"""`find` through the real command line, on packaged models, and its refusals."""

import functools
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from cli.main import main
from davegan_tf import latent, linkage, properties
from davegan_tf.building import load_model
from davegan_tf.dataset import decode_phases
from davegan_tf.packaged import find_run


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """A short search in a folder of its own; returns the command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(linkage, "linkage", functools.partial(linkage.linkage, count=256))
    for name, value in {"PREDICTED": 1024, "DECODED": 256, "ANGLES": linkage.ANGLES[::4]}.items():
        monkeypatch.setattr(linkage, name, value)
    with threadpool_limits(1):
        yield find


def find(*arguments):
    return main(["find", *map(str, arguments)])


def decoded(name, z):
    model, _ = load_model(find_run(Path(name)))
    return decode_phases(latent.decode(model, z))


def test_what_is_written_and_said(quick, capsys):
    arguments = ("--target", "volume_fraction=0.88", "--target", "anisotropy = 0.1")
    assert quick("alloy", *arguments, "--count", 5, "--out", "new/found.npy") == 0
    labels = np.load("new/found.npy")
    assert labels.shape == (5, 64, 64)
    with np.load("new/found.npz") as file:
        numbers = dict(file)
    assert numbers["z"].shape == (5, 32)
    np.testing.assert_array_equal(decoded("alloy", numbers["z"]), labels)
    for name in properties.names(2):
        expected = properties.measure(labels, [name], 2)[:, 0]
        np.testing.assert_array_equal(numbers[name], expected)
    np.testing.assert_allclose(numbers["volume_fraction"], 0.88, atol=0.01)
    np.testing.assert_allclose(numbers["anisotropy"], 0.1, atol=0.01)
    assert set(numbers) == {"z", "density_rank", *properties.names(2)}
    assert sorted(path.name for path in Path("new").iterdir()) == ["found.npy", "found.npz"]

    said = capsys.readouterr().out
    assert "alloy), step 36000" in said
    assert "of 256 samples: volume_fraction with R²" in said
    rows = [line.split() for line in said.splitlines()[3:8]]
    phi, error, anisotropy, other_error, rank = np.array(rows, float).T[1:]
    np.testing.assert_allclose(phi, numbers["volume_fraction"], atol=6e-5)
    np.testing.assert_allclose(error, numbers["volume_fraction"] - 0.88, atol=6e-5)
    np.testing.assert_allclose(anisotropy, numbers["anisotropy"], atol=6e-5)
    np.testing.assert_allclose(other_error, numbers["anisotropy"] - 0.1, atol=6e-5)
    np.testing.assert_allclose(rank, numbers["density_rank"], atol=6e-3)
    assert "within volume_fraction ±0.01, anisotropy ±0.01: 5 of 5" in said
    assert "wrote new/found.npy (5 images" in said and "and new/found.npz (z, " in said
    assert "OUT OF REACH" not in said


def test_the_least_that_can_be_asked(quick, capsys):
    assert quick("composite", "--target", "volume_fraction_2=0.25") == 0
    assert iio.imread("found.png").shape[-1] == 3
    with np.load("found.npz") as file:
        labels = decoded("composite", file["z"])
        assert set(file) >= set(properties.names(3))
        np.testing.assert_array_equal(file["volume_fraction_2"], (labels == 2).mean(axis=(1, 2)))
        np.testing.assert_allclose(file["volume_fraction_2"], 0.25, atol=0.01)
    assert len(labels) == len(np.unique(labels, axis=0)) == 8
    assert "8 of 8" in capsys.readouterr().out


def test_out_of_reach(quick, capsys):
    assert quick("alloy", "--target", "volume_fraction=0.25", "--seed", 3, "--out", "a.tif") == 0
    sentence = capsys.readouterr().out.splitlines()[-1]
    with np.load("a.npz") as file:
        nearest = file["volume_fraction"][0]
        assert nearest == file["volume_fraction"].min() > 0.5
    z = linkage.linkage(load_model(find_run(Path("alloy")))[0], 2, seed=3).z
    samples = decoded("alloy", z).mean(axis=(1, 2))
    assert sentence == (
        "OUT OF REACH: volume_fraction=0.25 lies outside what this model makes (samples have "
        f"volume_fraction {samples.min():.4g} to {samples.max():.4g}); "
        f"the nearest structure found has volume_fraction={nearest:.4g} ({nearest - 0.25:+.4g})."
    )


def test_the_tolerance_decides(quick, capsys):
    arguments = ("alloy", "--target", "volume_fraction=0.25", "--count", 2)
    assert quick(*arguments, "--tolerance", "volume_fraction=0.7") == 0
    said = capsys.readouterr().out
    assert "within volume_fraction ±0.7: 2 of 2" in said and "OUT OF REACH" not in said
    arguments = ("alloy", "--target", "volume_fraction=0.8602", "--count", 2)
    assert quick(*arguments, "--tolerance", "volume_fraction=1e-9") == 0
    said = capsys.readouterr().out
    assert "0 of 2" in said and "OUT OF REACH" not in said
    assert "NOT WITHIN THE TOLERANCE: volume_fraction=0.8602 was not met" in said


def test_the_same_seed_writes_the_same(quick):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        arguments = ("--count", 2, "--seed", seed, "--out", f"{name}.npy")
        assert quick("alloy", "--target", "volume_fraction=0.9", *arguments) == 0
    a, b, c = (Path(f"{name}.npz").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "volume_fractoin=0.2"], "did you mean volume_fraction?"),
        (["--target", "volume_fraction_2=0.2"], "of 2 phases; did you mean volume_fraction?"),
        (["--target", "porosity=0.2"], "there are interface_density, volume_fraction, anisotropy."),
        (["--target", "volume_fraction=25"], "expected a number from 0 to 1, not in per cent."),
        (["--target", "anisotropy=-1.5"], "expected a number from -1 to 1"),
        (["--target", "volume_fraction"], '"volume_fraction": expected NAME=NUMBER'),
        (["--target", "volume_fraction=0,25"], "such as volume_fraction=0.25"),
        (["--target", "volume_fraction=nan"], "expected NAME=NUMBER"),
        (["--target", "anisotropy=0", "--target", "anisotropy=1"], "anisotropy is given twice"),
        (["--target", "anisotropy=0", "--tolerance", "anisotropy=0"], "a number above 0"),
        (["--target", "anisotropy=0", "--tolerance", "volume_fraction=1"], "that is a --target"),
        (["--target", "anisotropy=0", "--tolerance", "anisotropi=1"], "did you mean anisotropy?"),
        (["--target", "anisotropy=0", "--out", "a.jpg"], ".jpg can't be written"),
        (["--target", "anisotropy=0", "--out", "a.png"], "a.npz is a folder"),
        (["--target", "anisotropy=0", "--count", "0"], "--count"),
        ([], "Missing option '--target'"),
    ],
)
def test_refusals(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.npz").mkdir()
    assert find("alloy", *arguments) == 2
    said = capsys.readouterr()
    assert words in said.err and "Traceback" not in said.err and not said.out
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_mistakes_are_found_without_tensorflow(davegan, no_tensorflow, tmp_path):
    for arguments in (["alloy", "--target", "phi=0.2"], ["aloy", "--target", "anisotropy=0"]):
        done = davegan("find", *arguments, cwd=tmp_path, env=no_tensorflow)
        assert done.returncode == 2
        assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.784, 0.82, 0.86, 0.90, 0.94])
def test_alloy_within_a_point_over_the_range_of_the_material(phi, tmp_path):
    out = tmp_path / "found.npy"
    assert find("alloy", "--target", f"volume_fraction={phi}", "--out", out) == 0
    fractions = np.load(out).mean(axis=(1, 2))
    np.testing.assert_allclose(fractions, phi, atol=0.01)
    assert len(np.unique(np.load(out), axis=0)) == 8
