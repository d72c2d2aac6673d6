"""The trained models that come with the package, used by name where a run folder is expected.

Each is a small run folder of its own: ``config.yaml``, ``manifest.json``, ``weights.npz`` (encoder and generator, which
is all that use needs), ``evaluation.json`` and a model card, ``README.md``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from davegan_tf.config import dump_config
from davegan_tf.errors import InputError
from davegan_tf.files import atomic_folder, write_text
from davegan_tf.run_folder import RunFolder
from davegan_tf.spelling import nearest

MODELS = Path(__file__).parent / "models"


def names() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in MODELS.glob("*/weights.npz"))


def find_run(run: Path) -> RunFolder:
    """The run folder of this path, or the packaged model of this name where there is no run of it.

    Raises
    ------
    InputError
        If there is neither.
    """
    if not RunFolder(run).holds_a_run and str(run) in names():
        return RunFolder(MODELS / run.name)
    try:
        return RunFolder(run).require()
    except InputError as error:
        if run.exists() or not names():
            raise
        likely = nearest(str(run), names())
        advice = f"did you mean {likely}?" if likely else f"packaged are {', '.join(names())}."
        raise InputError(
            f"{run}: there is no such run folder, for example runs/alloy, nor a packaged model of that name; {advice}"
        ) from error


def is_packaged(folder: RunFolder) -> bool:
    """Whether the folder belongs to the package, where nothing may be written."""
    return folder.path.resolve().parent == MODELS.resolve()


def package(folder: RunFolder, name: str, models: Path) -> Path:
    """Make a packaged model of a finished and evaluated run.

    Parameters
    ----------
    folder : RunFolder
    name : str
        Of the model, and so of its folder.
    models : Path
        Where it goes; an older one of that name is replaced.

    Returns
    -------
    Path
        The model's folder.

    Raises
    ------
    InputError
        If the run is of a stand-in or was not evaluated, or something else lies where the model goes.
    """
    # Not at the top: those who look for a run need neither TensorFlow nor scipy for that.
    from davegan_tf.building import load_model
    from davegan_tf.checkpoints import save_compact_weights

    config, manifest = folder.read_config(), folder.read_manifest()
    if manifest["data"]["stands_in_for"]:
        raise InputError(
            f"{folder.describe()}: was trained on a stand-in, which is no model of {name}; train it on the micrograph."
        )
    evaluation = folder.read_evaluation()
    if evaluation is None:
        raise InputError(f"{folder.path}: was not evaluated; run `evaluate` on it first.")
    path = models / name
    check_replaceable(path)
    model, _ = load_model(folder)
    with atomic_folder(path, replace=True) as temporary:
        packaged = RunFolder(temporary)
        write_text(packaged.config, dump_config(config))
        # Where the file lay is nobody's business.
        manifest["data"]["origin"] = f"{manifest['data']['name']}, see README.md"
        write_text(packaged.manifest, json.dumps(manifest, indent=2) + "\n")
        write_text(packaged.evaluation, json.dumps(evaluation, indent=1) + "\n")
        write_text(temporary / "README.md", _card(name, config, manifest, evaluation))
        save_compact_weights(model, packaged.compact_weights)
    return path


def check_replaceable(path: Path) -> None:
    """Raise InputError unless a packaged model may be written to ``path``: it is new, empty, or an older one."""
    occupied = (path.exists() and not path.is_dir()) or (path.is_dir() and any(path.iterdir()))
    if occupied and not RunFolder(path).compact_weights.is_file():
        raise InputError(
            f"{path}: holds something that is no packaged model, which this would replace; choose another --out."
        )


def _card(name: str, config: Any, manifest: Mapping[str, Any], evaluation: Mapping) -> str:
    from davegan_tf.evaluation_table import format_table
    from davegan_tf.provenance import provenance

    data, machine = manifest["data"], manifest["machine"]
    origin = provenance(config, data)
    versions = ", ".join(
        f"{package} {version}" for package, version in manifest["versions"].items()
    )
    threads = config.training.threads
    command = f"python -m cli train --config {name}.yaml --seed {config.seed}"
    command += f" --set training.threads={threads}" if threads else ""
    shape = " × ".join(map(str, data["shape"][1:]))
    return f"""# {name}

DA-VEGAN trained on {origin.source}, {shape} pixels, {data["n_phases"]} phases ({data["segmentation"]}).

- Use: `python -m cli generate {name} --count 16 --out samples.png`
- Images: {config.data.image_size} × {config.data.image_size} pixels; latent dimensions: {config.model.latent_dim}
- Licence of the data: {origin.licence}
- Trained by: `{command}`, {evaluation["step"]} steps, \
{manifest["wall_seconds"] / 60:.0f} minutes on {machine["cores"]} cores ({machine["processor"]}); {versions}
- Limits: it knows this one micrograph, at this magnification; the scorecard says how well.

Scorecard, by `python -m cli evaluate {name} --count {evaluation["counts"]["samples"]}`:

```
{format_table(evaluation, paper=origin.paper)}
```
"""
