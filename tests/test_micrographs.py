"""Sources by name, by generator and by path. The network is never touched."""

import hashlib
import io
import logging

import numpy as np
import pooch
import pytest
import requests
from PIL import Image

from davegan_tf import registry
from davegan_tf.errors import InputError
from davegan_tf.micrographs import NAMED, hold_out, load_micrograph
from davegan_tf.synthetic import draw_ellipses

ALLOY = NAMED["alloy"]


@pytest.fixture(autouse=True)
def downloads(monkeypatch):
    """Addresses that were asked for; every download fails like a computer without a network."""
    asked = []

    def no_network(self, url, output_file, pooch):
        asked.append(url)
        raise requests.ConnectionError("no route to host")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", no_network)
    return asked


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A computer with no micrograph on it: the folder that DAVEGAN_DATA names and the cache."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    monkeypatch.setenv("DAVEGAN_DATA", str(data))
    monkeypatch.setattr(registry, "search_folders", lambda: [data, cache])
    monkeypatch.setattr(registry, "cache_folder", lambda: cache)
    return data, cache


@pytest.fixture
def fake_alloy(monkeypatch):
    """Bytes of a small file, entered in the registry as alloy."""
    labels = np.random.default_rng(0).integers(0, 2, (64, 64), dtype=np.uint8)
    buffer = io.BytesIO()
    np.save(buffer, labels)
    content = buffer.getvalue()
    entry = ALLOY._replace(sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(NAMED, "alloy", entry)
    return content, labels


def refused(match, source, **options):
    with pytest.raises(InputError, match=match) as caught:
        load_micrograph(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Phase fractions as published beside the files.
FRACTIONS = {
    "alloy": [0.865],
    "carbonate": [0.139],
    "ceramics": [0.391],
    "copolymer": [0.521],
    "rubber": [0.026],
    "sandstone": [0.197],
    "composite": [0.269, 0.169],
    "synth1": [0.298],
    "synth2": [0.298],
    "synth3": [0.298],
}


@pytest.mark.parametrize("name", NAMED)
def test_named_micrographs(name, downloads):
    if registry.find_local(name) is None:
        pytest.skip(f"the {name} micrograph is not on this computer")
    micrograph = load_micrograph(name)
    assert micrograph.images.shape == (1, 256, 256)
    assert micrograph.images.dtype == np.uint8
    assert micrograph.name == name
    assert micrograph.n_phases == NAMED[name].n_phases
    assert micrograph.fallback_for is None
    assert NAMED[name].file in micrograph.origin
    assert "as given" in micrograph.segmentation
    for phase, fraction in enumerate(FRACTIONS[name], start=1):
        assert (micrograph.images == phase).mean() == pytest.approx(fraction, abs=6e-4)
    assert downloads == []


def test_search_order(monkeypatch, tmp_path):
    monkeypatch.setenv("DAVEGAN_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "cache_folder", lambda: tmp_path / "cache")
    folders = registry.search_folders()
    assert folders[0] == tmp_path
    assert folders[1].resolve() == tmp_path.parent / "shared" / "micrographs"
    assert folders[2].parts[-2:] == ("shared", "micrographs")
    assert folders[-1] == tmp_path / "cache"
    monkeypatch.delenv("DAVEGAN_DATA")
    assert registry.search_folders() == folders[1:]


def test_first_folder_wins_and_nothing_is_downloaded(bare, fake_alloy, downloads):
    data, cache = bare
    cache.mkdir()
    for folder in (data, cache):
        (folder / ALLOY.file).write_bytes(fake_alloy[0])
    micrograph = load_micrograph("alloy")
    np.testing.assert_array_equal(micrograph.images[0], fake_alloy[1])
    assert micrograph.origin == f"file {data / ALLOY.file}"
    (data / ALLOY.file).unlink()
    assert load_micrograph("alloy").origin == f"file {cache / ALLOY.file}"
    assert downloads == []


def test_a_file_with_a_wrong_digest_is_not_used(bare, fake_alloy, downloads, caplog):
    data, cache = bare
    cache.mkdir()
    (data / ALLOY.file).write_bytes(fake_alloy[0][:-1] + b"\x07")
    (cache / ALLOY.file).write_bytes(fake_alloy[0])
    with caplog.at_level(logging.WARNING):
        micrograph = load_micrograph("alloy")
    assert micrograph.origin == f"file {cache / ALLOY.file}"
    assert str(data / ALLOY.file) in caplog.text
    assert "SHA-256" in caplog.text
    assert downloads == []


def test_download_goes_to_the_cache(bare, fake_alloy, monkeypatch):
    def serve(self, url, output_file, pooch):
        assert url == registry.UPSTREAM + ALLOY.file
        assert self.kwargs["timeout"] == registry.TIMEOUT
        with open(output_file, "wb") as file:
            file.write(fake_alloy[0])

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", serve)
    micrograph = load_micrograph("alloy")
    np.testing.assert_array_equal(micrograph.images[0], fake_alloy[1])
    assert "downloaded from https://" in micrograph.origin
    assert (bare[1] / ALLOY.file).read_bytes() == fake_alloy[0]


def test_a_download_with_a_wrong_digest_is_refused(bare, monkeypatch):
    def serve(self, url, output_file, pooch):
        with open(output_file, "wb") as file:
            file.write(b"a login page")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", serve)
    refused("could not be downloaded.*hash", "alloy")
    assert not (bare[1] / ALLOY.file).exists()


def test_no_network_and_no_file_tells_the_ways_out(bare, downloads, capfd):
    message = refused("could not be downloaded", "alloy")
    for way_out in ("DAVEGAN_DATA", registry.UPSTREAM + ALLOY.file, "data.source", "grains"):
        assert way_out in message
    assert downloads == [registry.UPSTREAM + ALLOY.file]
    assert capfd.readouterr().err == ""


def test_offline_fallback_is_recorded(bare, downloads):
    micrograph = load_micrograph(
        "alloy", offline_fallback="grains", micrograph_size=96, generator_seed=3, threshold=128
    )
    assert len(downloads) == 1
    assert micrograph.fallback_for == "alloy"
    assert micrograph.name == "grains"
    same = load_micrograph("grains", micrograph_size=96, generator_seed=3)
    assert micrograph.digest == same.digest
    assert same.fallback_for is None


def test_fallback_is_not_used_where_it_need_not_be(bare, fake_alloy, tmp_path):
    (bare[0] / ALLOY.file).write_bytes(fake_alloy[0])
    assert load_micrograph("alloy", offline_fallback="grains").fallback_for is None
    # A path with a slip in it is a mistake, not a lack of network.
    refused("no file", str(tmp_path / "missing.png"), offline_fallback="grains")
    refused('no generator "grain" .did you mean "grains"', "alloy", offline_fallback="grain")


def test_generators():
    noise = load_micrograph("filtered_noise", micrograph_size=80, generator_seed=1)
    assert noise.images.shape == (1, 80, 80)
    assert noise.n_phases == 2
    assert "80 × 80 pixels, seed 1" in noise.origin
    other = load_micrograph("filtered_noise", micrograph_size=80, generator_seed=2)
    assert noise.digest != other.digest
    board = load_micrograph("checkerboard", micrograph_size=96)
    assert board.images.mean() == 0.5
    ellipses = load_micrograph("ellipses", count=20)
    assert ellipses.images.shape == (20, 32, 32)
    assert ellipses.n_phases == 2
    np.testing.assert_array_equal(draw_ellipses(ellipses.parameters), ellipses.images)
    assert noise.parameters is None
    refused("multiple of the period", "checkerboard", micrograph_size=100)


def test_digest_is_of_shape_and_labels(tmp_path):
    labels = np.random.default_rng(1).integers(0, 2, (64, 128), dtype=np.uint8)
    np.save(tmp_path / "a.npy", labels)
    np.save(tmp_path / "b.npy", labels.astype(np.int64))
    np.save(tmp_path / "c.npy", labels.reshape(128, 64))
    a, b, c = (load_micrograph(tmp_path / f"{name}.npy").digest for name in "abc")
    assert a == b
    assert a != c
    assert len(a) == 64


def test_a_picture_of_ones_own(tmp_path):
    true = np.random.default_rng(2).random((70, 130)) < 0.25
    path = tmp_path / "my steel.png"
    Image.fromarray(np.where(true, 255, 0).astype(np.uint8)).save(path)
    micrograph = load_micrograph(str(path))
    np.testing.assert_array_equal(micrograph.images[0], true)
    assert micrograph.name == "my steel"
    assert micrograph.origin == f"file {path}"
    assert f"phase 1 {true.mean():.4f}" in micrograph.segmentation
    assert "0, 255 taken as labels 0, 1" in micrograph.segmentation
    grey = tmp_path / "grey.png"
    rgba = np.random.default_rng(2).integers(0, 256, (70, 130, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    Image.fromarray(rgba).save(grey)
    phrase = load_micrograph(grey, threshold="otsu").segmentation
    assert phrase.startswith("constant alpha channel dropped; colours converted to luminance; ")
    message = refused("state|stated", grey)
    assert str(grey) in message


def test_bad_sources(tmp_path):
    message = refused('did you mean "sandstone"', "sandston")
    assert "grains" in message
    refused("no file", "no/such/file.png")
    refused("no file", "")
    refused("is a folder", tmp_path)
    small = tmp_path / "small.npy"
    np.save(small, np.eye(63, 200, dtype=np.uint8))
    refused(r"small\.npy is too small: 63 × 200 pixels.*64 × 64", small)
    assert load_micrograph(small, min_side=32).images.shape == (1, 63, 200)
    refused("128 × 128", small, min_side=128)
    flat = tmp_path / "flat.npy"
    np.save(flat, np.zeros((64, 64), np.uint8))
    refused(r"flat\.npy holds one phase only", flat)
    many = tmp_path / "many.npy"
    np.save(many, np.arange(64 * 64).reshape(64, 64) % 4)
    refused("more than the 3 phases", many, phases=3)


# hold_out


def test_the_bottom_rows_are_held_out_and_the_digest_is_of_all():
    whole = load_micrograph("grains", micrograph_size=256)
    part = hold_out(whole, 0.25, 64)
    assert part.images.shape == (1, 192, 256)
    assert part.held_out.shape == (1, 64, 256)
    np.testing.assert_array_equal(np.concatenate([part.images, part.held_out], 1), whole.images)
    assert part.digest == whole.digest
    assert whole.held_out is None


def test_of_several_images_the_last_are_held_out():
    whole = load_micrograph("ellipses", count=10)
    part = hold_out(whole, 0.3, 32)
    assert (len(part.images), len(part.held_out)) == (7, 3)
    np.testing.assert_array_equal(part.held_out, whole.images[7:])
    np.testing.assert_array_equal(draw_ellipses(part.parameters), part.images)


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_each_part_must_hold_an_image(share):
    whole = load_micrograph("grains", micrograph_size=256)
    with pytest.raises(InputError, match=r"data\.holdout.*between 0\.25 and 0\.75"):
        hold_out(whole, share, 64)


def test_the_advised_shares_can_be_held_out():
    whole = load_micrograph("grains", micrograph_size=300)
    with pytest.raises(InputError, match=r"between 0\.22 and 0\.78"):
        hold_out(whole, 0.1, 64)
    for share in (0.22, 0.78):
        part = hold_out(whole, share, 64)
        assert min(part.images.shape[1], part.held_out.shape[1]) >= 64
    with pytest.raises(InputError, match="too few for any share"):
        hold_out(load_micrograph("grains", micrograph_size=100), 0.5, 64)
