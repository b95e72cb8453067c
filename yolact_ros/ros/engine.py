# SPDX-License-Identifier: Apache-2.0
"""What the node has while it is configured: the network, its outputs and the thread between them.

Importing this takes seconds, because of torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node

from yolact_ros.inference import Segmenter, SegmenterOptions
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.outputs import Outputs
from yolact_ros.ros.parameters import Settings
from yolact_ros.ros.pipeline import Frame, Pipeline
from yolact_ros.ros.statistics import Statistics
from yolact_ros.ros.worker import NewestFrameWorker


class Engine:
    """Loads the network and makes everything that works on images.

    Args:
        node: Gets the publishers.
        settings: Values of the parameters.
        statistics: Counts and times.
        log: For frames that cannot be processed.
        on_error: Called in the worker's thread with what publishing raised.

    Raises:
        ValueError: A parameter has a value that the network does not allow, or the weights do not
            fit.
        OSError: The weights cannot be read.
    """

    def __init__(
        self,
        node: Node,
        *,
        settings: Settings,
        statistics: Statistics,
        log: ThrottledLog,
        on_error: Callable[[Exception], None],
    ) -> None:
        self._segmenter = Segmenter(
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
        self._segmenter.warm_up()
        self._outputs = Outputs(node)
        self._pipeline = Pipeline(
            segmenter=self._segmenter,
            outputs=self._outputs,
            settings=settings,
            statistics=statistics,
            clock=node.get_clock(),
            log=log,
        )
        self._worker: NewestFrameWorker[Frame] = NewestFrameWorker(
            self._pipeline.process,
            on_replaced=lambda: statistics.count("replaced"),
            on_error=on_error,
            max_rate=settings.max_rate,
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
        if "max_rate" in changed:
            self._worker.max_rate = settings.max_rate
        if "score_threshold" in changed:
            self._announce()

    def start(self) -> None:
        """Announces the classes and begins to take images."""
        self._announce()
        self._worker.start()

    def offer(self, message: Any) -> None:
        """Gives an image message, which replaces the one that still waits."""
        self._worker.offer(self._pipeline.receive(message))

    def stop(self, timeout: float) -> bool:
        """Takes no more images; returns whether the one at work was finished in time (s)."""
        return self._worker.stop(timeout)

    def close(self) -> None:
        """Removes the publishers."""
        self._outputs.close()

    def _announce(self) -> None:
        self._outputs.announce(self._segmenter.class_names, self.settings.score_threshold)


def _options(settings: Settings) -> dict[str, Any]:
    """The parameters that are options of the segmenter, which bear the same names."""
    return {
        field.name: getattr(settings, field.name) for field in dataclasses.fields(SegmenterOptions)
    }
