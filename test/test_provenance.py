# SPDX-License-Identifier: Apache-2.0
import subprocess

import pytest

from yolact_ros.provenance import git_revision


@pytest.fixture
def repository(tmp_path):
    """Makes a repository of one file, with an ignored folder in which something is installed."""

    def make(name, file):
        folder = tmp_path / name
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_text("first")
        (folder / ".gitignore").write_text("installed")
        author = ("-c", "user.name=a", "-c", "user.email=a@b")
        for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "first"]):
            subprocess.run(["git", *words], cwd=folder, check=True)
        (folder / "installed").mkdir()
        return folder

    return make


def test_the_commit_of_this_project_is_named_alone(repository, tmp_path):
    ours = repository("ours", "yolact_ros/provenance.py")
    words = ["git", "rev-parse", "HEAD"]
    commit = subprocess.check_output(words, cwd=ours, text=True).strip()
    for folder in (ours, ours / "yolact_ros", ours / "installed"):
        assert git_revision(folder) == commit
    (ours / "yolact_ros/provenance.py").write_text("second")
    assert git_revision(ours) == f"{commit}-dirty"
    theirs = repository("theirs", "robot.py")
    assert git_revision(theirs / "installed") == git_revision(tmp_path) == "unknown"
