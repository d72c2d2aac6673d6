"""TensorBoard as a user sees it: started on a finished run, asked over HTTP, and looked at in Chromium."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

from davegan_tf.davegan import LOGS

RUN = "grains"
TABS = ("timeseries", "scalars", "images", "hparams", "projector", "text")


class Server:
    """A running TensorBoard."""

    def __init__(self, url):
        self.url = url

    def get(self, path, **query):
        address = f"{self.url}data/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.load(answer)

    def post(self, path, body):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.url}data/{path}", json.dumps(body).encode(), headers
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def logs(grains, tmp_path_factory, davegan):
    """The log of a finished run, with the projector's part and hyperparameters."""
    from davegan_tf.hparams import write_hparams

    home = tmp_path_factory.mktemp("tensorboard")
    shutil.copytree(grains.home / "tb_logs", home / "tb_logs")
    shutil.copytree(grains.run, home / "runs" / RUN)
    done = davegan("embed", f"runs/{RUN}", cwd=home)
    assert done.returncode == 0, done.stderr
    write_hparams(home / "tb_logs" / RUN, {"model.beta": 20, "seed": 0}, {"E_rec": 0.25}, 60)
    return home / "tb_logs"


@pytest.fixture(scope="module")
def server(logs):
    with serve(logs) as server:
        yield server


@contextlib.contextmanager
def serve(logs):
    """A TensorBoard that shows a folder of logs."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", logs, "--port", "0"]
    # Logs are read at the start, and then only when the interval is over.
    command += ["--reload_interval", "2", "--host", "127.0.0.1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                found = re.search(r"http://127\.0\.0\.1:\d+/", line)
                if found:
                    yield Server(found[0])
                    break
            else:
                pytest.fail("".join(lines))
        finally:
            process.terminate()


def tags(server, plugin):
    """Of the run, once they are read."""
    import time

    for _ in range(60):
        found = server.get(f"plugin/{plugin}/tags")
        if found.get(RUN):
            return found[RUN]
        time.sleep(0.5)
    pytest.fail(f"{plugin} has nothing of the run: {found}")


@pytest.mark.slow
def test_losses_answers_and_measures_are_there_in_groups_of_their_own(server):
    names = set(tags(server, "scalars"))
    for log in LOGS:
        group = "probabilities" if log.startswith("probability") else "training_losses"
        assert f"{group}/{log}" in names
    assert {"measures/E_rec", "measures/E_gen", "measures/volume_fraction_1_error"} <= names
    for kind in ("training_tiles", "reconstructed_images", "generated_images"):
        assert f"volume_fraction_1/{kind}" in names
    points = server.get("plugin/scalars/scalars", run=RUN, tag="training_losses/generator_loss")
    assert points[-1][1] == 60


@pytest.mark.slow
def test_images_are_there(server):
    names = set(tags(server, "images"))
    kinds = ("training_tiles", "reconstructed_images", "generated_images")
    assert names == {f"images/{kind}" for kind in kinds}


@pytest.mark.slow
def test_hyperparameters_are_there(server):
    tags(server, "scalars")
    found = server.post("plugin/hparams/experiment", {"experimentName": ""})
    assert {each["name"] for each in found["hparamInfos"]} == {"model.beta", "seed"}
    assert "evaluation/E_rec" in {each["name"]["tag"] for each in found["metricInfos"]}


@pytest.mark.slow
def test_the_projector_is_there(server):
    tags(server, "scalars")
    runs = server.get("plugin/projector/runs")
    assert any(RUN in run for run in runs)
    run = next(run for run in runs if RUN in run)
    (embedding,) = server.get("plugin/projector/info", run=run)["embeddings"]
    points, latent_dim = embedding["tensorShape"]
    # The four tiles, crops and samples.
    assert points > 4
    assert latent_dim == 32


@pytest.mark.slow
@pytest.mark.parametrize("tab", TABS)
def test_each_tab_opens_without_an_error(server, chromium, pictures, tab):
    tags(server, "scalars")
    page, failures = open_tab(chromium, server, tab)
    page.screenshot(path=pictures / f"tensorboard-{tab}.png")
    text = page.inner_text("body")
    page.close()
    assert failures == []
    assert "No dashboards are active" not in text
    assert (pictures / f"tensorboard-{tab}.png").stat().st_size > 10_000


def open_tab(chromium, server, tab, width=1400, height=1000):
    page = chromium.new_page(viewport={"width": width, "height": height})
    failures = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(f"{server.url}#{tab}")
    page.wait_for_timeout(6000)
    return page, failures


@pytest.mark.slow
def test_the_first_view_tells_whether_a_training_is_healthy(chromium, logs, pictures):
    """What TensorBoard shows before anything is clicked; DAVEGAN_LOGS names another log than that of the tiny run.

    README's picture: ``python -m cli train --config quickstart.yaml --set training.evaluate_every=200 --set
    training.images_every=1000``, then ``DAVEGAN_LOGS=tb_logs DAVEGAN_ARTIFACTS=docs`` before this test.
    """
    with serve(os.environ.get("DAVEGAN_LOGS", logs)) as server:
        page, failures = open_tab(chromium, server, "timeseries", 1920, 1080)
        cards = [
            (card.bounding_box(), card.inner_text()) for card in page.locator("card-view").all()
        ]
        # Without the lists of runs and settings at its sides.
        middle = {"x": 386, "y": 200, "width": 1284, "height": 875}
        page.screenshot(path=pictures / "tensorboard.png", clip=middle)
        page.close()
    assert failures == []
    groups = [text.split("\n")[0] for box, text in cards if box["y"] + box["height"] <= 1080]
    assert groups == ["images"] * 3 + ["measures"] * 3
