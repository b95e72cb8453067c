# SPDX-License-Identifier: Apache-2.0
"""The node `yolact`: images in, instances out, with a managed lifecycle."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from yolact_ros.ros.camera_stream import CameraStream, make_streams
from yolact_ros.ros.compat import (
    answer_refused_transitions,
    destroy_state_machine,
    lifecycle_state,
)
from yolact_ros.ros.counters import Counters
from yolact_ros.ros.diagnostics import CameraState, Diagnostics, NetworkState, NodeState
from yolact_ros.ros.logs import NodeLogHandler, ThrottledLog
from yolact_ros.ros.namesakes import Namesakes
from yolact_ros.ros.parameters import reading
from yolact_ros.ros.parameters.answers import TableParameters
from yolact_ros.ros.parameters.spec import ParameterError
from yolact_ros.ros.parameters.table import PARAMETERS, Settings
from yolact_ros.ros.run import run_node
from yolact_ros.ros.subscription import ImageSubscription
from yolact_ros.ros.tuning import wait_briefly

if TYPE_CHECKING:
    # It needs torch, which takes seconds to import: the node is there, and says what is wrong with
    # its parameters, before that.
    from yolact_ros.ros.runtime import Runtime

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_LONGEST_FRAME = 5.0
"""Seconds that a deactivation waits for the batch in progress."""
_SILENCE = 2.0
"""Seconds without an image after which the log says what the node waits for."""


class YolactNode(TableParameters, LifecycleNode):
    """Segments the newest image of one camera, or of several cameras in one batch.

    Call `begin` once after construction. A wrong parameter never raises: the node stays
    unconfigured, logs one line and can be configured again.
    """

    parameter_table = PARAMETERS

    def __init__(self) -> None:
        super().__init__("yolact")
        self._log = ThrottledLog(self.get_logger())
        self._waiting_log = ThrottledLog(self.get_logger(), period=30.0)
        self._log_handler = NodeLogHandler(self.get_logger())
        core_logger = logging.getLogger("yolact_ros")
        core_logger.setLevel(logging.INFO)
        core_logger.addHandler(self._log_handler)
        self._specs = {spec.name: spec for spec in PARAMETERS}
        reading.declare(self, PARAMETERS)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        answer_refused_transitions(self)
        self._problem = ""
        self._namesakes = Namesakes(self)
        self._counters = Counters()
        self._diagnostics = Diagnostics()
        self._cameras: tuple[CameraStream, ...] = ()
        self._runtime: Runtime | None = None
        self._image_subscriptions: list[ImageSubscription] = []
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(SetBool, "~/enable", self._on_enable)
        # Not by the node's clock, which stands still in a simulation that pauses.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._every_second, clock=steady)

    # Start and end

    def begin(self) -> None:
        """Configure and activate the node unless `autostart` is false."""
        try:
            if not self._specs["autostart"].check(self.get_parameter("autostart").value):
                self.get_logger().info("waiting to be configured (autostart is false)")
                return
        except ParameterError as error:
            self._fail("configured", str(error))
            return
        if self.trigger_configure() == _SUCCESS:
            self.trigger_activate()

    def close(self) -> None:
        """End the threads; the context may already be invalid."""
        if self._runtime is not None:
            self._runtime.stop(timeout=0.5)
        logging.getLogger("yolact_ros").removeHandler(self._log_handler)

    def destroy_node(self) -> None:
        super().destroy_node()
        destroy_state_machine(self)

    @property
    def _lifecycle(self) -> str:
        return lifecycle_state(self)

    # Transitions. rclpy swallows what they raise, so they catch and log for themselves.

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        del state
        try:
            settings = Settings.from_values(reading.read(self, PARAMETERS))
        except ParameterError as error:
            return self._fail("configured", str(error))
        try:
            self._load(settings)
        except Exception as error:
            self._release()
            expected = isinstance(error, (ValueError, OSError))
            name = "" if expected else f"{type(error).__name__}: "
            return self._fail("configured", f"{name}{error}")
        self._problem = ""
        return _SUCCESS

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        del state
        try:
            self._start()
        except Exception as error:
            self._pause()
            return self._fail("activated", f"{type(error).__name__}: {error}")
        self._problem = ""
        return _SUCCESS

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        del state
        self._pause()
        self.get_logger().info("inactive")
        return _SUCCESS

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        del state
        self._release()
        self.get_logger().info("unconfigured")
        return _SUCCESS

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        del state
        self._release()
        self.get_logger().info("finalized")
        return _SUCCESS

    def on_error(self, state: State) -> TransitionCallbackReturn:
        del state
        self._release()
        return _SUCCESS

    def _load(self, settings: Settings) -> None:
        from yolact_ros.ros.loading import load_segmenter
        from yolact_ros.ros.outputs import ClassList, Outputs
        from yolact_ros.ros.runtime import Runtime

        if settings.preset in ("", "yolact_demo") and not settings.weights:
            self.get_logger().warning(
                "no weights given: using the demo's, which know only its synthetic objects"
            )
        self._counters = Counters()
        self._cameras = make_streams(settings.cameras, self._counters, self.get_logger())
        self._runtime = Runtime(
            segmenter=load_segmenter(settings, len(self._cameras)),
            outputs={camera.name: Outputs(self, camera.prefix) for camera in self._cameras},
            class_list=ClassList(self),
            cameras=self._cameras,
            settings=settings,
            counters=self._counters,
            clock=self.get_clock(),
            on_error=self._on_worker_error,
        )

    def _start(self) -> None:
        runtime = self._runtime
        assert runtime is not None
        runtime.start()
        for camera in self._cameras:
            transport = runtime.settings.image_transport
            self._image_subscriptions.append(
                ImageSubscription(
                    self, camera=camera, transport=transport, on_image=runtime.receive
                )
            )
        topics = ", ".join(subscription.topic for subscription in self._image_subscriptions)
        network = runtime.network
        self.get_logger().info(
            f"active: segmenting {topics} with {network.preset} "
            f"on {network.device} in {network.precision}"
        )

    def _fail(self, wanted: str, problem: str) -> TransitionCallbackReturn:
        self._problem = f"not {wanted}: {' '.join(problem.split())}"
        if self.context.ok():  # else it is only the end of the process
            self.get_logger().error(self._problem)
        return _FAILURE

    def _pause(self) -> None:
        for subscription in self._image_subscriptions:
            subscription.close()
        self._image_subscriptions = []
        if self._runtime is not None and not self._runtime.stop(timeout=_LONGEST_FRAME):
            self.get_logger().warning(
                f"segmentation takes longer than {_LONGEST_FRAME:g} s; its results are dropped"
            )

    def _release(self) -> None:
        self._pause()
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None
        self._cameras = ()

    # Callbacks

    def _on_worker_error(self, camera: CameraStream | None, error: Exception) -> None:
        if not self.context.ok():
            return  # publishing fails while the process ends
        counters, log = (
            (self._counters, self._log) if camera is None else (camera.counters, camera.log)
        )
        counters.count("failed")
        text = f"frame skipped: {type(error).__name__}: {error}"
        log.error((type(error).__name__, str(error)), text)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            if self._lifecycle == "unconfigured":
                self.trigger_configure()
            if self._lifecycle == "inactive":
                self.trigger_activate()
            response.success = self._lifecycle == "active"
        else:
            if self._lifecycle == "active":
                self.trigger_deactivate()
            response.success = self._lifecycle != "active"
        response.message = self._problem or f"the node is {self._lifecycle}"
        return response

    def _on_set_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        """Refuse values that cannot be used; the old ones stay."""
        values = {}
        try:
            for parameter in parameters:
                spec = self._specs.get(parameter.name)
                if spec is None:
                    continue
                values[spec.name] = spec.check(parameter.value)
                if not spec.at_run_time and self._lifecycle != "unconfigured":
                    raise ParameterError(
                        f"{spec.name}: expected a change only while the node is unconfigured, got "
                        f"one while it is {self._lifecycle}; deactivate it and clean it up first"
                    )
            if self._runtime is not None:
                self._runtime.apply(values)
        except ValueError as error:
            self.get_logger().warning(f"parameter refused: {error}")
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _every_second(self) -> None:
        self._namesakes.check()
        for subscription in self._image_subscriptions:
            subscription.match()
            if time.monotonic() - subscription.last_image > _SILENCE:
                self._waiting_log.warning(subscription.topic, subscription.describe_silence)
        state = NodeState(
            name=self.get_name(),
            lifecycle=self._lifecycle,
            snapshot=self._counters.snapshot(),
            problem=self._problem,
            network=self._runtime.network if self._runtime else NetworkState(),
            cameras=[self._state_of(camera) for camera in self._cameras],
        )
        self._diagnostics_publisher.publish(
            self._diagnostics.message(state, time.monotonic(), self.get_clock().now().to_msg())
        )

    def _state_of(self, camera: CameraStream) -> CameraState:
        subscription = next(
            (item for item in self._image_subscriptions if item.camera is camera), None
        )
        return CameraState(
            name=camera.name,
            topic=subscription.topic if subscription else "",
            publishers=subscription.publisher_count if subscription else 0,
            reliable=subscription.reliable if subscription else False,
            snapshot=camera.counters.snapshot(),
        )


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the node until it is told to end, then end the process."""
    wait_briefly()
    run_node(YolactNode, args)
