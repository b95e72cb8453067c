# SPDX-License-Identifier: Apache-2.0
"""The files that other machines read: workflows, container, citation, forms.

Their linters run where they are installed (requirements/ci.txt).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
VERSION = ElementTree.parse(ROOT / "package.xml").getroot().findtext("version")
SHELL_FILES = [
    *("docker/entrypoint.bash", "scripts/demo", "scripts/test", "scripts/environment.bash"),
    *("scripts/bootstrap/ready.bash", ".ci/run"),
]


def schema(name: str, *files: Path) -> list:
    return ["check-jsonschema", "--builtin-schema", f"vendor.{name}", *files]


LINTERS = {
    "workflows": ["actionlint", *WORKFLOWS],
    "workflows' schema": schema("github-workflows", *WORKFLOWS),
    "forms' schema": schema("github-issue-forms", *FORMS),
    "compose's schema": schema("compose-spec", ROOT / "compose.yaml"),
    "citation's schema": schema("citation-file-format", ROOT / "CITATION.cff"),
    "Dockerfile": ["hadolint", ROOT / "Dockerfile"],
    "shell": ["shellcheck", "--shell=bash", "--severity=warning", *SHELL_FILES],
    "YAML": ["yamllint", "--strict", *WORKFLOWS, *FORMS, "compose.yaml", "CITATION.cff"],
}


@pytest.mark.parametrize("name", LINTERS)
def test_linters_find_nothing(name):
    command = LINTERS[name]
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program = shutil.which(command[0], path=places)
    if program is None:
        pytest.skip(f"no {command[0]} (requirements/ci.txt)")
    result = subprocess.run(
        [program, *command[1:]],
        cwd=ROOT,
        env={**os.environ, "PATH": places},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflows_may_do_little_and_end(file):
    text, content = file.read_text(), yaml.safe_load(file.read_text())
    for used in re.findall(r"uses: (.*)", text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
    assert content["permissions"] == {"contents": "read"}
    assert "group" in content["concurrency"]
    for name, job in content["jobs"].items():
        assert job["timeout-minutes"] <= 150, name
        if file.stem != "release":
            assert "permissions" not in job, name
    for name in re.findall(r"[\w/]*requirements/\w+\.txt|scripts/\w+", text):
        assert (ROOT / name.removeprefix("src/yolact_ros/")).exists(), name


def test_workflows_and_the_documentation_name_the_same_distributions():
    from_docs = re.findall(
        r"^\| (\w+) \| Ubuntu", (ROOT / "docs" / "distributions.md").read_text(), re.MULTILINE
    )
    matrix = read("ros")["jobs"]["colcon"]["strategy"]["matrix"]
    assert matrix["distribution"] == [name.lower() for name in from_docs]
    images = read("docker")["jobs"]["build"]["strategy"]["matrix"]["distribution"]
    assert set(images) < set(matrix["distribution"])
    arm = {row["distribution"] for row in matrix["include"] if row["runner"].endswith("-arm")}
    assert arm <= set(matrix["distribution"]) and arm


def test_workflows_try_the_wheels_that_setup_knows(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from bootstrap.machine import DISTRIBUTIONS_OF_THE_WHEELS, PYTHONS_OF_THE_WHEELS

    matrix = read("python")["jobs"]["test"]["strategy"]["matrix"]
    tried = {*matrix["distribution"], *(row["distribution"] for row in matrix["include"])}
    assert tried == set(DISTRIBUTIONS_OF_THE_WHEELS)
    assert {f"{major}.{minor}" for major, minor in PYTHONS_OF_THE_WHEELS} >= set(matrix["python"])


def test_the_dockerfile_copies_what_is_there():
    text = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
    assert len(copied) == 4 and all((ROOT / name).exists() for name in copied)
    # all is left out, then what is needed is let in
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines and all((ROOT / name).exists() for name in let_in)
    cmake = (ROOT / "CMakeLists.txt").read_text().partition("if(BUILD_TESTING)")[0]
    [folders] = re.findall(r"install\(DIRECTORY (launch .*?) DESTINATION", cmake)
    needed = {*folders.split(), *re.findall(r'"(\w+)/\w+\.(?:msg|srv)"', cmake), "yolact_ros"}
    assert needed | {name.partition("/")[0] for name in copied} - {"."} <= let_in
    stages = re.findall(r"^FROM \S+ AS (\w+)$", text, re.MULTILINE)
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())["build"]
    assert (ROOT / ".devcontainer" / container["dockerfile"]).resolve() == ROOT / "Dockerfile"
    arguments = set(re.findall(r"^ARG (\w+)", text, re.MULTILINE))
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    given = [container["args"], *(service["build"]["args"] for service in services)]
    assert container["target"] in stages
    assert all(set(each) <= arguments for each in given)
    assert os.access(ROOT / "docker" / "entrypoint.bash", os.X_OK)


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == VERSION
    heading = f"{VERSION} ({citation['date-released']})"
    assert heading in (ROOT / "CHANGELOG.rst").read_text().splitlines()


def test_the_form_asks_for_what_doctor_says():
    [form] = [yaml.safe_load(file.read_text()) for file in FORMS]
    [field] = [each for each in form["body"] if each["id"] == "doctor"]
    assert "yolact-ros doctor" in field["attributes"]["label"]
    assert field["validations"] == {"required": True}


def run(*command) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)


def test_release_notes_are_a_section_of_the_changelog():
    found = run("scripts/release_notes", VERSION)
    lines = found.stdout.splitlines()
    changelog = (ROOT / "CHANGELOG.rst").read_text()
    section = re.split(r"\n\d+\.\d+\.\d+ \(", changelog)[1]
    points = len(re.findall(r"^\* ", section, re.MULTILINE))
    assert found.returncode == 0 and points > 5
    assert len(lines) == points and all(line.startswith("* ") for line in lines)
    assert "``" not in found.stdout
    refused = run("scripts/release_notes", "9.9.9")
    assert refused.returncode == 1 and not refused.stdout
    assert f"expected one of {VERSION}, " in refused.stderr


@pytest.mark.parametrize(
    ("ap", "images", "code"), [(0.335, 500, 0), (0.26, 500, 0), (0.2, 500, 1), (0.3, 50, 1)]
)
def test_accuracy_is_compared_with_the_table(tmp_path, ap, images, code):
    file = tmp_path / "metrics.json"
    file.write_text(
        json.dumps({"counts": {"images": images}, "mask": {"ap": ap}, "box": {"ap": 0.3}})
    )
    result = run("scripts/compare_ap", "yolact_base", file)
    assert result.returncode == code
    if images == 500:
        row = f"| yolact_base | {100 * ap:.2f} | 30.00 | 29.83 | val2017 |"
        assert result.stdout.splitlines()[2].startswith(row)
    else:
        assert "expected a report of 500 pictures, got one of 50" in result.stderr


def test_accuracy_is_measured_of_presets_that_are_in_the_table():
    presets = read("accuracy")["jobs"]["val2017"]["strategy"]["matrix"]["preset"]
    asked = run("scripts/compare_ap", "nothing")
    assert f"expected one of {', '.join(presets)}, and" in asked.stderr
