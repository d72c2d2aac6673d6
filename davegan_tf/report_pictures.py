"""The pictures of the report as HTML: reconstructions, samples, and samples beside what they may be copied from.

Each is a PNG of one pixel per pixel, enlarged by the browser without smoothing.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import imageio.v3 as iio
import numpy as np

from davegan_tf import similarity
from davegan_tf.figures import to_grey
from davegan_tf.measures import Labels

PAIRS_SHOWN = 16
SAMPLE_ROWS = 8
# An image is shown about so large, in CSS pixels, as a whole multiple of its own size.
PAIR_SIZE, SAMPLE_SIZE = 144, 128


@dataclass(frozen=True)
class Pictures:
    """What the scorecard was measured on, integer phase labels 0 … n_phases − 1.

    originals, reconstructed : (n, side, side), tiles and decode(encode(tile)) in the same order
    generated : (m, side, side), all samples, in the order that was evaluated
    crops : (n_crops, side, side), real crops
    noise : (n_noise, side, side), white noise of the phase fractions
    training : (n_images, height, width), what the model was trained on
    pixel_size, unit : length of a pixel's side and its unit; None: lengths are in pixels
    """

    originals: Labels
    reconstructed: Labels
    generated: Labels
    crops: Labels
    noise: Labels
    training: Labels
    n_phases: int
    pixel_size: float | None = None
    unit: str | None = None


def reconstructions_section(pictures: Pictures) -> str:
    """Originals beside their reconstructions (Table 5), tiles evenly spread over all."""
    count = min(len(pictures.originals), len(pictures.reconstructed))
    chosen = np.rint(np.linspace(0, count - 1, min(count, PAIRS_SHOWN))).astype(int)
    pairs = []
    for index in chosen:
        pair = pictures.originals[index], pictures.reconstructed[index]
        alike = _percent(np.mean(pair[0] == pair[1]))
        names = f"Original of tile {index}", f"Reconstruction of tile {index}"
        text = f"tile {index}: {alike} of pixels alike"
        pairs.append(_pair(pair, names, text, pictures.n_phases))
    return f"""\
<h2>Originals and reconstructions</h2>
<p>{len(chosen)} of {count} tiles: left the original, right what the model makes of it by encoding and decoding \
(Table 5 of the paper).</p>
<div class="gallery">
{_joined(pairs)}
</div>"""


def samples_section(pictures: Pictures) -> str:
    """Samples of the prior (Table 6) beside real crops and white noise."""
    sections = []
    for heading, name, labels, columns in (
        ("Samples", "Sample", pictures.generated, 4),
        ("Real crops", "Real crop", pictures.crops, 2),
        ("White noise", "White noise", pictures.noise, 2),
    ):
        images = [
            _image(image, pictures.n_phases, f"{name} {index}", SAMPLE_SIZE)
            for index, image in enumerate(labels[: columns * SAMPLE_ROWS])
        ]
        sections.append(
            f'<section style="--columns: {columns}">\n<h3>{heading}</h3>\n'
            f'<p class="soft">The first {len(images)} of {len(labels)}.</p>\n'
            f'<div class="gallery">\n{_joined(images)}\n</div>\n</section>'
        )
    tile = _shown(pictures.generated.shape[1], SAMPLE_SIZE)
    return f"""\
<h2>Samples of the prior</h2>
<p>New images decoded from random latent vectors (Table 6 of the paper), beside pieces of the micrograph and white \
noise of the same phase fractions: what samples should and should not look like.</p>
<div class="sets" style="--tile: {tile}px">
{_joined(sections)}
</div>"""


def nearest_section(result: Mapping[str, Any], pictures: Pictures) -> str:
    """The samples that are most like the training data, beside it; empty without a result."""
    threshold = result["samples"].get("memorisation", {}).get("threshold")
    pairs = []
    for pair in result.get("nearest", []):
        sample = pair["sample"]
        image = pictures.generated[sample]
        piece = similarity.window(pictures.training, pair["place"], pair["shift"], len(image))
        number, row, column = pair["place"]
        where = f"row {row}, column {column}"
        if len(pictures.training) > 1:
            where = f"image {number}, {where}"
        if pair.get("turned"):
            piece = piece[::-1, ::-1]
            where += ", turned by 180°"
        if any(pair["shift"]):
            where += f", shifted by {pair['shift'][0]} rows and {pair['shift'][1]} columns"
        text = (
            f"sample {sample}: {_percent(pair['distance'])} of pixels differ from {where}; "
            f"relative distance {pair['relative']:.2f}"
        )
        if threshold is not None and pair["relative"] < threshold:
            text += ", counted as memorised"
        names = f"Sample {sample} again", f"Training data most like sample {sample}"
        pairs.append(_pair((image, piece), names, text, pictures.n_phases))
    if not pairs:
        return ""
    limit = ""
    if threshold is not None:
        limit = (
            f" One real crop in a hundred is nearer than {threshold:.2f} to another place of the training data; "
            "samples that are count as memorised."
        )
    return f"""\
<h2>Samples most like the training data</h2>
<p>Left a sample, right the piece of the training data that agrees with it in the most pixels, also shifted \
periodically as the training's augmentation does, and turned by 180° where the model learnt from turned crops; the \
most alike pairs first. Copies would be seen here. The relative distance is the share of differing pixels over what \
chance gives for these phase fractions: 0 is a copy, 1 has nothing in common.{limit}</p>
<div class="gallery">
{_joined(pairs)}
</div>"""


def _pair(
    images: tuple[Labels, Labels], names: tuple[str, str], caption: str, n_phases: int
) -> str:
    drawn = "".join(
        _image(image, n_phases, name, PAIR_SIZE) for image, name in zip(images, names, strict=True)
    )
    return f'<figure class="pair"><div>{drawn}</div><figcaption>{escape(caption)}</figcaption></figure>'


def _image(labels: Labels, n_phases: int, alt: str, size: int) -> str:
    """An image of phase labels as a picture of about ``size`` CSS pixels."""
    png = iio.imwrite("<bytes>", to_grey(labels, n_phases), extension=".png")
    shown = _shown(len(labels), size)
    return (
        f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" width="{shown}" height="{shown}" '
        f'alt="{escape(alt)}">'
    )


def _shown(side: int, size: int) -> int:
    """The whole multiple of ``side`` next to ``size``."""
    return side * max(1, round(size / side))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(parts)
