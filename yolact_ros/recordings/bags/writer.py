# SPDX-License-Identifier: Apache-2.0
"""Write a rosbag2 in parts, so that a run that is killed goes on where the last part ends."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from yolact_ros.datasets.writing import replacing
from yolact_ros.errors import InputError
from yolact_ros.recordings.fields import Fields

from .types import make_message, result_types

_PROGRESS = "unfinished.json"
_PART = "unfinished"
_INFORMATION = "rosbag2_bagfile_information"
_VERSION = 8
"""Of metadata.yaml: the newest that Humble's `ros2 bag play` reads as well."""


class Output(NamedTuple):
    """A topic that is written.

    Attributes:
        type: Of its messages.
        depth: Of its queue, as the node offers it.
        latched: Whether the last message is kept for those who come later.
    """

    type: str
    depth: int
    latched: bool = False


OUTPUTS = {
    "label_info": Output("vision_msgs/msg/LabelInfo", 1, latched=True),
    "instances": Output("yolact_ros/msg/InstanceArray", 5),
    "detections": Output("vision_msgs/msg/Detection2DArray", 5),
    "objects": Output("yolact_ros/msg/ObjectArray", 5),
    "overlay/compressed": Output("sensor_msgs/msg/CompressedImage", 1),
}
"""The topics, by their names below the node's."""


class PartsWriter:
    """A rosbag2 that is written in parts.

    A part is written under another name, and renamed when it is whole; the list of them is in
    `unfinished.json`, which makes way for metadata.yaml at the end.

    Args:
        folder: The bag's; it is made, or holds what an earlier run has left.
        prefix: The node's name, which the topics begin with.
        storage: "mcap" or "sqlite3".
        settings: What the messages depend on: an earlier run must have had the same.

    Attributes:
        done: How many images are in the parts that are whole.
        state: What the run has to remember of these, as given to `finish_part`; empty: none.
        precision: What the network computes in, which `auto` may choose otherwise the next time;
            empty: not known yet.

    Raises:
        InputError: The folder holds something else.
    """

    def __init__(
        self, folder: Path, prefix: str, storage: str, settings: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.done, self.state, self.precision = 0, b"", ""
        self._prefix = prefix
        self._storage = storage
        self._settings = dict(settings)
        self._parts: list[dict[str, Any]] = []
        self._types = result_types()
        self._writer: Any = None
        self._connections: dict[str, Any] = {}
        if folder.is_dir() and any(folder.iterdir()):
            self._go_on()

    def write(self, topic: str, time: int, fields: Fields) -> None:
        """Append a message to the current part.

        Args:
            topic: One of `OUTPUTS`.
            time: Of the record, ns.
            fields: The message's.
        """
        if self._writer is None:
            self._begin_part()
        kind = OUTPUTS[topic].type
        data = self._types.serialize_cdr(make_message(self._types, kind, fields), kind)
        self._writer.write(self._connections[topic], time, data)

    def finish_part(self, done: int, state: bytes) -> None:
        """End the current part, if there is one.

        Args:
            done: How many images are done, with those in this part.
            state: What a later run has to remember of these.
        """
        self.done, self.state = done, state
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            part = self.folder / _PART
            text = (part / "metadata.yaml").read_text(encoding="utf-8")
            information = yaml.safe_load(text)[_INFORMATION]
            [name] = information["relative_file_paths"]
            whole = f"{self.folder.name}_{len(self._parts)}{Path(name).suffix}"
            os.replace(part / name, self.folder / whole)
            shutil.rmtree(part)
            information["relative_file_paths"] = [whole]
            information["files"][0]["path"] = whole
            self._parts.append(information)
        self._note_progress()

    def complete(self) -> None:
        """Write metadata.yaml, with which the bag is whole."""
        if not self._parts:
            self._begin_part()
            self.finish_part(self.done, self.state)
        text = yaml.safe_dump({_INFORMATION: _joined(self._parts)}, sort_keys=False)
        self._replace("metadata.yaml", text)
        (self.folder / _PROGRESS).unlink()

    def _go_on(self) -> None:
        """Take over what an earlier run has left."""
        path = self.folder / _PROGRESS
        if not path.exists():
            held = "a bag" if (self.folder / "metadata.yaml").exists() else "other files"
            raise InputError(f"{self.folder}: expected a new folder, got one that holds {held}")
        try:
            progress = json.loads(path.read_text(encoding="utf-8"))
            before = progress["settings"]
            self.done, self._parts = progress["done"], progress["parts"]
            self.state = base64.b64decode(progress["state"])
            self.precision = progress["precision"]
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path}: damaged; remove {self.folder} to begin anew") from None
        other = [name for name, value in self._settings.items() if before.get(name) != value]
        if other:
            said = ", ".join(
                f"{name} was {before.get(name)}, is {self._settings[name]}" for name in other
            )
            raise InputError(
                f"{self.folder}: expected what the unfinished run in it was given, got something "
                f"else ({said}); repeat its command, or remove the folder to begin anew"
            )

    def _note_progress(self) -> None:
        progress = {
            "settings": self._settings,
            "done": self.done,
            "precision": self.precision,
            "state": base64.b64encode(self.state).decode(),
            "parts": self._parts,
        }
        self._replace(_PROGRESS, json.dumps(progress))

    def _begin_part(self) -> None:
        from rosbags.interfaces import (
            Qos,
            QosDurability,
            QosHistory,
            QosLiveliness,
            QosReliability,
            QosTime,
        )
        from rosbags.rosbag2 import StoragePlugin, Writer

        self.folder.mkdir(parents=True, exist_ok=True)
        self._note_progress()
        shutil.rmtree(self.folder / _PART, ignore_errors=True)
        self._writer = Writer(
            self.folder / _PART,
            version=_VERSION,
            storage_plugin=StoragePlugin[self._storage.upper()],
        )
        self._writer.open()
        never = QosTime(0, 0)
        for topic, output in OUTPUTS.items():
            durability = QosDurability.TRANSIENT_LOCAL if output.latched else QosDurability.VOLATILE
            qos = Qos(
                QosHistory.KEEP_LAST,
                output.depth,
                QosReliability.RELIABLE,
                durability,
                never,
                never,
                QosLiveliness.AUTOMATIC,
                never,
                avoid_ros_namespace_conventions=False,
            )
            self._connections[topic] = self._writer.add_connection(
                f"{self._prefix}/{topic}",
                output.type,
                typestore=self._types,
                offered_qos_profiles=[qos],
            )

    def _replace(self, name: str, text: str) -> None:
        with replacing(self.folder / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The metadata of a bag of parts: the counts added up, the times spanned."""
    filled = [part for part in parts if part["message_count"]] or parts[:1]
    starts = [part["starting_time"]["nanoseconds_since_epoch"] for part in filled]
    ends = [
        start + part["duration"]["nanoseconds"] for start, part in zip(starts, filled, strict=True)
    ]
    topics = [
        {
            "topic_metadata": same[0]["topic_metadata"],
            "message_count": sum(each["message_count"] for each in same),
        }
        for same in zip(*(part["topics_with_message_count"] for part in parts), strict=True)
    ]
    return parts[0] | {
        "relative_file_paths": [name for part in parts for name in part["relative_file_paths"]],
        "starting_time": {"nanoseconds_since_epoch": min(starts)},
        "duration": {"nanoseconds": max(ends) - min(starts)},
        "message_count": sum(part["message_count"] for part in parts),
        "topics_with_message_count": topics,
        "files": [file for part in parts for file in part["files"]],
    }
