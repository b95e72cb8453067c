# SPDX-License-Identifier: Apache-2.0
"""Measures the node over DDS, with cameras, node and subscriber as processes of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from yolact_ros.errors import InputError
from yolact_ros.ros.bench.counts import describe_camera, joined_stages, span_seconds
from yolact_ros.ros.bench.run import Run, run_once
from yolact_ros.ros.bench.settings import NodeBenchSettings, SetUp, set_ups
from yolact_ros.ros.fastdds_profile import localhost_variables
from yolact_ros.ros.parameters.table import PARAMETERS
from yolact_ros.ros.processes.domain_id import reserve


def measure_node(
    settings: NodeBenchSettings, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Measures one node for all cameras and, to compare, one node for each.

    Nothing leaves this machine. Every process has ended when this returns or raises.

    Args:
        settings: What is measured.
        say: Called with a line about what goes on now.

    Returns:
        What the command writes as JSON: "settings", "device", "precision", "preset", "domain_id",
        "set_ups", each with its sums, ages, stages and use, and "comparison" of two.

    Raises:
        ValueError: The node has no such parameter, or did not begin to work; the text says why.
    """
    known = [spec.name for spec in PARAMETERS]
    for name in settings.parameters:
        if name not in known:
            raise InputError(f"parameter: expected one of {', '.join(known)}, got {name}")
    ways = set_ups(settings)
    runs: list[list[Run]] = [[] for _ in ways]
    with _domain(settings.domain_id) as domain_id, tempfile.TemporaryDirectory() as folder:
        for number in range(settings.rounds):
            for way, done in zip(ways, runs, strict=True):
                logs = Path(folder) / f"{number}_{len(way.nodes)}"
                logs.mkdir()
                turn = f" ({number + 1} of {settings.rounds})" if settings.rounds > 1 else ""
                done.append(
                    run_once(
                        way,
                        settings,
                        environment=_environment(domain_id),
                        folder=logs,
                        say=partial(_say, say, way.name + turn),
                    )
                )
    described = [_describe(way, settings, done) for way, done in zip(ways, runs, strict=True)]
    result = {
        "settings": _settings(settings),
        "domain_id": domain_id,
        **{name: runs[0][0].state.get(name, "") for name in ("preset", "device", "precision")},
        "set_ups": described,
    }
    if settings.compare:
        result["comparison"] = compare(*described)
    return result


def compare(one: Mapping[str, Any], many: Mapping[str, Any]) -> dict[str, Any]:
    """One node for all cameras against one node for each: "one", "many" and their "ratio".

    Returns:
        Of "frames_per_second", "processor_cores", the nodes' memory "pss_mb" and
        "without_files_mb", and where there is a GPU "gpu_use" and "gpu_memory_mb". "ratio" is
        one / many.
    """
    compared = {}
    for name in ("frames_per_second", "processor_cores", "gpu_use", "gpu_memory_mb"):
        compared[name] = (one[name], many[name])
    for name in ("pss_mb", "without_files_mb"):
        compared[name] = tuple(way["memory"] and way["memory"][name] for way in (one, many))
    return {
        name: {"one": left, "many": right, "ratio": left / right}
        for name, (left, right) in compared.items()
        if left is not None and right
    }


@contextmanager
def _domain(wanted: int | None) -> Iterator[int]:
    if wanted is not None:
        yield wanted
        return
    with reserve() as domain_id:
        yield domain_id


def _environment(domain_id: int) -> dict[str, str]:
    return {"ROS_DOMAIN_ID": str(domain_id), "PYTHONUNBUFFERED": "1", **localhost_variables()}


def _say(say: Callable[[str], None], name: str, text: str) -> None:
    say(f"{name}: {text}")


def _settings(settings: NodeBenchSettings) -> dict[str, Any]:
    return {
        "cameras": [
            {"name": camera.name, "image_size": list(camera.size), "rate_hz": camera.rate}
            for camera in settings.cameras
        ],
        "transport": settings.transport,
        "reliability": settings.reliability,
        "seconds": settings.seconds,
        "warm_up_s": settings.warm_up,
        "topics": list(settings.topics),
        "parameters": dict(settings.parameters),
        "rounds": settings.rounds,
    }


def _describe(way: SetUp, settings: NodeBenchSettings, runs: Sequence[Run]) -> dict[str, Any]:
    cameras = []
    seconds = sum(max(settings.seconds, span_seconds(run.cameras)) for run in runs)
    for place, camera in enumerate(settings.cameras):
        described = describe_camera([run.cameras[place] for run in runs])
        received = described["results"][settings.topics[0]]["received"]
        cameras.append(
            {
                "name": camera.name,
                "image_topic": way.streams[place].image,
                "result_topics": [way.streams[place].results + topic for topic in settings.topics],
                **described,
                "frames_per_second": received / seconds,
                "stages": joined_stages(run.camera_stages[place] for run in runs),
            }
        )
    return {
        "name": way.name,
        "nodes": len(way.nodes),
        "cameras": cameras,
        "frames_per_second": sum(camera["frames_per_second"] for camera in cameras),
        "sums_close": not any(camera["problems"] for camera in cameras),
        "stages": joined_stages(stages for run in runs for stages in run.node_stages),
        "batch_size": _mean([_batch_size(run.state) for run in runs]),
        "processor_cores": _mean([run.processor_cores for run in runs]),
        "others_processor_cores": _mean([run.others_processor_cores for run in runs]),
        "memory": _mean_of([run.memory for run in runs]),
        "gpu_use": _mean([run.gpu_use for run in runs]),
        "gpu_memory_mb": _mean([run.gpu_memory_mb for run in runs]),
        "gpu_memory_by": runs[0].gpu_memory_by,
        "nice": runs[0].nice,
    }


def _batch_size(values: Mapping[str, str]) -> float | None:
    """Mean frames in a batch; None: the node serves one camera."""
    text = values.get("frames in a batch (mean)")
    return None if text is None else float(text)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _mean_of(rows: Sequence[Mapping[str, float] | None]) -> dict[str, float] | None:
    known = [row for row in rows if row is not None]
    return (
        {name: float(np.mean([row[name] for row in known])) for name in known[0]} if known else None
    )
