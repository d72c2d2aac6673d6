"""What is wrong with a config, in one sentence for the person who wrote it."""

import json
import re
from collections.abc import Callable, Iterable

from pydantic import BaseModel, ValidationError

from davegan_tf.spelling import ALIKE, likeness


def sections(schema: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Name to model of those fields of a model that are models themselves."""
    return {
        name: field.annotation
        for name, field in schema.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def known_keys(schema: type[BaseModel]) -> list[str]:
    """Dotted names of all single values of a config, such as ``seed`` and ``model.beta``."""
    inner = sections(schema)
    keys = [name for name in schema.model_fields if name not in inner]
    return keys + [f"{name}.{key}" for name in inner for key in inner[name].model_fields]


def explain(error: ValidationError, schema: type[BaseModel], origin: Callable[[str], str]) -> str:
    """Turn pydantic's findings into one sentence about the first, naming the others.

    Parameters
    ----------
    error : what validating against `schema` raised.
    schema : the whole config's model.
    origin : gives, for a dotted key, where its value comes from ("alloy.yaml, line 3").
    """
    inner = sections(schema)
    found: dict[str, dict] = {}
    for detail in error.errors(include_url=False):
        # Behind the key, pydantic names the branch of a union: of no interest here.
        location = [str(part) for part in detail["loc"]]
        key = ".".join(location[: 2 if location and location[0] in inner else 1])
        found.setdefault(key, detail)
    # A misspelt key first; it may well be the reason why another one is missing.
    unknown = [key for key in found if found[key]["type"] == "extra_forbidden"]
    others = [key for key in found if key not in unknown]
    if unknown:
        others = [key for key in others if found[key]["type"] != "missing"]
    first, *rest = unknown + others
    # Keys that contradict each other (value_error) have no single place.
    place = origin("" if found[first]["type"] == "value_error" else first)
    also = f" (also wrong: {', '.join(rest)})" if rest else ""
    return sentence(f"{place}: {_finding(first, found[first], schema)}{also}")


def sentence(text: str) -> str:
    """Close a sentence, unless it is a question."""
    return text if text.endswith(("?", ".")) else text + "."


def unknown_key(key: str, schema: type[BaseModel]) -> str:
    """Say that there is no such key, and which one may have been meant."""
    inner = sections(schema)
    section = key.rpartition(".")[0]
    if section in known_keys(schema):
        return f"unknown key {key}; {section} is a single value"
    if section in inner:
        place, valid = f"the valid keys of {section} are", list(inner[section].model_fields)
    else:
        place, valid = "the valid keys are", list(schema.model_fields)
    nearest = _nearest_key(key, known_keys(schema) + list(inner))
    if nearest:
        return f"unknown key {key}; did you mean {nearest}?"
    return f"unknown key {key}; {place} {', '.join(valid)}"


def _nearest_key(key: str, keys: Iterable[str]) -> str | None:
    section, _, name = key.rpartition(".")

    def rank(other: str) -> float:
        other_section, _, other_name = other.rpartition(".")
        # A key of the same section is the likelier slip, but an exact name elsewhere wins.
        return likeness(name, other_name) + (0.1 if section == other_section else 0.0)

    best = max(keys, key=rank)
    return best if likeness(name, best.rpartition(".")[2]) >= ALIKE else None


def _finding(key: str, detail: dict, schema: type[BaseModel]) -> str:
    inner = sections(schema)
    if detail["type"] == "extra_forbidden":
        return unknown_key(key, schema)
    if detail["type"] == "value_error":  # our own checks across keys
        return str(detail["ctx"]["error"])
    if key in inner:
        names = ", ".join(list(inner[key].model_fields)[:3])
        return f"{key} must be a section with keys of its own ({names}, …), not {_shown(detail)}"
    section, _, name = key.rpartition(".")
    owner = inner.get(section, schema)
    rule = owner.model_json_schema()["properties"][name]
    expected = _expectation(rule)
    if detail["type"] == "missing":
        return f"{key} is missing; it must be {expected}"
    return f"{key} must be {expected}, not {_shown(detail)}{_hint(rule, detail['input'])}"


def _expectation(rule: dict) -> str:
    """Plain words for what a field's JSON schema demands."""
    if "expected" in rule:
        return rule["expected"]
    if "anyOf" in rule:
        # "null" last and explained: it is YAML's word, not the reader's.
        kinds = [_expectation(kind) for kind in rule["anyOf"] if kind.get("type") != "null"]
        return " or ".join([*kinds, "null (none)"])
    if "enum" in rule:
        return "one of " + ", ".join(str(value) for value in rule["enum"])
    kind = rule["type"]
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _range(rule)
    return {"boolean": "true or false", "string": "text"}[kind]


def _range(rule: dict) -> str:
    low, high = rule.get("minimum"), rule.get("maximum")
    above, below = rule.get("exclusiveMinimum"), rule.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low:.10g} to {high:.10g}"
    bounds = []
    if low is not None:
        bounds.append(f"of at least {low:.10g}")
    if above is not None:
        bounds.append(f"above {above:.10g}")
    if high is not None:
        bounds.append(f"of at most {high:.10g}")
    if below is not None:
        bounds.append(f"below {below:.10g}")
    return f" {' and '.join(bounds)}" if bounds else ""


def _shown(detail: dict) -> str:
    value = detail["input"]
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, (bool, str)):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _hint(rule: dict, value: object) -> str:
    kinds = rule.get("anyOf", [rule])
    if any(kind.get("type") == "string" and not kind.keys() & {"enum", "const"} for kind in kinds):
        return " (put it in quotes)" if isinstance(value, (bool, int, float)) else ""
    if str(value).lower() in ("nan", "inf", "-inf", "infinity"):
        return " (only finite numbers)"
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+,\d+", value):
        return f" (write {value.replace(',', '.')}, with a decimal point)"
    return ""
