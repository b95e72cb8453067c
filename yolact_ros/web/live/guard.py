# SPDX-License-Identifier: Apache-2.0
"""Whom the server answers: names of the machine, pages of its own, and who holds the token."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\s]+)(:\d{1,5})?", re.IGNORECASE)
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Decides from the headers of a request, and from the token of a change.

    A page of another site can make a browser on this machine send requests here. Its `Origin` gives
    it away; and where it has pointed its own name at this machine (DNS rebinding), the `Host` does.

    Args:
        address: That the server listens on.
        names: Further names by which browsers may reach it.
        allow_changes: Whether there is a token at all.

    Attributes:
        token: Whoever sends it may change parameters; None: nobody may.
    """

    def __init__(self, address: str, names: Iterable[str] = (), *, allow_changes: bool) -> None:
        self.token = secrets.token_urlsafe(18) if allow_changes else None
        self._is_local = is_local(address)
        own = () if self._is_local else (socket.gethostname(), f"{socket.gethostname()}.local")
        self._names = {name.lower() for name in (*_LOCAL_NAMES, *own, *names)}

    def refusal(self, host: str | None, origin: str | None) -> str:
        """Why a request is refused; empty: it is not.

        Args:
            host: Its header `Host`; None: it has none.
            origin: Its header `Origin`; None: it has none, as programs other than browsers send.
        """
        match = _HOST.fullmatch(host or "")
        name = match[1].strip("[]").lower() if match else ""
        if not name or not self._knows(name):
            return (
                f"expected a name of this machine as Host, got {host!r}; "
                "`yolact-ros view --allow-host NAME` adds one"
            )
        if origin is not None and urlsplit(origin).netloc.lower() != (host or "").lower():
            return f"expected a request of this server's own page, got one of {origin!r}"
        return ""

    def may_change(self, token: object) -> bool:
        """Whether a change with this token is allowed."""
        if self.token is None or not isinstance(token, str):
            return False
        return secrets.compare_digest(token.encode(), self.token.encode())

    def _knows(self, name: str) -> bool:
        # An address needs no name service that could lie.
        return name in self._names or (not self._is_local and _is_address(name))


def is_local(address: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    return address == "localhost" or (
        _is_address(address) and ipaddress.ip_address(address).is_loopback
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
