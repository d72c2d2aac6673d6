"""Distances, diversity, coverage and memorisation, against plain loops and on known cases."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from davegan_tf import similarity, synthetic
from davegan_tf.dataset import cut, tile_positions
from davegan_tf.errors import InputError

MICROGRAPHS = Path(__file__).parents[2] / "shared" / "micrographs"
SIDE = 8


def noise(n_phases=2, shape=(1, 20, 24), seed=0):
    return np.random.default_rng(seed).integers(0, n_phases, shape).astype(np.uint8)


def material(size=128, share=0.8, seed=0):
    """Smoothed noise with structure of about 4 pixels, 1 with the given share: (1, size, size)."""
    field = ndimage.gaussian_filter(
        np.random.default_rng(seed).standard_normal((size, size)), 2, mode="wrap"
    )
    return (field < np.quantile(field, share)).astype(np.uint8)[np.newaxis]


def random_places(micrographs, count, side, seed):
    last = (micrographs.shape[0], *(extent - side + 1 for extent in micrographs.shape[1:]))
    return np.random.default_rng(seed).integers(0, last, (count, 3))


def share_a_pixel(a, b, side):
    pixels = [
        {(p[0], p[1] + i, p[2] + j) for i in range(side) for j in range(side)} for p in (a, b)
    ]
    return bool(pixels[0] & pixels[1])


def smallest_distance(image, micrographs, exclude=None):
    """The definition: every uncut place, and every shift of every window of the grid."""
    side, (n_images, height, width) = len(image), micrographs.shape
    uncut = [
        (m, r, c)
        for m in range(n_images)
        for r in range(height - side + 1)
        for c in range(width - side + 1)
    ]
    step = side // 4
    grid = [
        (m, r, c)
        for m, r, c in uncut
        if (r % step == 0 or r % side == 0 or r == height - side)
        and (c % step == 0 or c % side == 0 or c == width - side)
    ]
    shifts = [(r, c) for r in range(side) for c in range(side)]
    pieces = [(place, (0, 0)) for place in uncut]
    pieces += [(place, shift) for place in grid for shift in shifts]
    return min(
        np.mean(image != similarity.window(micrographs, place, shift, side))
        for place, shift in pieces
        if exclude is None or not share_a_pixel(place, exclude, side)
    )


def test_squares_overlap_if_they_share_a_pixel():
    places = random_places(noise(shape=(2, 9, 9)), 40, 3, seed=1)
    expected = [[share_a_pixel(a, b, 3) for b in places] for a in places[:25]]
    result = similarity.overlapping(places[:25], places, 3)
    np.testing.assert_array_equal(result, expected)
    assert 0.2 < result.mean() < 0.8
    unsigned = np.array([[0, 0, 0], [0, 5, 5]], np.uint8)
    assert similarity.overlapping(unsigned, unsigned, 6).all()


@pytest.mark.parametrize("n_phases", [2, 3])
def test_pairwise_distances_are_shares_of_differing_pixels(n_phases):
    a, b = noise(n_phases, (5, 6, 6)), noise(n_phases, (4, 6, 6), seed=1)
    expected = [[np.mean(x != y) for y in b] for x in a]
    np.testing.assert_allclose(similarity.pairwise_distances(a, b), expected, atol=1e-12)


def test_relative_distance_is_1_minus_cohens_kappa():
    a, b = noise(3, (4, 6, 6)), noise(3, (3, 6, 6), seed=1)
    b[0][a[0] == 1] = 1

    def kappa(x, y):
        chance = sum(np.mean(x == k) * np.mean(y == k) for k in range(3))
        return (np.mean(x == y) - chance) / (1 - chance)

    expected = [[1 - kappa(x, y) for y in b] for x in a]
    result = similarity.pairwise_distances(a, b, relative=True)
    np.testing.assert_allclose(result, expected, atol=1e-12)
    # Constant images: equal ones are copies, others have nothing in common; no 0 / 0.
    flat = np.stack([np.zeros((4, 4), int), np.ones((4, 4), int)])
    relative = similarity.pairwise_distances(flat, flat, relative=True)
    np.testing.assert_array_equal(relative, [[0, 1], [1, 0]])


def test_resampled_mean_leaves_out_an_image_and_its_own_copy():
    images = noise(shape=(6, 5, 5))
    indices = np.array([0, 3, 3, 3, 5, 1])
    distances = similarity.pairwise_distances(images, images)
    counted = np.ones((6, 6), bool)
    counted[3, 5] = counted[5, 3] = False
    for flags in (None, counted):
        pairs = [
            distances[a, b]
            for a in indices
            for b in indices
            if a != b and (flags is None or flags[a, b])
        ]
        result = similarity.mean_distance(distances, indices, flags)
        assert result == pytest.approx(np.mean(pairs), abs=1e-12)
    assert similarity.mean_distance(distances, [2, 2, 2]) is None
    assert similarity.mean_distance(distances[:1, :1]) is None


@pytest.mark.parametrize("relative", [False, True])
def test_coverage_is_that_of_plain_loops(relative):
    micrographs = material(64)
    places, others = (random_places(micrographs, 14, 16, seed) for seed in (0, 1))
    crops, generated = cut(micrographs, places, 16), cut(micrographs, others, 16)

    def distance(a, b):
        return similarity.pairwise_distances(a[None], b[None], relative=relative)[0, 0]

    distances = {}
    for real in (True, False):
        radius, nearest = [], []
        for crop, place in zip(crops, places, strict=True):
            near = [
                distance(crop, other)
                for other, at in zip(crops, places, strict=True)
                if not share_a_pixel(place, at, 16)
            ]
            radius.append(min(near, default=np.inf))
            near = [
                distance(crop, other)
                for other, at in zip(generated, others, strict=True)
                if not (real and share_a_pixel(place, at, 16))
            ]
            nearest.append(min(near, default=np.inf))
        result = similarity.coverage(
            generated, crops, places, others if real else None, relative=relative
        )
        np.testing.assert_allclose(result.radius, radius, atol=1e-12)
        np.testing.assert_allclose(result.distance, nearest, atol=1e-12)
        np.testing.assert_array_equal(result.covered, np.array(nearest) <= radius)
        assert result.share == np.mean(result.covered)
        assert 0 < result.share < 1
        distances[real] = result.distance
    assert (distances[True] > distances[False]).any()


def test_copies_cover_all_and_real_crops_about_half():
    micrographs = material(256)
    places, others = (random_places(micrographs, 100, 16, seed) for seed in (0, 1))
    crops = cut(micrographs, places, 16)
    assert similarity.coverage(crops, crops, places).share == 1
    # As if they were real, no crop covers itself, but their radii are their distances.
    itself = similarity.coverage(crops, crops, places, places)
    np.testing.assert_array_equal(itself.distance, itself.radius)
    for relative in (False, True):
        result = similarity.coverage(
            cut(micrographs, others, 16), crops, places, others, relative=relative
        )
        assert 0.3 < result.share < 0.7
    white = (np.random.default_rng(0).random((100, 16, 16)) < 0.8).astype(np.uint8)
    assert similarity.coverage(white, crops, places).share < 0.02


def test_one_constant_image_covers_material_only_if_not_relative():
    micrographs = material(256, share=0.85)
    places = random_places(micrographs, 50, 32, seed=0)
    crops = cut(micrographs, places, 32)
    constant = np.ones((1, 32, 32), np.uint8)
    assert similarity.coverage(constant, crops, places).share > 0.9
    assert similarity.coverage(constant, crops, places, relative=True).share == 0
    # Nor is it a copy of what it agrees with.
    near = similarity.nearest_places(constant, micrographs, 2)
    real = similarity.nearest_places(crops, micrographs, 2, places)
    assert similarity.memorisation(near.distance, real.distance)["share"] == 1
    assert similarity.memorisation(near.relative, real.relative)["share"] == 0


def test_crops_without_a_disjoint_other_are_left_out_of_coverage():
    crops = noise(shape=(3, 4, 4))
    places = np.array([(0, 0, 0), (0, 4, 0), (0, 2, 0)])
    result = similarity.coverage(crops, crops, places)
    np.testing.assert_array_equal(result.covered, [True, True, False])
    assert np.isinf(result.radius[2]) and result.share == 1
    assert similarity.coverage(crops, crops[:1], places[:1]).share is None
    alone = similarity.coverage(crops[2:], crops, places, places[2:])
    assert np.isinf(alone.distance).all() and alone.share == 0


def test_grid_has_all_tiles_and_the_rims():
    grid = {tuple(place) for place in similarity.window_grid((2, 41, 33), 10)}
    assert {tuple(place) for place in tile_positions((2, 41, 33), 10)} <= grid
    assert {r for _, r, _ in grid} == {*range(0, 31, 2), 31}
    assert {c for _, _, c in grid} == {*range(0, 23, 2), 23}
    assert {r for _, r, _ in similarity.window_grid((1, 24, 24), 11)} == {*range(0, 13, 2), 11, 13}
    assert len(similarity.window_grid((1, 256, 256), 64)) == 169
    assert len(similarity.window_grid((2, 9, 9), 3)) == 2 * 7**2


@pytest.mark.parametrize("n_phases", [2, 3])
@pytest.mark.parametrize("shape", [(1, 20, 24), (2, 17, 13), (3, 8, 8)])
def test_nearest_place_is_the_smallest_distance_over_places_and_shifts(n_phases, shape):
    micrographs = noise(n_phases, shape)
    images = noise(n_phases, (3, SIDE, SIDE), seed=1)
    result = similarity.nearest_places(images, micrographs, n_phases)
    expected = [smallest_distance(image, micrographs) for image in images]
    np.testing.assert_allclose(result.distance, expected, atol=1e-12)
    for image, distance, place, shift, relative in zip(images, *result, strict=True):
        piece = similarity.window(micrographs, place, shift, SIDE)
        assert np.mean(image != piece) == pytest.approx(distance, abs=1e-12)
        pair = similarity.pairwise_distances(image[None], piece[None], relative=True)
        assert relative == pytest.approx(pair[0, 0], abs=1e-12)


@pytest.mark.parametrize(("n_phases", "shape"), [(2, (1, 20, 24)), (3, (2, 17, 13))])
def test_what_overlaps_the_excluded_place_is_not_looked_at(n_phases, shape):
    micrographs = noise(n_phases, shape)
    # In the corners of the micrograph, and inside.
    last = (shape[0] - 1, shape[1] - SIDE, shape[2] - SIDE)
    places = np.array([(0, 0, 0), last, (0, 2, 1), (last[0], 1, last[2])])
    crops = cut(micrographs, places, SIDE)
    result = similarity.nearest_places(crops, micrographs, n_phases, places)
    expected = [
        smallest_distance(crop, micrographs, place)
        for crop, place in zip(crops, places, strict=True)
    ]
    np.testing.assert_allclose(result.distance, expected, atol=1e-12)
    assert (result.distance > 0).all()
    for place, at in zip(result.place, places, strict=True):
        assert not share_a_pixel(place, at, SIDE)


@pytest.mark.parametrize("centre", [(15, 17), (16, 16)])
def test_exclusion_ends_where_squares_no_longer_share_a_pixel(centre):
    micrographs = noise(shape=(2, 40, 40))
    for offset in [(8, 2), (-8, -2), (2, 8), (-2, -8), (7, 7), (-7, 7), (7, -7), (-7, -7)]:
        for image in (0, 1):
            place = (image, *np.add(centre, offset))
            images = cut(micrographs, np.array([place]), SIDE)
            result = similarity.nearest_places(images, micrographs, 2, [(0, *centre)])
            free = image == 1 or max(np.abs(offset)) == SIDE
            assert (result.distance[0] == 0) == free
            assert (tuple(result.place[0]) == place) == free


def test_where_exclusion_leaves_nothing_there_is_no_distance():
    micrographs = noise(shape=(1, 12, 12))
    crops = cut(micrographs, np.array([(0, 2, 2), (0, 2, 2)]), SIDE)
    result = similarity.nearest_places(crops, micrographs, 2, [(0, 2, 2), (1, 2, 2)])
    np.testing.assert_array_equal(np.isnan(result.distance), [True, False])
    np.testing.assert_array_equal(np.isnan(result.relative), [True, False])
    np.testing.assert_array_equal(result.place, [(-1, -1, -1), (0, 2, 2)])
    np.testing.assert_array_equal(result.shift, 0)


@pytest.mark.parametrize("n_phases", [2, 3])
def test_shifted_copies_of_tiles_are_found_where_they_come_from(n_phases):
    micrographs = noise(n_phases, (1, 48, 48))
    places = tile_positions(micrographs.shape, 16)
    shifts = np.array([(3 * i % 16, 15 - i) for i in range(len(places))])
    tiles = cut(micrographs, places, 16)
    copies = np.stack([np.roll(x, s, axis=(0, 1)) for x, s in zip(tiles, shifts, strict=True)])
    result = similarity.nearest_places(copies, micrographs, n_phases)
    assert (result.distance == 0).all() and (result.relative == 0).all()
    np.testing.assert_array_equal(result.place, places)
    np.testing.assert_array_equal(result.shift, shifts)
    for copy, place, shift in zip(copies, result.place, result.shift, strict=True):
        np.testing.assert_array_equal(similarity.window(micrographs, place, shift, 16), copy)


def test_uncut_copies_are_found_at_odd_places():
    micrographs = noise(shape=(2, 45, 37))
    places = np.array([(0, 1, 3), (1, 29, 21), (0, 17, 5), (0, 29, 5), (1, 17, 21)])
    result = similarity.nearest_places(cut(micrographs, places, 16), micrographs, 2)
    assert (result.distance == 0).all()
    np.testing.assert_array_equal(result.place, places)
    np.testing.assert_array_equal(result.shift, 0)


def test_of_equals_the_uncut_place_is_named():
    board = (np.indices((21, 21)) // 2).sum(axis=0).astype(np.uint8)[np.newaxis] % 2
    result = similarity.nearest_places(cut(board, np.array([(0, 1, 1)]), SIDE), board, 2)
    assert result.distance == 0 and (result.shift == 0).all()
    np.testing.assert_array_equal(result.place, [(0, 1, 1)])


@pytest.mark.parametrize("n_phases", [2, 3])
def test_renamed_phases_change_nothing(n_phases):
    micrographs, images = noise(n_phases), noise(n_phases, (4, SIDE, SIDE), seed=1)
    places = random_places(micrographs, 12, SIDE, seed=2)
    names = np.array([1, 0] if n_phases == 2 else [2, 0, 1], np.uint8)
    results = [
        (
            *similarity.nearest_places(x, m, n_phases),
            *similarity.coverage(x, cut(m, places, SIDE), places, relative=True)[1:],
            similarity.mean_distance(similarity.pairwise_distances(x, x)),
        )
        for x, m in ((images, micrographs), (names[images], names[micrographs]))
    ]
    for result, renamed in zip(*results, strict=True):
        np.testing.assert_allclose(renamed, result, atol=1e-12)


def test_agreements_are_exact_on_large_micrographs():
    micrographs = (np.random.default_rng(0).random((1, 600, 500)) < 0.95).astype(np.uint8)
    images = cut(micrographs, random_places(micrographs, 2, 64, seed=1), 64).copy()
    images[0, 5, 7] ^= 1
    for stack in (images, 1 + images):
        phases = int(stack.max()) + 1
        result = similarity.nearest_places(stack, micrographs + (phases - 2), phases, max_windows=1)
        np.testing.assert_array_equal(result.distance, [1 / 4096, 0])


def test_agreements_are_exact_for_sides_that_are_no_power_of_2():
    micrographs = noise(3, (1, 61, 47))
    crops = cut(micrographs, random_places(micrographs, 12, 19, seed=1), 19)
    tiles = np.roll(cut(micrographs, tile_positions(micrographs.shape, 19), 19), 5, axis=2)
    copies = np.concatenate([crops, tiles])
    assert (similarity.nearest_places(copies, micrographs, 3).distance == 0).all()


@pytest.mark.parametrize("n_phases", [2, 3])
@pytest.mark.parametrize("side", [4, 6])
def test_a_copy_is_found_even_if_one_window_is_tried(n_phases, side):
    half = noise(n_phases, (600, side, side))
    # An image turned upside down has the same amplitude spectrum.
    micrographs = np.concatenate([half, half[:, ::-1, ::-1]])
    copies = np.roll(micrographs[::7], (1, 2), axis=(1, 2))
    result = similarity.nearest_places(copies, micrographs, n_phases, max_windows=1)
    assert (result.distance == 0).all()


@pytest.mark.parametrize("n_phases", [2, 3])
def test_copies_are_found_among_more_windows_than_are_shifted(n_phases):
    micrographs = noise(n_phases, (60, 16, 16))
    copies = np.stack([np.roll(micrographs[i], (i, 5), axis=(0, 1)) for i in (3, 30, 59)])
    copies[:, 2, 3] = (copies[:, 2, 3] + 1) % n_phases
    few = similarity.nearest_places(copies, micrographs, n_phases, max_windows=3)
    np.testing.assert_array_equal(few.place[:, 0], [3, 30, 59])
    np.testing.assert_allclose(few.distance, 1 / 256)
    everything = similarity.nearest_places(copies, micrographs, n_phases)
    np.testing.assert_array_equal(few.shift, everything.shift)
    # Of what is excluded none takes the place of one that is tried.
    exclude = np.array([(3, 0, 0), (30, 0, 0), (59, 0, 0)])
    result = similarity.nearest_places(copies, micrographs, n_phases, exclude, max_windows=1)
    assert (result.distance > 0.2).all() and (result.distance < 0.7).all()


def test_the_limit_of_windows_limits_the_search():
    micrographs, images = noise(shape=(60, 16, 16)), noise(shape=(8, 16, 16), seed=1)
    one = similarity.nearest_places(images, micrographs, 2, max_windows=1).distance
    everything = similarity.nearest_places(images, micrographs, 2).distance
    assert (one >= everything).all() and (one > everything).any()


def test_of_many_images_one_in_sixty_is_enough_to_shift():
    training, (new, _) = synthetic.ellipses(3000, seed=0)[0], synthetic.ellipses(8, seed=1)
    few = similarity.nearest_places(new, training, 2, max_windows=50)
    everything = similarity.nearest_places(new, training, 2)
    np.testing.assert_array_equal(few.distance, everything.distance)
    unlike = (np.random.default_rng(2).random((8, 32, 32)) < 0.1).astype(np.uint8)
    few = similarity.nearest_places(unlike, training, 2, max_windows=50)
    everything = similarity.nearest_places(unlike, training, 2)
    assert (few.distance - everything.distance).max() <= 4 / 1024


def test_nearest_pairs_are_sorted_and_never_nan():
    distances = np.array([0.3, np.nan, 0.1, 0.2, 0.1])
    np.testing.assert_array_equal(similarity.nearest_pairs(distances, 3), [2, 4, 3])
    np.testing.assert_array_equal(similarity.nearest_pairs(distances, 9), [2, 4, 3, 0])


def test_memorised_is_what_is_nearer_than_all_but_one_percent_of_real_crops():
    # The one that repeats exactly is left out.
    real = np.append(np.arange(102) / 100, np.nan)
    result = similarity.memorisation(np.array([0.0, 0.005, 0.02, 0.6]), real)
    assert result == pytest.approx(
        {
            "share": 0.5,
            "threshold": 0.02,
            "mean": 0.625 / 4,
            "smallest": 0.0,
            "mean_real_crops": 0.505,
            "smallest_real_crops": 0.0,
        }
    )
    # Where all pieces repeat nothing is a copy of one; where some do, copies of the others are.
    periodic = similarity.memorisation(np.zeros(3), np.zeros(5))
    assert periodic["share"] is periodic["threshold"] is None and periodic["smallest"] == 0
    assert similarity.memorisation(np.zeros(3), np.array([0, 0, 0.3, 0.4]))["share"] == 1
    nothing = similarity.memorisation(np.array([0.2]), np.array([np.nan]))
    assert nothing["mean"] == 0.2 and nothing["share"] is nothing["threshold"] is None


def test_copies_from_alloy_are_told_from_real_crops():
    path = MICROGRAPHS / "alloy_resized.npy"
    if not path.is_file():
        pytest.skip("the alloy micrograph is not in ../shared/micrographs")
    alloy = np.load(path, allow_pickle=False)[np.newaxis]
    places, others = (random_places(alloy, 40, 64, seed) for seed in (0, 1))
    crops = cut(alloy, places, 64)
    real = similarity.nearest_places(crops, alloy, 2, places)
    fresh = similarity.nearest_places(cut(alloy, others, 64), alloy, 2, others)
    # As far from the grid's windows as can be, shifted, and with an error in every 20th pixel.
    off = np.random.default_rng(2).integers(0, 12, (40, 3)) * [0, 16, 16] + [0, 8, 8]
    copies = np.roll(cut(alloy, off, 64), (20, 30), axis=(1, 2))
    copies = copies ^ (np.random.default_rng(3).random(copies.shape) < 0.05)
    copied = similarity.nearest_places(copies.astype(np.uint8), alloy, 2)
    for kind in ("distance", "relative"):
        share = similarity.memorisation(getattr(fresh, kind), getattr(real, kind))["share"]
        assert share < 0.15
    assert similarity.memorisation(copied.relative, real.relative)["share"] > 0.9
    # Whether overlapping crops count makes little difference.
    distances, disjoint = (
        similarity.pairwise_distances(crops, crops),
        ~similarity.overlapping(places, places, 64),
    )
    assert similarity.mean_distance(distances) == pytest.approx(
        similarity.mean_distance(distances, counted=disjoint), rel=0.05
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, m: similarity.nearest_places(x + 1, m, 2), "images must be .* labels 0 to 1"),
        (lambda x, m: similarity.nearest_places(x, m[0], 2), "micrographs must be a stack"),
        (lambda x, m: similarity.nearest_places(x[:, 1:], m, 2), "square, not of 7 × 8 pixels"),
        (lambda x, m: similarity.nearest_places(x, m[:, :7], 2), "hold no image of 8 × 8"),
        (lambda x, m: similarity.nearest_places(x, m, 2, [(0, 0, 0)]), r"3 images need a place"),
        (lambda x, m: similarity.coverage(x, x, [(0, 0)] * 3), r"a place each, not \(3, 2\)"),
        (lambda x, m: similarity.coverage(x, x, [(0, 0, 0)] * 3, [(0, 0, 0)]), "place each"),
        (lambda x, m: similarity.pairwise_distances(x, x[:, 1:]), "do not fit"),
    ],
)
def test_unusable_input_is_refused_in_one_sentence(call, message):
    images, micrographs = noise(shape=(3, SIDE, SIDE)), noise()
    with pytest.raises(InputError, match=message):
        call(images, micrographs)
