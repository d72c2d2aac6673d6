"""Figures as SVG within a page: in the page's colours and fonts, with ids that do not collide."""

import io
import re
from html import escape

import matplotlib
from matplotlib.figure import Figure

from davegan_tf.drawing import COLORS

# Colours as the page's style sheet has them, so that they suit light and dark; black and white are ink and paper.
_VARIABLES = {color.lower(): name.split()[-1] for name, color in COLORS.items()} | {
    "#000000": "ink",
    "#444444": "ink",
    "#ffffff": "paper",
}


def drawing():
    """Text stays text, and the same figure is the same file."""
    return matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "davegan"})


def figure_svg(figure: Figure) -> str:
    """A figure as SVG."""
    with drawing():
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()


def inline(svg: str, prefix: str, label: str) -> str:
    """An SVG file as an element of the page: without head, style and fonts of its own, with ids of its own.

    Parameters
    ----------
    svg : str
        What :func:`figure_svg` returns, or the text of a file written while :func:`drawing`.
    prefix : str
        Of all ids, another one for each SVG of a page.
    label : str
        What the picture shows, for those who cannot see it.
    """
    parts = r"^.*?(?=<svg)|<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->"
    svg = re.sub(parts, "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]+>", lambda tag: _inline_tag(tag[0], prefix), svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg).strip()
    view = re.search(r'viewBox="[^"]*"', svg)[0]
    return f'<svg {view} role="img" aria-label="{escape(label)}"' + svg[svg.index(">") :]


def _inline_tag(tag: str, prefix: str) -> str:
    tag = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", tag)
    tag = re.sub(r' ?font-family: [^;"]*;?', "", tag)
    tag = re.sub(r"#[0-9a-f]{6}\b", lambda color: _page_color(color[0]), tag)
    # A hundredth of a point; numbers in a text lie outside of tags.
    return re.sub(r"(\.\d\d)\d+", r"\1", tag)


def _page_color(color: str) -> str:
    return f"var(--{_VARIABLES[color]})" if color in _VARIABLES else color
