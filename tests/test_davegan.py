"""The three models in training: each loss against a second, naive implementation, and whom its gradient reaches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from davegan_tf import augmentation, set_losses
from davegan_tf.davegan import DAVEGAN, LOGS

NETWORKS = ("encoder", "generator", "discriminator")
BATCH = 3
TINY = {"image_size": 32, "latent_dim": 5, "seed": 1}
# Every option that changes the losses, away from its default at least once.
VARIANTS = {
    "defaults": {},
    "three batches through D": {"discriminator_batches": "three"},
    "one batch through G": {"generator_batches": "one"},
    "both": {"discriminator_batches": "three", "generator_batches": "one"},
    "weights": {"beta": 7.0, "lambda_vae": 0.5, "lambda_noise": 2.0, "lambda_rec": 0.01},
    "Eq. 9": {"prior": "fixed", "mean_transform": "none", "sigma_transform": "none"},
    "other transforms": {
        "prior": "gaussian",
        "mean_transform": "shift",
        "sigma_transform": "scale",
    },
    "three phases": {"channels": 3},
    "no translation": {"translation_std": 0.0},
    "normal codes": {"beta": 0.5, "lambda_normality": 300.0},
    "normal codes, β above 1": {"beta": 7.0, "lambda_normality": 300.0},
}
variants = pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())


def make_images(channels=1, batch=BATCH, side=32, seed=0):
    phases = np.random.default_rng(seed).integers(0, max(2, channels), (batch, side, side))
    images = phases[..., None] if channels == 1 else np.eye(channels)[phases]
    return tf.constant(images.astype("float32"))


@pytest.fixture(scope="module")
def images():
    return make_images()


def make(**options):
    return DAVEGAN(**TINY | options)


def compiled(**options):
    model = make(**options)
    model.compile()
    return model


def forward(model, images, real_images=None, step=0, **changed):
    """The losses of one step; ``changed`` replaces some of its draws."""
    draws = model.draw(tf.constant(step, tf.int64), len(images))
    real_images = images if real_images is None else real_images
    logs = model.compute_losses(images, real_images, draws._replace(**changed))
    return {name: float(value) for name, value in logs.items()}


def values(variables):
    return [variable.numpy() for variable in variables]


def assert_equal(some, others):
    for a, b in zip(some, others, strict=True):
        np.testing.assert_array_equal(a, b)


def everything(model):
    """All the state of a model, optimizers included."""
    optimizers = [getattr(model, f"{name}_optimizer") for name in NETWORKS]
    groups = [model.variables, *(optimizer.variables for optimizer in optimizers)]
    return [value for group in groups for value in values(group)]


# --- a second implementation ------------------------------------------------------------------------------------------

TRANSFORMS = {
    ("mean", "scale"): lambda x, u: x + u * x,
    ("mean", "shift"): lambda x, u: x + u,
    ("sigma", "scale"): lambda x, u: x * u,
    ("sigma", "shift"): lambda x, u: x + u,
    ("mean", "none"): lambda x, u: x,
    ("sigma", "none"): lambda x, u: x,
}


def roll(images, shifts):
    moved = [tf.roll(image, shift, (0, 1)) for image, shift in zip(images, shifts, strict=True)]
    return tf.stack(moved)


def naive_losses(model, images, real_images, draws):
    """Eq. 1–9 as the paper writes them: logarithms of probabilities, in float64."""
    options = model.arguments
    wide = {
        name: tf.cast(value, tf.float64)
        for name, value in draws._asdict().items()
        if name != "shifts"
    }
    z_mean, z_log_var = model.encoder(images, training=True)
    z_vae = z_mean + tf.sqrt(tf.exp(z_log_var)) * draws.posterior_noise
    if options["generator_batches"] == "two":
        vae = model.generator(z_vae, training=True)
        noise = model.generator(draws.z_noise, training=True)
    else:
        both = model.generator(tf.concat([z_vae, draws.z_noise], 0), training=True)
        vae, noise = both[: len(images)], both[len(images) :]

    shifts = draws.shifts.numpy().tolist()
    shown = [roll(*pair) for pair in zip((real_images, vae, noise), shifts, strict=True)]
    if options["discriminator_batches"] == "one":
        answers = model.discriminator(tf.concat(shown, 0), training=True)
        answers = [answers[i * len(images) : (i + 1) * len(images)] for i in range(3)]
    else:
        answers = [model.discriminator(each, training=True) for each in shown]
    real, reconstructed, generated = (tf.cast(answer, tf.float64) for answer in answers)

    # A translation of both sides changes no sum over pixels: L_Rec needs none.
    x, p = tf.cast(images, tf.float64), tf.cast(vae, tf.float64)
    if options["channels"] == 1:
        x, p = tf.concat([x, 1 - x], -1), tf.concat([p, 1 - p], -1)
    reconstruction = -tf.reduce_sum(x * tf.math.log(p)) / len(images)

    if options["prior"] == "fixed":
        prior = tf.constant(0, tf.float64), tf.constant(1, tf.float64)
    elif options["prior"] == "gaussian":
        prior = wide["prior_normal"][0], tf.abs(wide["prior_normal"][1])
    else:
        prior = tf.sqrt(tf.nn.moments(wide["prior_normal"], 0))
        prior = tf.nn.moments(wide["prior_normal"], 0)[0], prior[1]
    t_mu = TRANSFORMS["mean", options["mean_transform"]]
    t_sigma = TRANSFORMS["sigma", options["sigma_transform"]]
    mu, sigma = tf.cast(z_mean, tf.float64), tf.exp(tf.cast(z_log_var, tf.float64) / 2)
    mu, mu_prior = t_mu(mu, wide["u_mean"]), t_mu(prior[0], wide["u_mean"])
    sigma, sigma_prior = t_sigma(sigma, wide["u_std"]), t_sigma(prior[1], wide["u_std"])
    kl = tf.math.log(sigma_prior / sigma) - 0.5
    kl += (sigma**2 + (mu_prior - mu) ** 2) / (2 * sigma_prior**2)
    kl = tf.reduce_sum(kl) / len(images)

    normality = set_losses.normality_loss(tf.cast(z_vae, tf.float64))
    adversarial_vae = -tf.reduce_mean(tf.math.log(reconstructed))
    adversarial_noise = -tf.reduce_mean(tf.math.log(generated))
    discriminator = -tf.reduce_mean(
        tf.math.log(real) + tf.math.log(1 - reconstructed) + tf.math.log(1 - generated)
    )
    return {
        "encoder_loss": options["beta"] * kl
        + min(options["beta"], 1) * options["lambda_normality"] * normality
        + reconstruction,
        "generator_loss": options["lambda_vae"] * adversarial_vae
        + options["lambda_noise"] * adversarial_noise
        + options["lambda_rec"] * reconstruction,
        "discriminator_loss": discriminator,
        "kl_loss": kl,
        "reconstruction_loss": reconstruction,
        "adversarial_vae_loss": adversarial_vae,
        "adversarial_noise_loss": adversarial_noise,
        "probability_real": tf.reduce_mean(real),
        "probability_reconstructed": tf.reduce_mean(reconstructed),
        "probability_generated": tf.reduce_mean(generated),
    }


@variants
def test_losses_are_those_of_a_naive_implementation(options):
    model = make(**options)
    images = make_images(model.arguments["channels"])
    draws = model.draw(tf.constant(5, tf.int64), BATCH)
    expected = naive_losses(model, images, images, draws)
    assert set(expected) == set(LOGS)
    got = forward(model, images, step=5)
    assert list(got) == list(LOGS)
    for name, value in expected.items():
        assert got[name] == pytest.approx(float(value), rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("mine", NETWORKS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"discriminator_batches": "three", "generator_batches": "one", "channels": 3},
        {"lambda_normality": 300.0},
    ],
    ids=["defaults", "batches and phases", "normal codes"],
)
def test_each_model_moves_by_the_gradient_of_its_own_loss_alone(mine, options):
    model, twin = make(**options), make(**options)
    images = make_images(model.arguments["channels"])
    rate = 0.5
    model.compile(
        **{f"{name}_optimizer": keras.optimizers.SGD(rate * (name == mine)) for name in NETWORKS}
    )
    draws = twin.draw(tf.constant(0, tf.int64), BATCH)
    variables = getattr(twin, mine).trainable_variables
    with tf.GradientTape() as tape:
        loss = naive_losses(twin, images, images, draws)[f"{mine}_loss"]
    gradients = tape.gradient(loss, variables)
    before = {name: values(getattr(model, name).trainable_variables) for name in NETWORKS}
    model.train_step(images)
    for name in NETWORKS:
        after = values(getattr(model, name).trainable_variables)
        if name != mine:
            assert_equal(after, before[name])
            continue
        for new, old, gradient in zip(after, before[name], gradients, strict=True):
            step = -rate * gradient.numpy()
            assert np.abs(step).max() > 1e-6
            np.testing.assert_allclose(
                new - old, step, rtol=1e-3, atol=2e-3 * np.abs(step).max() + 1e-7
            )


# --- the step ---------------------------------------------------------------------------------------------------------


def test_a_step_changes_every_variable_of_all_three_models(images):
    model = compiled()
    before = {name: values(getattr(model, name).variables) for name in NETWORKS}
    logs = model.train_step(images)
    assert int(model.training_step) == 1
    assert list(logs) == list(LOGS)
    assert all(value.shape == () and np.isfinite(value) for value in logs.values())
    for name, old in before.items():
        for variable, value in zip(getattr(model, name).variables, old, strict=True):
            assert not np.array_equal(variable.numpy(), value), variable.path


def test_a_pair_shows_the_discriminator_other_images_as_real(images):
    model, others = make(), make_images(seed=1)
    same, pair = forward(model, images), forward(model, images, others)
    draws = model.draw(tf.constant(0, tf.int64), BATCH)
    expected = naive_losses(model, images, others, draws)
    for name in LOGS:
        assert pair[name] == pytest.approx(float(expected[name]), rel=1e-4), name
    for name in ("kl_loss", "reconstruction_loss", "encoder_loss"):
        assert pair[name] == same[name]
    assert pair["discriminator_loss"] != same["discriminator_loss"]
    logs = compiled().train_step((images, others))
    assert float(logs["probability_real"]) == pytest.approx(pair["probability_real"])
    assert forward(model, images, tf.identity(images)) == same


def test_a_dataset_of_tuples_of_one_is_taken_too(images):
    # tf.data.Dataset.from_tensor_slices((images,)) gives such.
    alone = compiled().train_step(images)
    assert_equal(compiled().train_step((images,)).values(), alone.values())


def test_unless_they_share_a_batch_each_set_is_judged_by_its_own_shift(images):
    # Without batch statistics in common, a set's shift moves the answer for that set alone.
    model = make(discriminator_batches="three", discriminator_output_normalization="none")
    shifts = model.draw(tf.constant(0, tf.int64), BATCH).shifts.numpy()
    plain = forward(model, images)
    sets = ("probability_real", "probability_reconstructed", "probability_generated")
    for index in range(3):
        moved = shifts.copy()
        moved[index] += (5, -3)
        logs = forward(model, images, shifts=tf.constant(moved))
        assert [logs[name] != plain[name] for name in sets] == [i == index for i in range(3)]
        # Both sides of L_Rec are moved by one u: whichever it is, the sum over pixels stays.
        assert logs["reconstruction_loss"] == pytest.approx(plain["reconstruction_loss"], rel=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_reconstruction_does_not_depend_on_the_translation(channels):
    images = make_images(channels)
    still, far = (forward(make(channels=channels, translation_std=std), images) for std in (0, 0.5))
    assert far["reconstruction_loss"] == pytest.approx(still["reconstruction_loss"], rel=1e-6)
    assert far["kl_loss"] == still["kl_loss"]
    assert far["probability_real"] != still["probability_real"]


def test_what_is_encoded_is_translated_where_asked_for(images):
    shifts = make().draw(tf.constant(0, tf.int64), BATCH).shifts
    moved = augmentation.translate(images, shifts[1])
    other = make_images(seed=7)
    found = forward(make(translate_encoded=True), images, real_images=other)
    # Once: its reconstruction is not moved again.
    once = tf.stack([shifts[0], tf.zeros_like(shifts[1]), shifts[2]])
    assert found == forward(make(), moved, real_images=other, shifts=once)
    assert found["kl_loss"] != forward(make(), images, real_images=other)["kl_loss"]


def test_z_vae_comes_from_the_unaugmented_mean_and_std(images):
    model = make()
    plain = forward(model, images)
    other = forward(model, images, u_mean=tf.fill([BATCH, 5], 0.9), u_std=tf.fill([BATCH, 5], 0.01))
    for name in LOGS:
        assert (other[name] == plain[name]) is (name not in ("kl_loss", "encoder_loss")), name
    # The noise of the reparametrisation does reach z_vae, and nothing of the KL term.
    other = forward(model, images, posterior_noise=tf.zeros([BATCH, 5]))
    assert other["reconstruction_loss"] != plain["reconstruction_loss"]
    assert other["kl_loss"] == plain["kl_loss"]


def test_noise_reaches_the_generated_images_alone(images):
    model = make(discriminator_batches="three")
    plain = forward(model, images)
    other = forward(model, images, z_noise=tf.ones([BATCH, 5]) * [[1], [0], [-1]])
    changed = {name for name in LOGS if other[name] != plain[name]}
    assert changed == {
        "adversarial_noise_loss",
        "generator_loss",
        "discriminator_loss",
        "probability_generated",
    }


@pytest.mark.parametrize(
    ("weight", "total", "term"),
    [
        ("beta", "encoder_loss", "kl_loss"),
        ("lambda_vae", "generator_loss", "adversarial_vae_loss"),
        ("lambda_noise", "generator_loss", "adversarial_noise_loss"),
        ("lambda_rec", "generator_loss", "reconstruction_loss"),
    ],
)
def test_a_weight_changes_its_total_by_its_term_and_nothing_else(images, weight, total, term):
    plain = make()
    before = plain.arguments[weight]
    weighted = forward(make(**{weight: before + 2.0}), images)
    plain = forward(plain, images)
    for name in LOGS:
        if name == total:
            expected = plain[total] + 2 * plain[term]
            assert weighted[total] == pytest.approx(expected, rel=1e-5)
        else:
            assert weighted[name] == plain[name], name


@pytest.mark.parametrize("std", [0.0, 0.125])
def test_without_translation_no_image_is_moved(images, std):
    """T off gives what T with displacements of 0 gives, whatever the draws are."""
    model = make(translation_std=std)
    draws = model.draw(tf.constant(0, tf.int64), len(images))
    resting = draws._replace(shifts=tf.zeros_like(draws.shifts))
    moved = draws._replace(shifts=draws.shifts + 3)
    results = [
        {k: float(v) for k, v in model.compute_losses(images, images, each).items()}
        for each in (resting, moved)
    ]
    assert (results[0] == results[1]) == (std == 0)


FROZEN = {"batch_statistics": False}
MATCHED = {**FROZEN, "matched_statistics": True}


@pytest.mark.parametrize("weight", ["lambda_statistics", "lambda_independence"])
def test_statistics_are_matched_while_it_is_asked_for(images, weight):
    """Both of the samples as they are, untranslated."""
    plain, matching = make(), make(**{weight: 50.0})
    material = np.linspace(0.1, 0.5, 40, dtype=np.float32).reshape(2, 20)
    draws = plain.draw(tf.constant(0, tf.int64), len(images))
    assert forward(matching, images) == forward(plain, images)
    if weight == "lambda_statistics":
        matching.material_statistics = material
    before, after = (
        {k: float(v) for k, v in each.compute_losses(images, images, draws, **how).items()}
        for each, how in ((plain, FROZEN), (matching, MATCHED))
    )
    generated = plain.generator(draws.z_noise)
    terms = {
        "lambda_statistics": set_losses.statistics_loss(
            set_losses.short_range_statistics(generated), material
        ),
        "lambda_independence": set_losses.independence_loss(
            generated, draws.z_noise, images, plain.encode(images)[0]
        ),
    }
    assert abs(float(terms[weight])) > 1e-6
    expected = before["generator_loss"] + 50 * float(terms[weight])
    assert after["generator_loss"] == pytest.approx(expected, rel=1e-4)
    for name in set(LOGS) - {"generator_loss"}:
        assert after[name] == before[name], name


def test_multipliers_of_statistics_move_and_count(images):
    """Each pass moves them by the rate times the samples' difference; the next one's loss has them."""
    model = make(lambda_statistics=50.0, statistics_rate=0.01)
    draws = model.draw(tf.constant(0, tf.int64), len(images))
    generated = set_losses.short_range_statistics(model.generator(draws.z_noise))
    model.material_statistics = np.stack([np.full(20, 0.3), np.full(20, 0.02)]).astype(np.float32)
    found = [
        float(model.compute_losses(images, images, draws, **MATCHED)["generator_loss"])
        for _ in range(2)
    ]
    moved = 0.01 * (tf.reduce_mean(generated, axis=0) - 0.3)
    np.testing.assert_allclose(model.statistics_multipliers, 2 * moved, atol=1e-6)
    terms = [
        set_losses.statistics_loss(generated, model.material_statistics, c) for c in (0.0, moved)
    ]
    assert found[1] - found[0] == pytest.approx(50 * float(terms[1] - terms[0]), rel=1e-3)
    assert make(lambda_statistics=50.0).statistics_multipliers is None


def test_as_three_batches_the_discriminator_cannot_separate_the_sets(images):
    # Batch normalisation in D's last layer then gives every set the same mean logit: that of its offset.
    means = {}
    for batches in ("one", "three"):
        model = make(discriminator_batches=batches)
        sets = images, tf.zeros_like(images), make_images(seed=2) * 0.5
        logits = model.discriminator.logits(
            tf.concat(sets, axis=0), training=True, sets=model.discriminator_sets
        )
        means[batches] = [float(tf.reduce_mean(each)) for each in tf.split(logits, 3)]
    np.testing.assert_allclose(means["three"], 0, atol=1e-5)
    assert np.ptp(means["one"]) > 0.2
    assert np.mean(means["one"]) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("key", "network", "sizes"),
    [
        ("discriminator_batches", "discriminator", {"one": [9], "three": [3, 3, 3]}),
        ("generator_batches", "generator", {"one": [6], "two": [3, 3]}),
    ],
)
def test_batches_that_pass_through_a_model(images, monkeypatch, key, network, sizes):
    for option, expected in sizes.items():
        model, seen = make(**{key: option}), []
        stack = getattr(model, network).stack
        call = stack.call

        def spy(inputs, training, mask=None, call=call, seen=seen):
            assert training is True
            seen.append(inputs.shape[0])
            return call(inputs, training=training, mask=mask)

        monkeypatch.setattr(stack, "call", spy)
        forward(model, images)
        assert seen == expected


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 32, "latent_dim": 5},
        {"image_size": 32, "latent_dim": 5, "channels": 3},
        {"image_size": 64, "latent_dim": 32},
        {"image_size": 64, "latent_dim": 32, "channels": 3},
        {
            "image_size": 32,
            "normalization": "renorm",
            "discriminator_normalization": "renorm",
            "discriminator_output_normalization": "moving",
        },
    ],
    ids=["Table 2", "Table 2, K = 3", "Table 3", "Table 3, K = 3", "other normalisations"],
)
def test_both_tables_and_k_phases_train(options):
    model = DAVEGAN(**options)
    model.compile()
    channels, side = options.get("channels", 1), options["image_size"]
    images = make_images(channels, 2, side)
    for _ in range(2):
        logs = model.train_step(images)
    assert all(np.isfinite(value) for value in logs.values())
    decoded = model.reconstruct(images)
    assert decoded.shape == images.shape
    if channels == 3:
        np.testing.assert_allclose(tf.reduce_sum(decoded, -1), 1, rtol=1e-5)


# --- randomness -------------------------------------------------------------------------------------------------------


def draw(model, step, batch=64):
    return model.draw(tf.constant(step, tf.int64), batch)


def test_draws_are_a_pure_function_of_seed_and_step():
    model = make()
    first = draw(model, 7)
    assert_equal(first, draw(make(), 7))
    assert_equal(first, draw(model, 7))
    assert_equal(first, tf.function(model.draw)(tf.constant(7, tf.int64), tf.constant(64)))
    for other in (draw(model, 8), draw(make(seed=2), 7), draw(model, 2**40)):
        for a, b in zip(first, other, strict=True):
            assert a.shape == b.shape
            # Displacements are whole numbers, some of which are equal by chance.
            assert np.mean(np.equal(a, b)) < 0.2


def test_streams_are_unrelated_to_each_other_and_from_step_to_step():
    model = make(latent_dim=32)
    columns = []
    for step in range(4):
        draws = draw(model, step)
        columns += [
            np.ravel(value)[:256]
            for value in (*draws[:2], *draws.shifts, *draws[3:])
            if np.size(value) >= 256
        ]
    correlation = np.corrcoef(np.array(columns, float))
    off_diagonal = correlation - np.eye(len(columns))
    # Standard deviation 1/16; the largest of some hundred stays below 4 of them or so.
    assert len(columns) == 4 * 5
    assert np.abs(off_diagonal).max() < 0.3


def test_draws_have_their_distributions():
    model = make(latent_dim=32, translation_std=0.125)
    draws = draw(model, 0, batch=512)
    assert draws.shifts.shape == (3, 512, 2)
    assert draws.prior_normal.shape == (64, 32)
    for normal in (draws.posterior_noise, draws.z_noise, draws.prior_normal):
        assert np.mean(normal) == pytest.approx(0, abs=0.06)
        assert np.std(normal) == pytest.approx(1, abs=0.05)
    for uniform in (draws.u_mean, draws.u_std):
        assert uniform.shape == (512, 32)
        assert 0 <= np.min(uniform) < 0.01
        assert 0.99 < np.max(uniform) < 1
        assert np.mean(uniform) == pytest.approx(0.5, abs=0.02)
    # One eighth of a side of 32 pixels, in both directions, the same for all three sets.
    np.testing.assert_allclose(np.std(draws.shifts, axis=1), 4, rtol=0.12)
    assert draws.shifts.dtype == tf.int32
    assert not np.any(draw(make(translation_std=0), 0).shifts)


def test_latent_samples_are_a_pure_function_of_the_seed():
    model = make()
    first = model.sample_latent(6, 3)
    assert first.shape == (6, 5)
    np.testing.assert_array_equal(first, make(seed=9).sample_latent(6, 3))
    np.testing.assert_array_equal(first, model.sample_latent(6, tf.constant(3)))
    assert not np.any(np.equal(first, model.sample_latent(6, 4)))
    many = model.sample_latent(4000, 0)
    np.testing.assert_allclose(np.mean(many, axis=0), 0, atol=0.06)
    np.testing.assert_allclose(np.std(many, axis=0), 1, atol=0.04)


def test_two_runs_of_one_seed_are_identical_and_of_another_are_not(images):
    runs = []
    for seed in (1, 1, 2):
        model = compiled(seed=seed)
        model.train_step(images)
        runs.append(everything(model))
    assert_equal(runs[0], runs[1])
    assert not all(np.array_equal(a, b) for a, b in zip(runs[0], runs[2], strict=True))


# --- as a Keras model -------------------------------------------------------------------------------------------------


def test_compiling_without_arguments_takes_table_1_and_makes_no_other_optimizer():
    model = compiled()
    rates = {"encoder": 1e-4, "generator": 1e-4, "discriminator": 4e-5}
    optimizers = [getattr(model, f"{name}_optimizer") for name in NETWORKS]
    for name, optimizer in zip(NETWORKS, optimizers, strict=True):
        assert type(optimizer) is keras.optimizers.Adam
        assert float(optimizer.learning_rate) == pytest.approx(rates[name])
        # Iterations, learning rate, and two moments for each variable of its own model.
        assert len(optimizer.variables) == 2 + 2 * len(getattr(model, name).trainable_variables)
    found = [value for value in vars(model).values() if isinstance(value, keras.Optimizer)]
    assert {id(value) for value in found} == {id(optimizer) for optimizer in optimizers}
    assert len({id(optimizer) for optimizer in optimizers}) == 3
    assert (model.beta, model.lambda_vae, model.lambda_noise, model.lambda_rec) == (1, 1, 1, 1e-4)


def test_given_optimizers_are_taken():
    model = make()
    optimizers = [keras.optimizers.SGD(rate) for rate in (0.1, 0.2, 0.3)]
    model.compile(*optimizers)
    assert [model.encoder_optimizer, model.generator_optimizer] == optimizers[:2]
    assert model.discriminator_optimizer is optimizers[2]


@pytest.fixture(scope="module")
def batches():
    return [make_images(seed=seed) for seed in (3, 4)]


@pytest.fixture(scope="module")
def fitted(batches):
    """Two epochs of two steps, in graph mode, and their history. Not to be trained further."""
    model = compiled()
    data = tf.data.Dataset.from_tensor_slices(tf.concat(batches, 0)).batch(BATCH)
    history = model.fit(data, epochs=2, shuffle=False, verbose=0)
    return model, history.history


def test_fit_on_a_dataset_trains_and_logs_every_loss(fitted):
    model, history = fitted
    assert int(model.training_step) == 4
    assert set(history) == set(LOGS)
    for values_of_epochs in history.values():
        assert len(values_of_epochs) == 2
        assert np.isfinite(values_of_epochs).all()


def test_graph_mode_equals_eager(fitted, batches):
    model, history = fitted
    eager = compiled()
    for images in 2 * batches:
        logs = eager.train_step(images)
    for name in LOGS:
        # What fit logs is the last step of the epoch.
        assert history[name][-1] == pytest.approx(float(logs[name]), rel=1e-3)
    for name in NETWORKS:
        pairs = zip(getattr(model, name).variables, getattr(eager, name).variables, strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


def test_fit_ends_with_the_averages_of_each_optimizer(images):
    model = make()
    model.compile(
        keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.5),
        keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.9),
        keras.optimizers.Adam(1e-3),
    )
    # The same steps without the end of `fit`.
    other = make()
    other.compile(*(keras.optimizers.Adam(1e-3) for _ in NETWORKS))
    momenta = {"encoder": 0.5, "generator": 0.9, "discriminator": 0.0}
    averages = {}
    for _ in range(3):
        other.train_step(images)
        for name, momentum in momenta.items():
            values = [v.numpy() for v in getattr(other, name).trainable_variables]
            known = averages.get(name, values)
            averages[name] = [
                momentum * a + (1 - momentum) * b for a, b in zip(known, values, strict=True)
            ]
    model.run_eagerly = True
    model.fit(tf.data.Dataset.from_tensors(images).repeat(3), shuffle=False, verbose=0)
    for name in momenta:
        network = getattr(model, name)
        for got, expected in zip(network.trainable_variables, averages[name], strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_step_compiled_by_xla_equals_eager(images):
    eager, model = make(), make()
    for each in (eager, model):
        each.compile(*(keras.optimizers.SGD(1e-2) for _ in NETWORKS))
    expected = eager.train_step(images)
    got = tf.function(model.train_step, jit_compile=True)(images)
    for name in LOGS:
        assert float(got[name]) == pytest.approx(float(expected[name]), rel=1e-5)
    for a, b in zip(eager.variables, model.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_a_saved_model_comes_back_whole_and_goes_on_as_it_would_have(tmp_path, images):
    model = make(discriminator_output_normalization="renorm", beta=3.0)
    model.compile(
        keras.optimizers.Adam(3e-4, beta_1=0.5),
        keras.optimizers.RMSprop(2e-4),
        keras.optimizers.Adam(1e-5),
    )
    for _ in range(2):
        model.train_step(images)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is DAVEGAN
    assert loaded.get_config() == model.get_config()
    assert loaded.beta == 3
    assert int(loaded.training_step) == 2
    for name in NETWORKS:
        ours, theirs = (getattr(each, f"{name}_optimizer") for each in (model, loaded))
        assert type(theirs) is type(ours)
        assert theirs.get_config() == ours.get_config()
        assert int(theirs.iterations) == 2
    assert_equal(everything(model), everything(loaded))
    np.testing.assert_array_equal(model.reconstruct(images), loaded.reconstruct(images))

    assert_equal(model.train_step(images).values(), loaded.train_step(images).values())
    assert_equal(everything(model), everything(loaded))


def test_config_round_trip():
    options = {
        **TINY,
        "channels": 3,
        "beta": 2.0,
        "lambda_vae": 0.5,
        "lambda_noise": 0.25,
        "lambda_rec": 1e-3,
        "translation_std": 0.5,
        "translate_encoded": True,
        "mean_transform": "shift",
        "sigma_transform": "none",
        "prior": "fixed",
        "prior_draws": 8,
        "discriminator_batches": "three",
        "generator_batches": "one",
        "leaky_relu_slope": 0.1,
        "normalization": "moving",
        "discriminator_normalization": "renorm",
        "discriminator_output_normalization": "none",
        "batch_norm_momentum": 0.9,
        "name": "mine",
    }
    model = DAVEGAN(**options)
    assert options.items() <= model.get_config().items()
    defaults = DAVEGAN().get_config()
    assert all(defaults[key] != value for key, value in options.items())
    again = DAVEGAN.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert_equal(values(model.variables), values(again.variables))
    for name in NETWORKS:
        assert getattr(again, name).get_config() == getattr(model, name).get_config()
    assert model.encoder.arguments["normalization"] == "moving"
    assert model.generator.arguments["normalization"] == "moving"
    assert model.discriminator.arguments["normalization"] == "renorm"
    assert model.discriminator.output_normalization == "none"


def test_a_model_that_was_not_compiled_can_be_saved_and_cloned(tmp_path):
    model = make()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for copy in (loaded, keras.models.clone_model(model)):
        assert not copy.compiled
        assert_equal(values(model.variables), values(copy.variables))


def test_use_is_at_inference_and_changes_nothing(fitted, images):
    model, _ = fitted
    before = values(model.variables)
    z_mean, z_log_var = model.encode(images)
    assert z_mean.shape == z_log_var.shape == (BATCH, 5)
    np.testing.assert_array_equal(z_mean, model.encoder(images, training=False)[0])
    decoded = model.generate(z_mean)
    np.testing.assert_array_equal(decoded, model.generator(z_mean, training=False))
    assert decoded.shape == images.shape
    # Reconstruction decodes the mean: no randomness in it.
    np.testing.assert_array_equal(model.reconstruct(images), decoded)
    np.testing.assert_array_equal(model(images), decoded)
    # Nor does one image's answer depend on the others of its batch.
    np.testing.assert_allclose(model.reconstruct(images[:1]), decoded[:1], atol=1e-6)
    np.testing.assert_allclose(model.predict(images, verbose=0), decoded, atol=1e-6)
    assert_equal(values(model.variables), before)


def test_frozen_statistics_stay_and_training_goes_on(images):
    model = compiled(normalization="batch")
    model.train_step(images)  # so that they are not those of the start
    model.frozen_statistics = True
    networks = (model.encoder, model.generator)
    before = [values(network.non_trainable_variables) for network in networks]
    weights = [values(network.trainable_variables) for network in networks]
    model.train_step(images)
    for network, statistics, trained in zip(networks, before, weights, strict=True):
        assert_equal(values(network.non_trainable_variables), statistics)
        moved = values(network.trainable_variables)
        assert all(np.any(new != old) for new, old in zip(moved, trained, strict=True))


def test_with_frozen_statistics_training_sees_what_use_gives(images):
    model = compiled()
    for _ in range(3):
        model.train_step(images)
    model.frozen_statistics = True
    draws = model.draw(tf.constant(7, tf.int64), BATCH)
    z_mean, _ = model.encode(images)
    quiet = draws._replace(posterior_noise=tf.zeros_like(draws.posterior_noise))
    logs = model.compute_losses(images, images, quiet, batch_statistics=False)
    pixels = tf.keras.losses.binary_crossentropy(images, model.generate(z_mean))
    expected = float(tf.reduce_mean(tf.reduce_sum(pixels, axis=(1, 2))))
    assert float(logs["reconstruction_loss"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("discriminator_batches", "four"),
        ("generator_batches", "three"),
        ("prior", "normal"),
        ("mean_transform", "times"),
        ("normalization", "layer"),
        ("discriminator_output_normalization", "layer"),
    ],
)
def test_misspelt_option_is_named_with_its_choices(name, value):
    with pytest.raises(ValueError, match=f"{name} is '{value}', expected one of "):
        make(**{name: value})


def test_evaluate_gives_the_losses_of_the_vae(fitted, images):
    model, _ = fitted
    result = model.evaluate(images, batch_size=BATCH, return_dict=True, verbose=0)
    assert set(result) == {"kl_loss", "reconstruction_loss"}
    z_mean, z_log_var = model.encode(images)
    closed = 0.5 * (tf.exp(z_log_var) + z_mean**2 - 1 - z_log_var)  # Eq. 9
    expected = float(tf.reduce_mean(tf.reduce_sum(closed, axis=-1)))
    assert result["kl_loss"] == pytest.approx(expected, rel=1e-4)
