# SPDX-License-Identifier: Apache-2.0
"""The node `yolact`: images in, instances out, with a managed lifecycle."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from yolact_ros.ros.camera import Camera, make_cameras
from yolact_ros.ros.compat import answer_refused_transitions, destroy_state_machine
from yolact_ros.ros.counters import Statistics
from yolact_ros.ros.diagnostics import CameraState, Diagnostics, NodeState
from yolact_ros.ros.logs import NodeLogHandler, ThrottledLog
from yolact_ros.ros.openmp import wait_briefly
from yolact_ros.ros.parameters import reading as parameter_table
from yolact_ros.ros.parameters.reading import ParameterError
from yolact_ros.ros.parameters.table import PARAMETERS, Settings
from yolact_ros.ros.run import run_node
from yolact_ros.ros.subscription import ImageSubscription

if TYPE_CHECKING:
    # It needs torch, which takes seconds to import: the node is there, and says what is wrong with
    # its parameters, before that.
    from yolact_ros.ros.runtime import Engine

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_LONGEST_FRAME = 5.0
"""Seconds that a deactivation waits for the frame that is being worked on."""
_SILENCE = 2.0
"""Seconds without an image after which the log says what the node waits for."""


class YolactNode(LifecycleNode):
    """Segments the newest image of one camera, or of several in one batch.

    Call `begin` once after construction. A wrong parameter never raises: the node stays
    unconfigured, logs one line and can be configured again.
    """

    def __init__(self) -> None:
        super().__init__("yolact")
        self._log = ThrottledLog(self.get_logger())
        self._waiting_log = ThrottledLog(self.get_logger(), period=30.0)
        self._log_handler = NodeLogHandler(self.get_logger())
        core_logger = logging.getLogger("yolact_ros")
        core_logger.setLevel(logging.INFO)
        core_logger.addHandler(self._log_handler)
        self._specs = {spec.name: spec for spec in PARAMETERS}
        parameter_table.declare(self, PARAMETERS)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        answer_refused_transitions(self)
        self._lifecycle = "unconfigured"
        self._problem = ""
        self._statistics = Statistics()
        self._diagnostics = Diagnostics()
        self._cameras: tuple[Camera, ...] = ()
        self._engine: Engine | None = None
        self._image_subscriptions: list[ImageSubscription] = []
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(SetBool, "~/enable", self._on_enable)
        # Not by the node's clock, which stands still in a simulation that pauses.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._every_second, clock=steady)

    # Start and end

    def begin(self) -> None:
        """Configures and activates the node unless `autostart` is false."""
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
        """Ends the worker's thread; the context may already be invalid."""
        if self._engine is not None:
            self._engine.stop(timeout=0.5)
        logging.getLogger("yolact_ros").removeHandler(self._log_handler)

    def destroy_node(self) -> None:
        super().destroy_node()
        destroy_state_machine(self)

    # Transitions. rclpy swallows what they raise, so they catch and log for themselves.

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        del state
        try:
            settings = Settings.from_values(parameter_table.read(self, PARAMETERS))
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
        self._lifecycle = "inactive"
        return _SUCCESS

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        del state
        try:
            self._start()
        except Exception as error:
            self._pause()
            return self._fail("activated", f"{type(error).__name__}: {error}")
        self._problem = ""
        self._lifecycle = "active"
        return _SUCCESS

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        del state
        self._pause()
        self._lifecycle = "inactive"
        self.get_logger().info("inactive")
        return _SUCCESS

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        del state
        self._release()
        self._lifecycle = "unconfigured"
        self.get_logger().info("unconfigured")
        return _SUCCESS

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        del state
        self._release()
        self._lifecycle = "finalized"
        self.get_logger().info("finalized")
        return _SUCCESS

    def on_error(self, state: State) -> TransitionCallbackReturn:
        del state
        self._release()
        self._lifecycle = "unconfigured"
        return _SUCCESS

    def _load(self, settings: Settings) -> None:
        from yolact_ros.ros.runtime import Engine

        if settings.preset in ("", "yolact_demo") and not settings.weights:
            self.get_logger().warning(
                "weights is empty: using the demo's, which know only its synthetic objects"
            )
        self._statistics = Statistics()
        self._cameras = make_cameras(settings.cameras, self._statistics, self.get_logger())
        self._engine = Engine(
            self,
            cameras=self._cameras,
            settings=settings,
            statistics=self._statistics,
            on_error=self._on_worker_error,
        )

    def _start(self) -> None:
        assert self._engine is not None
        self._engine.start()
        for camera in self._cameras:
            transport = self._engine.settings.image_transport
            self._image_subscriptions.append(
                ImageSubscription(self, camera=camera, transport=transport, on_image=self._on_image)
            )
        topics = ", ".join(subscription.topic for subscription in self._image_subscriptions)
        self.get_logger().info(
            f"active: segmenting {topics} with {self._engine.preset} "
            f"on {self._engine.device} in {self._engine.precision}"
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
        if self._engine is not None and not self._engine.stop(timeout=_LONGEST_FRAME):
            self.get_logger().warning(
                f"what is being segmented takes longer than {_LONGEST_FRAME:g} s and is dropped"
            )

    def _release(self) -> None:
        self._pause()
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self._cameras = ()

    # Callbacks

    def _on_image(self, camera: Camera, message: Any, info: Mapping[str, Any] | None) -> None:
        if self._engine is not None:
            self._engine.offer(camera, message, info)

    def _on_worker_error(self, camera: Camera | None, error: Exception) -> None:
        if not self.context.ok():
            return  # publishing fails while the process ends
        statistics, log = (
            (self._statistics, self._log) if camera is None else (camera.statistics, camera.log)
        )
        statistics.count("failed")
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
        """Refuses what cannot be used; the old values stay."""
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
            if self._engine is not None:
                self._engine.apply(values)
        except ValueError as error:
            self.get_logger().warning(f"parameter refused: {error}")
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _every_second(self) -> None:
        for subscription in self._image_subscriptions:
            subscription.match()
            if time.monotonic() - subscription.last_image > _SILENCE:
                self._waiting_log.warning(subscription.topic, subscription.describe_silence)
        engine = self._engine
        state = NodeState(
            name=self.get_name(),
            lifecycle=self._lifecycle,
            snapshot=self._statistics.snapshot(),
            problem=self._problem,
            preset=engine.preset if engine else "",
            device=engine.device if engine else "",
            precision=engine.precision if engine else "",
            cameras=[self._state_of(camera) for camera in self._cameras],
        )
        self._diagnostics_publisher.publish(
            self._diagnostics.message(state, time.monotonic(), self.get_clock().now().to_msg())
        )

    def _state_of(self, camera: Camera) -> CameraState:
        subscription = next(
            (item for item in self._image_subscriptions if item.camera is camera), None
        )
        return CameraState(
            name=camera.name,
            topic=subscription.topic if subscription else "",
            publishers=subscription.publisher_count if subscription else 0,
            reliable=subscription.reliable if subscription else False,
            snapshot=camera.statistics.snapshot(),
        )


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is told to end, and ends the process."""
    wait_briefly()
    run_node(YolactNode, args)
