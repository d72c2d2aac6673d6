"""YAML files read strictly: a mistake in the file is an InputError that says where it is.

Differences to ``yaml.safe_load``: a key that appears twice is an error (YAML keeps the last one
silently), keys are always text, and dates stay text.
"""

from pathlib import Path

import yaml

from davegan_tf.errors import InputError

# Without dates: a run may be called 2024-05-01.
_RESOLVERS = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _RESOLVERS


def read_mapping(path: Path) -> tuple[dict, dict[str, int]]:
    """Read a YAML file of keys and sections.

    Returns
    -------
    values : dict
        Text keys to values; a section is a dict.
    lines : dict
        Dotted key (``model.beta``) to its line in the file, counted from 1.

    Raises
    ------
    InputError
        If the file cannot be read, is not UTF-8 text or not YAML, is empty, is not a mapping, or
        has a key twice.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a YAML file: it is not text in UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None

    lines: dict[str, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise InputError(f'{path} is empty: expected keys with values, such as "seed: 0".')
        if not isinstance(node, yaml.MappingNode):
            raise InputError(
                f'{path} is not a mapping: expected lines such as "seed: 0", '
                f"received {_kind(node)} (line {node.start_mark.line + 1})."
            )
        return _mapping(loader, node, "", path, lines), lines
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}{_complaint(error)}") from None


def parse_value(text: str) -> object:
    """Parse one YAML value, as it would stand behind ``key:`` in a file.

    Raises
    ------
    InputError
        If the text is not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(
            f'"{text:.60}" is not valid YAML ({_problem(error)}); put text in quotes.'
        ) from None


def _mapping(
    loader: _Loader, node: yaml.MappingNode, prefix: str, path: Path, lines: dict[str, int]
) -> dict:
    values = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise InputError(f"{path}, line {line}: a key must be a name, not {_kind(key_node)}.")
        name = key_node.value
        key = prefix + name
        if name in values:
            raise InputError(
                f"{path}, line {line}: the key {key} is given twice "
                f"(first in line {lines[key]}); keep one of them."
            )
        lines[key] = line
        # Sections are one level deep; whatever lies deeper is refused by the schema. Not going
        # there also keeps an alias that contains itself harmless.
        if isinstance(value_node, yaml.MappingNode) and not prefix:
            values[name] = _mapping(loader, value_node, f"{key}.", path, lines)
        else:
            values[name] = loader.construct_document(value_node)
    return values


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return f'"{node.value:.40}"'


def _complaint(error: Exception) -> str:
    """Where and why YAML gave up; continues a sentence that starts with the file's name."""
    mark = getattr(error, "problem_mark", None)
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    problem = _problem(error)
    advice = "check its indentation, colons and quotes"
    if "'\\t'" in problem:
        advice = "indent with spaces, not with tabs"
    return f"{where} is not valid YAML ({problem}); {advice}."


def _problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
    return " ".join(str(problem).split())
