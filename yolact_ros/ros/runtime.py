# SPDX-License-Identifier: Apache-2.0
"""What the node has while it is configured: the network, its outputs and the threads between them.

Importing this takes seconds, because of torch.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rclpy.node import Node

from yolact_ros.inference import Segmenter, SegmenterOptions
from yolact_ros.ros.camera import Camera
from yolact_ros.ros.counters import Statistics
from yolact_ros.ros.outputs import ClassList, Outputs
from yolact_ros.ros.parameters.table import Settings
from yolact_ros.ros.pipeline import Frame, Pipeline, Segmented
from yolact_ros.ros.worker import BatchWorker, HandOver


@dataclasses.dataclass(frozen=True)
class _Batch:
    segmented: list[Segmented]
    finished: float  # time.perf_counter()


class Engine:
    """Loads the network and makes everything that works on images.

    One thread segments batches, and another builds and publishes the messages of the batch before.

    Args:
        node: Gets the publishers.
        cameras: Whose images are segmented.
        settings: Values of the parameters.
        statistics: Counts and times of the whole node.
        on_error: Called in the threads with a camera whose frame was lost, or None if it was a
            whole batch, and with what was raised.

    Raises:
        ValueError: A parameter has a value that the network does not allow, or the weights do not
            fit.
        OSError: The weights cannot be read.
    """

    def __init__(
        self,
        node: Node,
        *,
        cameras: Sequence[Camera],
        settings: Settings,
        statistics: Statistics,
        on_error: Callable[[Camera | None, Exception], None],
    ) -> None:
        self._segmenter = load_segmenter(settings, len(cameras))
        self._statistics = statistics
        self._on_error = on_error
        self._class_list = ClassList(node)
        self._outputs = {camera.name: Outputs(node, camera.prefix) for camera in cameras}
        self._pipeline = Pipeline(
            segmenter=self._segmenter,
            outputs=self._outputs,
            settings=settings,
            statistics=statistics,
            clock=node.get_clock(),
        )
        by_name = {camera.name: camera for camera in cameras}
        self._publisher: HandOver[_Batch] = HandOver(
            self._publish, on_error=lambda error: on_error(None, error)
        )
        self._worker: BatchWorker[Frame] = BatchWorker(
            tuple(by_name),
            self._segment,
            on_replaced=lambda name: by_name[name].statistics.count("replaced"),
            on_error=lambda error: on_error(None, error),
            **_scheduling(settings),
        )

    @property
    def settings(self) -> Settings:
        """The values in use."""
        return self._pipeline.settings

    @property
    def preset(self) -> str:
        """Name of the preset."""
        return self._segmenter.preset.name

    @property
    def device(self) -> str:
        """Where the network runs."""
        return str(self._segmenter.device)

    @property
    def precision(self) -> str:
        """Arithmetic of the network."""
        return self._segmenter.precision

    def apply(self, changed: Mapping[str, Any]) -> None:
        """Takes over checked values of parameters, by name, from the next image on.

        Raises:
            ValueError: The network knows no class of a name in `classes`; nothing has changed.
        """
        by_field = {name.replace(".", "_"): value for name, value in changed.items()}
        settings = dataclasses.replace(self.settings, **by_field)
        self._segmenter.options = SegmenterOptions(**_options(settings))
        self._pipeline.settings = settings
        self._worker.configure(**_scheduling(settings))
        if "score_threshold" in changed:
            self._announce()

    def start(self) -> None:
        """Announces the classes and begins to take images."""
        for outputs in self._outputs.values():
            outputs.open()
        self._announce()
        self._publisher.start()
        self._worker.start()

    def offer(self, camera: Camera, message: Any, info: Mapping[str, Any] | None) -> None:
        """Gives an image message, which replaces the one of its camera that still waits."""
        frame = self._pipeline.receive(camera, message, info)
        if frame is not None:
            self._worker.offer(camera.name, frame)

    def stop(self, timeout: float) -> bool:
        """Takes no more images; returns whether those at work were published in time (s).

        What was not is dropped: nothing is published after this returns.
        """
        deadline = time.monotonic() + timeout
        ended = self._worker.stop(timeout)
        ended = self._publisher.stop(max(0.0, deadline - time.monotonic())) and ended
        for outputs in self._outputs.values():
            outputs.shut()
        return ended

    def close(self) -> None:
        """Removes the publishers."""
        self._class_list.close()
        for outputs in self._outputs.values():
            outputs.close()

    def _segment(self, frames: list[Frame]) -> bool:
        batch = self._pipeline.read(frames)
        if not batch:
            return False
        if segmented := self._pipeline.segment(batch):
            self._publisher.give(_Batch(segmented, time.perf_counter()))
        return True

    def _publish(self, batch: _Batch) -> None:
        self._statistics.record("hand-over", (time.perf_counter() - batch.finished) * 1000)
        for frame, result in batch.segmented:
            try:
                self._pipeline.publish(frame, result)
            except Exception as error:
                self._on_error(frame.camera, error)

    def _announce(self) -> None:
        self._class_list.announce(self._segmenter.class_names, self.settings.score_threshold)


def load_segmenter(settings: Settings, cameras: int) -> Segmenter:
    """Loads the network and runs the sizes of batches that come, in a thread that ends.

    GNU OpenMP keeps threads for every thread that ever asked for some, and when it has more of them
    than cores, all sleep between the operations: on two cores the network took half as long again
    in the worker's thread when this one had run it before.
    """
    with ThreadPoolExecutor(max_workers=1) as alone:
        return alone.submit(_load, settings, cameras).result()


def _load(settings: Settings, cameras: int) -> Segmenter:
    segmenter = Segmenter(
        preset=settings.preset or None,
        weights=settings.weights or None,
        class_names=settings.class_names,
        engine=settings.engine,
        device=settings.device,
        precision=settings.precision,
        resize=settings.resize,
        compile=settings.compile,
        **_options(settings),
    )
    most = min(cameras, settings.max_batch or cameras)
    # The first run costs time on a GPU; if compiled, that of each size does.
    for batch in range(1, most + 1) if settings.compile else sorted({1, most}):
        segmenter.warm_up(batch=batch)
    return segmenter


def _options(settings: Settings) -> dict[str, Any]:
    """The parameters that are options of the segmenter, which bear the same names."""
    return {
        field.name: getattr(settings, field.name) for field in dataclasses.fields(SegmenterOptions)
    }


def _scheduling(settings: Settings) -> dict[str, Any]:
    """The parameters that decide which frames make a batch, and when."""
    return {name: getattr(settings, name) for name in ("batch_wait", "max_batch", "max_rate")}
