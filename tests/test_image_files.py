"""Every kind of file, whole and damaged, → grey values or one sentence."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from davegan_tf.errors import InputError
from davegan_tf.image_files import LUMINANCE, read_image

RNG = np.random.default_rng(8)
GREY8 = RNG.integers(0, 256, (70, 90), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (70, 90), dtype=np.uint16)
ORIENTATION = 274  # the number of the tag, of TIFF and Exif


def write(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 else "minisblack")
    else:
        Image.fromarray(array).save(path)
    return path


def refused(path, match):
    with pytest.raises(InputError, match=match) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("array", [GREY8, GREY16, GREY8 > 99], ids=["8", "16", "1"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_values_are_kept_exactly(tmp_path, suffix, array):
    image = read_image(write(tmp_path / f"a{suffix}", array))
    np.testing.assert_array_equal(image.values, array)
    assert not image.lossy
    assert image.notes == ()


def test_bmp_is_exact_and_jpeg_is_lossy(tmp_path):
    np.testing.assert_array_equal(read_image(write(tmp_path / "a.bmp", GREY8)).values, GREY8)
    image = read_image(write(tmp_path / "a.jpg", GREY8))
    assert image.lossy
    assert image.values.shape == GREY8.shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_numbers_in_npy_and_tiff(tmp_path, dtype):
    array = GREY8.astype(dtype) - 7
    np.testing.assert_array_equal(read_image(write(tmp_path / "a.npy", array)).values, array)
    if dtype == np.float32:
        np.testing.assert_array_equal(read_image(write(tmp_path / "a.tif", array)).values, array)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_colours_become_luminance(tmp_path, suffix):
    colours = RNG.integers(0, 256, (70, 90, 3), dtype=np.uint8)
    image = read_image(write(tmp_path / f"a{suffix}", colours))
    np.testing.assert_allclose(image.values, colours @ np.array(LUMINANCE), atol=1e-5)
    assert image.notes == ("colours converted to luminance",)


def test_grey_saved_as_colours_keeps_its_values_and_an_opaque_alpha_is_dropped(tmp_path):
    rgb = np.repeat(GREY8[..., np.newaxis], 3, axis=-1)
    alpha = np.full((70, 90, 1), 255, np.uint8)
    image = read_image(write(tmp_path / "a.png", np.concatenate([rgb, alpha], axis=-1)))
    np.testing.assert_array_equal(image.values, GREY8, strict=True)
    assert image.notes == ("constant alpha channel dropped",)
    two = read_image(write(tmp_path / "b.png", np.concatenate([rgb[..., :1], alpha], axis=-1)))
    np.testing.assert_array_equal(two.values, GREY8, strict=True)


def test_alpha_that_varies_is_refused(tmp_path):
    rgba = RNG.integers(0, 256, (70, 90, 4), dtype=np.uint8)
    refused(write(tmp_path / "a.png", rgba), "alpha channel that varies")


@pytest.mark.parametrize(("mode", "transparent"), [("L", 7), ("RGB", (7, 7, 7)), ("1", 0)])
def test_a_grey_level_or_colour_that_is_transparent_is_an_alpha_that_varies(
    tmp_path, mode, transparent
):
    grey = RNG.integers(0, 2, (70, 90), dtype=np.uint8) * 7
    image = Image.fromarray(grey).convert(mode)
    image.save(tmp_path / "a.png", transparency=transparent)
    refused(tmp_path / "a.png", "alpha channel that varies")


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_complex_numbers_are_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, np.fft.fft2(GREY8).astype(np.complex64))
    with pytest.raises(InputError, match=r"holds values of type complex64; give an array of int"):
        read_image(path)


def test_too_little_memory_is_no_damage(tmp_path, monkeypatch):
    def full(*_, **__):
        raise MemoryError("Unable to allocate 1 TiB")

    np.save(tmp_path / "a.npy", GREY8)
    for suffix in (".png", ".tif"):
        write(tmp_path / f"a{suffix}", GREY8)
    monkeypatch.setattr(np.lib.format, "read_array", full)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", full)
    monkeypatch.setattr(Image.Image, "load", full)
    for suffix in (".npy", ".png", ".tif"):
        with pytest.raises(MemoryError):
            read_image(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_of_16_bits_are_refused_where_8_of_them_would_be_lost(tmp_path, channels):
    rows = np.zeros((70, 1 + 2 * 80 * channels), np.uint8)
    rows[:, 2::2] = 7  # low bytes; the first of a row says that it is not filtered
    kind = {2: 4, 3: 2, 4: 6}[channels]
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", 80, 70, 16, kind, 0, 0, 0),
        b"IDAT": zlib.compress(rows.tobytes()),
        b"IEND": b"",
    }
    written = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts.items()
    )
    (tmp_path / "a.png").write_bytes(written)
    refused(tmp_path / "a.png", "colours of 16 bits, of which only 8 could be read")


def test_palette_images_are_read_as_the_colours_one_sees(tmp_path):
    image = Image.fromarray((GREY8 > 99).astype(np.uint8), mode=None).convert("P")
    image.putpalette([200, 200, 200, 10, 10, 10] + [0] * 750)
    image.save(tmp_path / "a.png")
    expected = np.where(GREY8 > 99, 10, 200)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").values, expected)
    image.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").values, expected)


def test_label_colours_of_equal_luminance_are_refused(tmp_path):
    colours = np.zeros((70, 90, 3))
    colours[:, :40, 0] = LUMINANCE[1]
    colours[:, 40:80, 1] = LUMINANCE[0]
    refused(write(tmp_path / "a.npy", colours), "3 colours of which some are equally bright")


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits", "zstd"])
@pytest.mark.parametrize("array", [GREY8, GREY16], ids=["8", "16"])
def test_compression_of_tiff_changes_nothing(tmp_path, array, compression, photometric):
    plain, packed = tmp_path / "plain.tif", tmp_path / "packed.tif"
    tifffile.imwrite(plain, array, photometric=photometric)
    tifffile.imwrite(packed, array, photometric=photometric, compression=compression)
    image = read_image(packed)
    np.testing.assert_array_equal(image.values, read_image(plain).values)
    assert image.values.dtype == array.dtype and image.notes == read_image(plain).notes


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_lzw"])
def test_compressed_tiff_of_two_values(tmp_path, compression):
    Image.fromarray(GREY8 > 99).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").values, GREY8 > 99)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_colours_of_tiff_are_what_one_sees(tmp_path, mode, compression):
    levels = np.where(GREY8 > 99, 220, 20).astype(np.uint8)
    image = Image.fromarray(levels).convert("RGB").convert(mode)
    image.save(tmp_path / "a.tif", compression=compression)
    values = read_image(tmp_path / "a.tif").values
    assert (values[GREY8 > 99] > 200).all() and (values[GREY8 <= 99] < 40).all()


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "webp", "jpegxl"])
def test_lossy_tiff_is_no_image_of_labels(tmp_path, compression):
    colours = np.stack([GREY8] * 3, axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb", compression=compression)
    assert read_image(tmp_path / "a.tif").lossy


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("colours", [False, True], ids=["grey", "colours"])
def test_a_turned_tiff_is_read_as_one_sees_it(tmp_path, orientation, colours):
    stored = np.random.default_rng(0).integers(0, 256, (5, 7, 3) if colours else (5, 7), np.uint8)
    turned = Image.fromarray(stored)
    turned.getexif()[ORIENTATION] = orientation
    path, seen = tmp_path / "a.tif", tmp_path / "a.png"
    tag = (ORIENTATION, "H", 1, orientation, True)
    tifffile.imwrite(path, stored, photometric="rgb" if colours else "minisblack", extratags=[tag])
    ImageOps.exif_transpose(turned).save(seen)
    np.testing.assert_array_equal(read_image(path).values, read_image(seen).values)


def test_tiff_variants(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY8, photometric="miniswhite")  # 0 is shown white
    image = read_image(path)
    np.testing.assert_array_equal(image.values, 255 - GREY8)
    assert image.notes == ("values inverted, as 0 is white in this TIFF",)
    tifffile.imwrite(path, np.stack([GREY8, GREY8, GREY8]), photometric="rgb", planarconfig=2)
    np.testing.assert_array_equal(read_image(path).values, GREY8)
    Image.fromarray(GREY8).save(path, compression="tiff_lzw")
    np.testing.assert_array_equal(read_image(path).values, GREY8)
    Image.fromarray(GREY8).save(path, compression="jpeg", quality=90)
    assert read_image(path).lossy


def test_several_pages_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GREY8] * 5), photometric="minisblack")
    refused(path, "5 pages; give a file with exactly one")
    moving = tmp_path / "a.png"
    first = Image.fromarray(GREY8)
    first.save(moving, save_all=True, append_images=[Image.fromarray(255 - GREY8)])
    refused(moving, "2 images; give a file with exactly one")


def test_a_thumbnail_is_not_a_second_page(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(GREY8, metadata=None)
        tiff.write(GREY8[::2, ::2], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_image(path).values, GREY8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".jpg", ".npy"])
def test_truncated(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", GREY8)
    content = path.read_bytes()
    for kept in (len(content) // 2, 20):
        path.write_bytes(content[:kept])
        refused(path, "damaged or truncated")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_content_that_is_no_image(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"This is a letter, not a micrograph.")
    refused(path, "not an image that can be read; give a PNG, TIFF, BMP, JPEG or NPY")


def test_name_does_not_matter(tmp_path):
    path = write(tmp_path / "a.npy", GREY8).rename(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(path).values, GREY8)


def test_empty_folder_and_missing(tmp_path):
    (tmp_path / "a.png").touch()
    refused(tmp_path / "a.png", "is empty")
    refused(tmp_path, "is a folder")
    refused(tmp_path / "b.png", "does not exist")


def test_objects_are_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was executed",))

    np.save(tmp_path / "a.npy", np.array([Bomb(), None], dtype=object), allow_pickle=True)
    refused(tmp_path / "a.npy", "Python objects")


def test_a_damaged_header_of_npy(tmp_path):
    np.save(tmp_path / "a.npy", GREY8)
    whole = (tmp_path / "a.npy").read_bytes()
    assert b"), }" in whole
    (tmp_path / "a.npy").write_bytes(whole.replace(b"), }", b"  , }", 1))
    refused(tmp_path / "a.npy", "damaged or truncated")


def test_archives_other_types_and_shapes(tmp_path):
    np.savez(tmp_path / "a.npz", GREY8)
    refused(tmp_path / "a.npz", r"archive.*\.npz")
    refused(write(tmp_path / "a.npy", GREY8 + 1j), "type complex128")
    refused(write(tmp_path / "b.npy", np.array(["a", "b"])), "type <U1")
    refused(write(tmp_path / "c.npy", np.zeros((5, 70, 90))), r"shape \(5, 70, 90\)")
    refused(write(tmp_path / "d.npy", np.zeros(90)), r"shape \(90,\)")
    refused(write(tmp_path / "e.npy", np.zeros((0, 90))), "no pixels")
    single = read_image(write(tmp_path / "f.npy", GREY8[np.newaxis]))
    np.testing.assert_array_equal(single.values, GREY8)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_nan_and_infinity(tmp_path, suffix, value):
    array = GREY8.astype(np.float32)
    array[3, 4] = array[5, 6] = value
    refused(write(tmp_path / f"a{suffix}", array), "2 values that are NaN or infinite")
