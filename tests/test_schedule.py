"""Which settings act at which step, and which never do."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from davegan_tf.config import load_config
from davegan_tf.errors import InputError
from davegan_tf.schedule import Schedule


def schedule(*overrides):
    """Of alloy.yaml: four steps an epoch."""
    micrograph = SimpleNamespace(images=np.zeros((1, 256, 256), np.uint8))
    return Schedule(load_config("alloy.yaml", overrides), micrograph)


SHORT = (
    "training.epochs=40",
    "training.freeze_statistics_after=10",
    "training.match_statistics_after=20",
    "training.decay_after=30",
)
ALL = {"freeze_statistics_after": 10, "match_statistics_after": 20, "decay_after": 30}


@pytest.mark.parametrize(
    ("chunk_steps", "late"),
    [
        (200, ALL),  # of which 160 are run
        (80, {"decay_after": 30}),
        # From step 120 on, but in the last chunk rates are still the whole ones.
        (40, {"decay_after": 30}),
        (20, {}),
    ],
)
def test_what_begins_after_the_last_chunk_is_never_reached(chunk_steps, late):
    short = schedule(*SHORT, f"training.chunk_steps={chunk_steps}")
    assert short.never_reached == late
    starts = range(0, short.total, chunk_steps)
    acts = {
        "freeze_statistics_after": any(step >= short.frozen_from for step in starts),
        "match_statistics_after": any(step >= short.matched_from for step in starts),
        "decay_after": any(short.learning_rate_share(step) < 1 for step in starts),
    }
    assert {name for name, does in acts.items() if not does} == late.keys()


def test_a_run_that_goes_on_within_a_chunk_has_that_chunks_rates():
    # Rates fall from step 200 on; a shorter run ended at step 300.
    longer = schedule("training.epochs=150", "training.decay_after=50", "training.chunk_steps=200")
    assert [longer.learning_rate_share(step) for step in (200, 300, 399)] == [1, 1, 1]
    assert longer.learning_rate_share(400) == longer.learning_rate_share(500) == 0.5


def test_more_pixels_than_can_be_numbered_are_refused(monkeypatch):
    monkeypatch.setattr("davegan_tf.schedule.MOST_PIXELS", 2 * 256**2)
    schedule("data.real_turned=true")
    monkeypatch.setattr("davegan_tf.schedule.MOST_PIXELS", 2 * 256**2 - 1)
    with pytest.raises(InputError, match="131,072 pixels, turned ones counted, are more than"):
        schedule("data.real_turned=true")
    schedule("data.real_turned=false")


def test_what_is_not_asked_for_is_not_missed():
    assert schedule().never_reached == {}
    null = [f"training.{name}=null" for name in ALL]
    zero = ("model.lambda_statistics=0", "model.lambda_independence=0")
    assert schedule(*null, *zero).never_reached == {}


@pytest.mark.parametrize("weight", ["lambda_statistics", "lambda_independence"])
def test_without_a_weight_there_is_nothing_to_match(weight):
    zero = ("model.lambda_statistics=0", "model.lambda_independence=0")
    assert schedule(*zero).matched_from == math.inf
    assert "match_statistics_after" not in schedule(*SHORT, *zero).never_reached
    assert schedule(*zero, f"model.{weight}=2").matched_from == 4500 * 4
