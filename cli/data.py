"""`davegan data list` and `davegan data show`: look at what a model would learn from."""

from pathlib import Path

import click

from cli.image_argument import check_not_read, keys_as_options, segmentation_options
from cli.options import SEED
from davegan_tf.limits import LARGEST_MICROGRAPH, SMALLEST_MICROGRAPH


@click.group()
def data() -> None:
    """List and show micrographs."""


@data.command("list")
def list_() -> None:
    """List the named micrographs and the generators, and where each would come from."""
    import numpy as np

    from davegan_tf import registry
    from davegan_tf.synthetic import GENERATORS

    rows = [("NAME", "PHASES", "FRACTIONS OF PHASES 0, 1, …", "FROM", "WHAT IT IS")]
    for name, entry in registry.NAMED.items():
        path = registry.find_local(name)
        fractions, origin = "", "download"
        if path is not None:
            labels = np.load(path, allow_pickle=False)
            counts = np.bincount(labels.ravel(), minlength=entry.n_phases)
            fractions = "  ".join(f"{count / labels.size:.3f}" for count in counts)
            origin = str(path.parent)
        rows.append((name, str(entry.n_phases), fractions, origin, entry.description))
    described = {
        "checkerboard": ("0.500  0.500", "checkerboard"),
        "filtered_noise": ("0.702  0.298", "filtered noise, like synth1"),
        "grains": ("0.135  0.865", "polycrystal with thin boundaries, like alloy"),
        "ellipses": ("", "one elliptical inclusion per image of 32 × 32 (Section 4.2)"),
    }
    for name in GENERATORS:
        fractions, description = described.get(name, ("", ""))
        rows.append((name, "2", fractions, "generated", description))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]))
    click.echo("\nLook at one: davegan data show NAME --out picture.png")


@data.command()
@click.argument("source", metavar="NAME_OR_PATH")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="PNG file to write.")
@segmentation_options
@click.option(
    "--image-size",
    type=click.Choice(["32", "64", "128", "256"]),
    help="Side of the model's images. [default: 64; 32 for ellipses]",
)
@click.option(
    "--sampling",
    type=click.Choice(["tiles", "crops"]),
    default="tiles",
    show_default=True,
    help="Show the tiles' cut lines, or 16 random crops.",
)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    help="Seed of a generator and of crops.",
)
@click.option(
    "--micrograph-size",
    type=click.IntRange(SMALLEST_MICROGRAPH, LARGEST_MICROGRAPH),
    default=256,
    show_default=True,
    help="Side of a generated micrograph in pixels.",
)
def show(
    source: str,
    out: Path,
    threshold: str | float | None,
    phases: int | None,
    image_size: str | None,
    sampling: str,
    seed: int,
    micrograph_size: int,
) -> None:
    """Write a PNG of a micrograph as the model will see it, in phases and cut to size.

    Phases are levels of grey, 0 black. Red lines are the cuts between tiles; what is dyed red
    belongs to no tile. An image of your own in many grey values needs --threshold or --phases.
    """
    from davegan_tf.errors import InputError
    from davegan_tf.figures import save_png
    from davegan_tf.micrographs import load_micrograph

    if out.suffix.lower() != ".png":
        raise InputError(f'--out "{out}": the picture is a PNG, give a name that ends in .png.')
    check_not_read(out, [source])
    side = int(image_size) if image_size else None
    with keys_as_options("image_size", "micrograph_size"):
        micrograph = load_micrograph(
            source,
            threshold=threshold,
            phases=phases,
            micrograph_size=micrograph_size,
            count=16,
            generator_seed=seed,
            min_side=side or 64,
        )
        side = side or min(64, *micrograph.images.shape[1:])
        picture, shown = _picture(micrograph.images, micrograph.n_phases, side, sampling, seed)
    save_png(out, picture)
    _, height, width = micrograph.images.shape
    click.echo(f"{micrograph.name}: {height} × {width} pixels, {micrograph.n_phases} phases")
    click.echo(f"from: {micrograph.origin}")
    click.echo(f"segmentation: {micrograph.segmentation}")
    click.echo(f"shown: {shown}")
    click.echo(f"wrote {out}")


def _picture(images, n_phases: int, side: int, sampling: str, seed: int):
    """(height, width, 3) uint8 picture, and what it shows in one phrase."""
    import numpy as np

    from davegan_tf import dataset
    from davegan_tf.figures import to_grey

    remainder = dataset.tile_remainder(images.shape, side)
    n_tiles = len(dataset.tile_positions(images.shape, side))
    if sampling == "crops":
        positions = dataset.crop_positions(images.shape, side, 16, seed)
        images = dataset.cut(images, positions, side)
        remainder = (0, 0)
        shown = f"16 random crops of {side} × {side} pixels"
    elif len(images) > 1:
        shown = f"the first {len(images)} images of {side} × {side} pixels"
    else:
        shown = f"{n_tiles} tiles of {side} × {side} pixels"
        if any(remainder):
            shown += (
                f"; the last {remainder[0]} rows and {remainder[1]} columns are left over and "
                "belong to no tile"
            )
    if len(images) > 1:
        # Sixteen images as a square of four by four, cut lines between them.
        rows = [
            np.concatenate(list(row), axis=1) for row in images.reshape(-1, 4, *images.shape[1:])
        ]
        image = np.concatenate(rows, axis=0)
    else:
        image = images[0]
    height, width = image.shape
    factor = max(1, 768 // max(height, width))
    picture = np.repeat(to_grey(image, n_phases)[..., np.newaxis], 3, axis=-1)
    picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    for axis in (0, 1):
        end = (image.shape[axis] - remainder[axis]) * factor
        left_over = np.swapaxes(picture, 0, axis)[end:]  # a view: what is written shows in picture
        left_over[..., 1:] //= 2
        left_over[..., 0] = np.maximum(left_over[..., 0], 128)
    for axis in (0, 1):
        cuts = np.arange(side, image.shape[axis], side) * factor
        np.swapaxes(picture, 0, axis)[cuts] = (220, 40, 40)
    return picture, shown
