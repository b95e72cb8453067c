# SPDX-License-Identifier: Apache-2.0
"""What happens in a storm, and when: it follows from a seed; no ROS."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from yolact_ros.ros.parameters.spec import (
    BOOLEAN,
    FLOAT,
    FLOATS,
    INTEGER,
    INTEGERS,
    STRING,
    ParameterSpec,
)
from yolact_ros.ros.parameters.table import PARAMETERS

SIZES = ((96, 128), (240, 320), (480, 640), (720, 1280))
ENCODINGS = ("rgb8", "bgr8", "mono8")
RUBBISH = {
    "raw": (
        *("short data", "long data", "short step", "unknown encoding", "no pixels"),
        *("huge size", "thin picture", "negative stamp", "far stamp", "another type"),
    ),
    "compressed": (
        *("no picture", "half a picture", "huge picture", "depth format"),
        *("negative stamp", "far stamp", "another type"),
    ),
}
"""What a camera sends beside its images, by transport."""

OUTPUTS = (
    *("instances", "detections", "instance_map", "class_map", "confidence_map", "overlay"),
    "overlay/compressed",
    *("objects", "detections_3d", "markers", "points"),
)
LIFECYCLE_ROUNDS = (
    ("deactivate", "activate"),
    ("deactivate", "cleanup", "configure", "activate"),
    ("disable", "enable"),
)
_PER_SECOND = 1.0
"""Events per second."""
_LONGEST_STALL = 4.0
_WRONG = 0.25
"""Share of the parameters' values that have to be refused."""


@dataclass(frozen=True)
class Event:
    """Something that happens to the node.

    Attributes:
        at_s: Seconds from the beginning of its round.
        action: A key of `ACTIONS`.
        target: A camera, a parameter, or nothing.
        details: What the action needs to know.
    """

    at_s: float
    action: str
    target: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        details = ", ".join(f"{name} {value}" for name, value in self.details.items())
        return self.action + (f" {self.target}" if self.target else "") + f" ({details})"


Maker = Callable[[random.Random, Sequence[str], str], tuple[str, Mapping[str, Any]]]
"""Makes target and details, of a source of chance, the cameras' names and the transport."""


def plan(
    seed: int, number: int, seconds: float, *, cameras: Sequence[str], transport: str
) -> list[Event]:
    """Plan a round of a storm.

    Args:
        seed: Of the whole storm.
        number: Of the round.
        seconds: Its length.
        cameras: Their names.
        transport: "raw" or "compressed".

    Returns:
        About one event a second and at least one of every action, in the order of their times.
        The same arguments make the same events.
    """
    source = random.Random(f"{seed} {number}")
    count = max(len(ACTIONS), round(seconds * _PER_SECOND))
    actions: list[str] = []
    while len(actions) < count:
        deck = list(ACTIONS)
        source.shuffle(deck)
        actions += deck
    events = []
    for action in actions[:count]:
        target, details = ACTIONS[action](source, cameras, transport)
        events.append(Event(round(source.uniform(0, seconds), 2), action, target, details))
    return sorted(events, key=lambda event: event.at_s)


def _dies(source: random.Random, cameras: Sequence[str], transport: str) -> Any:
    del transport
    return source.choice(cameras), {"back_after_s": round(source.uniform(0.1, 4), 2)}


def _changes(source: random.Random, cameras: Sequence[str], transport: str) -> Any:
    del transport
    return source.choice(cameras), {
        "image_size": source.choice(SIZES),
        "encoding": source.choice(ENCODINGS),
        "rate_hz": round(source.uniform(1, 30), 1),
        "reliability": source.choice(("reliable", "best_effort")),
    }


def _stutters(source: random.Random, cameras: Sequence[str], transport: str) -> Any:
    del transport
    return source.choice(cameras), {"seconds": round(source.uniform(0.2, _LONGEST_STALL), 2)}


def _sends_rubbish(source: random.Random, cameras: Sequence[str], transport: str) -> Any:
    kind = source.choice(RUBBISH[transport])
    return source.choice(cameras), {"kind": kind, "times": source.randint(1, 5)}


def _subscriber(source: random.Random, cameras: Sequence[str], transport: str, **more: Any) -> Any:
    del cameras, transport
    return "", {name: make(source) for name, make in more.items()}


def _parameter(source: random.Random, cameras: Sequence[str], transport: str) -> Any:
    del cameras, transport
    spec = source.choice([spec for spec in PARAMETERS if spec.at_run_time])
    is_right = source.random() >= _WRONG
    value = right_value(spec, source) if is_right else wrong_value(spec, source)
    return spec.name, {"value": value, "is_right": is_right}


def _lifecycle(source: random.Random, cameras: Sequence[str], transport: str) -> Any:
    del cameras, transport
    steps = source.choice(LIFECYCLE_ROUNDS)
    return "", {"steps": steps, "pause_s": round(source.uniform(0, 2), 2)}


ACTIONS: Mapping[str, Maker] = {
    "camera dies": _dies,
    "camera changes": _changes,
    "camera stutters": _stutters,
    "camera sends rubbish": _sends_rubbish,
    "subscriber comes": partial(
        _subscriber, outputs=lambda source: sorted(source.sample(OUTPUTS, 3))
    ),
    "subscriber goes": partial(_subscriber, is_killed=lambda source: source.random() < 0.5),
    "subscriber stalls": partial(
        _subscriber, seconds=lambda source: round(source.uniform(0.2, _LONGEST_STALL), 2)
    ),
    "parameter moves": _parameter,
    "lifecycle round": _lifecycle,
}


def right_value(spec: ParameterSpec, source: random.Random) -> Any:
    """Make a value that the parameter takes, not far from the default."""
    if spec.choices:
        return source.choice(spec.choices)
    if spec.kind == BOOLEAN:
        return source.random() < 0.5
    low = spec.minimum or 0
    high = 4 * max(1, spec.default) if spec.kind in (INTEGER, FLOAT) else 1
    high = high if spec.maximum is None else min(high, spec.maximum)
    if spec.kind == INTEGER:
        return source.randint(int(low), int(high))
    if spec.kind == FLOAT:
        return round(source.uniform(low, high), 3)
    if spec.kind == FLOATS:
        return [0.0, -1.0, round(source.uniform(-1, 1), 3)]
    if spec.kind == INTEGERS:
        return source.choice([[0, 0, 0, 0], [8, 4, 96, 72]])  # within the smallest of `SIZES`
    return "" if spec.kind == STRING else [""]


def wrong_value(spec: ParameterSpec, source: random.Random) -> Any:
    """Make a value that the parameter has to refuse."""
    if spec.kind in (INTEGER, FLOAT):
        return source.choice([-1, "many", True])
    if spec.kind == FLOATS:
        return source.choice([[1.0], "up"])
    if spec.kind == INTEGERS:
        return source.choice([[0, 0, 10], [0, 0, 10, 0], "all"])
    if spec.is_path:  # whatever text it is, only who reads it can tell
        return 1.5
    return source.choice([1.5, "nothing of the kind"] if spec.kind == STRING else [1.5, "yes"])
