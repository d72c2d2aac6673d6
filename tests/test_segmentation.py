"""Grey values → phase labels: Otsu against scikit-image, stated and unstated segmentation."""

import numpy as np
import pytest
import skimage.filters

from davegan_tf.errors import InputError
from davegan_tf.segmentation import otsu_thresholds, segment

RNG = np.random.default_rng(3)


def grey_image(levels=(40, 110, 200), deviation=12, shape=(80, 100)):
    true = RNG.integers(0, len(levels), shape)
    values = np.array(levels)[true] + deviation * RNG.standard_normal(shape)
    return np.clip(values.round(), 0, 255).astype(np.uint8), true


def between_class_variance(values, cuts):
    labels = np.digitize(values, cuts, right=True)
    groups = [values[labels == label] for label in np.unique(labels)]
    return sum(len(group) * (group.mean() - values.mean()) ** 2 for group in groups) / values.size


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_otsu_is_that_of_scikit_image(classes):
    values, _ = grey_image(deviation=30)
    values = values.astype(np.int64)
    ours = otsu_thresholds(values, classes)
    theirs = skimage.filters.threshold_multiotsu(values.astype(np.uint8), classes)
    np.testing.assert_array_equal(
        np.digitize(values, ours, right=True), np.digitize(values, theirs, right=True)
    )
    assert between_class_variance(values, ours) == pytest.approx(
        between_class_variance(values, theirs), rel=1e-12
    )


def test_otsu_with_many_classes_finds_the_levels():
    levels = np.arange(8) * 1000.0
    values = RNG.choice(levels, (100, 100)) + RNG.uniform(-100, 100, (100, 100))
    cuts = otsu_thresholds(values, 8)
    np.testing.assert_array_equal(np.digitize(values, cuts, right=True), (values + 500) // 1000)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_otsu_of_values_that_lie_on_the_edges_of_bins(classes):
    integers = RNG.choice(17, (50, 50), p=RNG.dirichlet(np.ones(17)))
    cuts = otsu_thresholds(integers / 16, classes)
    np.testing.assert_array_equal(cuts * 16, otsu_thresholds(integers, classes))
    assert not np.isin(cuts, integers / 16).any()


def test_otsu_has_no_empty_class():
    values = np.array([0, 0, 0, 1, 250, 251], np.uint8)
    for classes in (2, 3, 4):
        labels = np.digitize(values, otsu_thresholds(values, classes), right=True)
        np.testing.assert_array_equal(np.unique(labels), np.arange(classes))


@pytest.mark.parametrize("classes", [2, 3, 4, 8])
@pytest.mark.parametrize("levels", [200, 2000])
def test_otsu_of_an_image_with_one_hot_pixel(classes, levels):
    values = RNG.integers(0, levels, (64, 64)).astype(np.float64)
    values[3, 5] = 1e9
    labels = np.digitize(values, otsu_thresholds(values, classes), right=True)
    np.testing.assert_array_equal(np.unique(labels), np.arange(classes))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_multi_otsu_of_a_grey_image(dtype):
    values, true = grey_image()
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    labels, n_phases, phrase = segment(
        (values.astype(float) * scale).astype(dtype), phases=3, where="a.png"
    )
    assert n_phases == 3
    assert labels.dtype == np.uint8
    assert (labels == true).mean() > 0.99
    assert "multi-Otsu" in phrase
    fraction = (labels == 1).mean()
    assert f"phase 1 {fraction:.4f}" in phrase


def test_threshold():
    values, _ = grey_image((60, 190))
    labels, n_phases, phrase = segment(values, threshold=100, where="a.png")
    np.testing.assert_array_equal(labels, values > 100)
    assert n_phases == 2
    assert "the stated threshold 100" in phrase
    by_otsu, _, phrase = segment(values, threshold="otsu", phases=2, where="a.png")
    np.testing.assert_array_equal(by_otsu, values > skimage.filters.threshold_otsu(values))
    assert "Otsu's threshold" in phrase


@pytest.mark.parametrize(
    "values", [(0, 255), (0, 1), (False, True), (0.0, 1.0), (3, 7), (-1, 5), (0, 128, 255)]
)
def test_few_values_are_labels_in_ascending_order(values):
    true = RNG.integers(0, len(values), (70, 80))
    labels, n_phases, phrase = segment(np.array(values)[true], where="a.png")
    np.testing.assert_array_equal(labels, true)
    assert labels.dtype == np.uint8
    assert n_phases == len(values)
    as_given = list(values) == list(range(len(values)))
    assert ("as given" in phrase) == as_given
    assert ("taken as labels" in phrase) != as_given


def test_stated_phases_keep_labels_of_which_one_is_missing():
    true = RNG.integers(0, 2, (70, 80)) * 2
    labels, n_phases, phrase = segment(true, phases=3, where="a.npy")
    np.testing.assert_array_equal(labels, true)
    assert n_phases == 3
    assert "phase 1 does not occur" in phrase


def refused(values, match, **stated):
    with pytest.raises(InputError, match=match) as caught:
        segment(values, where="a.png", **stated)
    assert "\n" not in str(caught.value)


def test_a_grey_image_must_state_its_segmentation():
    values, _ = grey_image()
    refused(values, r"a\.png is a grey image.*data\.threshold.*data\.phases")


def test_a_jpeg_is_no_label_image():
    values = RNG.integers(0, 2, (70, 80))
    refused(values, r"a\.png is a lossily compressed image.*data\.threshold", lossy=True)
    labels, _, _ = segment(values, lossy=True, threshold="otsu", where="a.jpg")
    np.testing.assert_array_equal(labels, values)


def test_more_or_fewer_values_than_stated_phases():
    values = RNG.integers(0, 4, (70, 80))
    refused(values, r"4 different labels \(0, 1, 2, 3\), more than the 3 phases", phases=3)
    refused(values // 2 * 255, "fewer than the 3 phases", phases=3)
    refused(values, r"a\.png has 4 different values.*give at most 4\.", phases=5, lossy=True)


def test_one_phase_only():
    refused(np.full((70, 80), 7), r"one phase only \(all values are 7\)")
    values, _ = grey_image()
    refused(
        values,
        'leaves one phase only .*; give a number between these two, or "otsu"',
        threshold=300,
    )


def test_statements_that_contradict():
    values, _ = grey_image()
    refused(values, "two phases, but data.phases says 3", threshold="otsu", phases=3)
    refused(values, 'must be "otsu" or a number', threshold="mean")
    refused(values, "from 2 to 8, not 1", phases=1)
