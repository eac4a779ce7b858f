# SPDX-License-Identifier: MIT
"""A headless Chromium driven over its debugging pipe: no library needed."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


def find():
    """Chromium's path, or None."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Browser:
    """One page. Collects console messages, exceptions and the URLs that were asked for."""

    def __init__(self, width=1600, height=1200, scripts=True):
        self.profile = tempfile.mkdtemp(prefix="vkzoo-browser-")
        to_read, self.write_fd = os.pipe()
        self.read_fd, to_write = os.pipe()

        def pipes():
            # The browser reads from 3 and writes to 4; the ends may be there already.
            a, b = os.dup(to_read), os.dup(to_write)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [find(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--hide-scrollbars",
             "--disable-dev-shm-usage", "--disable-background-networking",
             "--remote-debugging-pipe", f"--user-data-dir={self.profile}", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.next_id = b"", 0
        self.console, self.requests = [], []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t for t in targets if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"],
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def message(self, timeout=60):
        end = time.monotonic() + timeout
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read_fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser says nothing")
            data = os.read(self.read_fd, 1 << 20)
            if not data:
                raise EOFError("the browser is gone")
            self.buffer += data
        one, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(one)

    def note(self, m):
        method, params = m.get("method"), m.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.console.append(params["exceptionDetails"].get("text", "") + " " +
                                params["exceptionDetails"].get("exception", {})
                                .get("description", ""))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.console.append(" ".join(str(a.get("value", a.get("description")))
                                         for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.console.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def call(self, method, **params):
        self.next_id += 1
        call = {"id": self.next_id, "method": method, "params": params}
        if getattr(self, "session", None):
            call["sessionId"] = self.session
        os.write(self.write_fd, json.dumps(call).encode() + b"\0")
        while True:
            m = self.message()
            if m.get("id") == call["id"]:
                if "error" in m:
                    raise RuntimeError(f"{method}: {m['error']['message']}")
                return m["result"]
            self.note(m)

    def open(self, url):
        """Loads a page and waits for its load event."""
        self.call("Page.navigate", url=url)
        while True:
            m = self.message()
            self.note(m)
            if m.get("method") == "Page.loadEventFired":
                return

    def run(self, script):
        """The value of a JavaScript expression; awaits promises."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(script + ": " +
                               result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def wait(self, script, timeout=60):
        """Until an expression is true; returns the seconds it took, None when it did not."""
        start = time.monotonic()
        while time.monotonic() - start < timeout:
            if self.run(script):
                return time.monotonic() - start
            time.sleep(0.05)
        return None

    def picture(self, path, whole=True):
        """A PNG of the page, or of what the window shows of it."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        with open(path, "wb") as f:
            f.write(base64.b64decode(shot["data"]))

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.read_fd)
        os.close(self.write_fd)
        shutil.rmtree(self.profile, ignore_errors=True)
