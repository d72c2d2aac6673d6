"""`sweep`: its runs and their names, its table, one end to end, and what TensorBoard's tab HParams makes of it."""

import itertools
import json
import math
import re
import shutil

import pytest
from conftest import settings

from cli.main import main
from davegan_tf import registry, sweep
from davegan_tf.config import Config, load_config
from davegan_tf.errors import InputError
from davegan_tf.run_folder import RunFolder

CONFIG = "ellipses.yaml"


def plan(*vary, seeds=None, overrides=(), config=CONFIG):
    return sweep.plan(config, sweep.parse_vary(vary), seeds, overrides)


def names(*vary, **options):
    return [run.job.name for run in plan(*vary, **options)]


# runs


def test_runs_are_all_combinations_in_the_order_given():
    betas, sizes, seeds = (0.1, 10.0, 1.0), (8, 4), (3, 1)
    runs = plan("model.beta=0.1,10,1", "training.batch_size=8, 4", seeds=seeds)
    made = [
        (run.settings.model.beta, run.settings.training.batch_size, run.job.seed) for run in runs
    ]
    assert made == list(itertools.product(betas, sizes, seeds))
    for run in runs:
        assert run.values == {
            "model.beta": run.settings.model.beta,
            "training.batch_size": run.settings.training.batch_size,
        }
        # What `train` will make of the job is what was checked.
        overrides = [*run.job.overrides, f"seed={run.job.seed}"]
        assert load_config(run.job.config, overrides) == run.settings


def test_values_are_yaml_and_the_schema_s():
    runs = plan("training.freeze_statistics_after=null,2e1", "training.encoder_learning_rate=1e-4")
    assert [run.values["training.freeze_statistics_after"] for run in runs] == [None, 20]
    assert runs[0].values["training.encoder_learning_rate"] == 1e-4
    assert list(map(sweep.shown, (None, True, 20, 1.0, 0.01, 1e30, "alloy"))) == [
        *("null", "true", "20", "1", "0.01", "1e30", "alloy")
    ]


def test_seeds_are_the_config_s_unless_given():
    assert [run.job.seed for run in plan("model.beta=1", overrides=["seed=5"])] == [5]
    assert [run.job.seed for run in plan("model.beta=1", seeds=[2, 7])] == [2, 7]


def test_overrides_are_for_all_runs():
    runs = plan("model.beta=1,2", overrides=["training.epochs=3", "name=study"])
    assert [run.settings.training.epochs for run in runs] == [3, 3]
    assert names("model.beta=1", overrides=["name=study"]) == ["study-beta-1-seed-0"]


# names


def test_names_are_of_short_keys_and_values():
    assert names("model.beta=0.1,10") == ["ellipses-beta-0.1-seed-0", "ellipses-beta-10-seed-0"]
    # The same run has the same name, whatever other values there are and however they are written.
    assert names("model.beta=1e1") == names("model.beta=5,10")[1:]


@pytest.mark.parametrize(
    "sources",
    [
        ["pictures/my alloy.png", "../pictures/steel (2).tif", "a"],
        ["x/a.png", "x_a.png", "x a.png", "x-a.png", "X/A.png"],
        ["ä" * 300 + end for end in "abc"],
        ["'-'", "'*'", "/"],
    ],
)
def test_names_are_different_legal_folder_names(sources):
    found = names(f"data.source={','.join(sources)}", "model.beta=0,1", config="alloy.yaml")
    assert len({name.lower() for name in found}) == 2 * len(sources)
    (pattern,) = (part.pattern for part in Config.model_fields["name"].metadata)
    assert all(re.fullmatch(pattern, name) for name in found)


# mistakes


@pytest.mark.parametrize(
    ("vary", "options", "message"),
    [
        (["model.beta"], {}, "--vary model.beta: expected key=value,value"),
        (["model.beta="], {}, "--vary model.beta=: expected key=value,value"),
        (["model.beta=1,,2"], {}, "--vary model.beta=1,,2: expected key=value,value"),
        (["=1"], {}, "--vary =1: expected key=value,value"),
        (
            ["model.beat=1"],
            {},
            "--vary model.beat=1: unknown key model.beat; did you mean model.beta?",
        ),
        (["model=1"], {}, "--vary model=1: model is a section"),
        (
            ["model.beta=1,-2"],
            {},
            "--vary model.beta=-2: model.beta must be a number of at least 0",
        ),
        (["model.beta=1,[2"], {}, "--vary model.beta=[2: "),
        (["model.beta=1,1"], {}, "1 is given twice"),
        (["model.beta=1,2,1e0"], {}, "--vary model.beta=1,2,1e0: 1 and 1e0 are the same value"),
        (["model.beta=1", "model.beta=2"], {}, "--vary model.beta=2: model.beta is varied already"),
        (
            ["model.beta=1"],
            {"overrides": ["model.beta=2"]},
            "--set model.beta=2: model.beta is varied",
        ),
        (["seed=0,1"], {}, "give --seeds 0,1"),
        (["name=a,b"], {}, "name the sweep with --set name="),
        (["model.beta=1"], {"overrides": ["seed=2"], "seeds": [1]}, "--set seed=2: the seeds are"),
        (["model.beta=1"], {"seeds": [2**31]}, "--seeds 2147483648: seed must be"),
        (["model.beta=1"], {"config": "nothing.yaml"}, 'There is no config "nothing.yaml"'),
        (["data.image_size=64,32"], {}, "--vary data.image_size=64: data.image_size must be 32"),
    ],
)
def test_mistakes_are_one_sentence_before_anything_runs(vary, options, message):
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        plan(*vary, **options)
    assert "\n" not in str(raised.value)


def test_a_sweep_has_a_limit():
    values = ",".join(map(str, range(500)))
    assert len(plan(f"model.beta={values}", seeds=[0, 1])) == sweep.MOST_RUNS
    with pytest.raises(InputError, match="these are 1500 runs, and a sweep has at most 1000"):
        plan(f"model.beta={values}", seeds=[0, 1, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vary", "model.beta=1,x"], "--vary model.beta=x: model.beta must be a number"),
        (["--vary", "model.beta=1", "--seeds", "0,x"], '"0,x" is no list of seeds'),
        ([], "Missing option '--vary'"),
        (
            ["--vary", "model.beta=1", "--runs", "begun"],
            "begun: exists already; go on with --resume",
        ),
        (["--vary", "model.beta=1", "--runs", "run"], "run: is the folder of a single run"),
        (["--vary", "data.source=grains,no.npy"], 'data.source: there is no file "no.npy"'),
    ],
)
def test_mistakes_leave_nothing_behind(arguments, message, tmp_path, monkeypatch, capsys, tree):
    for path in ("begun/ellipses-beta-7-seed-0", "run"):
        (tmp_path / path).mkdir(parents=True)
    for file in ("manifest.json", "config.yaml"):
        (tmp_path / "run" / file).write_text("{}")
    before = tree(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "--config", CONFIG, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert tree(tmp_path) == before


# end to end

FAILING = "multi_worker"
VARY = ("--vary", f"training.distribution=none,{FAILING}", "--vary", "model.beta=0.5")
GOOD, BAD = (f"ellipses-distribution-{value}-beta-0.5-seed-1" for value in ("none", FAILING))


@pytest.fixture(scope="module")
def swept(tmp_path_factory, davegan):
    """One run that ends well, one that fails at its start: nobody has told it of other workers."""
    home = tmp_path_factory.mktemp("swept")
    values = settings(data__count=64, training__batch_size=8, training__epochs=1)
    values += settings(training__recalibrate="false")[-2:]
    command = ("sweep", "--config", CONFIG, *VARY, "--seeds", "1", "--count", 8, *values)
    return home, command, davegan(*command, "--jobs", 2, cwd=home)


def test_one_failed_run_does_not_stop_the_other(swept):
    home, _, done = swept
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"1 of 2 runs failed: {BAD}" in done.stderr
    assert f"{GOOD}: done" in done.stdout
    runs = home / "runs" / "sweep-ellipses"
    config = RunFolder(runs / GOOD).read_config()
    assert (config.model.beta, config.seed) == (0.5, 1)
    assert not (runs / BAD / "manifest.json").exists()


def test_the_table_is_written_and_printed(swept):
    home, _, done = swept
    runs = home / "runs" / "sweep-ellipses"
    good, bad = json.loads((runs / "sweep.json").read_text("utf-8"))["runs"]
    evaluation = json.loads(RunFolder(runs / GOOD).evaluation.read_text())
    assert (good["name"], good["status"], good["seed"]) == (GOOD, "finished", 1)
    assert good["values"] == {"training.distribution": "none", "model.beta": 0.5}
    assert good["result"]["verdict"] == evaluation["verdict"]
    assert (bad["name"], bad["status"]) == (BAD, "failed")
    assert "TF_CONFIG is not set" in bad["failure"]
    page = (runs / "sweep.md").read_text("utf-8")
    assert f"- {BAD}: {bad['failure']}" in page
    assert "1 of 2 runs are finished" in page
    assert "Data: ellipses." in page
    assert (
        "python -m cli sweep --config ellipses.yaml --count 8 --vary training.distribution=" in page
    )
    printed = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert printed == [line for line in page.splitlines() if line.startswith("|")]
    error = evaluation["reconstructions"]["E_rec"]["value"]
    cells = [cell.strip() for cell in printed[2].split("|")]
    assert cells[1:5] == ["none", "0.5", "1", f"{error:.2e}"]
    assert [cell.strip() for cell in printed[3].split("|")][1:-1] == [
        *(FAILING, "0.5", "1", "–", "–", "–", "–", "failed", "–")
    ]


def test_tensorboard_has_the_hyperparameters_beside_the_scalars(swept):
    home, _, done = swept
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.plugins.hparams import metadata
    from tensorboard.util import tensor_util

    assert "tensorboard --logdir tb_logs" in done.stdout
    assert not list((home / "tb_logs" / BAD).glob("*.hparams"))
    log = event_accumulator.EventAccumulator(
        str(home / "tb_logs" / GOOD), size_guidance={"tensors": 0}
    )
    log.Reload()
    content = log.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    info = metadata.parse_session_start_info_plugin_data(content)
    assert info.group_name == GOOD
    assert set(info.hparams) == {"training.distribution", "model.beta", "seed"}
    assert info.hparams["training.distribution"].string_value == "none"
    assert info.hparams["model.beta"].number_value == 0.5
    assert info.hparams["seed"].number_value == 1
    # Those of the training are in the same folder, and so in the same run of TensorBoard.
    assert "training_losses/kl_loss" in log.Tags()["tensors"]
    (summary,) = log.Tensors("evaluation/E_rec")
    result = json.loads((home / "runs" / "sweep-ellipses" / "sweep.json").read_text("utf-8"))
    result = result["runs"][0]["result"]
    assert summary.step == result["step"]
    assert tensor_util.make_ndarray(summary.tensor_proto) == pytest.approx(
        result["reconstructions"]["E_rec"]["value"]
    )
    tags = {tag for tag in log.Tags()["tensors"] if tag.startswith("evaluation/")}
    assert tags == {f"evaluation/{name}" for name in sweep.metrics(result)}


def test_what_is_finished_is_kept(swept, tmp_path, davegan, tree, monkeypatch, capsys):
    home, command, _ = swept
    home = shutil.copytree(home, tmp_path / "copy")
    runs = home / "runs" / "sweep-ellipses"
    refused = [*map(str, command)]
    monkeypatch.chdir(home)
    assert main(refused) == 2
    assert "runs/sweep-ellipses: exists already; go on with --resume" in capsys.readouterr().err
    before = tree(runs / GOOD)
    done = davegan(*command, "--resume", cwd=home)
    assert done.returncode == 1
    assert "2 runs, 1 of them finished" in done.stdout
    assert f"1 of 2 runs failed: {BAD}" in done.stderr
    assert tree(runs / GOOD) == before
    # Not a second set of hyperparameters: TensorBoard would take either.
    assert len(list((home / "tb_logs" / GOOD).glob("*.hparams"))) == 1
    for change, message in {
        "training.epochs=2": "is finished with training.epochs 1, not 2",
        "model.latent_dim=3": "it differs in model.latent_dim (run: 5, now: 3)",
    }.items():
        assert main([*refused, "--resume", "--set", change]) == 2
        said = capsys.readouterr().err
        assert message in said and "--run-dir" not in said


def test_a_log_of_another_run_is_not_replaced(swept, tmp_path, davegan, no_tensorflow, tree):
    home, command, _ = swept
    home = shutil.copytree(home, tmp_path / "copy")
    before = tree(home)
    done = davegan(*command, "--runs", "runs/other", cwd=home, env=no_tensorflow)
    assert done.returncode == 2
    assert f"tb_logs/{GOOD}: is the log of another run" in done.stderr
    assert tree(home) == before


def test_a_stand_in_is_announced(tmp_path, monkeypatch, capsys):
    def unobtainable(name):
        raise registry.NotObtainable(name)

    monkeypatch.setattr(registry, "search_folders", lambda: [])
    monkeypatch.setattr(registry, "download", unobtainable)
    monkeypatch.setattr("cli.sweep.run_jobs", lambda *_: [])
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "--config", "alloy.yaml", "--vary", "model.beta=1,20"]) == 0
    assert "trained on the built-in generator grains INSTEAD" in capsys.readouterr().err


# the table


@pytest.fixture
def result(swept):
    home, _, _ = swept
    path = home / "runs" / "sweep-ellipses" / "sweep.json"
    return json.loads(path.read_text("utf-8"))["runs"][0]["result"]


def test_table_says_how_far_each_run_is(result, tmp_path):
    runs = plan("model.beta=0.1,1,10,50")
    done, failed, begun, _ = (run.job for run in runs)
    begun.folder(tmp_path).path.mkdir()
    for file in (begun.folder(tmp_path).manifest, begun.folder(tmp_path).config):
        file.write_text("{}")
    failures = {failed.name: "no space | left"}
    rows = sweep.summarize(runs, tmp_path, {done.name: result}, failures)
    assert [row["status"] for row in rows] == ["finished", "failed", "begun", "missing"]
    lines = sweep.table(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert [row[0] for row in cells] == ["0.1", "1", "10", "50"]
    assert [row[6] for row in cells][1:] == ["failed", "begun", "missing"]
    page = sweep.document(rows, "Sweep", "the command")
    assert f"- {failed.name}: no space | left" in page
    assert "1 of 4 runs are finished" in page


def test_table_of_verdicts_and_phases(result, tmp_path):
    (run,) = plan("model.beta=1")
    result["samples"]["volume_fraction"]["images"] = {"0": 0.5, "1": 0.25, "2": 0.25}
    result["true_volume_fraction"] = {"0": 0.5, "1": 0.3, "2": 0.2}
    result["samples"]["diversity"]["value"] = None
    result["reconstructions"]["E_rec"]["value"] = 0.0
    result["wall_seconds"] = 90.0

    def cells(**verdict):
        result["verdict"] = verdict
        table = sweep.table(sweep.summarize([run], tmp_path, {run.job.name: result}, {}))
        return [cell.strip() for cell in table.splitlines()[2].split("|")[1:-1]]

    row = cells(failed=[], measures=27)
    assert (row[2], row[4]) == ("0", "0.500 (0.500) / 0.250 (0.300) / 0.250 (0.200)")
    assert row[5:] == ["–", "PASS, 27", "1.5"]
    assert cells(failed=["a", "b"], measures=27)[6] == "FAIL, 2 of 27"
    assert cells(failed=[], measures=0)[6] == "–"
    numbers = sweep.metrics(result)
    assert "diversity" not in numbers
    assert numbers["volume_fraction_error"] == pytest.approx((0 + 0.05 + 0.05) / 3)
    assert numbers["failed_measures"] == 0 and numbers["minutes"] == 1.5
    assert all(math.isfinite(value) for value in numbers.values())


def test_two_sweeps_in_one_folder_are_both_in_the_tab(tmp_path):
    """As TensorBoard itself reads them: no run is averaged with another one, no key is left out."""
    from tensorboard import context
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    from davegan_tf.hparams import write_hparams

    values = {
        "a-beta-1": {"model.beta": 1.0, "seed": 0},
        "a-beta-2": {"model.beta": 2.0, "seed": 0},
        "b-beta-1": {"model.beta": 1.0, "seed": 0},
        "c-freeze-null": {"training.freeze_statistics_after": None, "training.recalibrate": True},
    }
    for number, (name, hparams) in enumerate(values.items()):
        for attempt in (7.0, float(number)):
            write_hparams(tmp_path / name, hparams, {"E_rec": attempt}, step=5)

    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(tmp_path))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request = context.RequestContext()
    experiment = backend.experiment_from_metadata(
        request,
        "",
        True,
        backend.hparams_metadata(request, ""),
        backend.hparams_from_data_provider(request, "", None),
    )
    assert {info.name for info in experiment.hparam_infos} == {
        *("model.beta", "seed", "training.freeze_statistics_after", "training.recalibrate")
    }
    assert [info.name.tag for info in experiment.metric_infos] == ["evaluation/E_rec"]
    wanted = api_pb2.ListSessionGroupsRequest(
        slice_size=10, allowed_statuses=api_pb2.Status.values()
    )
    for info in experiment.metric_infos:
        wanted.col_params.add(metric=info.name)
    groups = list_session_groups.Handler(request, backend, "", wanted).run().session_groups
    found = {group.name: group for group in groups}
    assert set(found) == set(values)
    assert [found[name].metric_values[0].value for name in values] == [0, 1, 2, 3]
    assert found["c-freeze-null"].hparams["training.freeze_statistics_after"].string_value == "null"
