"""What lies where in a run folder, and who may write to it."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from davegan_tf import files, registry, run_folder
from davegan_tf.config import load_config
from davegan_tf.errors import InputError
from davegan_tf.micrographs import load_from_config
from davegan_tf.run_folder import FREE_TO_CHANGE, RunFolder


@pytest.fixture
def config():
    return load_config("quickstart.yaml")


MANIFEST = {
    "data": {
        **{"name": "grains", "origin": "generated", "digest": "abc", "stands_in_for": None},
        **{"n_phases": 2, "shape": [1, 256, 256]},
    }
}


@pytest.fixture
def run(tmp_path, config):
    run = RunFolder(tmp_path / "runs" / "first")
    with run.lock():
        run.create(config, MANIFEST)
    return run


def test_what_it_holds_reads_back(run, config):
    assert run.require() is run
    assert run.name == "first"
    assert run.read_config() == config
    assert run.read_manifest() == MANIFEST
    run.write_manifest(finished=True, seed=3)
    assert run.read_manifest() == {**MANIFEST, "finished": True, "seed": 3}


def test_name_of_the_working_directory(run, monkeypatch):
    monkeypatch.chdir(run.path)
    assert RunFolder(".").name == "first"


def test_describe_names_a_stand_in(run):
    assert run.describe() == f"{run.path} (grains)"
    run.write_manifest(data={**MANIFEST["data"], "stands_in_for": "alloy"})
    assert run.describe() == f"{run.path} (grains in place of alloy)"


def test_what_it_was_trained_on_is_checked(run, config):
    with pytest.raises(InputError, match="was trained on other data"):
        run.load_micrograph()
    micrograph = load_from_config(config)
    run.write_manifest(data={**MANIFEST["data"], "digest": micrograph.digest})
    assert run.load_micrograph().digest == micrograph.digest


def test_nothing_stands_in_for_what_it_was_trained_on(tmp_path, monkeypatch):
    def unobtainable(name):
        raise registry.NotObtainable(f"{name} is nowhere")

    monkeypatch.setattr(registry, "search_folders", lambda: [])
    monkeypatch.setattr(registry, "download", unobtainable)
    folder = RunFolder(tmp_path / "run")
    with folder.lock():
        folder.create(load_config("alloy.yaml"), MANIFEST)
    with pytest.raises(registry.NotObtainable, match="alloy is nowhere"):
        folder.load_micrograph()
    # What was trained on a stand-in has it.
    stand_in = load_from_config(load_config("alloy.yaml"))
    data = {**MANIFEST["data"], "digest": stand_in.digest, "stands_in_for": "alloy"}
    folder.write_manifest(data=data)
    assert folder.load_micrograph().fallback_for == "alloy"
    # Also once the micrograph is there again.
    monkeypatch.undo()
    found = folder.load_micrograph()
    assert (found.name, found.fallback_for, found.digest) == ("grains", "alloy", stand_in.digest)


def test_require(tmp_path, run):
    with pytest.raises(InputError, match="there is no such run folder"):
        RunFolder(tmp_path / "missing").require()
    with pytest.raises(InputError, match=r"not a run folder, it has no config\.yaml"):
        RunFolder(tmp_path).require()
    with pytest.raises(InputError, match="not a run folder"):
        RunFolder(run.config).require()
    run.manifest.unlink()
    with pytest.raises(InputError, match=r"it has no manifest\.json"):
        run.read_manifest()


def test_a_damaged_manifest_or_config_is_named(run):
    for damaged, said in {
        b'{"data": ': "not readable as JSON",
        b"\xff": "not readable as JSON",
        b"[]": "data.name, data.digest, data.n_phases, data.shape, data.stands_in_for missing",
        b'{"data": null}': "data.name, data.digest",
    }.items():
        run.manifest.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"manifest\.json: {said}"):
            run.read_manifest()
    run.config.write_text("data: [")
    with pytest.raises(InputError, match=r"config\.yaml"):
        run.read_config()


def test_a_new_run_needs_a_free_folder(tmp_path, run, config):
    RunFolder(tmp_path / "new").check_free()
    (tmp_path / "empty").mkdir()
    RunFolder(tmp_path / "empty").check_free()
    with pytest.raises(InputError, match="holds a run already; continue it with --resume"):
        run.create(config, MANIFEST)
    with pytest.raises(InputError, match="is a file, expected a folder"):
        RunFolder(run.config).check_free(overwrite=True)


@pytest.mark.parametrize("name", ["notes.txt", "config.yaml", "manifest.json"])
def test_overwrite_spares_what_is_no_run(name, tmp_path, config):
    (tmp_path / name).write_text("precious")
    with pytest.raises(InputError, match="holds something that is no run"):
        RunFolder(tmp_path).create(config, MANIFEST, overwrite=True)
    assert (tmp_path / name).read_text() == "precious"


def test_overwrite_clears_the_old_run(run, config, tmp_path):
    run.checkpoints.mkdir()
    for file in (run.checkpoints / "ckpt-1.index", run.weights, run.history, run.evaluation):
        file.write_text("old")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (run.path / "figures").symlink_to(scratch)
    # The user's: a micrograph, and a run within the run.
    mine = run.path / "mine.png"
    mine.write_text("precious")
    other = RunFolder(run.path / "variant")
    other.create(config, MANIFEST)
    run.create(config, {**MANIFEST, "seed": 1}, overwrite=True)
    assert {path.name for path in run.path.iterdir()} - {".lock"} == {
        "config.yaml",
        "manifest.json",
        "mine.png",
        "variant",
    }
    assert mine.read_text() == "precious" and other.holds_a_run
    assert run.read_manifest() == {**MANIFEST, "seed": 1}
    assert scratch.is_dir()


def test_a_new_run_s_log_has_nothing_of_the_one_before(run, config, tmp_path):
    log = tmp_path / "log"
    (log / "projector").mkdir(parents=True)
    for name in ("events.out.tfevents.1", "projector/projector_config.pbtxt", "notes.txt"):
        (log / name).write_text("old")
    with pytest.raises(InputError, match="is the log of another run"):
        RunFolder(tmp_path / "new").create(config, MANIFEST, log=log)
    # A packaged model's, say, which no new run replaces.
    alone = tmp_path / "alone" / "projector" / "projector_config.pbtxt"
    alone.parent.mkdir(parents=True)
    alone.write_text("kept")
    (tmp_path / "new").mkdir()
    RunFolder(tmp_path / "new").create(config, MANIFEST, log=tmp_path / "alone")
    assert alone.read_text() == "kept"
    with pytest.raises(InputError, match="holds a run already"):
        run.create(config, MANIFEST, log=log)
    assert (log / "projector" / "projector_config.pbtxt").is_file()
    run.create(config, MANIFEST, overwrite=True, log=log)
    assert [path.name for path in log.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("write", range(2))
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_start_that_is_killed_leaves_what_can_be_started(
    write, overwrite, tmp_path, run, config, monkeypatch
):
    again = run if overwrite else RunFolder(tmp_path / "new")
    again.path.mkdir(exist_ok=True)
    if overwrite:
        (run.path / "mine.png").write_text("precious")
    writes = []

    def dies(path, text):
        if len(writes) == write:
            # What SIGKILL leaves of a file that is being written.
            (path.parent / f".{path.stem}-x1y2{path.suffix}").write_text("half")
            raise KeyboardInterrupt
        writes.append(path)
        files.write_text(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "write_text", dies)
        with pytest.raises(KeyboardInterrupt):
            again.create(config, MANIFEST, overwrite=overwrite)
    again.create(config, MANIFEST, overwrite=overwrite)
    assert again.read_config() == config


@pytest.mark.parametrize("key", FREE_TO_CHANGE)
def test_what_may_differ_when_resumed(key, run):
    values = {"name": "other", "data.unit": "µm", "data.offline_fallback": "grains"}
    changed = load_config("quickstart.yaml", [f"{key}={values.get(key, 7)}"])
    assert [name for name, *_ in run.differences(changed, but=())] == [key]
    run.check_same(changed)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed=1", r"differs in seed \(run: 0, now: 1\)"),
        ("model.beta=2.5", r"model\.beta \(run: [\d.]+, now: 2\.5\)"),
        ("data.source=checkerboard", r"data\.source \(run: 'grains', now: 'checkerboard'\)"),
        ("training.chunk_steps=3", r"training\.chunk_steps"),
        ("training.threads=2", r"training\.threads"),
    ],
)
def test_what_may_not(override, words, run):
    with pytest.raises(InputError, match=words):
        run.check_same(load_config("quickstart.yaml", [override]))


def test_other_data(run):
    same = SimpleNamespace(digest="abc", name="grains", origin="generated")
    run.check_data(same)
    with pytest.raises(InputError, match=r"was trained on other data .* restore the data"):
        run.check_data(SimpleNamespace(digest="abd", name="grains", origin="generated"))


LOCK = (
    "import sys; from davegan_tf.run_folder import RunFolder\n"
    "with RunFolder(sys.argv[1]).lock(): print('locked', flush=True); sys.stdin.read()\n"
)


def test_the_lock_keeps_another_process_out_until_it_dies(run):
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(InputError, match="another process is training"), run.lock():
            pass
        process.kill()
        process.wait()
    with run.lock():
        pass


def test_the_lock_is_free_after_the_block(run):
    with pytest.raises(KeyError), run.lock():
        raise KeyError
    with run.lock():
        pass


def test_the_manifest_is_plain_json(run):
    assert json.loads(run.manifest.read_text("utf-8")) == MANIFEST
