# SPDX-License-Identifier: Apache-2.0
"""Tell what a file is by its content, whatever its name says, and what to do if it is no weights.

People find web pages, Git LFS pointers, archives, exported programs and halves of downloads where
they expect weights. What a library says of those helps nobody, so none of them reaches one.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from yolact_ros.errors import InputError

_HEAD = 4096  # bytes that are looked at
_LONGEST_HEADER = 100_000_000  # bytes, as the safetensors library allows

TORCH, SAFETENSORS, ONNX, PROGRAM, OTHER = "torch", "safetensors", "onnx", "program", "other"


class CheckpointError(InputError):
    """Weights that cannot be read or do not fit the network."""


@dataclass(frozen=True)
class FileKind:
    """What a file is.

    Attributes:
        name: "torch" (a .pth file), "safetensors", "onnx" (a model), "program" (of torch.export),
            or "other".
        fault: What is wrong with it as a file of weights, and the remedy; empty if nothing is.
    """

    name: str
    fault: str = ""


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~user` replaced by the home folder."""
    return Path(os.path.expanduser(path))


def find_kind(path: Path, expected: str = "a .pth or .safetensors file") -> FileKind:
    """Look at the beginning of a file, and at the list of files in an archive.

    Args:
        path: The file.
        expected: What it should be, for the error.

    Raises:
        CheckpointError: There is no such file, or it cannot be opened.
    """
    try:
        if path.is_dir():
            found = f"got the folder {path}{_within(path)}"
            raise CheckpointError(f"weights: expected {expected}, {found}")
        if not path.is_file():
            target = f", a link to {os.readlink(path)}" if path.is_symlink() else ""
            raise CheckpointError(f"weights: expected {expected}, none at {path}{target}")
        with path.open("rb") as file:
            head = file.read(_HEAD)
        return _kind_of(path, head, path.stat().st_size)
    except OSError as error:
        raise CheckpointError(f"weights: cannot read {path}: {error.strerror or error}") from error


def require_weights(path: Path) -> str:
    """Check that a file may hold weights.

    Returns:
        "torch" or "safetensors".

    Raises:
        CheckpointError: It is something else; the message says what, and what to do.
    """
    kind = find_kind(path)
    if kind.fault:
        raise CheckpointError(f"weights: {path} {kind.fault}")
    return kind.name


def _within(folder: Path) -> str:
    names = sorted(p.name for p in folder.iterdir() if p.suffix in _WEIGHTS and p.is_file())
    return f"; the file {names[0]} is in it" if names else ""


_WEIGHTS = (".pth", ".pt", ".safetensors", ".ckpt", ".bin")
_AGAIN = "download or copy it again"
_UNPACK = "unpack it and give the .pth or .safetensors file in it"
_SAVE = "save the tensors where it was made: torch.save(model.state_dict(), 'weights.pth')"
_EXPORTED = (
    "whose weights cannot be loaded again: give the .pth or .safetensors file that it was made from"
)
_OTHER_FORMAT = "give a .pth or .safetensors file of YOLACT"

# First bytes, what they mean, and the remedy.
_SIGNATURES = (
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"\x04\x22\x4d\x18", "an lz4 archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x93NUMPY", "a NumPy array", _OTHER_FORMAT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes", _OTHER_FORMAT),
    (b"GGUF", "a GGUF file of a language model", _OTHER_FORMAT),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", _OTHER_FORMAT),
    (b"\xff\xd8\xff", "a JPEG picture", _OTHER_FORMAT),
    (b"%PDF-", "a PDF document", _OTHER_FORMAT),
    (b"\x7fELF", "a compiled program", _OTHER_FORMAT),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
# How torch.save began before files were zip archives: its number, as any pickle protocol writes it.
_LEGACY = re.compile(rb"\x80[\x02-\x05](\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", re.DOTALL)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
# The version of ONNX's format, then another field of a ModelProto.
_ONNX = re.compile(rb"\x08[\x01-\x7f][\x12\x1a\x22\x28\x32\x3a\x42]")


def _kind_of(path: Path, head: bytes, size: int) -> FileKind:
    if not head:
        fault = f"is empty (0 bytes), as after a download that failed or on a full disk: {_AGAIN}"
        return FileKind(OTHER, fault)
    if head.startswith(_ZIP):
        return _kind_of_zip(path, size)
    if _LEGACY.match(head):
        return FileKind(TORCH)
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and length <= _LONGEST_HEADER:
        return FileKind(SAFETENSORS, _safetensors_fault(path, length, size))
    for signature, what, remedy in _SIGNATURES:
        if head.startswith(signature):
            return FileKind(OTHER, f"is {what}: {remedy}")
    if head[257:262] == b"ustar":
        return FileKind(OTHER, f"is a tar archive: {_UNPACK}")
    if head[4:8] == b"TFL3":
        return FileKind(OTHER, f"is a TensorFlow Lite model: {_OTHER_FORMAT}")
    if _PICKLE.match(head):
        what = "a Python pickle that torch.save did not write"
        return FileKind(OTHER, f"is {what}, and reading it would execute what is in it: {_SAVE}")
    if _ONNX.match(head):
        what = f"is an exported ONNX model, {_EXPORTED}"
        return FileKind(ONNX, f"{what}; it runs with engine 'onnxruntime' or 'openvino'")
    if not any(head):
        what = f"begins with {len(head)} zeros, as after a download or copy that was broken off"
        return FileKind(OTHER, f"{what}: {_AGAIN}")
    text = _text_of(head)
    if text is not None:
        return FileKind(OTHER, _fault_of_text(text))
    shown = head[:8].hex(" ")
    return FileKind(
        OTHER, f"is neither a .pth nor a .safetensors file: it begins with the bytes {shown}"
    )


def _safetensors_fault(path: Path, length: int, size: int) -> str:
    """What is wrong with the size or the header of a safetensors file; empty if nothing is."""
    needed = 8 + length
    if size >= needed:
        with path.open("rb") as file:
            file.seek(8)
            header = file.read(length)
        try:
            entries = json.loads(header)
            ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != _META]
            needed += max(ends, default=0)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            return f"is a damaged .safetensors file, whose header cannot be read: {_AGAIN}"
    if size < needed:
        return f"is cut off: {size} of {needed} bytes are there; {_AGAIN}"
    return ""


_META = "__metadata__"


def _kind_of_zip(path: Path, size: int) -> FileKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        fault = f"is cut off or damaged: after its {size} bytes, the end of the file is missing"
        return FileKind(OTHER, f"{fault}; {_AGAIN}")
    inner = {name.partition("/")[2] for name in names}
    if {"archive_format", "serialized_exported_program.json"} & {*names, *inner}:
        what = "is an exported program of torch.export"
        return FileKind(PROGRAM, f"{what}, {_EXPORTED}; docs/export.md shows how to run it")
    if "constants.pkl" in inner:
        what = "is a TorchScript file, a program that torch.jit.save wrote"
        return FileKind(OTHER, f"{what}: {_SAVE}")
    if "data.pkl" in inner:
        return FileKind(TORCH)
    if names and all(name.endswith(".npy") for name in names):
        return FileKind(OTHER, f"holds NumPy arrays: {_OTHER_FORMAT}")
    weights = [name for name in names if name.endswith(_WEIGHTS)]
    remedy = f"unpack it and give {weights[0]}" if weights else _UNPACK
    return FileKind(OTHER, f"is a zip archive of {len(names)} files: {remedy}")


def _text_of(head: bytes) -> str | None:
    """The text at the beginning of a file; None if it is none."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = head[: len(head) // 2 * 2].decode(encoding)
    except UnicodeDecodeError as error:
        if len(head) < _HEAD or error.start < len(head) - 4:  # else half a character at the end
            text = head.decode("latin-1")
        else:
            text = head[: error.start].decode(encoding)
    printable = sum(character.isprintable() or character in "\t\r\n\f" for character in text)
    return text if "\0" not in text and printable >= 0.95 * len(text) else None


def _fault_of_text(text: str) -> str:
    begin = text.lstrip().lower()
    if re.match(r"version https?://\S+/spec/", begin):
        return (
            "is a Git LFS pointer, the note that stands for a large file: run `git lfs pull` in "
            "its repository, or download the file itself"
        )
    if begin.startswith(("/annex/objects/", "../.git/annex", ".git/annex")):
        return "is a git-annex pointer: run `git annex get` for it in its repository"
    if begin.startswith("outs:") and "path:" in begin:
        return "is a DVC pointer: run `dvc pull` in its repository"
    if "<html" in begin or begin.startswith(("<!doctype html", "<head", "<body", "<script")):
        title = re.search(r"<title[^>]*>\s*([^<]{1,80}?)\s*<", text, re.IGNORECASE)
        shown = f" ({' '.join(title[1].split())!r})" if title else ""
        return (
            f"is a web page{shown}, saved in place of the file, such as a page for logging in or "
            "confirming: open the address in a browser and download the file itself"
        )
    if "<net " in begin:
        return f"is an OpenVINO model: {_OTHER_FORMAT}"
    shown = " ".join(text[:200].split())
    shown = f"{shown[:60]}..." if len(shown) > 60 else shown
    return f"is a text, not weights; it begins with {shown!r}. {_AGAIN.capitalize()}"
