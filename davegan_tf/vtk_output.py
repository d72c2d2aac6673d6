"""Phase labels → VTK image data (.vti): ParaView and PyVista show it, DAMASK's grid solver computes with it.

DAMASK reads a narrow dialect of the format: little-endian, Int32 or Int64, base64 within the element ("binary", not
"appended"), data on a line of its own, ``<CellData>`` without attributes. VTK reads that dialect like any other.

References
----------
VTK XML formats, https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html
"""

import base64
import contextlib
import re
import struct
import zlib

from davegan_tf.errors import InputError
from davegan_tf.files import atomic_path

_VTI = """\
<?xml version="1.0"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64" \
compressor="vtkZLibDataCompressor">
  <ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{spacing}" Direction="1 0 0 0 1 0 0 0 1">
    <FieldData>
      <Array type="String" Name="unit" NumberOfTuples="1" format="ascii">
        {unit}
      </Array>
    </FieldData>
    <Piece Extent="{extent}">
      <CellData>
        <DataArray type="Int32" Name="material" format="binary">
          {material}
        </DataArray>
      </CellData>
    </Piece>
  </ImageData>
</VTKFile>
"""


def vti(labels, pixel_size=None, unit=None):
    """The text of a .vti file with one image, as a grid of cells that is one cell thick.

    x is the column; y points up, as in a plot, so that the first row of the image lies at the largest y and the picture
    stands in ParaView as it does in an image viewer.

    Parameters
    ----------
    labels : (height, width) int, phase labels
        Become the cell data ``material``, which DAMASK takes for the place in its list of materials, from 0.
    pixel_size : float, optional
        Side of a pixel, and the thickness; 1 if None.
    unit : str, optional
        Of ``pixel_size``; goes to the field data ``unit``, which is "pixel" without a pixel size.

    Returns
    -------
    str
    """
    height, width = labels.shape
    unit = "pixel" if pixel_size is None else unit or "unknown"
    side = 1.0 if pixel_size is None else float(pixel_size)
    return _VTI.format(
        extent=f"0 {width} 0 {height} 0 1",
        spacing=" ".join([repr(side)] * 3),
        # Codes of its bytes, with the end that C's strings have: what VTK calls ascii.
        unit=" ".join(map(str, [*unit.encode(), 0])),
        material=_encode(labels[::-1].astype("<i4").tobytes()),
    )


def write_vti(path, labels, pixel_size=None, unit=None):
    """Write images of phase labels, a file each (:func:`vti`), all of them or none.

    They are not stacked into one grid: z would be no direction of the material.

    Parameters
    ----------
    path : Path
        Name of a single image; of several their names have a number more: a_000.vti, a_001.vti, …, which ParaView opens
        as one series.
    labels : (n, height, width) int, phase labels
    pixel_size, unit : optional
        As of :func:`vti`.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        As :func:`check_series`.
    """
    check_series(path, len(labels))
    paths = _series(path, len(labels))
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(atomic_path(each)) for each in paths]
        for file, image in zip(files, labels, strict=True):
            file.write_text(vti(image, pixel_size, unit), encoding="utf-8", newline="")
    return paths


def check_series(path, count, fewer=False):
    """Raise InputError if a file of the series can't be written, or ParaView would take others for a part of it.

    With ``fewer`` there may be fewer images than ``count`` in the end.
    """
    paths = _series(path, count)
    for each in paths:
        if each.is_dir():
            raise InputError(f"--out {path}: {each} is a folder; choose another name.")
    if count > 1 and path.parent.is_dir():
        name = re.compile(rf"{re.escape(path.stem)}_\d+{re.escape(path.suffix)}")
        found = sorted(each for each in path.parent.iterdir() if name.fullmatch(each.name))
        # Of fewer than a thousand its name is shorter.
        allowed = [each for each in paths[:1] if each in _series(path, 2)] if fewer else paths
        others = [each for each in found if each not in allowed]
        if others:
            several = f"{'up to ' if fewer else ''}{count} images"
            raise InputError(
                f"--out {path}: {others[0]} would pass for a part of this series of {several}"
                f" ({paths[0].name} … {paths[-1].name}); delete it or choose another name."
            )


def _series(path, count):
    if count == 1:
        return [path]
    digits = max(3, len(str(count - 1)))
    return [
        path.with_name(f"{path.stem}_{index:0{digits}d}{path.suffix}") for index in range(count)
    ]


def _encode(data):
    """One compressed block in base64, after how many blocks, their size, that of a shorter last one, and compressed."""
    packed = zlib.compress(data)
    head = struct.pack("<4Q", 1, len(data), 0, len(packed))
    return (base64.b64encode(head) + base64.b64encode(packed)).decode()
