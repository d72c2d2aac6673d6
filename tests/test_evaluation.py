"""The evaluation on ideal, degenerate and copied input, and against what is known of alloy."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from davegan_tf import dataset, measures, similarity
from davegan_tf.dataset import crop_positions, cut, tile_positions
from davegan_tf.errors import InputError
from davegan_tf.evaluation import evaluate
from davegan_tf.evaluation_table import LABELS, format_table
from davegan_tf.paper import PAPER_TABLE_4
from davegan_tf.real_pieces import MOST_TILES, RealPieces, tile_places

MICROGRAPHS = Path(__file__).parents[2] / "shared" / "micrographs"
SIDE = 32
SAMPLES = 48


def material(n_phases=2, size=256, seed=0):
    """Smoothed noise cut at quantiles: a random material with structure of about 4 pixels."""
    field = ndimage.gaussian_filter(
        np.random.default_rng(seed).standard_normal((size, size)), 2, mode="wrap"
    )
    limits = np.quantile(field, np.linspace(0, 1, n_phases + 1)[1:-1] ** 2)
    return np.digitize(field, limits).astype(np.uint8)[np.newaxis]


def tiles(micrograph, side=SIDE):
    return dataset.tiles(micrograph, side)


def crops(micrograph, count=SAMPLES, seed=1, side=SIDE):
    return cut(micrograph, crop_positions(micrograph.shape, side, count, seed), side)


def run(micrograph, generated=None, reconstructed=None, n_phases=2, **options):
    return evaluate(
        micrograph,
        tiles(micrograph) if reconstructed is None else reconstructed,
        crops(micrograph) if generated is None else generated,
        n_phases=n_phases,
        **options,
    )


@pytest.fixture(scope="module")
def micrograph():
    return material()


@pytest.fixture(scope="module")
def new_material():
    """Samples that are what a perfect model makes: pieces of other micrographs of the same kind."""
    return np.concatenate([crops(material(seed=seed), 8) for seed in range(1, 25)])


@pytest.fixture(scope="module")
def of_new_material(micrograph, new_material):
    return run(micrograph, generated=new_material)


@pytest.fixture(scope="module")
def of_noise(micrograph):
    fractions = measures.phase_fractions(tiles(micrograph), 2).mean(axis=0)
    noise = measures.white_noise(fractions, (SAMPLES, SIDE, SIDE), np.random.default_rng(5))
    return run(micrograph, generated=noise)


@pytest.fixture(scope="module")
def of_copies(micrograph):
    copies = [
        np.roll(tile, (i, 3 * i), axis=(0, 1)) for i, tile in enumerate(tiles(micrograph)[:SAMPLES])
    ]
    return run(micrograph, generated=np.stack(copies))


def test_new_material_of_the_same_kind_passes(of_new_material):
    samples = of_new_material["samples"]
    ratios = {name: record["ratio"] for name, record in samples.items()}
    # Two floors are 1.6 to 2 standard errors: one in nine may fall outside, none by far.
    assert sum(ratio > 2 for ratio in ratios.values()) <= 3, ratios
    assert max(ratio for name, ratio in ratios.items() if name != "memorisation") < 3, ratios
    assert samples["memorisation"]["value"] < 0.06
    assert 0.9 < samples["diversity"]["value"] < 1.1
    assert samples["coverage"]["ratio"] < 1.5
    assert samples["E_gen"]["ratio"] == pytest.approx(1, abs=0.25)


def test_new_material_is_as_far_from_the_tiles_as_disjoint_crops(new_material):
    of_new, of_crops, of_disjoint = [], [], []
    for seed in range(100, 106):
        micrograph = material(size=4 * SIDE, seed=seed)
        real = RealPieces(micrograph, micrograph, SIDE, len(new_material), 2, 0)
        errors = functools.partial(measures.tile_errors, real.training_tiles, phases=[1])
        of_new.append(errors(new_material).min(axis=-1).mean())
        (each,) = errors(real.crops)
        of_crops.append(each.min(axis=-1).mean())
        of_disjoint.append(each.min(axis=-1, where=real.disjoint, initial=np.inf).mean())
    # One micrograph of 4 × 4 tiles alone may differ by a fifth.
    assert np.mean(of_new) == pytest.approx(np.mean(of_disjoint), rel=0.1)
    # Crops that share pixels with tiles are nearer.
    assert np.mean(of_crops) < 0.85 * np.mean(of_disjoint)


def test_disjoint_crops_are_compared_with_tiles_without_a_common_pixel_alone():
    micrograph = material(size=2 * SIDE)
    result = run(micrograph)
    positions = crop_positions(micrograph.shape, SIDE, 2 * SAMPLES, 0)
    of_tiles = measures.descriptors.two_point_correlation(tiles(micrograph) == 1)
    errors = []
    for place, crop in zip(positions, cut(micrograph, positions, SIDE), strict=True):
        s2 = measures.descriptors.two_point_correlation(crop == 1)
        apart = [
            np.sqrt(np.mean((s2 - of_tile) ** 2))
            for of_tile, tile in zip(of_tiles, tile_positions(micrograph.shape, SIDE), strict=True)
            if (abs(place - tile) >= SIDE).any()
        ]
        errors += [min(apart)] if apart else []
    assert 0 < len(errors) < len(positions)
    assert result["samples"]["E_gen"]["disjoint"] == pytest.approx(np.mean(errors))


def test_crops_of_a_held_out_part_are_all_disjoint(micrograph):
    reference = material(seed=7)
    result = run(micrograph, reference=reference, reconstructed=tiles(reference))
    record = result["samples"]["E_gen"]
    assert record["disjoint"] == pytest.approx(record["floor"]["mean"])


def test_crops_of_a_held_out_part_have_a_floor_also_beside_one_training_tile():
    reference = material(size=2 * SIDE, seed=7)
    one = material(size=SIDE)
    result = run(one, crops(one, 4), tiles(reference), reference=reference)
    record = result["samples"]["E_gen"]
    assert record["floor"]["mean"] == pytest.approx(record["disjoint"])
    assert record["passed"] is not None


def test_a_micrograph_of_one_tile_has_no_disjoint_crops():
    assert run(material(size=SIDE))["samples"]["E_gen"]["disjoint"] is None


def test_perfect_reconstructions_pass_with_no_difference_at_all(of_new_material):
    records = of_new_material["reconstructions"]
    assert records["pixel_accuracy"]["value"] == records["pixel_accuracy"]["worst"] == 1
    assert records["pixel_accuracy"]["passed"] is None
    for name, record in records.items():
        if name != "pixel_accuracy":
            assert record["value"] == pytest.approx(0, abs=1e-12)
            assert record["interval"] == pytest.approx([0, 0], abs=1e-9)
            assert record["passed"] is True


def test_white_noise_fails_where_eq_12_cannot_see_it(of_noise):
    samples = of_noise["samples"]
    assert samples["E_gen"]["passed"]
    for name in (
        "autocovariance_8",
        "autocovariance_32",
        "interface_density",
        "lineal_path",
        "chord_lengths",
        "euler_number",
        "largest_cluster",
    ):
        assert samples[name]["passed"] is False, name
        # The noise that stands beside every measure says so, too.
        assert samples[name]["noise_ratio"] == pytest.approx(samples[name]["ratio"], rel=0.25), name
    assert samples["coverage"]["passed"] is False
    assert samples["coverage"]["value"] < 0.1
    assert not of_noise["verdict"]["passed"]
    assert "samples.interface_density" in of_noise["verdict"]["failed"]


def test_copied_tiles_fail_memorisation_however_shifted(of_copies, micrograph):
    samples = of_copies["samples"]
    assert samples["E_gen"]["value"] == pytest.approx(0, abs=1e-12)
    assert samples["memorisation"]["value"] == 1
    assert samples["memorisation"]["passed"] is False
    assert samples["memorisation"]["mirrored"] < 0.5
    assert samples["memorisation"]["smallest"] == pytest.approx(0, abs=1e-12)
    for pair in of_copies["nearest"]:
        assert pair["distance"] == 0
        (piece,) = cut(micrograph, np.array([pair["place"]]), SIDE)
        copy = np.roll(
            tiles(micrograph)[pair["sample"]], (pair["sample"], 3 * pair["sample"]), axis=(0, 1)
        )
        np.testing.assert_array_equal(np.roll(piece, pair["shift"], axis=(0, 1)), copy)


def test_copies_never_pass_where_the_micrograph_is_too_small_to_tell_them():
    for seed in range(2):
        small = material(size=2 * SIDE, seed=seed)
        record = run(small, generated=tiles(small))["samples"]["memorisation"]
        # Pieces of one half of it are all near something of the other.
        assert record["value"] == 1 and record["floor"]["mean"] > 0.5
        assert record["passed"] is None


def test_copies_never_pass_where_much_of_the_material_repeats(micrograph):
    # One phase alone in more than half of it: many real crops have an equal elsewhere.
    coarse = micrograph.copy()
    coarse[:, :, : 5 * SIDE] = 0
    copies = cut(coarse, tile_positions(coarse.shape, SIDE), SIDE)
    copies = copies[copies.any(axis=(1, 2))]
    record = run(coarse, generated=copies)["samples"]["memorisation"]
    assert record["smallest_real_crops"] == 0 < record["threshold"]
    assert record["value"] == 1
    assert record["passed"] is not True
    # All of it repeats: no verdict.
    board = (np.indices((256, 256)) // 4).sum(axis=0).astype(np.uint8)[np.newaxis] % 2
    record = run(board, generated=tiles(board)[:8])["samples"]["memorisation"]
    assert record["value"] is record["floor"] is record["passed"] is None


def test_the_floor_of_memorisation_is_that_of_the_training_data_with_a_holdout_too(micrograph):
    training, held_out = np.split(micrograph, [192], axis=1)
    alone = run(training, generated=crops(training))
    apart = run(training, crops(training), tiles(held_out), reference=held_out)
    floors = [each["samples"]["memorisation"]["floor"] for each in (alone, apart)]
    assert floors[0] == floors[1]
    assert floors[1]["std"] > 0


def test_one_near_sample_of_a_few_does_not_fail_memorisation(micrograph, new_material):
    one = np.concatenate([tiles(micrograph)[:1], new_material[:15]])
    two = np.concatenate([tiles(micrograph)[:5], new_material[:11]])
    records = [run(micrograph, generated=each)["samples"]["memorisation"] for each in (one, two)]
    assert [record["passed"] for record in records] == [True, False]
    assert records[0]["value"] >= 1 / 16


def test_turned_copies_fail_memorisation_of_a_model_that_was_shown_turned_crops(micrograph):
    copies = tiles(micrograph)[:SAMPLES]
    copies[::2] = copies[::2, ::-1, ::-1]
    results = [run(micrograph, generated=copies, turned=turned) for turned in (False, True)]
    upright, both = (result["samples"]["memorisation"] for result in results)
    assert 0.5 <= upright["value"] < 0.75
    assert both["value"] == 1
    assert both["passed"] is False
    assert both["mirrored"] < 0.5
    # What real crops are held against has been searched the same way.
    assert both["mean_real_crops"] < upright["mean_real_crops"]
    assert both["smallest_real_crops"] <= upright["smallest_real_crops"]
    pairs = results[1]["nearest"]
    assert {pair["turned"] for pair in pairs} == {False, True}
    for pair in pairs:
        assert pair["distance"] == 0
        assert pair["turned"] == (pair["sample"] % 2 == 0)
        piece = similarity.window(micrograph, pair["place"], pair["shift"], SIDE)
        copy = copies[pair["sample"]]
        np.testing.assert_array_equal(piece[::-1, ::-1] if pair["turned"] else piece, copy)


def test_new_material_is_no_copy_either_way(micrograph, new_material):
    result = run(micrograph, generated=new_material[::2], turned=True)
    memorisation = result["samples"]["memorisation"]
    assert memorisation["passed"]
    assert memorisation["value"] < 0.1


def test_constant_samples_fail_structure_diversity_and_coverage(micrograph):
    result = run(micrograph, generated=np.ones((8, SIDE, SIDE), np.uint8))
    samples = result["samples"]
    assert samples["diversity"]["value"] == 0
    for name in ("autocovariance_8", "lineal_path", "volume_fraction", "diversity", "coverage"):
        assert samples[name]["passed"] is False, name
    assert samples["volume_fraction"]["images"] == {"1": 1.0}
    assert result["true_volume_fraction"]["1"] == pytest.approx(micrograph.mean())
    json.dumps(result, allow_nan=False)


def test_errors_are_paired_with_tiles_and_nearest_to_tiles(micrograph):
    real = tiles(micrograph)
    records = run(micrograph, reconstructed=np.roll(real, 1, axis=0))["reconstructions"]
    # Paired with the wrong tiles they are what unrelated pieces are to each other.
    assert records["E_rec"]["ratio"] == pytest.approx(1, abs=0.3)
    few = crops(micrograph, 4)
    records = run(micrograph, generated=few, reconstructed=1 - real)["reconstructions"]
    assert records["pixel_accuracy"]["value"] == 0
    # S2 of the other phase is 1 − 2 φ + S2 at every lag.
    phi = real.mean(axis=(1, 2))
    assert records["E_rec"]["value"] == pytest.approx(np.abs(1 - 2 * phi).mean())
    assert records["E_rec_near"]["value"] == pytest.approx(np.abs(1 - 2 * phi).mean())


def test_near_errors_are_those_of_short_lags(micrograph):
    real, samples = tiles(micrograph), crops(micrograph, 4)
    s2 = [measures.descriptors.two_point_correlation(x == 1) for x in (real, samples)]
    near = measures.descriptors.lag_lengths((SIDE, SIDE)) < 16
    expected = [
        min(np.sqrt(np.mean((s2_sample - s2_tile)[near] ** 2)) for s2_tile in s2[0])
        for s2_sample in s2[1]
    ]
    result = run(micrograph, generated=samples)
    assert result["samples"]["E_gen_near"]["value"] == pytest.approx(np.mean(expected))


def test_three_phases_are_measured_each():
    micrograph = material(3)
    result = run(micrograph, generated=crops(micrograph, 8), n_phases=3)
    for name in ("E_gen", "autocovariance_8", "lineal_path"):
        assert list(result["samples"][name]["per_phase"]) == ["0", "1", "2"]
    split = result["samples"]["E_gen"]["per_phase"]
    assert result["samples"]["E_gen"]["value"] == pytest.approx(np.mean(list(split.values())))
    truth = result["true_volume_fraction"]
    np.testing.assert_allclose(
        [truth[k] for k in "012"], [(micrograph == k).mean() for k in range(3)]
    )
    assert sum(result["samples"]["volume_fraction"]["images"].values()) == pytest.approx(1)


def test_held_out_material_is_what_is_compared_with(micrograph, of_noise):
    training, held_out = np.split(micrograph, [192], axis=1)
    # Another material is held out: nothing of the training fits it.
    other = 1 - held_out
    result = evaluate(training, tiles(other), crops(training), n_phases=2, reference=other)
    assert result["holdout"] and not of_noise["holdout"]
    assert result["counts"]["tiles"] == len(tiles(other))
    assert result["reconstructions"]["E_rec"]["value"] == pytest.approx(0, abs=1e-12)
    assert result["true_volume_fraction"]["1"] == pytest.approx(other.mean())
    assert result["samples"]["volume_fraction"]["passed"] is False
    # But the copies are looked for in what was trained on.
    copied = evaluate(training, tiles(other), tiles(training), n_phases=2, reference=other)
    assert copied["samples"]["memorisation"]["value"] == 1
    assert "held-out tiles" in format_table(copied)


def test_checkerboard_has_no_spread_to_measure_by():
    board = (np.indices((256, 256)) // 4).sum(axis=0).astype(np.uint8)[np.newaxis] % 2
    result = run(board, generated=tiles(board)[:8])
    assert result["samples"]["volume_fraction"]["ratio"] == 1
    assert result["samples"]["autocovariance_8"]["noise_ratio"] is None
    text = json.dumps(result, allow_nan=False)
    table = format_table(json.loads(text)).splitlines()
    line = next(line for line in table if line.startswith("  autocovariance, lags ≤ 8"))
    # Exact reconstructions, and a noise that is infinitely worse; no strict floor.
    assert line.split()[-4:] == ["1.00", "∞", "–", "PASS"]
    line = next(line for line in table if line.startswith("  pixels as in the original"))
    assert "∞" not in line


def test_result_is_a_function_of_the_seed(micrograph):
    few = crops(micrograph, 8)
    first = run(micrograph, generated=few, seed=3)
    assert first == run(micrograph, generated=few, seed=3)
    other = run(micrograph, generated=few, seed=4)
    assert first["samples"]["E_gen"]["noise"] != other["samples"]["E_gen"]["noise"]


def test_the_true_fraction_is_that_of_all_pixels(micrograph):
    # Two tiles and a half in each direction.
    part = micrograph[:, : 5 * SIDE // 2, : 5 * SIDE // 2].copy()
    part[:, 2 * SIDE :] = 1
    truth = run(part, generated=crops(part, 4))["true_volume_fraction"]["1"]
    assert truth == pytest.approx(part.mean(), abs=1e-6)


def test_crops_without_a_disjoint_other_are_left_out_of_coverage_and_its_interval():
    # Crops in the middle overlap all others. On stripes of period 2 every other is covered by the samples: all crops.
    stripes = np.tile(np.arange(2, dtype=np.uint8), (1, 2 * SIDE, SIDE))
    record = run(stripes, generated=crops(stripes, 64, seed=5))["samples"]["coverage"]
    assert record["value"] == record["floor"]["mean"] == 1
    assert record["interval"] == [1, 1] and record["ratio"] == 1


def test_smallest_input_gives_none_where_nothing_can_be_said(micrograph):
    one = micrograph[:, :SIDE, :SIDE]
    result = evaluate(one, one, np.concatenate([one, one]), n_phases=2)
    for name in ("E_rec", "lineal_path"):
        assert result["reconstructions"][name]["passed"] is None
    assert result["samples"]["coverage"]["value"] is None
    assert result["samples"]["memorisation"]["passed"] is None
    format_table(json.loads(json.dumps(result, allow_nan=False)))


def test_the_closest_tile_is_that_of_all_where_there_are_many():
    side = 8
    micrograph = material(size=17 * side)
    of_tiles = tiles(micrograph, side)
    shown = {tuple(place) for place in tile_places(micrograph, side)}
    places = tile_positions(micrograph.shape, side)
    left_out = [tuple(place) not in shown for place in places]
    assert sum(left_out) == len(places) - MOST_TILES > 1
    result = run(micrograph, of_tiles[left_out], of_tiles[:1])
    assert result["samples"]["E_gen"]["value"] == pytest.approx(0, abs=1e-12)


def test_many_tiles_are_looked_at_evenly():
    images = np.zeros((1, 64 * 40, 64 * 20), np.uint8)
    places = tile_places(images, 64)
    assert len(places) == MOST_TILES
    assert places[0].tolist() == [0, 0, 0]
    assert places[-1].tolist() == [0, 64 * 39, 64 * 19]
    assert len(tile_places(images[:, :256, :256], 64)) == 16


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
        ({"generated": np.zeros((2, 8, 9), int)}, r"reconstructed has the shape"),
        ({"generated": np.zeros((1, SIDE, SIDE), int)}, "two square samples or more"),
        ({"reconstructed": np.zeros((65, SIDE, SIDE), int)}, "each of the reference's 64 tiles"),
        ({"generated": np.zeros((0, SIDE, SIDE), int)}, "at least one image"),
    ],
)
def test_unusable_input_is_refused_in_one_sentence(micrograph, change, message):
    with pytest.raises(InputError, match=message):
        run(micrograph, **change)


def test_table_has_a_row_for_each_measure_and_the_papers_figures(of_noise):
    result = json.loads(json.dumps(of_noise))
    table = format_table(result, paper="alloy")
    rows = [line.strip() for line in table.splitlines()]
    for subject in ("reconstructions", "samples"):
        for name in result[subject]:
            assert any(row.startswith(LABELS[name]) for row in rows), name
    (e_gen,) = (row.split() for row in rows if row.startswith("E_gen ("))
    assert e_gen[4:6] == [f"{result['samples']['E_gen']['value']:.2e}", "5.66e-03"]
    (interface,) = (row for row in rows if row.startswith("interface density") and "FAIL" in row)
    assert f"{result['samples']['interface_density']['ratio']:.0f}" in interface.split()
    assert f"FAIL: {len(result['verdict']['failed'])} of {result['verdict']['measures']}" in table
    assert "interface density (samples)" in table
    assert "{" not in table
    other = format_table(result, paper="my own material").splitlines()
    assert next(row.split()[5] for row in other if row.startswith("  E_gen (")) == "–"
    assert "1.23e-04" in format_table(result, paper={"E_gen": 1.23e-4})
    assert len(PAPER_TABLE_4) == 11


def test_baselines_of_alloy_are_those_known_for_it():
    path = MICROGRAPHS / "alloy_resized.npy"
    if not path.is_file():
        pytest.skip("the alloy micrograph is not in ../shared/micrographs")
    alloy = np.load(path, allow_pickle=False)[np.newaxis].astype(np.uint8)
    result = evaluate(alloy, tiles(alloy, 64), crops(alloy, 128, 1, 64), n_phases=2)
    error = result["samples"]["E_gen"]
    assert error["floor"]["mean"] == pytest.approx(1.0e-2, rel=0.1)
    assert error["noise"] == pytest.approx(9.4e-3, rel=0.1)
    # Of tiles from each other, 15 to choose from for 12.
    assert error["disjoint"] == pytest.approx(1.22e-2, rel=0.1)
    # Real crops pass, noise is ten standard errors away and more.
    assert result["samples"]["autocovariance_8"]["passed"]
    assert 8 < result["samples"]["autocovariance_8"]["noise_ratio"] < 14
