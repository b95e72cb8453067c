# SPDX-License-Identifier: Apache-2.0
"""The demo: synthetic cameras and the real node in processes of their own, watched over DDS.

    python3 -m yolact_ros.ros.demo [--cameras N] [--output FILE] [--frames N] [--weights FILE]
                                   [--view]

It ends by itself with exit code 0 when the results of every camera agree with its truth, else 1.
With --view it shows them in a browser, and goes on until Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

# All of it here, while a signal still ends the process at once: one that came while something is
# imported beside running children would wait for that.
import cv2
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from yolact_ros.ros.demo.page import show_page
from yolact_ros.ros.demo.truth_score import TruthScore
from yolact_ros.ros.demo.viewer import CameraView, DemoViewer
from yolact_ros.ros.processes.children import Child, ChildProcess, Children
from yolact_ros.ros.signals import HeldSignals

SCORE_THRESHOLD = 0.3
LEAST_RECALL = 0.8
LEAST_IOU = 0.75
LEAST_MEASURED = 0.9
LEAST_IN_SPACE = 0.5
"""Share of the frames: a node that is behind measures only the newest of its results."""
LARGEST_CENTRE_ERROR = 0.01
"""Median, m."""
LEAST_FRAMES = 100
SCENE_SECONDS = 1.0
PATIENCE = 60.0
"""Seconds without a new result after which the demo gives up."""


class DemoView(NamedTuple):
    """What one of the demo's cameras films."""

    name: str
    width: int
    height: int
    rate: float


ALONE = DemoView("", 640, 480, 15.0)
TOGETHER = (
    DemoView("front", 640, 480, 8.0),
    DemoView("rear", 480, 360, 6.0),
    DemoView("left", 800, 600, 4.0),
    DemoView("right", 320, 240, 5.0),
)
"""The cameras of `--cameras N`, the first N; small and slow enough for a machine of two cores."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code."""
    options = _parse(args)
    try:
        viewer, problem = _show(options)
    except KeyboardInterrupt:
        return 0
    if viewer is None or problem:
        print(f"demo failed: {problem}", file=sys.stderr)
        return 1
    return max(_conclude(view, _output_of(view, options.output)) for view in viewer.views)


def _show(options: argparse.Namespace) -> tuple[DemoViewer | None, str]:
    """Start everything and end it when enough has been seen; what went wrong, if anything."""
    folder = options.output.parent
    folder.mkdir(parents=True, exist_ok=True)
    with HeldSignals() as signals, Children() as children:
        cameras = TOGETHER[: options.cameras] if options.cameras > 1 else (ALONE,)
        names = [camera.name for camera in cameras if camera.name]
        # One class an object: two labels on one thing would puzzle who looks at the picture.
        node = {"score_threshold": f"{SCORE_THRESHOLD}", "nms": "'cross_class'"}
        if options.weights:
            node["weights"] = f"'{options.weights.resolve()}'"
        if names:
            node["cameras"] = f"[{', '.join(names)}]"
        children.add(Child("yolact_node", node, folder / "node.log"))
        for number, camera in enumerate(cameras):
            children.add(_start_camera(camera, number, folder))
        print(
            f"node and {len(cameras)} camera{'s' * (len(cameras) > 1)} started, each in a "
            "process of its own; Ctrl-C ends the demo",
            flush=True,
        )

        def ended() -> ChildProcess | None:
            signals.check()
            return children.ended()

        if options.view:
            return None, show_page(children, folder / "view.log", ended)
        return _compare(names, ended, options.frames)


def _compare(
    names: Sequence[str], ended: Callable[[], ChildProcess | None], frames: int
) -> tuple[DemoViewer, str]:
    """Subscribe until enough frames came; what went wrong, if anything."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        viewer = DemoViewer(names)
        return viewer, _watch(viewer, ended, frames)
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
        "--cameras",
        type=int,
        default=1,
        help=f"cameras that share the node, of different sizes and rates, 1 to {len(TOGETHER)} "
        "(%(default)s); the overlay of each then has its name",
    )
    parser.add_argument(
        "--frames",
        type=int,
        help=f"frames to process of each camera (200 of one, {LEAST_FRAMES} of several; at least "
        f"{LEAST_FRAMES})",
    )
    parser.add_argument(
        "--weights", type=Path, help="weights of yolact_demo instead of the shipped"
    )
    parser.add_argument(
        "--view",
        action="store_true",
        help="show it in a browser, with its parameters to change, until Ctrl-C; compare nothing",
    )
    options = parser.parse_args(args)
    if not 1 <= options.cameras <= len(TOGETHER):
        parser.error(f"--cameras: expected 1 to {len(TOGETHER)}, got {options.cameras}")
    if options.frames is None:
        options.frames = 200 if options.cameras == 1 else LEAST_FRAMES
    if options.frames < LEAST_FRAMES:
        parser.error(f"--frames: expected at least {LEAST_FRAMES}, got {options.frames}")
    return options


def _start_camera(camera: DemoView, number: int, folder: Path) -> Child:
    parameters = {
        "width": f"{camera.width}",
        "height": f"{camera.height}",
        "rate": f"{camera.rate}",
        "seed": f"{1000 * number}",
        "scene_seconds": f"{SCENE_SECONDS}",
        "publish_truth": "true",
    }
    if not camera.name:
        return Child("demo_camera", parameters, folder / "camera.log")
    parameters["frame_id"] = f"'{camera.name}_optical_frame'"
    log = folder / f"camera_{camera.name}.log"
    return Child("demo_camera", parameters, log, arguments=["-r", f"__ns:=/{camera.name}"])


def _output_of(view: CameraView, output: Path) -> Path:
    return output.with_stem(f"{output.stem}_{view.name}") if view.name else output


def _watch(viewer: DemoViewer, ended: Callable[[], ChildProcess | None], frames: int) -> str:
    """Print lines each second until enough frames came; return what went wrong, if anything."""
    executor = SingleThreadedExecutor()
    executor.add_node(viewer)
    next_line = time.monotonic() + 1
    counts = [0] * len(viewer.views)
    last_change = [time.monotonic()] * len(viewer.views)
    while min(counts) < frames:
        executor.spin_once(timeout_sec=0.1)
        now = time.monotonic()
        for i, view in enumerate(viewer.views):
            if view.comparable != counts[i]:
                counts[i], last_change[i] = view.comparable, now
        if now >= next_line:
            next_line += 1
            for view in viewer.views:
                print(f"{view.name:6s}" * bool(view.name) + view.live_line(), flush=True)
        if (child := ended()) is not None:
            return child.describe_end()
        if viewer.node_problem:
            return f"the node is {viewer.node_problem}"
        for view, change in zip(viewer.views, last_change, strict=True):
            if now - change > PATIENCE:
                return f"no new result {f'of {view.name} ' * bool(view.name)}for {PATIENCE:g} s"
    return ""


def _conclude(view: CameraView, output: Path) -> int:
    """Print a camera's summary, write its overlay, and judge; return the exit code."""
    score = view.score()
    width, height = view.size
    middle, worst = view.age_percentiles()
    label = f"{view.name}: " if view.name else ""
    print(
        f"\n{label}{len(view.results)} frames of {width} x {height} at {view.rate():.1f} Hz; "
        f"age of results p50 {middle:.0f} ms, p95 {worst:.0f} ms; {view.dropped()}"
    )
    print(
        f"against the camera's truth of {score.frames} frames, {score.objects} objects at least "
        f"half visible and 400 pixels large, at score {SCORE_THRESHOLD:g}:\n"
        f"  recall at mask IoU 0.5    {score.recall:.3f}  (expected at least {LEAST_RECALL:g}; "
        f"whatever the class {score.recall_any_class:.3f})\n"
        f"  mean mask IoU of matched  {score.mean_iou:.3f}  (expected at least {LEAST_IOU:g})\n"
        f"  precision                 {score.precision:.3f}"
    )
    overlay = view.overlay()
    problems = _judge_space(score) if view.in_space else []
    if view.name and view.frame_ids != {f"{view.name}_optical_frame"}:
        problems.append(f"expected the frame_id {view.name}_optical_frame, got {view.frame_ids}")
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
        print(f"demo failed: {label}{text}", file=sys.stderr)
    return 1 if problems else 0


def _judge_space(score: TruthScore) -> list[str]:
    """Print how right the objects in space are; return what is wrong with them."""
    if not score.centre_errors:
        return ["no objects in space came"]
    middle, worst = np.percentile(score.centre_errors, [50, 95])
    size, worst_size = np.percentile(score.size_errors, [50, 95])
    print(
        f"in space, {score.in_space} objects found in {score.frames_in_space} of "
        f"{score.frames_boxed} frames, against the boxes of their visible surfaces:\n"
        f"  measured                  {score.measured:.3f}  (expected at least "
        f"{LEAST_MEASURED:g})\n"
        f"  error of the centre       {middle * 1000:.1f} mm, p95 {worst * 1000:.1f} mm  "
        f"(expected a median of at most {LARGEST_CENTRE_ERROR * 1000:g} mm)\n"
        f"  error of the size         {size:.1%} of the longest edge, p95 {worst_size:.1%}"
    )
    problems = []
    if score.frames_in_space < LEAST_IN_SPACE * score.frames_boxed:
        problems.append(
            f"expected objects in space of {LEAST_IN_SPACE:.0%} of the frames, got those of "
            f"{score.frames_in_space} of {score.frames_boxed}"
        )
    if score.measured < LEAST_MEASURED:
        problems.append(
            f"expected {LEAST_MEASURED:.0%} of the objects in space, got {score.measured:.0%}"
        )
    if middle > LARGEST_CENTRE_ERROR:
        problems.append(
            f"expected objects in space to be right to {LARGEST_CENTRE_ERROR * 1000:g} mm, got "
            f"{middle * 1000:.1f} mm"
        )
    return problems
