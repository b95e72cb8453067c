# SPDX-License-Identifier: Apache-2.0
"""A data set's images in files that all processes map.

As Python objects, COCO's images take gigabytes, in each process anew.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
import numpy.typing as npt

from .coco import CocoDataset, CocoImage, CocoObject

COLUMNS = {
    **{"image": "q", "width": "q", "height": "q", "name": "B", "name_end": "q", "object_end": "q"},
    **{"object": "q", "class": "q", "box": "d", "crowd": "B", "area": "d"},
    **{"polygon_end": "q", "number_end": "q", "number": "d", "runs": "B", "runs_end": "q"},
}
"""Columns and their types, as `array` names them.

`X_end` is where the X of an image or an object end: an image's bytes of the name and its objects,
an object's polygons and bytes of run lengths, and a polygon's numbers.
"""
_WRITTEN_AT_ONCE = 1 << 16
"""Numbers of a column that are gathered: a data set's would take hundreds of megabytes."""


class Records(Sequence[CocoImage]):
    """Images in the columns of a folder, each made when it is asked for.

    A copy for another process is no more than the folder's name and the rows.

    Args:
        folder: Written by `write_records`.
        rows: (N,) those of the folder's images that these are, in this order; None: all.

    Attributes:
        folder, rows: As given.
    """

    def __init__(self, folder: Path, rows: npt.NDArray[np.int64] | None = None) -> None:
        self.folder = folder
        self.rows = rows
        self._columns = {
            name: _mapped(folder / file_of(name), kind) for name, kind in COLUMNS.items()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return Records, (self.folder, self.rows)

    def __len__(self) -> int:
        return len(self._columns["image"] if self.rows is None else self.rows)

    @overload
    def __getitem__(self, index: int) -> CocoImage: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[CocoImage]: ...

    def __getitem__(self, index: int | slice) -> CocoImage | Sequence[CocoImage]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        if self.rows is not None:
            index = int(self.rows[index])
        height, width = (int(self._columns[side][index]) for side in ("height", "width"))
        return CocoImage(
            id=int(self._columns["image"][index]),
            file_name=self._columns["name"][self._span("name_end", index)].tobytes().decode(),
            width=width,
            height=height,
            objects=tuple(
                self._object(number, height, width)
                for number in _numbers(self._span("object_end", index))
            ),
        )

    def names(self) -> Iterator[str]:
        """Yield the file names."""
        text = self._columns["name"].tobytes()
        ends = [0, *self._columns["name_end"].tolist()]
        rows = range(len(ends) - 1) if self.rows is None else self.rows.tolist()
        return (text[ends[row] : ends[row + 1]].decode() for row in rows)

    def having_objects(self) -> npt.NDArray[np.bool_]:
        """(N,) bool: whether an image has objects that are no crowds."""
        counts = np.concatenate([[0], np.cumsum(self._columns["crowd"] == 0)])
        ends = np.concatenate([[0], self._columns["object_end"]])
        there: npt.NDArray[np.bool_] = np.diff(counts[ends]) > 0
        return there if self.rows is None else there[self.rows]

    def taking(self, numbers: npt.NDArray[np.int64]) -> Records:
        """Return some of the images, by their positions."""
        return Records(self.folder, numbers if self.rows is None else self.rows[numbers])

    def _object(self, index: int, height: int, width: int) -> CocoObject:
        columns = self._columns
        x1, y1, x2, y2 = columns["box"][4 * index : 4 * index + 4].tolist()
        runs = columns["runs"][self._span("runs_end", index)]
        polygons = tuple(
            np.array(columns["number"][self._span("number_end", number)])
            for number in _numbers(self._span("polygon_end", index))
        )
        text = {"size": [height, width], "counts": runs.tobytes().decode()}
        return CocoObject(
            id=int(columns["object"][index]),
            class_id=int(columns["class"][index]),
            box=(x1, y1, x2, y2),
            segmentation=text if len(runs) else polygons,
            crowd=bool(columns["crowd"][index]),
            area=float(columns["area"][index]),
        )

    def _span(self, end: str, index: int) -> slice:
        ends = self._columns[end]
        return slice(int(ends[index - 1]) if index else 0, int(ends[index]))


def file_of(column: str) -> str:
    """Return the name of a column's file, which has its numbers and nothing else."""
    return f"{column}.bin"


def _mapped(path: Path, kind: str) -> npt.NDArray[Any]:
    if not path.stat().st_size:  # nothing can be mapped of it
        return np.empty(0, kind)
    # A plain array of the mapped memory: slices of np.memmap cost ten times as much.
    return np.asarray(np.memmap(path, kind, "r"))


def _numbers(span: slice) -> range:
    return range(span.start, span.stop)


def write_records(images: Iterable[CocoImage], folder: Path) -> None:
    """Write images into the columns of a folder, one after the other.

    Args:
        images: As `coco.images_of` makes them.
        folder: Empty.

    Raises:
        OverflowError: An id has more than 64 bits.
    """
    with ExitStack() as opened:
        columns = {
            name: _Column(opened.enter_context((folder / file_of(name)).open("wb")), kind)
            for name, kind in COLUMNS.items()
        }
        for image in images:
            _write_image(image, columns)
        for column in columns.values():
            column.write()


class _Column:
    """A column that is written.

    Args:
        file: Takes its numbers.
        kind: Their type, as `array` names it.
    """

    def __init__(self, file: BinaryIO, kind: str) -> None:
        self._file = file
        self._written = 0
        self.unwritten: array[Any] = array(kind)

    def __len__(self) -> int:
        return self._written + len(self.unwritten)

    def write(self) -> None:
        self.unwritten.tofile(self._file)
        self._written += len(self.unwritten)
        del self.unwritten[:]


def _write_image(image: CocoImage, columns: dict[str, _Column]) -> None:
    def add(**values: float) -> None:
        for name, value in values.items():
            columns[name].unwritten.append(value)

    columns["name"].unwritten.frombytes(image.file_name.encode())
    for thing in image.objects:
        if isinstance(thing.segmentation, dict):
            columns["runs"].unwritten.frombytes(thing.segmentation["counts"].encode())
        else:
            for polygon in thing.segmentation:
                columns["number"].unwritten.frombytes(np.asarray(polygon, np.float64).tobytes())
                add(number_end=len(columns["number"]))
        columns["box"].unwritten.extend(thing.box)
        add(**{"object": thing.id, "class": thing.class_id, "crowd": thing.crowd})
        add(area=thing.area, polygon_end=len(columns["number_end"]))
        add(runs_end=len(columns["runs"]))
    add(image=image.id, width=image.width, height=image.height)
    add(name_end=len(columns["name"]), object_end=len(columns["object"]))
    for column in columns.values():
        if len(column.unwritten) >= _WRITTEN_AT_ONCE:
            column.write()


def file_names(dataset: CocoDataset) -> list[str]:
    """Return the file names of all images."""
    if isinstance(dataset.images, Records):
        return list(dataset.images.names())
    return [image.file_name for image in dataset.images]


def with_objects(dataset: CocoDataset) -> CocoDataset:
    """Leave out the images without objects, not counting crowds."""
    images = dataset.images
    if isinstance(images, Records):
        chosen: Sequence[CocoImage] = images.taking(np.flatnonzero(images.having_objects()))
    else:
        chosen = tuple(i for i in images if any(not thing.crowd for thing in i.objects))
    return replace(dataset, images=chosen)
