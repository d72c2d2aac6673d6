"""Arguments, options, types and callbacks that several commands share."""

from pathlib import Path

import click

from davegan_tf.limits import LARGEST_SEED

RUN = click.argument("run", type=click.Path(path_type=Path))
SET = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key; repeatable."
)
# As `seed` and `data.generator_seed` of a config.
SEED = click.IntRange(0, LARGEST_SEED)


def comma_separated(text):
    """The parts between commas, each once."""
    return list(dict.fromkeys(part.strip() for part in text.split(",")))


def whole_numbers(text, what, example):
    """A list of int, each once; ``what`` they are and an ``example`` are for the message."""
    parts = comma_separated(text)
    if not all(part.isdecimal() for part in parts):
        raise click.BadParameter(
            f'"{text}" is no list of {what}; expected numbers such as {example}'
        )
    return list(dict.fromkeys(map(int, parts)))
