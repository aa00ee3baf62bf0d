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
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DESKTOP: Final = (1200, 820)
PHONE: Final = (390, 844)
_NEEDED: Final = {"websockets": "websockets", "axe_core_python": "axe-core-python"}


class Browser:
    """One page of a running browser.

    Attributes:
        events: What the page reported since it was opened: requests, exceptions, lines of its log.
    """

    def __init__(self, socket: Any) -> None:  # noqa: ANN401  of a library that need not be installed
        self._socket = socket
        self._number = 0
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send one command and return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
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
            if self.value("document.readyState == 'complete' && location.protocol == 'file:'"):
                return
            time.sleep(0.05)
        raise AssertionError("the page was not loaded in ten seconds")

    def value(self, script: str) -> Any:  # noqa: ANN401  whatever the expression is
        """Return the value of a JavaScript expression. The page itself runs none."""
        result = self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def violations(self) -> list[str]:
        """Return the serious and critical findings of axe-core, as ``rule: element``."""
        self.value(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8") + ";true")
        found = self.value("axe.run().then(result => result.violations)")
        return [
            f"{each['id']}: {node['html'][:120]}"
            for each in found
            if each["impact"] in {"serious", "critical"}
            for node in each["nodes"]
        ]

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(self.command("Page.printToPDF", preferCSSPageSize=True)["data"])

    def picture(self) -> bytes:
        """Return the visible part of the page as a PNG."""
        return base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"])


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
