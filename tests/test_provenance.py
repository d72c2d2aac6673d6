"""What a run was trained on: named, generated, a stand-in, or an image that merely is called like one of these."""

import pytest

from davegan_tf.config import Config
from davegan_tf.provenance import provenance


def of(source, name, stands_in_for=None):
    config = Config.model_validate({"name": "run", "data": {"source": source}})
    return provenance(config, {"name": name, "stands_in_for": stands_in_for})


def test_a_micrograph_of_the_paper():
    found = of("alloy", "alloy")
    assert found.source == "the micrograph `alloy`"
    assert found.licence.startswith("CC BY 4.0")
    assert "grain boundary" in found.description
    assert found.paper == "alloy"


def test_a_generator():
    found = of("checkerboard", "checkerboard")
    assert found.source == "the built-in generator `checkerboard`"
    assert found.licence.startswith("none needed")
    assert found.paper == "checkerboard"
    # No other generator is in Table 4.
    assert of("grains", "grains").paper is None


def test_a_stand_in_has_no_figures_of_the_paper():
    found = of("alloy", "grains", "alloy")
    assert found.source == "the built-in generator `grains`, in place of `alloy`"
    assert found.licence.startswith("none needed")
    assert found.paper is found.description is None


@pytest.mark.parametrize("name", ["alloy", "grains", "checkerboard", "steel"])
def test_an_own_image_is_nobody_else_s_whatever_its_name(name):
    found = of(f"{name}.png", name)
    assert found.source == f"the micrograph `{name}`"
    assert "owner of the image" in found.licence
    assert found.paper is found.description is None
