# SPDX-License-Identifier: Apache-2.0
"""A data set's images in files that all processes map, kept from one run to the next.

COCO's images as Python objects take gigabytes, in each process anew, and minutes to read and check.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from yolact_ros import __version__
from yolact_ros.errors import InputError
from yolact_ros.flushing import flush_file, flush_folder
from yolact_ros.provenance import file_sha256, user_cache

from .coco import (
    CocoDataset,
    CocoImage,
    CocoObject,
    SoundContent,
    described_dataset,
    images_of,
    mended_lines,
)
from .mending.missing import files_below
from .merge import sound_content
from .pictures import look_at_all
from .writing import replacing

_FORMAT = 2
_DESCRIPTION = "description.json"
_PICTURES = "pictures.npy"
_SUMS = "sums.txt"
_DIGESTS = "digests"
_LARGE = 32 << 20
"""Bytes of annotations from which another process reads them, so that all its memory comes back."""
_DIGEST_SIZE = hashlib.sha256().digest_size
_UNKNOWN = bytes(_DIGEST_SIZE).hex()
"""Stands for a digest that is not known."""
_SOON = 1.0
"""Seconds until the first sign of life of what may take no time."""
_HEARTBEAT = 10.0
"""Seconds between two signs of life."""
_UNUSED = 30 * 24 * 3600.0
"""Seconds after which what nobody used is removed."""
_COLUMNS = {
    **{"image": "q", "width": "q", "height": "q", "name": "B", "name_end": "q", "object_end": "q"},
    **{"object": "q", "class": "q", "box": "d", "crowd": "B", "area": "d"},
    **{"polygon_end": "q", "number_end": "q", "number": "d", "runs": "B", "runs_end": "q"},
}
"""Columns and their types, as `array` names them.

`X_end` is where the X of an image or an object end: an image's bytes of the name and its objects,
an object's polygons and bytes of run lengths, and a polygon's numbers.
"""


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
        self._columns = {name: _mapped(folder / f"{name}.npy") for name in _COLUMNS}

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


def _mapped(path: Path) -> npt.NDArray[Any]:
    # A plain array of the mapped memory: slices of np.memmap cost ten times as much.
    return np.asarray(np.load(path, mmap_mode="r"))


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
    columns: dict[str, array[Any]] = {name: array(kind) for name, kind in _COLUMNS.items()}

    def add(**values: float) -> None:
        for name, value in values.items():
            columns[name].append(value)

    for image in images:
        columns["name"].frombytes(image.file_name.encode())
        for thing in image.objects:
            if isinstance(thing.segmentation, dict):
                columns["runs"].frombytes(thing.segmentation["counts"].encode())
            else:
                for polygon in thing.segmentation:
                    columns["number"].frombytes(np.asarray(polygon, np.float64).tobytes())
                    add(number_end=len(columns["number"]))
            columns["box"].extend(thing.box)
            add(**{"object": thing.id, "class": thing.class_id, "crowd": thing.crowd})
            add(area=thing.area, polygon_end=len(columns["number_end"]))
            add(runs_end=len(columns["runs"]))
        add(image=image.id, width=image.width, height=image.height)
        add(name_end=len(columns["name"]), object_end=len(columns["object"]))
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", np.frombuffer(column, column.typecode))


@dataclass(frozen=True)
class Source:
    """What a data set is read from.

    Attributes:
        annotations, images, classes, mend: See `merge.read_datasets`.
    """

    annotations: Sequence[Path]
    images: Sequence[Path]
    classes: Sequence[str] = ()
    mend: bool = False

    def digest(self) -> str:
        """Return a name, in hexadecimal, that changes with the files' content and the options."""
        folders = [str(folder.resolve()) for folder in self.images]
        content = [file_sha256(file) for file in self.annotations]
        key = [_FORMAT, __version__, content, folders, list(self.classes), self.mend]
        return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]

    def read(self) -> SoundContent:
        """Read and check the files."""
        return sound_content(self.annotations, self.images, self.classes, mend=self.mend)

    def bytes(self) -> int:
        """Return the sizes of the annotation files together."""
        return sum(file.stat().st_size for file in self.annotations)


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


def records_folder() -> Path:
    """Where the records of data sets are kept: in the user's cache, or among temporary files."""
    folder = user_cache() / "datasets"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        folder = Path(tempfile.gettempdir()) / f"yolact_ros_datasets_{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def read_recorded(source: Source, say: Callable[[str], None]) -> CocoDataset:
    """Read data sets as `merge.read_datasets` does, or take what was kept of that.

    It is kept for as long as neither the files nor the pictures' sizes and times have changed, and
    the pictures that were left out are as they were: still missing, or as unreadable. Processes
    that ask at once wait for the first one, and then take what it has read.

    Args:
        source: The files.
        say: Told what takes long.

    Raises:
        DatasetError: A file has errors.
        InputError: The folders do not fit the files, or the classes are not there.
    """
    if not all(file.is_file() for file in source.annotations):
        return source.read().dataset()  # which says what is wrong
    root = records_folder()
    folder = root / source.digest()
    lock = root / f"{folder.name}.lock"
    with _locked(lock, fcntl.LOCK_SH):  # many at once look whether it is there
        dataset = _current(source, folder)
        if dataset is not None:
            os.utime(folder)
            return dataset
    with _locked(lock, fcntl.LOCK_EX):
        dataset = _current(source, folder)  # another process may have read it
        if dataset is None:
            try:
                _read_anew(source, folder, say)
            except OverflowError:  # ids beyond 64 bits
                return source.read().dataset()
            except OSError as error:  # such as a full disk
                say(f"what was read cannot be kept, and is read again: {error}")
                return source.read().dataset()
            _remove_unused(root)
            dataset = _kept(source, folder)
        os.utime(folder)
        return dataset


def picture_digests(dataset: CocoDataset, say: Callable[[str], None]) -> list[str]:
    """Return the SHA-256 of each image's file, in hexadecimal.

    Args:
        dataset: Its `records` keep the digests.
        say: Told of the progress where it takes more than a second.
    """
    if not isinstance(dataset.images, Records):
        return _hash_pictures(dataset.image_folder, file_names(dataset), say)
    folder, rows = dataset.images.folder, dataset.images.rows
    stamps = (folder / _PICTURES).read_bytes()
    names = list(Records(folder).names())
    every = _kept_digests(folder, stamps) or [_UNKNOWN] * len(names)
    if unknown := [row for row, digest in enumerate(every) if digest == _UNKNOWN]:
        found = _hash_pictures(dataset.image_folder, [names[row] for row in unknown], say)
        for row, digest in zip(unknown, found, strict=True):
            every[row] = digest
        with contextlib.suppress(OSError):  # such as a full disk: they are found anew next time
            _keep_digests(folder, stamps, every)
    return every if rows is None else [every[row] for row in rows]


def _keep_digests(folder: Path, stamps: bytes, digests: Iterable[str]) -> None:
    """Write the digests of pictures, those that are not known among them.

    Args:
        folder: The folder of records.
        stamps: Content of its file of sizes and times, which the digests are of.
        digests: One for each picture.
    """
    data = bytes.fromhex("".join(digests))
    with replacing(folder / _DIGESTS) as unfinished:
        unfinished.write_bytes(hashlib.sha256(stamps + data).digest() + data)


def _kept_digests(folder: Path, stamps: bytes) -> list[str] | None:
    """Read what `_keep_digests` has written; None: not there, damaged, or of other pictures."""
    try:
        content = (folder / _DIGESTS).read_bytes()
    except OSError:
        return None
    own, data = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
    if own != hashlib.sha256(stamps + data).digest():
        return None
    return [data[at : at + _DIGEST_SIZE].hex() for at in range(0, len(data), _DIGEST_SIZE)]


def _take_over_digests(old: Path, new: Path) -> None:
    """Take over the digests of the pictures whose size and time have not changed.

    Args:
        old, new: Folders of records; the old one may be damaged, or not there.
    """
    if not _is_whole(old) or _image_folder(old) != _image_folder(new):
        return
    digests = _kept_digests(old, (old / _PICTURES).read_bytes())
    if digests is not None:
        known = dict(zip(_named_stamps(old), digests, strict=True))
        taken = (known.get(picture, _UNKNOWN) for picture in _named_stamps(new))
        _keep_digests(new, (new / _PICTURES).read_bytes(), taken)


def _named_stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield each picture's name, size and time."""
    stamps = np.load(folder / _PICTURES).tolist()
    for name, (size, time_ns) in zip(Records(folder).names(), stamps, strict=True):
        yield name, size, time_ns


def _image_folder(folder: Path) -> Path:
    return Path(_description(folder)["image_folder"])


def _hash_pictures(folder: Path, names: Sequence[str], say: Callable[[str], None]) -> list[str]:
    begin, pause = time.monotonic(), _SOON
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(file_sha256, folder / name) for name in names]
        try:
            while (waited := wait(futures, pause)).not_done:
                for future in waited.done:
                    future.result()  # raises what has gone wrong, before the rest is read
                seconds = time.monotonic() - begin
                say(
                    f"hashing the pictures in {folder}: {len(waited.done)} of {len(names)} in "
                    f"{seconds:.0f} s"
                )
                pause = _HEARTBEAT
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _digests(folder: Path, names: Iterable[str]) -> list[str]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(file_sha256, (folder / name for name in names)))


@contextlib.contextmanager
def _locked(lock: Path, kind: int) -> Iterator[None]:
    """Hold a lock; the system opens that of a process that is killed.

    Args:
        lock: The file.
        kind: LOCK_SH, which any number of processes hold, or LOCK_EX, which lets all others wait.
    """
    with lock.open("a") as file:
        fcntl.flock(file, kind)
        yield


def _kept(source: Source, folder: Path) -> CocoDataset:
    description = _description(folder)
    return CocoDataset(
        annotation_file=source.annotations[0],
        image_folder=Path(description["image_folder"]),
        class_names=tuple(description["class_names"]),
        category_ids=tuple(description["category_ids"]),
        images=Records(folder),
        turned=description["turned"],
        mended=mended_lines((source.annotations[at], text) for at, text in description["mended"]),
    )


def _description(folder: Path) -> dict[str, Any]:
    description: dict[str, Any] = json.loads((folder / _DESCRIPTION).read_text())
    return description


def _current(source: Source, folder: Path) -> CocoDataset | None:
    """What was kept; None: it is not there, damaged, or the pictures have changed since."""
    if not _is_whole(folder):
        return None
    stamps, dataset = np.load(folder / _PICTURES), _kept(source, folder)
    now = _stamps(dataset.image_folder, file_names(dataset))
    if not np.array_equal(stamps, now):
        return None
    # what was left out may be there now
    passed_over = _description(folder)["passed_over"]
    return dataset if passed_over == _looks(source, passed_over["files"]) else None


def _looks(source: Source, files: list[str], since: int | None = None) -> dict[str, Any]:
    """Look again at the files that are no pictures of a set; the result changes with them.

    Args:
        source: What the set is read from.
        files: Their paths.
        since: When reading began, ns: what has changed since may have been read before or after.
    """
    headers, faults = look_at_all(dict(enumerate(files)), Path())
    looks = {**{number: str(header) for number, header in headers.items()}, **faults}
    if since is not None:
        changes = {number: _changed(file) for number, file in enumerate(files)}
        looks |= {number: "changed" for number, time in changes.items() if time >= since}
    found = [looks[number] for number in range(len(files))]
    # a missing picture is looked for below the whole folder
    folders = source.images if not all(map(os.path.exists, files)) else ()
    return {"files": files, "found": found, "below": list(map(_digest_of_names, folders))}


def _changed(file: str) -> int:
    """When a file, or its name, has come or changed, ns; 0: it is not there."""
    try:
        return os.stat(file).st_ctime_ns
    except OSError:
        return 0


def _digest_of_names(folder: Path) -> str:
    names = sorted(map(os.fsencode, files_below(folder)))
    return hashlib.sha256(b"\0".join(names)).hexdigest()


def _is_whole(folder: Path) -> bool:
    """Whether all files have what was written, which makes them safe to read."""
    try:
        return (folder / _SUMS).read_text(errors="replace") == _sums(folder)
    except OSError:
        return False


def _sums(folder: Path) -> str:
    """The digests of the files of a folder, as the program sha256sum writes them."""
    names = (_DESCRIPTION, _PICTURES, *(f"{name}.npy" for name in _COLUMNS))
    digests = _digests(folder, names)
    return "".join(f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True))


def _stamps(folder: Path, names: Iterable[str]) -> npt.NDArray[np.int64]:
    """(N, 2): bytes and time of last change, ns, of each picture's file; -1 where there is none."""

    def stamp(name: str) -> tuple[int, int]:
        try:
            found = os.stat(folder / name)
        except OSError:
            return -1, -1
        return found.st_size, found.st_mtime_ns

    return np.array([stamp(name) for name in names], np.int64).reshape(-1, 2)


def _read_anew(source: Source, folder: Path, say: Callable[[str], None]) -> None:
    size = source.bytes()
    names = ", ".join(map(str, source.annotations))
    if size < _LARGE:
        _write(source, folder)
        return
    say(f"reading and checking {names} ({size / 1e6:.0f} MB), whose result is kept")
    begin = time.monotonic()
    _in_another_process(
        _write, source, folder, waiting=lambda: say(f"... {time.monotonic() - begin:.0f} s")
    )
    say(f"read in {time.monotonic() - begin:.0f} s")


def _write(source: Source, folder: Path) -> None:
    begin = time.time_ns()
    sound = source.read()
    with _replacing_folder(folder) as unfinished:
        _fill(unfinished, source, sound, begin)
        _take_over_digests(folder, unfinished)


@contextlib.contextmanager
def _replacing_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of `folder` where the block ends.

    Other processes may have mapped files of `folder`: a network drive does not remove these at
    once, but lets them move.
    """
    for left in folder.parent.glob(f"{folder.name}.*"):  # by processes that were killed
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=f"{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
    ) as work:
        unfinished = Path(work) / "new"
        unfinished.mkdir()
        yield unfinished
        for file in unfinished.iterdir():
            flush_file(file)
        flush_folder(unfinished)
        with contextlib.suppress(FileNotFoundError):
            folder.rename(Path(work) / "old")
        unfinished.rename(folder)
        flush_folder(folder.parent)


def _fill(folder: Path, source: Source, sound: SoundContent, begin: int) -> None:
    """Write what was read into an empty folder; reading began at `begin`, ns."""
    images = sound.content["images"]
    stamps = _stamps(sound.image_folder, (image["file_name"] for image in images))
    np.save(folder / _PICTURES, stamps)
    write_records(images_of(sound.content), folder)
    described = described_dataset(sound.content, sound.annotation_file, sound.image_folder)
    text = {
        "image_folder": str(sound.image_folder.resolve()),
        "class_names": described.class_names,
        "category_ids": described.category_ids,
        "turned": sound.turned,
        "mended": [(source.annotations.index(file), text) for file, text in sound.mended],
        "passed_over": _looks(source, list(map(str, sound.passed_over)), begin),
    }
    (folder / _DESCRIPTION).write_text(json.dumps(text))
    (folder / _SUMS).write_text(_sums(folder))


def _in_another_process(
    function: Callable[..., None], *arguments: Any, waiting: Callable[[], None]
) -> None:
    """Call a function in another process, which ends with this one.

    Args:
        function: Of a module.
        arguments: Of the function.
        waiting: Called now and then.
    """
    context = get_context("spawn")  # a copy of this process would have its threads' locks
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, function, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        while not receiver.poll(_HEARTBEAT):
            waiting()
        error = receiver.recv()
    except EOFError:
        process.join()
        raise InputError(
            f"reading the annotations: the process ended with exit code {process.exitcode}; "
            "-9 is what a system without memory left does"
        ) from None
    finally:
        process.kill()
        process.join()
    if error is not None:
        raise error


def _answer(sender: Connection, function: Callable[..., None], arguments: Sequence[Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    try:
        function(*arguments)
    except Exception as error:
        sender.send(error)
    else:
        sender.send(None)


def _remove_unused(root: Path) -> None:
    """Remove what nobody used for long, with what killed processes left behind."""
    for path in root.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _UNUSED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
