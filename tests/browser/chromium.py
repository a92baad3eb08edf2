"""A headless Chromium, spoken to in its own protocol (Chrome DevTools Protocol) over a local socket."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE_S = 30.0
KEYS = {
    **{"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " "), "Home": (36, ""), "End": (35, "")},
    **{"ArrowLeft": (37, ""), "ArrowRight": (39, ""), "ArrowDown": (40, "")},
}
"""Codes and texts of the keys that tests press."""


def browser() -> str | None:
    """The browser of this machine; ``LISTWISE_CHROMIUM`` names another."""
    found = (shutil.which(name) for name in NAMES)
    return os.environ.get("LISTWISE_CHROMIUM") or next((path for path in found if path), None)


STILL = """new Promise(done => {
  let before = "";
  const look = () => {
    const one = document.querySelector(%s);
    one.scrollIntoView({block: "center", behavior: "instant"});
    const box = one.getBoundingClientRect();
    const at = [box.x + box.width / 2, box.y + box.height / 2];
    const now = at.join();
    if (now === before && one.contains(document.elementFromPoint(...at))) return done(at);
    before = now;
    setTimeout(look, 50);
  };
  look();
})"""


class Page:
    """One page, with all that went wrong in it and all that it asked the network for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last = 0
        self._loaded = asyncio.Event()
        self._reader = asyncio.create_task(self._read())
        self.problems: list[str] = []
        self.requests: list[str] = []

    async def open(self, place: Path | str, fragment: str = "") -> None:
        """Load a file or an address, and wait until it has loaded."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")
        await self._go("about:blank")  # or a fragment alone would load nothing
        await self._go((place if isinstance(place, str) else place.resolve().as_uri()) + fragment)

    async def _go(self, address: str) -> None:
        self._loaded.clear()
        await self.send("Page.navigate", url=address)
        async with asyncio.timeout(PATIENCE_S):
            await self._loaded.wait()

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until a script gives something true, ten seconds at most: what events lead to comes after them."""
        async with asyncio.timeout(10):
            while True:  # asked anew each time: a promise is lost where the page is loaded again
                answer = await self.send("Runtime.evaluate", expression=f"!!({script})", returnByValue=True)
                if answer.get("result", {}).get("value") is True:
                    return
                await asyncio.sleep(0.02)

    async def press(self, key: str, times: int = 1) -> None:
        """Press and release a key."""
        code, text = KEYS[key]
        more = {"key": key, "windowsVirtualKeyCode": code, "text": text}
        for _ in range(times):
            await self.send("Input.dispatchKeyEvent", type="keyDown", **more)
            await self.send("Input.dispatchKeyEvent", type="keyUp", **more)

    async def click(self, selector: str) -> None:
        """Press and release the mouse over the middle of an element, once it stands still and is on top."""
        x, y = await self.run(STILL % repr(selector))
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def write(self, text: str) -> None:
        """Type into what has the focus."""
        await self.send("Input.insertText", text=text)

    async def resize(self, width: int, height: int = 900, *, phone: bool = False) -> None:
        """Of the window, in CSS pixels."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )

    async def prefer(self, scheme: str, *, still: bool = False) -> None:
        """``light`` or ``dark``, with motion or without, as the system would."""
        wishes = {"color-scheme": scheme, "reduced-motion": "reduce" if still else "no-preference"}
        features = [{"name": f"prefers-{name}", "value": value} for name, value in wishes.items()]
        await self.send("Emulation.setEmulatedMedia", features=features)

    async def picture(self, path: Path, *, whole: bool = False) -> None:
        """A screenshot, of the window or of the whole page."""
        answer = await self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    async def pdf(self) -> bytes:
        """The page as it would be printed."""
        return base64.b64decode((await self.send("Page.printToPDF", printBackground=True))["data"])

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask for one thing, and wait for the answer."""
        self._last += 1
        answer = self._answers[self._last] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._last, "method": method, "params": parameters})
        async with asyncio.timeout(PATIENCE_S):
            found: dict[str, Any] = await answer
        return found

    async def close(self) -> None:
        """Stop listening."""
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader

    async def _read(self) -> None:
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                future = self._answers.pop(said["id"])
                if "error" in said:
                    future.set_exception(RuntimeError(str(said["error"])))
                else:
                    future.set_result(said["result"])
            else:
                self._hear(said["method"], said["params"])

    def _hear(self, method: str, told: dict[str, Any]) -> None:
        match method:
            case "Page.loadEventFired":
                self._loaded.set()
            case "Runtime.exceptionThrown":
                self.problems.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.problems.append(str(told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.problems.append(str(told["entry"]["text"]))
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@asynccontextmanager
async def chromium(path: str) -> AsyncIterator[Page]:
    """Start a browser without a window and give its page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            *(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"),
            *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
            *("--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    targets = await answer.json()
                address = next(each["webSocketDebuggerUrl"] for each in targets if each["type"] == "page")
                async with session.ws_connect(address, max_msg_size=0) as socket, Page(socket) as page:
                    yield page
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _port(file: Path) -> int:
    """The browser writes where it listens."""
    async with asyncio.timeout(PATIENCE_S):
        while not file.exists() or not file.read_text().strip():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
    return int(file.read_text().split()[0])
