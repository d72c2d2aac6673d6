"""`reproduce table4` end to end on tiny runs, interrupted and gone on with; its table and its verdicts."""

import copy
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from conftest import settings

from cli.main import main
from cli.reproduce import _betas
from cli.result_pages import commands, ellipses_commands
from cli.running import _stopped_by_signals
from davegan_tf import (
    ablation,
    beta_study,
    checkpoints,
    jobs,
    packaged,
    registry,
    table4,
    tensorflow_setup,
)
from davegan_tf.beta_study import Point
from davegan_tf.config import load_config
from davegan_tf.errors import InputError
from davegan_tf.jobs import Job, JobFailed, run_all
from davegan_tf.run_folder import RunFolder

DATA = {"name": "ellipses", "digest": "", "n_phases": 2, "shape": [], "stands_in_for": None}
ARGUMENTS = ("reproduce", "table4", "--materials", "checkerboard", "--presets", "best")


@pytest.fixture(scope="session")
def interrupted(tmp_path_factory, shell):
    """Working directory, options, and what was seen of a reproduction that was ended by a signal."""
    home = tmp_path_factory.mktemp("reproduced")
    values = settings(training__recalibrate="false", training__checkpoint_every=1000)
    command = [sys.executable, "-m", "cli", *ARGUMENTS, "--count", "8", *values]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    folder = RunFolder(home / "runs" / "table4" / "best-checkerboard-0")
    give_up = time.monotonic() + 120
    with subprocess.Popen(command, cwd=home, env=shell(), **pipes) as process:
        while not folder.history.is_file() or len(folder.history.read_text().splitlines()) < 3:
            assert process.poll() is None and time.monotonic() < give_up, process.communicate()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    (checkpoint,) = folder.checkpoints.glob("*.index")
    step = int(checkpoint.stem.removeprefix("ckpt-"))
    finished = folder.read_manifest()["finished"]
    seen = SimpleNamespace(code=process.returncode, said=said, step=step, finished=finished)
    return home, values, seen


@pytest.fixture(scope="session")
def reproduced(interrupted, davegan):
    """The same, gone on with to the end: working directory, options, the process."""
    home, values, seen = interrupted
    values = [*values, "--set", f"training.epochs={seen.step // 4 + 2}"]
    done = davegan(*ARGUMENTS, "--count", 8, *values, "--resume", cwd=home)
    assert done.returncode == 0, done.stderr
    return home, values, done


def test_table4_trains_evaluates_and_writes(reproduced):
    home, _, done = reproduced
    assert "1 runs, 0 of them finished" in done.stdout
    assert "best-checkerboard-0: done" in done.stdout
    folder = RunFolder(home / "runs" / "table4" / "best-checkerboard-0")
    evaluation = json.loads(folder.evaluation.read_text())
    results = home / "docs" / "results"
    (result,) = json.loads((results / "table4.json").read_text())["presets"]["best"].values()
    assert result["0"]["reconstructions"]["E_rec"]["value"] == pytest.approx(
        evaluation["reconstructions"]["E_rec"]["value"], rel=1e-3
    )
    assert result["0"]["wall_seconds"] == folder.read_manifest()["wall_seconds"]
    page = (results / "table4.md").read_text()
    assert "| checkerboard | 0 |" in page
    command = "python -m cli reproduce table4 --presets best --materials checkerboard --seeds 0 --count 8 --set "
    (made_by,) = (line for line in page.splitlines() if f"`{command}" in line)
    changes = [text.split("`")[0] for text in made_by.split("` and `")[0].split(" --set ")[1:]]
    job = table4.job("best", "checkerboard", 0)
    again = load_config(job.config, [shlex.split(change)[0] for change in changes])
    run = folder.read_config()
    assert again.model == run.model and again.data == run.data
    assert again.training.epochs == run.training.epochs and not again.training.recalibrate
    picture = (folder.path / "figures" / "overview.png").read_bytes()
    assert (results / "table4" / "checkerboard.png").read_bytes() == picture


def test_what_is_finished_is_kept_and_not_replaced(reproduced, tmp_path, davegan, tree):
    home, values, _ = reproduced
    shutil.copytree(home, tmp_path / "copy")
    before = tree(tmp_path / "copy" / "runs")
    done = davegan(*ARGUMENTS, "--count", 8, *values, cwd=tmp_path / "copy")
    assert done.returncode == 2
    assert "exists already; go on with --resume" in done.stderr
    assert "Traceback" not in done.stderr
    done = davegan(*ARGUMENTS, "--count", 8, "--resume", *values, cwd=tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    assert "1 runs, 1 of them finished" in done.stdout
    assert tree(tmp_path / "copy" / "runs") == before


def test_a_page_names_the_commands_that_make_it():
    def ran(*seeds, changes=("training.threads=1",), count=256):
        result = {"changes": changes, "counts": {"samples": count}}
        return dict.fromkeys(map(str, seeds), result)

    results = {
        "best": {"alloy": ran(0, 10, 2), "rubber": ran(0), "synth1": ran(0)},
        "paper": {"rubber": ran(0, count=8), "synth1": ran(0) | ran(1, changes=['name="a b"'])},
    }
    start, one = "python -m cli reproduce table4 --presets", " --set training.threads=1"
    assert commands("table4", "presets", results).split("` and `") == [
        f"{start} best --materials alloy --seeds 0,2,10{one}",
        f"{start} best --materials rubber,synth1 --seeds 0{one}",
        f"{start} paper --materials rubber --seeds 0 --count 8{one}",
        f"{start} paper --materials synth1 --seeds 0{one}",
        f"{start} paper --materials synth1 --seeds 1 --set 'name=\"a b\"'",
    ]


def test_a_page_of_figures_names_no_run_that_was_not_made():
    runs = [
        (1.0, 0, []),
        (1.0, 1, []),
        (10.0, 0, []),
        (1e-05, 0, []),
        (2.0, 0, ["model.latent_dim=6"]),
    ]
    results = [
        {"beta": beta, "epochs": 8, "seed": seed, "changes": changes}
        for beta, seed, changes in runs
    ]
    start = "python -m cli reproduce figure3 --epochs 8 --betas"
    assert ellipses_commands("figure3", results).split("` and `") == [
        f"{start} 0.00001,10 --seeds 0",
        f"{start} 2 --seeds 0 --set model.latent_dim=6",
        f"{start} 1 --seeds 0,1",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"step": 4},
        {"seed": 1},
        {"filter": 3},
        {"counts": {"tiles": 16, "samples": 16, "crops": 32}},
    ],
)
def test_another_evaluation_is_not_taken_for_the_run_s(reproduced, tmp_path, change):
    home, _, _ = reproduced
    job = table4.job("best", "checkerboard", 0)
    shutil.copytree(home / "runs" / "table4", tmp_path / "runs")
    assert job.finished(tmp_path / "runs") and job.finished(tmp_path / "runs", 8)
    path = job.folder(tmp_path / "runs").evaluation
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert not job.finished(tmp_path / "runs", 8)


def test_a_study_by_hand_is_not_taken_for_the_run_s(tmp_path):
    job = Job("a", "ellipses.yaml", 0, measured_by="study")
    folder = job.folder(tmp_path)
    folder.path.mkdir()
    folder.config.write_text("seed: 0\n")
    folder.write_manifest(finished=True, step=100, data=DATA)
    for found, wanted in (({}, True), ({"step": 40}, False), ({"seed": 5}, False)):
        folder.study.write_text(json.dumps({"step": 100, "seed": 0} | found))
        assert job.finished(tmp_path) is wanted
    # What is damaged is measured again.
    for damaged in ("{", "{}", "[]", "null"):
        folder.study.write_text(damaged)
        assert not job.finished(tmp_path)


def test_copies_of_run_folders_are_no_runs(tmp_path):
    for name in ("best-alloy-10", "best-alloy-2", "best-alloy-2-old", "best-alloy-x", "best-alloy"):
        (tmp_path / name).mkdir()
    assert jobs.seeds_of(tmp_path, "best-alloy") == [2, 10]
    (tmp_path / "beta=1-epochs=8-0-old").mkdir()
    assert beta_study.finished(tmp_path) == []


def test_a_trained_run_without_figures_draws_them(reproduced, tmp_path):
    home, _, _ = reproduced
    job = table4.job("best", "checkerboard", 0)
    shutil.copytree(home / "runs" / "table4", tmp_path / "runs")
    said = []
    processes = SimpleNamespace(run=lambda *arguments: said.append(arguments))
    jobs.run_job(job, tmp_path / "runs", 8, processes)
    assert said == []
    (job.folder(tmp_path / "runs").figures / "losses.png").unlink()
    jobs.run_job(job, tmp_path / "runs", 8, processes)
    ((command, *_, how),) = said
    assert (command, how) == ("train", "--resume")


def test_runs_of_another_configuration_and_logs_of_others_are_left_alone(
    reproduced, tmp_path, davegan
):
    home, values, _ = reproduced
    shutil.copytree(home, tmp_path / "copy")
    before = (tmp_path / "copy" / "docs" / "results" / "table4.json").read_bytes()
    run = RunFolder(home / "runs" / "table4" / "best-checkerboard-0")
    epochs = run.read_config().training.epochs
    cases = {
        ("--resume", "--set", "model.beta=3"): "belongs to another configuration",
        (
            *("--resume", "--set", f"training.epochs={epochs + 1}"),
        ): f"is finished with training.epochs {epochs}, not {epochs + 1}",
        ("--runs", "runs/second"): "tb_logs/best-checkerboard-0: is the log of another run",
    }
    for changes, words in cases.items():
        done = davegan(*ARGUMENTS, "--count", 8, *values, *changes, cwd=tmp_path / "copy")
        assert (done.returncode, done.stdout) == (2, ""), words
        assert words in done.stderr
    assert (tmp_path / "copy" / "docs" / "results" / "table4.json").read_bytes() == before


def test_a_stand_in_is_not_reproduced(tmp_path, monkeypatch, capsys):
    def unobtainable(name):
        raise registry.NotObtainable(name)

    monkeypatch.setattr(registry, "search_folders", lambda: [])
    monkeypatch.setattr(registry, "download", unobtainable)
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "table4", "--materials", "alloy"]) == 2
    assert "the micrograph alloy is not to be had here" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_or_a_closed_terminal_end_the_runs(name, capsys):
    def missed(*_):
        pass

    number = signal.Signals[name]
    before = signal.signal(number, missed)  # under nohup SIGHUP is ignored
    try:
        with pytest.raises(SystemExit) as ended, _stopped_by_signals():
            os.kill(os.getpid(), number)
            time.sleep(1)
        assert ended.value.code == 130 and "Go on with --resume" in capsys.readouterr().err
        assert signal.getsignal(number) is missed
    finally:
        signal.signal(number, before)


def test_a_run_that_was_hardly_begun_begins_anew(tmp_path, monkeypatch):
    job = table4.job("best", "checkerboard", 0)
    folder = job.folder(tmp_path)
    folder.path.mkdir()
    folder.write_manifest(data=DATA)  # killed before the config was there
    said = []
    processes = SimpleNamespace(run=lambda *arguments: said.append(arguments))
    jobs.run_job(job, tmp_path, 8, processes)
    assert said[0][-1] == "--overwrite" and said[1][0] == "evaluate"
    folder.check_free(overwrite=True)


def test_results_of_other_materials_stay_in_the_table(reproduced, tmp_path, davegan):
    home, values, _ = reproduced
    shutil.copytree(home, tmp_path / "copy")
    path = tmp_path / "copy" / "docs" / "results" / "table4.json"
    known = json.loads(path.read_text())
    known["presets"]["best"]["alloy"] = {"7": known["presets"]["best"]["checkerboard"]["0"]}
    path.write_text(json.dumps(known))
    done = davegan(*ARGUMENTS, "--count", 8, "--resume", *values, cwd=tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    known = json.loads(path.read_text())["presets"]["best"]
    assert {name: list(seeds) for name, seeds in known.items()} == {
        "alloy": ["7"],
        "checkerboard": ["0"],
    }


def test_interrupted_it_saves_and_goes_on(interrupted, reproduced):
    home, _, seen = interrupted
    assert seen.code == 130
    assert "Go on with --resume" in seen.said and "Traceback" not in seen.said
    assert not seen.finished
    assert seen.step > 0
    folder = RunFolder(home / "runs" / "table4" / "best-checkerboard-0")
    assert folder.read_manifest()["finished"]
    assert folder.read_manifest()["step"] == 4 * (seen.step // 4 + 2)
    rows = [int(row.split(",")[0]) for row in folder.history.read_text().splitlines()[1:]]
    assert rows == sorted(set(rows))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--materials", "aloy"], "did you mean alloy?"),
        (["--materials", ","], 'there is no ""'),
        (["--presets", "worst"], "there are best, paper"),
        (["--seeds", "0,x"], '"0,x" is no list of seeds'),
        (["--set", "model.beat=1"], "model.beta"),
        (["--set", "seed=1"], "--set seed=1: seed is what this command sets itself"),
    ],
)
def test_mistakes_are_refused(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "table4", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "override"),
    [
        (["ablation", "--variants", "base"], "training.epochs=10"),
        (["ablation", "--variants", "narrow"], "model.discriminator_width=2"),
        (["figure3", "--betas", "1"], "model.beta=3"),
        (["figure4", "--betas", "1"], "training.epochs=3"),
    ],
)
def test_what_a_table_is_about_is_not_changed(command, override, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *command, "--set", override]) == 2
    key = override.partition("=")[0]
    message = f"--set {override}: {key} is what this command sets itself"
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table4", "<<<<<<< HEAD\n{}"),
        ("table4", "{}"),
        ("table4", '{"presets": []}'),
        ("table4", '{"presets": {"best": {"alloy": []}}}'),
        ("ablation", "[]"),
        ("ablation", '{"alloy": []}'),
    ],
)
def test_damaged_results_are_told_of_before_anything_is_trained(
    name, content, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{name}.json").write_text(content)
    assert main(["reproduce", name, "--out", "."]) == 2
    assert capsys.readouterr().err.startswith(f"Error: {name}.json: ")
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.json"]


def test_one_beta_has_one_name(tmp_path):
    assert _betas(None, None, "1E1, 1.0,1,1e-05,0.5") == ["10", "1", "0.00001", "0.5"]
    point = Point("0.00001", 8, 0)
    assert re.fullmatch(r"beta=0\.00001-epochs=8-0", point.job().name)
    for wrong in ("0", "-1", "x", "inf", "nan", "1e300", ""):
        with pytest.raises(click.BadParameter, match="no list of β"):
            _betas(None, None, wrong)


def test_mistakes_are_refused_at_once(tmp_path, davegan, no_tensorflow):
    arguments = ("reproduce", "table4", "--set", "model.beat=1")
    done = davegan(*arguments, cwd=tmp_path, env=no_tensorflow)
    assert done.returncode == 2
    assert "model.beta" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_one_failed_run_does_not_stop_the_others(tmp_path, monkeypatch):
    work = [Job(name, f"{name}.yaml", 0) for name in "abc"]

    def run_job(job, *_):
        if job.name == "b":
            raise JobFailed("no such micrograph")

    monkeypatch.setattr(jobs, "run_job", run_job)
    outcome = {job.name: failure for job, failure in run_all(work, tmp_path, 2, 8)}
    assert outcome["a"] is outcome["c"] is None
    assert str(outcome["b"]) == "no such micrograph"


def test_a_failure_is_told_by_its_last_line(tmp_path):
    with pytest.raises(JobFailed, match="there is no such run folder"):
        jobs.Processes().run("evaluate", str(tmp_path / "nothing"))


@pytest.fixture
def result(reproduced):
    path = reproduced[0] / "docs" / "results" / "table4.json"
    return copy.deepcopy(json.loads(path.read_text())["presets"]["best"]["checkerboard"]["0"])


def good(result):
    """The result, made such that it has all that it must have."""
    result["reconstructions"]["E_rec"]["value"] = 0.0
    result["true_volume_fraction"] = {"1": 0.5}
    samples = result["samples"]
    samples["volume_fraction"]["images"] = {"1": 0.505}
    samples["volume_fraction_spread"].update(images={"1": 0.02}, real={"1": 0.02})
    for name in samples:
        samples[name]["passed"] = True
    return result


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        (lambda r: None, None),
        (lambda r: r["reconstructions"]["E_rec"].update(value=2.4e-3), table4.MUST[0]),
        (lambda r: r["samples"]["volume_fraction"].update(images={"1": 0.511}), table4.MUST[1]),
        (
            lambda r: r["samples"]["volume_fraction_spread"].update(images={"1": 0.0135}),
            table4.MUST[2],
        ),
        (lambda r: r["samples"]["diversity"].update(passed=False), table4.MUST[3]),
        (lambda r: r["samples"]["memorisation"].update(passed=False), table4.MUST[4]),
        (lambda r: r["samples"]["autocovariance_8"].update(passed=False), table4.MUST[5]),
        (lambda r: r["samples"]["autocovariance_32"].update(passed=False), table4.MUST[6]),
        (lambda r: r["samples"]["interface_density"].update(passed=False), table4.MUST[7]),
    ],
)
def test_what_a_model_must_have(result, change, missed):
    result = good(result)
    change(result)
    checks = table4.must("alloy", result)
    assert list(checks) == list(table4.MUST)
    missing = [name for name, passed in checks.items() if passed is False]
    assert missing == ([missed] if missed else [])
    assert table4.has_all(checks) is (missed is None)


def test_what_has_no_verdict_is_neither_there_nor_missing(result):
    result = good(result)
    result["samples"]["memorisation"]["passed"] = None
    assert table4.must("alloy", result)["no memorisation"] is None
    page = table4.document({"best": {"alloy": {"0": result}}, "paper": {}}, "the command")
    assert "| alloy | yes | yes | yes | yes | – | yes | yes | yes | yes |" in page
    assert "All at once: 1 of 1 materials." in page


def test_the_page_has_medians_failures_and_white_noise(result):
    seeds = {str(seed): good(copy.deepcopy(result)) for seed in range(3)}
    for seed, value in zip(seeds, (1e-3, 5e-3, 2e-3), strict=True):
        seeds[seed]["reconstructions"]["E_rec"]["value"] = value
    seeds["1"]["samples"]["lineal_path"].update(passed=False, ratio=3.21)
    seeds["0"]["samples"]["lineal_path"].update(noise_ratio=42.0)
    page = table4.document({"best": {"alloy": seeds}, "paper": {}}, "the command")
    assert "| alloy | 0, 1, 2 | 2.00e-03 | 4.66e-03 |" in page
    assert "E_rec is no worse than the paper's on 1 of 1 materials" in page
    assert "**3.2**" in page and "**42**" in page
    assert "All at once: 1 of 1 materials." in page
    assert "paper to the letter" not in page
    assert "(table4/alloy.png)" in page


@pytest.mark.parametrize(
    ("material", "e_rec", "e_gen", "floor", "disjoint", "marks"),
    [
        ("alloy", 4.66e-3, 5.66e-3, 1e-3, 2e-3, ("yes", "yes", "yes")),
        ("alloy", 4.7e-3, 9e-3, 1e-2, 2e-2, ("**no**", "yes", "yes")),
        ("alloy", 4.6e-3, 1.1e-2, 1e-2, 1.2e-2, ("yes", "**no**", "yes")),
        ("checkerboard", 1e-16, 1e-16, 0.0, 0.0, ("yes", "yes", "yes")),
        ("checkerboard", 1e-6, 1e-6, None, None, ("**no**", "**no**", "**no**")),
    ],
)
def test_errors_are_held_against_the_papers_and_the_floor(
    result, material, e_rec, e_gen, floor, disjoint, marks
):
    result = good(copy.deepcopy(result))
    result["reconstructions"]["E_rec"]["value"] = e_rec
    floor = None if floor is None else {"mean": floor, "std": 0.0}
    result["samples"]["E_gen"].update(value=e_gen, floor=floor, disjoint=disjoint)
    page = table4.document({"best": {}, "paper": {material: {"0": result}}}, "the command")
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {material} | 0 | "))
    cells = line.strip("| ").split(" | ")
    assert (cells[4], cells[10]) == marks[:2]
    counted = [int(mark == "yes") for mark in marks]
    assert f"the paper's on {counted[0]} of 1 materials" in page
    assert f"the floor on {counted[1]}, " in page
    assert f"disjoint crops on {counted[2]}." in page


# ablation


@pytest.mark.parametrize("variant", ablation.VARIANTS)
def test_every_change_is_a_valid_configuration_of_its_own(variant):
    job = ablation.job(variant, "copolymer", 1)
    changed = load_config(job.config, list(job.overrides))
    base = load_config(job.config, list(ablation.COMMON))
    assert (changed == base) == (variant == "base")
    assert changed.training.epochs == 3000


def test_ablation_page_has_medians_and_ranges(result):
    def seeds(*errors):
        results = {}
        for seed, error in enumerate(errors):
            results[str(seed)] = good(copy.deepcopy(result))
            results[str(seed)]["reconstructions"]["E_rec"]["value"] = error
            # Of a checkerboard there is none.
            results[str(seed)]["samples"]["memorisation"]["value"] = 0.125
        return results

    table = {"alloy": {"base": seeds(1e-3, 5e-3, 2e-3), "narrow": seeds(4e-2)}}
    table["alloy"]["narrow"]["0"]["samples"]["euler_number"]["ratio"] = None
    page = ablation.document(table, "the command")
    assert "| our settings |  | 3 | 2.0e-03 (1.0e-03 … 5.0e-03) |" in page
    row = next(line for line in page.splitlines() if line.startswith("| D as in the layer tables"))
    assert "`model.discriminator_width=1` | 1 | 4.0e-02 |" in row
    assert "∞" in row and "–" not in row and "| 0.125 |" in row
    # Undefined, as of a micrograph of one tile, is no infinity.
    table["alloy"]["narrow"]["0"]["samples"]["euler_number"]["floor"] = None
    table["alloy"]["narrow"]["0"]["samples"]["diversity"] |= {"value": None, "floor": None}
    page = ablation.document(table, "the command")
    row = next(line for line in page.splitlines() if line.startswith("| D as in the layer tables"))
    assert row.count("–") == 2
    assert "+0.005" in page
    # Of three phases what is too much of one is lacking of the others.
    three = table["alloy"]["narrow"]["0"]
    three["true_volume_fraction"] = {"0": 0.5, "1": 0.3, "2": 0.2}
    three["samples"]["volume_fraction"]["images"] = {"0": 0.44, "1": 0.34, "2": 0.22}
    assert "| -0.060 |" in ablation.document(table, "the command")


@pytest.mark.slow
def test_ablation_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ablation, "COMMON", ("training.epochs=2",))
    monkeypatch.setattr(ablation, "STEPS", 8)
    values = settings(training__recalibrate="false")
    arguments = ["--materials", "checkerboard", "--variants", "narrow", "--count", "8", *values]
    assert main(["reproduce", "ablation", *arguments]) == 0, capsys.readouterr().err
    config = RunFolder(tmp_path / "runs" / "ablation" / "narrow-checkerboard-0").read_config()
    assert config.model.discriminator_width == 1
    known = json.loads((tmp_path / "docs" / "results" / "ablation.json").read_text())
    assert list(known["checkerboard"]) == ["narrow"]
    assert "## checkerboard" in (tmp_path / "docs" / "results" / "ablation.md").read_text()


# models


def test_packaged_models_are_made_of_the_runs(reproduced, tmp_path, monkeypatch, capsys):
    home, _, _ = reproduced
    monkeypatch.chdir(tmp_path)
    made = ("reproduce", "models", "--out", "models")
    assert main([*made, "--runs", str(home / "runs" / "table4")]) == 0
    assert "checkerboard: seed 0" in capsys.readouterr().out
    folder = tmp_path / "models" / "checkerboard"
    assert (folder / "weights.npz").is_file()
    assert "generated" in (folder / "README.md").read_text()
    assert main([*made, "--runs", "none"]) == 2
    assert "holds no finished run" in capsys.readouterr().err


@pytest.fixture
def in_a_copy(reproduced, tmp_path, monkeypatch):
    home, _, _ = reproduced
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setattr(tensorflow_setup, "start_tensorflow", lambda *_: pytest.fail("too late"))


def test_a_packaged_model_replaces_nothing_else(in_a_copy, tree, capsys):
    shutil.copytree("runs/table4/best-checkerboard-0", "runs/checkerboard")
    before = tree(Path("runs"))
    assert main(["reproduce", "models", "--out", "runs"]) == 2
    assert "runs/checkerboard: holds something that is no packaged model" in capsys.readouterr().err
    assert tree(Path("runs")) == before


def test_a_material_without_a_run_is_named(in_a_copy, capsys):
    assert main(["reproduce", "models", "--materials", "checkerboard,alloy", "--out", "made"]) == 2
    assert "runs/table4: holds no finished run of alloy" in capsys.readouterr().err
    assert not Path("made").exists()


def test_the_packaged_model_stays_if_another_can_not_be_made(in_a_copy, monkeypatch, tree):
    run = RunFolder("runs/table4/best-checkerboard-0")
    path = packaged.package(run, "checkerboard", Path("models"))
    before = tree(path)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoints, "save_compact_weights", full)
    with pytest.raises(OSError, match="No space left"):
        packaged.package(run, "checkerboard", Path("models"))
    assert tree(path) == before and [each.name for each in path.parent.iterdir()] == [path.name]


def test_damaged_evaluations_are_made_again_or_named(in_a_copy, capsys):
    run = RunFolder("runs/table4/best-checkerboard-0")
    incomplete = json.dumps(run.read_evaluation() | {"counts": {}})
    cases = {"{": "not readable as JSON", "{}": "missing", "[]": "missing", incomplete: "counts"}
    for damaged, said in cases.items():
        run.evaluation.write_text(damaged)
        assert not table4.job("best", "checkerboard", 0).finished(Path("runs/table4"))
        with pytest.raises(InputError, match=rf"evaluation\.json: .*{said}"):
            run.read_evaluation()
