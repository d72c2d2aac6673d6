"""The scorecard on features with known answers, and on materials of which there is as much as one likes."""

import numpy as np
import pytest

from davegan_tf import measures, ratios, scorecard
from davegan_tf.dataset import crop_positions, cut, tile_positions
from davegan_tf.synthetic import GENERATORS

SIDE = 64
STRUCTURE = [name for name in scorecard.STATISTICS if not name.startswith("volume_fraction")]


def features(values, name="volume_fraction"):
    """The same features for every statistic, so that any of them can be looked at."""
    values = np.asarray(values, float).reshape(len(values), -1)
    return {each: {"1": values} for each in scorecard.STATISTICS}


def judge(images, crops, tiles, noise, **options):
    sets = map(features, (images, crops, tiles, noise))
    return scorecard.judge(*sets, np.random.default_rng(0), **options)


def test_floor_is_half_the_difference_of_halves_of_the_tiles():
    # Of the halvings of 0, 0, 2, 2 a third differ by 2, the others not at all: mean 2/3, halved 1/3.
    record = judge([5.0] * 4, [1.0] * 8, [0, 0, 2, 2], [9.0] * 4, resamplings=1000)["lineal_path"]
    assert record["floor"]["mean"] == pytest.approx(1 / 3, rel=0.15)
    assert record["floor"]["std"] == pytest.approx(np.sqrt(2) / 3, rel=0.15)
    assert record["value"] == pytest.approx(4)
    assert record["noise"] == pytest.approx(8)
    assert record["ratio"] == pytest.approx(4 / record["floor"]["mean"])
    assert record["noise_ratio"] == pytest.approx(8 / record["floor"]["mean"])
    assert not record["passed"]


def test_floor_is_the_standard_error_of_the_mean():
    rng = np.random.default_rng(1)
    tiles = rng.standard_normal((400, 300))
    record = judge([0.0] * 300, [0.0] * 600, tiles.T, [0.0] * 300)["lineal_path"]
    assert record["floor"]["mean"] == pytest.approx(1 / np.sqrt(300), rel=0.1)
    # Of a single number it is the mean modulus of a normal distribution.
    record = judge([0.0], [0.0] * 2, tiles[0], [0.0], resamplings=2000)["lineal_path"]
    error = tiles[0].std() / np.sqrt(300)
    assert record["floor"]["mean"] == pytest.approx(np.sqrt(2 / np.pi) * error, rel=0.1)


@pytest.mark.parametrize(("distance", "passed"), [(1.99, True), (2.01, False)])
def test_passes_up_to_two_floors(distance, passed):
    tiles = np.array([[1.0], [-1.0]])  # halves of one tile each: they differ by 2, the floor is 1
    record = judge([distance] * 3, [0.0] * 6, tiles, [0.0] * 3)["chord_lengths"]
    assert record["ratio"] == pytest.approx(distance)
    assert record["passed"] is passed


def test_strict_floor_is_between_sets_of_crops_as_large_as_the_images():
    rng = np.random.default_rng(2)
    crops = rng.standard_normal(4000)
    record = judge([1.0] * 50, crops, [0, 1, 0, 1], [0.0] * 50, resamplings=400)["lineal_path"]
    # Two means of 50 differ by √(2 / 50) times the mean modulus of a normal distribution.
    expected = 1 / (np.sqrt(2 / 50) * np.sqrt(2 / np.pi))
    assert record["strict_ratio"] == pytest.approx(expected, rel=0.15)


def test_interval_holds_the_ratio_and_shrinks_with_more_images():
    rng = np.random.default_rng(3)

    def width(n):
        record = judge(1 + rng.standard_normal(n), rng.standard_normal(2 * n), [0, 1, 0, 1], [0.0])
        low, high = record["lineal_path"]["interval"]
        assert low < record["lineal_path"]["ratio"] < high
        return high - low

    assert width(30) / width(3000) == pytest.approx(10, rel=0.5)


def test_the_spread_is_compared_where_the_spread_is_meant():
    images, crops = [0.0, 2.0] * 8, [0.0, 4.0] * 16
    records = judge(images, crops, [0.0, 4.0, 0.0, 4.0, 1.0], [2.0] * 16)
    assert records["volume_fraction"]["value"] == pytest.approx(1)
    ddof = np.std(crops, ddof=1) - np.std(images, ddof=1)
    assert records["volume_fraction_spread"]["value"] == pytest.approx(ddof)
    assert records["volume_fraction_spread"]["images"]["1"] == pytest.approx(np.std(images, ddof=1))


def test_nothing_is_judged_where_there_are_too_few_tiles():
    records = judge([1.0] * 4, [0.0] * 8, [0.5], [2.0] * 4)
    for record in records.values():
        assert record["ratio"] is record["floor"] is record["passed"] is None
    assert records["lineal_path"]["value"] == pytest.approx(1)
    # Two tiles are halves of one each, of which no spread is known.
    records = judge([1.0] * 4, [0.0] * 8, [0.0, 1.0], [2.0] * 4)
    assert records["volume_fraction_spread"]["passed"] is None
    assert records["volume_fraction"]["passed"] is not None


def test_where_all_real_pieces_are_alike_only_the_same_passes():
    same = judge([1.0] * 4, [1.0] * 8, [1.0] * 4, [0.0] * 4)["lineal_path"]
    assert (same["ratio"], same["passed"]) == (1.0, True)
    other = judge([1.1] * 4, [1.0] * 8, [1.0] * 4, [0.0] * 4)["lineal_path"]
    assert (other["ratio"], other["interval"], other["passed"]) == (None, None, False)


def test_percolation_of_one_image_is_not_infinitely_wrong():
    never, once = [0.0] * 64, [1.0] + [0.0] * 63
    record = judge(once, never * 2, [0.0] * 16, never)["percolation"]
    # One of 64 samples against one of 16 tiles.
    assert record["ratio"] == pytest.approx(16 / 64)
    assert judge(once, never * 2, [0.0] * 16, never)["lineal_path"]["ratio"] is None


def test_ratios_are_means_over_phases():
    one, two = np.array([[1.0], [-1.0]]), np.array([[2.0], [-2.0]])

    def sets(first, second):
        return {each: {"0": first, "1": second} for each in scorecard.STATISTICS}

    zeros = np.zeros((6, 1))
    records = scorecard.judge(
        sets(zeros[:3] + 3, zeros[:3] + 4),
        sets(zeros, zeros),
        sets(one, two),
        sets(zeros, zeros),
        np.random.default_rng(0),
    )
    assert records["lineal_path"]["per_phase"] == pytest.approx({"0": 3.0, "1": 2.0})
    assert records["lineal_path"]["ratio"] == pytest.approx(2.5)


def test_describe_has_every_phase_that_a_statistic_sees():
    labels = np.random.default_rng(0).integers(0, 3, (5, 16, 16))
    table = scorecard.describe(labels, 3)
    assert list(table) == list(scorecard.STATISTICS)
    for name, statistic in scorecard.STATISTICS.items():
        assert list(table[name]) == ([""] if statistic.phases == "none" else ["0", "1", "2"])
        assert all(values.shape[0] == 5 for values in table[name].values())
    two = scorecard.describe(labels % 2, 2)
    assert list(two["autocovariance_8"]) == ["1"]
    assert list(two["lineal_path"]) == ["0", "1"]
    # Within 8 pixels of a lag: 197 points of the grid.
    assert scorecard.describe(np.zeros((1, 64, 64), int), 2)["autocovariance_8"]["1"].shape == (
        1,
        197,
    )


# --- on materials


def crops(micrograph, count, seed):
    shape = micrograph.shape
    return cut(micrograph, crop_positions(shape, SIDE, count, seed), SIDE)


def judged(images, micrograph):
    tiles = cut(micrograph, tile_positions(micrograph.shape, SIDE), SIDE)
    fractions = measures.phase_fractions(tiles, 2).mean(axis=0)
    noise = measures.white_noise(fractions, (64, SIDE, SIDE), np.random.default_rng(7))
    described = [
        scorecard.describe(x, 2) for x in (images, crops(micrograph, 512, 0), tiles, noise)
    ]
    return scorecard.judge(*described, np.random.default_rng(0), resamplings=10)


@pytest.fixture(scope="module", params=["grains", "filtered_noise"])
def process(request):
    return lambda seed: GENERATORS[request.param](256, seed)[np.newaxis]


def test_new_material_of_the_same_kind_passes_but_not_the_strict_floor(process):
    verdicts, strict = [], []
    for seed in range(3):
        material = np.concatenate([crops(process(100 * (seed + 1) + i), 32, i) for i in range(8)])
        records = judged(material, process(seed))
        verdicts += [records[name]["passed"] for name in scorecard.STATISTICS]
        strict.append(records["autocovariance_32"]["strict_ratio"])
    # Two standard errors: a few of the thirty fall outside, as they must.
    assert np.mean(verdicts) > 0.85
    assert min(strict) > ratios.LIMIT


def test_white_noise_and_constants_fail_in_all_that_sees_structure(process):
    records = judged(crops(process(0), 64, 1), process(0))
    for name in STRUCTURE:
        if name != "percolation":  # where nothing percolates, noise need not either
            assert records[name]["noise_ratio"] > ratios.LIMIT, name
    constant = judged(np.ones((16, SIDE, SIDE), np.uint8), process(0))
    for name in ("volume_fraction", *STRUCTURE):
        assert not constant[name]["passed"], name


def test_reconstructions_are_resampled_with_their_originals():
    rng = np.random.default_rng(4)
    originals = rng.standard_normal(16)
    record = judge(originals + 0.5, originals, [0, 1, 0, 1], originals, paired=True)["lineal_path"]
    assert record["value"] == pytest.approx(0.5)
    # Every pair differs by as much: no resampling changes it.
    assert record["interval"] == pytest.approx([record["ratio"]] * 2)
    assert record["strict_ratio"] is None
