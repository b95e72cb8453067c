# SPDX-License-Identifier: Apache-2.0
"""One reader of pictures: what check accepts is read, upright, bright enough, and by all alike."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from yolact_ros.datasets.coco import CocoDataset, read_dataset
from yolact_ros.datasets.exif import orientation_of, turn
from yolact_ros.datasets.pictures import MAX_PIXELS, look_at, look_at_all, read_picture
from yolact_ros.datasets.problems import DatasetError
from yolact_ros.datasets.warnings import find_warnings
from yolact_ros.datasets.writing import write_content

HEIGHT, WIDTH = 24, 32


def picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """RGB with a different colour in each quarter."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for number, (rows, columns) in enumerate(
        (r, c) for r in (slice(height // 2), slice(height // 2, None))
        for c in (slice(width // 2), slice(width // 2, None))
    ):  # fmt: skip
        pixels[rows, columns] = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (220, 220, 220)][
            number
        ]
    return pixels


def exif_of(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def alike(found: np.ndarray, expected: np.ndarray, most: float = 12.0) -> bool:
    """Whether two pictures are the same but for what compression changes, mostly at edges."""
    return found.shape == expected.shape and np.median(np.abs(found - expected.astype(int))) <= most


def late_exif(data: bytes, orientation: int) -> bytes:
    """A PNG with EXIF data behind its pixels, where exiftool puts it."""
    content = exif_of(orientation).removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + content
    chunk = struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:-12] + chunk + data[-12:]


def write_late(path: Path, orientation: int) -> None:
    Image.fromarray(picture()).save(path, "PNG")
    path.write_bytes(late_exif(path.read_bytes(), orientation))


def write_tiff16(path: Path, orientation: int) -> None:
    """RGB of 16 bits, which only OpenCV writes; a field of its head is replaced."""
    write(".tif", lambda bgr: bgr.astype(np.uint16) << 8)(path)
    data = bytearray(path.read_bytes())
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from(order + "H", data, entry) == (274,):
            struct.pack_into(order + "H", data, entry + 8, orientation)
            break
        if struct.unpack_from(order + "H", data, entry)[0] == 284:  # planes: one is the default
            struct.pack_into(order + "HHIHH", data, entry, 274, 3, 1, orientation, 0)
            break
    path.write_bytes(data)


WRITERS: dict[str, Callable[[Path, int], None]] = {
    kind: lambda path, orientation, kind=kind, more=more: Image.fromarray(picture()).save(
        path, kind, exif=exif_of(orientation), **more
    )
    for kind, more in (
        ("JPEG", {"quality": 95}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("AVIF", {"quality": 90}),
    )
} | {"PNG with late EXIF": write_late, "TIFF of 16 bits": write_tiff16}  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
def test_every_orientation_of_every_kind_is_read_upright_or_as_stored(
    tmp_path: Path, kind: str
) -> None:
    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.jpg"  # the suffix does not matter
        WRITERS[kind](path, orientation)
        tagged = Image.fromarray(picture())
        tagged.getexif()[0x0112] = orientation
        upright = np.asarray(ImageOps.exif_transpose(tagged))
        header = look_at(path)
        assert (header.orientation, header.stored) == (orientation, (WIDTH, HEIGHT))
        assert header.size == upright.shape[1::-1]
        assert alike(read_picture(path), upright), orientation
        assert alike(read_picture(path, labelled=header.size), upright), orientation
        # only where the size is not that of the upright picture do labels tell
        as_stored = picture() if orientation >= 5 else upright
        assert alike(read_picture(path, labelled=(WIDTH, HEIGHT)), as_stored), orientation
        # predict
        bgr = read_picture(path, channel_order="bgr")
        assert alike(bgr[..., ::-1], upright), orientation


def test_what_is_no_orientation_is_none() -> None:
    assert [orientation_of(exif_of(value)) for value in (0, 9, 600, 1, 8)] == [1, 1, 1, 1, 8]
    whole = exif_of(6)
    assert {orientation_of(whole[:end]) for end in range(len(whole))} <= {1, 6}
    assert orientation_of(b"") == orientation_of(b"Exif\0\0II*\0\xff\xff\xff\xff") == 1
    big = struct.pack("<2sHHHQQHHQQ", b"II", 43, 8, 0, 16, 1, 274, 3, 1, 6)
    assert orientation_of(big) == 6
    assert orientation_of(big.replace(b"\x12\x01\x03", b"\x12\x01\x02")) == 1


def save(kind: str, mode: str = "RGB", **more: Any) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(picture()).convert(mode).save(path, kind, **more)


def write(suffix: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def by_opencv(path: Path) -> None:
        written = path.with_name(f"written{suffix}")
        assert cv2.imwrite(str(written), change(picture()[..., ::-1]))
        written.rename(path)

    return by_opencv


def gray(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)


def save_float(path: Path) -> None:
    Image.fromarray(gray(picture()[..., ::-1]).astype(np.float32) / 255).save(path, "TIFF")


def save_animation(path: Path) -> None:
    frames = [Image.fromarray(picture()), Image.new("RGB", (WIDTH, HEIGHT))]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])


COLOUR: dict[str, Callable[[Path], None]] = {
    "GIF": save("GIF"),
    "GIF with two pictures": save_animation,
    "AVIF": save("AVIF", quality=90),
    "JPEG 2000": save("JPEG2000"),
    "TGA": save("TGA"),
    "BMP": save("BMP"),
    "WebP": save("WEBP", lossless=True),
    "CMYK JPEG": save("JPEG", "CMYK", quality=95),
    "CMYK TIFF": save("TIFF", "CMYK"),
    "palette PNG": save("PNG", "P"),
    "palette PNG with transparency": save("PNG", "P", transparency=0),
    "palette TIFF": save("TIFF", "P"),
    "PNG with transparency": save("PNG", "RGBA"),
    "JPEG in a TIFF": save("TIFF", compression="jpeg"),
    "progressive JPEG": save("JPEG", progressive=True, quality=95),
    "MPO": save("MPO", quality=95),
    "PNG of 16 bits": write(".png", lambda bgr: bgr.astype(np.uint16) * 257),
    "PNG of 12 in 16 bits": write(".png", lambda bgr: bgr.astype(np.uint16) << 4),
    "TIFF of 12 in 16 bits": write(".tif", lambda bgr: bgr.astype(np.uint16) << 4),
    "TIFF of 10 in 16 bits": write(".tif", lambda bgr: bgr.astype(np.uint16) << 2),
    "float TIFF in colour": write(".tif", lambda bgr: bgr.astype(np.float32) / 255),
    "float TIFF in colour to 255": write(".tif", lambda bgr: bgr.astype(np.float32)),
    "double TIFF in colour": write(".tif", lambda bgr: bgr / 255),
    "PPM": save("PPM"),
}
GRAY: dict[str, Callable[[Path], None]] = {
    "grey PNG": save("PNG", "L"),
    "grey PNG with transparency": save("PNG", "LA"),
    "grey JPEG": save("JPEG", "L", quality=95),
    "grey PNG of 12 in 16 bits": write(".png", lambda bgr: gray(bgr).astype(np.uint16) << 4),
    "grey TIFF of 14 in 16 bits": write(".tif", lambda bgr: gray(bgr).astype(np.uint16) << 6),
    "grey PGM of 12 in 16 bits": write(".pgm", lambda bgr: gray(bgr).astype(np.uint16) << 4),
    "grey float TIFF": save_float,
}


@pytest.mark.parametrize("kind", [*COLOUR, *GRAY])
def test_every_kind_that_is_accepted_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    (COLOUR | GRAY)[kind](path)
    expected = picture()
    if kind in GRAY:
        expected = np.repeat(gray(expected[..., ::-1])[..., None], 3, axis=2)
    headers, faults = look_at_all({7: "a.jpg"}, tmp_path)
    assert not faults and headers[7].size == (WIDTH, HEIGHT)
    found = read_picture(path)
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    assert alike(found, expected), np.abs(found - expected.astype(int)).mean(axis=(0, 1))


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    save("PNG", "1")(tmp_path / "a.png")
    save("TIFF", "1", compression="group4")(tmp_path / "b.tif")
    for name in ("a.png", "b.tif"):
        look_at(tmp_path / name)
        assert set(np.unique(read_picture(tmp_path / name))) == {0, 255}


def png_head(width: int, height: int) -> bytes:
    """A PNG of a size, without its pixels."""
    content = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR" + content, b"IDAT", b"IEND")
    chunks = (
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def cut(kind: str, **more: Any) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    path = Path(f"cut.{kind}")
    Image.fromarray(noise).save(path, kind, **more)
    return path.read_bytes()[: path.stat().st_size // 2]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "which is empty"),
        (b"not a picture, but longer than its head", "no picture of a kind that can be read"),
        (b"<!doctype html><html>", "which is a web page or a drawing"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "run `git lfs pull`"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "which is HEIC: convert it"),
        (png_head(16385, 16384), f"at most {MAX_PIXELS} pixels, got 16385x16384"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_alike(tmp_path: Path, data: bytes, text: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    [said] = look_at_all({1: "a.png"}, tmp_path)[1].values()
    assert text in said and str(path) in said
    with pytest.raises(ValueError) as caught:
        read_picture(path)
    assert str(caught.value) == said


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000"])
def test_cut_files_are_refused_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.png"
    path.write_bytes(cut(kind))
    assert look_at_all({1: "a.png"}, tmp_path)[1]
    with pytest.raises(ValueError, match=r"expected an image file, got .*a\.png"):
        read_picture(path)


def test_phones_of_200_million_pixels_are_no_bombs(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "a.png").write_bytes(png_head(16320, 12240))
    assert look_at(tmp_path / "a.png").size == (16320, 12240)
    assert not recwarn.list


SQUARE = [2, 2, 10, 2, 10, 8, 2, 8]


def dataset_of(folder: Path, *pictures: tuple[int, tuple[int, int], tuple[int, int]]) -> Path:
    """Write pictures, each an orientation, its stored size and the size that the labels state."""
    for number, (orientation, (width, height), _) in enumerate(pictures, 1):
        Image.fromarray(picture(height, width)).save(
            folder / f"{number}.png", exif=exif_of(orientation)
        )
    content = {
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": width, "height": height}
            for number, (_, _, (width, height)) in enumerate(pictures, 1)
        ],
        "categories": [{"id": 1, "name": "cup"}],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 1, "segmentation": [SQUARE]}
            for number in range(1, len(pictures) + 1)
        ],
    }
    write_content(folder / "a.json", content, "test")
    return folder / "a.json"


def warnings_of(dataset: CocoDataset, folder: Path) -> list[str]:
    names = {image.id: image.file_name for image in dataset.images}
    found = find_warnings(dataset, look_at_all(names, folder)[0])
    return [f"{problem.kind}: {problem}" for problem in found]


def test_the_labels_sizes_decide_and_all_is_counted(tmp_path: Path) -> None:
    wide, high, square = (WIDTH, HEIGHT), (HEIGHT, WIDTH), (HEIGHT, HEIGHT)
    path = dataset_of(
        tmp_path,
        (6, wide, high),  # labels of the upright picture
        (6, wide, wide),  # of the stored pixels
        (6, square, square),  # either
        (3, wide, wide),  # either
        (1, wide, wide),
    )
    dataset = read_dataset(path, tmp_path)
    read = [dataset.read_image(image) for image in dataset.images]
    expected = [
        np.rot90(picture(), -1),
        picture(),
        np.rot90(picture(HEIGHT, HEIGHT), -1),
        np.rot90(picture(), 2),
        picture(),
    ]
    for found, wanted in zip(read, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert dataset.turned == 3
    [remark] = dataset.remarks
    assert remark.startswith(f"{path}: 3 of 5 pictures are turned as their EXIF orientation says")
    turned, left = "pictures turned as their EXIF says", "pictures not turned as their EXIF says"
    applied = "is applied: expected labels drawn on the upright picture"
    assert [line for line in warnings_of(dataset, tmp_path) if "EXIF" in line] == [
        f"{turned}: image 1, 1.png: orientation 6 {applied}",
        f"{left}: image 2, 2.png: the labels' size fits the stored pixels alone, so orientation 6 "
        "is not applied; viewers and `yolact-ros predict` turn the picture",
        f"{turned}: image 3, 3.png: orientation 6 {applied}, which its size does not tell",
        f"{turned}: image 4, 4.png: orientation 3 {applied}, which its size does not tell",
        f"{turned}: the labels of 1 image were drawn on the stored pixels; if those of the 2 whose "
        "size does not tell were, too, remove their orientation: exiftool -Orientation= FILES",
    ]


def test_a_size_that_fits_neither_way_names_the_orientation(tmp_path: Path) -> None:
    path = dataset_of(tmp_path, (6, (WIDTH, HEIGHT), (99, 98)))
    with pytest.raises(DatasetError) as caught:
        read_dataset(path, tmp_path)
    assert str(caught.value).endswith(
        f"expected 99x98 pixels, got {HEIGHT}x{WIDTH} in {tmp_path / '1.png'}, turned as its EXIF "
        f"orientation 6 says: {WIDTH}x{HEIGHT} as stored"
    )


def test_large_pictures_are_said(tmp_path: Path) -> None:
    path = dataset_of(tmp_path, (1, (2801, 8), (2801, 8)), (1, (2800, 8), (2800, 8)))
    [warning] = warnings_of(read_dataset(path, tmp_path), tmp_path)
    assert warning.startswith(
        "large pictures: image 1, 1.png: expected sides of at most 2800 pixels, got 2801x8"
    )


def test_turning_moves_corners_where_exif_has_them() -> None:
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)  # rows 0 1 2 and 3 4 5
    upright = {
        1: [[0, 1, 2], [3, 4, 5]], 2: [[2, 1, 0], [5, 4, 3]], 3: [[5, 4, 3], [2, 1, 0]],
        4: [[3, 4, 5], [0, 1, 2]], 5: [[0, 3], [1, 4], [2, 5]], 6: [[3, 0], [4, 1], [5, 2]],
        7: [[5, 2], [4, 1], [3, 0]], 8: [[2, 5], [1, 4], [0, 3]],
    }  # fmt: skip
    for orientation, rows in upright.items():
        assert turn(stored, orientation)[..., 0].tolist() == rows
