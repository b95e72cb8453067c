# SPDX-License-Identifier: Apache-2.0
"""Digests of the pictures of a data set, kept beside its records while sizes and times hold."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yolact_ros.provenance import file_sha256

from .coco import CocoDataset
from .records import Records, file_names
from .writing import replacing

STAMPS = "pictures.npy"
"""File of what `stamps_of` returns."""
_DIGESTS = "digests"
_DIGEST_SIZE = hashlib.sha256().digest_size
_UNKNOWN = bytes(_DIGEST_SIZE).hex()
"""Stands for a digest that is not known."""
_SOON = 1.0
"""Seconds until the first sign of life of what may take no time."""
HEARTBEAT = 10.0
"""Seconds between two signs of life."""


def stamps_of(folder: Path, names: Iterable[str]) -> npt.NDArray[np.int64]:
    """(N, 2): bytes and time of last change, ns, of each picture's file; -1 where there is none."""

    def stamp(name: str) -> tuple[int, int]:
        try:
            found = os.stat(folder / name)
        except OSError:
            return -1, -1
        return found.st_size, found.st_mtime_ns

    return np.array([stamp(name) for name in names], np.int64).reshape(-1, 2)


def picture_digests(dataset: CocoDataset, say: Callable[[str], None]) -> list[str]:
    """Return the SHA-256 of each image's file, in hexadecimal.

    Args:
        dataset: Its `records` keep the digests.
        say: Told of the progress where it takes more than a second.
    """
    if not isinstance(dataset.images, Records):
        return _hash_pictures(dataset.image_folder, file_names(dataset), say)
    folder, rows = dataset.images.folder, dataset.images.rows
    stamps = (folder / STAMPS).read_bytes()
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


def take_over_digests(old: Path, new: Path) -> None:
    """Take over the digests of the pictures whose size and time have not changed.

    Args:
        old, new: Folders of records, of pictures in the same folder.
    """
    digests = _kept_digests(old, (old / STAMPS).read_bytes())
    if digests is not None:
        known = dict(zip(_named_stamps(old), digests, strict=True))
        taken = (known.get(picture, _UNKNOWN) for picture in _named_stamps(new))
        _keep_digests(new, (new / STAMPS).read_bytes(), taken)


def _named_stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield each picture's name, size and time."""
    stamps = np.load(folder / STAMPS).tolist()
    for name, (size, time_ns) in zip(Records(folder).names(), stamps, strict=True):
        yield name, size, time_ns


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
                pause = HEARTBEAT
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
