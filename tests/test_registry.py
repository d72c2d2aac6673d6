"""Where named micrographs are looked for; the rest of the registry is tested in test_micrographs.py."""

from pathlib import Path

import pytest

from davegan_tf import registry


@pytest.mark.parametrize(
    ("stated", "meant"), [("~/x", "/home/me/x"), ("~nobodyhere/x", "~nobodyhere/x")]
)
def test_a_folder_of_one_s_own(stated, meant, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DAVEGAN_DATA", stated)
    assert registry.search_folders()[0] == Path(meant)
    assert registry.places("rubber")[0] == Path(meant, "pmma_resized.npy")
