"""Evaluation on ideal, degenerate and copied input, and against the baselines known for alloy."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from davegan_tf import measures
from davegan_tf.errors import InputError
from davegan_tf.evaluation import PAPER_TABLE_4, evaluate, format_table

MICROGRAPHS = Path(__file__).parents[2] / "shared" / "micrographs"
SIDE = 32


def material(n_phases=2, size=320, seed=0):
    """Smoothed noise cut at quantiles: a random material with structure of about 4 pixels."""
    field = ndimage.gaussian_filter(
        np.random.default_rng(seed).standard_normal((size, size)), 2, mode="wrap"
    )
    limits = np.quantile(field, np.linspace(0, 1, n_phases + 1)[1:-1] ** 2)
    return np.digitize(field, limits).astype(np.uint8)


def tiles(micrograph, side=SIDE, count=16):
    rows, columns = (size // side for size in micrograph.shape)
    cut = micrograph[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return cut.swapaxes(1, 2).reshape(-1, side, side)[:count]


def crops(micrograph, count, seed, side=SIDE):
    places = np.random.default_rng(seed).integers(0, micrograph.shape[0] - side + 1, (count, 2))
    return np.stack([micrograph[r : r + side, c : c + side] for r, c in places])


def run(micrograph, generated=None, reconstructed=None, n_phases=2, **options):
    real = tiles(micrograph)
    return evaluate(
        real,
        real if reconstructed is None else reconstructed,
        crops(micrograph, 48, seed=1) if generated is None else generated,
        n_phases=n_phases,
        crops=crops(micrograph, 128, seed=2),
        **options,
    )


@pytest.fixture(scope="module")
def micrograph():
    return material()


def test_real_crops_as_samples_are_as_good_as_real(micrograph):
    result = run(micrograph)
    assert 0.6 < result["structure_ratio"]["value"] < 1.6
    assert 0.9 < result["diversity"]["value"] < 1.1
    assert result["E_gen"]["value"] == pytest.approx(result["E_gen"]["real_crops"], rel=0.25)
    phi = result["volume_fraction"]["1"]
    assert phi["generated"]["mean"] == pytest.approx(phi["tiles"]["mean"], abs=0.05)
    assert result["E_rec"]["value"] == 0
    assert result["pixel_accuracy"]["value"] == result["pixel_accuracy"]["worst"] == 1


def test_white_noise_fails_where_eq_12_cannot_see_it(micrograph):
    real = tiles(micrograph)
    rng = np.random.default_rng(5)
    fractions = measures.phase_fractions(real, 2)
    noise = measures.white_noise(fractions.mean(axis=0), (48, SIDE, SIDE), rng)
    result = run(micrograph, generated=noise)
    assert result["E_gen"]["value"] < 1.5 * result["E_gen"]["real_crops"]
    assert result["structure_ratio"]["value"] > 8
    baseline = result["structure_ratio"]["white_noise"]
    assert result["structure_ratio"]["value"] == pytest.approx(baseline, rel=0.1)
    densities = result["interface_density"]
    assert densities["generated"]["mean"] > 2 * densities["real_crops"]["mean"]


def test_copied_tiles_are_found_however_shifted(micrograph):
    real = tiles(micrograph)
    copies = np.stack([np.roll(tile, (i, 3 * i), axis=(0, 1)) for i, tile in enumerate(real)])
    result = run(micrograph, generated=copies)
    assert result["E_gen"]["value"] == pytest.approx(0, abs=1e-12)
    memory = result["memorisation"]
    assert memory["value"] == memory["smallest"] == 0
    assert memory["real_crops"] > 0.1
    assert memory["white_noise"] > memory["real_crops"]


def test_constant_samples_have_no_structure_and_no_diversity(micrograph):
    result = run(micrograph, generated=np.ones((8, SIDE, SIDE), np.uint8))
    assert result["diversity"]["value"] == 0
    # Also without the 1 at the origin, so even farther from the material than white noise.
    ratio = result["structure_ratio"]
    assert ratio["value"] > ratio["white_noise"] > 2
    assert result["volume_fraction"]["1"]["generated"] == {"mean": 1.0, "std": 0.0}
    json.dumps(result, allow_nan=False)


def test_errors_are_paired_with_tiles_and_nearest_to_tiles(micrograph):
    real = tiles(micrograph)
    result = run(micrograph, reconstructed=np.roll(real, 1, axis=0))
    assert result["E_rec"]["value"] > result["E_gen"]["other_tiles"] > 0
    result = run(micrograph, reconstructed=1 - real)
    assert result["pixel_accuracy"]["value"] == 0
    # S2 of the other phase is 1 − 2 φ + S2 at every lag.
    phi = real.mean(axis=(1, 2))
    assert result["E_rec"]["value"] == pytest.approx(np.abs(1 - 2 * phi).mean())


def test_noise_beside_reconstructions_has_each_tiles_own_fraction(micrograph):
    real = tiles(micrograph)
    phi = real.mean(axis=(1, 2))
    accuracy = run(micrograph)["pixel_accuracy"]
    assert accuracy["white_noise"] == pytest.approx(np.mean(phi**2 + (1 - phi) ** 2), abs=0.02)
    # Noise of a constant tile's fraction is that tile.
    constant = np.stack([np.zeros((SIDE, SIDE), np.uint8), np.ones((SIDE, SIDE), np.uint8)])
    result = evaluate(constant, constant, real, n_phases=2, crops=real)
    assert result["pixel_accuracy"]["white_noise"] == 1
    assert result["E_rec"]["white_noise"] == pytest.approx(0, abs=1e-12)
    assert result["E_rec"]["real_crops"] > 0.1


def test_three_phases_are_measured_each():
    result = run(material(3), n_phases=3)
    for name in ("E_gen", "structure_ratio"):
        split = result[name]["per_phase"]
        assert list(split) == ["0", "1", "2"]
        assert result[name]["value"] == pytest.approx(np.mean(list(split.values())))
    means = [result["volume_fraction"][k]["white_noise"]["mean"] for k in "012"]
    truth = [result["volume_fraction"][k]["tiles"]["mean"] for k in "012"]
    np.testing.assert_allclose(means, truth, atol=0.01)
    assert sum(means) == pytest.approx(1)
    assert "phase 2" in format_table(result)


def test_checkerboard_has_no_spread_to_measure_by():
    board = (np.indices((256, 256)) // 4).sum(axis=0).astype(np.uint8) % 2
    real = tiles(board)
    result = evaluate(real, real, real[:4], n_phases=2, crops=real[:9])
    assert result["structure_ratio"]["value"] == 1
    assert result["structure_ratio"]["white_noise"] is None
    assert "–" in format_table(result)
    json.dumps(result, allow_nan=False)


def test_result_is_a_function_of_the_seed(micrograph):
    first = run(micrograph, seed=3)
    assert first == run(micrograph, seed=3)
    assert first["E_gen"]["white_noise"] != run(micrograph, seed=4)["E_gen"]["white_noise"]


def test_smallest_input_gives_none_where_nothing_can_be_said(micrograph):
    one = tiles(micrograph, count=1)
    result = evaluate(one, one, one, n_phases=2, crops=crops(micrograph, 2, seed=0))
    assert result["E_gen"]["other_tiles"] is None
    assert result["diversity"]["value"] is None
    json.dumps(result, allow_nan=False)
    format_table(result)


def test_nearest_tile_distance_is_the_smallest_over_shifts():
    rng = np.random.default_rng(0)
    images, stack = rng.integers(0, 3, (2, 3, 6, 5))
    expected = [
        min(
            np.mean(image != np.roll(tile, (row, column), axis=(0, 1)))
            for tile in stack
            for row in range(6)
            for column in range(5)
        )
        for image in images
    ]
    np.testing.assert_allclose(measures.nearest_tile_distance(images, stack, 3), expected)


def test_diversity_is_the_mean_over_pairs():
    images = np.array([[[0, 0]], [[0, 1]], [[1, 1]]], np.uint8)
    real = np.array([[[0, 0]], [[1, 1]]], np.uint8)
    result = measures.diversity(images, real, real)
    assert result["distance"] == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert result["value"] == result["distance"]


def test_white_noise_of_each_image_has_its_own_fractions():
    fractions = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    noise = measures.white_noise(fractions, (3, 128, 128), np.random.default_rng(0))
    np.testing.assert_allclose(measures.phase_fractions(noise, 3), fractions, atol=0.02)
    assert (noise[1] == 0).all() and (noise[2] == 2).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"generated": np.full((2, SIDE, SIDE), 2)},
            "generated holds labels 2 to 2; expected 0 to 1",
        ),
        ({"generated": np.zeros((2, SIDE, SIDE))}, "generated is float64"),
        ({"generated": np.zeros((2, 8, 8), int)}, r"generated has images of \(8, 8\) pixels"),
        ({"reconstructed": np.zeros((2, SIDE, SIDE), int)}, "reconstructed has the shape"),
        ({"generated": np.zeros((0, SIDE, SIDE), int)}, "at least one image"),
    ],
)
def test_unusable_input_is_refused_in_one_sentence(micrograph, change, message):
    with pytest.raises(InputError, match=message):
        run(micrograph, **change)


def test_table_has_a_row_for_each_measure_and_the_papers_figures(micrograph):
    result = json.loads(json.dumps(run(micrograph)))
    table = format_table(result, paper="alloy")
    rows = {line.strip().split("  ")[0]: line.split() for line in table.splitlines() if line}
    assert rows["E_rec"][2] == "4.66e-03"
    assert rows["E_gen"][1:3] == [f"{result['E_gen']['value']:.2e}", "5.66e-03"]
    assert rows["structure ratio"][-1] == f"{result['structure_ratio']['white_noise']:.2f}"
    assert {"diversity", "distance to the nearest tile", "pixel accuracy"} <= rows.keys()
    assert max(map(len, table.splitlines())) <= 100
    assert "{" not in table
    without = format_table(result, paper="my own material")
    assert "5.66e-03" not in without
    assert "1.23e-04" in format_table(result, paper={"E_gen": 1.23e-4})
    assert len(PAPER_TABLE_4) == 11


def test_baselines_of_alloy_are_those_known_for_it():
    path = MICROGRAPHS / "alloy_resized.npy"
    if not path.is_file():
        pytest.skip("the alloy micrograph is not in ../shared/micrographs")
    alloy = np.load(path, allow_pickle=False)
    real = tiles(alloy, side=64)
    result = evaluate(
        real, real, crops(alloy, 64, 0, 64), n_phases=2, crops=crops(alloy, 256, 1, 64)
    )
    errors = result["E_gen"]
    assert errors["other_tiles"] == pytest.approx(1.22e-2, abs=5e-5)
    assert errors["real_crops"] == pytest.approx(1.04e-2, rel=0.1)
    assert errors["white_noise"] == pytest.approx(9.4e-3, rel=0.1)
    assert 15 < result["structure_ratio"]["white_noise"] < 30
    assert 0.5 < result["structure_ratio"]["value"] < 2
