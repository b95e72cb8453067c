# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros bench node` measured, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_Times = Mapping[str, float]

_FATES = {
    "published": "published",
    "lost_in_dds": "lost in DDS",
    "received": "received",
    "replaced": "replaced",
    "too_old": "too old",
    "bad": "bad",
    "failed": "failed",
    "unwanted": "unwanted",
    "processed": "processed",
}
_RATIOS = {
    "frames_per_second": "frames/s",
    "processor_cores": "processor, cores",
    "gpu_use": "GPU, share of time",
    "pss_mb": "memory (PSS), MB",
    "without_files_mb": "memory without files, MB",
    "gpu_memory_mb": "memory of the GPU, MB",
}
_STAGE_ORDER = (
    "transport",
    "executor",
    "arrival",
    "wait",
    "convert",
    "upload",
    "preprocess",
    "network",
    "decode",
    "masks",
    "download",
    "batch",
    "hand-over",
    "overlay",
    "message",
    "publish",
    "processing",
    "total",
    "age",
)
STAGE_SUMS = ("arrival", "batch", "processing", "total", "age")
"""Times of several stages together, which the node tells as well."""
_NAME = 14


def node_speed_table(result: Mapping[str, Any]) -> str:
    """The result of `measure_node` with "machine" and "versions": a block for each way."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines = [describe_node_settings(result), versions]
    for way in result["set_ups"]:
        lines += ["", way["name"], *_fates(way), "", *_ages(way), "", *_stages(way["stages"]), ""]
        lines += _use(way)
    if "comparison" in result:
        lines += ["", *_comparison(result["comparison"])]
    return "\n".join(lines)


def describe_node_settings(result: Mapping[str, Any]) -> str:
    """Network, machine and cameras in one line."""
    settings, machine = result["settings"], result["machine"]
    cameras: dict[str, int] = {}
    for camera in settings["cameras"]:
        height, width = camera["image_size"]
        kind = f"{height}x{width} at {camera['rate_hz']:g} Hz"
        cameras[kind] = cameras.get(kind, 0) + 1
    turns = f", {settings['rounds']} times" if settings["rounds"] > 1 else ""
    return (
        f"{result['preset']}, {result['precision']} on {machine['name']}"
        + (f", {machine['cores']} cores" if machine["device"] == "cpu" else "")
        + "; "
        + ", ".join(f"{count} x {kind}" for kind, count in cameras.items())
        + f", {settings['transport']}, {settings['reliability'].replace('_', ' ')}; "
        f"{settings['seconds']:g} s{turns} after {settings['warm_up_s']:g} s"
    )


def ordered_stages(stages: Mapping[str, _Times]) -> dict[str, _Times]:
    """In the order of a frame's way through the node; what is not known here comes last."""
    known = [name for name in _STAGE_ORDER if name in stages]
    return {name: stages[name] for name in [*known, *sorted(set(stages) - set(known))]}


def _fates(way: Mapping[str, Any]) -> list[str]:
    cameras = way["cameras"]
    topics = list(cameras[0]["results"])
    titles = [*_FATES.values(), *(f"-> {topic}" for topic in topics)]
    rows = [
        [*(camera[name] for name in _FATES), *(camera["results"][topic]["received"]
                                               for topic in topics)]
        for camera in cameras
    ]  # fmt: skip
    lines = _table("frames", [camera["name"] for camera in cameras], titles, rows)
    if len(cameras) > 1:
        sums = [sum(row[place] for row in rows) for place in range(len(titles))]
        lines += _table("", ["all"], titles, [sums])[1:]
    for camera in cameras:
        lines += _remarks(camera)
    if way["sums_close"]:
        lines.append(
            "the sums close: received = processed + dropped in the node, processed = results"
        )
    else:
        lines.append("the sums do not close:")
        lines += [
            f"  {camera['name']}: {problem}" for camera in cameras for problem in camera["problems"]
        ]
    return lines


def _remarks(camera: Mapping[str, Any]) -> list[str]:
    remarks = []
    if camera["skipped"]:
        remarks.append(f"{camera['skipped']} frames were not made in time by the camera")
    if camera["lost_in_dds"] > camera["lost"]:
        remarks.append(
            f"of {camera['lost_in_dds']} frames lost in DDS the node was told of {camera['lost']}; "
            "the others were the last ones, or a newer one took their place in its queue of one "
            "before its executor came"
        )
    return [f"{camera['name']}: {remark}" for remark in remarks]


def _ages(way: Mapping[str, Any]) -> list[str]:
    titles = ["p50", "p95", "p99", "max", "frames/s"]
    rows = []
    for camera in way["cameras"]:
        ages = camera["age_ms"]
        figures = [f"{ages[name]:.1f}" if ages else "-" for name in titles[:4]]
        rows.append([*figures, f"{camera['frames_per_second']:.2f}"])
    names = [camera["name"] for camera in way["cameras"]]
    lines = _table("age, ms", names, titles, rows)
    if len(rows) > 1:
        total = ["", "", "", "", f"{way['frames_per_second']:.2f}"]
        lines += _table("", ["all"], titles, [total])[1:]
    return lines


def _stages(stages: Mapping[str, _Times]) -> list[str]:
    stages = ordered_stages(stages)
    rows = [[f"{times['p50_ms']:.2f}", f"{times['p95_ms']:.2f}"] for times in stages.values()]
    return _table("stage, ms", list(stages), ["p50", "p95"], rows)


def _use(way: Mapping[str, Any]) -> list[str]:
    lines = []
    if way["batch_size"] is not None:
        lines.append(f"frames in a batch: {way['batch_size']:.2f}")
    nodes = "the node" if way["nodes"] == 1 else f"the {way['nodes']} nodes"
    if way["processor_cores"] is not None:
        lines.append(
            f"processor: {nodes} {way['processor_cores']:.2f} cores; cameras and subscriber "
            f"{way['others_processor_cores']:.2f}"
        )
    if memory := way["memory"]:
        lines.append(
            f"memory of {nodes}, MB: {memory['pss_mb']:.0f} (PSS: shared pages by share), "
            f"{memory['without_files_mb']:.0f} without files, {memory['rss_mb']:.0f} in all (RSS), "
            f"{memory['peak_rss_mb']:.0f} at most"
        )
    if way["gpu_use"] is not None:
        lines.append(f"GPU: at work {way['gpu_use']:.0%} of the time")
    if way["gpu_memory_mb"] is not None:
        by = "" if way["gpu_memory_by"] == "process" else " (growth of all that is in use)"
        lines.append(f"memory of the GPU, MB: {way['gpu_memory_mb']:.0f}{by}")
    return lines


def _comparison(comparison: Mapping[str, Mapping[str, float]]) -> list[str]:
    shown = [name for name in _RATIOS if name in comparison]
    rows = []
    for name in shown:
        row = comparison[name]
        digits = 0 if name.endswith("_mb") else 2
        rows.append(
            [*(f"{row[side]:.{digits}f}" for side in ("one", "many")), f"{row['ratio']:.3f}"]
        )
    names = [_RATIOS[name] for name in shown]
    return _table("", names, ["one node", "a node each", "ratio"], rows)


def _table(
    corner: str, names: Sequence[str], titles: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[str]:
    first = max([_NAME, len(corner), *(len(name) + 2 for name in names)])
    widths = [max(8, len(title) + 2) for title in titles]
    lines = [[corner, *titles], *([name, *row] for name, row in zip(names, rows, strict=True))]
    return [
        f"{line[0]:<{first}}"
        + "".join(f"{value!s:>{width}}" for value, width in zip(line[1:], widths, strict=True))
        for line in lines
    ]
