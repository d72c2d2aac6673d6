"""Panels of the statistics: all there, and drawing what the descriptors say."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy import ndimage

from davegan_tf import chords, descriptors, topology
from davegan_tf.measures import white_noise
from davegan_tf.scorecard import STATISTICS
from davegan_tf.statistic_curves import COLORS, statistic_panels

SIDE = 24


def material(count, n_phases=2, seed=0):
    field = np.random.default_rng(seed).standard_normal((count, SIDE, SIDE))
    field = ndimage.gaussian_filter(field, (0, 2, 2))
    return np.digitize(field, np.quantile(field, np.linspace(0, 1, n_phases + 1)[1:-1]))


def sets(n_phases=2):
    noise = white_noise(np.full(n_phases, 1 / n_phases), (8, SIDE, SIDE), np.random.default_rng(5))
    return material(12, n_phases), material(10, n_phases, seed=1), noise


@pytest.fixture(scope="module")
def images():
    return sets()


@pytest.fixture(scope="module")
def panels(images):
    return {(panel.statistic, panel.heading): panel for panel in statistic_panels(*images, 2)}


def lines(panel, color, width=None):
    """(x, y) of the lines of a colour, and of a width, with the line's style."""
    return [
        (*line.get_data(), line.get_linestyle())
        for line in panel.figure.axes[0].lines
        if to_hex(line.get_color()) == color.lower()
        and (width is None or line.get_linewidth() == width)
    ]


def test_every_statistic_has_a_panel_for_every_phase(panels):
    drawn = {statistic for statistic, _ in panels}
    # Lags up to 8 are part of the curve up to 32, the spread of φ is the width of its histogram.
    drawn |= {"autocovariance_8", "volume_fraction_spread"}
    assert drawn == STATISTICS.keys() | {"two_point_correlation"}
    assert len(panels) == 2 + 4 + 4 + 1 + 1 + 2 + 2 + 2
    three = statistic_panels(*sets(3), 3)
    assert len(three) == 6 + 6 + 6 + 3 + 1 + 3 + 3 + 3
    assert len({panel.summary for panel in three}) == len(three)


def test_curves_are_means_with_a_band_lines_and_dashes(panels, images):
    crops, generated, noise = images
    expected = {
        ("two_point_correlation", "Two-point correlation S₂, phase 1"): lambda x: (
            descriptors.radial_average(descriptors.two_point_correlation(x == 1))
        ),
        ("autocovariance_32", "Autocovariance, phase 1"): lambda x: descriptors.radial_average(
            descriptors.normalized_autocovariance(x == 1)
        ),
        ("lineal_path", "Phase 0, horizontal"): lambda x: descriptors.lineal_path(
            x == 0, SIDE // 2
        )[:, 1],
        ("chord_lengths", "Phase 1, vertical"): lambda x: chords.chord_length_distribution(
            x == 1, SIDE // 2
        )[:, 0],
    }
    for key, function in expected.items():
        panel = panels[key]
        length = len(lines(panel, COLORS["real crops"])[0][0])
        real, mine, none = (function(x)[:, :length] for x in (crops, generated, noise))
        ((x, mean, style),) = lines(panel, COLORS["real crops"])
        np.testing.assert_allclose(mean, real.mean(axis=0))
        assert style == "-" and x[0] == (1 if key[0] == "chord_lengths" else 0) and x[1] == x[0] + 1
        (band,) = panel.figure.axes[0].collections
        path = band.get_paths()[0].vertices
        assert path[:, 1].max() == pytest.approx((real.mean(axis=0) + real.std(axis=0)).max())
        assert path[:, 1].min() == pytest.approx((real.mean(axis=0) - real.std(axis=0)).min())
        low, high, middle = (y for _, y, _ in lines(panel, COLORS["samples"]))
        np.testing.assert_allclose(middle, mine.mean(axis=0))
        np.testing.assert_allclose(high - low, 2 * mine.std(axis=0), atol=1e-12)
        ((_, mean, style),) = lines(panel, COLORS["white noise"])
        np.testing.assert_allclose(mean, none.mean(axis=0))
        assert style == "--"


def test_histograms_count_images_and_point_to_noise_far_away(panels, images):
    panel = panels["interface_density", "Interface density"]
    axes = panel.figure.axes[0]
    stairs = [patch.get_data() for patch in axes.patches]
    for values, labels in zip(stairs[:2], images[:2], strict=True):
        density = descriptors.interface_density(labels)
        np.testing.assert_allclose(
            values.values, np.histogram(density, values.edges)[0] / len(labels)
        )
        assert values.values.sum() == pytest.approx(1)
    noise = descriptors.interface_density(images[2]).mean()
    assert [text.get_text() for text in axes.texts] == [f"white noise: {noise:.3g} →"]
    assert f"white noise {noise:.3g}." in panel.summary
    # Euler numbers of noise lie on the axis or are pointed to, never lost.
    for phase in "01":
        axes = panels["euler_number", f"Euler number density, phase {phase}"].figure.axes[0]
        mean = topology.euler_number_density(images[2] == int(phase)).mean()
        low, high = axes.get_xlim()
        assert bool(axes.texts) == (not low <= mean <= high)


def test_percolation_is_the_share_of_images_spanned(panels, images):
    panel = panels["percolation", "Percolation, phase 1"]
    bars = [patch.get_height() for patch in panel.figure.axes[0].patches]
    shares = [topology.percolation(labels == 1).mean(axis=0) for labels in images]
    np.testing.assert_allclose(bars, np.concatenate(shares))


def test_lengths_are_in_the_unit_of_the_pixel_size(panels, images):
    scaled = {
        (panel.statistic, panel.heading): panel
        for panel in statistic_panels(*images, 2, pixel_size=0.5, unit="µm")
    }
    for key, power in (
        (("two_point_correlation", "Two-point correlation S₂, phase 1"), 0),
        (("lineal_path", "Phase 0, vertical"), 0),
        (("chord_lengths", "Phase 0, vertical"), 1),
    ):
        ((x, y, _),) = lines(panels[key], COLORS["real crops"])
        ((scaled_x, scaled_y, _),) = lines(scaled[key], COLORS["real crops"])
        np.testing.assert_allclose(scaled_x, x / 2)
        np.testing.assert_allclose(scaled_y, y * 2**power)
        assert "(µm)" in scaled[key].figure.axes[0].get_xlabel()
        assert "(pixels)" in panels[key].figure.axes[0].get_xlabel()
    for key, power, label in (
        (("volume_fraction", "Volume fraction, phase 1"), 0, "φ"),
        (("interface_density", "Interface density"), 1, "boundaries per µm"),
        (("euler_number", "Euler number density, phase 1"), 2, "clusters minus holes per µm²"),
    ):
        axes, other = (source[key].figure.axes[0] for source in (scaled, panels))
        np.testing.assert_allclose(axes.get_xlim(), np.array(other.get_xlim()) * 2**power)
        assert axes.get_xlabel() == label


def test_images_that_are_all_alike_are_drawn():
    board = np.tile((np.indices((SIDE, SIDE)) // 4).sum(axis=0) % 2, (3, 1, 1))
    blank = np.zeros_like(board)
    for images in ((board, board, board), (blank, blank, blank), (blank, board, blank)):
        for panel in statistic_panels(*images, 2):
            panel.figure.draw_without_rendering()
