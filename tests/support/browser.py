"""Debian's chromium without a window, driven by its own protocol.

Only what the tests of the HTML scorecard need. A framework for this weighs more than all else that the tests install.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_Kind = TypeVar("_Kind")

DESKTOP: Final = (1200, 820)
PHONE: Final = (390, 844)
_NEEDED: Final = {"websockets": "websockets", "axe_core_python": "axe-core-python"}


class Socket(Protocol):
    """The used part of a connection of `websockets`, which need not be installed."""

    def send(self, message: str) -> None:
        """Send one message."""

    def recv(self, timeout: float | None = None) -> str:
        """Wait for the next message."""


class Browser:
    """One page of a running browser.

    Attributes:
        events: What the page reported since it was opened: requests, exceptions, lines of its log.
    """

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._number = 0
        self.events: list[dict[str, object]] = []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters: object) -> dict[str, object]:
        """Send one command and return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message: dict[str, object] = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return cast("dict[str, object]", message["result"])
            self.events.append(message)

    def open(self, path: Path, size: tuple[int, int], *, scheme: str = "light", fragment: str = "") -> None:
        """Open a file at a size, in light or dark, and wait until it is laid out."""
        self.command("Page.navigate", url="about:blank")
        self.events.clear()
        phone = size[0] < 600
        self.command(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=phone
        )
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.command("Page.navigate", url=path.as_uri() + fragment)
        for _ in range(200):
            if self.value("document.readyState == 'complete' && location.protocol == 'file:'", bool):
                return
            time.sleep(0.05)
        raise AssertionError("the page was not loaded in ten seconds")

    def value(self, script: str, kind: type[_Kind]) -> _Kind:
        """Return the value of a JavaScript expression, which must be of this kind. The page itself runs none."""
        answer = self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        found = cast("dict[str, object]", answer["result"]).get("value")
        assert isinstance(found, kind), found
        return found

    def unfold(self) -> None:
        """Open everything that is folded."""
        self.value("document.querySelectorAll('details').forEach(each => each.open = true) ?? true", bool)

    def violations(self) -> list[str]:
        """Return the serious and critical findings of axe-core, as ``rule: element``."""
        self.value(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8") + ";true", bool)
        serious = "each => ['serious', 'critical'].includes(each.impact)"
        named = "each => each.nodes.map(node => each.id + ': ' + node.html.slice(0, 120))"
        return self.value(f"axe.run().then(found => found.violations.filter({serious}).flatMap({named}))", list)

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(str(self.command("Page.printToPDF", preferCSSPageSize=True)["data"]))

    def picture(self) -> bytes:
        """Return the visible part of the page as a PNG."""
        return base64.b64decode(str(self.command("Page.captureScreenshot", format="png")["data"]))


def lacking() -> str:
    """Return what is missing for tests in a browser, "" if nothing is."""
    if _program() is None:
        return "no chromium; install it with: apt-get install chromium"
    absent = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    return f"no {', '.join(absent)}; install the dev extra" if absent else ""


def skip_or_fail() -> None:
    """Skip a test where no browser is, and fail it in CI."""
    if reason := lacking():
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """Run a browser whose profile lies in ``folder``."""
    program = _program()
    assert program is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]
    command = [program, *options, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            connect = importlib.import_module("websockets.sync.client").connect
            with connect(_address(folder), max_size=None, compression=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _program() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _address(folder: Path) -> str:
    """Return the address of the first page, once the browser listens."""
    file = folder / "DevToolsActivePort"
    for _ in range(600):
        if file.exists() and (lines := file.read_text("utf-8").split("\n"))[1:]:
            with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json", timeout=30) as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        time.sleep(0.05)
    raise AssertionError("chromium did not start in thirty seconds")
