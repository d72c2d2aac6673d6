"""`davegan_tf.load`: what a notebook sees of a trained model, its documentation's examples, and its refusals."""

import doctest
import functools
import json
import runpy
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from conftest import settings
from threadpoolctl import threadpool_limits

import davegan_tf
from cli.main import main
from davegan_tf import evaluation, inference, latent, linkage, packaged, properties, trained_model
from davegan_tf.config_schema import Data
from davegan_tf.dataset import cut, decode_phases, encode_phases
from davegan_tf.errors import InputError
from davegan_tf.postprocessing import majority_filter
from davegan_tf.real_pieces import tile_places
from davegan_tf.synthetic import GENERATORS

EXAMPLE = Path(__file__).parents[1] / "examples" / "from_micrograph_to_figure.py"
SIDE, LATENT = 64, 32


@pytest.fixture(scope="module")
def alloy():
    return davegan_tf.load("alloy")


@pytest.fixture(scope="module")
def composite():
    return davegan_tf.load("composite")


def labels(*shape, n_phases=2):
    return np.random.default_rng(0).integers(0, n_phases, shape, dtype=np.uint8)


def run_folder(path, name="checkerboard", **replaced):
    """A run folder like that of a packaged model, with other texts in its small files."""
    shutil.copytree(packaged.MODELS / name, path)
    for file in (path / "config.yaml", path / "manifest.json"):
        # TensorFlow is as an earlier test has set it up.
        text = file.read_text("utf-8").replace("threads: 1", "threads: null")
        for old, new in replaced.items():
            text = text.replace(f"{old}: null", f"{old}: {new}")
            text = text.replace(f'"{old}": null', f'"{old}": "{new}"')
        file.write_text(text, "utf-8")
    return path


# The package, and its documentation


def test_importing_the_package_is_light_and_mistakes_need_no_tensorflow(tmp_path, no_tensorflow):
    script = """
import sys, davegan_tf
print({"numpy", "scipy", "pydantic", "matplotlib"} & set(sys.modules))
print("alloy" in davegan_tf.packaged_models())
for name in ("aloy", "runs/nothing", "."):
    try:
        davegan_tf.load(name)
    except ValueError as error:
        print(error)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=tmp_path, env=no_tensorflow, capture_output=True, text=True, check=True
    )
    modules, known, misspelt, nowhere, no_run = done.stdout.splitlines()
    assert (modules, known) == ("set()", "True")
    assert misspelt.endswith("nor a packaged model of that name; did you mean alloy?")
    assert nowhere.startswith("runs/nothing: there is no such run folder")
    assert "packaged are alloy, carbonate" in nowhere
    assert "not a run folder, it has no config.yaml" in no_run


def test_loading_is_quiet(tmp_path, shell):
    script = "import davegan_tf; davegan_tf.load('alloy').generate(1)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=shell(), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("module", [davegan_tf, trained_model])
def test_examples_of_the_documentation(module):
    found = doctest.testmod(module)
    assert found.attempted > 3
    assert found.failed == 0


# What it is


def test_a_packaged_model_says_what_it_is(composite):
    step = composite.folder.read_manifest()["step"]
    assert repr(composite) == (
        f"<TrainedModel composite: trained on composite for {step} steps; 64 × 64 pixels, 3 phases, "
        "latent_dim 32; a packaged model>"
    )
    assert (composite.image_size, composite.n_phases, composite.latent_dim) == (SIDE, 3, LATENT)
    assert (composite.name, composite.material, composite.step) == ("composite", "composite", step)
    assert composite.config.data.source == "composite"


def test_a_run_folder_goes_before_a_name_and_says_where_it_is(tmp_path, monkeypatch, alloy):
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "ceramics", "alloy", stands_in_for="rubber")
    model = davegan_tf.load("ceramics")
    assert repr(model).startswith("<TrainedModel ceramics: trained on alloy in place of rubber for")
    assert repr(model).endswith("latent_dim 32; ceramics>")
    np.testing.assert_array_equal(model.generate(2), alloy.generate(2))
    again = davegan_tf.load(tmp_path / "ceramics")
    assert repr(again).endswith(f"; {tmp_path / 'ceramics'}>")


# Labels in, labels out


def test_generating(alloy):
    samples = alloy.generate(5, seed=3)
    assert samples.shape == (5, SIDE, SIDE) and samples.dtype == np.uint8
    np.testing.assert_array_equal(samples, inference.generate_labels(alloy.keras_model, 5, 3))
    np.testing.assert_array_equal(alloy.generate(np.int64(2), 3), samples[:2])
    assert (alloy.generate(5) != samples).any()
    filtered = alloy.generate(5, 3, filter_size=3)
    np.testing.assert_array_equal(filtered, majority_filter(samples, 2, 3))
    assert filtered.dtype == np.uint8 and (filtered != samples).any()


@pytest.mark.parametrize("name", ["alloy", "composite"])
def test_to_the_latent_space_and_back(name, request):
    model = request.getfixturevalue(name)
    images = labels(3, SIDE, SIDE, n_phases=model.n_phases)
    z = model.encode(images)
    assert z.shape == (3, LATENT) and z.dtype == np.float32
    expected = latent.encode(model.keras_model, encode_phases(images, model.n_phases))[0]
    np.testing.assert_array_equal(z, expected)
    decoded = model.decode(z)
    assert decoded.shape == images.shape and decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, decode_phases(latent.decode(model.keras_model, z)))
    np.testing.assert_array_equal(model.reconstruct(images), decoded)
    assert len(np.unique(decoded)) == model.n_phases


def test_one_image_comes_back_as_one(alloy):
    image = alloy.generate(1)[0]
    z = alloy.encode(image)
    assert z.shape == (LATENT,)
    np.testing.assert_allclose(z, alloy.encode(image[np.newaxis])[0], atol=1e-5)
    assert alloy.decode(z).shape == alloy.reconstruct(image).shape == (SIDE, SIDE)
    np.testing.assert_array_equal(alloy.decode(z), alloy.decode(z[np.newaxis])[0])


def test_labels_of_any_integer_type_are_the_same_labels(alloy):
    image = labels(SIDE, SIDE)
    expected = alloy.encode(image)
    for other in (image.astype(np.int64), image.astype(bool), image.tolist()):
        np.testing.assert_array_equal(alloy.encode(other), expected)
    # A batch and its images alone agree but for rounding.
    np.testing.assert_array_equal(alloy.decode(expected.tolist()), alloy.decode(expected))


def test_larger_images_are_reconstructed_as_the_command_does(alloy, tmp_path):
    images = labels(2, 70, 150)
    whole = alloy.reconstruct(images)
    assert whole.shape == images.shape and whole.dtype == np.uint8
    expected = inference.reconstruct_image(alloy.keras_model, images[1], 2)
    np.testing.assert_array_equal(whole[1], expected)
    np.testing.assert_array_equal(alloy.reconstruct(images[1]), expected)
    np.save(tmp_path / "image.npy", images[1])
    out = tmp_path / "out.npy"
    assert main(["reconstruct", "alloy", str(tmp_path / "image.npy"), "--out", str(out)]) == 0
    np.testing.assert_array_equal(np.load(out)[0], expected)


# The latent space


def test_a_way_leads_from_one_point_to_another_however_they_are_given(alloy):
    image = labels(SIDE, SIDE)
    way = alloy.interpolate(3, image, steps=4)
    assert way.shape == (4, SIDE, SIDE) and way.dtype == np.uint8
    np.testing.assert_array_equal(way[0], alloy.generate(1, seed=3)[0])
    np.testing.assert_array_equal(way[3], alloy.reconstruct(image))
    ends = latent.z_of_seed(alloy.keras_model, 3), alloy.encode(image)
    np.testing.assert_array_equal(alloy.interpolate(*ends, steps=4), way)
    np.testing.assert_array_equal(alloy.decode((2 * ends[0] + ends[1]) / 3), way[1])


def test_a_traversal_varies_one_dimension_and_keeps_the_others(alloy):
    plot = alloy.traverse(5, [7, 2], limit=2, steps=5)
    assert plot.shape == (2, 5, SIDE, SIDE) and plot.dtype == np.uint8
    z = latent.z_of_seed(alloy.keras_model, 5)
    z[2] = -1
    np.testing.assert_array_equal(plot[1, 1], alloy.decode(z))
    z[2] = 2
    np.testing.assert_array_equal(plot[1, 4], alloy.decode(z))
    np.testing.assert_array_equal(alloy.traverse(5, 7, 2, 5), plot[:1])
    np.testing.assert_array_equal(alloy.traverse(5, 7, Fraction(2), 5), plot[:1])
    assert alloy.traverse(np.zeros(LATENT), steps=2).shape == (LATENT, 2, SIDE, SIDE)


def test_structures_with_given_properties(alloy, monkeypatch):
    monkeypatch.setattr(linkage, "linkage", functools.partial(linkage.linkage, count=256))
    for name, value in {"PREDICTED": 1024, "DECODED": 256, "ANGLES": linkage.ANGLES[::4]}.items():
        monkeypatch.setattr(linkage, name, value)
    targets = {"anisotropy": 0.1, "volume_fraction": 0.88}
    with threadpool_limits(1):
        exact = {"anisotropy": Fraction(1, 10), "volume_fraction": Fraction(22, 25)}
        found = alloy.find(count=3, seed=4, **exact)
        fitted = linkage.linkage(alloy.keras_model, 2, list(targets), seed=4)
        expected = linkage.find(alloy.keras_model, 2, fitted, targets, 3, 4)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.labels.shape == (3, SIDE, SIDE)
    np.testing.assert_array_equal(found.values, properties.measure(found.labels, [*targets], 2))
    np.testing.assert_allclose(found.values, [[0.1, 0.88]] * 3, atol=0.02)


# The scorecard


def test_the_scorecard_is_that_of_the_command(tmp_path):
    path = run_folder(tmp_path / "board", holdout="0.25")
    arguments = ["--count", "4", "--seed", "3", "--holdout", "--filter", "3"]
    assert main(["evaluate", str(path), *arguments]) == 0
    whole = np.int64([4, 3, 3])
    result = davegan_tf.load(path).evaluate(whole[0], whole[1], holdout=True, filter_size=whole[2])
    assert json.loads(json.dumps(result)) == json.loads(
        (path / "evaluation_holdout.json").read_text("utf-8")
    )
    assert (result["holdout"], result["filter"], result["counts"]["tiles"]) == (True, 3, 4)


@pytest.mark.parametrize("turned", [False, True])
def test_the_scorecard_is_that_of_tiles_and_samples(turned, monkeypatch):
    monkeypatch.setattr(Data, "shows_turned", turned)
    model = davegan_tf.load("checkerboard")
    board = GENERATORS["checkerboard"](256)[np.newaxis]
    tiles = cut(board, tile_places(board, SIDE), SIDE)
    measured = []

    def spy(*arguments, **named):
        measured.extend([*arguments, named])
        return {"verdict": {}}

    monkeypatch.setattr(evaluation, "evaluate", spy)
    step = model.folder.read_manifest()["step"]
    known = {"data": "checkerboard", "step": step, "filter": 1, "verdict": {}}
    assert model.evaluate(4, seed=7) == known
    training, reconstructed, generated, named = measured
    np.testing.assert_array_equal(training, board)
    np.testing.assert_array_equal(
        reconstructed, inference.reconstruct_labels(model.keras_model, tiles, 2)
    )
    np.testing.assert_array_equal(generated, inference.generate_labels(model.keras_model, 4, 7))
    assert named == {"n_phases": 2, "reference": None, "turned": turned, "seed": 7}


def test_no_scorecard_by_other_data(tmp_path):
    path = run_folder(tmp_path / "board")
    config = path / "config.yaml"
    config.write_text(config.read_text("utf-8").replace("size: 256", "size: 128"), "utf-8")
    with pytest.raises(InputError, match="was trained on other data"):
        davegan_tf.load(path).evaluate()
    with pytest.raises(InputError, match="so that holdout=True has nothing to measure on"):
        davegan_tf.load("checkerboard").evaluate(holdout=True)


# Refusals

FAR = "z holds what is no number between ±1e+06; expected"
WHOLE_SEED = "expected a whole number from 0 to 2147483647."
REFUSALS = {
    "no sample": (lambda model: model.generate(0), "count is 0; expected a whole number of at"),
    "half a sample": (lambda model: model.generate(2.5), "count is 2.5; expected a whole number"),
    "a seed below": (lambda model: model.generate(1, -1), f"seed is -1; {WHOLE_SEED}"),
    "a seed above": (lambda model: model.generate(1, 2**31), f"seed is 2147483648; {WHOLE_SEED}"),
    "an even filter": (lambda model: model.generate(1, filter_size=2), "expected an odd number"),
    "a filter of text": (
        lambda model: model.evaluate(4, filter_size="3"),
        "filter_size is 3; expected a whole number of at least 1.",
    ),
    "a small image": (
        lambda model: model.encode(labels(1, 32, 32)),
        "images are uint8 of shape (1, 32, 32); expected phase labels, whole numbers, of shape (n, height, width) or "
        "(height, width), with 64 × 64 pixels.",
    ),
    "a large image": (lambda model: model.encode(labels(SIDE, 65)), "of shape (64, 65)"),
    "a row": (lambda model: model.reconstruct(labels(100)), "of shape (100,)"),
    "channels": (lambda model: model.encode(labels(1, 1, SIDE, SIDE)), "of shape (1, 1, 64, 64)"),
    "no image": (lambda model: model.reconstruct(labels(0, SIDE, SIDE)), "of shape (0, 64, 64)"),
    "a part": (lambda model: model.reconstruct(labels(SIDE, 63)), "with at least 64 × 64 pixels."),
    "probabilities": (lambda model: model.encode(np.zeros((SIDE, SIDE))), "images are float64"),
    "greys": (
        lambda model: model.reconstruct(255 * labels(SIDE, SIDE)),
        "images hold labels 0 to 255; expected 0 to 1, since the model has 2 phases",
    ),
    "negative labels": (
        lambda model: model.encode(-labels(SIDE, SIDE).astype(int)),
        "images hold labels -1 to 0",
    ),
    "a short z": (
        lambda model: model.decode(np.zeros((4, 31))),
        "z is of shape (4, 31); expected (n, 32), or one vector (32,).",
    ),
    "no z": (lambda model: model.decode(np.zeros((0, LATENT))), "z is of shape (0, 32)"),
    "a z that is NaN": (lambda model: model.decode(np.full(LATENT, np.nan)), FAR),
    "a z that overflows": (lambda model: model.decode(np.full(LATENT, 1e39)), FAR),
    "a z of text": (lambda model: model.decode(["a"] * LATENT), FAR),
    "a start of half": (lambda model: model.traverse(0.5), "start, a seed, is 0.5; expected"),
    "many starts": (
        lambda model: model.interpolate(1, labels(2, SIDE, SIDE)),
        "b is of shape (2, 64, 64); expected one point of the latent space: a seed, an image (64, 64) or z (32,).",
    ),
    "a short start": (lambda model: model.interpolate([1, 2], 3), "z is of shape (2,)"),
    "an unknown dimension": (
        lambda model: model.traverse(dimensions=[0, 32]),
        "a dimension is 32; expected a whole number from 0 to 31.",
    ),
    "no dimension": (lambda model: model.traverse(dimensions=[]), "asked for no dimension"),
    "a range of 0": (lambda model: model.traverse(limit=0), "finite number above 0, not 0"),
    "a way of one": (lambda model: model.interpolate(1, 2, steps=1), "steps is 1; expected"),
    "a misspelt property": (
        lambda model: model.find(volume_fractoin=0.2),
        "did you mean volume_fraction?",
    ),
    "no property": (
        lambda model: model.find(),
        "find needs a property with its value; there are interface_density, volume_fraction, anisotropy.",
    ),
    "per cent": (lambda model: model.find(volume_fraction=25), "volume_fraction=25 can't be; exp"),
    "not a number": (lambda model: model.find(anisotropy=float("nan")), "a number from -1 to 1"),
    "no float": (
        lambda model: model.find(volume_fraction=10**400),
        "is too large; expected a numb",
    ),
    "none found": (lambda model: model.find(count=0, anisotropy=0), "from 1 to 2048"),
    "one sample": (lambda model: model.evaluate(1), "count is 1; expected a whole number of at"),
}


@pytest.mark.parametrize(("call", "words"), REFUSALS.values(), ids=REFUSALS)
def test_refused(call, words, alloy):
    with pytest.raises(InputError) as raised:
        call(alloy)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


# The example


@pytest.mark.slow
def test_the_example_draws_its_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    values = settings(data__micrograph_size=128, training__recalibrate="false")
    arguments = [*("--epochs", "10", "--count", "4", "--out", "new"), *values]
    # A notebook's own arguments are passed over.
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), "--f=kernel.json", *arguments])
    runpy.run_path(str(EXAMPLE))
    said = capsys.readouterr().out
    for phrase in ("grains: (128, 128) pixels", "<TrainedModel run: trained on grains", "φ of sam"):
        assert phrase in said
    assert "memorised share" in said and said.endswith(f"wrote {Path('new', 'figure.png')}\n")
    assert iio.imread("new/figure.png").std() > 30
    # Once more, and it goes on with the finished run.
    samples = davegan_tf.load("new/run").generate(2)
    runpy.run_path(str(EXAMPLE))
    assert "resumed at step 10 of 10" in capsys.readouterr().out
    np.testing.assert_array_equal(davegan_tf.load("new/run").generate(2), samples)
