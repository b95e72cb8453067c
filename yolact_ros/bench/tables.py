# SPDX-License-Identifier: Apache-2.0
"""Measurements as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from yolact_ros.inference.timing import STAGES

CALL_STAGES = ("arrival", *STAGES, "overlay", "message", "publish")
"""Stages of a call in order, with the messages around it."""
NODE_STAGES = (
    *("transport", "executor", "arrival", "wait", "convert", *STAGES, "batch", "hand-over"),
    *("overlay", "message", "publish", "processing", "total", "age"),
)
"""Stages of a frame in order, as the node tells them."""
STAGE_SUMS = ("arrival", "batch", "processing", "total", "age")
"""Times of several stages together, which the node tells, too."""

_Side = Mapping[str, Any]
_SUMS = {
    "total": "total",
    "after_network": "after the network",
    "outside_network": "outside the network",
    "with_messages": "total with messages",
}
_PEAKS = {
    "host_peak_mb": "host, peak of a call, MB",
    "host_peak_after_network_mb": "host, peak after the network, MB",
    "device_peak_mb": "device, peak of a call, MB",
    "device_peak_with_weights_mb": "device, peak with the weights, MB",
}
_COUNTS = {
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
_COMPARED = {
    "frames_per_second": "frames/s",
    "processor_cores": "processor, cores",
    "gpu_use": "GPU, share of time",
    "pss_mb": "memory (PSS), MB",
    "without_files_mb": "memory without files, MB",
    "gpu_memory_mb": "memory of the GPU, MB",
}


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table: names to the left, and the other columns to the right below their titles.

    Args:
        titles: Of all columns, the one of the names first.
        rows: A name and what stands beside it; a short row leaves its last columns empty.
    """
    cells = [[str(cell) for cell in row] for row in (titles, *rows)]
    cells = [row + [""] * (len(titles) - len(row)) for row in cells]
    first, *others = (max(map(len, column)) for column in zip(*cells, strict=True))
    widths = [max(8, width + 2) for width in others]
    return [
        (f"{row[0]:<{max(14, first)}}"
         + "".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths, strict=True))
        ).rstrip()
        for row in cells
    ]  # fmt: skip


def speed_table(result: Mapping[str, Any]) -> str:
    """The result of `measure_speed`: stages, sums, memory, arithmetic."""
    baseline, ratios = result.get("baseline"), result.get("ratios", {})
    sides = [result, *([baseline] if baseline else [])]
    titles = ["ms per call", "median", "p95", "p99"]
    if baseline:
        titles += ["baseline", "p95", "p99", "ratio"]
    rows: list[list[str]] = []

    def add(labels: Mapping[str, str], parts: Sequence[_Side], digits: int = 2) -> None:
        """A row for each name that a side has."""
        for name, label in labels.items():
            values = [part.get(name) for part in parts]
            if any(value is not None for value in values):
                row = [label, *(cell for value in values for cell in _cells(value, digits))]
                rows.append([*row, _number(ratios.get(name))] if baseline else row)

    add({name: name for name in CALL_STAGES}, [side["stages"] for side in sides])
    rows.append([""])
    add(_SUMS, sides)
    for name, times in result.get("in_torch", {}).items():
        rows.append([f"{name} in torch", *_cells(times, 2)])
    add({"frames_per_second": "frames/s"}, sides, 1)
    rows.append([""])
    add(_PEAKS, [side["memory"] for side in sides], 1)
    lines = [describe_settings(result), _conditions(result), "", *table(titles, rows)]
    for name, times in result.get("in_torch", {}).items():
        own = result["stages"].get(name) or result[name]
        lines.append(f"{name}: torch takes {times['p50_ms'] / own['p50_ms']:.2f} times as long")
    held, end = result["growth"]["start"], result["growth"]["end"]
    lines += [_growth(name, before, end[name]) for name, before in held.items()]
    lines.append(_compute("network", result["compute"]))
    if baseline:
        lines.append(_compute("baseline's network", baseline["compute"]))
        lines.append(f"ratio of the totals: {result['ratio']:.2f}")
    return "\n".join(lines)


def describe_settings(result: Mapping[str, Any]) -> str:
    """Network and work of `measure_speed` in one line."""
    settings, machine = result["settings"], result["machine"]
    height, width = settings["image_size"]
    boxes = settings["box_area"]
    return (
        f"{settings['preset']} ({settings['weights']}), {settings['precision']} on "
        f"{machine['name']}"
        + (f", {machine['threads']} threads" if machine["device"] == "cpu" else "")
        + (", compiled" if settings["compiled"] else "")
        + (f", {settings['engine']}" if settings.get("engine", "torch") != "torch" else "")
        + f"; {width}x{height}, batch {settings['batch']}, {settings['instances']} instances"
        + (" with boxes as found" if boxes is None else f" with boxes of {boxes:.0%} of the image")
    )


def _conditions(result: Mapping[str, Any]) -> str:
    on = " and ".join(name for name, state in result["machine"]["tf32"].items() if state)
    calls = f"{result['settings']['frames']} calls each, in turns"
    return f"{calls}; TF32 {'on for ' + on if on else 'off'}; {_versions(result)}"


def _versions(result: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in result["versions"].items())


def _cells(value: Mapping[str, float] | float | None, digits: int) -> list[str]:
    """Median, 95th and 99th percentile; of a single value, that and two empty cells."""
    if isinstance(value, float):
        return [_number(value, digits), "", ""]
    times = value or {}
    return [_number(times.get(name), digits) for name in ("p50_ms", "p95_ms", "p99_ms")]


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _growth(name: str, before: float, after: float) -> str:
    change = f"{after / before - 1:+.2%}" if before else f"{after - before:+.1f} MB"
    label = name.removesuffix("_mb").replace("_", " ")
    return f"held, {label}: {before:.1f} MB after warm-up, {after:.1f} at the end, {change}"


def _compute(label: str, compute: Mapping[str, float]) -> str:
    return (
        f"{label}: {compute['network_flops'] / 1e9:.1f} GFLOP per call, "
        f"{compute['achieved_flops_per_second'] / 1e9:.1f} GFLOP/s, "
        f"{compute['share_of_gemm']:.0%} of a matrix product's "
        f"{compute['gemm_flops_per_second'] / 1e9:.1f}"
    )


def node_table(result: Mapping[str, Any]) -> str:
    """The result of `measure_node` with "machine" and "versions": a block per arrangement."""
    lines = [describe_node_settings(result), _versions(result)]
    for arrangement in result["set_ups"]:
        lines += ["", arrangement["name"], *_counts(arrangement)]
        lines += ["", *_ages(arrangement["cameras"], arrangement["frames_per_second"])]
        lines += ["", *_node_stages(arrangement["stages"]), "", *_use(arrangement)]
    if "comparison" in result:
        lines += ["", *_comparison(result["comparison"])]
    return "\n".join(lines)


def compare(one: Mapping[str, Any], many: Mapping[str, Any]) -> dict[str, Any]:
    """Compare one node for all cameras with one for each: "one", "many", "ratio" by value."""
    compared = {}
    for name in _COMPARED:
        left, right = ({**side, **(side["memory"] or {})}.get(name) for side in (one, many))
        if left is not None and right:
            compared[name] = {"one": left, "many": right, "ratio": left / right}
    return compared


def describe_node_settings(result: Mapping[str, Any]) -> str:
    """Network, machine and cameras of `measure_node` in one line."""
    settings, machine = result["settings"], result["machine"]
    cameras: dict[str, int] = {}
    for camera in settings["cameras"]:
        height, width = camera["image_size"]
        kind = f"{width}x{height} at {camera['rate_hz']:g} Hz"
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


def ordered_stages(stages: Mapping[str, _Side]) -> dict[str, _Side]:
    """Stages in the order of a frame's way through the node, and unknown ones behind them."""
    known = [name for name in NODE_STAGES if name in stages]
    return {name: stages[name] for name in [*known, *sorted(set(stages) - set(known))]}


def _counts(arrangement: Mapping[str, Any]) -> list[str]:
    cameras = arrangement["cameras"]
    topics = list(cameras[0]["results"])
    rows = [
        [*(camera[name] for name in _COUNTS), *(camera["results"][t]["received"] for t in topics)]
        for camera in cameras
    ]
    named = [[camera["name"], *row] for camera, row in zip(cameras, rows, strict=True)]
    if len(cameras) > 1:
        named.append(["all", *(sum(column) for column in zip(*rows, strict=True))])
    lines = table(["frames", *_COUNTS.values(), *(f"-> {topic}" for topic in topics)], named)
    lines += [f"{camera['name']}: {remark}" for camera in cameras for remark in _remarks(camera)]
    if problems := [f"  {c['name']}: {text}" for c in cameras for text in c["problems"]]:
        return [*lines, "the sums do not close:", *problems]
    sums = "received = processed + dropped in the node, processed = results"
    return [*lines, f"the sums close: {sums}"]


def _remarks(camera: Mapping[str, Any]) -> list[str]:
    remarks = []
    if camera["skipped"]:
        remarks.append(f"{camera['skipped']} frames were not made in time by the camera")
    if camera["lost_in_dds"] > camera["lost"]:
        remarks.append(
            f"of {camera['lost_in_dds']} frames lost in DDS the node was told of {camera['lost']}; "
            "the others were the last, or replaced in its queue before its executor came"
        )
    return remarks


def _ages(cameras: Sequence[Mapping[str, Any]], frames_per_second: float) -> list[str]:
    names = ("p50", "p95", "p99", "max")
    rows = []
    for camera in cameras:
        ages = camera["age_ms"] or {}
        cells = [_number(ages.get(name), 1) for name in names]
        rows.append([camera["name"], *cells, _number(camera["frames_per_second"])])
    if len(cameras) > 1:
        rows.append(["all", *[""] * len(names), _number(frames_per_second)])
    return table(["age, ms", *names, "frames/s"], rows)


def _node_stages(stages: Mapping[str, _Side]) -> list[str]:
    rows = [
        [name, _number(times["p50_ms"]), _number(times["p95_ms"])]
        for name, times in ordered_stages(stages).items()
    ]
    return table(["stage, ms", "p50", "p95"], rows)


def _use(arrangement: Mapping[str, Any]) -> list[str]:
    lines = []
    if arrangement["batch_size"] is not None:
        lines.append(f"frames in a batch: {arrangement['batch_size']:.2f}")
    count = arrangement["nodes"]
    nodes = "the node" if count == 1 else f"the {count} nodes"
    if (cores := arrangement["processor_cores"]) is not None:
        others = arrangement["others_processor_cores"]
        lines.append(f"processor: {nodes} {cores:.2f} cores; cameras and subscriber {others:.2f}")
    if memory := arrangement["memory"]:
        lines.append(
            f"memory of {nodes}, MB: {memory['pss_mb']:.0f} (PSS: shared pages by share), "
            f"{memory['without_files_mb']:.0f} without files, {memory['rss_mb']:.0f} in all (RSS), "
            f"{memory['peak_rss_mb']:.0f} at most"
        )
    if arrangement["gpu_use"] is not None:
        lines.append(f"GPU: at work {arrangement['gpu_use']:.0%} of the time")
    if arrangement["gpu_memory_mb"] is not None:
        by_process = arrangement["gpu_memory_by"] == "process"
        note = "" if by_process else " (growth of all that is in use)"
        lines.append(f"memory of the GPU, MB: {arrangement['gpu_memory_mb']:.0f}{note}")
    return lines


def _comparison(comparison: Mapping[str, Mapping[str, float]]) -> list[str]:
    rows = []
    for name, label in _COMPARED.items():
        if row := comparison.get(name):
            digits = 0 if name.endswith("_mb") else 2
            both = (_number(row[side], digits) for side in ("one", "many"))
            rows.append([label, *both, _number(row["ratio"], 3)])
    return table(["", "one node", "a node each", "ratio"], rows)
