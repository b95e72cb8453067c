# SPDX-License-Identifier: Apache-2.0
"""The demo: a synthetic camera and the real node in processes of their own, watched over DDS.

    python3 -m yolact_ros.ros.demo [--output FILE] [--frames N] [--weights FILE]

It ends by itself with exit code 0 when the results agree with the camera's truth, else 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from yolact_ros.ros.signals import ignore_signals, leave_quietly

if TYPE_CHECKING:
    from yolact_ros.ros.children import ChildProcess
    from yolact_ros.ros.demo_viewer import DemoViewer

SCORE_THRESHOLD = 0.3
LEAST_RECALL = 0.8
LEAST_IOU = 0.75
LEAST_FRAMES = 100
RATE = 15.0
SCENE_SECONDS = 1.0
PATIENCE = 60.0
"""Seconds without a new result after which the demo gives up."""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit code."""
    options = _parse(args)
    ignore_signals()
    import rclpy

    from yolact_ros.ros.children import Child, Children
    from yolact_ros.ros.demo_viewer import DemoViewer

    folder = options.output.parent
    folder.mkdir(parents=True, exist_ok=True)
    rclpy.init()
    try:
        with Children() as children:
            camera = {
                "rate": f"{RATE}",
                "scene_seconds": f"{SCENE_SECONDS}",
                "publish_truth": "true",
            }
            # One class an object: two labels on one thing would puzzle who looks at the picture.
            node = {"score_threshold": f"{SCORE_THRESHOLD}", "nms": "'cross_class'"}
            if options.weights:
                node["weights"] = f"'{options.weights.resolve()}'"
            children.add(Child("yolact_node", node, folder / "node.log"))
            children.add(Child("demo_camera", camera, folder / "camera.log"))
            viewer = DemoViewer()
            print("camera and node started, each in a process of its own; Ctrl-C ends the demo")
            problem = _watch(viewer, children.ended, options.frames)
        if not rclpy.ok():
            return 0
        return _conclude(viewer, problem, options.output)
    except Exception:
        if not rclpy.ok():
            return 0  # Ctrl-C came while the viewer was being made
        raise
    finally:
        rclpy.try_shutdown()


def _parse(args: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="demo", description="Shows the node on a synthetic camera."
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo_output/overlay.png"),
        help="overlay picture to write; logs of the processes go beside it (%(default)s)",
    )
    parser.add_argument(
        "--frames", type=int, default=200, help="frames to process (%(default)s, at least 100)"
    )
    parser.add_argument(
        "--weights", type=Path, help="weights of yolact_demo instead of the shipped"
    )
    options = parser.parse_args(args)
    if options.frames < LEAST_FRAMES:
        parser.error(f"--frames: expected at least {LEAST_FRAMES}, got {options.frames}")
    return options


def _watch(viewer: DemoViewer, ended: Callable[[], ChildProcess | None], frames: int) -> str:
    """Prints a line a second until enough frames came; returns what went wrong, if anything."""
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    executor = SingleThreadedExecutor()
    executor.add_node(viewer)
    next_line = time.monotonic() + 1
    last_count, last_change = 0, time.monotonic()
    while rclpy.ok() and len(viewer.results) < frames:
        try:
            executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            break
        now = time.monotonic()
        if len(viewer.results) != last_count:
            last_count, last_change = len(viewer.results), now
        if now >= next_line:
            next_line += 1
            print(viewer.live_line(), flush=True)
        if rclpy.ok() and (child := ended()) is not None:
            return f"{child.name} ended with exit code {child.exit_code}:\n{child.last_lines()}"
        if viewer.node_problem:
            return f"the node is {viewer.node_problem}"
        if now - last_change > PATIENCE:
            return f"no new result for {PATIENCE:g} s"
    return ""


def _conclude(viewer: DemoViewer, problem: str, output: Path) -> int:
    """Prints the summary, writes the overlay, and judges."""
    if problem:
        print(f"demo failed: {problem}", file=sys.stderr)
        return 1
    import cv2

    score = viewer.score()
    width, height = viewer.size
    middle, worst = viewer.age_percentiles()
    print(
        f"\n{len(viewer.results)} frames of {width} x {height} at {viewer.rate():.1f} Hz; "
        f"age of results p50 {middle:.0f} ms, p95 {worst:.0f} ms; {viewer.dropped()}"
    )
    print(
        f"against the camera's truth of {score.frames} frames, {score.objects} objects at least "
        f"half visible and 400 pixels large, at score {SCORE_THRESHOLD:g}:\n"
        f"  recall at mask IoU 0.5    {score.recall:.3f}  (expected at least {LEAST_RECALL:g}; "
        f"whatever the class {score.recall_any_class:.3f})\n"
        f"  mean mask IoU of matched  {score.mean_iou:.3f}  (expected at least {LEAST_IOU:g})\n"
        f"  precision                 {score.precision:.3f}"
    )
    overlay = viewer.overlay()
    problems = []
    if overlay is None:
        problems.append("no overlay came")
    elif cv2.imwrite(str(output), overlay):
        print(f"overlay saved as {output}")
    else:
        problems.append(f"{output} could not be written")
    if score.frames < LEAST_FRAMES:
        problems.append(f"expected the truth of {LEAST_FRAMES} frames, got {score.frames}")
    if score.recall < LEAST_RECALL:
        problems.append(f"expected a recall of {LEAST_RECALL:g}, got {score.recall:.3f}")
    if score.mean_iou < LEAST_IOU:
        problems.append(f"expected a mean mask IoU of {LEAST_IOU:g}, got {score.mean_iou:.3f}")
    for text in problems:
        print(f"demo failed: {text}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    leave_quietly()
    sys.exit(main())
