"""Drives the messenger page in a real headless Chromium, the way a person would use it."""

import argparse
import json
import os
import sys
import time

from selenium import webdriver
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMEDRIVER = os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")
PHONE = (390, 844)
DESKTOP = (1280, 800)

# Runs before the page's own scripts: notes what must never happen.
FAULT_RECORDER = """
    window.faults = [];
    addEventListener("securitypolicyviolation", (event) =>
      faults.push(`content security policy: ${event.violatedDirective} ${event.blockedURI}`));
    addEventListener("error", (event) => faults.push(`error: ${event.message}`));
    addEventListener("unhandledrejection", (event) => faults.push(`rejection: ${event.reason}`));
"""

READ_LINES = """
    return Array.from(document.querySelectorAll("#entries > li"), (row) => ({
      number: Number(row.dataset.number),
      kind: row.dataset.kind,
      mine: row.classList.contains("mine"),
      urgent: row.classList.contains("urgent"),
      text: row.querySelector(".text")?.textContent ?? row.textContent,
      collapsed: row.querySelector(".show-all[aria-expanded='false']") !== null,
      mark: row.dataset.mark ?? null,
    }));
"""


class Failure(Exception):
    """What is wrong, in a plain sentence."""


class Messenger:
    """One person's browser. Use as a context manager: the browser ends with it."""

    def __init__(self, web, size=DESKTOP, phone=False, dark=False, patience=20.0, any_certificate=False):
        self.web = web.rstrip("/")
        self.patience = patience
        options = Options()
        options.binary_location = CHROMIUM
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--lang=en-GB"):
            options.add_argument(flag)
        if any_certificate:
            options.add_argument("--ignore-certificate-errors")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if phone:
            metrics = {"width": size[0], "height": size[1], "pixelRatio": 2.0, "mobile": True, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        self.driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
        self.driver.set_script_timeout(patience)
        if not phone:
            view = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": FAULT_RECORDER})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    # Looking

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def script(self, source, *parameters):
        return self.driver.execute_script(source, *parameters)

    def until(self, what, condition, patience=None):
        """Waits until `condition()` is true and answers its value; otherwise fails saying `what` did not come."""
        end = time.monotonic() + (patience or self.patience)
        while True:
            try:
                value = condition()
                if value:
                    return value
            except (StaleElementReferenceException, JavascriptException):
                pass
            if time.monotonic() > end:
                raise Failure(f"{what}, but it did not happen within {patience or self.patience:g} s.")
            time.sleep(0.05)

    def visible(self, selector):
        return next((element for element in self.find_all(selector) if element.is_displayed()), None)

    def state(self):
        """The state of the live connection and how many connections the page has opened."""
        return self.script("const d = document.documentElement.dataset; return [d.live ?? null, Number(d.connections ?? 0)]")

    def lines(self):
        """Every line of the open conversation, in the order of the page."""
        return self.script(READ_LINES)

    def messages(self):
        return [line for line in self.lines() if line["kind"] == "message"]

    def inbox(self):
        """The rows of the inbox as a person reads them."""
        return self.script("""
            return Array.from(document.querySelectorAll("#threads > li"), (row) => ({
              thread: row.dataset.thread,
              title: row.querySelector(".row-title").textContent,
              last: row.querySelector(".row-last").textContent,
              unread: parseInt(row.querySelector(".badge:not(.urgent)")?.textContent ?? "0", 10),
              urgent: row.querySelector(".badge.urgent") !== null,
            }));
        """)

    def faults(self, ignore_network=False):
        """Content security policy violations, script errors and console errors since the page was opened."""
        found = list(self.script("return window.faults ?? []"))
        for record in self.driver.get_log("browser"):
            if record["level"] == "SEVERE" and not (ignore_network and record.get("source") == "network"):
                found.append(f"console: {record['message']}")
        return found

    # Doing

    def log_in(self, login, password, customer=None, keep=False):
        self.driver.get(self.web + "/")
        self.until("The log-in form should appear", lambda: self.visible("#login-name"))
        self.find("#login-name").send_keys(login)
        self.find("#login-password").send_keys(password)
        if customer:
            self.script("document.getElementById('login-more').open = true")
            self.find("#login-customer").send_keys(customer)
        if keep:
            self.find("#login-keep").click()
        self.find("#login-button").click()
        self.until(f"{login} should be logged in", self.logged_in_or_refused)
        self.until(f"{login} should be connected live", lambda: self.state()[0] == "live")

    def logged_in_or_refused(self):
        error = self.visible("#login-error")
        if error and error.text:
            raise Failure(f"The log-in was refused: {error.text}")
        return self.visible("#messenger")

    def start_thread(self, logins, subject):
        """Starts a conversation with these people through the search; answers its id."""
        self.find("#new-thread").click()
        for login in logins:
            search = self.until("The search should appear", lambda: self.visible("#people-search"))
            search.clear()
            search.send_keys(login)
            box = self.until(f"The search should find {login}",
                             lambda: self.visible(f".people input[data-login='{login}']"))
            if not box.is_selected():
                box.click()
        if subject:
            self.find("#subject").click()
            self.insert(subject)
        self.find("#dialog-body > .primary").click()
        return self.until("The new conversation should open", self.open_thread_id)

    def open_thread_id(self):
        fragment = self.script("return location.hash")
        opened = fragment.startswith("#/thread/") and self.visible("#thread-title")
        return fragment.removeprefix("#/thread/") if opened else None

    def open_thread(self, thread=None, title=None, patience=None):
        """Opens a conversation by its id or title from the inbox, as soon as it is there; answers its id."""
        def row():
            for found in self.inbox():
                if (thread is None or found["thread"] == thread) and (title is None or found["title"] == title):
                    return found
            return None

        what = f"The conversation {title or thread or ''} should be in the inbox"
        chosen = self.until(what, row, patience)["thread"]
        self.find(f"#threads > li[data-thread='{chosen}'] > a").click()
        self.until("The conversation should open",
                   lambda: self.open_thread_id() == chosen and self.visible("#history"))
        return chosen

    def back(self):
        self.find("#thread-back").click()
        self.until("The inbox should appear", lambda: self.visible("#threads"))

    def insert(self, text):
        """Types any text at once, as an input method does: WebDriver's keys know no emoji."""
        self.driver.execute_cdp_cmd("Input.insertText", {"text": text})

    def send(self, text, urgent=False, with_button=False):
        box = self.until("The message field should be there", lambda: self.visible("#text"))
        box.click()
        if urgent:
            self.find("#urgent").click()
            box.click()
        self.insert(text)
        if with_button:
            self.find("#send").click()
        else:
            box.send_keys(Keys.ENTER)

    def read_on(self):
        """Goes to what is unread above, or else to the end, when there was time to see what is on screen; answers True."""
        if time.monotonic() - getattr(self, "read_at", 0.0) > 1.5:
            self.read_at = time.monotonic()
            above = self.visible("#jump:not(.below)")
            if above:
                above.click()
            else:
                self.script("document.getElementById('history').scrollTop = 1e9")
        return True

    def expand_all(self):
        self.script("document.querySelectorAll(\"#entries .show-all[aria-expanded='false']\").forEach((b) => b.click())")

    def screenshot(self, folder, name):
        if not folder:
            return
        os.makedirs(folder, exist_ok=True)
        self.driver.save_screenshot(os.path.join(folder, f"{name}.png"))


def arguments(description, people=1):
    """The arguments all these programs share; `--login2` and so on where two people take part."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--web", required=True, help="address of the first web service, such as http://127.0.0.1:8080")
    parser.add_argument("--customer", help="name of the organisation, only where log-ins need it")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds to wait for each step (default 20)")
    for suffix in [""] + [str(person) for person in range(2, people + 1)]:
        parser.add_argument(f"--login{suffix}", required=True, help="user name")
        parser.add_argument(f"--password-file{suffix}", required=True, help="file whose first line is the password")
    if people > 1:
        parser.add_argument("--web2", help="address of the second person's web service (default: the first)")
    parser.add_argument("--screenshots", metavar="FOLDER", help="where to put screenshots; none without it")
    return parser


def password(path):
    with open(path, encoding="utf-8") as file:
        return file.readline().rstrip("\r\n")


def run(main):
    """Runs `main()`, prints its result as one JSON object, and ends with 0, or with 1 and a sentence."""
    try:
        result = {"ok": True, **main()}
    except (Failure, WebDriverException, OSError) as problem:
        sentence = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        result = {"ok": False, "problem": sentence, **getattr(problem, "result", {})}
    print(json.dumps(result, ensure_ascii=False))
    if not result["ok"]:
        print(result["problem"], file=sys.stderr)
    sys.exit(0 if result["ok"] else 1)
