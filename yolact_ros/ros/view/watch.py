# SPDX-License-Identifier: Apache-2.0
"""Watches a node: what it says always, what it sees while somebody looks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage

from yolact_ros.msg import InstanceArray, ObjectArray
from yolact_ros.ros.diagnostics import status_name
from yolact_ros.ros.health import Cause
from yolact_ros.ros.logs import ThrottledLog, place_of
from yolact_ros.ros.parameters.qos import volatile_qos
from yolact_ros.ros.view.parameters import RemoteParameters
from yolact_ros.ros.view.results import Results
from yolact_ros.ros.view.statuses import page_status
from yolact_ros.web.live.board import Board

_SILENCE = 3.0
"""Seconds without diagnostics after which the node may be another one."""
_TURN = 0.2
"""Seconds after which the thread looks whether it is to end."""
_CONFIGURED = ("inactive", "active")
"""States in which the diagnostics name the cameras."""
_WITHOUT_DEPTH = (Cause.NO_DEPTH.value, Cause.NO_CAMERA_INFO.value)

_Topic = tuple[str, str]
"""Camera and name of a topic."""


class Watch:
    """A node of its own, in a thread of its own, that puts on a board what another one says.

    It costs that node what a best-effort subscriber of `~/instances`, `~/objects` and
    `~/overlay/compressed` costs, and only while somebody looks; without depth, `~/objects` is left
    alone, as the node's diagnostics would tell of what only this page misses.

    Args:
        target: Full name of the node to watch.
        board: Gets what ros/view/__init__.py lists.
        changes: Whether the page may change parameters.
    """

    def __init__(self, target: str, board: Board, *, changes: bool) -> None:
        self._target = target
        self._board = board
        self._someone = False
        self._cameras: list[str] = []
        self._state = ""
        self._heard_at = time.monotonic()
        self._without_depth: set[str] = set()
        self._results: dict[str, Results] = {}
        self._subscriptions: dict[_Topic, Subscription] = {}
        board.put("watch", {"node": target, "changes": changes})
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node(
            f"yolact_view_{os.getpid()}",
            context=self._context,
            start_parameter_services=False,
        )
        self._parameters = RemoteParameters(self._node, target, partial(board.put, "parameters"))
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, 10)
        self._node.create_timer(1.0, self._parameters.tick)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._closing = False
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def look(self, someone: bool) -> None:
        """Hear whether somebody looks at the page."""
        self._executor.create_task(self._look, someone)

    def change(self, name: str, text: str, answer: Callable[[str], None]) -> None:
        """Change a parameter; see `web.live.server.Watched`."""
        self._executor.create_task(self._parameters.set, name, text, answer)

    def close(self) -> None:
        """End the subscriptions and the thread."""
        self._closing = True
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    # In the executor's thread

    def _spin(self) -> None:
        log = ThrottledLog(self._node.get_logger())
        while self._context.ok() and not self._closing:
            try:
                self._executor.spin_once(timeout_sec=_TURN)
            except Exception as error:
                text = f"error in a callback, the view goes on: {type(error).__name__}: {error}"
                log.error(place_of(error), text)

    def _look(self, someone: bool) -> None:
        self._someone = someone
        self._without_depth = set()
        self._subscribe()
        if not someone:
            for kind in ("picture:", "result:", "note:"):
                self._board.remove(kind)

    def _subscribe(self) -> None:
        """Subscribe to what is wanted now, and to nothing else."""
        wanted = self._wanted() if self._someone else {}
        for topic in self._subscriptions.keys() - wanted.keys():
            self._node.destroy_subscription(self._subscriptions.pop(topic))
        for topic in wanted.keys() - self._subscriptions.keys():
            camera, name = topic
            kind, take = wanted[topic]
            prefix = f"{camera}/" if camera else ""
            # best effort: whoever reads too slowly keeps the node waiting for nothing
            qos = volatile_qos(depth=1 if name == "overlay/compressed" else 5, reliable=False)
            self._subscriptions[topic] = self._node.create_subscription(
                kind, f"{self._target}/{prefix}{name}", take, qos
            )

    def _wanted(self) -> Mapping[_Topic, tuple[type, Callable[[Any], None]]]:
        wanted: dict[_Topic, tuple[type, Callable[[Any], None]]] = {}
        for camera in self._cameras:
            results = self._results.setdefault(camera, Results(time.monotonic))
            wanted[camera, "overlay/compressed"] = (
                CompressedImage,
                partial(self._show_picture, camera),
            )
            wanted[camera, "instances"] = (
                InstanceArray,
                partial(self._show_result, camera, results.take_instances),
            )
            if camera not in self._without_depth:
                wanted[camera, "objects"] = (
                    ObjectArray,
                    partial(self._show_result, camera, results.take_objects),
                )
        return wanted

    def _show_picture(self, camera: str, message: CompressedImage) -> None:
        self._board.put(f"picture:{camera}", bytes(message.data))

    def _show_result(
        self, camera: str, take: Callable[[Any], dict[str, Any] | None], message: Any
    ) -> None:
        result = take(message)
        if result is not None:
            self._board.put(f"result:{camera}", result)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        whole, of_camera = status_name(self._target), status_name(self._target, "x")[:-1]
        statuses = {each.name: page_status(each) for each in message.status if each.name == whole}
        cameras = {
            each.name.removeprefix(of_camera): page_status(each)
            for each in message.status
            if each.name.startswith(of_camera)
        }
        if whole not in statuses:
            return  # another node's
        node = statuses[whole]
        cameras = cameras or {"": node}
        now = time.monotonic()
        if now - self._heard_at > _SILENCE or node["state"] != self._state:
            self._parameters.renew()
            self._without_depth = set()
        self._heard_at, self._state = now, node["state"]
        if node["state"] in _CONFIGURED:
            self._cameras = list(cameras)
        for camera, status in cameras.items():
            self._board.put(f"status:{camera}", status)
            if status["cause"] in _WITHOUT_DEPTH and self._someone:
                self._without_depth.add(camera)
                self._board.put(f"note:{camera}", f"no positions: {status['message']}")
        self._board.put("node", node | {"cameras": self._cameras})
        self._subscribe()
