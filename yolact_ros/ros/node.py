# SPDX-License-Identifier: Apache-2.0
"""The node `yolact`: images in, instances out, with a managed lifecycle."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidHandle
from rclpy.lifecycle import LifecycleNodeMixin, State, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_srvs.srv import SetBool

from yolact_ros.errors import InputError, plain
from yolact_ros.ros.camera_stream import CameraStream, make_streams
from yolact_ros.ros.compat import destroy_state_machine, guard_transitions, lifecycle_state
from yolact_ros.ros.counters import Counters
from yolact_ros.ros.diagnostics import CameraState, Diagnostics, NetworkState, NodeState
from yolact_ros.ros.fastdds_profile import node_profile_variables
from yolact_ros.ros.health import Activity, Cause, Level
from yolact_ros.ros.logs import NodeLogHandler, ThrottledLog
from yolact_ros.ros.middleware import described
from yolact_ros.ros.namesakes import Namesakes
from yolact_ros.ros.parameters import reading
from yolact_ros.ros.parameters.answers import TableParameters
from yolact_ros.ros.parameters.command_line import help_text
from yolact_ros.ros.parameters.qos import stray_overrides
from yolact_ros.ros.parameters.spec import ParameterError, ParameterSpec
from yolact_ros.ros.parameters.table import PARAMETERS, Settings, camera_parameters
from yolact_ros.ros.publishers import Publishers
from yolact_ros.ros.run import run_node
from yolact_ros.ros.segment_service import SegmentService, Serving
from yolact_ros.ros.shared_memory import left_behind
from yolact_ros.ros.space.sources import DepthSources
from yolact_ros.ros.subscription import ImageSubscription
from yolact_ros.ros.tuning import give_back_memory, wait_briefly

if TYPE_CHECKING:
    # It needs torch, which takes seconds to import: the node is there, and says what is wrong with
    # its parameters, before that.
    from yolact_ros.ros.runtime import Runtime

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_LONGEST_FRAME = 5.0
"""Seconds that a deactivation waits for the batch in progress."""
_SILENCE = 2.0
"""Seconds without an image after which the log says what the node waits for."""
_TOLD = (
    *(Cause.STUCK, Cause.COMPILING, Cause.STARVED, Cause.NO_RESULT, Cause.NO_OBJECTS),
    *(Cause.NO_DEPTH, Cause.DEPTH_STOPPED, Cause.DEPTH_UNMATCHED, Cause.DEPTH_LATE),
    Cause.NO_CAMERA_INFO,
)
"""Causes of which nothing else writes a line into the log."""
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds between attempts to start, the last again and again."""


class _Ended(Exception):
    """The process ends while a transition is at work."""


def _transition(wanted: str) -> Callable[[Callable[[Any], None]], Callable[[Any, State], Any]]:
    """Make a method a transition callback: rclpy swallows what those raise, so this logs it.

    Args:
        wanted: What the node is after the transition.
    """

    def decorate(method: Callable[[YolactNode], None]) -> Callable[[YolactNode, State], Any]:
        @functools.wraps(method)
        def callback(self: YolactNode, state: State) -> TransitionCallbackReturn:
            del state
            try:
                method(self)
            except Exception as error:
                return self._fail(wanted, error)
            finally:
                self._step = None
            self._problem = ""
            return _SUCCESS

        return callback

    return decorate


class YolactNode(TableParameters, LifecycleNodeMixin, Node):
    """Segments the newest image of one camera, or of several cameras in one batch.

    Call `begin` once after construction. A wrong parameter never raises: the node stays
    unconfigured, logs one line and can be configured again.

    Transitions take seconds, so they run in threads of their own, one after the other, while the
    executor's thread answers and publishes the diagnostics.

    Attributes:
        slow_services: Those that take long, and that may be called in any thread.
    """

    parameter_table = PARAMETERS

    def __init__(self) -> None:
        Node.__init__(self, "yolact")
        # `LifecycleNode` would put its services into the group of all the others.
        reentrant = ReentrantCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=reentrant)
        self._log = ThrottledLog(self.get_logger())
        self._waiting_log = ThrottledLog(self.get_logger(), period=30.0)
        self._log_handler = NodeLogHandler(self.get_logger())
        core_logger = logging.getLogger("yolact_ros")
        core_logger.setLevel(logging.INFO)
        core_logger.addHandler(self._log_handler)
        reading.declare(self, PARAMETERS)
        with contextlib.suppress(ParameterError):  # which the transition will tell
            self._declare_cameras(self._value("cameras"))
        reading.warn_of_unknown(self, self.parameter_table)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._transitions = threading.Lock()
        self._closing = threading.Event()
        self._end: Callable[[int], None] = lambda code: None
        self._step: tuple[str, float] | None = None  # what a transition does, and since when
        self._problem = ""
        self._namesakes = Namesakes(self)
        self._may_pass = False  # whether what failed may succeed later by itself
        self._is_awaited = False  # whether that is tried, until somebody sets a parameter
        # Guards what follows, which a transition's thread and the executor's share.
        self._lock = threading.Lock()
        self._set_meanwhile: dict[str, Any] = {}  # parameters set while the network is loaded
        self._counters = Counters()
        self._cameras: tuple[CameraStream, ...] = ()
        self._runtime: Runtime | None = None
        self._image_subscriptions: list[ImageSubscription] = []
        self._depth_sources: DepthSources | None = None
        self._active_since: float | None = None
        self._diagnostics = Diagnostics()
        self._sending = Publishers(self, self._log)
        self._unmendable: ParameterError | None = None  # of what cannot be mended while it runs
        self._diagnostics_publisher = self._make_diagnostics_publisher()
        self.slow_services = (
            guard_transitions(self, self._transitions),
            self.create_service(SetBool, "~/enable", self._on_enable, callback_group=reentrant),
            SegmentService(self, self._serving, self._why_not_serving).service,
        )
        # Not by the node's clock, which stands still in a simulation that pauses.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._every_second, clock=steady)

    # Start and end

    def begin(self, end: Callable[[int], None]) -> None:
        """Begin to configure and activate the node unless `autostart` is false.

        Args:
            end: Ends the process with an exit code.
        """
        self._end = end

        def autostart() -> None:
            with contextlib.suppress(InvalidHandle):  # the node was destroyed meanwhile
                self._autostart()

        threading.Thread(target=autostart, name="yolact-autostart", daemon=True).start()

    def close(self) -> None:
        """End the threads."""
        self._closing.set()
        if (runtime := self._runtime) is not None:
            runtime.refuse()
            runtime.stop(timeout=0.5)
        logging.getLogger("yolact_ros").removeHandler(self._log_handler)

    def destroy_node(self) -> None:
        super().destroy_node()
        destroy_state_machine(self)

    @property
    def _lifecycle(self) -> str:
        return lifecycle_state(self)

    def _autostart(self) -> None:
        count, size = left_behind()
        if count:
            self.get_logger().info(
                f"{count} segments of shared memory, {size / 1e6:.0f} MB in /dev/shm, were left "
                "behind by processes that were killed: `fastdds shm clean` gives them back"
            )
        try:
            if not self._value("autostart"):
                self.get_logger().info("waiting to be configured (autostart is false)")
                return
        except ParameterError as error:
            self._fail("configured", error)
            return
        self._is_awaited = False
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            if not (self._is_awaited and self._lacks_weights()):
                with self._transitions:
                    if self._lifecycle != "unconfigured":
                        return  # somebody else has configured it meanwhile
                    if self.trigger_configure() == _SUCCESS:
                        self.trigger_activate()
                        return
                if not self._may_pass:
                    return
                self.get_logger().warning(f"trying again in {pause:g} s, and later")
                self._is_awaited = True
            if self._closing.wait(pause) or not self._is_awaited:
                return

    # Transitions

    @_transition("configured")
    def on_configure(self) -> None:
        with self._lock:
            self._set_meanwhile = {}
        try:
            values = reading.read(self, PARAMETERS)
            own = self._declare_cameras(values["cameras"])
            self._load(Settings.from_values(values | reading.read(self, own)))
        except BaseException:
            self._release()
            raise

    @_transition("activated")
    def on_activate(self) -> None:
        try:
            self._start()
        except BaseException:
            self._pause()
            raise

    @_transition("deactivated")
    def on_deactivate(self) -> None:
        self._pause()
        give_back_memory()
        self.get_logger().info("inactive")

    @_transition("cleaned up")
    def on_cleanup(self) -> None:
        self._release()
        self.get_logger().info("unconfigured")

    @_transition("shut down")
    def on_shutdown(self) -> None:
        self._release()
        self.get_logger().info("finalized")

    @_transition("recovered from an error")
    def on_error(self) -> None:
        self._release()

    def _declare_cameras(self, cameras: Sequence[str]) -> tuple[ParameterSpec, ...]:
        """Declare what each camera has for itself, and return these rows of the table."""
        own = camera_parameters(cameras)
        new = tuple(spec for spec in own if not self.has_parameter(spec.name))
        reading.declare(self, new)
        self.parameter_table += new
        return own

    def _make_diagnostics_publisher(self) -> Any:
        arguments: Any = (DiagnosticArray, "/diagnostics", QoSProfile(depth=10))
        try:
            return self._sending.create(*arguments)
        except ParameterError as error:  # which they tell, too
            self._unmendable = error
            return self.create_publisher(*arguments)

    def _load(self, settings: Settings) -> None:
        if self._unmendable is not None:
            raise self._unmendable
        self._begin_step("importing PyTorch")
        from yolact_ros.ros.loading import load_segmenter
        from yolact_ros.ros.outputs import ClassList, Outputs
        from yolact_ros.ros.runtime import Runtime
        from yolact_ros.ros.space.measuring import Measuring
        from yolact_ros.ros.space.transforms import Transforms

        if settings.preset in ("", "yolact_demo") and not settings.weights:
            self.get_logger().warning(
                "no weights given: using the demo's, which know only its synthetic objects"
            )
        counters = Counters()
        cameras = make_streams(settings.cameras, counters, self.get_logger())
        segmenter = load_segmenter(settings, len(cameras), self._begin_step)
        on_cpu = functools.partial(
            load_segmenter, dataclasses.replace(settings, device="cpu"), len(cameras)
        )
        self._begin_step("making the topics")
        with contextlib.ExitStack() as made:
            outputs = {
                camera.name: made.enter_context(
                    contextlib.closing(Outputs(self._sending, camera.prefix))
                )
                for camera in cameras
            }
            class_list = made.enter_context(
                contextlib.closing(ClassList(self._sending, self.get_clock()))
            )
            frame = settings.space_target_frame
            measuring = Measuring(
                cameras=cameras,
                outputs=outputs,
                settings=settings,
                clock=self.get_clock(),
                transforms=Transforms(self, frame) if frame else None,
            )
            made.enter_context(contextlib.closing(measuring))
            runtime = Runtime(
                segmenter=segmenter,
                outputs=outputs,
                class_list=class_list,
                measuring=measuring,
                cameras=cameras,
                settings=settings,
                counters=counters,
                clock=self.get_clock(),
                log=self._log,
                on_cpu=on_cpu if settings.cpu_fallback else None,
                on_gpu_lost=self._give_up,
            )
            made.pop_all()  # the runtime removes them
        with self._lock:
            self._counters, self._cameras, self._runtime = counters, cameras, runtime
            runtime.apply(self._set_meanwhile)

    def _start(self) -> None:
        runtime = self._runtime
        assert runtime is not None
        for camera in self._cameras:
            camera.counters.begin()
        runtime.start()
        transport = runtime.settings.image_transport
        with contextlib.ExitStack() as made:
            subscriptions = [
                made.enter_context(
                    contextlib.closing(
                        ImageSubscription(
                            self, camera=camera, transport=transport, on_image=runtime.receive
                        )
                    )
                )
                for camera in self._cameras
            ]
            depth_sources = DepthSources(
                self,
                cameras=self._cameras,
                transport=runtime.settings.depth_transport,
                receiver=runtime.measuring,
            )
            made.pop_all()  # `_pause` ends them
        with self._lock:
            self._image_subscriptions = subscriptions
            self._depth_sources = depth_sources
            self._active_since = time.monotonic()
        for line in stray_overrides(self):
            self._log.warning(line, line, period=math.inf)
        topics = ", ".join(subscription.topic for subscription in subscriptions)
        network = runtime.network
        self.get_logger().info(
            f"active: segmenting {topics} with {network.preset} "
            f"on {network.device} in {network.precision}"
        )

    def _begin_step(self, text: str) -> None:
        """Note what a transition does next, for the diagnostics."""
        if self._closing.is_set():
            raise _Ended
        self._step = (text, time.monotonic())

    def _fail(self, wanted: str, error: Exception) -> TransitionCallbackReturn:
        if isinstance(error, _Ended) or self._closing.is_set():
            return _FAILURE  # it is only the end of the process
        expected = isinstance(error, (InputError, OSError))
        text = plain(str(error) if expected else f"{type(error).__name__}: {error}")
        self._problem = f"not {wanted}: {' '.join(text.split())}"
        self._may_pass = self._is_passing(error)
        self.get_logger().error(self._problem)
        return _FAILURE

    def _is_passing(self, error: Exception) -> bool:
        """Whether the cause may vanish by itself: a volume, a device or memory that comes late."""
        if isinstance(error, (OSError, MemoryError)) or "out of memory" in str(error):
            return True
        return self._lacks_weights() and self._weights_path() in str(error)

    def _lacks_weights(self) -> bool:
        path = self._weights_path()
        return bool(path) and not os.access(path, os.R_OK)

    def _value(self, name: str) -> Any:
        """The checked value of a parameter."""
        spec = self.spec(name)
        assert spec is not None
        return spec.check(self.get_parameter(name).value)

    def _weights_path(self) -> str:
        try:
            return str(self._value("weights"))
        except ParameterError:
            return ""

    def _give_up(self, problem: str) -> None:
        """End the process, so that what started it starts it again."""
        self._problem = problem
        self.get_logger().fatal(f"ending with exit code 1: {problem}")
        self._end(1)

    def _pause(self) -> None:
        with self._lock:
            subscriptions, self._image_subscriptions = self._image_subscriptions, []
            depth_sources, self._depth_sources = self._depth_sources, None
            self._active_since = None
        for subscription in subscriptions:
            subscription.close()
        if depth_sources is not None:
            depth_sources.close()
        if self._runtime is None:
            return
        self._step = ("waiting for the batch in progress", time.monotonic())
        if not self._runtime.stop(timeout=_LONGEST_FRAME):
            self.get_logger().warning(
                f"segmentation takes longer than {_LONGEST_FRAME:g} s; its results are dropped"
            )

    def _release(self) -> None:
        if self._runtime is not None:
            self._runtime.refuse()
        self._pause()
        with self._lock:
            runtime, self._runtime = self._runtime, None
            self._cameras = ()
        if runtime is not None:
            runtime.close()
            del runtime
            give_back_memory()

    # Callbacks

    def _serving(self) -> Serving | None:
        """What answers `~/segment` now; None: the node is not configured."""
        with self._lock:
            if self._runtime is None:
                return None
            return Serving(self._runtime, self._cameras, self._depth_sources)

    def _why_not_serving(self) -> str:
        step = self._step
        if step is not None:
            return f"the node is {self._lifecycle} ({step[0]}): ask again when that is done"
        reason = f" ({self._problem})" if self._problem else ""
        return f"the node is {self._lifecycle}{reason}: configure it, for example by ~/enable"

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        with self._transitions:
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
                spec = self.spec(parameter.name)
                if spec is None:
                    continue
                values[spec.name] = spec.check(parameter.value)
                self._is_awaited = False
                if not spec.at_run_time and self._lifecycle != "unconfigured":
                    raise ParameterError(
                        f"{spec.name}: expected a change only while the node is unconfigured, got "
                        f"one while it is {self._lifecycle}; deactivate it and clean it up first"
                    )
            with self._lock:
                if self._runtime is not None:
                    self._runtime.apply(values)
                else:
                    self._set_meanwhile |= values
        except ValueError as error:
            self.get_logger().warning(f"parameter refused: {error}")
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _every_second(self) -> None:
        self._namesakes.check()
        self._sending.tell()
        now = time.monotonic()
        with self._lock:
            subscriptions = tuple(self._image_subscriptions)
            cameras, counters, runtime = self._cameras, self._counters, self._runtime
            depth_sources, active_since = self._depth_sources, self._active_since
        for subscription in subscriptions:
            subscription.match()
        if depth_sources is not None:
            depth_sources.match()
        step = self._step
        max_rate = runtime.settings.max_rate if runtime else 0.0
        state = NodeState(
            name=self.get_fully_qualified_name(),
            lifecycle=self._lifecycle,
            snapshot=counters.snapshot(),
            problem=self._problem,
            network=runtime.network if runtime else NetworkState(),
            cameras=[
                _state_of(camera, subscriptions, depth_sources, wanted=runtime.wanted(camera))
                for camera in cameras
                if runtime is not None
            ],
            loading=None if step is None else Activity(step[0], now - step[1]),
            working=runtime.working if runtime else None,
            batch_period=1 / max_rate if max_rate else 0.0,
            active_since=active_since,
            middleware=described(),
        )
        self._diagnostics_publisher.publish(
            self._diagnostics.message(state, now, self.get_clock().now().to_msg())
        )
        if active_since is not None and now - active_since > _SILENCE:
            for subscription in subscriptions:
                self._tell(subscription)

    def _tell(self, subscription: ImageSubscription) -> None:
        """Log now and then why a camera's images or depth do not come, or no results of them."""
        verdict = self._diagnostics.verdicts.get(subscription.camera.name)
        if verdict is None or verdict.level == Level.OK:
            return
        if verdict.cause in (Cause.NO_IMAGE, Cause.NO_PUBLISHER):
            key = (subscription.topic, verdict.cause)
            self._waiting_log.warning(key, subscription.describe_silence)
        elif verdict.cause in _TOLD:
            self._waiting_log.warning((subscription.topic, verdict.cause), verdict.text)


def _state_of(
    camera: CameraStream,
    subscriptions: Sequence[ImageSubscription],
    depth_sources: DepthSources | None,
    *,
    wanted: bool,
) -> CameraState:
    subscription = next((item for item in subscriptions if item.camera is camera), None)
    return CameraState(
        name=camera.name,
        snapshot=camera.counters.snapshot(),
        topic=subscription.topic if subscription else "",
        publishers=subscription.publisher_count if subscription else 0,
        sources=subscription.sources if subscription else "",
        reliable=subscription.reliable if subscription else False,
        wanted=wanted,
        stamps=camera.stamps,
        depth=depth_sources.state(camera) if depth_sources is not None else None,
    )


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the node until it is told to end, then end the process."""
    wait_briefly()
    os.environ.update(node_profile_variables())
    description = "Segments the images of one camera or several, and publishes what it finds."
    run_node(YolactNode, args, help_text=help_text("yolact_node", description, PARAMETERS))
