"""Deployment: what every export goes through, whatever its format.

It is written to a temporary folder, run there by the runtime of its users, compared with the run, given a model card,
and only then put in its place.
"""

from davegan_tf.export_card import model_card
from davegan_tf.export_check import check_export, format_checked
from davegan_tf.files import atomic_folder, write_text


def write_export(path, model, run, step, kind, fill, runtime, *, exact=True):
    """Write an export as a folder, checked and with a model card, or not at all.

    Parameters
    ----------
    path : Path
        New or empty folder.
    model : DAVEGAN
    run : davegan_tf.run_folder.RunFolder
        What the model is of.
    step : int
        Of the training, as :func:`davegan_tf.building.load_model` returns it.
    kind : str
        Of the export, for people.
    fill : callable of a folder (Path)
        Writes the export into it and returns how it is used, as Markdown.
    runtime, exact
        See :func:`davegan_tf.export_check.check_export`.

    Returns
    -------
    str
        What was checked and written, for a message.

    Raises
    ------
    ExportFailed
        If it does not compute what the run computes.
    """
    with atomic_folder(path) as temporary:
        use = fill(temporary)
        checked = check_export(temporary, model, runtime, exact=exact)
        table = format_checked(checked)
        write_text(temporary / "README.md", model_card(run, model, step, kind, use, table))
        size = sum(file.stat().st_size for file in temporary.rglob("*") if file.is_file())
    return f"{table}\nwrote {path} ({kind}, {size / 1e3:.0f} kB, with a model card, README.md)"
