# SPDX-License-Identifier: Apache-2.0
"""Whether the robot sees: level and cause from times and counters alone; no ROS, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple


class Level(IntEnum):
    """The levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


class Cause(str, Enum):
    """Why a status has its level; docs/diagnostics.md says what to do about each."""

    SEGMENTING = "segmenting"
    IDLE = "idle"
    NOT_ACTIVE = "not active"
    LOADING = "loading"
    TRANSITION_FAILED = "transition failed"
    NO_PUBLISHER = "no publisher"
    NO_IMAGE = "no image"
    RECEIVING_FAILS = "receiving fails"
    SEGMENTATION_FAILS = "segmentation fails"
    PUBLISHING_FAILS = "publishing fails"
    MALFORMED = "malformed frames"
    TOO_OLD = "frames too old"
    LOST = "frames lost"
    COMPILING = "compiling"
    STUCK = "stuck"
    STARVED = "starved"
    NO_RESULT = "no result"
    NO_DEPTH = "no depth"
    DEPTH_STOPPED = "depth stopped"
    DEPTH_UNMATCHED = "depth unmatched"
    DEPTH_LATE = "depth late"
    DEPTH_SLOW = "depth slow"
    DEPTH_DISORDERED = "depth disordered"
    DEPTH_LOST = "depth lost"
    DEPTH_FRAME = "depth of another frame"
    DEPTH_SIZE = "depth of another size"
    DEPTH_MALFORMED = "depth malformed"
    DEPTH_ZERO = "depth all zeros"
    DEPTH_NAN = "depth all NaN"
    NO_CAMERA_INFO = "no camera_info"
    CAMERA_INFO = "camera_info unusable"
    NO_TRANSFORM = "no transform"
    MEASURING_FAILS = "measuring fails"
    NO_OBJECTS = "no objects"


class Verdict(NamedTuple):
    """A level, its cause, and the sentence that people read."""

    level: Level
    cause: Cause
    text: str


SHORTEST_PATIENCE = 2.0
"""Seconds without an image, or without a result, after which a fast camera is no longer OK."""
SECOND_IMAGE_PATIENCE = 5.0
"""Seconds that a camera's second image may take: nothing is known of its rate before that."""
LONGEST_PATIENCE = 10.0
"""Seconds without a result that somebody wants after which it is an error."""
_MISSED = 3.0
"""Images, or results, that may be missing in a row."""


@dataclass(frozen=True)
class Activity:
    """What a thread is doing at the moment.

    Attributes:
        text: In words, such as "segmenting a batch of 2".
        seconds: For how long.
        compiling: Whether the network is being compiled, which takes a minute.
    """

    text: str
    seconds: float
    compiling: bool = False


@dataclass(frozen=True)
class SpaceHealth:
    """What objects and points are judged by, while somebody wants them; times as in `CameraHealth`.

    Attributes:
        topic: Full name of the topic of the depth images.
        info_topic: Full name of the topic of the calibrations.
        since_wanted: Since when somebody subscribes to objects or points.
        sources: What is published on `topic`, in words.
        info_sources: What is published on `info_topic`, in words.
        calibrated: Whether a camera_info came, usable or not.
        since_depth: Since the last depth image.
        since_measured: Since the last result with objects or points.
        period: Seconds between depth images; None: not known yet.
        delay: Seconds that a depth image comes after its image, usually; None: not known yet.
        recent: What was counted lately, by counter.
        unanswered: What was counted since the last result with objects or points, by counter.
        reasons: The last reason for each counter that has one.
    """

    topic: str
    info_topic: str
    since_wanted: float
    sources: str = "1 publisher found"
    info_sources: str = "1 publisher found"
    calibrated: bool = True
    since_depth: float | None = None
    since_measured: float | None = None
    period: float | None = None
    delay: float | None = None
    recent: Mapping[str, int] = field(default_factory=dict)
    unanswered: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CameraHealth:
    """What a camera is judged by; times are seconds before now, None: not since the activation.

    Attributes:
        topic: Full name of its topic.
        sources: What is published there, in words.
        publishers: Number of publishers of the right type.
        since_active: Since when the node is active.
        since_wanted: Since when somebody subscribes to a result; None: nobody does.
        since_image: Since the last image.
        since_result: Since the last result.
        period: Seconds between images; None: not known yet.
        recent: What was counted lately, by counter.
        unanswered: What was counted since the last result, by counter.
        reasons: The last reason for each counter that has one.
        space: What its objects are judged by; None: nobody wants any.
    """

    topic: str
    since_active: float
    publishers: int = 1
    sources: str = "1 publisher found"
    since_wanted: float | None = None
    since_image: float | None = None
    since_result: float | None = None
    period: float | None = None
    recent: Mapping[str, int] = field(default_factory=dict)
    unanswered: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    space: SpaceHealth | None = None


@dataclass(frozen=True)
class NodeHealth:
    """What the node as a whole is judged by.

    Attributes:
        lifecycle: The lifecycle state, such as "active" or "configuring".
        problem: Why the last transition failed; empty if it did not.
        loading: What a transition is doing; None: there is none.
        working: What the segmenting or publishing thread is doing; None: they wait.
        batch_seconds: What a batch usually takes; 0: not known yet.
        batch_period: Least time between two batches, by the parameter `max_rate`.
        wanted: Whether somebody subscribes to a result.
        several: Whether cameras share the network.
    """

    lifecycle: str
    problem: str = ""
    loading: Activity | None = None
    working: Activity | None = None
    batch_seconds: float = 0.0
    batch_period: float = 0.0
    wanted: bool = False
    several: bool = False


def judge_node(node: NodeHealth, cameras: Mapping[str, Verdict]) -> Verdict:
    """Judge the node as a whole: by its own trouble, or else by the worst of its cameras.

    Args:
        node: The node.
        cameras: What `judge_camera` says of each, by name.
    """
    if node.loading is not None:
        text = f"{node.lifecycle}: {node.loading.text}, for {node.loading.seconds:.0f} s"
        return Verdict(Level.WARN, Cause.LOADING, text)
    if node.problem:
        return Verdict(Level.ERROR, Cause.TRANSITION_FAILED, node.problem)
    if node.lifecycle != "active":
        level = Level.WARN if node.wanted else Level.OK
        waiting = ", and somebody subscribes to its results" if node.wanted else ""
        return Verdict(level, Cause.NOT_ACTIVE, f"node is {node.lifecycle}{waiting}")
    worst = max(cameras.values(), default=Verdict(Level.OK, Cause.IDLE, "no camera"))
    level = worst.level
    if level == Level.OK:
        busy = [verdict for verdict in cameras.values() if verdict.cause != Cause.IDLE]
        return busy[0] if busy else next(iter(cameras.values()), worst)
    affected = {name: verdict for name, verdict in cameras.items() if verdict.level == level}
    texts = [f"{name}: {each.text}" if name else each.text for name, each in affected.items()]
    return Verdict(level, next(iter(affected.values())).cause, "; ".join(texts))


def judge_camera(camera: CameraHealth, node: NodeHealth) -> Verdict:
    """Judge a camera: by the image that does not come, the result that does not, what was lost.

    If somebody wants objects, also by the depth that does not come or cannot be used. Of several
    troubles the worst counts, so that a pause of the camera hides no error.
    """
    if node.loading is not None or node.problem or node.lifecycle != "active":
        return judge_node(node, {})
    troubles = (
        _without_image(camera),
        _without_result(camera, node),
        _with_faults(camera),
        _without_objects(camera, node),
    )
    if found := [verdict for verdict in troubles if verdict is not None]:
        return max(found, key=lambda verdict: verdict.level)  # the first of the worst
    if camera.since_wanted is None:
        return Verdict(Level.OK, Cause.IDLE, "idle: nobody subscribes to a result")
    if (peculiarity := _peculiar_depth(camera)) is not None:
        cause, text = peculiarity
        return Verdict(Level.OK, cause, f"segmenting; {text}")
    return Verdict(Level.OK, Cause.SEGMENTING, "segmenting")


def image_patience(period: float | None) -> float:
    """Return the seconds without an image after which a camera counts as silent.

    Args:
        period: Usual seconds between its images; None before the second.
    """
    if period is None:
        return SECOND_IMAGE_PATIENCE
    return max(SHORTEST_PATIENCE, _MISSED * period)


def _without_image(camera: CameraHealth) -> Verdict | None:
    if camera.since_image is None:
        silent, said = camera.since_active, "none came yet"
    elif camera.since_image > (patience := image_patience(camera.period)):
        silent, said = camera.since_image, f"the last came {camera.since_image:.0f} s ago"
        if camera.period is not None:
            said += f", one is expected every {camera.period:.2g} s"
    else:
        return None
    patience = max(LONGEST_PATIENCE, 2 * image_patience(camera.period))
    blind = min(silent, camera.since_wanted) if camera.since_wanted is not None else 0.0
    level = Level.ERROR if blind > patience else Level.WARN
    begin = "waiting for images"
    cause = Cause.NO_IMAGE if camera.publishers else Cause.NO_PUBLISHER
    return Verdict(level, cause, f"{begin} on {camera.topic}: {said}; {camera.sources}")


def _without_result(camera: CameraHealth, node: NodeHealth) -> Verdict | None:
    if camera.since_wanted is None or not camera.unanswered.get("received"):
        return None
    since_result = camera.since_active if camera.since_result is None else camera.since_result
    blind = min(camera.since_wanted, camera.since_active, since_result)
    usual = (camera.period or 0.0) + node.batch_seconds + node.batch_period
    patience = max(SHORTEST_PATIENCE, _MISSED * usual)
    if blind <= patience:
        return None
    level = Level.ERROR if blind > max(LONGEST_PATIENCE, 2 * patience) else Level.WARN
    begin = f"no result for {blind:.0f} s"
    replaced = camera.unanswered.get("replaced", 0)
    working = node.working
    if working is not None and working.seconds > patience:
        cause = Cause.COMPILING if working.compiling else Cause.STUCK
        text = f"{begin}, {replaced} frames replaced: {working.text} for {working.seconds:.0f} s"
        return Verdict(level, cause, text)
    for counter, (severe, cause, text) in _FAULTS.items():
        count = camera.unanswered.get(counter)
        if count and counter != "lost":  # what was lost is not what came without an answer
            text = f"{begin}: {count} {text}{_because(camera.reasons, counter)}"
            return Verdict(max(level, severe), cause, text)
    if replaced and node.several:
        text = f"{begin}, {replaced} frames replaced: other cameras take all of the network's time"
        return Verdict(level, Cause.STARVED, text)
    received = camera.unanswered["received"]
    return Verdict(level, Cause.NO_RESULT, f"{begin}, though {received} frames came")


_FAULTS = {
    "raised": (Level.ERROR, Cause.RECEIVING_FAILS, "frames failed when they were received"),
    "failed": (Level.ERROR, Cause.SEGMENTATION_FAILS, "frames could not be segmented"),
    "unpublished": (Level.ERROR, Cause.PUBLISHING_FAILS, "frames could not be published"),
    "bad": (Level.WARN, Cause.MALFORMED, "malformed frames"),
    "lost": (Level.WARN, Cause.LOST, "frames lost in DDS"),
    "too_old": (Level.WARN, Cause.TOO_OLD, "frames too old"),
}
"""Counters of what should not happen, the worst first."""


def _with_faults(camera: CameraHealth) -> Verdict | None:
    found = [name for name in _FAULTS if camera.recent.get(name)]
    if not found:
        return None
    level, cause, _ = _FAULTS[found[0]]
    told = [name for name in found if _FAULTS[name][0] == level]
    texts = [
        f"{camera.recent[name]} {_FAULTS[name][2]}{_because(camera.reasons, name)}" for name in told
    ]
    return Verdict(level, cause, ", ".join(texts))


def _because(reasons: Mapping[str, str], counter: str) -> str:
    reason = reasons.get(counter, "")
    return f": {reason}" if reason else ""


_SPACE_FAULTS = {
    "other_frame": (Cause.DEPTH_FRAME, "depth images of another frame"),
    "other_size": (Cause.DEPTH_SIZE, "depth images of another size"),
    "depth_bad": (Cause.DEPTH_MALFORMED, "malformed depth images"),
    "depth_zero": (Cause.DEPTH_ZERO, "depth images of nothing but zeros"),
    "depth_nan": (Cause.DEPTH_NAN, "depth images without one usable number"),
    "uncalibrated": (Cause.CAMERA_INFO, "results whose camera_info cannot be used"),
    "untransformed": (Cause.NO_TRANSFORM, "results without a transform"),
    "unmeasured": (Cause.MEASURING_FAILS, "results could not be measured"),
}
"""Counters of what makes depth useless."""

_TOLERATED = 0.25
"""Fraction of the results that may go without depth now and then."""
_SLOW = 1.5
"""Times the images' period from which depth is slow on purpose."""
_NOTABLE_DELAY = 0.03
"""Seconds by which depth that comes after its image is worth a word."""


def _without_objects(camera: CameraHealth, node: NodeHealth) -> Verdict | None:
    space = camera.space
    if space is None:
        return None
    since = space.since_wanted
    if space.since_measured is not None:
        since = min(since, space.since_measured)
    blind = min(since, camera.since_active)
    usual = max(camera.period or 0.0, space.period or 0.0) + node.batch_seconds + node.batch_period
    patience = max(SHORTEST_PATIENCE, _MISSED * usual)
    level = Level.ERROR if blind > max(LONGEST_PATIENCE, 2 * patience) else Level.WARN
    begin = f"no objects for {blind:.0f} s: " if blind > patience else ""
    for found in (
        _useless_depth(space),
        _silent_depth(space),
        _uncalibrated(space),
        _unmatched_depth(camera, space, blind > patience),
    ):
        if found is not None:
            cause, text = found
            severe = Level.ERROR if cause == Cause.MEASURING_FAILS else level
            return Verdict(severe, cause, begin + text)
    results = space.unanswered.get("processed", 0)
    if begin and results:
        return Verdict(level, Cause.NO_OBJECTS, f"{begin}though {results} results went out")
    return None


def _useless_depth(space: SpaceHealth) -> tuple[Cause, str] | None:
    counter = max(_SPACE_FAULTS, key=lambda name: space.recent.get(name, 0))
    if count := space.recent.get(counter):
        cause, text = _SPACE_FAULTS[counter]
        return cause, f"{count} {text}{_because(space.reasons, counter)}"
    if lost := space.recent.get("depth_lost"):
        return Cause.DEPTH_LOST, f"{lost} depth images lost in DDS"
    return None


def _silent_depth(space: SpaceHealth) -> tuple[Cause, str] | None:
    begin = f"waiting for depth on {space.topic}"
    if space.since_depth is None or space.since_depth > space.since_wanted:
        if space.since_wanted <= SHORTEST_PATIENCE:
            return None
        return Cause.NO_DEPTH, f"{begin}: none came yet; {space.sources}"
    if space.since_depth <= image_patience(space.period):
        return None
    text = f"{begin}: the last came {space.since_depth:.0f} s ago; {space.sources}"
    return Cause.DEPTH_STOPPED, text


def _uncalibrated(space: SpaceHealth) -> tuple[Cause, str] | None:
    if space.calibrated or space.since_wanted <= SHORTEST_PATIENCE:
        return None
    text = f"waiting for camera_info on {space.info_topic}: none came yet; {space.info_sources}"
    return Cause.NO_CAMERA_INFO, text


def _unmatched_depth(
    camera: CameraHealth, space: SpaceHealth, is_blind: bool
) -> tuple[Cause, str] | None:
    if space.since_wanted <= SHORTEST_PATIENCE:
        return None  # at first images come without depth that the node can know of
    period = max(camera.period or 0.0, space.period or 0.0)
    if space.since_depth is None or space.since_depth > _MISSED * period:
        return None  # if no more comes, that will soon be said
    if _is_slow(camera, space) and not is_blind:
        return None
    unmatched, measured = space.recent.get("unmatched", 0), space.recent.get("measured", 0)
    if unmatched <= _TOLERATED * (unmatched + measured):
        return None
    if 2 * space.recent.get("depth_late", 0) >= unmatched:
        text = f"the depth of {unmatched} results came too late"
        return Cause.DEPTH_LATE, text + _because(space.reasons, "depth_late")
    text = f"{unmatched} results without depth of their moment"
    return Cause.DEPTH_UNMATCHED, text + _because(space.reasons, "unmatched")


def _is_slow(camera: CameraHealth, space: SpaceHealth) -> bool:
    return bool(camera.period and space.period and space.period > _SLOW * camera.period)


def _peculiar_depth(camera: CameraHealth) -> tuple[Cause, str] | None:
    """What is odd about depth that objects are measured with all the same."""
    space = camera.space
    if space is None:
        return None
    received = space.recent.get("depth_received", 0)
    if disordered := space.recent.get("depth_disordered"):
        text = f"{disordered} of {received} depth images came after one of a later moment"
        return Cause.DEPTH_DISORDERED, text
    if _is_slow(camera, space):
        text = f"depth comes every {space.period:.2g} s, images every {camera.period:.2g} s"
        return Cause.DEPTH_SLOW, f"{text}: there are no objects between"
    if space.delay is not None and space.delay > _NOTABLE_DELAY:
        return Cause.DEPTH_LATE, f"depth comes {space.delay * 1000:.0f} ms after its image"
    return None
