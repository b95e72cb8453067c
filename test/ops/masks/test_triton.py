# SPDX-License-Identifier: Apache-2.0
"""The Triton kernels, by Triton's interpreter on the CPU, and compiled for GPUs that need not be
there. Each in a process of its own: Triton decides at its import whether it interprets."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None, reason="Triton is not installed"
    ),
]

CASES = Path(__file__).with_name("triton_interpreted.py")

COMPILE = """
import warnings
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from yolact_ros.ops import deformable_kernel, resize_kernel
from yolact_ros.ops.masks import triton as masks

warnings.simplefilter("ignore")
KERNELS = (
    (masks._regions, dict(PADDING=1, ROWS=8, BYTES=16, TOGETHER=1024),
     dict(boxes="*fp32", scales="*fp32", starts="*i64", room="i64")),
    (masks._pack, dict(SEARCH=7, THRESHOLD=0.5, ROWS=8, BYTES=16),
     dict(logits="*fp32", scales="*fp32", starts="*i64", packed="*u8")),
    (masks._rectangles, dict(TOGETHER=1024), dict(rectangles="*i64")),
    (masks._trim, dict(BYTES=512),
     dict(starts="*i64", packed="*u8", trimmed="*u8", rectangles="*i64")),
    (resize_kernel._resize, dict(COLUMNS=256),
     dict(frame="*u8", place="*fp16", scale="*fp32", shift="*fp32", scale_y="fp32",
          scale_x="fp32")),
    (deformable_kernel._sample, dict(SAMPLES=8, CHANNELS=128),
     dict(pixels="*fp16", offsets="*fp16", modulation="*fp16", samples="*fp16")),
)
POINTERS = {"sizes", "crops", "pixels", "tiles", "bounds"}
for kernel, fixed, types in KERNELS:
    types = {
        name: "constexpr" if name in fixed
        else types.get(name) or ("*i32" if name in POINTERS else "i32")
        for name in kernel.arg_names
    }
    for architecture in (87, 90):  # Jetson Orin, H200
        source = ASTSource(fn=kernel, signature=types, constexprs=fixed)
        built = triton.compile(source, target=GPUTarget("cuda", architecture, 32))
        assert built.asm["cubin"]
"""


def run(*arguments, **variables):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_the_kernels_by_the_interpreter():
    plugin = ("-p", "no:cacheprovider", "-q", "-rA")
    output = run("-m", "pytest", *plugin, str(CASES), TRITON_INTERPRET="1")
    assert "8 passed" in output


def test_the_kernels_compile_for_gpus(tmp_path):
    # Triton reads a kernel's source file: the program is no kernel itself, so -c will do.
    run("-c", COMPILE, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
