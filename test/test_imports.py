# SPDX-License-Identifier: Apache-2.0
"""Imports go one way, ROS stays in its folder, and consumers of masks need no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "yolact_ros"

ROWS = (
    {"structures", "masks", "choices", "errors", "provenance", "flushing"},
    {"presets", "findings"},
    {"ops", "visualization", "datasets", "tracking", "space", "web"},
    {"network", "scenes", "recordings"},
    {"checkpoints"},
    {"inference"},
    {"export", "evaluation"},
    {"bench", "training", "labelling"},
    {"doctor", "ros"},
    {"cli"},
)
"""The parts of the package: each may import those of earlier rows alone, and anything of itself."""

ROW_OF = {part: number for number, row in enumerate(ROWS) for part in row}

ROS_MODULES = (
    *("rclpy", "cv_bridge", "builtin_interfaces", "rcl_interfaces", "std_srvs", "launch"),
    "tf2_ros",
)

WITHOUT_TORCH = [
    "yolact_ros.structures",
    "yolact_ros.presets",
    "yolact_ros.masks",
    "yolact_ros.msg",
]

_BLOCK = """
import importlib, sys

BLOCKED = {blocked!r}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in BLOCKED or ("*_msgs" in BLOCKED and top.endswith("_msgs")) or name in BLOCKED:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
for name in {modules!r}:
    importlib.import_module(name)
loaded = {{name.partition(".")[0] for name in sys.modules}} & set(BLOCKED)
assert not loaded, loaded
"""


def _module_name(file: Path, source: Path = SOURCE) -> str:
    parts = file.relative_to(source.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(text: str, package: str, only_at_module_level: bool = False) -> set[str]:
    """Full names of the modules (or of names in them) that a file of a package imports."""
    tree = ast.parse(text)
    nested = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    found = set()
    for node in ast.walk(tree):
        if only_at_module_level and node in nested:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            words = package.split(".")
            base = words[: len(words) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def _imports_of_file(file: Path) -> set[str]:
    return _imports(file.read_text(), _package_of(file))


def _package_of(file: Path) -> str:
    return _module_name(file.with_name("__init__.py"))


def _part(module: str) -> str | None:
    """The part of yolact_ros that a module belongs to: its second name."""
    words = module.split(".")
    return words[1] if words[0] == "yolact_ros" and len(words) > 1 else None


def _files() -> list[Path]:
    return sorted(file for file in SOURCE.rglob("*.py") if file != SOURCE / "__init__.py")


def _refused(part: str, text: str, package: str) -> list[str]:
    """What a file of a part imports against the table."""
    refused = []
    at_once = _imports(text, package, only_at_module_level=True)
    for module in sorted(_imports(text, package)):
        other = _part(module)
        if module.startswith("yolact_ros.__") or other in (None, part):
            continue
        if (
            (other in ("msg", "srv") and part != "ros")
            or (other not in ("msg", "srv") and ROW_OF[other] >= ROW_OF[part])
            or (other == "ros" and module in at_once)
        ):
            refused.append(module)
    return refused


def test_imports_go_one_way():
    refused = {}
    for file in _files():
        part = _part(_module_name(file))
        assert part in ROW_OF, f"{part} is a new part: say in ROWS what it may import"
        if modules := _refused(part, file.read_text(), _package_of(file)):
            refused[str(file.relative_to(SOURCE))] = modules
    assert not refused


BREAKS = [
    ("structures", "from yolact_ros.masks import decode_mask"),
    ("masks", "from .presets import get_preset"),
    ("presets", "from yolact_ros.ops import boxes"),
    ("ops", "import yolact_ros.visualization.overlay"),
    ("datasets", "def f():\n    from yolact_ros.web import style"),
    ("web", "from yolact_ros.scenes.scene import Scene"),
    ("space", "from yolact_ros.scenes.visible import visible_surface"),
    ("network", "from yolact_ros.scenes import scene"),
    ("recordings", "from yolact_ros.inference import Segmenter"),
    ("scenes", "if TYPE_CHECKING:\n    from yolact_ros.checkpoints import load_checkpoint"),
    ("checkpoints", "from yolact_ros.inference import Segmenter"),
    ("inference", "from yolact_ros.export import export_network"),
    ("export", "def f():\n    import yolact_ros.evaluation.coco"),
    ("evaluation", "from ..bench import stages"),
    ("bench", "def f():\n    from ..training.recipe import RECIPES"),
    ("training", "from yolact_ros.ros.node import YolactNode"),
    ("training", "from yolact_ros.msg import Mask"),
    ("doctor", "from yolact_ros import ros"),
    ("ros", "def f():\n    from yolact_ros.cli.main import main"),
    ("cli", "from yolact_ros.ros.demo import main"),
    ("cli", "class C:\n    import yolact_ros.ros.run"),
    ("cli", "from yolact_ros.msg import Mask"),
]
"""A part and an import that it must not have: to its own row, to a later one, to ROS."""


@pytest.mark.parametrize(("part", "text"), BREAKS, ids=lambda value: value.splitlines()[-1])
def test_an_import_against_the_table_is_refused(part, text):
    package = "yolact_ros" if ROW_OF[part] == 0 else f"yolact_ros.{part}"
    assert len(_refused(part, text, package)) == 1


def test_each_row_has_a_break_that_is_refused():
    assert {ROW_OF[part] for part, _ in BREAKS} == set(range(len(ROWS)))


def test_the_command_line_may_import_ros_within_a_function():
    assert not _refused("cli", "def f():\n    from yolact_ros.ros.run import g", "yolact_ros.cli")


def _import_graph(source: Path) -> dict[str, set[str]]:
    """The modules that each module of a package imports, in functions, too."""
    files = {_module_name(file, source): file for file in source.rglob("*.py")}
    graph = {}
    for name, file in files.items():
        imported = _imports(file.read_text(), _module_name(file.with_name("__init__.py"), source))
        # `from package import name` imports a module of that name or, without one, the package.
        graph[name] = {
            module if module in files else module.rpartition(".")[0] for module in imported
        } & files.keys()
    return graph


def _circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules of which each imports the next and the last one the first; empty without a circle."""
    done: set[str] = set()

    def search(path: list[str]) -> list[str]:
        for other in sorted(graph[path[-1]] - done):
            if other in path:
                return [*path[path.index(other) :], other]
            if found := search([*path, other]):
                return found
        done.add(path[-1])
        return []

    for name in sorted(graph):
        if name not in done and (found := search([name])):
            return found
    return []


def test_no_modules_import_each_other_in_a_circle():
    graph = _import_graph(SOURCE)
    assert "yolact_ros.ops.masks.crop" in graph["yolact_ros.ops.masks.cpu"]
    assert _circle(graph) == []


def test_circles_hidden_in_functions_are_found(tmp_path):
    package = tmp_path / "made_up"
    package.mkdir()
    (package / "__init__.py").write_text("from .first import begin\n")
    (package / "first.py").write_text("import numpy\nfrom . import second\n")
    (package / "second.py").write_text("import os\n")
    assert _circle(_import_graph(package)) == []
    hidden = "def late():\n    from {} import begin\n"
    (package / "second.py").write_text(hidden.format(".first"))
    modules = ["made_up.first", "made_up.second", "made_up.first"]
    assert _circle(_import_graph(package)) == modules
    (package / "second.py").write_text(hidden.format("made_up"))
    assert _circle(_import_graph(package)) == ["made_up", *modules[:2], "made_up"]


def test_only_the_ros_folder_imports_ros():
    for file in _files():
        if _part(_module_name(file)) == "ros" and file.name != "masks.py":
            continue
        for module in _imports_of_file(file):
            top = module.partition(".")[0]
            assert top not in ROS_MODULES and not top.endswith("_msgs"), f"{file} imports {module}"


def _import_with_blocked(modules: list[str], blocked: list[str]) -> None:
    code = _BLOCK.format(blocked=blocked, modules=modules)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_everything_but_the_node_imports_without_ros():
    modules = [_module_name(file) for file in _files()]
    modules = [name for name in modules if _part(name) != "ros"] + ["yolact_ros.masks"]
    assert len(modules) > 20
    _import_with_blocked(modules, [*ROS_MODULES, "*_msgs", "yolact_ros.msg"])


def test_the_command_line_imports_without_the_packages_of_training():
    _import_with_blocked(["yolact_ros.cli.main"], ["lightning", "pytorch_lightning", "pycocotools"])


def test_processes_that_read_pictures_import_little():
    """Each run starts several, which then import at the same time."""
    _import_with_blocked(["yolact_ros.training.data.workers"], ["lightning", "torchvision"])


def test_everything_imports_without_the_packages_of_exporting():
    modules = ["yolact_ros.cli.main", "yolact_ros.inference", "yolact_ros.export"]
    # None, as torch asks whether there is an onnx: there is none
    code = f"""
import importlib, sys
sys.modules |= dict.fromkeys(["onnx", "onnxruntime", "onnxscript"])
for name in {modules}:
    importlib.import_module(name)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_consumers_of_messages_need_neither_torch_nor_opencv():
    _import_with_blocked(WITHOUT_TORCH, ["torch", "torchvision", "cv2"])


def test_the_mask_decoder_needs_numpy_alone():
    _import_with_blocked(["yolact_ros.masks"], ["torch", "cv2", *ROS_MODULES, "*_msgs"])


def test_the_synthetic_scenes_need_no_torch():
    _import_with_blocked(["yolact_ros.scenes.scene"], ["torch", "torchvision"])


def test_measuring_in_space_needs_no_torch():
    _import_with_blocked(["yolact_ros.space"], ["torch", "torchvision", "scipy"])


def test_tracking_needs_numpy_and_scipy_alone():
    _import_with_blocked(["yolact_ros.tracking"], ["torch", "torchvision", "cv2"])


def test_the_blocker_blocks():
    with pytest.raises(AssertionError, match="torch is blocked"):
        _import_with_blocked(["yolact_ros.ops.boxes"], ["torch"])
