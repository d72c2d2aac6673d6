"""Disentanglement of codes that are perfect, useless, duplicated or mixed, and of ellipses."""

import numpy as np
import pytest
from scipy.stats import entropy

from davegan_tf import disentanglement, synthetic
from davegan_tf.errors import InputError

# Orthonormal, and no code is mostly one factor: rows are (1, −2, −2) / 3 and so on.
MIXTURE = np.eye(3) - 2 / 3


@pytest.fixture(scope="module")
def factors():
    return np.random.default_rng(0).uniform(size=(1200, 3)) * [1, 20, 0.1] + [0, 5, -3]


@pytest.fixture(scope="module")
def codes(factors):
    """By name, each (1200, latent_dim)."""
    standard = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    return {
        "perfect": factors[:, [2, 0, 1]] * [1000, -0.01, 3] + [0, 7, 0],
        "useless": np.random.default_rng(1).standard_normal((1200, 4)),
        "duplicated": np.repeat(factors, 2, axis=1),
        "mixed": standard @ MIXTURE,
    }


@pytest.fixture(scope="module")
def found(factors, codes):
    """`dci` of every code."""
    return {name: disentanglement.dci(z, factors, seed=0) for name, z in codes.items()}


def test_dci_of_perfect_codes(found):
    perfect = found["perfect"]
    assert perfect.disentanglement > 0.995
    assert perfect.completeness > 0.995
    assert perfect.informativeness > 0.995
    # Dimension 0 tells factor 2, and so on.
    np.testing.assert_allclose(perfect.importances, np.eye(3)[[2, 0, 1]], atol=0.005)


def test_dci_of_useless_codes(found):
    useless = found["useless"]
    assert 0 <= useless.disentanglement < 0.03
    assert 0 <= useless.completeness < 0.03
    assert -0.3 < useless.informativeness < 0.02


def test_dci_of_duplicated_codes(found):
    """Both of a pair tell of one factor alone; of six dimensions two are needed for it."""
    duplicated = found["duplicated"]
    assert duplicated.disentanglement > 0.995
    assert duplicated.completeness == pytest.approx(1 - np.log(2) / np.log(6), abs=0.02)
    assert duplicated.informativeness > 0.995


def test_dci_of_mixed_codes(found):
    mixed = found["mixed"]
    assert mixed.disentanglement < 0.4
    assert mixed.completeness < 0.4
    assert mixed.informativeness > 0.9


@pytest.mark.parametrize("name", ["perfect", "useless", "duplicated", "mixed"])
def test_dci_is_the_entropy_of_its_importances(found, name):
    """Disentanglement is weighted by the dimension's importance, completeness a plain mean."""
    dci = found[name]
    np.testing.assert_allclose(dci.importances.sum(axis=0), 1)
    per_dimension = 1 - entropy(dci.importances, base=3, axis=1)
    weights = dci.importances.sum(axis=1) / 3
    assert dci.disentanglement == pytest.approx(np.sum(weights * per_dimension))
    per_factor = 1 - entropy(dci.importances, base=len(dci.importances), axis=0)
    assert dci.completeness == pytest.approx(per_factor.mean())
    assert dci.informativeness == pytest.approx(dci.r2.mean())


def test_dci_leaves_an_unused_dimension_out_of_account(factors, found):
    """It adds to the base of the completeness, but not to the disentanglement."""
    constant = np.hstack([factors, np.zeros((len(factors), 1))])
    assert disentanglement.dci(constant, factors, seed=0).disentanglement > 0.995
    nothing = disentanglement.dci(np.zeros((len(factors), 2)), factors, seed=0)
    assert nothing.disentanglement == 0
    assert nothing.completeness == 0
    assert nothing.informativeness == pytest.approx(0, abs=0.02)


def test_dci_of_one_dimension_or_one_factor(factors):
    one_dimension = disentanglement.dci(factors[:, :1], factors[:, :2], seed=0)
    assert one_dimension.completeness == 1
    assert one_dimension.disentanglement == pytest.approx(0, abs=1e-9)
    one_factor = disentanglement.dci(factors[:, :2], factors[:, :1], seed=0)
    assert one_factor.disentanglement == 1
    assert one_factor.completeness > 0.99


def test_r2_is_that_of_unseen_samples():
    """Where z tells nothing, trees that saw the samples would seem to predict them."""
    rng = np.random.default_rng(3)
    z, factors = rng.standard_normal((200, 5)), rng.standard_normal((200, 2))
    assert disentanglement.dci(z, factors, seed=0).r2.max() < 0.1
    linear, neighbours = disentanglement.predictability(z[:40], factors[:40], seed=0)
    assert linear.max() < 0.1
    assert neighbours.max() < 0.2


def test_mig_of_codes(factors, codes):
    mig = {name: disentanglement.mig(z, factors) for name, z in codes.items()}
    # Chance gives independent histograms 19² / 2n nats; the entropy is ln 20.
    assert mig["perfect"].mean == pytest.approx(1 - 19**2 / 2400 / np.log(20), abs=0.02)
    assert mig["useless"].mean < 0.02
    assert mig["duplicated"].mean == 0
    assert mig["mixed"].mean < 0.15
    assert mig["perfect"].information.argmax(axis=0).tolist() == [1, 2, 0]
    for values in mig.values():
        assert values.per_factor.min() >= 0
        assert values.mean == pytest.approx(values.per_factor.mean())


def test_mig_of_more_samples_is_closer_to_1():
    z = np.random.default_rng(0).uniform(size=(20000, 2))
    assert disentanglement.mig(z, z).mean > 0.99


def test_mig_in_closed_form():
    """Four equally frequent values; a dimension knows both bits, one bit or nothing of them."""
    value, other = (axis.ravel() for axis in np.mgrid[:4, :4].repeat(3, axis=2))
    z = np.stack([value // 2, 3.0 - value, other], axis=1)
    found = disentanglement.mig(z, np.stack([value, other % 2], axis=1))
    np.testing.assert_allclose(
        found.information, [[np.log(2), 0], [np.log(4), 0], [0, np.log(2)]], atol=1e-12
    )
    np.testing.assert_allclose(found.per_factor, [0.5, 1], atol=1e-12)
    assert found.mean == pytest.approx(0.75)


def test_mig_of_a_noisy_bit_in_closed_form():
    """One of ten bits is wrong: ln 2 − H(0.1) nats are left of ln 2."""
    bit = np.repeat([0, 1], 100)
    wrong = np.tile(np.arange(10) == 0, 20)
    found = disentanglement.mig((bit ^ wrong)[:, np.newaxis], bit[:, np.newaxis])
    expected = np.log(2) - entropy([0.1, 0.9])
    assert found.information.item() == pytest.approx(expected, abs=1e-12)
    # A single dimension has no second one.
    assert found.mean == pytest.approx(expected / np.log(2), abs=1e-12)


def test_mig_cuts_the_range_into_bins_of_equal_width():
    z = np.r_[np.zeros(90), 0.45, 0.7, 1, np.ones(7)][:, np.newaxis]
    lower = 0.91  # two bins part at 0.5
    assert disentanglement.mig(z, z, bins=2).information.item() == pytest.approx(
        entropy([lower, 1 - lower])
    )
    assert disentanglement.mig(z, z, bins=5).information.item() == pytest.approx(
        entropy([0.9, 0.01, 0.01, 0.08])
    )


def test_predictability_of_codes(factors, codes):
    found = {name: disentanglement.predictability(z, factors, seed=0) for name, z in codes.items()}
    for name in ("perfect", "duplicated", "mixed"):
        assert found[name].linear.min() > 1 - 1e-9
        assert found[name].neighbours.min() > 0.98
    assert np.abs(found["useless"].linear).max() < 0.03
    assert found["useless"].neighbours.min() > -0.25
    assert found["useless"].neighbours.max() < 0.03


def test_neighbours_find_what_is_not_linear():
    z = np.random.default_rng(0).uniform(-1, 1, (1500, 2))
    linear, neighbours = disentanglement.predictability(z, z[:, :1] ** 2, seed=0)
    assert abs(linear.item()) < 0.02
    assert neighbours.item() > 0.98


def test_linear_r2_in_closed_form():
    """Noise of half the factor's spread: R² = 1 / (1 + 0.5²)."""
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((20000, 1))
    z = factor + 0.5 * rng.standard_normal(factor.shape)
    assert disentanglement.predictability(z, factor, seed=0).linear.item() == pytest.approx(
        0.8, abs=0.01
    )


def test_results_do_not_depend_on_scale_and_order(factors, codes):
    mixed = codes["mixed"]
    other = mixed[:, ::-1] * [1e-3, 1e3, -1] + 4
    for function in (disentanglement.predictability, disentanglement.dci):
        before, after = function(mixed, factors, 0), function(other, factors, 0)
        for name in before._fields:
            if name != "importances":
                tolerance = 0.01 if function is disentanglement.dci else 1e-6
                np.testing.assert_allclose(
                    getattr(after, name), getattr(before, name), atol=tolerance
                )


def test_results_are_those_of_the_seed(factors, codes):
    z, factors = codes["mixed"][:200], factors[:200]
    again = [disentanglement.dci(z, factors, seed) for seed in (5, 5)]
    np.testing.assert_array_equal(again[0].r2, again[1].r2)
    np.testing.assert_array_equal(again[0].importances, again[1].importances)
    # The split is seeded, not the trees alone: those of one dimension have nothing to draw.
    alone = [disentanglement.dci(z[:, :1], factors[:, :1], seed).r2 for seed in (5, 6)]
    assert alone[0] != alone[1]
    again = [disentanglement.predictability(z, factors, seed) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(again[0].neighbours, again[1].neighbours)
    assert (again[0].neighbours != again[2].neighbours).all()


def test_ellipse_factors_are_what_they_are_called():
    # a, b, row, column, angle: the second is the first, turned around; the third is a circle.
    parameters = np.array([[6, 2, 10, 20, 0.3], [6, 2, 10, 20, 0.3 + np.pi], [4, 4, 1, 2, 0]])
    values, oriented = disentanglement.ellipse_factors(parameters)
    expected = [10, 20, 6, 2, np.cos(0.6), np.sin(0.6)]
    np.testing.assert_allclose(values, [expected, expected, [1, 2, 4, 4, 1, 0]])
    assert len(disentanglement.ELLIPSE_FACTORS) == values.shape[1]
    assert oriented.tolist() == [True, True, False]
    aspects = np.array([[1.29, 1, 0, 0, 0], [1.3, 1, 0, 0, 0]])
    assert disentanglement.ellipse_factors(aspects).oriented.tolist() == [False, True]


def test_angles_that_are_neighbours_have_factors_that_are():
    """0 and π are the same ellipse."""
    parameters = np.array([[6, 2, 10, 20, 0.001], [6, 2, 10, 20, np.pi - 0.001]])
    values = disentanglement.ellipse_factors(parameters).values
    assert np.abs(np.diff(values, axis=0)).max() < 0.01


def test_ellipse_predictability_knows_what_is_told():
    _, parameters = synthetic.ellipses(1500, seed=2)
    values, _ = disentanglement.ellipse_factors(parameters)
    found = disentanglement.ellipse_predictability(values, parameters, seed=0)
    assert list(found) == ["row", "column", "a", "b", "angle"]
    assert min(r2.linear for r2 in found.values()) > 1 - 1e-9
    assert min(r2.neighbours for r2 in found.values()) > 0.9

    noise = np.random.default_rng(0).standard_normal((len(values), 3))
    without = np.hstack([values[:, :3], noise])  # neither b nor angle
    found = disentanglement.ellipse_predictability(without, parameters, seed=0)
    told = {name for name, r2 in found.items() if r2.linear > 0.9}
    assert told == {"row", "column", "a"}
    assert abs(found["angle"].linear) < 0.03
    assert found["angle"].neighbours < 0.05


def test_the_angle_is_predicted_where_there_is_one():
    """A code that says anything about circles, and the truth about all others, is perfect."""
    _, parameters = synthetic.ellipses(1500, seed=2)
    values, oriented = disentanglement.ellipse_factors(parameters)
    z = values.copy()
    z[~oriented, 4:] = 5
    angle = disentanglement.ellipse_predictability(z, parameters, seed=0)["angle"]
    assert angle.linear > 1 - 1e-9
    assert angle.neighbours > 0.95


def test_the_angles_r2_is_that_of_both_of_its_coordinates():
    _, parameters = synthetic.ellipses(3000, seed=2)
    parameters[:, 4] *= 0.5  # 0 … π/2: the sine varies less than the cosine
    values, oriented = disentanglement.ellipse_factors(parameters)
    cosine_only = np.hstack([values[:, 4:5], np.zeros((len(values), 1))])
    found = disentanglement.ellipse_predictability(cosine_only, parameters, seed=0)["angle"]
    spread = values[oriented, 4:].var(axis=0)
    assert found.linear == pytest.approx(spread[0] / spread.sum(), abs=0.02)


@pytest.mark.parametrize(
    ("z", "factors", "message"),
    [
        (np.zeros((30, 2)), np.zeros((29, 1)), r"one row per image.*\(30, 2\) and \(29, 1\)"),
        (np.zeros(30), np.zeros((30, 1)), "latent_dim"),
        (np.zeros((30, 0)), np.arange(30.0)[:, np.newaxis], "latent_dim"),
        (np.zeros((19, 2)), np.arange(19.0)[:, np.newaxis], "19 samples"),
        (np.full((30, 2), np.nan), np.arange(30.0)[:, np.newaxis], "finite"),
        (np.zeros((30, 2)), np.full((30, 1), np.inf), "finite"),
        (np.zeros((30, 2)), np.arange(30.0)[:, np.newaxis] * [1, 0], "column 1 .* never changes"),
    ],
)
def test_unusable_input_is_named(z, factors, message):
    for function in (disentanglement.dci, disentanglement.predictability):
        with pytest.raises(InputError, match=message):
            function(z, factors, 0)
    with pytest.raises(InputError, match=message):
        disentanglement.mig(z, factors)


def test_a_factor_that_hardly_ever_changes_is_named():
    factors = np.zeros((40, 1))
    factors[0] = 1
    z = np.random.default_rng(0).standard_normal((40, 2))
    with pytest.raises(InputError, match=r"column 0 .* never changes in the (training|test) part"):
        disentanglement.dci(z, factors, 0)


def test_other_unusable_arguments_are_named():
    with pytest.raises(InputError, match="2 bins"):
        disentanglement.mig(np.zeros((30, 1)), np.arange(30.0)[:, np.newaxis], bins=1)
    with pytest.raises(InputError, match=r"parameters must be .*\(3, 4\)"):
        disentanglement.ellipse_factors(np.ones((3, 4)))
    with pytest.raises(InputError, match="a > 0"):
        disentanglement.ellipse_factors(np.zeros((3, 5)))
