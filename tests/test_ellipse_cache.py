"""The ellipses' cache: the same images as without it, and never a reason to fail."""

import io

import numpy as np
import pytest

from davegan_tf import ellipse_cache
from davegan_tf.synthetic import ellipses

COUNT = 300


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setattr(ellipse_cache, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(ellipse_cache, "LEAST_CACHED", COUNT)
    return tmp_path / "cache"


@pytest.fixture
def draws(monkeypatch):
    """The arguments of each call that draws."""
    calls = []
    monkeypatch.setattr(
        ellipse_cache, "ellipses", lambda *args: calls.append(args) or ellipses(*args)
    )
    return calls


def same(one, other):
    for mine, theirs in zip(one, other, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def test_what_is_kept_is_what_was_drawn(cache, draws):
    first = ellipse_cache.cached_ellipses(COUNT, 3)
    second = ellipse_cache.cached_ellipses(COUNT, 3)
    same(first, ellipses(COUNT, 3))
    same(second, first)
    assert draws == [(COUNT, 3, 32)]
    assert len(list(cache.iterdir())) == 1
    # 60,000 images take less than the 20 MB of the plan: 128 bytes of pixels and 40 of parameters each, compressed.
    assert next(cache.iterdir()).stat().st_size < COUNT * 168


def test_others_are_drawn(cache, draws):
    ellipse_cache.cached_ellipses(COUNT, 3)
    same(ellipse_cache.cached_ellipses(COUNT, 4), ellipses(COUNT, 4))
    same(ellipse_cache.cached_ellipses(COUNT + 1, 3), ellipses(COUNT + 1, 3))
    ellipse_cache.cached_ellipses(COUNT - 1, 3)
    assert len(draws) == 4
    assert len(list(cache.iterdir())) == 3


def flipped(content):
    """With another first byte of the compressed pixels."""
    start = 30 + sum(int.from_bytes(content[at : at + 2], "little") for at in (26, 28))
    return content[:start] + bytes([content[start] ^ 0xFF]) + content[start + 1 :]


def array(_):
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    "damaged",
    [lambda _: b"", lambda _: b"no archive", lambda content: content[:-200], flipped, array],
)
def test_a_damaged_file_is_drawn_and_written_anew(cache, draws, damaged):
    first = ellipse_cache.cached_ellipses(COUNT, 3)
    path = next(cache.iterdir())
    path.write_bytes(damaged(path.read_bytes()))
    same(ellipse_cache.cached_ellipses(COUNT, 3), first)
    same(ellipse_cache.cached_ellipses(COUNT, 3), first)
    assert len(draws) == 2


def test_without_a_place_to_write_it_draws(cache, draws):
    cache.write_text("a file where the folder should be")
    same(ellipse_cache.cached_ellipses(COUNT, 3), ellipses(COUNT, 3))
    assert len(draws) == 1
