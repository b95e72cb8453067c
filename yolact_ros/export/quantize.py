# SPDX-License-Identifier: Apache-2.0
"""An exported network in INT8: one ONNX file for ONNX Runtime, OpenVINO and TensorRT."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Tensor

from yolact_ros.checkpoints.checkpoint import replacing
from yolact_ros.datasets.formats.finding import find_pictures
from yolact_ros.errors import InputError
from yolact_ros.inference.engines.exported_file import INPUT, ExportedFile
from yolact_ros.inference.engines.onnx_file import fixed_batch, read_onnx, require_finite
from yolact_ros.inference.engines.onnxruntime import OnnxNetwork
from yolact_ros.inference.engines.protocol import EngineNetwork

from .quantized_layers import decoding, last_convolutions, layer_names, quantized

MOST_PICTURES = 300
"""Pictures that ranges are taken from at most."""
SEED = 0
"""Of the choice among more pictures."""
_RANKING_PICTURES = 32
"""Pictures on which layers are compared, those that suffer most from INT8."""
_MOST_REVERTED = 12
"""Groups of layers that accuracy control may leave in fp32; each costs a measurement."""

T = TypeVar("T")


class Measure(Protocol):
    """How good a network is on the pictures of a validation."""

    def __len__(self) -> int:
        """Number of pictures."""

    def __call__(self, network: EngineNetwork, numbers: Sequence[int]) -> tuple[float, list[float]]:
        """Mask AP on the pictures of these numbers, and a figure for each; both from 0 to 1."""


class Kept(NamedTuple):
    """Layers that accuracy control left in fp32 together.

    Attributes:
        layers: Their names.
        ap: Mask AP after that, 0 to 1.
    """

    layers: tuple[str, ...]
    ap: float


@dataclass(frozen=True)
class Quantized:
    """What quantising did.

    Attributes:
        before, after: Mask AP of the network and of the file, 0 to 1.
        layers: Number of layers in INT8.
        always: Layers that are always left in fp32.
        kept: Those that accuracy control left in fp32, beginning with what costs most.
    """

    before: float
    after: float
    layers: int
    always: tuple[str, ...]
    kept: tuple[Kept, ...]


def choose_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder to calibrate with: all, or `MOST_PICTURES` chosen by `SEED`.

    Raises:
        InputError: There are none.
    """
    pictures = list(find_pictures(folder))
    if not pictures:
        raise InputError(f"calibrate: expected pictures in {folder}, found none")
    if len(pictures) > MOST_PICTURES:
        pictures = random.Random(SEED).sample(pictures, MOST_PICTURES)
    return pictures


def describe_calibration(pictures: Sequence[Path], folder: Path) -> dict[str, Any]:
    """What a file says of its calibration."""
    return {
        "pictures": len(pictures),
        "folder": folder.resolve().name,
        "seed": SEED,
        "nncf": require_nncf().__version__,
    }


def quantize_file(
    path: Path,
    out: Path,
    items: Sequence[T],
    prepare: Callable[[T], Tensor],
    *,
    calibration: dict[str, Any] | None = None,
    measure: Measure | None = None,
    max_loss: float = 0.5,
    quiet: bool = True,
) -> Quantized | None:
    """Write the network of an exported file in INT8.

    Weights are quantised for each channel, activations for each tensor, both symmetrically around
    0. The layers that predict boxes, classes and coefficients, the last convolution of the
    prototypes, and what decodes, stay in fp32. The decoded outputs of the file hold.

    Args:
        path: An `.onnx` file of `yolact-ros export` in fp32.
        out: The file to write; it appears once it is complete.
        items: What `prepare` makes (1, 3, S, S) inputs of, whose ranges are taken.
        calibration: What the file says of them.
        measure: How good a network is. None: nothing is measured and the file written as it is.
        max_loss: How many points of mask AP, of 100, the file may lose. If it loses more, NNCF's
            accuracy control leaves layers in fp32, those first that cost most.
        quiet: Whether to show no progress.

    Returns:
        What was measured; None without `measure`.

    Raises:
        InputError: A package is missing; the file is not in fp32, or not laid out as expected; or
            the network in INT8 loses more. Then nothing is written.
    """
    nncf = require_nncf()
    file = read_onnx(path)
    model, described = file.model, file.described
    if described.precision != "fp32":
        raise InputError(f"weights: expected a file in fp32, got {described.precision} in {path}")
    require_finite(file)
    if fixed_batch(model) not in (None, 1):
        raise InputError(f"weights: expected a file for any number of images, got {path} for some")
    head = last_convolutions(model, len(described.preset.prior_sizes))
    names = layer_names(model)
    data = nncf.Dataset(items, lambda item: {INPUT: prepare(item).contiguous().numpy()})
    how: dict[str, Any] = {
        "subset_size": len(items),
        "ignored_scope": nncf.IgnoredScope(names=[*head, *decoding(model)], validate=False),
        "preset": nncf.QuantizationPreset.PERFORMANCE,
    }
    # 7 bits of weights: processors without VNNI add pairs of products in 16 bits, which overflow.
    seven_bits = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
    in_int8 = replace(described, precision="int8", calibration=calibration or {})
    result = None
    with tempfile.TemporaryDirectory() as folder:
        trials = None if measure is None else _Trials(Path(folder), measure, in_int8)
        with _progress(nncf, quiet):
            if trials is None:
                found = nncf.quantize(model, data, advanced_parameters=seven_bits, **how)
            else:
                found = nncf.quantize_with_accuracy_control(
                    model,
                    data,
                    nncf.Dataset(range(len(trials.measure))),
                    trials,
                    max_drop=max_loss / 100,
                    drop_type=nncf.DropType.ABSOLUTE,
                    advanced_quantization_parameters=seven_bits,
                    advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                        ranking_subset_size=_RANKING_PICTURES,
                        max_num_iterations=_MOST_REVERTED,
                        num_ranking_workers=1,
                    ),
                    **how,
                )
    left = {node.name for node in found.graph.node} - quantized(found)
    if lost := [node for node in head if node not in left]:
        raise InputError(
            f"quantize: expected NNCF {nncf.__version__} to leave the last layers in fp32, it "
            f"did not with {', '.join(names[node] for node in lost)}"
        )
    if trials is not None:
        result = trials.result(quantized(found), head, names)
        _require(result, max_loss)
    with replacing(out) as unfinished:
        _write(found, in_int8, unfinished)
    return result


def require_nncf() -> ModuleType:
    """The module nncf.

    Raises:
        InputError: It is not installed, or what it needs.
    """
    telemetry = "openvino_telemetry"
    before = sys.modules.get(telemetry)
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401

        # Without it, NNCF does not tell its makers of each use.
        sys.modules[telemetry] = None  # type: ignore[assignment]
        import nncf
    except ImportError as error:
        raise InputError(
            "quantize: expected the packages nncf, onnx and onnxruntime (the extra quantize: pip "
            f"install nncf onnx onnxruntime), got: {error}"
        ) from error
    finally:
        if before is None:
            sys.modules.pop(telemetry, None)
        else:
            sys.modules[telemetry] = before
    return nncf


class _Trials:
    """Measures candidates for NNCF, and remembers what it found of them.

    Args:
        folder: For the candidates' files.
        measure: How good a network is.
        file: What the candidates' files say of themselves.
    """

    def __init__(self, folder: Path, measure: Measure, file: ExportedFile) -> None:
        self.measure = measure
        self._path = folder / "candidate.onnx"
        self._file = file
        self._found: list[tuple[frozenset[str], float]] = []

    def __call__(self, model: Any, numbers: Iterable[int]) -> tuple[float, list[float]]:
        """Mask AP of a candidate on some pictures, and a figure for each of them."""
        numbers = list(numbers)
        _write(model, self._file, self._path)
        ap, each = self.measure(OnnxNetwork(self._path, device="cpu"), numbers)
        if len(numbers) == len(self.measure):
            self._found.append((frozenset(quantized(model)), ap))
        return ap, each

    def result(self, final: set[str], head: Sequence[str], names: dict[str, str]) -> Quantized:
        """What was found on the way to the network with these nodes in INT8."""
        (_, before), (everything, _) = self._found[:2]
        after = next(ap for nodes, ap in reversed(self._found) if nodes == final)
        kept, last = [], everything
        for nodes, ap in self._found[2:]:
            if final <= nodes < last:
                kept.append(Kept(_layers(last - nodes, names), ap))
                last = nodes
        return Quantized(before, after, len(final), _layers(head, names), tuple(kept))


def _layers(nodes: Iterable[str], names: dict[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names[node] for node in sorted(nodes)))


def _require(result: Quantized, max_loss: float) -> None:
    lost = (result.before - result.after) * 100
    if lost <= max_loss:
        return
    costly = ", ".join(" with ".join(kept.layers) for kept in result.kept[:5])
    raise InputError(
        f"quantize: expected a loss of at most {max_loss:g} points of mask AP, got {lost:.2f} "
        f"({100 * result.before:.2f} to {100 * result.after:.2f}) even with the layers in fp32 "
        f"that cost most: {costly}; calibrate with pictures like those of the validation, or allow "
        "more with --max-loss"
    )


def _write(model: Any, file: ExportedFile, path: Path) -> None:
    import onnx

    del model.metadata_props[:]
    onnx.helper.set_model_props(model, file.metadata())
    path.write_bytes(model.SerializeToString())


@contextlib.contextmanager
def _progress(nncf: ModuleType, quiet: bool) -> Iterator[None]:
    """Let NNCF show its progress beside the results or not at all, and no steps but errors."""
    # Not by its own function, which changes handlers that others have added.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere if quiet else sys.stderr),
    ):
        yield
