"""A real headless Chromium: opens a page, runs a script in it, returns the document it ends with and its console."""

import base64
import hashlib
import re
import shutil
import subprocess

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
)  # fmt: skip


def open_page(page, tmp_path, script, width=1280):
    """(document after `script`, console messages); `script` is let through by its hash, the page's policy stays."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = "script-src &#x27;"
    assert page.count(policy) == 1
    page = page.replace(policy, f"script-src 'sha256-{digest}' &#x27;").replace(
        "</body>", f"<script>{script}</script></body>"
    )
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    command = [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", "--dump-dom"]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120)
    return done.stdout, re.findall(r"CONSOLE.*", done.stderr)
