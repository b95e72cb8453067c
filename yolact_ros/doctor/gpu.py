# SPDX-License-Identifier: Apache-2.0
"""torch and torchvision, for this machine's GPU, and what Triton needs to build kernels for it."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolact_ros.errors import first_line
from yolact_ros.findings import Finding, error, ok, warning

_DRIVER = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/nvmap"))
"""One of them is there where an NVIDIA GPU is: the driver's, a container's, a Jetson's."""
_ON_JETSON = Path("/etc/nv_tegra_release")
_BOTH = "pip install --upgrade torch torchvision, both in one command and from one index"


@dataclass(frozen=True)
class TorchFacts:
    """What torch says of itself.

    Attributes:
        version: Empty: it cannot be imported.
        problem: Why it cannot be imported, or sees no GPU.
        cuda: The CUDA that it was built for; None: without.
        built_for: Its list of architectures, such as "sm_90" and "compute_90".
        gpus: Name and compute capability of each GPU that it sees.
    """

    version: str
    problem: str = ""
    cuda: str | None = None
    built_for: Sequence[str] = ()
    gpus: Sequence[tuple[str, tuple[int, int]]] = ()


def check_torch(torch: TorchFacts, has_gpu: bool, is_jetson: bool) -> Finding:
    """Whether torch can use this machine's GPU.

    Args:
        torch: Its facts.
        has_gpu: Whether the machine has an NVIDIA GPU, as the system knows it.
        is_jetson: Whether it is a Jetson, whose wheels are NVIDIA's own.
    """
    another = (
        "install NVIDIA's torch wheel for your JetPack"
        if is_jetson
        else f"pip uninstall -y torch torchvision, then {_BOTH}: it says which GPUs and drivers a "
        "version is for (pytorch.org, Get started)"
    )
    if not torch.version and "No module named 'torch'" in torch.problem:
        return error("torch", "is not installed for this Python", f"install it: {_BOTH}")
    if not torch.version:
        return error("torch", f"cannot be imported: {torch.problem}", another)
    found = f"torch {torch.version}"
    if not has_gpu and not torch.gpus:
        return ok("torch", f"{found}; no NVIDIA GPU here, the network runs on the CPU")
    if torch.cuda is None:
        return error("torch", f"{found} was built without CUDA, and a GPU is here", another)
    if not torch.gpus:
        return error(
            "torch",
            f"{found} sees no GPU, and one is here: {torch.problem}",
            "update NVIDIA's driver, or install a torch for an older CUDA; in a container: docker "
            "run --gpus all (Jetson: --runtime nvidia)",
        )
    for name, capability in torch.gpus:
        if not _is_built_for(torch.built_for, capability):
            return error(
                "torch",
                f"{found} was built for {', '.join(torch.built_for)}, not for {name} "
                f"(sm_{capability[0]}{capability[1]})",
                another,
            )
    names = ", ".join(name for name, _ in torch.gpus)
    return ok("torch", f"{found}, CUDA {torch.cuda}, {names}")


def _is_built_for(built_for: Sequence[str], capability: tuple[int, int]) -> bool:
    """Binaries run on later GPUs of their generation, the intermediate code on all later ones."""
    for architecture in built_for:
        kind, _, number = architecture.partition("_")
        digits = re.match(r"\d+", number)
        if digits is None:
            continue
        major, minor = divmod(int(digits[0]), 10)
        same = major == capability[0] and minor <= capability[1]
        if same or (kind == "compute" and (major, minor) <= tuple(capability)):
            return True
    return False


def check_torchvision(version: str, torch: str, problem: str) -> Finding:
    """Whether torchvision's operators can be called.

    Args:
        version: Of torchvision; empty: it is not installed.
        torch: Version of torch.
        problem: Why they cannot be called; empty: they can.
    """
    if not problem:
        return ok("torchvision", f"torchvision {version} with its operators")
    return error(
        "torchvision",
        f"its operators cannot be called: {problem} (torchvision {version or 'none'}, torch "
        f"{torch or 'none'})",
        f"pip uninstall -y torchvision torch, then {_BOTH}",
    )


def check_compiler(compiler: str | None, header: Path, has_gpu: bool) -> Finding:
    """Whether Triton can build kernels.

    Args:
        compiler: The C compiler that it would call; None: there is none.
        header: Where Python.h should be.
        has_gpu: Whether it would have to.
    """
    consequence = (
        "torch's slower operations are used in place of Triton's kernels"
        if has_gpu
        else "only `compile` and a GPU would need it"
    )
    if compiler is None:
        return warning(
            "compiler",
            f"no C compiler in PATH: {consequence}",
            "sudo apt-get install gcc (or set CC to one)",
        )
    if not header.is_file():
        return warning(
            "compiler",
            f"no {header}: {consequence}",
            f"sudo apt-get install python{sysconfig.get_python_version()}-dev (the system's own "
            "Python: python3-dev)",
        )
    return ok("compiler", f"{compiler} and Python.h")


def has_gpu() -> bool:
    """Whether the system knows of an NVIDIA GPU."""
    return any(path.exists() for path in _DRIVER)


def torch_facts() -> TorchFacts:
    """What torch says of itself; imports it, which takes seconds."""
    try:
        torch = importlib.import_module("torch")
    except Exception as failure:  # whatever a library that is missing or does not fit raises
        return TorchFacts("", first_line(failure))
    from yolact_ros.inference.device import why_no_gpu

    gpus = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            capability = torch.cuda.get_device_capability(number)
            gpus.append((torch.cuda.get_device_name(number), capability))
    return TorchFacts(
        str(torch.__version__),
        "" if gpus else why_no_gpu(),
        torch.version.cuda,
        tuple(torch.cuda.get_arch_list()),
        tuple(gpus),
    )


def look_at_torch() -> Finding:
    """Check torch and the GPU of this machine."""
    return check_torch(torch_facts(), has_gpu(), _ON_JETSON.exists())


def look_at_torchvision() -> Finding:
    """Check that torchvision's operators are there by calling one."""
    version = torch_version = problem = ""
    try:
        torch = importlib.import_module("torch")
        torch_version = str(torch.__version__)
        torchvision = importlib.import_module("torchvision")
        version = str(torchvision.__version__)
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except Exception as failure:
        problem = first_line(failure)
    return check_torchvision(version, torch_version, problem)


def look_at_compiler(environment: Mapping[str, str] = os.environ) -> Finding:
    """Check the compiler that Triton would call, found as it does."""
    path = environment.get("PATH")
    named = environment.get("CC")
    names = [named] if named else ["gcc", "clang", "cc"]
    compiler = next((found for name in names if (found := shutil.which(name, path=path))), None)
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return check_compiler(compiler, header, has_gpu())
