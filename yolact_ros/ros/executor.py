# SPDX-License-Identifier: Apache-2.0
"""An executor whose thread is never kept waiting by a service that takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from typing import Any

from rclpy.executors import (
    ConditionReachedException,
    Executor,
    ShutdownException,
    TimeoutException,
)


class NodeExecutor(Executor):
    """Runs callbacks in the thread that spins, and each call of a slow service in one of its own.

    rclpy's MultiThreadedExecutor would hand every image over to another thread, which costs time.
    A slow service needs a reentrant callback group, and has to exclude itself where it must.

    Args:
        slow: The services (`rclpy.service.Service`) that may take longer than some milliseconds.
        on_error: Called in the thread of a slow service with what its callback raised.
        ended: Asked whenever the executor wakes; once it is true, `spin_once` returns at once.
    """

    def __init__(
        self,
        slow: Container[Any],
        on_error: Callable[[BaseException], None],
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self._slow = slow
        self._ended = ended
        self._on_error = on_error
        self._begun: set[Any] = set()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for a callback and run it.

        Args:
            timeout_sec: Longest wait, s; None: until there is one.

        Raises:
            ExternalShutdownException: The context was shut down.
            Exception: What the callback raised.
        """
        entity: Any
        try:
            task, entity, _ = self.wait_for_ready_callbacks(
                timeout_sec=timeout_sec, condition=self._ended
            )
        except (ShutdownException, TimeoutException, ConditionReachedException):
            return
        if entity not in self._slow:
            task()
            task.result()
        elif task not in self._begun:  # until its thread runs, it is offered again
            self._begun.add(task)
            threading.Thread(target=self._run, args=(task,), daemon=True).start()

    def _run(self, task: Any) -> None:
        task()
        self._begun.discard(task)
        error = task.exception()
        if error is not None and not self._ended():  # at the end an answer may have no way any more
            self._on_error(error)
