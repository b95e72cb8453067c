# SPDX-License-Identifier: Apache-2.0
"""The guides' commands run, or are marked; options, messages and recipes are the code's."""

import argparse
import ast
import functools
import re
import shutil
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from yolact_ros.cli.main import build_parser, main
from yolact_ros.cli.options import Kind
from yolact_ros.presets import get_preset, preset_names, with_classes
from yolact_ros.structures import PackedMask
from yolact_testing.commands import MARKS, Command, commands_of, written
from yolact_testing.videos import write_video

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]
COMMANDS = written(PAGES, ROOT)

RUN = {
    "docs/weights.md": "",
    "docs/predict.md": "",
    "docs/training.md": "From pictures to the node",
}
"""Pages whose unmarked commands run here, as they are written; those of one section, or all."""

ELSEWHERE = {
    r"scripts/(demo|test)": "test/ros/demo/test_demo.py",
    r"\. scripts/environment\.bash": "test/scripts/test_environment.py",
    r"ros2 launch yolact_ros .*demo_camera:=true": "test/ros/test_launch.py",
    r"python3 (grasp_listener|costmap_feeder|label_image|object_mask)": "test/ros/test_examples.py",
    r"python3 examples/onnx_numpy\.py": "test/examples/test_onnx_numpy.py",
    r"yolact-ros bag": "test/cli/test_bag.py",
    r"yolact-ros dataset (import|merge)": "test/cli/test_dataset_import.py",
    r"yolact-ros dataset": "test/cli/test_dataset.py",
    r"yolact-ros doctor": "test/doctor/test_doctor.py",
    r"yolact-ros eval": "test/cli/test_eval.py",
    r"yolact-ros export": "test/cli/test_export.py",
    r"yolact-ros predict": "test/cli/test_predict.py",
    r"yolact-ros quantize": "test/cli/test_quantize.py",
    r"yolact-ros train": "test/cli/test_train.py",
    r"yolact-ros view": "test/cli/test_view.py",
    r"yolact-ros weights download": "test/cli/test_weights_download.py",
    r"yolact-ros weights": "test/cli/test_weights.py",
}
"""The tests that run a command of other pages, with files of their own."""

REST = {
    "train": "--preset yolact_demo --train a --train-images a --val b --val-images b --out c",
}
"""What `...` stands for in a pattern."""

QUICK = ["--max-steps", "1", "--batch-size", "1", "--validate-every", "1", "--workers", "0",
         "--device", "cpu", "--threads", "1", "--precision", "fp32"]  # fmt: skip
PROGRAMS_OF_PAGES = {"listener.py": "docs/subscribe.md"} | dict.fromkeys(
    ("processor_time.py", "processor_time_of_all.py"), "docs/benchmarks/README.md"
)
"""Programs that a page has as text, to be written into a file."""


def class_of(command: Command) -> str:
    """Who runs it: `run`, `elsewhere`, a mark, `pattern`, or nobody."""
    if command.mark or command.page.startswith("docs/benchmarks/"):
        return command.mark or "long"
    if command.is_pattern:
        return "pattern"
    if runs_here(command):
        return "run"
    return "elsewhere" if runner_of(command) else ""


def runs_here(command: Command) -> bool:
    return (
        not command.mark
        and not command.is_pattern
        and command.words[0] == "yolact-ros"
        and command.page in RUN
        and command.section.startswith(RUN[command.page])
    )


def runner_of(command: Command) -> str:
    return next((test for form, test in ELSEWHERE.items() if re.match(form, command.text)), "")


def test_each_command_is_run_or_marked(capsys):
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for command in COMMANDS:
        counts[command.page][class_of(command)] += 1
    nobody = [f"{c.page}:{c.number}: {c.text}" for c in COMMANDS if not class_of(c)]
    assert not nobody
    columns = ("run", "elsewhere", *MARKS, "pattern")
    table = [("page", *columns)]
    table += [(page, *(str(n[name] or "") for name in columns)) for page, n in counts.items()]
    total = sum(counts.values(), Counter())
    table.append(("all", *(str(total[name]) for name in columns)))
    for page, *numbers in table:  # seen with pytest -rP
        print(f"{page:28}", *(f"{number:>9}" for number in numbers))
    assert total["run"] >= 10 and total["robot"] >= 40 and total.total() == len(COMMANDS)


def test_what_runs_elsewhere_is_run_there():
    for command in COMMANDS:
        if class_of(command) == "elsewhere":
            text = (ROOT / runner_of(command)).read_text()
            is_ours = command.words[0] == "yolact-ros"
            assert not is_ours or f'"{command.words[1]}"' in text, command.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```bash robot\nros2 topic list\n```", [("robot", "ros2 topic list")]),
        ("    A=1 yolact-ros x \\\n      --json y  # text", [("", "yolact-ros x --json y")]),
        ("## On a robot\n\n    cd x\n\n## Off it\n\n    cd y", [("robot", "cd x"), ("", "cd y")]),
        ("    median  p95\n\n```python\npip = 1\n```\npip install x", []),
        ("```bash\nfrobnicate --all\n```", "page:2: expected a command, got 'frobnicate --all'"),
        ("```bash robt\nls\n```", "page:1: expected a mark of"),
    ],
)
def test_commands_are_found(text, expected):
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=re.escape(expected)):
            list(commands_of("page", text))
    else:
        assert [(c.mark, c.text) for c in commands_of("page", text)] == expected


parser_of_all = functools.cache(build_parser)


def parsed(words: list[str]) -> argparse.Namespace:
    """Parse the words behind `yolact-ros`, as it does; `...` is filled in."""
    if "..." in words:
        place = words.index("...")
        words = words[:place] + REST[words[0]].split() + words[place + 1 :]
    return parser_of_all().parse_args(words)


@pytest.fixture
def _files_are_there(monkeypatch):
    """Takes files and folders that are to exist for existing ones."""
    check = Kind.__call__

    def lenient(kind, text):
        try:
            return check(kind, text)
        except argparse.ArgumentTypeError as refusal:
            if "expected an existing" not in str(refusal):
                raise
            return Path(text)

    monkeypatch.setattr(Kind, "__call__", lenient)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("_files_are_there")
def test_the_parser_knows_every_option(page, capsys):
    commands = [c for c in COMMANDS if c.page == str(page.relative_to(ROOT))]
    refused = []
    for command in commands:
        words = list(command.words)
        if words[0].startswith("python") and words[1:2] and "processor_time" in words[1]:
            words[:2] = ["yolact-ros"]
        if words[0] in ("torchrun", "srun"):
            words = words[words.index("yolact-ros") :]
        if words[0] != "yolact-ros":
            continue
        try:
            parsed(words[1:])
        except SystemExit:
            refused.append(f"line {command.number}: {capsys.readouterr().err}")
    for span in re.findall(r"`(yolact-ros [^`]*?)`", page.read_text()):
        refused += [f"`{span}`: {option}" for option in unknown_options(span.split()[1:])]
    assert not refused


def unknown_options(words: list[str]) -> list[str]:
    """The options in a sentence's command that its parser does not have."""
    parser: argparse.ArgumentParser = parser_of_all()
    for word in words:
        for action in parser._subparsers._group_actions if parser._subparsers else ():
            parser = (action.choices or {}).get(word, parser)
    options = [option[0] for option in (re.match(r"--[\w-]+", word) for word in words) if option]
    return [option for option in options if option not in parser._option_string_actions]


@pytest.mark.usefixtures("_files_are_there")
def test_stale_options_are_found():
    assert unknown_options(["train", "--resume", "--trian", "x"]) == ["--trian"]
    assert unknown_options(["bench", "node", "--soak", "5", "--baseline"]) == ["--baseline"]
    with pytest.raises(SystemExit):
        parsed(["train", "...", "--augmnt", "mirror=off"])


def test_programs_and_requirements_that_are_named_are_there():
    missing = []
    for command in COMMANDS:
        for word in command.words:
            name = word.removeprefix("~/ws/").removeprefix("src/yolact_ros/")
            if not re.fullmatch(r"[\w./-]+\.py|requirements/.*|scripts/.*", name):
                continue
            page = PROGRAMS_OF_PAGES.get(name)
            if page:
                assert "```python" in (ROOT / page).read_text()
            elif name.endswith("launch.py") and "yolact_ros" not in command.words:
                continue  # another package's
            elif not any((ROOT / folder / name).exists() for folder in ("", "examples", "launch")):
                missing.append(f"{command.page}:{command.number}: {word}")
    assert not missing


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    """The working folder, with what the pages suppose to be in it, all of it small."""
    monkeypatch.chdir(tmp_path)
    synth = ["dataset", "synth", "pictures", "--images", "4", "--seed", "0", "--workers", "1"]
    assert main(synth) == 0
    shutil.copy("pictures/annotations.json", "labels.json")
    pictures = [Path(shutil.copy(path, "pictures")) for path in Path("pictures/images").iterdir()]
    Path("folder").mkdir()
    shutil.copy(pictures[0], "picture.png")
    shutil.copy(pictures[1], "folder")
    write_video(Path("video.mp4"), [cv2.imread(str(path)) for path in pictures[:2]])
    shipped = ROOT / "yolact_ros" / "weights"
    (tmp_path / "yolact_ros").mkdir()
    (tmp_path / "yolact_ros" / "weights").symlink_to(shipped)
    for name in ("yolact_resnet50_54_800000.pth", "yolact_base_54_800000.pth"):
        shutil.copy(shipped / "yolact_demo.safetensors", name)
    import torch  # takes seconds, which the other tests need not wait for

    from yolact_ros.network import build_network

    own = build_network(with_classes(get_preset("yolact_demo"), ("screw", "nut", "bolt")))
    torch.save(own.state_dict(), "mine.pth")
    capsys.readouterr()
    return tmp_path


def made_small(words: list[str]) -> list[str]:
    """The same command with the demo's network, few pictures and one step."""
    words = ["yolact_demo" if word in preset_names() else word for word in words]
    if "synth" in words:
        words[words.index("--images") + 1] = "4"
        words += ["--workers", "1"]
    return words + (QUICK if words[0] == "train" else [])


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run_one_after_the_other(folder, page, capsys):
    commands = [c for c in COMMANDS if c.page == page and runs_here(c)]
    assert commands
    for command in commands:
        assert main(made_small(list(command.words[1:]))) == 0, (
            f"{page}:{command.number}: {capsys.readouterr().err}"
        )
    for command in commands:
        if "--out" in command.words:
            assert Path(command.words[command.words.index("--out") + 1]).exists()


def _texts() -> set[str]:
    """All text in the package's code: whole strings, and the parts of those with values."""
    return {
        node.value
        for file in [*(ROOT / "yolact_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


FOREIGN = {
    *("No module named 'yolact_ros.msg'", "Package 'yolact_ros' not found"),
    *("No module named 'torch'", "error: externally-managed-environment"),
    "A module that was compiled using NumPy 1.x cannot be run in NumPy 2",
    *("AttributeError: _ARRAY_API not found", "THC/THC.h: No such file or directory"),
    "New publisher discovered on topic ..., offering incompatible QoS",
    *("invalid load key, '<'", "invalid load key, 'v'", "Weights only load failed"),
    "size mismatch for prediction_layers.0.conf_layer.weight",
    "no kernel image is available for execution on the device",
    *("CUDA out of memory", "operator torchvision::nms does not exist"),
}
"""Messages of Python, pip, ROS 2 and torch, which no code here has."""


def test_the_messages_are_those_of_the_code():
    texts = "\n".join(sorted(_texts()))
    headings = re.findall(r"^### (.*)$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    messages = [message for heading in headings for message in re.findall(r"`(.*?)`", heading)]
    assert len(messages) > 60 and set(messages) >= FOREIGN
    stale = [
        message
        for message in set(messages) - FOREIGN
        if not all(part.strip() in texts for part in message.split("...") if part.strip(" :"))
    ]
    assert not stale


def _packed(mask: np.ndarray) -> SimpleNamespace:
    packed = PackedMask.from_array(mask)
    names = ("x_offset", "y_offset", "width", "height", "step")
    fields = {name: getattr(packed, name) for name in names}
    return SimpleNamespace(**fields, data=packed.data.tobytes())


def test_the_recipes_for_messages_do_what_they_say():
    text = (DOCS / "messages.md").read_text()
    recipes: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        exec(block, recipes)
    made = SimpleNamespace(**recipes)
    ring = np.zeros((8, 12), bool)
    ring[1:7, 3:9] = True
    ring[3:5, 5:7] = False
    centre = SimpleNamespace(position=SimpleNamespace(x=6.0, y=4.0))
    box = SimpleNamespace(center=centre, size_x=6.0, size_y=6.0)
    one = SimpleNamespace(mask=_packed(ring), bbox=box)
    message = SimpleNamespace(image_height=8, image_width=12, instances=[one])
    image = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    np.testing.assert_array_equal(made.cut_out(image, message, one), image * ring[..., None])
    outer, hole = sorted(made.outlines(one), key=cv2.contourArea, reverse=True)
    assert outer.min(axis=(0, 1)).tolist() == [3, 1] and outer.max(axis=(0, 1)).tolist() == [8, 6]
    assert len(hole)
    assert made.corners(one) == (3.0, 1.0, 9.0, 7.0)
    np.testing.assert_array_equal(made.numbers(message), ring)
    found = SimpleNamespace(objects=[SimpleNamespace(instance=1)])
    assert made.pairs(message, found) == [(one, found.objects[0])]
