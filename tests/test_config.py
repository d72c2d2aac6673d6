"""Configs: what is read, what is refused, and in which words."""

import subprocess
import sys

import pytest
import yaml
from pydantic import ValidationError

from davegan_tf.config import Config, dump_config, find_config, load_config, packaged_configs
from davegan_tf.config_schema import Data
from davegan_tf.errors import InputError

SOURCE = "data:\n  source: alloy\n"
PACKAGED = sorted(
    path.relative_to(packaged_configs()).as_posix() for path in packaged_configs().rglob("*.yaml")
)


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(text, *overrides, name="steel.yaml"):
    with open(name, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return load_config(name, overrides)


def complaint(text, *overrides):
    with pytest.raises(InputError) as caught:
        load(text, *overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert message[-1] in ".?"
    for jargon in ("pydantic", "Input should", "type=", "Value error", "dictionary", "NoneType"):
        assert jargon not in message
    return message


# What is read


def test_defaults_are_table_1_of_section_4_3():
    config = load(SOURCE)
    training, model = config.training, config.model
    assert (training.batch_size, training.epochs, config.data.image_size) == (4, 20000, 64)
    assert (model.latent_dim, model.beta, model.lambda_vae, model.lambda_noise) == (32, 1, 1, 1)
    assert model.lambda_rec == 1e-4
    assert training.generator_learning_rate == 1e-4
    assert training.discriminator_learning_rate == 4e-5
    assert training.encoder_learning_rate == 1e-4
    assert config.seed == 0


@pytest.mark.parametrize(
    ("section", "key", "text", "value"),
    [
        ("model", "lambda_rec", "1e-4", 1e-4),  # PyYAML reads a string
        ("model", "beta", "2", 2.0),
        ("training", "epochs", "2e4", 20000),
        ("data", "image_size", '"128"', 128),
        ("data", "threshold", "otsu", "otsu"),
        ("data", "threshold", "1e2", 100.0),
        ("data", "phases", "3", 3),
        ("training", "images_every", "null", None),
        ("training", "recalibrate", "false", False),
    ],
)
def test_values(section, key, text, value):
    from_override = load(SOURCE, f"{section}.{key}={text}")
    received = getattr(getattr(from_override, section), key)
    assert received == value
    assert type(received) is type(value)
    document = yaml.safe_load(SOURCE)
    document.setdefault(section, {})[key] = yaml.safe_load(text)
    assert load(yaml.safe_dump(document)) == from_override


def test_name_is_the_file_name_unless_given():
    assert load(SOURCE).name == "steel"
    assert load(SOURCE, name="My steel (1).yaml").name == "My-steel-1-"
    assert load(SOURCE + "name: 2024-05-01\n").name == "2024-05-01"  # not a date


def test_section_without_keys_and_byte_order_mark():
    assert load("\ufeff" + SOURCE + "model:\n  # beta: 3\n").model == load(SOURCE).model


@pytest.mark.parametrize(
    ("sampling", "turned", "shown"),
    [("crops", True, True), ("tiles", True, True), ("crops", False, False), ("same", True, False)],
)
def test_turned_crops_are_shown_among_the_discriminators_own(sampling, turned, shown):
    data = Data(source="grains", real_sampling=sampling, real_turned=turned)
    assert data.shows_turned is shown


def test_config_is_frozen():
    config = load(SOURCE)
    with pytest.raises(ValidationError):
        config.model.beta = 3


# Overrides


def test_override_wins_over_the_file_and_the_last_over_the_first():
    text = SOURCE + "model:\n  beta: 5\n  latent_dim: 7\n"
    config = load(text, "model.beta=6", "model.beta=1e-2")
    assert config.model.beta == 0.01
    assert config.model.latent_dim == 7


def test_override_may_supply_what_the_file_lacks():
    assert load("seed: 1\n", "data.source=grains").data.source == "grains"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.beta", ["--set model.beta:", "key=value"]),
        ("=3", ["--set =3:", "key=value"]),
        ("beta=3", ["--set beta=3:", "unknown key beta", "did you mean model.beta?"]),
        ("model.bta=3", ["--set model.bta=3:", "did you mean model.beta?"]),
        ("modle.beta=3", ["--set modle.beta=3:", "did you mean model.beta?"]),
        ("model.beta.x=3", ["--set model.beta.x=3:", "model.beta is a single value"]),
        ("model=3", ["--set model=3:", "model is a section", "model.latent_dim"]),
        ("model.beta=big", ["--set model.beta=big:", "a number of at least 0", '"big"']),
        ("seed=", ["--set seed=:", "seed must be a whole number", "null"]),
        ("seed=[", ["--set seed=[:", "not valid YAML"]),
        (
            "model.lambda_statistics=5",
            ["steel.yaml with --set model.lambda_statistics=5:", "match_statistics_after must be"],
        ),
    ],
)
def test_bad_override(override, words):
    message = complaint(SOURCE, override)
    assert all(word in message for word in words), message


# Keys


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("beta: 2", "beta", "model.beta"),
        ("model: {bta: 2}", "model.bta", "model.beta"),
        ("model: {latent-dim: 2}", "model.latent-dim", "model.latent_dim"),
        ("model: {batch_size: 2}", "model.batch_size", "training.batch_size"),
        ("modle: {beta: 2}", "modle", "model"),
        ("training: {epoch: 2}", "training.epoch", "training.epochs"),
        ("sead: 2", "sead", "seed"),
    ],
)
def test_misspelt_key_names_the_nearest(text, key, meant):
    message = complaint(SOURCE + text)
    assert message == f"steel.yaml, line 3: unknown key {key}; did you mean {meant}?"


def test_unknown_key_without_a_near_one_lists_the_valid_ones():
    message = complaint(SOURCE + "augmentation: {qqq: 1}")
    assert "unknown key augmentation.qqq; the valid keys of augmentation are" in message
    assert "translation_std, translate_encoded, mean_transform" in message


def test_misspelt_source_is_one_mistake_not_two():
    message = complaint("data:\n  sorce: alloy\n")
    assert message == "steel.yaml, line 2: unknown key data.sorce; did you mean data.source?"


def test_missing_source():
    for text in ("seed: 1\n", "data:\n", "data: {}\n"):
        message = complaint(text)
        assert message.startswith("steel.yaml: data.source is missing; it must be the name of")


def test_all_wrong_keys_are_named():
    message = complaint(SOURCE + "seed: x\nmodel:\n  beta: y\n")
    assert message.startswith("steel.yaml, line 3: seed must be")
    assert message.endswith("(also wrong: model.beta).")


# Values

WHOLE = "must be a whole number from 1 to 1024, not"
NUMBER = "must be a number of at least 0, not"


@pytest.mark.parametrize(
    ("section", "text", "words"),
    [
        ("model", "latent_dim: many", f'model.latent_dim {WHOLE} "many"'),
        ("model", "latent_dim: 0", f"model.latent_dim {WHOLE} 0"),
        ("model", "latent_dim: 1025", f"model.latent_dim {WHOLE} 1025"),
        ("model", "latent_dim: 3.5", f"model.latent_dim {WHOLE} 3.5"),
        ("model", "latent_dim: true", f"model.latent_dim {WHOLE} true"),
        ("model", "latent_dim: [1]", f"model.latent_dim {WHOLE} a list"),
        ("model", "latent_dim: {a: 1}", f"model.latent_dim {WHOLE} a section"),
        ("model", "latent_dim: .inf", f"model.latent_dim {WHOLE} inf (only finite numbers)"),
        ("model", "beta: -1", f"model.beta {NUMBER} -1"),
        ("model", "beta: true", f"model.beta {NUMBER} true"),
        ("model", "beta: null", f"model.beta {NUMBER} null"),
        ("model", "beta: .nan", f"model.beta {NUMBER} nan (only finite numbers)"),
        ("model", "beta: nan", f'model.beta {NUMBER} "nan" (only finite numbers)'),
        ("model", "beta: .inf", f"model.beta {NUMBER} inf (only finite numbers)"),
        ("model", "beta: '0,5'", f'model.beta {NUMBER} "0,5" (write 0.5, with a decimal point)'),
        ("model", "leaky_relu_slope: 1", "a number of at least 0 and below 1, not 1"),
        ("model", "batch_norm_momentum: 0", "a number above 0 and below 1, not 0"),
        ("model", "normalization: layer", 'must be one of batch, renorm, not "layer"'),
        ("training", "recalibrate: 3", "must be true or false, not 3"),
        ("training", "batch_size: 1", "a whole number of at least 2, not 1"),
        ("training", "threads: 0", "a whole number of at least 1 or null (none), not 0"),
        ("training", "encoder_learning_rate: 0", "must be a number above 0, not 0"),
        ("augmentation", "translation_std: 1.1", "must be a number from 0 to 1, not 1.1"),
        ("augmentation", "prior: normal", "must be one of moments, fixed, gaussian"),
        ("data", "image_size: 65", "data.image_size must be one of 32, 64, 128, 256, not 65"),
        ("data", "threshold: ots", 'otsu, a grey level (a number) or null (none), not "ots"'),
        ("data", "threshold: true", "or null (none), not true"),
        ("data", "threshold: .nan", "or null (none), not nan (only finite numbers)"),
        ("data", "phases: 9", "a whole number from 2 to 8 or null (none), not 9"),
        ("data", "offline_fallback: alloy", "checkerboard, filtered_noise, grains, ellipses"),
        ("data", "pixel_size: 0", "a number above 0 or null (none), not 0"),
        ("data", "unit: 3", "data.unit must be text or null (none), not 3 (put it in quotes)"),
        ("data", "micrograph_size: 63", "a whole number from 64 to 16384, not 63"),
        ("data", "micrograph_size: 10000000", "a whole number from 64 to 16384, not 10000000"),
    ],
)
def test_wrong_type_or_range(section, text, words):
    lines = {"data": ["  source: alloy"]}
    lines.setdefault(section, []).append(f"  {text}")
    document = "\n".join(f"{name}:\n" + "\n".join(keys) for name, keys in lines.items())
    message = complaint(document)
    assert message.startswith(f"steel.yaml, line {len(document.splitlines())}: {section}.")
    assert words in message


@pytest.mark.parametrize("seed", ["-1", "2147483648", "true"])
def test_seed_range(seed):
    assert f"seed must be a whole number from 0 to 2147483647, not {seed}" in complaint(
        SOURCE + f"seed: {seed}"
    )


@pytest.mark.parametrize("name", ["a/b", "../up", "", ".", "..", ".hidden", "a b", "x\\y", "-x"])
def test_name_must_be_a_safe_folder_name(name):
    assert "name must be a plain folder name" in complaint(SOURCE + f"name: '{name}'")


def test_section_that_is_a_value():
    message = complaint(SOURCE + "model: 3\n", "model.beta=3")
    assert message.startswith("steel.yaml, line 3: model must be a section with keys of its own")
    assert message.endswith("not 3.")


# Keys that do not fit together


def test_threshold_and_phases_contradict():
    message = complaint(SOURCE + "  threshold: otsu\n  phases: 3\n")
    assert message.startswith("steel.yaml: data.threshold and data.phases contradict each other")


def test_ellipses_need_images_of_32_pixels():
    for text in ("data: {source: ellipses}", "data: {source: alloy, offline_fallback: ellipses}"):
        message = complaint(text)
        assert "data.image_size must be 32 for the generator ellipses" in message
        assert message.endswith("not 64.")
    assert load("data: {source: ellipses, image_size: 32}").data.image_size == 32


def test_generated_micrograph_is_at_least_an_image():
    message = complaint(SOURCE + "  image_size: 128\n  micrograph_size: 100\n")
    assert "data.micrograph_size must be at least data.image_size (128), not 100" in message


def test_without_translation_nothing_is_translated_for_the_encoder():
    message = complaint(
        SOURCE, "augmentation.translation_std=0", "augmentation.translate_encoded=true"
    )
    assert (
        "augmentation.translate_encoded must be false with augmentation.translation_std 0"
        in message
    )
    assert load(SOURCE, "augmentation.translate_encoded=true").augmentation.translate_encoded


@pytest.mark.parametrize("key", ["model.lambda_statistics", "model.lambda_independence"])
def test_statistics_are_matched_from_some_epoch_on(key):
    message = complaint(SOURCE, f"{key}=1000")
    assert "training.match_statistics_after must be the epoch from which on" in message
    assert f"{key} 1000 acts, not null" in message
    load(SOURCE, f"{key}=1000", "training.match_statistics_after=0")
    load(SOURCE, "training.match_statistics_after=3")


# Files


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["steel.yaml is empty"]),
        ("# nothing\n", ["steel.yaml is empty"]),
        ("- 1\n- 2\n", ["steel.yaml is not a mapping", "a list"]),
        ("alloy\n", ["steel.yaml is not a mapping", '"alloy"']),
        ("data:\n  source: [alloy\n", ["steel.yaml, line 3, column 1 is not valid YAML"]),
        ("data:\n\tsource: alloy\n", ["steel.yaml, line 2, column 1", "spaces, not with tabs"]),
        (b"\x89PNG\r\n\x1a\n\xff", ["steel.yaml is not a YAML file", "UTF-8"]),
        ("seed: !!python/object:os.getcwd 1\n", ["steel.yaml, line 1, column 7 is not valid"]),
        ("seed: " + "[" * 5000, ["steel.yaml is not valid YAML (nested too deeply)"]),
        ("[a, b]: 1\n", ["steel.yaml, line 1: a key must be a name, not a list"]),
        ("seed: 1\n---\nseed: 2\n", ["steel.yaml, line 2, column 1 is not valid YAML"]),
        ("data: &a {source: *a}\n", ["steel.yaml, line 1: data.source must be", "a section"]),
    ],
)
def test_file_that_is_no_config(text, words):
    message = complaint(text)
    assert all(word in message for word in words), message


def test_key_given_twice():
    message = complaint(SOURCE + "seed: 1\ndata: {source: rubber}\n")
    assert message.startswith("steel.yaml, line 4: the key data is given twice (first in line 1)")
    message = complaint(SOURCE + "  source: rubber\n")
    assert message.startswith("steel.yaml, line 3: the key data.source is given twice")
    assert "first in line 2" in message


def test_missing_file_names_the_nearest_and_all_packaged():
    with pytest.raises(InputError) as caught:
        load_config("aloy.yaml")
    message = str(caught.value)
    assert 'There is no config "aloy.yaml"' in message
    assert message.endswith("did you mean alloy.yaml?")
    assert all(name.removesuffix(".yaml") in message for name in PACKAGED)


@pytest.mark.parametrize("name", ["", "nowhere/at/all.yaml", "a\0b", "x" * 5000])
def test_file_that_cannot_exist(name):
    with pytest.raises(InputError, match="There is no config"):
        find_config(name)


def test_directory(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match=r"run is a directory; expected a YAML file\."):
        find_config("run")
    (tmp_path / "run" / "config.yaml").write_text(SOURCE)
    with pytest.raises(InputError, match=r"run is a directory; did you mean run.config\.yaml\?"):
        find_config("run")


def test_working_directory_comes_before_the_packaged_configs(tmp_path):
    assert find_config("alloy") == find_config("alloy.yaml") == packaged_configs() / "alloy.yaml"
    (tmp_path / "alloy").mkdir()  # a folder of that name does not hide the packaged config
    assert find_config("alloy") == packaged_configs() / "alloy.yaml"
    (tmp_path / "alloy.yaml").write_text(SOURCE)
    assert find_config("alloy").resolve() == tmp_path / "alloy.yaml"


# A base


def test_file_holds_what_differs_from_its_base(tmp_path):
    (tmp_path / "below.yaml").write_text(
        "name: below\ndata: {source: alloy}\nmodel: {beta: 3, latent_dim: 8}\n"
    )
    config = load("base: below.yaml\nmodel:\n  beta: 5\n")
    assert (config.data.source, config.model.beta, config.model.latent_dim) == ("alloy", 5, 8)
    assert config.name == "steel"  # the base's name is that of another run


def test_packaged_config_as_a_base_and_an_override_above_all():
    config = load("base: one_micrograph\ndata: {source: rubber}\n", "model.beta=7")
    recipe = load_config("one_micrograph")
    assert config.training == recipe.training
    assert config.model == recipe.model.model_copy(update={"beta": 7.0})


def test_mistake_in_a_base_is_reported_there(tmp_path):
    (tmp_path / "below.yaml").write_text("data: {source: alloy}\nmodel:\n  beta: -1\n")
    message = complaint("base: below.yaml\nseed: 1\n")
    assert "below.yaml, line 3: model.beta must be" in message


def test_bases_that_cannot_be(tmp_path):
    assert "base must be the name of a config, not 3" in complaint("base: 3\n" + SOURCE)
    assert 'There is no config "nowhere.yaml"' in complaint("base: nowhere.yaml\n" + SOURCE)
    (tmp_path / "below.yaml").write_text("base: alloy.yaml\n")
    message = complaint("base: below.yaml\n" + SOURCE)
    assert message.startswith("steel.yaml, line 1: ")
    assert message.endswith("below.yaml has a base itself; name alloy.yaml instead.")


# Writing


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_config_loads_and_states_its_command(name):
    config = load_config(name)
    stem = name.removesuffix(".yaml")
    assert config.name == stem.replace("/", "-")
    first = (packaged_configs() / name).read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# python -m cli train --config {name}")
    if stem.removeprefix("paper/") not in ("quickstart", "one_micrograph"):
        assert config.data.source == stem.removeprefix("paper/")


MATERIALS = [
    *("alloy", "carbonate", "ceramics", "checkerboard", "composite", "copolymer", "rubber"),
    *("sandstone", "synth1", "synth2", "synth3"),
]


def test_packaged_configs_are_the_experiments_of_the_paper():
    names = [*MATERIALS, "ellipses", "one_micrograph", "quickstart", "paper/one_micrograph"]
    names += [f"paper/{name}" for name in (*MATERIALS, "ellipses")]
    assert sorted(f"{name}.yaml" for name in names) == PACKAGED


@pytest.mark.parametrize("name", MATERIALS)
def test_all_materials_are_trained_with_one_set_of_settings(name):
    config, recipe = load_config(name), load_config("one_micrograph")
    assert config.model == recipe.model
    assert config.augmentation == recipe.augmentation
    assert config.training == recipe.training


@pytest.mark.parametrize("name", MATERIALS)
def test_paper_configs_are_what_the_defaults_say(name):
    fallback = "grains" if name == "alloy" else "null"
    plain = load(f"data: {{source: {name}, offline_fallback: {fallback}}}\nname: paper-{name}\n")
    assert load_config(f"paper/{name}") == plain


def test_alloy_has_an_offline_fallback():
    assert load_config("alloy").data.offline_fallback == "grains"


def test_the_papers_ellipses_are_table_1_and_the_defaults():
    config = load_config("paper/ellipses")
    plain = load(
        "data: {source: ellipses, image_size: 32}\nmodel: {latent_dim: 5}\n"
        "training: {epochs: 200, batch_size: 32}\nname: paper-ellipses\n"
    )
    assert config == plain


@pytest.mark.parametrize("name", ["ellipses", "paper/ellipses"])
def test_the_ellipses_are_those_of_section_4_2(name):
    config = load_config(name)
    training = config.training
    assert (config.data.image_size, config.data.count) == (32, 60000)
    assert (config.model.latent_dim, config.model.beta) == (5, 1)
    assert (training.batch_size, training.epochs) == (32, 200)


@pytest.mark.parametrize("name", PACKAGED)
def test_dump_round_trips(name):
    config = load_config(name)
    assert load(dump_config(config), name="other.yaml") == config


SOURCES = [
    "1e-4",
    "a  b",
    "x\ny",
    "on",
    "2024-01-01",
    "it's",
    "ü/é.png",
    "a: b",
    "# x",
    "x y " * 90,
]


@pytest.mark.parametrize(
    "source", [*SOURCES, " lead", "null", "1:30", "\t", "\u2028", "C:\\x", "~"]
)
def test_dump_round_trips_exactly_for_odd_values(source):
    config = Config(
        name="3",
        data={"source": source, "threshold": 0.1 + 0.2, "unit": None},
        training={"generator_learning_rate": 1e-300, "threads": 1},
    )
    assert load(dump_config(config)) == config


def test_dump_has_every_key_in_the_order_of_the_schema():
    document = yaml.safe_load(dump_config(load(SOURCE)))
    assert list(document) == list(Config.model_fields)
    for section in ("data", "model", "augmentation", "training"):
        fields = Config.model_fields[section].annotation.model_fields
        assert list(document[section]) == list(fields)


def test_every_key_is_described():
    for section in ("data", "model", "augmentation", "training"):
        for key, field in Config.model_fields[section].annotation.model_fields.items():
            assert field.description, key


def test_import_needs_no_numerical_library():
    code = (
        "import sys, davegan_tf.config; "
        "print([m for m in ('tensorflow', 'keras', 'numpy', 'scipy') if m in sys.modules])"
    )
    folder = packaged_configs().parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.stdout.strip() == "[]", done.stderr
