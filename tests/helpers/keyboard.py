"""A page in headless Chromium that is used with the keyboard, through the DevTools protocol."""

import base64
import json
import os
import subprocess
from contextlib import contextmanager

from helpers.browser import CHROMIUM

FOCUS = """(() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const all = [...document.querySelectorAll("*")];
  const ringed = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const box = one.getBoundingClientRect(), desk = one.closest(".desk");
  const border = () => getComputedStyle(desk).borderColor;
  let shown = ringed(getComputedStyle(one));
  if (!shown && desk) {  // whose border says that the text in it has the focus
    const lit = border();
    one.blur();
    shown = border() !== lit;
    one.focus();
  }
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return { place: all.indexOf(one), html: one.outerHTML.slice(0, 120), shown, inside };
})()"""
"""What has the focus: its place among all elements, and whether that is shown and in view."""

CONTROLS = """(() => {
  const all = [...document.querySelectorAll("*")], seen = new Set();
  const wanted = all.filter((one) => one.tabIndex >= 0 && !one.disabled
    && one.checkVisibility({ checkVisibilityCSS: true })
    && one.matches("a[href], button, input, select, textarea, summary, [tabindex]"));
  return wanted.filter((one) => one.type !== "radio" || !seen.has(one.name) && seen.add(one.name))
    .map((one) => ({ place: all.indexOf(one), html: one.outerHTML.slice(0, 120) }));
})()"""
"""Every control that Tab must reach; of radio buttons one of each group."""


class Page:
    """An open page."""

    def __init__(self, send):
        self.send = send

    def evaluate(self, expression):
        """Return the value of an expression of JavaScript."""
        given = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        found = self.send("Runtime.evaluate", given)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key, shift=False, code=0, text=""):
        """Press a key."""
        named = {"Tab": 9, "Enter": 13, "ArrowRight": 39, "ArrowLeft": 37, "ArrowUp": 38}
        named |= {"ArrowDown": 40, "End": 35, "Home": 36, "Escape": 27}
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code or named.get(key, 0)}
        event |= {"modifiers": 8 if shift else 0}
        if text or key == "Enter":
            event["text"] = text or "\r"
        for kind in ("keyDown" if "text" in event else "rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", {"type": kind, **event})

    def walk(self, most=300, shift=False):
        """Press Tab until the focus leaves the page or comes back; return what had it."""
        found = []
        for _ in range(most):
            self.press("Tab", shift)
            focus = self.evaluate(FOCUS)
            if focus is None or (found and focus["place"] == found[0]["place"]):
                return found
            found.append(focus)
        raise AssertionError(f"the focus never leaves {found[-3:]}")

    def nameless(self):
        """Return the roles of what can have the focus but has no name for a screen reader."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [
            node["role"]["value"]
            for node in nodes
            if not node.get("ignored")
            and node["role"]["value"] != "RootWebArea"
            and any(p["name"] == "focusable" and p["value"]["value"] for p in node["properties"])
            and not node.get("name", {}).get("value", "").strip()
        ]

    def picture(self, path, dark=False, width=1280, height=900):
        """Write a picture of the whole page."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.size(width, height)
        given = {"captureBeyondViewport": True}
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", given)["data"]))

    def size(self, width, height):
        """Set the size of the window."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", size)


@contextmanager
def opened(path, at=""):
    """Open a page in a browser of its own."""
    there, ours = os.pipe(), os.pipe()  # what the browser reads, and what it writes
    words = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-pipe",
        "--hide-scrollbars",
    ]
    words += ["--host-resolver-rules=MAP * ~NOTFOUND", "about:blank"]
    script = f'exec "$@" 3<&{there[0]} 4>&{ours[1]}'
    process = subprocess.Popen(
        ["bash", "-c", script, "browser", *words],
        pass_fds=(there[0], ours[1]), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(there[0])
    os.close(ours[1])
    count, session, held = 0, None, b""

    def send(method, params=None):
        nonlocal count, held
        count += 1
        message = {"id": count, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        os.write(there[1], json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in held:
                more = os.read(ours[0], 1 << 20)
                assert more, "the browser has ended"
                held += more
            one, _, held = held.partition(b"\0")
            answer = json.loads(one)
            if answer.get("id") == count:
                assert "error" not in answer, answer
                return answer["result"]

    try:
        targets = send("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        session = send("Target.attachToTarget", {"targetId": page, "flatten": True})["sessionId"]
        found = Page(send)
        send("Page.enable")
        send("Accessibility.enable")
        send("Page.navigate", {"url": path.as_uri() + at})
        ready = "new Promise((r) => setTimeout(() => r(document.readyState), 300))"
        while found.evaluate(ready) != "complete":
            pass
        yield found
    finally:
        process.kill()
        process.wait()
        os.close(there[1])
        os.close(ours[0])
