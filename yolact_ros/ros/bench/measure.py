# SPDX-License-Identifier: Apache-2.0
"""Measure the node over DDS, with cameras and node as processes of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from yolact_ros.errors import expect_one_of
from yolact_ros.ros.bench.counts import Arrivals, describe_camera, joined_stages, span_seconds
from yolact_ros.ros.bench.recorder import Recorder
from yolact_ros.ros.bench.session import Run, Session
from yolact_ros.ros.bench.settings import Arrangement, NodeBenchSettings, arrangements
from yolact_ros.ros.bench.storm.session import StormSession
from yolact_ros.ros.bench.timeline import Span, describe_record
from yolact_ros.ros.bench.viewer import TOPICS
from yolact_ros.ros.fastdds_profile import localhost_variables, profile_variables
from yolact_ros.ros.parameters.table import PARAMETERS
from yolact_ros.ros.processes.domain_id import reserve
from yolact_ros.ros.signals import HeldSignals

OWN_PARAMETERS = ("cameras", "image_transport", "autostart")
"""Parameters of the node that the measurement sets itself."""


def measure_node(
    settings: NodeBenchSettings, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Measure one node for all cameras and, to compare, one node for each.

    Nothing leaves this machine. Every process has ended when this returns or raises, as it does
    soon after Ctrl-C or SIGTERM. It runs in the main thread, where Python handles signals, and
    sets the variables that DDS reads in this process, too.

    Args:
        settings: What is measured.
        say: Called with a line about what goes on now.

    Returns:
        What the command writes as JSON: "settings", "device", "precision", "preset", and
        "set_ups" (the arrangements), each with its sums, ages, stages and use.

    Raises:
        InputError: The node has no such output, or no such parameter that can be set here, or did
            not begin to work; the text says why.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    _check(settings)
    measured = arrangements(settings)
    runs: list[list[Run]] = [[] for _ in measured]
    with _on_this_machine(settings) as signals:
        for number in range(settings.rounds):
            if settings.rounds > 1:
                say(f"round {number + 1} of {settings.rounds}")
            for arrangement, done in zip(measured, runs, strict=True):
                done.append(Session(arrangement, settings, say=say, signals=signals).run())
    return {
        **_head(settings, runs[0][0].state),
        "set_ups": [
            _describe(arrangement, settings, done)
            for arrangement, done in zip(measured, runs, strict=True)
        ],
    }


def measure_soak(
    settings: NodeBenchSettings, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Measure as `measure_node`, for `settings.soak` seconds, and record every second.

    Returns:
        As `measure_node`, with "record" (`describe_record`) and "is_interrupted": Ctrl-C and
        SIGTERM end it with what there is so far, which is no "set_ups".
    """
    _check(settings)
    measured = replace(settings, seconds=settings.soak or settings.seconds)
    [arrangement] = arrangements(measured)
    recorder = Recorder()
    set_ups, session = [], None
    try:
        with _on_this_machine(settings) as signals:
            session = Session(arrangement, measured, say=say, signals=signals, recorder=recorder)
            set_ups.append(_describe(arrangement, measured, [session.run()]))
    except KeyboardInterrupt:
        if session is None or not recorder.samples:
            raise
    result = _recorded(measured, recorder, session.arrivals, is_interrupted=not set_ups)
    for set_up in set_ups:
        result["record"]["problems"] += [
            f"{camera['name']}: {text}"
            for camera in set_up["cameras"]
            for text in camera["problems"]
        ]
    return result | {"set_ups": set_ups}


def measure_storm(
    settings: NodeBenchSettings, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Let `settings.storm` seconds of everything that goes wrong come over a node.

    What happens follows from `settings.seed`, and is told to `say` when it happens.

    Returns:
        As `measure_soak`, with "events" (`StormSession.events`) and without "set_ups".
    """
    _check(settings)
    [arrangement] = arrangements(settings)
    recorder = Recorder()
    session, is_interrupted = None, False
    try:
        with _on_this_machine(settings) as signals:
            session = StormSession(
                arrangement, settings, say=say, signals=signals, recorder=recorder
            )
            session.run()
    except KeyboardInterrupt:
        if session is None or not recorder.samples:
            raise
        is_interrupted = True
    result = _recorded(settings, recorder, session.arrivals, is_interrupted=is_interrupted)
    result["record"]["problems"] += session.problems
    return result | {"set_ups": [], "events": session.events}


def _check(settings: NodeBenchSettings) -> None:
    known = [spec.name for spec in PARAMETERS if spec.name not in OWN_PARAMETERS]
    for name in settings.parameters:
        expect_one_of("parameter", name, known)
    for topic in settings.topics:
        expect_one_of("topics", topic, tuple(TOPICS))


@contextmanager
def _on_this_machine(settings: NodeBenchSettings) -> Iterator[HeldSignals]:
    """Hold signals, and let this process and those that it starts talk to this machine alone."""
    domain = reserve() if settings.domain_id is None else nullcontext(settings.domain_id)
    with HeldSignals() as signals, domain as domain_id:
        os.environ |= {"ROS_DOMAIN_ID": str(domain_id), "PYTHONUNBUFFERED": "1"}
        os.environ |= localhost_variables() | profile_variables()
        yield signals


def _head(settings: NodeBenchSettings, state: Mapping[str, str]) -> dict[str, Any]:
    names = ("preset", "device", "precision")
    return {"settings": asdict(settings), **{name: state.get(name, "") for name in names}}


def _recorded(
    settings: NodeBenchSettings,
    recorder: Recorder,
    arrivals: Mapping[str, Arrivals],
    *,
    is_interrupted: bool,
) -> dict[str, Any]:
    span = Span(recorder.samples[0].at_ns, recorder.samples[-1].at_ns)
    return {
        **_head(settings, recorder.state),
        "record": describe_record(recorder, arrivals, span),
        "is_interrupted": is_interrupted,
    }


def _describe(
    arrangement: Arrangement, settings: NodeBenchSettings, runs: Sequence[Run]
) -> dict[str, Any]:
    cameras: list[dict[str, Any]] = []
    seconds = sum(max(settings.seconds, span_seconds(run.cameras)) for run in runs)
    for place, stream in enumerate(arrangement.streams):
        camera: dict[str, Any] = {"name": stream.camera.name, "image_topic": stream.image}
        camera |= describe_camera([run.cameras[place] for run in runs])
        received = camera["results"][settings.topics[0]]["received"]
        cameras.append(camera | {"frames_per_second": received / seconds})
    return {
        "name": arrangement.name,
        "nodes": len(arrangement.nodes),
        "cameras": cameras,
        "frames_per_second": sum(camera["frames_per_second"] for camera in cameras),
        "sums_close": not any(camera["problems"] for camera in cameras),
        "stages": joined_stages(stages for run in runs for stages in run.stages),
        **_means([run.use for run in runs]),
        "memory": _means([run.memory for run in runs]),
    }


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    """The mean of each value over the rows that know it; None where none does."""
    means: dict[str, float | None] = {}
    for name in rows[0]:
        known = [row[name] for row in rows if not np.isnan(row[name])]
        means[name] = float(np.mean(known)) if known else None
    return means
