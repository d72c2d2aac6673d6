"""What an export computes, in a fresh process with its user's runtime, beside what the run computes."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from davegan_tf.dataset import decode_phases
from davegan_tf.recasting import recast
from davegan_tf.tables import aligned

FUNCTIONS = ("encode", "generate", "reconstruct")
COUNT = 64
# One input alone, then the others together: that shows whether any batch size will do.
FIRST = 1
TOLERANCE = 1e-5
# Where float32 rounds the run's own output by more than TOLERANCE, another order of summation does so, too.
ROUNDINGS = 4

LEGEND = f"""\
float32's own: largest difference of the run itself to its networks in float64; another order of summation rounds as
  much. The largest difference may be {TOLERANCE:g}, or {ROUNDINGS} times that; of quantised weights it is only told."""

# What the process does. `call(function, argument=array)`, which returns arrays by the output's name, and `version` come
# from the runtime's own lines, which find the export in `path`.
PROGRAM = """
import sys
for name in ("davegan_tf", "cli"):
    sys.modules[name] = None  # importing it fails, as it does where a user has only the export
import numpy as np
path, inputs, outputs, first = sys.argv[1:]
{runtime}
results = {{}}
for key, values in np.load(inputs).items():
    function, argument = key.split("/")
    parts = np.split(values, [int(first)])
    parts = [call(function, **{{argument: part}}) for part in parts]
    for output in parts[0]:
        results[f"{{function}}/{{output}}"] = np.concatenate([part[output] for part in parts])
np.savez(outputs, **results)
print(version)
"""


class ExportFailed(RuntimeError):
    """An export does not compute what the run computes; the message is a sentence for the person at the terminal."""


class Difference(NamedTuple):
    """One output of one function of an export, compared with the run's.

    function, output : names such as generate, probabilities
    largest, mean : of the absolute difference
    rounding : largest absolute difference of the run itself to its networks in float64
    moved : share of pixels that are of another phase; None where the output is no image
    """

    function: str
    output: str
    largest: float
    mean: float
    rounding: float
    moved: float | None

    @property
    def limit(self):
        """What ``largest`` may be."""
        return max(TOLERANCE, ROUNDINGS * self.rounding)


class Checked(NamedTuple):
    """What :func:`check_export` found: name and version of the runtime, and a Difference for every output."""

    runtime: str
    differences: tuple


def random_inputs(model):
    """COUNT seeded inputs of each function, ``function/argument`` → float32 array.

    The images are white noise and the model's own samples by turns: noise finds what is wrong with the layers, samples
    are what users encode.
    """
    rng = np.random.default_rng(0)
    z = rng.standard_normal((COUNT, model.latent_dim), dtype=np.float32)
    images = np.array(model.generate(z))
    images[::2] = rng.random(images[::2].shape, dtype=np.float32)
    return {"encode/images": images, "generate/z": z, "reconstruct/images": images}


def check_export(path, model, runtime, *, exact=True):
    """Compare an export with the model it was made of.

    Parameters
    ----------
    path : Path
        The export's folder.
    model : DAVEGAN
    runtime : str
        Python that defines ``call`` and ``version`` for PROGRAM.
    exact : bool
        Whether a difference beyond its limit is a failure; False for quantised weights, which only have to give
        finite numbers.

    Returns
    -------
    Checked

    Raises
    ------
    ExportFailed
        If the process fails, an output is missing or of another shape or type, or a difference is too large.
    """
    inputs = random_inputs(model)
    # Graphics cards round to fewer digits, and the process has none.
    with tf.device("CPU:0"):
        expected = _outputs(model, inputs)
        precise = _outputs(recast(model, "float64"), inputs)
    version, outputs = _in_fresh_process(path, runtime, inputs)
    differences = []
    for key, own in expected.items():
        function, output = key.split("/")
        if key not in outputs:
            given = ", ".join(each.split("/")[1] for each in outputs if each.startswith(function))
            raise ExportFailed(f"{version}: {function} gives no {output}, only {given}.")
        found = outputs[key]
        if (found.shape, found.dtype) != (own.shape, own.dtype):
            raise ExportFailed(
                f"{version}: {output} of {function} is {found.dtype} of shape {found.shape}, expected {own.dtype} of"
                f" {own.shape}."
            )
        is_image = output == "probabilities"
        difference = Difference(
            function,
            output,
            float(np.abs(found - own).max()),
            float(np.abs(found - own).mean()),
            float(np.abs(own - precise[key]).max()),
            float(np.mean(decode_phases(found) != decode_phases(own))) if is_image else None,
        )
        if not difference.largest <= (difference.limit if exact else np.inf):
            raise ExportFailed(
                f"{version}: {output} of {function} differs from the run's by {difference.largest:.1e}, and "
                f"{difference.limit:.1e} is the limit."
            )
        differences.append(difference)
    return Checked(version, tuple(differences))


def format_checked(checked):
    """A sentence and a table of the differences, plain text without a newline at the end."""
    head = ("", "largest", "mean", "float32's own", "pixels of another phase")
    rows = [
        (
            f"{each.function} {each.output}",
            f"{each.largest:.1e}",
            f"{each.mean:.1e}",
            f"{each.rounding:.1e}",
            "" if each.moved is None else f"{each.moved:.3%}",
        )
        for each in checked.differences
    ]
    lines, _ = aligned((head, *rows))
    sentence = f"differences to the run, by {checked.runtime} in a process of its own, on {COUNT} random inputs:"
    return "\n".join([sentence, *lines, LEGEND])


def _outputs(model, inputs):
    """Every output of every function by the model's own networks, ``function/output`` → array."""
    parts = []
    images, z = inputs["encode/images"], inputs["generate/z"]
    for some_images, some_z in zip(np.split(images, [FIRST]), np.split(z, [FIRST]), strict=True):
        z_mean, z_log_var = model.encode(some_images)
        parts.append(
            {
                "encode/z_mean": z_mean,
                "encode/z_log_var": z_log_var,
                "generate/probabilities": model.generate(some_z),
                "reconstruct/probabilities": model.reconstruct(some_images),
            }
        )
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _in_fresh_process(path, runtime, inputs):
    """Version of the runtime and its outputs, ``function/output`` → array."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "inputs.npz", **inputs)
        program = PROGRAM.format(runtime=runtime)
        arguments = (path.resolve(), folder / "inputs.npz", folder / "outputs.npz", FIRST)
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise ExportFailed(f"The export could not be run: {reason}.")
        with np.load(folder / "outputs.npz") as outputs:
            return done.stdout.strip(), dict(outputs)
