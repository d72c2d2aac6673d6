"""Images as arguments: what is the run's own source, and that no command replaces what it, or the run, was made of."""

import shutil

import imageio.v3 as iio
import numpy as np
import pytest
import yaml

from cli.image_argument import load_image
from cli.main import main
from davegan_tf import tensorflow_setup
from davegan_tf.errors import InputError
from davegan_tf.packaged import MODELS
from davegan_tf.run_folder import RunFolder


class ChecksPassed(Exception):
    """TensorFlow would have been imported."""


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """A working directory, ~/desk, which is also the folder of the named micrographs; TensorFlow is not reached."""

    def too_early(*_):
        raise ChecksPassed

    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.setattr(tensorflow_setup, "start_tensorflow", too_early)
    monkeypatch.chdir(desk)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DAVEGAN_DATA", ".")
    iio.imwrite("grey.png", (np.arange(64 * 64).reshape(64, 64) % 256).astype(np.uint8))
    for file in ("my.gif", "my.json", "my.npz", "alloy_resized.npy", "pmma_resized.npy"):
        (desk / file).write_text("precious")
    return desk


@pytest.fixture
def run_on(desk):
    """``run_on(source, **data)``: a run trained on it, the folder ``run``."""

    def make(source, **data):
        shutil.copytree(MODELS / "alloy", desk / "run")
        run = RunFolder("run")
        config = yaml.safe_load(run.config.read_text())
        config["data"] |= {"source": source, **data}
        run.config.write_text(yaml.safe_dump(config))
        return run

    return make


FIND = "find run --target volume_fraction=0.8"


@pytest.mark.parametrize(
    ("source", "command"),
    [
        ("grey.png", "generate run --out grey.png"),
        ("./grey.png", f"{FIND} --out grey.png"),
        ("grey.png", "traverse run --tile 0 --out grey.png"),
        ("~/desk/grey.png", "traverse run --out ./grey.png"),
        ("grey.png", "interpolate run tile:0 tile:1 --out grey.png"),
        ("grey.png", "reconstruct run grains --out grey.png"),
        # what is written beside it
        ("my.npz", f"{FIND} --out my.png"),
        ("my.gif", "traverse run --out my.png"),
        ("my.json", "interpolate run 1 2 --out my.png"),
        # by name
        ("rubber", "generate run --out pmma_resized.npy"),
        ("rubber", f"{FIND} --out pmma_resized.npy"),
        ("rubber", "reconstruct run grains --out pmma_resized.npy"),
    ],
)
def test_the_run_s_own_source_is_not_replaced(source, command, run_on, desk, capsys, caplog, tree):
    run_on(source)
    before = tree(desk)
    assert main(command.split()) == 2
    what = "the micrograph rubber" if source == "rubber" else source
    words = f"would replace {what}, which is the run's data.source; choose another name.\n"
    error = capsys.readouterr().err
    assert error.startswith("Error: --out ") and error.endswith(words)
    assert tree(desk) == before
    assert not caplog.records


def test_a_named_micrograph_that_is_read_is_not_replaced(run_on, capsys, tree, desk):
    run_on("grey.png")
    before = tree(desk)
    assert main(["reconstruct", "run", "alloy", "--out", "./alloy_resized.npy"]) == 2
    words = "Error: --out alloy_resized.npy: would replace the micrograph alloy, which is read; "
    assert capsys.readouterr().err.startswith(words)
    assert tree(desk) == before


def test_other_files_may_be_replaced(run_on):
    run_on("rubber")
    with pytest.raises(ChecksPassed):
        main(["generate", "run", "--out", "alloy_resized.npy"])


def test_what_is_not_there_can_not_be_replaced(run_on, desk):
    run_on("rubber")
    (desk / "pmma_resized.npy").unlink()
    with pytest.raises(ChecksPassed):
        main(["generate", "run", "--out", "pmma_resized.npy"])


@pytest.mark.parametrize("image", ["grey.png", "./grey.png", "~/desk/grey.png", "link.png"])
def test_the_run_s_own_source_in_every_spelling_is_parted_as_the_run_has_it(image, run_on, desk):
    (desk / "link.png").symlink_to("grey.png")
    run = run_on("grey.png", threshold=99.0)
    labels = load_image(run, image).images[0]
    np.testing.assert_array_equal(labels, iio.imread("grey.png") > 99)
    np.testing.assert_array_equal(
        load_image(run, image, threshold=9.0).images[0], iio.imread("grey.png") > 9
    )


def test_a_file_that_is_called_like_a_generator_is_another_source(run_on, desk):
    shutil.copy("grey.png", "grains")
    with pytest.raises(InputError, match="must be stated"):
        load_image(run_on("grains", threshold=0.5), "./grains")


def test_messages_name_the_options(run_on, desk):
    shutil.copy("grey.png", "other.png")
    run = run_on("grey.png", threshold=99.0)
    with pytest.raises(InputError, match=r"give --threshold .* or --phases \(2 to 8\)") as error:
        load_image(run, "other.png")
    assert "data." not in str(error.value)
