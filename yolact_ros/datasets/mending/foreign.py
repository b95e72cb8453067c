# SPDX-License-Identifier: Apache-2.0
"""Recognises label files of other formats, to say what they are."""

from __future__ import annotations

import re
from typing import Any

_IMPORT = "`yolact-ros dataset import` reads it"
_EXPORT = "export it in COCO's format"

_BEGINNINGS = {
    b"\x89PNG": "a PNG picture; a folder of masks is read by `yolact-ros dataset import`",
    b"\xff\xd8": "a JPEG picture",
    b"PK\x03\x04": "a ZIP archive: unpack it",
    b"\x1f\x8b": "a compressed file: unpack it",
    b"<": f"an XML or HTML file; from CVAT or another tool, {_EXPORT}",
    b"version https://git-lfs": "a pointer to a file in Git LFS: fetch it with `git lfs pull`",
}
_YOLO = re.compile(rb"\s*\d+( +[-+.\deE]+){4,}\s*(\n|\r|$)")


def guess_format(content: Any) -> str:
    """Say what the bytes of a file, or what is in its JSON, looks like; empty if unknown."""
    if isinstance(content, bytes):
        return _of_bytes(content)
    if isinstance(content, list):
        return _of_list(content)
    if isinstance(content, dict):
        return _of_object(content)
    return ""


def _of_bytes(data: bytes) -> str:
    if not data.strip():
        return "an empty file"
    for beginning, what in _BEGINNINGS.items():
        if data.startswith(beginning):
            return what
    return f"a label file of YOLO; {_IMPORT}" if _YOLO.match(data) else ""


def _of_list(entries: list[Any]) -> str:
    first = entries[0] if entries else None
    if not isinstance(first, dict):
        return ""
    if "image_id" in first and "score" in first:
        return "COCO's format of results, what a network found: the data set is another file"
    if "data" in first and ("annotations" in first or "completions" in first):
        return f"Label Studio's own format: {_EXPORT}"
    if "image" in first and "annotations" in first:
        return f"Create ML's format: {_EXPORT}"
    return ""


def _of_object(content: dict[str, Any]) -> str:
    if "shapes" in content and ("imagePath" in content or "imageData" in content):
        return f"LabelMe's own format, one file a picture; {_IMPORT}"
    if "_via_img_metadata" in content or any(
        isinstance(each, dict) and "regions" in each for each in content.values()
    ):
        return f"VGG Image Annotator's own format: {_EXPORT}"
    if "objects" in content and "size" in content:
        return f"Supervisely's own format: {_EXPORT}"
    annotations = content.get("annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    if isinstance(first, dict) and "caption" in first:
        return "COCO's captions: the outlines are in the file instances_*.json"
    if "items" in content:
        return f"Datumaro's own format: {_EXPORT}"
    return ""
