"""The scorecard as one HTML page: verdict, table, pictures and curves, to read, print or send.

The page holds everything it shows: no script, no style sheet, font or picture of another file.
"""

import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from davegan_tf import curves, inline_svg, statistic_curves
from davegan_tf.evaluation_table import BESIDE, LABELS, rows, verdict
from davegan_tf.files import write_text
from davegan_tf.likeness import LEAST_DIVERSITY
from davegan_tf.ratios import LIMIT
from davegan_tf.report_pictures import (
    Pictures,
    nearest_section,
    reconstructions_section,
    samples_section,
)
from davegan_tf.report_text import COLUMNS, MEASURES, STYLE

__all__ = ["Pictures", "report", "write_report"]

# Ratios drawn beside the limit, on a logarithmic scale.
LEAST_RATIO, MOST_RATIO = 0.1, 100.0
# More measures without a verdict are only counted.
NAMED = 4


def write_report(
    path: str | os.PathLike[str],
    result: Mapping[str, Any],
    pictures: Pictures,
    *,
    title: str,
    paper: str | Mapping[str, float] | None = None,
    history: str | os.PathLike[str] | None = None,
) -> None:
    """Write the page, whole or not at all.

    Parameters
    ----------
    path : path of the page, usually with the suffix .html
    result : dict
        What :func:`davegan_tf.evaluation.evaluate` returned, also after a round trip through JSON, with ``data`` (name
        of the micrograph) and ``step`` (of the training), and ``filter`` (size of the samples' majority filter) if any.
    pictures : Pictures
    title : str
        Of the page, for example the run's name.
    paper : str or mapping, optional
        As for :func:`davegan_tf.evaluation_table.format_table`.
    history : path, optional
        The training's history.csv; without it the page has no loss curves.

    Raises
    ------
    InputError
        If the history cannot be read.
    """
    write_text(path, report(result, pictures, title=title, paper=paper, history=history))


def report(
    result: Mapping[str, Any],
    pictures: Pictures,
    *,
    title: str,
    paper: str | Mapping[str, float] | None = None,
    history: str | os.PathLike[str] | None = None,
) -> str:
    """The page as text; see :func:`write_report`."""
    parts = [
        _heading(result, pictures, title),
        _verdict(result),
        _scorecard(result, paper),
        _explanations(),
        reconstructions_section(pictures),
        samples_section(pictures),
        nearest_section(result, pictures),
        "" if history is None else _losses(history),
        _statistics(pictures),
    ]
    body = "\n".join(filter(None, parts))
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>
{STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _heading(result, pictures, title):
    counts, side = result["counts"], result["image_size"]
    where = "held-out part of the micrograph" if result["holdout"] else "micrograph"
    tiles, crops, samples = (
        f"{counts[name]} {name if counts[name] != 1 else name[:-1]}"
        for name in ("tiles", "crops", "samples")
    )
    facts = {
        "Data": result.get("data", "–"),
        "Training step": result.get("step", "–"),
        "Seed of the evaluation": result["seed"],
        "Images": f"{side} × {side} pixels, {result['n_phases']} phases",
        "Measured": f"{tiles} and {crops} of the {where}, {samples}",
    }
    if result.get("filter", 1) > 1:
        facts["Filter of the samples"] = f"majority, size {result['filter']}"
    if pictures.pixel_size is not None:
        facts["Pixel size"] = f"{pictures.pixel_size:g} {pictures.unit or 'units'}"
    items = "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(fact))}</dd></div>"
        for name, fact in facts.items()
    )
    return f'<h1>{escape(title)}</h1>\n<dl class="facts">\n{items}\n</dl>'


def _verdict(result):
    record = result["verdict"]
    undecided = [
        f"{LABELS[name]} ({subject})"
        for subject in ("reconstructions", "samples")
        for name, measure in result[subject].items()
        if measure["passed"] is None
    ]
    kind = _kind(record["passed"] if record["measures"] else None)
    word = {"pass": "PASS", "fail": "FAIL", "none": "NO VERDICT"}[kind]
    line = verdict(result).partition(": ")[2] if record["measures"] else "Nothing can be judged."
    without = ""
    if undecided:
        # A micrograph of few tiles leaves nearly all of them out.
        names = f": {', '.join(undecided)}" if len(undecided) <= NAMED else ", see the table"
        without = f"<p>Without a verdict: {len(undecided)}{escape(names)}.</p>"
    return f'<div class="verdict {kind}">\n<p class="word">{word}</p>\n<p>{escape(line)}</p>\n{without}</div>'


def _scorecard(result, paper):
    lines = iter(rows(result, paper))
    body = []
    for subject in ("reconstructions", "samples"):
        (heading,) = next(lines)
        group = [
            f'<tr class="group"><th scope="rowgroup">{escape(heading)}</th>'
            f'<td colspan="{len(COLUMNS) + 1}"></td></tr>'
        ]
        for name, record in result[subject].items():
            _, *numbers, word = next(lines)
            group.append(_row(subject, name, record, numbers, word))
        body.append("<tbody>\n" + "\n".join(group) + "\n</tbody>")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS if name != "verdict")
    tables = "\n".join(body)
    return f"""\
<h2>Scorecard</h2>
<div class="scroll" role="region" aria-label="Scorecard" tabindex="0">
<table>
<thead>
<tr><th scope="col">measure</th><th scope="col">verdict</th><th scope="col" class="scale">ratio drawn\
<small>{LEAST_RATIO:g} … {MOST_RATIO:g}, logarithmic</small></th>{head}</tr>
</thead>
{tables}
</table>
</div>
<p class="soft">Ratio drawn: dot and bar are the ratio and its interval, the circle is white noise, the line is the \
limit; right of it fails. What is off the scale is drawn at its end.</p>"""


def _row(subject, name, record, numbers, word):
    cells = "".join(f"<td>{escape(number)}</td>" for number in numbers)
    kind = _kind(record["passed"])
    details = "".join(f"<small>{escape(text)}</small>" for text in _details(record))
    return (
        f'<tr id="{subject}-{escape(name)}"><th scope="row">{escape(LABELS[name])}{details}</th>'
        f'<td class="mark {kind}">{word or "–"}</td><td class="scale {kind}">{_ratio_drawn(name, record)}</td>'
        f"{cells}</tr>"
    )


def _details(record: Mapping[str, Any]) -> Iterable[str]:
    """Of each phase the numbers behind a distance between means, and the ratio where there are several; a control."""
    ratios = record.get("per_phase", {}) if "strict_ratio" in record else {}
    images, real = record.get("images", {}), record.get("real", {})
    for phase in images or ratios:
        parts = []
        if phase in images:
            parts.append(f"{images[phase]:.3g}, real {real[phase]:.3g}")
        if len(ratios) > 1 and ratios[phase] is not None:
            parts.append(f"ratio {ratios[phase]:.3g}")
        if parts:
            yield (f"phase {phase}: " if phase else "") + ", ".join(parts)
    for key, what in BESIDE.items():
        if record.get(key) is not None:
            yield f"{what}: {record[key]:.3g}"


def _ratio_drawn(name: str, record: Mapping[str, Any]) -> str:
    """The ratio, its interval and that of white noise beside the limit."""
    if record["ratio"] is None:
        return ""
    width, middle = 120, 12
    limit = LIMIT
    if name == "diversity" and record["floor"] is not None:
        limit = record["floor"]["mean"] / LEAST_DIVERSITY

    def x(ratio):
        share = math.log(max(ratio, LEAST_RATIO) / LEAST_RATIO) / math.log(MOST_RATIO / LEAST_RATIO)
        return round(5 + (width - 10) * min(share, 1), 1)

    shapes = [
        f'<path d="M5 {middle}H{width - 5}" stroke="var(--line)"/>',
        f'<path d="M{x(limit)} 2V22" stroke="var(--ink)" stroke-dasharray="2 2"/>',
    ]
    if record["noise_ratio"] is not None:
        shapes.append(
            f'<circle cx="{x(record["noise_ratio"])}" cy="{middle}" r="4" fill="none" stroke="var(--noise)" '
            'stroke-width="1.5"/>'
        )
    if record["interval"] is not None:
        low, high = map(x, record["interval"])
        shapes.append(f'<path d="M{low} {middle}H{high}" stroke="currentColor" stroke-width="4"/>')
    shapes.append(f'<circle cx="{x(record["ratio"])}" cy="{middle}" r="4" fill="currentColor"/>')
    return (
        f'<svg viewBox="0 0 {width} {2 * middle}" role="img" aria-label="ratio {record["ratio"]:.3g}, '
        f'limit {limit:.3g}">{"".join(shapes)}</svg>'
    )


def _explanations():
    parts = []
    for heading, texts in (
        ("What the columns say", COLUMNS),
        ("What is measured", {LABELS[name]: text for name, text in MEASURES.items()}),
    ):
        items = "\n".join(
            f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in texts.items()
        )
        parts.append(f"<section>\n<h3>{heading}</h3>\n<dl>\n{items}\n</dl>\n</section>")
    return f'<div class="explained">\n{_lines(parts)}\n</div>'


def _losses(history):
    with tempfile.TemporaryDirectory() as folder, inline_svg.drawing():
        picture = Path(folder) / "losses.svg"
        curves.loss_curves(history, picture, "")
        svg = picture.read_text(encoding="utf-8")
    label = "Losses of discriminator, generator and encoder, and the discriminator's answers, over epochs."
    return f"""\
<h2>Training</h2>
<p>Losses over epochs (Figure 5 of the paper), with the answers of the discriminator D. Thin: as logged; thick: \
running mean.</p>
<div class="scroll" role="region" aria-label="Loss curves" tabindex="0">
<figure class="losses">{inline_svg.inline(svg, "losses", label)}</figure>
</div>"""


def _statistics(pictures):
    panels = statistic_curves.statistic_panels(
        pictures.crops,
        pictures.generated,
        pictures.noise,
        pictures.n_phases,
        pixel_size=pictures.pixel_size,
        unit=pictures.unit,
    )
    drawn = []
    for number, panel in enumerate(panels):
        svg = inline_svg.inline(
            inline_svg.figure_svg(panel.figure), f"panel{number}", panel.summary
        )
        heading = f"<figcaption>{escape(panel.heading)}</figcaption>"
        drawn.append(f'<figure class="{panel.statistic}">\n{heading}\n{svg}\n</figure>')
    sections = [
        f'<h3>{escape(group)}</h3>\n<div class="panels">\n{_lines(figure for _, figure in pairs)}\n</div>'
        for group, pairs in groupby(zip(panels, drawn, strict=True), lambda pair: pair[0].group)
    ]
    units = ""
    if pictures.pixel_size is not None:
        units = " Lengths are in the unit of the pixel size, those of the table in pixels."
    return f"""\
<h2>Statistics</h2>
<p>Curves are means over images, bands and thin lines one standard deviation above and below. Histograms and bars \
count images. A good model has the orange lines where the grey ones are.{escape(units)}</p>
<p class="legend"><span><i class="crops"></i>real crops</span><span><i></i>samples</span>\
<span><i class="noise"></i>white noise</span></p>
{_lines(sections)}"""


def _kind(passed: bool | None) -> str:
    return {True: "pass", False: "fail", None: "none"}[passed]


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(parts)
