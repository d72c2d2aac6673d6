"""A page to explore a trained model: one HTML file with the networks inside, for people without Python.

The page's parts are in ``page/``. Its script computes encoder and generator itself, as
:mod:`davegan_tf.folded_layers` lays them out.
"""

import base64
import json
import re
import zlib
from html import escape
from pathlib import Path

import numpy as np

from davegan_tf import descriptors, latent
from davegan_tf.dataset import encode_phases
from davegan_tf.errors import InputError
from davegan_tf.export_card import scorecard_of
from davegan_tf.export_check import ExportFailed
from davegan_tf.files import write_text
from davegan_tf.folded_layers import FoldedLayer, dequantize, fold, quantize, run_folded
from davegan_tf.inference import generate_labels
from davegan_tf.measures import evaluated_phases
from davegan_tf.provenance import provenance
from davegan_tf.real_pieces import RealPieces
from davegan_tf.recasting import recast

PAGE = Path(__file__).parent / "page"
# In this order: what needs no page, the page's parts, the page.
SCRIPTS = tuple(
    f"{name}.js"
    for name in (
        *("network", "statistics", "search", "images", "state", "curve"),
        *("shared", "pictures", "sliders", "finding", "own_image", "saving", "explorer"),
    )
)
# Without training.logit_limit the generator's logits run to thousands, and a phase boundary turns the last digits of a
# weight into a probability; the encoder's z do not.
BITS = {"encoder": 18, "generator": 26}
TOLERANCE = 1e-4
COUNT = 256
INPUTS = 64
# What the page compares its own numbers with when it is opened: pixels nearest to a boundary of so many structures.
PROBES, PROBE_PIXELS = 2, 128


def write_explorer(path, model, run, step):
    """Write the page, whole or not at all, after its numbers have been checked against the model's.

    Statistics are shown beside those of crops of the training micrograph; where that is not at hand, of samples.

    Parameters
    ----------
    path : Path
        Of the page, ending in ``.html``; an older one is replaced.
    model : DAVEGAN
    run : davegan_tf.run_folder.RunFolder
        What the model is of.
    step : int
        Of the training, as :func:`davegan_tf.building.load_model` returns it.

    Returns
    -------
    str
        What was checked and written, for a message.

    Raises
    ------
    ExportFailed
        If the page's numbers are further than TOLERANCE from the model's.
    """
    n_phases = run.n_phases
    # Keras' own float32 is no yardstick: it rounds where a boundary is steep, without a limit of the logits in the
    # fourth decimal.
    exact = recast(model, "float64")
    samples = generate_labels(model, COUNT, seed=0)
    reference, kind, missing = samples, "samples", ""
    try:
        reference, kind = training_crops(run), "crops"
    except InputError as error:
        missing = f"\nno crops of what it was trained on: {error}"
    content = _description(run, model, step) | {
        "activity": _rounded(latent.kl_per_dimension(model, encode_phases(samples, n_phases))),
        "samples": _statistics(samples, n_phases),
        "reference": _statistics(reference, n_phases) | {"kind": kind},
        "networks": _networks(model),
        "probes": _probes(exact, n_phases),
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    difference = _difference(exact, n_phases, json.loads(text)["networks"])
    if not difference <= TOLERANCE:
        raise ExportFailed(
            f"Its numbers would differ from the run's by {difference:.1e}, and {TOLERANCE:g} is the limit."
        )
    write_text(path, _page(content["name"], text))
    whose = "crops of the micrograph" if kind == "crops" else "samples"
    return (
        f"largest difference to the run's networks in float64, on {INPUTS} random inputs: {difference:.1e}\n"
        f"wrote {path} (one page, {path.stat().st_size / 1e3:.0f} kB; statistics beside those of {COUNT} {whose})"
        f"{missing}"
    )


def training_crops(run):
    """Random crops of what a run was trained on: (COUNT, side, side) uint8; InputError if it is not at hand."""
    micrograph = run.load_micrograph()
    side, images = run.read_config().data.image_size, micrograph.images
    return RealPieces(images, images, side, COUNT, micrograph.n_phases, seed=0).crops


def _page(name, content):
    """The page as text; ``content`` is JSON."""
    parts = {
        "name": escape(name),
        "style": (PAGE / "explorer.css").read_text("utf-8"),
        # Within <script> only "<" could be taken for a tag.
        "content": content.replace("<", "\\u003c"),
        "script": "\n".join((PAGE / script).read_text("utf-8") for script in SCRIPTS),
    }
    template = (PAGE / "explorer.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], template)


def _description(run, model, step):
    """What the page tells of the model."""
    config, data = run.read_config(), run.read_manifest()["data"]
    count, height, width = data["shape"]
    images = "a micrograph" if count == 1 else f"{count} images"
    origin = provenance(config, data)
    return {
        "name": run.material,
        "material": origin.description,
        "licence": origin.licence,
        "trained": f"{images} of {height} × {width} pixels in {step} steps",
        "scorecard": scorecard_of(run, step),
        "side": model.arguments["image_size"],
        "phases": data["n_phases"],
        "latent": model.latent_dim,
        "pixelSize": config.data.pixel_size,
        "unit": {"um": "µm"}.get(config.data.unit, config.data.unit),
    }


def _statistics(labels, n_phases):
    """φ and the radial average of S2, mean and standard deviation over images, by the phase as text."""
    phases = {}
    for phase in range(n_phases):
        fraction = descriptors.volume_fraction(labels == phase)
        phases[str(phase)] = {
            "fraction": _rounded([fraction.mean(), fraction.std()]),
            "range": _rounded([fraction.min(), fraction.max()]),
        }
        if phase in evaluated_phases(n_phases):
            s2 = descriptors.two_point_correlation(labels == phase)
            curve = descriptors.radial_average(s2)
            phases[str(phase)]["s2"] = _rounded(curve.mean(axis=0))
            phases[str(phase)]["s2Std"] = _rounded(curve.std(axis=0))
    return {"count": len(labels), "phases": phases}


def _networks(model):
    """The folded layers: shapes as JSON, numbers in base64."""
    layers, numbers, codes = {}, [], []
    for name, bits in BITS.items():
        layers[name] = {"bits": bits, "layers": []}
        for layer in fold(getattr(model, name).stack):
            code, scale = quantize(layer, bits)
            codes.append(code.ravel())
            numbers += [scale, layer.bias]
            shape = {"shape": layer.kernel.shape, "step": layer.step, "padding": layer.padding}
            layers[name]["layers"].append(shape | {"slope": layer.slope})
    # Byte by byte of all weights: the high bytes are alike and pack well.
    planes = np.concatenate(codes).astype("<u4").view(np.uint8).reshape(-1, 4).T.tobytes()
    return layers | {
        "weights": base64.b64encode(zlib.compress(planes, 9)).decode(),
        "numbers": base64.b64encode(np.concatenate(numbers).astype("<f4").tobytes()).decode(),
    }


def _read_networks(networks):
    """What :func:`_networks` wrote as folded layers again, by the name of the network."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(networks["weights"])), np.uint8)
    codes = np.ascontiguousarray(planes.reshape(4, -1).T).view("<u4").ravel()
    numbers = np.frombuffer(base64.b64decode(networks["numbers"]), "<f4")
    read = {}
    for name in BITS:
        read[name] = []
        for entry in networks[name]["layers"]:
            shape, bits = entry["shape"], networks[name]["bits"]
            mine, codes = np.split(codes, [np.prod(shape)])
            scale, bias, numbers = np.split(numbers, [shape[-1], 2 * shape[-1]])
            kernel = dequantize(mine.reshape(shape), scale, bits)
            rest = (entry["step"], entry["padding"], entry["slope"])
            read[name].append(FoldedLayer(kernel, bias, *rest))
    return read


def _difference(exact, n_phases, networks):
    """Largest difference between the networks as the page has them and the model's, on INPUTS inputs."""
    mine = _read_networks(networks)
    z = exact.sample_latent(INPUTS, seed=1).numpy()
    images = encode_phases(generate_labels(exact, INPUTS, seed=2), n_phases)
    largest = 0.0
    for first in range(0, INPUTS, 8):
        some_z, some_images = z[first : first + 8], images[first : first + 8]
        features = run_folded(mine["encoder"], some_images)
        z_mean = features.reshape(len(features), -1)[:, : exact.latent_dim]
        logits = run_folded(mine["generator"], some_z[:, np.newaxis, np.newaxis])
        pairs = (
            (z_mean, exact.encode(some_images)[0]),
            (exact.generator.activate(logits), exact.generate(some_z)),
        )
        largest = max(largest, *(float(np.abs(a - np.asarray(b)).max()) for a, b in pairs))
    return largest


def _probes(exact, n_phases):
    """Inputs with the model's outputs, in which a browser's own numbers can be checked."""
    z = exact.sample_latent(PROBES, seed=3).numpy()
    probabilities = exact.generate(z).numpy().reshape(PROBES, -1)
    nearest = np.argsort(np.abs(probabilities - 0.5), axis=1)[:, :PROBE_PIXELS]
    labels = generate_labels(exact, 1, seed=4)
    return {
        "z": [[float(value) for value in row] for row in z],
        "places": nearest.tolist(),
        "probabilities": _rounded(np.take_along_axis(probabilities, nearest, axis=1)),
        "labels": "".join(map(str, labels.ravel())),
        "zMean": _rounded(exact.encode(encode_phases(labels, n_phases))[0][0]),
    }


def _rounded(values):
    return np.round(np.asarray(values, np.float64), 6).tolist()
