# SPDX-License-Identifier: Apache-2.0
"""The authors' published weights: where they are kept, and how they are downloaded."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from yolact_ros import __version__
from yolact_ros.errors import InputError, first_line
from yolact_ros.presets import Preset
from yolact_ros.provenance import file_sha256, user_cache

from .checkpoint import check_fit, publish
from .files import CheckpointError, expanded
from .fitting import expected_shapes
from .reading import read_network

_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces
_AGENT = f"yolact-ros/{__version__}"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = ".unfinished"


class DownloadError(InputError, OSError):
    """A file that could not be fetched or is not what was expected."""


def weights_folder() -> Path:
    """Where downloaded weights are kept: $YOLACT_ROS_WEIGHTS, or a folder in the user's cache."""
    if folder := os.environ.get("YOLACT_ROS_WEIGHTS"):
        return expanded(folder)
    return user_cache() / "weights"


def published_file(preset: Preset) -> str | None:
    """Name of the authors' file; None where a program cannot download it."""
    if preset.published is None or not preset.published.weights_url:
        return None
    return urlsplit(preset.published.weights_url).path.rsplit("/", 1)[-1]


def find_weights(preset: Preset, folder: Path | None = None) -> Path | None:
    """Find the file of a preset in the folder of downloaded weights.

    It is the published file or, without it, one named after the preset: PRESET.safetensors,
    PRESET.pth, or PRESET_EPOCH_ITERATION.pth (the last iteration) as the authors' code names them.

    Args:
        preset: The preset.
        folder: Where to look; `weights_folder()` if None.
    """
    folder = folder or weights_folder()
    names = [published_file(preset), f"{preset.name}.safetensors", f"{preset.name}.pth"]
    for name in names:
        if name is not None and (folder / name).is_file():
            return folder / name
    numbered = re.compile(re.escape(preset.name) + r"_(\d+)_(\d+)\.pth")
    found = [
        (int(match[1]), int(match[2]), path)
        for path in folder.glob("*.pth")
        if (match := numbered.fullmatch(path.name))
    ]
    return max(found)[-1] if found else None


def download_weights(
    preset: Preset,
    folder: Path | None = None,
    *,
    endpoint: str | None = None,
    progress: bool = True,
    retries: int = 8,
    overwrite: bool = False,
) -> Path:
    """Download the authors' file of a preset, resuming an earlier attempt that was interrupted.

    The file appears under its name only if its size and checksum are those that the server states
    and its tensors fit the preset.

    Args:
        preset: One whose weights the authors published.
        folder: Where to put it; `weights_folder()` if None. Created if it does not exist.
        endpoint: A mirror of the Hugging Face Hub; the environment variable HF_ENDPOINT or the Hub
            itself if None.
        progress: Whether to show a progress bar on standard error.
        retries: How often to resume when the connection breaks.
        overwrite: Whether to download a file again that is there already.

    Returns:
        The file.

    Raises:
        DownloadError: It cannot be downloaded, or is not the file that it should be.
        CheckpointError: The file that is there already does not fit.
    """
    folder = folder or weights_folder()
    name = published_file(preset)
    if name is None:
        raise DownloadError(_without_url(preset, folder))
    path = folder / name
    if path.is_file() and not overwrite:
        _check_fit(path, preset)
        return path
    assert preset.published is not None
    url = _at_endpoint(preset.published.weights_url, endpoint)
    size, sha256 = _ask(url, path)
    unfinished = folder / _UNFINISHED / name
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    try:
        _fetch(url, unfinished, path, progress, retries)
        _check_content(unfinished, size, sha256, url)
        _check_fit(unfinished, preset)
        publish(unfinished, path)
    except CheckpointError as error:
        raise DownloadError(f"{url} is not the file that was expected: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
        if not any(unfinished.parent.iterdir()):
            unfinished.parent.rmdir()
    return path


def _ask(url: str, path: Path) -> tuple[int | None, str | None]:
    """Ask the server for size and SHA-256; None where it does not state them."""
    try:
        import gdown  # noqa: F401 - before anything is asked for
        import requests
    except ImportError as error:
        raise DownloadError(
            f"expected the Python packages gdown and requests ({error}). Install them, or fetch "
            f"{url} by other means and put the file at {path}"
        ) from error
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    try:
        response = requests.head(url, allow_redirects=True, timeout=_TIMEOUT, headers=headers)
    except requests.RequestException as error:
        raise DownloadError(
            f"cannot reach {urlsplit(url).netloc} ({_reason(error)}). Fetch {url} elsewhere and "
            f"put the file at {path}"
        ) from error
    if response.status_code in (404, 410):
        raise DownloadError(f"{url}: there is no such file on the server any more")
    # The Hub states a large file's checksum where it redirects to the store that has the content.
    stated = response.headers.copy()
    for redirect in response.history:
        stated.update(redirect.headers)
    sha256 = stated.get("X-Linked-Etag", response.headers.get("ETag", "")).strip('"')
    size = stated.get("X-Linked-Size", "")
    return int(size) if size.isdigit() else None, sha256 if _SHA256.fullmatch(sha256) else None


def _fetch(url: str, unfinished: Path, path: Path, progress: bool, retries: int) -> None:
    """Download the content to `unfinished`."""
    import gdown
    import requests

    attempt = functools.partial(
        gdown.download,
        url,
        str(unfinished),
        quiet=not progress,
        use_cookies=False,
        resume=True,
        user_agent=_AGENT,
        timeout=_TIMEOUT,
        retries=retries,
        log_messages={"start": "", "output": ""},
    )
    begun = _sizes_of_parts(unfinished)
    # One that was fetched but never checked: nothing says what it is.
    unfinished.unlink(missing_ok=True)
    try:
        try:
            attempt()
        except (gdown.DownloadError, requests.HTTPError):
            if not any(begun.values()) or _sizes_of_parts(unfinished) != begun:
                raise
            # The server cannot go on from the middle, or the content is another one by now.
            for part in begun:
                part.unlink(missing_ok=True)
            attempt()
    except requests.HTTPError as error:
        raise DownloadError(f"{url}: {error}") from error
    except (gdown.DownloadError, requests.RequestException) as error:
        size = sum(_sizes_of_parts(unfinished).values())
        raise DownloadError(
            f"{url}: broken off after {size} bytes ({_reason(error)}). The same command goes on "
            f"from there; or fetch it elsewhere and put the file at {path}"
        ) from error


def _sizes_of_parts(unfinished: Path) -> dict[Path, int]:
    parts = unfinished.parent.glob(f"{unfinished.name}*.part")
    return {part: part.stat().st_size for part in parts}


def _check_content(file: Path, size: int | None, sha256: str | None, url: str) -> None:
    found_size, found_sha256 = file.stat().st_size, file_sha256(file)
    if size not in (None, found_size):
        raise DownloadError(f"{url}: expected {size} bytes, got {found_size}; nothing was kept")
    if sha256 not in (None, found_sha256):
        raise DownloadError(
            f"{url}: expected content with SHA-256 {sha256}, got {found_sha256}; nothing was kept"
        )


def _check_fit(file: Path, preset: Preset) -> None:
    check_fit(file, preset.name, expected_shapes(preset), read_network(file).shapes)


def _at_endpoint(url: str, endpoint: str | None) -> str:
    endpoint = endpoint or os.environ.get("HF_ENDPOINT")
    if not endpoint:
        return url
    base = urlsplit(endpoint)
    if base.scheme not in ("http", "https") or not base.netloc:
        raise InputError(f"endpoint: expected an http or https address, got {endpoint!r}")
    return urlunsplit(
        (base.scheme, base.netloc, base.path.rstrip("/") + urlsplit(url).path, "", "")
    )


def _without_url(preset: Preset, folder: Path) -> str:
    page = preset.published.weights_page if preset.published is not None else ""
    if page:
        return (
            f"{preset.name}: no program can fetch the authors' file; see {page}. Put it into "
            f"{folder} as {preset.name}.pth"
        )
    return (
        f"{preset.name}: the authors published no weights for it. Train it, and put the file into "
        f"{folder} as {preset.name}.safetensors or {preset.name}.pth, or name it with --weights"
    )


def _reason(error: Exception) -> str:
    # The innermost cause is the one that says something.
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return first_line(cause).rstrip(".")
