# SPDX-License-Identifier: Apache-2.0
"""An executor whose thread is never kept waiting by a service that takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from typing import Any

from rclpy.exceptions import InvalidHandle
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

    Any thread may destroy what the node has, subscriptions above all. rclpy's executors raise if
    that happens to what they have just listed, or to what is ready; this one leaves it out.

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
        except InvalidHandle:
            return  # listed, and destroyed before it could be waited for: the next turn lists anew
        if entity not in self._slow:
            task()
            if (error := _settle(task, entity)) is not None:
                raise error
        elif task not in self._begun:  # until its thread runs, it is offered again
            self._begun.add(task)
            threading.Thread(target=self._run, args=(task, entity), daemon=True).start()

    def _run(self, task: Any, entity: Any) -> None:
        task()
        self._begun.discard(task)
        error = _settle(task, entity)
        if error is not None and not self._ended():  # at the end an answer may have no way any more
            self._on_error(error)


def _settle(task: Any, entity: Any) -> BaseException | None:
    """Let others of its group run, and return what a callback raised.

    None: nothing, or that its entity was destroyed before its turn.
    """
    error: BaseException | None = task.exception()
    if error is not None and entity is not None:
        _free_group(entity)
        if isinstance(error, InvalidHandle) and _is_destroyed(entity):
            return None
    return error


def _free_group(entity: Any) -> None:
    """Let others of its callback group run: rclpy forgets to, if an entity could not be taken."""
    group = entity.callback_group
    if not group.can_execute(entity):
        group.ending_execution(entity)


def _is_destroyed(entity: Any) -> bool:
    try:
        with getattr(entity, "handle", entity):  # events are entered themselves
            return False
    except InvalidHandle:
        return True
