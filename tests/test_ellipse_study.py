"""The study of Section 4.2 on models of which the answer is known, and Figures 3 and 4 from the command line."""

import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from cli.main import main
from davegan_tf import beta_study, ellipse_study, jobs
from davegan_tf.ellipse_fit import fit_ellipse
from davegan_tf.ellipse_study import reference_image, study, traversal_measures
from davegan_tf.synthetic import draw_ellipses, ellipses

# A code: the parameters a, b, row, column, angle, so scaled that an ellipse stays one up to ±3.
CENTRE = np.array([7.0, 4.0, 15.5, 15.5, np.pi / 2])
SCALE = np.array([0.8, 0.4, 1.5, 1.5, 0.4])


class Perfect:
    """Encodes the fitted parameters, draws them again."""

    def encode(self, images):
        z = (fit_ellipse(np.asarray(images)[..., 0]).parameters - CENTRE) / SCALE
        return z.astype(np.float32), np.full(z.shape, -4, np.float32)

    def generate(self, z):
        parameters = np.asarray(z, np.float64) * SCALE + CENTRE
        return tf.constant(draw_ellipses(parameters)[..., None], tf.float32)

    def reconstruct(self, images):
        return self.generate(self.encode(images)[0])


class Useless:
    """Codes that have nothing to do with the image, images of noise."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def encode(self, images):
        z = self.rng.standard_normal((len(images), 5)).astype(np.float32)
        return z, np.zeros_like(z)

    def generate(self, z):
        return tf.constant(self.rng.random((len(z), 32, 32, 1)), tf.float32)

    def reconstruct(self, images):
        return self.generate(images)


@pytest.fixture(scope="module")
def data():
    return ellipses(800, seed=0)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(ellipse_study, "TRAVERSED", 5)


def test_a_perfect_code_is_called_so(data):
    result = study(Perfect(), *data)
    assert result["E_rec"] < 1e-3
    assert result["pixel_accuracy"] > 0.995
    assert result["images"] == {"reconstructed": 800, "analysed": 800, "traversed": 5}
    for name in ("row", "column", "a", "b"):
        assert result["r2"][name]["linear"] > 0.97
    assert result["disentanglement"]["dci_disentanglement"] > 0.6
    # Dimensions 2 and 3 are row and column.
    importances = result["disentanglement"]["importances"]
    assert np.argmax(importances["row"]) == 2
    assert np.argmax(importances["column"]) == 3
    assert result["posterior"]["active"] == 5
    assert result["traversal"]["one_ellipse_within_2"] > 0.9
    json.dumps(result)


def test_a_useless_code_is_called_so(data):
    result = study(Useless(), *data)
    assert result["E_rec"] > 1e-2
    assert max(scores["neighbours"] for scores in result["r2"].values()) < 0.1
    assert result["disentanglement"]["mig"] < 0.05
    assert result["traversals"]["one_ellipse_within_3"] == 0


def test_a_jump_is_sudden_and_named():
    """Dimension 2 moves the ellipse at once from one half to the other."""

    class Jumping(Perfect):
        def generate(self, z):
            z = np.array(z)
            z[:, 2] = np.where(z[:, 2] > 0.1, 2, -2)
            return super().generate(z)

    measures = traversal_measures(Jumping(), np.zeros(5))
    # Of hard pixels, which no model draws, small ellipses grow in jumps, too.
    assert 2 in measures["sudden"]
    assert 3 not in measures["sudden"]
    assert measures["largest_step"][2] == pytest.approx(24)


def test_frames_beyond_two_deviations_count_for_three_only():
    class Far(Perfect):
        def generate(self, z):
            images = super().generate(z).numpy()
            images[np.abs(z).max(axis=1) > 2.1] = 0
            return tf.constant(images)

    whole, cut = (traversal_measures(model, np.zeros(5)) for model in (Perfect(), Far()))
    assert cut["one_ellipse_within_2"] == whole["one_ellipse_within_2"] > 0.9
    # 17 of the 25 frames of a dimension lie within ±2.
    assert cut["one_ellipse_within_3"] == pytest.approx(17 / 25 * cut["one_ellipse_within_2"])


def test_the_reference_sample_is_the_papers():
    image = reference_image()
    assert image.any(axis=1).sum() == 14
    assert image.any(axis=0).sum() == 6


def result(beta, error, share, std=(0.9, 1.1)):
    return {
        "beta": beta,
        "E_rec": error,
        "posterior": {"std": std},
        "traversals": {"one_ellipse_within_2": share},
    }


def test_the_best_beta_is_by_the_stated_criterion():
    results = [result(0.1, 0.001, 0.6), result(1, 0.004, 0.9), result(50, 0.02, 1.0)]
    assert beta_study.best(results)["beta"] == 1
    assert beta_study.best(results[2:]) is None
    results += [result(0.01, 0.001, 1.0, (0.9, 2.5)), result(0.5, 0.001, 1.0, (0.2, 1.1))]
    assert beta_study.best(results)["beta"] == 1


# The command line


def test_a_run_of_another_material_is_refused(grains, davegan):
    done = davegan("study", grains.run, cwd=grains.home)
    assert done.returncode == 2
    assert re.search(r"no parameters.*ellipses\.yaml", done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("betas", ["", "1,x", "-1", "0", "inf"])
def test_bad_betas_are_refused(betas, capsys):
    assert main(["reproduce", "figure3", "--betas", betas]) == 2
    assert "expected numbers from 1e-9 to 1e9, such as" in capsys.readouterr().err


@pytest.mark.slow
def test_figures_3_and_4(ellipses, tmp_path, monkeypatch, capsys):
    """With one training copied for two values of β, one of them measured; what is missing would be trained."""
    monkeypatch.chdir(tmp_path)
    # The copies are of another configuration than the command would train.
    monkeypatch.setattr(jobs, "check_begun", lambda *arguments: None)
    for beta in ("0.1", "1"):
        run = tmp_path / "runs" / "ellipses" / f"beta={beta}-epochs=3-0"
        shutil.copytree(ellipses.run, run)
        config = run / "config.yaml"
        text, count = re.subn(r"  beta: .*", f"  beta: {beta}", config.read_text())
        assert count == 1
        config.write_text(text.replace("count: 64", "count: 300"))
        manifest = json.loads((run / "manifest.json").read_text())
        _fit_data(manifest, run)
    # The other is measured as all are, by a process.
    assert main(["study", str(run)]) == 0
    arguments = ["--epochs", "3", "--betas", "0.1,1", "--resume"]
    assert main(["reproduce", "figure3", *arguments]) == 0, capsys.readouterr().err
    assert main(["reproduce", "figure4", *arguments]) == 0, capsys.readouterr().err
    out = tmp_path / "docs" / "results"
    table = json.loads((out / "figure3.json").read_text())
    assert [each["beta"] for each in table] == [0.1, 1]
    page = (out / "figure3.md").read_text()
    assert "reproduce figure3 --epochs 3 --betas 0.1,1 --seeds 0" in page
    assert (out / "figure3.png").stat().st_size > 10_000
    page = (out / "figure4.md").read_text()
    for picture in re.findall(r"\]\((figure4/.*?)\)", page):
        assert (out / picture).is_file()
    assert page.count("](figure4/") == 2


def _fit_data(manifest, run):
    """The manifest of a run on 300 ellipses: the study needs more than the 64 it was trained on."""
    from davegan_tf.manifest import describe_run
    from davegan_tf.micrographs import load_from_config
    from davegan_tf.run_folder import RunFolder

    config = RunFolder(run).read_config()
    manifest["data"] = describe_run(config, load_from_config(config))["data"]
    (run / "manifest.json").write_text(json.dumps(manifest))
