# SPDX-License-Identifier: Apache-2.0
"""Keeps what was read of data sets from one run to the next: reading COCO takes a minute."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from yolact_ros import __version__
from yolact_ros.errors import InputError
from yolact_ros.flushing import flush_file, flush_folder
from yolact_ros.provenance import file_sha256, user_cache

from .coco import CocoDataset, SoundContent, described_dataset, images_of, mended_lines
from .mending.missing import files_below
from .merge import sound_content
from .picture_files import HEARTBEAT, STAMPS, stamps_of, take_over_digests
from .pictures import look_at_all
from .records import COLUMNS, Records, file_names, file_of, write_records

_FORMAT = 3
_DESCRIPTION = "description.json"
_SUMS = "sums.txt"
_LARGE = 32 << 20
"""Bytes of annotations from which another process reads them, so that all its memory comes back."""
_UNUSED = 30 * 24 * 3600.0
"""Seconds after which what nobody used is removed."""


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


def _image_folder(folder: Path) -> Path:
    return Path(_description(folder)["image_folder"])


def _current(source: Source, folder: Path) -> CocoDataset | None:
    """What was kept; None: it is not there, damaged, or the pictures have changed since."""
    if not _is_whole(folder):
        return None
    stamps, dataset = np.load(folder / STAMPS), _kept(source, folder)
    now = stamps_of(dataset.image_folder, file_names(dataset))
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
    names = (_DESCRIPTION, STAMPS, *map(file_of, COLUMNS))
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(file_sha256, map(folder.joinpath, names)))
    return "".join(f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True))


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
        if _is_whole(folder) and _image_folder(folder) == _image_folder(unfinished):
            take_over_digests(folder, unfinished)


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
    stamps = stamps_of(sound.image_folder, (image["file_name"] for image in images))
    np.save(folder / STAMPS, stamps)
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
        while not receiver.poll(HEARTBEAT):
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
    gc.disable()  # millions of lists without a cycle would be searched for cycles, again and again
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
