# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros bench` measured, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STAGE_ORDER = (
    "arrival",
    "upload",
    "preprocess",
    "network",
    "decode",
    "masks",
    "download",
    "overlay",
    "message",
    "publish",
)
_SUMS = {
    "total": "total",
    "after_network": "after the network",
    "outside_network": "outside the network",
    "with_messages": "total with messages",
}
_MEMORY = {
    "host_peak_mb": "host, peak of a call",
    "host_peak_after_network_mb": "host, peak after the network",
    "device_peak_mb": "device, peak of a call",
    "device_peak_with_weights_mb": "device, peak with the weights",
}


def speed_table(result: Mapping[str, Any]) -> str:
    """The result of `measure_speed`: one row a stage, sums, memory, arithmetic."""
    baseline = result.get("baseline")
    lines = _head(result)
    lines.append("")
    title = f"{'':<22}{'median':>10}{'p95':>10}{'p99':>10}"
    if baseline:
        title += f"{'baseline':>12}{'p95':>10}{'p99':>10}{'ratio':>9}"
    lines.append(title + "   (ms a call)")
    others = baseline["stages"] if baseline else {}
    for name in STAGE_ORDER:
        row, other = result["stages"].get(name), others.get(name)
        if row or other:
            lines.append(_row(name, row, other, baseline and result["ratios"].get(name)))
    lines.append("")
    for name, label in _SUMS.items():
        if name in result:
            other = baseline and baseline.get(name)
            lines.append(_row(label, result[name], other, baseline and result["ratios"].get(name)))
    for name, row in result.get("in_torch", {}).items():
        own = result["stages"].get(name) or result[name]
        ratio = row["p50_ms"] / own["p50_ms"]
        lines.append(_row(f"{name} in torch", row, None, None) + f"   {ratio:.2f} times as long")
    rate = f"{'frames/s':<22}{result['frames_per_second']:10.1f}"
    if baseline:
        rate += f"{'':20}{baseline['frames_per_second']:12.1f}"
    lines += [rate, ""]
    lines += _memory(result, baseline)
    lines += _growth(result["growth"])
    lines.append(_compute("network", result["compute"]))
    if baseline:
        lines.append(_compute("baseline's network", baseline["compute"]))
        lines.append(f"ratio of the totals: {result['ratio']:.2f}")
    return "\n".join(lines)


def describe_settings(result: Mapping[str, Any]) -> str:
    """Network and work in one line."""
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


def _head(result: Mapping[str, Any]) -> list[str]:
    tf32 = result["machine"]["tf32"]
    on = " and ".join(name for name, state in tf32.items() if state)
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    frames = result["settings"]["frames"]
    return [
        describe_settings(result),
        f"{frames} calls of each way, in turns; TF32 {'on for ' + on if on else 'off'}; {versions}",
    ]


def _row(
    label: str,
    row: Mapping[str, float] | None,
    other: Mapping[str, float] | None,
    ratio: float | None,
) -> str:
    line = f"{label:<22}"
    for percentile in ("p50_ms", "p95_ms", "p99_ms"):
        line += f"{row[percentile]:10.2f}" if row else f"{'-':>10}"
    if other:
        line += f"{other['p50_ms']:12.2f}{other['p95_ms']:10.2f}{other['p99_ms']:10.2f}"
        line += f"{ratio:9.2f}" if ratio is not None else f"{'-':>9}"
    return line


def _memory(result: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> list[str]:
    lines = []
    for name, label in _MEMORY.items():
        megabytes = result["memory"].get(name)
        if megabytes is None:
            continue
        line = f"{label + ', MB':<34}{megabytes:10.1f}"
        if baseline and (other := baseline["memory"].get(name)) is not None:
            line += f"{other:12.1f}"
            if ratio := result["ratios"].get(name):
                line += f"{ratio:9.2f}"
        lines.append(line)
    return lines


def _growth(growth: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, before in growth["start"].items():
        after = growth["end"][name]
        change = f"{after / before - 1:+.2%}" if before else f"{after - before:+.1f} MB"
        label = name.removesuffix("_mb").replace("_", " ")
        lines.append(
            f"held, {label}: {before:.1f} MB after warm-up, {after:.1f} at the end, {change}"
        )
    return lines


def _compute(label: str, compute: Mapping[str, float]) -> str:
    return (
        f"{label}: {compute['network_flops'] / 1e9:.1f} GFLOP a call, "
        f"{compute['achieved_flops_per_second'] / 1e9:.1f} GFLOP/s, "
        f"{compute['share_of_gemm']:.0%} of a matrix product's "
        f"{compute['gemm_flops_per_second'] / 1e9:.1f}"
    )
