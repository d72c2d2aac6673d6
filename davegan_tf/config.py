"""Configs as files: find, read with overrides, check, write.

The keys themselves are in config_schema.py. Nothing heavy is imported here, so that a mistake in a
config is reported at once.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from davegan_tf import config_errors
from davegan_tf.config_schema import Config
from davegan_tf.errors import InputError
from davegan_tf.spelling import nearest
from davegan_tf.strict_yaml import parse_value, read_mapping

__all__ = ["Config", "dump_config", "find_config", "load_config", "packaged_configs"]


def load_config(path_or_name: str | os.PathLike, overrides: Sequence[str] = ()) -> Config:
    """Read and check a config.

    Parameters
    ----------
    path_or_name : file, or name of a packaged config, see `find_config`.
    overrides : ``section.key=value`` each, the value in YAML; the last one of a key wins.

    A file may name another as its ``base`` (beside it, in the working directory or packaged) and
    then holds only what differs from that one.

    Raises
    ------
    InputError
        If the file or an override cannot be used; names the file (or ``--set``) and the key.
    """
    path = find_config(path_or_name)
    values, places = _read(path)
    if "name" not in values:
        values["name"] = re.sub(r"[^\w.-]+", "-", path.stem).lstrip("-.")[:100] or "run"

    given: dict[str, str] = {}
    for override in overrides:
        key, value = _override(override)
        section, _, name = key.rpartition(".")
        target = values[section] if section else values
        if isinstance(target, dict):  # else the section itself is wrong, which is reported below
            target[name] = value
        given[key] = f"--set {override}"

    def origin(key: str) -> str:
        if key in given:
            return given[key]
        if not key:  # keys that do not fit together, from wherever
            return " ".join([str(path), *(["with", *given.values()] if given else [])])
        return places.get(key, str(path))

    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError(config_errors.explain(error, Config, origin)) from None


def find_config(path_or_name: str | os.PathLike) -> Path:
    """Find a config in the working directory, then among the packaged ones, with or without .yaml.

    Raises
    ------
    InputError
        If there is none; names the packaged configs and the nearest.
    """
    given = str(path_or_name)
    wanted = Path(os.path.expanduser(given))
    candidates = [wanted, Path(f"{wanted}.yaml")]
    if given and not wanted.is_absolute() and ".." not in wanted.parts:
        candidates += [packaged_configs() / path for path in (wanted, f"{wanted}.yaml")]
    for path in candidates if given else ():
        if os.path.exists(path) and not os.path.isdir(path):
            return path
    if given and os.path.isdir(wanted):
        inside = wanted / "config.yaml"
        advice = f"did you mean {inside}?" if os.path.isfile(inside) else "expected a YAML file."
        raise InputError(f"The config {given} is a directory; {advice}")
    folder = packaged_configs()
    packaged = sorted(
        path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")
    )
    likely = nearest(wanted.stem, packaged)
    advice = f"; did you mean {likely}.yaml?" if likely else ""
    raise InputError(
        f'There is no config "{given:.200}" in the working directory or among the packaged ones '
        f"({', '.join(packaged)}){advice or '.'}"
    )


def packaged_configs() -> Path:
    """Folder of the configs that come with the package."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "configs"


def dump_config(config: Config) -> str:
    """Write a config as YAML with every key, in the schema's order; `load_config` reads it."""
    return yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True)


def _read(path: Path, named_in: str | None = None) -> tuple[dict, dict[str, str]]:
    """Values of a file on top of those of its ``base``, and each dotted key's place (file, line).

    `named_in` is the place that names this file as a base.
    """
    values, lines = read_mapping(path)
    places = {key: f"{path}, line {line}" for key, line in lines.items()}
    sections = config_errors.sections(Config)
    for section in sections:
        # A section whose keys are all commented out reads as null.
        if values.get(section) is None:
            values[section] = {}
    if "base" not in values:
        return values, places
    base, place = values.pop("base"), places.pop("base")
    if named_in is not None:
        raise InputError(f"{named_in}: {path} has a base itself; name {base} instead.")
    if not isinstance(base, str):
        raise InputError(f"{place}: base must be the name of a config, not {base!r}.")
    beside = path.parent / base
    below, below_places = _read(beside if beside.is_file() else find_config(base), place)
    below.pop("name", None)  # a name is that of one run
    for section in sections:
        if isinstance(values[section], dict) and isinstance(below[section], dict):
            values[section] = {**below[section], **values[section]}
    return {**below, **values}, {**below_places, **places}


def _override(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise InputError(f"--set {text}: expected key=value, for example --set model.beta=2.")
    sections = config_errors.sections(Config)
    if key in sections:
        example = f"{key}.{next(iter(sections[key].model_fields))}"
        raise InputError(
            f"--set {text}: {key} is a section; set its keys one by one, for example {example}."
        )
    if key not in config_errors.known_keys(Config):
        complaint = f"--set {text}: {config_errors.unknown_key(key, Config)}"
        raise InputError(config_errors.sentence(complaint))
    try:
        return key, parse_value(value)
    except InputError as error:
        raise InputError(f"--set {text}: {error}") from None
