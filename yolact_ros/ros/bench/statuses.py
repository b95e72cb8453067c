# SPDX-License-Identifier: Apache-2.0
"""What the nodes of `yolact-ros bench node` say of themselves."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

Status = Mapping[str, Any]
"""A status of `/diagnostics`: "name", "level", "message", and "values" by key."""


class StatusBoard:
    """The newest statuses of `/diagnostics`; every method may be called from every thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._statuses: dict[tuple[str, str], list[Status]] = {}

    def take(self, line: Mapping[str, Any]) -> bool:
        """Takes statuses from a line of the subscriber; returns whether it held any."""
        if "statuses" not in line:
            return False
        with self._changed:
            for status in line["statuses"]:
                key = (status["name"], status["values"].get("image topic", ""))
                self._statuses.setdefault(key, []).append(status)
        return True

    def forget(self) -> None:
        """Forgets what came so far."""
        with self._changed:
            self._statuses.clear()

    def of_topic(self, topic: str) -> list[Status]:
        """All statuses since the last `forget` of the camera that publishes this alone."""
        with self._changed:
            return next(
                (list(found) for (_, image), found in self._statuses.items() if image == topic), []
            )

    def of_nodes(self) -> list[list[Status]]:
        """All statuses of each node as a whole."""
        with self._changed:
            return [
                list(found)
                for (name, _), found in self._statuses.items()
                if name.endswith(": segmentation")
            ]
