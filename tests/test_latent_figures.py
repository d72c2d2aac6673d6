"""Pictures of the latent space: every image is in its place, pixel by pixel."""

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from davegan_tf import latent_figures
from davegan_tf.figures import image_grid
from davegan_tf.latent import statistics_along, traversal_values

SIDE = 32


def images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, SIDE, SIDE)).astype(np.uint8)


def places(picture, part):
    """Upper left corners where ``part`` is in the picture, exactly."""
    height, width = part.shape[:2]
    rows, columns = len(picture) - height + 1, picture.shape[1] - width + 1
    possible = np.ones((rows, columns), bool)
    # A few pixels first, which rules out nearly all places.
    for down, right in np.random.default_rng(0).integers((height, width), size=(12, 2)):
        shifted = picture[down : down + rows, right : right + columns]
        possible &= (shifted == part[down, right]).all(axis=-1)
    return [
        (row, column)
        for row, column in np.argwhere(possible).tolist()
        if (picture[row : row + height, column : column + width] == part).all()
    ]


def test_two_phases_are_shown_as_unrounded_grey_and_more_as_the_most_probable():
    probabilities = np.array([0, 0.3, 0.5, 1])[:, None]
    np.testing.assert_array_equal(latent_figures.shown(probabilities), [0, 76, 128, 255])
    three = np.array([[0.5, 0.1, 0.4], [0.2, 0.5, 0.3], [0, 0.4, 0.6]])
    np.testing.assert_array_equal(latent_figures.shown(three), [0, 128, 255])
    assert latent_figures.shown(np.zeros((2, 3, 5, 5, 1))).dtype == np.uint8


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-3, "−3"),
        (0, "0"),
        (1e-17, "0"),
        (1.5, "+1.5"),
        (2.25, "+2.25"),
        (-10, "−10"),
        (-0.004, "0"),
    ],
)
def test_numbers_have_a_sign_and_no_idle_digits(value, text):
    assert latent_figures.signed(value) == text


def test_the_traversal_plot_has_a_row_for_each_dimension(tmp_path):
    shown, starts = images(3, 5), images(2, seed=1)
    rows = ["z 0", "z $\\4$\nstarts at", "z 7"]
    named = [("an $\\original$", starts[0]), ("decoded", starts[1])]
    path = tmp_path / "plot.png"
    latent_figures.traversal_picture(
        path, shown, traversal_values(3, 5), rows, named, "a $\\title$"
    )
    picture = iio.imread(path)[..., :3]
    # 160 pixels an image: each pixel five times enlarged.
    grid = image_grid(shown.reshape(-1, SIDE, SIDE), 256, 5, latent_figures.PAD, 5)
    ((top, left),) = places(picture, grid)
    corners = [
        places(picture, image_grid(start[None], 256, 1, latent_figures.PAD, 5)) for start in starts
    ]
    ((first,), (second,)) = corners
    assert first[0] == second[0] < top - 160
    assert left == first[1] < second[1]

    # Something is written beside each row, above each column and beside each start.
    def written(rows, columns):
        return picture[rows, columns].min() < 100

    for row in range(3):
        assert written(slice(top + row * 166 + 40, top + row * 166 + 130), slice(0, left - 4))
    for column in range(5):
        middle = left + column * 166 + 83
        assert written(slice(top - 40, top - 4), slice(middle - 30, middle + 30))


def test_the_gif_goes_to_and_fro_for_ever(tmp_path):
    frames, path = 4, tmp_path / "moving.gif"
    shown = images(4, frames)
    names = ["z 5", "z 1", "z 2", "z 3"]
    latent_figures.traversal_animation(path, shown, traversal_values(2, frames), names)
    with Image.open(path) as gif:
        assert gif.n_frames == 2 * frames - 2
        assert gif.info["loop"] == 0
        assert gif.info["duration"] == latent_figures.FRAME_MILLISECONDS
        pictures = []
        for frame in range(gif.n_frames):
            gif.seek(frame)
            pictures.append(np.asarray(gif.convert("RGB")))
    corners, sliders = set(), []
    for picture, frame in zip(pictures, [0, 1, 2, 3, 2, 1], strict=True):
        # The lightest grey but one is white too: the palette has one place for another colour.
        expected = np.where(shown[:, frame] == 254, 255, shown[:, frame])
        parts = [image_grid(image[None], 256, pad=0, scale=4) for image in expected]
        corners.add(tuple(place for part in parts for place in places(picture, part)))
        blue = (picture[: latent_figures.SLIDER] == latent_figures._GIF_COLORS[-3:]).all(axis=-1)
        sliders.append(np.argwhere(blue)[:, 1].mean())
    # All dimensions in every picture, always in the same places, in reading order.
    ((first, second, third, last),) = corners
    assert first[0] == second[0] < third[0] == last[0]
    assert first[1] == third[1] < second[1] == last[1]
    assert sliders[0] < sliders[1] < sliders[2] < sliders[3]
    assert sliders[1:3] == sliders[:3:-1]


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (5, 3), (8, 4), (9, 3), (64, 8)])
def test_the_gif_leaves_few_places_empty(tmp_path, count, columns):
    shown = np.zeros((count, 2, SIDE, SIDE), np.uint8)
    names = ["z"] * count
    latent_figures.traversal_animation(tmp_path / "a.gif", shown, traversal_values(3, 2), names)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.width == max(240, columns * (4 * SIDE + 16))


@pytest.mark.parametrize("n_phases", [2, 3])
def test_the_statistics_stand_below_the_images(tmp_path, monkeypatch, n_phases):
    figures = []
    save = latent_figures.save_figure
    monkeypatch.setattr(
        latent_figures,
        "save_figure",
        lambda figure, path: figures.append(figure) or save(figure, path),
    )
    steps, rng = 4, np.random.default_rng(0)
    rows = {"straight": images(steps), "faded, rounded": images(steps, seed=1)}
    statistics = {
        name: statistics_along(rng.integers(0, n_phases, (steps, 8, 8)), n_phases)
        for name in ("straight", "faded")
    }
    original = images(1, seed=2)[0]
    path, ends = tmp_path / "way.png", [("seed 3", None), ("a $\\file$, upper left", original)]
    latent_figures.interpolation_picture(path, rows, statistics, ends, "a $\\title$")
    picture = iio.imread(path)[..., :3]
    corners = [
        places(picture, image_grid(row, 256, steps, latent_figures.PAD, 5)) for row in rows.values()
    ]
    ((first,), (second,)) = corners
    assert first[0] < second[0] and first[1] == second[1]
    (beside,) = places(picture, image_grid(original[None], 256, 1, latent_figures.PAD, 5))
    assert beside[0] == first[0] and beside[1] > first[1] + steps * 166
    (figure,) = figures
    fraction, interfaces, error = figure.axes[-3:]
    phases = 1 if n_phases == 2 else 3
    assert [len(axes.lines) for axes in (fraction, interfaces, error)] == [2 * phases, 2, 4]
    for axes in (fraction, interfaces, error):
        half = len(axes.lines) // 2
        styles = [line.get_linestyle() for line in axes.lines]
        assert styles == ["-"] * half + ["--"] * half
        for solid, dashed in zip(axes.lines[:half], axes.lines[half:], strict=True):
            assert solid.get_color() == dashed.get_color()
        # The marker of an image is below its middle.
        x, _ = axes.transData.transform([(1 / 3, 0)])[0]
        assert x == pytest.approx(first[1] + latent_figures.PAD / 2 + 1.5 * 166, abs=2)
    for style, name in ((0, "straight"), (1, "faded")):
        np.testing.assert_allclose(
            interfaces.lines[style].get_ydata(), statistics[name]["interface_density"]
        )
        curves = fraction.lines[style * phases : (style + 1) * phases]
        for curve, expected in zip(
            curves, statistics[name]["volume_fraction"].values(), strict=True
        ):
            np.testing.assert_allclose(curve.get_ydata(), expected)
        for curve, end in zip(
            error.lines[2 * style : 2 * style + 2], ("start", "end"), strict=True
        ):
            expected = np.mean(list(statistics[name][f"s2_error_to_{end}"].values()), axis=0)
            np.testing.assert_allclose(curve.get_ydata(), expected)
