"""Pictures: the right pixels in the right places, whole files, no window system, no TensorFlow."""

import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest

from davegan_tf import figures
from davegan_tf.curves import loss_curves, running_mean
from davegan_tf.errors import InputError

COLUMNS = [
    "step",
    "epoch",
    "discriminator_loss",
    "generator_loss",
    "encoder_loss",
    "kl_loss",
    "reconstruction_loss",
    "probability_real",
    "probability_reconstructed",
    "probability_generated",
]


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 3, (5, 4, 6)).astype(np.uint8)


def write_history(path, rows=60, columns=COLUMNS):
    values = np.random.default_rng(0).random((rows, len(columns)))
    values[:, :2] = np.arange(rows)[:, np.newaxis]
    text = [",".join(columns), *(",".join(map(str, row)) for row in values)]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def test_grey_levels_are_evenly_spaced():
    np.testing.assert_array_equal(figures.to_grey(np.arange(3), 3), [0, 128, 255])
    np.testing.assert_array_equal(figures.to_grey(np.arange(2), 2), [0, 255])


def test_grid_holds_every_image_in_reading_order_between_separators(labels):
    grid = figures.image_grid(labels, 3, columns=3, pad=2)
    assert grid.shape == (2 * (4 + 2) + 2, 3 * (6 + 2) + 2, 3)
    assert grid.dtype == np.uint8
    for index, image in enumerate(labels):
        row, column = divmod(index, 3)
        top, left = 2 + row * 6, 2 + column * 8
        shown = grid[top : top + 4, left : left + 6]
        np.testing.assert_array_equal(shown[..., 1], figures.to_grey(image, 3))
    red, green, blue = grid[:2].reshape(-1, 3).T
    assert (red != green).all() and (green != blue).all()
    # The sixth place is empty: white.
    assert (grid[8:, 18:] == 255).all()


def test_grid_is_about_square_and_scales_by_whole_pixels(labels):
    assert figures.image_grid(labels, 3, pad=0).shape == (2 * 4, 3 * 6, 3)
    large = figures.image_grid(labels[:1], 3, pad=0, scale=3)
    np.testing.assert_array_equal(large[::3, ::3, 0], figures.to_grey(labels[0], 3))
    assert large.shape == (12, 18, 3)
    with pytest.raises(InputError, match="one image or more"):
        figures.image_grid(labels[:0], 3)


def test_png_comes_back_as_it_was_and_nothing_else_is_left(tmp_path, labels):
    grid = figures.image_grid(labels, 3)
    figures.save_png(tmp_path / "grid.png", grid)
    figures.save_png(tmp_path / "grid.png", grid)
    np.testing.assert_array_equal(iio.imread(tmp_path / "grid.png"), grid)
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


def test_a_failed_write_leaves_the_old_file(tmp_path, labels):
    path = tmp_path / "grid.png"
    figures.save_png(path, figures.image_grid(labels, 3))
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError, OSError)):
        figures.save_png(path, np.zeros((2, 2, 3), dtype=complex))
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


@pytest.mark.parametrize("rows", [1, 2, 60])
def test_loss_curves_are_drawn_from_any_number_of_rows(tmp_path, rows):
    history = write_history(tmp_path / "history.csv", rows)
    loss_curves(history, tmp_path / "losses.png", "alloy")
    picture = iio.imread(tmp_path / "losses.png")
    assert picture.shape[:2] == (1680, 2000)
    # Each of the six panels holds something coloured.
    coloured = np.ptp(picture[:1680, :, :3].astype(int), axis=-1) > 60
    panels = coloured.reshape(3, 560, 2, 1000).any(axis=(1, 3))
    assert panels.all()


def test_loss_curves_bear_gaps_missing_columns_and_a_half_written_row(tmp_path):
    history = write_history(tmp_path / "history.csv", columns=COLUMNS[:6])
    with history.open("a", encoding="utf-8") as file:
        file.write("60,60,nan,,0.5,inf\n61,61,0.")
    loss_curves(history, tmp_path / "losses.pdf", "alloy")
    assert (tmp_path / "losses.pdf").read_bytes().startswith(b"%PDF")


def test_what_is_no_history_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        loss_curves(tmp_path / "none.csv", tmp_path / "losses.png", "")
    for text in ("", "step,epoch\n", "a,b\n1,2\n"):
        (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="column 'epoch' and at least one row"):
            loss_curves(tmp_path / "bad.csv", tmp_path / "losses.png", "")
    assert not (tmp_path / "losses.png").exists()


def test_a_title_is_text_even_with_dollar_signs(tmp_path, labels):
    title = "a$x_1_2$, seed 0"  # as mathematics a mistake
    loss_curves(write_history(tmp_path / "history.csv"), tmp_path / "losses.png", title)
    figures.overview(labels, labels, labels, 3, tmp_path / "overview.png", title)


def test_running_mean_is_centred_shrinks_at_the_ends_and_skips_gaps():
    np.testing.assert_allclose(running_mean([1, 2, 3, 4, 5], 3), [1.5, 2, 3, 4, 4.5])
    np.testing.assert_allclose(running_mean([1, 2, np.nan, 4, 5], 3), [1.5, 1.5, np.nan, 4.5, 4.5])
    np.testing.assert_allclose(running_mean([3.0], 9), [3])


def test_overview_shows_every_pixel_of_the_three_sets(tmp_path):
    rng = np.random.default_rng(0)
    originals, reconstructions, samples = rng.integers(0, 2, (3, 4, 32, 32))
    path = tmp_path / "overview.png"
    figures.overview(originals, reconstructions, samples, 2, path, "a material", columns=4)
    picture = iio.imread(path)[..., 0]
    scale = 5
    for top, images in zip(
        (90, 90 + 220, 90 + 440), (originals, reconstructions, samples), strict=True
    ):
        block = figures.image_grid(images, 2, 4, 2 * scale, scale)[..., 0]
        shown = picture[top : top + block.shape[0], 70 : 70 + block.shape[1]]
        np.testing.assert_array_equal(shown, block)


def test_figures_need_neither_pyplot_nor_tensorflow():
    code = (
        "import sys, davegan_tf.figures, davegan_tf.evaluation;"
        "print(*({'matplotlib.pyplot', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""
