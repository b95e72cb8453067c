# SPDX-License-Identifier: Apache-2.0
"""What the launch file makes of its arguments, with a stand-in for ROS 2's launch."""

import importlib.util
import inspect
import re
import signal
import sys
from pathlib import Path

import pytest
from ament_index_python.packages import PackageNotFoundError

from yolact_ros.ros.demo.camera import PARAMETERS as CAMERA_PARAMETERS
from yolact_ros.ros.parameters.spec import FLOATS, INTEGERS, LISTS, STRING
from yolact_ros.ros.parameters.table import PARAMETERS
from yolact_ros.ros.run import WRONG_START
from yolact_testing import launch_stand_in
from yolact_testing.launch_stand_in import Launch, ParameterValue, ProcessExited

ROOT = Path(__file__).parents[2]
FILE = ROOT / "launch" / "yolact.launch.py"
GUIDES = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
AS_LAUNCHED = ["ros2", "launch", "yolact_ros", "yolact.launch.py"]


@pytest.fixture
def file(monkeypatch):
    """The launch file, as `ros2 launch` starts it."""
    for name, module in launch_stand_in.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "argv", AS_LAUNCHED)
    spec = importlib.util.spec_from_file_location("yolact_launch", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "get_package_prefix", lambda name: f"/opt/{name}")  # installed
    return module


def the_node(file, *argv):
    [node] = Launch(file, *argv).nodes["yolact_node"]
    return node


def test_every_parameter_is_an_argument_that_is_empty(file):
    declared = {argument.name: argument for argument in file.arguments()}
    for spec in PARAMETERS:
        assert declared[spec.name].default_value == ""
        assert declared[spec.name].description.startswith(spec.description)
    others = "namespace params_file use_sim_time log_level respawn respawn_delay demo_camera rviz"
    topics = {"image", "depth", "camera_info"}
    assert declared.keys() - {spec.name for spec in PARAMETERS} == {*others.split()} | topics


def test_nothing_is_passed_on_that_was_not_given(file):
    node = the_node(file)
    assert node.remappings == [] and node.namespace == "" and node.ros_arguments == []
    [path] = node.parameters
    assert path.endswith("config/yolact.yaml")
    assert the_node(file, "params_file:=").parameters == []


def test_every_default_reaches_the_node_with_its_type(file):
    written = {
        spec.name: ",".join(str(item) for item in spec.default)
        if spec.kind in LISTS
        else str(spec.default)
        for spec in PARAMETERS
    }
    given = {name: text for name, text in written.items() if text}
    passed_on = the_node(file, *(f"{name}:={text}" for name, text in given.items())).parameters[-1]
    assert passed_on.keys() == given.keys()
    for spec in PARAMETERS:
        if spec.name not in given:
            continue
        value = passed_on[spec.name]
        if spec.kind in (STRING, FLOATS, INTEGERS):
            types = {STRING: str, FLOATS: file.List[float], INTEGERS: file.List[int]}
            assert value.value_type is types[spec.kind]
            value = value.value
        assert spec.check(value) == spec.default
        assert type(value) is (list if spec.kind in (FLOATS, INTEGERS) else type(spec.default))


@pytest.mark.parametrize(
    "argument, value",
    [
        ("weights:=123", "123"),
        ("weights:=~/a b.pth", "~/a b.pth"),
        ("device:=0", "0"),
        ("nms:=on", "on"),
        ("score_threshold:=1", 1.0),
        ("batch_wait:=1e-3", 0.001),
        ("max_instances:=20", 20),
        ("compile:=True", True),
        ("overlay.boxes:=off", False),
        ("classes:=cup, 1", ["cup", "1"]),
        ("classes:=[cup, yes]", ["cup", "yes"]),
        ("classes:=[]", [""]),
        ("cameras:=front", ["front"]),
        ("space.up:=0, -1, 0", [0.0, -1.0, 0.0]),
        ("space.up:=[0.0, -0.8, -0.6]", [0.0, -0.8, -0.6]),
        # the node refuses these in its own words
        ("score_threshold:=half", "half"),
        ("space.up:=up", "up"),
        ("max_instances:=2.5", "2.5"),
        ("compile:=maybe", "maybe"),
    ],
)
def test_values_have_the_type_of_their_parameter(file, argument, value):
    name = argument.split(":=")[0]
    _, parameters = the_node(file, argument).parameters
    passed_on = parameters[name]
    if isinstance(value, (str, list)):
        assert isinstance(passed_on, ParameterValue)
        kind = type(value[0]) if isinstance(value, list) else str
        assert passed_on.value_type is (str if isinstance(value, str) else file.List[kind])
        passed_on = passed_on.value
    assert passed_on == value and type(passed_on) is type(value)


@pytest.mark.parametrize("given", ["my.yaml", "~/my.yaml"])
def test_a_file_of_parameters_is_passed_on_even_if_it_is_missing(
    file, monkeypatch, tmp_path, given
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "my.yaml"
    # launch_ros would drop it from `parameters`
    missing = the_node(file, f"params_file:={given}")
    assert (missing.parameters, missing.ros_arguments) == ([], ["--params-file", str(path)])
    path.touch()
    there = the_node(file, f"params_file:={given}")
    assert (there.parameters, there.ros_arguments) == ([str(path)], [])


def test_level_of_the_log_is_an_argument_of_ros(file):
    assert the_node(file, "log_level:=debug").ros_arguments == ["--log-level", "debug"]


def test_all_nodes_take_the_time_of_a_simulation(file):
    nodes = Launch(file, "use_sim_time:=true", "demo_camera:=true", "rviz:=true").nodes
    assert nodes.keys() == {"yolact_node", "demo_camera", "rviz2"}
    for [node] in nodes.values():
        assert node.parameters[-1] == {"use_sim_time": True}


def test_each_camera_has_a_demo_camera_of_its_own(file):
    launch = Launch(file, "cameras:=front,rear", "demo_camera:=true", "namespace:=robot")
    front, rear = launch.nodes["demo_camera"]
    assert (front.namespace, rear.namespace) == ("robot/front", "robot/rear")
    assert [camera.parameters[0]["seed"] for camera in (front, rear)] == [0, 1000]
    assert rear.parameters[0]["frame_id"] == "rear_optical_frame"
    [alone] = Launch(file, "demo_camera:=true").nodes["demo_camera"]
    assert alone.namespace == "" and alone.parameters == []
    for namespace, place in (("robot/", "robot/front"), ("/", "/front")):
        launch = Launch(file, "cameras:=front", "demo_camera:=true", f"namespace:={namespace}")
        assert launch.nodes["demo_camera"][0].namespace == place


@pytest.mark.parametrize(
    "argument, text",
    [
        ("rviz:=yess", "rviz: expected true or false, got 'yess'"),
        ("demo_camera:=2", "demo_camera: expected true or false, got '2'"),
        ("respawn:=perhaps", "respawn: expected true or false, got 'perhaps'"),
        ("use_sim_time:=maybe", "use_sim_time: expected true or false, got 'maybe'"),
        ("respawn_delay:=soon", "respawn_delay: expected a number of seconds, got 'soon'"),
        ("image:=a,b", "image: expected a topic for each of 1 cameras"),
        ("depth:=a,b", "depth: expected a topic for each of 1 cameras"),
        ("demo_camera:=true cameras:=a,b-c", "cameras: expected a list of different names"),
        ("rviz:=true", "rviz: rviz2 is not installed"),
    ],
)
def test_wrong_arguments_of_the_file_itself_are_refused_before_a_node_starts(
    file, monkeypatch, argument, text
):
    monkeypatch.setattr(file, "get_package_prefix", no_such_package)
    started = {}
    with pytest.raises(ValueError, match=f"^{text}"):
        Launch(file, *argument.split(), nodes=started)
    assert not started


def no_such_package(name):
    raise PackageNotFoundError(name)


def test_a_camera_s_depth_and_calibration_are_remapped_as_its_images_are(file):
    alone = the_node(file, "image:=/c/image", "depth:=/c/depth", "camera_info:=/c/info")
    assert alone.remappings == [
        *(("image", "/c/image"), ("depth", "/c/depth"), ("camera_info", "/c/info")),
    ]
    several = the_node(file, "cameras:=front,rear", "depth:=/a,/b")
    assert several.remappings == [("front/depth", "/a"), ("rear/depth", "/b")]


def test_each_camera_has_a_region_of_its_own(file):
    argv = ["cameras:=front,rear", "front.roi:=1, 2,30,40", "rear.ignore_mask:=~/mask.png"]
    given = the_node(file, *argv).parameters[-1]
    assert (given["front.roi"].value, given["rear.ignore_mask"].value) == (
        [1, 2, 30, 40],
        "~/mask.png",
    )
    assert not Launch(file, *argv).warnings
    assert Launch(file, "cameras:=front", "rear.roi:=1,2,3,4").warnings == [
        "unknown argument rear.roi, which is ignored"
    ]


def test_arguments_that_nobody_declared_are_named(file):
    argv = ["wieghts:=x", "score_treshold:=1", "foo:=2", "weights:=y", "launch-prefix:=nice"]
    assert Launch(file, *argv).warnings == [
        "unknown argument wieghts, which is ignored; did you mean weights?",
        "unknown argument score_treshold, which is ignored; did you mean score_threshold?",
        "unknown argument foo, which is ignored",
    ]


@pytest.mark.parametrize(
    "command, is_ours",
    [
        ([*AS_LAUNCHED, "wieghts:=x"], True),
        (["ros2", "launch", str(FILE), "wieghts:=x"], True),
        (["ros2", "launch", "--debug", "yolact_ros", "yolact.launch.py"], True),
        (["ros2", "launch", "robot", "robot.launch.py", "wieghts:=x"], False),
        (["ros2", "launch", "robot", "yolact.launch.py", "wieghts:=x"], False),
        (["ros2", "launch", "/robot/yolact.launch.py", "wieghts:=x"], False),
    ],
)
def test_arguments_of_a_file_that_includes_ours_are_its_own(file, monkeypatch, command, is_ours):
    monkeypatch.setattr(sys, "argv", command)
    assert bool(Launch(file, "wieghts:=x").warnings) is is_ours


@pytest.mark.parametrize(
    "code, is_started_again",
    [
        (1, True),
        (-signal.SIGKILL, True),
        (-signal.SIGSEGV, True),
        (0, False),
        (-signal.SIGINT, False),
        (-signal.SIGTERM, False),
        (WRONG_START, False),
    ],
)
def test_a_node_is_started_again_after_a_fault_alone(file, code, is_started_again):
    launch = Launch(file, "respawn_delay:=3.5")
    [node] = launch.nodes["yolact_node"]
    event = ProcessExited(code, ["yolact_node", "--ros-args"], "/home", {"A": "b"})
    timers = node.on_exit(event, launch.context) or []
    assert len(timers) == is_started_again
    for timer in timers:
        [again] = timer.actions
        assert timer.period == 3.5
        assert (again.cmd, again.cwd, again.env) == (event.cmd, event.cwd, event.env)
        assert again.output == node.output
        # and once more
        assert again.on_exit(event, launch.context)
        assert "exit code" in launch.warnings[0]
    launch.context.is_shutdown = True
    assert not node.on_exit(event, launch.context)


def test_starting_again_can_be_switched_off(file):
    assert the_node(file, "respawn:=false").on_exit is None


def test_stand_ins_have_the_names_and_arguments_of_the_real_ones():
    actions = pytest.importorskip("launch.actions")
    real = {
        "Node": pytest.importorskip("launch_ros.actions").Node,
        "ExecuteProcess": actions.ExecuteProcess,
    }
    for name, action in real.items():
        known = {
            parameter
            for base in action.__mro__
            for parameter in inspect.signature(base.__init__).parameters
        }
        assert set(getattr(launch_stand_in, name).takes) <= known


OF_DRIVERS = ("align_depth.enable", "enable_sync", "depth_registration", "camera_name")
OF_DRIVERS += ("serial_no", "serial_number")
"""Arguments of cameras' launch files, which the guides name in sentences."""
OF_OTHERS = re.compile(r"ros2 (run|launch) (?!yolact_ros\b)")
"""A command of another package; that of ours are checked."""


def undeclared(text, arguments):
    """The names before := that neither the launch file nor, after -p, what is run declares."""
    parameters = {spec.name for spec in (*PARAMETERS, *CAMERA_PARAMETERS)} | {"use_sim_time"}
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if OF_OTHERS.match(line.strip("` ")):
            continue
        program = re.search(r"python3 (\w+\.py)", line)
        example = ROOT / "examples" / (program[1] if program else "none")
        declared = set(re.findall(r"\w+", example.read_text())) if example.exists() else parameters
        found += [
            name
            for flag, name in re.findall(
                r"((?:-p|--param|--parameter|-r|--remap) \"?)?\b([\w./-]+):=", line
            )
            if not name.isupper()  # NAME:=VALUE
            and name not in OF_DRIVERS
            and not flag.startswith(("-r", "--remap"))
            and not name.startswith("qos_overrides.")  # declared with the topics, by their names
            and name not in (declared if flag else arguments)
        ]
    return found


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: str(guide.relative_to(ROOT)))
def test_guides_name_what_is_declared(file, guide):
    assert not undeclared(guide.read_text(), {argument.name for argument in file.arguments()})


def test_guides_that_name_something_else_are_found():
    text = (
        "ros2 launch yolact_ros yolact.launch.py image:=/cam wieghts:=x  # or `rviz:=1`\n"
        "ros2 run yolact_ros yolact_node --ros-args -p nms:=fast -p image:=/cam -r image:=/cam\n"
        "python3 grasp_listener.py --ros-args -p class_name:=mug -p klass:=mug -r a:=b\n"
        "ros2 launch camera camera.launch.py name:=front \\\n  size:=1\n"
        "ros2 launch yolact_ros yolact.launch.py image:=/cam \\\n  size:=1"
    )
    assert undeclared(text, {"image"}) == ["wieghts", "rviz", "image", "klass", "size"]
