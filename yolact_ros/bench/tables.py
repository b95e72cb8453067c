# SPDX-License-Identifier: Apache-2.0
"""Measurements as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from yolact_ros.inference.timing import STAGES

CALL_STAGES = ("arrival", *STAGES, "overlay", "message", "publish")
"""Stages of a call in order, with the messages around it."""
NODE_STAGES = (
    *("transport", "executor", "arrival", "wait", "convert", *STAGES, "batch", "hand-over"),
    *("track", "overlay", "overlay encode", "message", "publish", "processing", "total", "age"),
)
"""Stages of a frame in order, as the node tells them."""
COUNTS = {
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
"""What is counted of a camera's frames, and how it is called."""

LEVELS = ("OK", "WARN", "ERROR")
"""The levels of /diagnostics."""

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
    columns = [f"{{:<{max(14, first)}}}", *(f"{{:>{max(8, width + 2)}}}" for width in others)]
    return ["".join(columns).format(*row).rstrip() for row in cells]


def bound(what: str, asked: float, reached: float) -> dict[str, Any]:
    """An entry of "bounds", as JSON holds it: what is asked at most, and whether it is held."""
    return {"what": what, "asked": asked, "reached": reached, "held": reached <= asked}


def stages_and_bounds(
    stages: Mapping[str, Mapping[str, float]], bounds: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Lines of two tables: times of stages, and what is asked of them and reached.

    Args:
        stages: p50_ms and p95_ms by name.
        bounds: Entries made by `bound`.
    """
    rows = [
        [name, _number(times["p50_ms"]), _number(times["p95_ms"])] for name, times in stages.items()
    ]
    judged = [
        [one["what"], f"{one['asked']:g}", f"{one['reached']:.3g}", "yes" if one["held"] else "NO"]
        for one in bounds
    ]
    return [
        *table(["ms", "median", "p95"], rows),
        "",
        *table(["", "asked", "reached", "held"], judged),
    ]


def speed_table(result: Mapping[str, Any]) -> str:
    """The result of `measure_speed`: stages, sums, memory."""
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
    add({"frames_per_second": "frames/s"}, sides, 1)
    rows.append([""])
    add(_PEAKS, [side["memory"] for side in sides], 1)
    calls = f"{result['settings']['frames']} calls each, in turns; TF32 off; {_versions(result)}"
    reason = result["settings"].get("precision_reason")
    heading = [describe_settings(result), *([reason] if reason else []), calls]
    lines = [*heading, "", *table(titles, rows)]
    if others := result.get("others"):
        lines += ["", *_engines_table(result, others)]
    for name, before in result["growth"]["start"].items():
        after, label = result["growth"]["end"][name], name.removesuffix("_mb").replace("_", " ")
        held = f"{before:.1f} MB after warm-up, {after:.1f} at the end"
        lines.append(f"held, {label}: {held}, {after / before - 1:+.2%}")
    return "\n".join(lines)


def _engines_table(result: Mapping[str, Any], others: Mapping[str, Any]) -> list[str]:
    """The medians of all engines and precisions, and how many times as long as the first's."""
    settings, own = result["settings"], {**result["stages"], "total": result["total"]}
    rows = []
    for name, times in {f"{settings['engine']} {settings['precision']}": own, **others}.items():
        row = [name]
        for stage in ("network", "total"):
            median = times[stage]["p50_ms"]
            row += [f"{median:.2f}", f"{median / own[stage]['p50_ms']:.2f}"]
        rows.append(row)
    return table(["ms per call", "network", "times", "total", "times"], rows)


def describe_settings(result: Mapping[str, Any]) -> str:
    """Network and work of `measure_speed` in one line."""
    settings, machine = result["settings"], result["machine"]
    height, width = settings["image_size"]
    boxes, threshold = settings["box_area"], settings.get("score_threshold", 0.15)
    return (
        f"{settings['preset']} ({settings['weights']}), {settings['precision']} on "
        f"{machine['name']}"
        + (f", {machine['threads']} threads" if machine["device"] == "cpu" else "")
        + (", compiled" if settings["compiled"] else "")
        + (f", {settings['engine']}" if settings.get("engine", "torch") != "torch" else "")
        + f"; {width}x{height}, batch {settings['batch']}, {settings['instances']} instances"
        + (" with boxes as found" if boxes is None else f" with boxes of {boxes:.0%} of the image")
        + (f", of which above {threshold:g} are kept" if threshold >= 0.5 else "")
    )


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


def node_table(result: Mapping[str, Any]) -> str:
    """The result of `measure_node` and its like, with "machine" and "versions".

    A block per arrangement, and one of what was recorded over time.
    """
    lines = [describe_node_settings(result), _versions(result)]
    for arrangement in result["set_ups"]:
        lines += ["", arrangement["name"], *_counts(arrangement)]
        lines += ["", *_ages(arrangement["cameras"], arrangement["frames_per_second"])]
        lines += ["", *_node_stages(arrangement["stages"]), "", *_use(arrangement)]
    if "comparison" in result:
        lines += ["", *_comparison(result["comparison"])]
    if "record" in result:
        lines += ["", *_record(result)]
    return "\n".join(lines)


def compare(one: Mapping[str, Any], many: Mapping[str, Any]) -> dict[str, Any]:
    """Compare one node for all cameras with one for each: "one", "many", "ratio" by value."""
    compared = {}
    for name in _COMPARED:
        left, right = ((side | side["memory"])[name] for side in (one, many))
        if left is not None and right:
            compared[name] = {"one": left, "many": right, "ratio": left / right}
    return compared


def describe_node_settings(result: Mapping[str, Any]) -> str:
    """Network, machine and cameras of `measure_node` in one line."""
    settings, machine = result["settings"], result["machine"]
    cameras = Counter((*camera["image_size"], camera["rate_hz"]) for camera in settings["cameras"])
    kinds = (f"{n} x {w}x{h} at {rate:g} Hz" for (h, w, rate), n in cameras.items())
    delivery = f"{settings['transport']}, {settings['reliability'].replace('_', ' ')}"
    turns = f", {settings['rounds']} times" if settings["rounds"] > 1 else ""
    if settings.get("storm") is None:
        length = f"{settings['seconds']:g} s{turns} after {settings['warm_up_s']:g} s"
    else:
        length = f"{settings['storm']:g} s of storm, seed {settings['seed']}"
    return (
        f"{result['preset']}, {result['precision']} on {machine['name']}"
        + (f", {machine['cores']} cores" if machine["device"] == "cpu" else "")
        + f"; {', '.join(kinds)}, {delivery}; {length}"
    )


def _counts(arrangement: Mapping[str, Any]) -> list[str]:
    cameras = arrangement["cameras"]
    topics = list(cameras[0]["results"])
    rows = [
        [*(camera[name] for name in COUNTS), *(camera["results"][t]["received"] for t in topics)]
        for camera in cameras
    ]
    named = [[camera["name"], *row] for camera, row in zip(cameras, rows, strict=True)]
    if len(cameras) > 1:
        named.append(["all", *(sum(column) for column in zip(*rows, strict=True))])
    lines = table(["frames", *COUNTS.values(), *(f"-> {topic}" for topic in topics)], named)
    lines += [f"{camera['name']}: {remark}" for camera in cameras for remark in _remarks(camera)]
    if problems := [f"  {c['name']}: {text}" for c in cameras for text in c["problems"]]:
        return [*lines, "the sums do not close:", *problems]
    sums = "received = processed + dropped in the node, processed = results"
    return [*lines, f"the sums close: {sums}"]


def _remarks(camera: Mapping[str, Any]) -> Iterator[str]:
    if camera["skipped"]:
        yield f"{camera['skipped']} frames were not made in time by the camera"
    if camera["lost_in_dds"] > camera["lost"]:
        yield (
            f"of {camera['lost_in_dds']} frames lost in DDS the node was told of {camera['lost']}; "
            "the others were the last, or replaced in its queue before its executor came"
        )


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
    order = [*NODE_STAGES, *sorted(set(stages) - set(NODE_STAGES))]
    rows = [
        [name, _number(stages[name]["p50_ms"]), _number(stages[name]["p95_ms"])]
        for name in order
        if name in stages
    ]
    return table(["stage, ms", "p50", "p95"], rows)


def _use(arrangement: Mapping[str, Any]) -> Iterator[str]:
    count, memory = arrangement["nodes"], arrangement["memory"]
    nodes = "the node" if count == 1 else f"the {count} nodes"
    if arrangement["batch_size"] is not None:
        yield f"frames in a batch: {arrangement['batch_size']:.2f}"
    if (cores := arrangement["processor_cores"]) is not None:
        others = arrangement["others_processor_cores"]
        yield f"processor: {nodes} {cores:.2f} cores; cameras and subscriber {others:.2f}"
    if memory["pss_mb"] is not None:
        yield (
            f"memory of {nodes}, MB: {memory['pss_mb']:.0f} (PSS: shared pages by share), "
            f"{memory['without_files_mb']:.0f} without files, {memory['rss_mb']:.0f} in all (RSS), "
            f"{memory['peak_rss_mb']:.0f} at most"
        )
    if arrangement["gpu_use"] is not None:
        yield f"GPU: at work {arrangement['gpu_use']:.0%} of the time"
    if arrangement["gpu_memory_mb"] is not None:
        yield f"memory of the GPU, growth in MB: {arrangement['gpu_memory_mb']:.0f}"


def _record(result: Mapping[str, Any]) -> Iterator[str]:
    """What was recorded over time: memory, diagnostics, ages, counters and what is wrong."""
    record = result["record"]
    ended = ", ended by Ctrl-C" if result["is_interrupted"] else ""
    yield f"recorded: {record['seconds']:.0f} s{ended}"
    memory, growth = record["memory"], record["growth"]
    names = {"without_files_mb": "without files, MB", "rss_mb": "in all (RSS), MB"}
    rows: list[list[str]] = []
    for name, label in names.items():
        row = (
            [_number(growth[name][side], 1) for side in ("before", "after")]
            if growth
            else ["-"] * 2
        )
        change = f"{growth[name]['growth']:+.2%}" if growth else "-"
        rows.append([label, *row, change, _number(max(memory[name]), 1)])
    rows += [
        [name, str(memory[name][0]), str(memory[name][-1]), "", str(max(memory[name]))]
        for name in ("threads", "files")
    ]
    moments = [f"at {growth[name]:.0f} s" for name in ("from_s", "to_s")] if growth else ["", ""]
    yield from table(["memory", *moments, "growth", "at most"], rows)
    yield ""
    if (cores := record["processor_cores"]) is not None:
        yield f"processor: the node {cores:.2f} cores"
    diagnostics, ages = record["diagnostics"], record["age_ms"]
    levels = Counter(diagnostics["level"])
    told = ", ".join(f"{levels[level]} {name}" for level, name in enumerate(LEVELS))
    yield (
        f"/diagnostics: {sum(levels.values())} messages ({told}), "
        f"{record['longest_gap_s']:.2f} s at most without one"
    )
    if ages is not None:
        values = ", ".join(f"{name} {_number(age, 1)}" for name, age in ages.items())
        yield f"age of results on arrival, ms: {values}"
    counts = ", ".join(
        f"{name.replace('_', ' ')} {count}" for name, count in record["counts"].items() if count
    )
    yield f"frames, as the node told: {counts}"
    if events := result.get("events"):
        yield f"events: {len(events)}; the same seed, cameras and length make the same ones"
    if record["problems"]:
        yield "what is wrong:"
        yield from (f"  {problem}" for problem in record["problems"])
    else:
        yield "nothing is wrong: the node answered, recovered, and every frame is in one counter"


def _comparison(comparison: Mapping[str, Mapping[str, float]]) -> list[str]:
    rows = []
    for name, label in _COMPARED.items():
        if row := comparison.get(name):
            digits = 0 if name.endswith("_mb") else 2
            both = (_number(row[side], digits) for side in ("one", "many"))
            rows.append([label, *both, _number(row["ratio"], 3)])
    return table(["", "one node", "a node each", "ratio"], rows)
