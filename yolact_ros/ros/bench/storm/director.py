# SPDX-License-Identifier: Apache-2.0
"""Does what a storm's plan says to cameras, subscribers, parameters and the node's lifecycle."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_srvs.srv import SetBool

from yolact_ros.errors import InputError
from yolact_ros.ros.bench.helper import Helper
from yolact_ros.ros.bench.settings import Arrangement
from yolact_ros.ros.bench.stand import Stand
from yolact_ros.ros.bench.storm.plan import Event
from yolact_ros.ros.parameters.table import PARAMETERS
from yolact_ros.ros.shared_memory import locks_of, remove_abandoned

_NODE = "/yolact"
_CAMERA = "yolact_ros.ros.bench.storm.camera"
_SUBSCRIBER = "yolact_ros.ros.bench.storm.subscriber"
_LOOP_FRAMES = 4
_MOST_SUBSCRIBERS = 2
_LONGEST_ANSWER = 30.0
"""Seconds that the node has to answer a service: to load a network takes a while."""
_TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}


@dataclass(frozen=True)
class _Call:
    """A service that was called, and what is done with its answer."""

    name: str
    future: Future
    since: float
    then: Callable[[Any], None]


class Director:
    """Cameras, subscribers and a client, which do what they are told.

    Args:
        stand: The processes; its nodes run already.
        arrangement: Of one node.
        note: Is told, in words, what happens.

    Attributes:
        problems: What the node should not have done, in words.
    """

    def __init__(self, stand: Stand, arrangement: Arrangement, note: Callable[[str], None]) -> None:
        self._stand = stand
        self._note = note
        self._streams = {stream.camera.name: stream for stream in arrangement.streams}
        self._cameras: dict[str, Helper] = {}
        self._subscribers: list[Helper] = []
        self._calls: list[_Call] = []
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._parameters: list[Any] = []
        self.problems: list[str] = []

    def start_cameras(self) -> None:
        """Start those cameras that do not run."""
        for name in self._streams:
            if name not in self._cameras:
                self._start_camera(name)

    def remember_parameters(self) -> None:
        """Note the values to go back to."""
        names = [spec.name for spec in PARAMETERS if spec.at_run_time]

        def then(response: GetParameters.Response) -> None:
            self._parameters = [
                ParameterMessage(name=name, value=value)
                for name, value in zip(names, response.values, strict=True)
            ]

        self._call(GetParameters, "get_parameters", GetParameters.Request(names=names), then)
        self.await_answers()

    def perform(self, event: Event) -> None:
        """Let an event happen."""
        acts: Mapping[str, Callable[[Event], None]] = {
            "camera dies": self._camera_dies,
            "camera changes": lambda event: self._tell(event, {"change": event.details}),
            "camera stutters": lambda event: self._tell(
                event, {"stutter": event.details["seconds"]}
            ),
            "camera sends rubbish": lambda event: self._tell(
                event, {"rubbish": event.details["kind"], "times": event.details["times"]}
            ),
            "subscriber comes": self._subscriber_comes,
            "subscriber goes": self._subscriber_goes,
            "subscriber stalls": self._subscriber_stalls,
            "parameter moves": self._parameter_moves,
            "lifecycle round": self._lifecycle_round,
        }
        self._note(str(event))
        acts[event.action](event)

    def look(self) -> None:
        """Take the answers that have come, and do what is due."""
        now = time.monotonic()
        due = [act for at, act in self._later if at <= now]
        self._later = [(at, act) for at, act in self._later if at > now]
        for act in due:
            act()
        for call in [call for call in self._calls if call.future.done()]:
            self._calls.remove(call)
            call.then(call.future.result())
        for call in self._calls:
            if now - call.since > _LONGEST_ANSWER:
                raise InputError(f"{call.name}: no answer within {_LONGEST_ANSWER:g} s")

    def await_answers(self) -> None:
        """Wait until everything that was begun is done."""

        def are_there() -> bool:
            self.look()
            return not self._calls and not self._later

        self._stand.wait_for(are_there, 10 * _LONGEST_ANSWER, "the services: expected answers")

    def calm(self, base: Mapping[str, Any]) -> None:
        """Put everything back.

        Args:
            base: What the cameras change back to, beside what their streams say.
        """
        self.await_answers()
        for subscriber in self._subscribers:
            self._stand.end_helper(subscriber, kill=False)
        self._subscribers = []
        for name, stream in self._streams.items():
            settings = {"image_size": stream.camera.image_size, "rate_hz": stream.camera.rate_hz}
            if name in self._cameras:
                self._cameras[name].say({"change": {**settings, **base}})
        self.start_cameras()
        request = SetParameters.Request(parameters=self._parameters)
        self._call(SetParameters, "set_parameters", request, lambda response: None)
        self.enable(True)

    def enable(self, does: bool) -> None:
        """Activate the node, or deactivate it; it gives back what it keeps for the next image."""
        self._call(SetBool, "enable", SetBool.Request(data=does), lambda response: None)
        self.await_answers()

    def film(self, does: bool) -> None:
        """Let all cameras film, or none."""
        for camera in self._cameras.values():
            camera.say({"film": does})

    def _start_camera(self, name: str) -> None:
        settings = self._stand.camera_settings(self._streams[name], _LOOP_FRAMES)
        settings["encoding"] = "rgb8"
        self._cameras[name] = self._stand.start_helper(_CAMERA, settings, f"camera {name}")

    def _camera_dies(self, event: Event) -> None:
        camera = self._cameras.pop(event.target, None)
        if camera is None:
            return
        locks = locks_of(camera.pid)
        self._stand.end_helper(camera, kill=True)
        remove_abandoned(locks)  # or a long storm would fill /dev/shm

        def come_back() -> None:
            self._note(f"camera comes back {event.target}")
            self._start_camera(event.target)

        self._later.append((time.monotonic() + event.details["back_after_s"], come_back))

    def _tell(self, event: Event, command: Mapping[str, Any]) -> None:
        if event.target in self._cameras:
            self._cameras[event.target].say(command)

    def _subscriber_comes(self, event: Event) -> None:
        if len(self._subscribers) == _MOST_SUBSCRIBERS:
            self._subscriber_ends(kill=False)
        topics = {
            stream.results + output: output
            for stream in self._streams.values()
            for output in event.details["outputs"]
        }
        self._subscribers.append(
            self._stand.start_helper(_SUBSCRIBER, {"topics": topics}, "subscriber")
        )

    def _subscriber_goes(self, event: Event) -> None:
        if self._subscribers:
            self._subscriber_ends(kill=event.details["is_killed"])

    def _subscriber_ends(self, *, kill: bool) -> None:
        subscriber = self._subscribers.pop(0)
        locks = locks_of(subscriber.pid)
        self._stand.end_helper(subscriber, kill=kill)
        remove_abandoned(locks)

    def _subscriber_stalls(self, event: Event) -> None:
        if self._subscribers:
            self._subscribers[-1].say({"stall": event.details["seconds"]})

    def _parameter_moves(self, event: Event) -> None:
        value, is_right = event.details["value"], event.details["is_right"]
        message = Parameter(event.target, value=value).to_parameter_msg()

        def then(response: SetParameters.Response) -> None:
            [result] = response.results
            if result.successful != is_right:
                verdict = "taken" if result.successful else f"refused: {result.reason}"
                self.problems.append(f"{event}: {verdict}")

        request = SetParameters.Request(parameters=[message])
        self._call(SetParameters, "set_parameters", request, then)

    def _lifecycle_round(self, event: Event) -> None:
        self._step(list(event.details["steps"]), event.details["pause_s"])

    def _step(self, steps: list[str], pause: float) -> None:
        """Take the first step, and the next one a while after its answer."""
        step, *others = steps

        def then(response: Any) -> None:
            self._note(f"{step}: {'done' if response.success else 'refused'}")
            if others:
                self._later.append((time.monotonic() + pause, partial(self._step, others, pause)))

        if step in _TRANSITIONS:
            request = ChangeState.Request(transition=Transition(id=_TRANSITIONS[step]))
            self._call(ChangeState, "change_state", request, then)
        else:
            self._call(SetBool, "enable", SetBool.Request(data=step == "enable"), then)

    def _call(self, kind: type, service: str, request: Any, then: Callable[[Any], None]) -> None:
        name = f"{_NODE}/{service}"
        future = self._stand.viewer.call(kind, name, request)
        self._calls.append(_Call(name, future, time.monotonic(), then))
