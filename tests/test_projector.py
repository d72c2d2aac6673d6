"""What TensorBoard's projector is given: places, metadata, thumbnails, and that TensorBoard reads them."""

import json
from urllib.parse import urlencode

import imageio.v3 as iio
import numpy as np
import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client

from davegan_tf import projector
from davegan_tf.dataset import tile_positions
from davegan_tf.errors import InputError

WIDTH = projector.FRAME_WIDTH


def ask(logs, route, **query):
    """TensorBoard's answer at /data/plugin/projector/ROUTE, by its own plugin on a folder of logs."""
    runs = EventMultiplexer().AddRunsFromDirectory(str(logs))
    runs.Reload()
    provider = MultiplexerDataProvider(runs, str(logs))
    plugin = ProjectorPlugin(TBContext(logdir=str(logs), data_provider=provider))
    answer = Client(plugin.get_plugin_apps()[f"/{route}"]).get(f"/?{urlencode(query)}")
    assert answer.status_code == 200, answer.data
    return answer.data


# Places


def test_all_tiles_then_crops_none_twice():
    shape = (1, 100, 130)
    places, n_tiles = projector.choose_places(shape, 32, 200, seed=1)
    assert n_tiles == 12
    np.testing.assert_array_equal(places[:12], tile_positions(shape, 32))
    assert len(places) == len(np.unique(places, axis=0)) == 200
    assert (places >= 0).all() and (places <= (0, 68, 98)).all()
    again, _ = projector.choose_places(shape, 32, 200, seed=1)
    np.testing.assert_array_equal(places, again)
    assert (places != projector.choose_places(shape, 32, 200, seed=2)[0]).any()


def test_of_more_tiles_than_points_evenly_spread_ones():
    places, n_tiles = projector.choose_places((500, 32, 32), 32, 5)
    assert n_tiles == 5
    np.testing.assert_array_equal(places[:, 0], [0, 125, 250, 374, 499])


def test_there_are_no_more_points_than_places():
    places, n_tiles = projector.choose_places((3, 32, 32), 32, 100)
    assert n_tiles == len(places) == 3
    places, n_tiles = projector.choose_places((1, 33, 33), 32, 1000)
    assert (n_tiles, len(places)) == (1, 4)


# Metadata and thumbnails


def test_metadata():
    labels = np.zeros((3, 4, 4), np.uint8)
    labels[1, :, 2:] = 1
    labels[2] = 2
    places = np.array([[0, 0, 0], [0, 0, 4], [0, 3, 1]])
    columns = projector.metadata(labels, 3, places, 2)
    np.testing.assert_array_equal(columns["volume_fraction_0"], [1, 0.5, 0])
    np.testing.assert_array_equal(columns["volume_fraction_1"], [0, 0.5, 0])
    np.testing.assert_array_equal(columns["volume_fraction_2"], [0, 0, 1])
    np.testing.assert_allclose(columns["interface_density"], [0, 4 / 24, 0], atol=1e-4)
    assert columns["kind"] == ["tile", "tile", "crop"]
    np.testing.assert_array_equal(columns["row"], [0, 0, 3])
    np.testing.assert_array_equal(columns["column"], [0, 4, 1])
    two = projector.metadata(labels[:2], 2, places[:2], 2)
    assert [name for name in two if "fraction" in name] == ["volume_fraction_1"]


def test_thumbnails_follow_each_other_row_by_row_in_frames():
    labels = np.random.default_rng(0).integers(0, 3, (7, 8, 8)).astype(np.uint8)
    picture, side = projector.sprite(labels, 3)
    assert side == 8 + 2 * WIDTH
    assert picture.shape == (3 * side, 3 * side, 3)
    for index, image in enumerate(labels):
        top, left = (side * place for place in divmod(index, 3))
        thumbnail = picture[top : top + side, left : left + side]
        inside = thumbnail[WIDTH:-WIDTH, WIDTH:-WIDTH]
        np.testing.assert_array_equal(
            inside, np.array([0, 128, 255])[image][..., None].repeat(3, -1)
        )
        assert (thumbnail[:WIDTH] == projector.FRAME).all()


def test_thumbnails_shrink_until_browsers_can_draw_them(monkeypatch):
    monkeypatch.setattr(projector, "LARGEST_SPRITE", 40)
    labels = np.zeros((9, 16, 16), np.uint8)
    labels[:, :, ::2] = 1
    picture, side = projector.sprite(labels, 2)
    assert side == 4 + 2 * WIDTH
    assert picture.shape == (3 * side, 3 * side, 3)
    assert (picture[WIDTH : WIDTH + 4, WIDTH : WIDTH + 4] == 128).all()


# Written, and read by TensorBoard


def write(folder, count=20, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (count, 8, 8)).astype(np.uint8)
    z = rng.standard_normal((count, 6)).astype(np.float32)
    places = np.zeros((count, 3), int)
    columns = projector.metadata(labels, 2, places, 4)
    picture, thumbnail = projector.sprite(labels, 2)
    projector.write_embedding(folder, z, columns, picture, thumbnail, f"{count} points")
    return z, columns, picture, thumbnail


def test_tensorboard_shows_it(tmp_path):
    z, columns, picture, thumbnail = write(tmp_path / "alloy" / "projector")
    run = "alloy/projector"
    assert json.loads(ask(tmp_path, "runs")) == [run]
    (embedding,) = json.loads(ask(tmp_path, "info", run=run))["embeddings"]
    assert embedding["tensorShape"] == [20, 6]
    assert embedding["sprite"]["singleImageDim"] == [thumbnail, thumbnail]
    name = embedding["tensorName"]
    tensor = np.frombuffer(ask(tmp_path, "tensor", run=run, name=name), np.float32)
    np.testing.assert_array_equal(tensor.reshape(20, 6), z)
    header, *rows = ask(tmp_path, "metadata", run=run, name=name).decode().splitlines()
    assert header.split("\t") == list(columns)
    assert len(rows) == 20
    assert rows[0].split("\t")[:3] == [
        str(columns["volume_fraction_1"][0]),
        str(columns["interface_density"][0]),
        "tile",
    ]
    events = EventAccumulator(str(tmp_path / run), size_guidance={"tensors": 0}).Reload()
    (text,) = events.Tensors("projector")
    assert text.tensor_proto.string_val == [b"20 points"]
    sprite = iio.imread(ask(tmp_path, "sprite_image", run=run, name=name))
    np.testing.assert_array_equal(sprite, picture)


def test_the_log_of_a_training_beside_it_changes_nothing(tmp_path):
    import tensorflow as tf

    with tf.summary.create_file_writer(str(tmp_path / "alloy")).as_default(step=0):
        tf.summary.scalar("training_losses/kl_loss", 1.0)
    write(tmp_path / "alloy" / "projector")
    write(tmp_path / "copolymer" / "projector", count=5)
    assert json.loads(ask(tmp_path, "runs")) == ["alloy/projector", "copolymer/projector"]


def test_an_older_embedding_is_replaced(tmp_path):
    folder = tmp_path / "projector"
    write(folder)
    write(folder, count=7, seed=1)
    assert len(list(folder.iterdir())) == 5
    (embedding,) = json.loads(ask(tmp_path, "info", run="projector"))["embeddings"]
    assert embedding["tensorShape"] == [7, 6]
    assert [path.name for path in tmp_path.iterdir()] == ["projector"]


def test_a_failure_leaves_the_older_one(tmp_path, tree, monkeypatch):
    folder = tmp_path / "projector"
    write(folder)
    before = tree(tmp_path)

    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(iio, "imwrite", full)
    with pytest.raises(OSError, match="no space"):
        write(folder, seed=1)
    assert tree(tmp_path) == before


def test_what_is_no_embedding_is_not_replaced(tmp_path, monkeypatch):
    for fine in (tmp_path / "new" / "folder", tmp_path):
        projector.check_folder(fine)
    write(tmp_path / "projector")
    projector.check_folder(tmp_path / "projector")
    with pytest.raises(InputError, match=r"--out .*: holds something that is no embedding"):
        projector.check_folder(tmp_path)
    (tmp_path / "projector" / "notes.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for folder in ("projector", "file"):
        with pytest.raises(InputError, match="holds something"):
            projector.check_folder(tmp_path / folder)
    # The log of a training.
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "events.out.tfevents.1").write_text("precious")
    with pytest.raises(InputError, match="holds something that is no embedding"):
        projector.check_folder(tmp_path / "log")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(InputError, match="the folder you are in"):
        projector.check_folder(tmp_path / "empty")
