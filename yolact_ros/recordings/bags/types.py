# SPDX-License-Identifier: Apache-2.0
"""The types of the messages that are written, and messages made of their fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from yolact_ros.recordings.fields import Fields

_DEFINITIONS = Path(__file__).parent / "definitions.msg"
"""The message files of this package and of vision_msgs, which no typestore of rosbags has."""

_DEFAULTS = {("geometry_msgs/msg/Quaternion", "w"): 1.0}
"""What message files say of fields that are left out, and rosbags forgets; all others are zero."""


def result_types() -> Any:
    """Return a typestore of rosbags with the types of all results."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    text = _DEFINITIONS.read_text(encoding="utf-8")
    store.register(get_types_from_msg(text, "yolact_ros/msg/InstanceArray"))
    return store


def make_message(store: Any, name: str, fields: Fields) -> Any:
    """Make a message of rosbags.

    Args:
        store: A typestore.
        name: The message's type, such as "yolact_ros/msg/Mask".
        fields: As of `yolact_ros.recordings.fields`.
    """
    return store.types[name](
        **{
            field: _value(store, kind, fields.get(field, _DEFAULTS.get((name, field))))
            for field, kind in store.fielddefs[name][1]
        }
    )


def _value(store: Any, kind: Any, value: Any) -> Any:
    """A field's value for rosbags; None: its default."""
    from rosbags.interfaces import Nodetype

    node, detail = kind
    if node == Nodetype.NAME:
        return (
            make_message(store, detail, value or {})
            if value is None or type(value) is dict
            else value
        )
    if node == Nodetype.BASE:
        return value if value is not None else "" if detail[0] == "string" else 0
    item, length = detail
    if item[0] == Nodetype.NAME:
        return [_value(store, item, each) for each in value or ()]
    count = length if node == Nodetype.ARRAY else 0
    return np.zeros(count, item[1][0]) if value is None else value
