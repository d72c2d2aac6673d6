"""What a run was trained on, for cards and reports: whose data they are, and whether the paper has figures for them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from davegan_tf.paper import PAPER_TABLE_4
from davegan_tf.registry import NAMED
from davegan_tf.synthetic import GENERATORS

# The licence of what a generator makes.
GENERATED = "none needed: it is generated"


class Provenance(NamedTuple):
    """Of a run's training data.

    source : one phrase
    licence : one phrase
    description : what its phases are; None: not known here
    paper : the material of the paper's Table 4 that it is, if Table 4 has it; None: a stand-in or the user's own image
    """

    source: str
    licence: str
    description: str | None = None
    paper: str | None = None


def provenance(config: Any, data: Mapping[str, Any]) -> Provenance:
    """What a run was trained on.

    Decided by ``data.source``: an image of the user's that is called like a material is none.

    Parameters
    ----------
    config : davegan_tf.config.Config
    data : mapping
        The manifest's ``data``.

    Returns
    -------
    Provenance
    """
    name, stand_in = data["name"], data["stands_in_for"]
    generated = f"the built-in generator `{name}`"
    if stand_in:
        return Provenance(f"{generated}, in place of `{stand_in}`", GENERATED)
    source = config.data.source.strip()
    if source in NAMED:
        entry = NAMED[source]
        return Provenance(f"the micrograph `{name}`", entry.licence, entry.description, source)
    if source in GENERATORS:
        return Provenance(generated, GENERATED, paper=source if source in PAPER_TABLE_4 else None)
    return Provenance(f"the micrograph `{name}`", "not known here; the owner of the image decides")
