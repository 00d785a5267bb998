#!/usr/bin/env python3
"""Takes screenshots of the messenger page on a phone and on a desktop, light and dark, to be looked at.

Each size shows the log-in form, the inbox, a conversation, its people, a new conversation and, where there is an own
message, its details. Fails when a page is wider than its screen or has a fault in its console.
"""

from messenger import DESKTOP, PHONE, Failure, Messenger, arguments, password, run

SMALL_PHONE = (360, 640)
SIZES = {
    "phone-light": (PHONE, True, False), "phone-dark": (PHONE, True, True), "small-phone-light": (SMALL_PHONE, True, False),
    "desktop-light": (DESKTOP, False, False), "desktop-dark": (DESKTOP, False, True),
}


def main():
    parser = arguments(__doc__)
    parser.add_argument("--title", help="subject of the conversation to show (default: the first in the inbox)")
    options = parser.parse_args()
    if not options.screenshots:
        parser.error("--screenshots FOLDER is required")
    taken = []
    for name, (size, phone, dark) in SIZES.items():
        with Messenger(options.web, size, phone=phone, dark=dark, patience=options.patience) as person:
            walk(person, options, name, taken)
    return {"screenshots": taken}


def walk(person, options, name, taken):
    def shot(view):
        if person.script("return document.documentElement.scrollWidth > innerWidth"):
            raise Failure(f"The {view} view is wider than the screen of {name}.")
        person.screenshot(options.screenshots, f"{name}-{view}")
        taken.append(f"{name}-{view}.png")

    person.driver.get(options.web)
    person.until("The log-in form should appear", lambda: person.visible("#login-name"))
    shot("log-in")
    person.log_in(options.login, password(options.password_file), options.customer)
    person.until("The inbox should hold a conversation", person.inbox)
    shot("inbox")
    person.open_thread(title=options.title)
    person.until("The conversation should have lines", person.lines)
    shot("conversation")
    person.find("#people-open").click()
    person.until("The people should appear", lambda: person.visible("#dialog-body .person"))
    shot("people")
    person.find("#dialog-close").click()
    marks = person.find_all("#entries .mark")
    if marks:
        marks[-1].click()
        person.until("The details should appear", lambda: person.visible("#dialog-body .person"))
        shot("details")
        person.find("#dialog-close").click()
    if person.visible("#thread-back"):
        person.back()
    person.find("#new-thread").click()
    person.until("The search should appear", lambda: person.visible("#people-search")).send_keys("a")
    person.until("The search should find somebody with an a", lambda: person.visible(".picker .person"))
    shot("new-conversation")
    faults = person.faults()
    if faults:
        raise Failure(f"The page has faults on {name}: {faults[:5]}.")


if __name__ == "__main__":
    run(main)
