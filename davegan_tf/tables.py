"""Tables of text: in Markdown for pages, in columns for a terminal."""

from collections.abc import Sequence


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown with these headings and cells."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def aligned(rows: Sequence[Sequence[str]]) -> tuple[list[str], int]:
    """The lines of a table in columns, labels to the left and all else to the right, and its width in characters.

    A row of one cell is a heading, as wide as it likes.
    """
    full = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    ]
    return lines, sum(widths) + 2 * (len(widths) - 1)
