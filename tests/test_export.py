"""`davegan export` whatever the format: model card, mistakes, failures; a new format is one line."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import pytest

from cli import export as command
from cli.main import main
from davegan_tf import explorer, export, export_savedmodel, tensorflow_setup
from davegan_tf.building import load_model
from davegan_tf.davegan import DAVEGAN
from davegan_tf.errors import InputError
from davegan_tf.evaluation_table import format_table
from davegan_tf.export_card import model_card, scorecard_of
from davegan_tf.export_check import check_export, format_checked
from davegan_tf.packaged import MODELS
from davegan_tf.run_folder import RunFolder

# Those with a model card.
FOLDERS = [name for name, each in command.FORMATS.items() if not each.suffix]


@pytest.fixture(scope="module", params=FOLDERS)
def exported(request, tmp_path_factory):
    """Name of the format and folder of the packaged composite's export, and what its check found."""
    for package in command.FORMATS[request.param].packages:
        pytest.importorskip(package.replace("-", "_"), reason="the extra `export` is not installed")
    out = tmp_path_factory.mktemp(request.param) / "composite"
    arguments = ["export", "composite", "--format", request.param, "--out", str(out)]
    found = []

    def check(*arguments, **options):
        found.append(check_export(*arguments, **options))
        return found[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "check_export", check)
        assert main(arguments) == 0
    return request.param, out, found[0]


def test_a_packaged_model(exported):
    _, out, _ = exported
    assert [path.name for path in out.parent.iterdir()] == ["composite"]
    assert out.stat().st_mode & 0o777 == 0o755


def test_it_is_as_near_as_readme_says(exported):
    """The bounds of test_export_packaged.py."""
    name, _, checked = exported
    assert len(checked.differences) == 4
    limit = 0.0 if name == "savedmodel" else 1e-5
    assert [each for each in checked.differences if each.largest > limit] == []
    moved = [each.moved for each in checked.differences if each.moved is not None]
    assert len(moved) == 2 and max(moved) <= limit


def test_the_card(exported):
    _, out, checked = exported
    card = (out / "README.md").read_text()
    for phrase in (
        "# composite\n\nDA-VEGAN trained on the micrograph `composite`, 256 × 256 pixels, ",
        *(f"| `{function}` | " for function in ("encode", "generate", "reconstruct")),
        "- `images`: (n, 64, 64, 3), in [0, 1]: channel k is 1 where a pixel is of phase k, else 0",
        "- `z`: (n, 32)",
        "of the phase of its largest channel",
        "- Phases: 3; three-phase rubber composite; labels 0, 1, 2 as given; volume fractions",
        "- Pixel size: not known",
        "- Licence of the training data: CC BY 4.0 (Li et al.",
        "in a process of its own, on 64 random inputs:",
        "\ngenerate probabilities ",
        format_checked(checked),
        "E_rec",
        "autocovariance",
    ):
        assert phrase in card, phrase
    assert "{" not in re.sub(r"```.*?```", "", card, flags=re.S)
    assert str(MODELS) not in card


def test_the_card_s_example_runs(exported):
    """As its reader would: in a process of its own, beside the export."""
    _, out, _ = exported
    (example,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.S)
    result = re.search(r"^\(?(labels|probabilities)\b", example, re.M)[1]
    done = subprocess.run(
        [sys.executable, "-c", f"{example}\nprint({result}.shape)"],
        cwd=out.parent,
        capture_output=True,
        text=True,
    )
    expected = "(16, 64, 64)" if result == "labels" else "(16, 64, 64, 3)"
    assert done.stdout == f"{expected}\n", done.stderr


def test_pixel_size_and_a_run_without_scorecard(grains, tmp_path):
    class Run(RunFolder):
        def read_config(self):
            config = super().read_config()
            data = config.data.model_copy(update={"pixel_size": 0.25, "unit": "nm"})
            return config.model_copy(update={"data": data})

    run = Run(grains.run)
    run.evaluation = tmp_path / "none.json"
    card = model_card(run, load_model(run)[0], 60, "kind", "use\n", "checked")
    assert "- Pixel size: 0.25 nm" in card
    assert "the built-in generator `grains`" in card
    assert "a pixel is of phase 1 from 0.5" in card
    assert "Licence of the training data: none needed: it is generated" in card
    assert f"Not measured yet: `python -m cli evaluate {grains.run}`" in card


def test_an_image_of_one_s_own_that_is_called_like_a_material(tmp_path):
    """It has neither the material's licence nor the paper's figures, in the card and in the explorer's page."""
    shutil.copytree(MODELS / "alloy", tmp_path / "alloy")
    run = RunFolder(tmp_path / "alloy")
    card = model_card(run, DAVEGAN(), 36000, "kind", "use\n", "checked")
    assert "CC BY 4.0" in card and "0 grain boundary" in card and "4.66e-03" in card
    config = run.config.read_text("utf-8")
    run.config.write_text(config.replace("source: alloy", "source: photos/alloy.png"), "utf-8")
    card = model_card(run, DAVEGAN(), 36000, "kind", "use\n", "checked")
    assert "the micrograph `alloy`" in card and "the owner of the image decides" in card
    assert not any(phrase in card for phrase in ("CC BY", "0 grain boundary", "4.66e-03"))
    told = explorer._description(run, DAVEGAN(), 36000)
    assert "the owner of the image decides" in told["licence"]
    assert told["material"] is None and "4.66e-03" not in told["scorecard"]


def test_a_scorecard_of_another_step_or_of_filtered_samples_is_not_the_export_s(tmp_path):
    shutil.copytree(MODELS / "alloy", tmp_path / "alloy")
    run = RunFolder(tmp_path / "alloy")
    assert "256 samples of the prior" in scorecard_of(run, 36000)
    assert scorecard_of(run, 40000) is None
    evaluation = run.read_evaluation()
    run.evaluation.write_text(json.dumps(evaluation | {"filter": 3}))
    assert scorecard_of(run, 36000) is None
    table = format_table(run.read_evaluation())
    assert "256 samples of the prior, after a majority filter of size 3" in table
    run.evaluation.write_text("{}")
    with pytest.raises(InputError, match=r"evaluation\.json: step, .* missing"):
        scorecard_of(run, 36000)


def test_another_precision_is_told(grains):
    def card(precision):
        model = DAVEGAN(precision=precision)
        return model_card(RunFolder(grains.run), model, 60, "kind", "use\n", "checked")

    assert "It computes in" not in card("float32")
    assert "- It computes in mixed_bfloat16; it was trained in float32." in card("mixed_bfloat16")


# Mistakes and failures


@pytest.fixture
def full(tmp_path):
    """A folder with the folder `full`, which must not be lost."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    yield tmp_path
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "precious"]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--out", "model.onnx"], "without .onnx; files go into it"),
        (["--out", "full"], "exists already; give a new or an empty folder"),
        (["--out", "new", "--quantize"], "only --format litert has quantised weights"),
        (["--out", "new", "--format", "pickle"], "'pickle' is not one of"),
    ],
)
def test_mistakes(full, options, message, monkeypatch, capsys):
    def too_early(*_):
        raise RuntimeError("TensorFlow would have been imported")

    monkeypatch.setattr(tensorflow_setup, "start_tensorflow", too_early)
    monkeypatch.chdir(full)
    assert main(["export", "alloy", *options]) == 2
    assert message in capsys.readouterr().err


# The last of them to be told, by a process.
def test_a_mistake_is_told_without_tensorflow(full, davegan, no_tensorflow):
    done = davegan("export", "alloy", "--out", "full", cwd=full, env=no_tensorflow)
    assert done.returncode == 2
    assert "exists already" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_without_the_extra(name, monkeypatch, tmp_path, capsys):
    found = importlib.util.find_spec
    packages = command.FORMATS[name].packages
    modules = [package.replace("-", "_") for package in packages]
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda each, *a: None if each in modules else found(each, *a)
    )
    assert main(["export", "alloy", "--format", name, "--out", str(tmp_path / "new")]) == 2
    said = capsys.readouterr().err
    assert f"install with `python -m pip install {' '.join(packages)}`." in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_the_run_is_not_written(grains, monkeypatch, tmp_path, capsys):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="the extra `export` is not installed")
    from davegan_tf import export_onnx

    make, other = export_onnx.onnx_model, DAVEGAN(seed=5)
    monkeypatch.setattr(export_onnx, "onnx_model", lambda _, function: make(other, function))
    out = str(tmp_path / "new")
    assert main(["export", str(grains.run), "--format", "onnx", "--out", out]) == 2
    said = capsys.readouterr()
    assert re.search(r"new was not written\. onnxruntime .* z_mean of encode differs", said.err)
    assert "wrote" not in said.out
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_an_interrupted_export(grains, monkeypatch, tmp_path):
    def fail(_, folder):
        (folder / "saved_model.pb").write_text("half")
        raise OSError("no more")

    monkeypatch.setattr(export_savedmodel, "save", fail)
    with pytest.raises(OSError, match="no more"):
        main(["export", str(grains.run), "--out", str(tmp_path / "new")])
    assert list(tmp_path.iterdir()) == []


def test_a_new_format_is_one_line(monkeypatch, tmp_path, capsys):
    def write(path, model, run, step):
        path.write_text(json.dumps({"latent_dim": model.latent_dim, "run": run.name}))
        return f"wrote {path}, step {step}"

    monkeypatch.setattr(export_savedmodel, "write_page", write, raising=False)
    page = command.Format("a page", "davegan_tf.export_savedmodel:write_page", suffix=".html")
    monkeypatch.setitem(command.FORMATS, "page", page)
    choice = next(each.type for each in command.export.params if each.name == "name")
    monkeypatch.setattr(choice, "choices", [*choice.choices, "page"])
    for wrong in ("alloy.htm", "alloy"):
        assert main(["export", "alloy", "--format", "page", "--out", str(tmp_path / wrong)]) == 2
        assert "give the name of a file that ends in .html" in capsys.readouterr().err
    out = tmp_path / "alloy.html"
    assert main(["export", "alloy", "--format", "page", "--out", str(out)]) == 0
    assert json.loads(out.read_text()) == {"latent_dim": 32, "run": "alloy"}
    assert "alloy.html, step " in capsys.readouterr().out
