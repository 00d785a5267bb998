#!/usr/bin/env python3
"""Two people in two browsers write to each other: every script, a 60 KB text, and texts that look like HTML.

Passes when both pages show exactly what was written, once and in order, with delivered and read marks, right inboxes,
one connection each, and no fault in the console.
"""

import time
import uuid

from messenger import DESKTOP, PHONE, Failure, Messenger, arguments, password, run

LARGE_BYTES = 60 * 1024
TEXTS = {
    "Latin": "Grüße! Ça va? Žluťoučký kůň. The dose is 2 × 500 mg, “twice a day” — until Friday.",
    "Arabic": "مرحبا دكتور، نتائج التحاليل جاهزة (CRP = 12) وشكراً لك.",
    "Chinese": "患者已送回病房，情况稳定。請在三點前回覆。",
    "emoji with joiners": "👩🏽‍⚕️👨‍👩‍👧‍👦🏳️‍🌈❤️‍🔥🇺🇦👍🏿 ok",
    "several lines": "first line\n\n  third line, indented\n\tand a tab",
    "script element": "<script>document.title='owned'</script><b>bold?</b>",
    "image with handler": "<img src=x onerror=\"document.title='owned'\">",
    "link with script": "javascript:document.title='owned' <a href=\"javascript:alert(1)\">x</a> &amp; &lt;",
    "direction override": "before \u202eafter\u202c end",
}


def large_text():
    """A text of exactly 60 KB in UTF-8 that mixes scripts, in many lines."""
    line = "Ward 4, bed 12: 血压 120/80, نبض ٧٢, stable 👩🏽‍⚕️. "
    text = "".join(f"{number:04d} {line}\n" for number in range(2_000)).encode()[:LARGE_BYTES].decode(errors="ignore")
    return text + "." * (LARGE_BYTES - len(text.encode()))


def main():
    options = arguments(__doc__, people=2).parse_args()
    started = time.monotonic()
    subject = f"Ward round {uuid.uuid4().hex[:8]} <i>&amp;</i>"
    with Messenger(options.web, DESKTOP, patience=options.patience) as one, \
            Messenger(options.web2 or options.web, PHONE, phone=True, dark=True, patience=options.patience) as two:
        one.log_in(options.login, password(options.password_file), options.customer)
        two.log_in(options.login2, password(options.password_file2), options.customer)

        thread = one.start_thread([options.login2], subject)
        written = exchange(one, two, thread, subject)
        check_marks(one, two)
        check_recall(one, two, written)
        check_inboxes(one, two, thread, subject)
        for person, name in ((one, "desktop"), (two, "phone")):
            person.screenshot(options.screenshots, f"exchange-{name}")
            check_page(person, name)
        return {
            "thread": thread, "messages": len(written), "texts": list(TEXTS) + ["60 KB"],
            "connections": [one.state()[1], two.state()[1]], "seconds": round(time.monotonic() - started, 1),
        }


def exchange(one, two, thread, subject):
    """Each text goes both ways; answers all of them in order as (text, written by the first person, urgent)."""
    first = "Hello, can you see this?"
    one.send(first)
    unread = two.until("The second person should see the unread message in the inbox",
                       lambda: next((row for row in two.inbox() if row["thread"] == thread and row["unread"] > 0), None))
    if unread["title"] != subject:
        raise Failure(f"The inbox shows the subject as {unread['title']!r} instead of {subject!r}.")
    wait_for_mark(one, "delivered", "before the second person opened it")
    two.open_thread(thread)
    written = [(first, True, False)]
    for number, text in enumerate(TEXTS.values()):
        urgent = number == 1
        one.send(text, urgent=urgent)
        written.append((text, True, urgent))
        wait_for_texts(one, two, written)
        two.send(text, with_button=True)
        written.append((text, False, False))
        wait_for_texts(one, two, written)
    one.send(large_text(), with_button=True)
    written.append((large_text(), True, False))
    wait_for_texts(one, two, written)
    return written


def wait_for_texts(one, two, written):
    """Waits until both pages show all texts, then checks them: right, once, in order."""
    for person, is_first in ((one, True), (two, False)):
        whose = "The first" if is_first else "The second"
        person.until(f"{whose} person's page should show {len(written)} messages",
                     lambda: len(person.messages()) >= len(written) and not person.find_all("#pending > li"))
        person.expand_all()
        lines = person.messages()
        expected = [(text, by_first == is_first, urgent) for text, by_first, urgent in written]
        shown = [(line["text"], line["mine"], line["urgent"]) for line in lines]
        if shown != expected:
            wrong = next((pair for pair in zip(shown, expected) if pair[0] != pair[1]), (len(shown), len(expected)))
            raise Failure(f"{whose} person's page shows {str(wrong[0])[:200]!r} instead of {str(wrong[1])[:200]!r}.")
        numbers = [line["number"] for line in person.lines()]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise Failure(f"{whose} person's page has holes or doubles in the numbers: {numbers}.")


def wait_for_mark(person, mark, when):
    person.until(f"The last own message should be marked {mark} {when}",
                 lambda: any(line["mark"] in (mark, "read")
                             for line in [line for line in person.messages() if line["mine"]][-1:]))


def check_marks(one, two):
    """Every message is read by the other once both have gone through all that was unread; the details say when."""
    one.until("All messages should be marked read",
              lambda: one.read_on() and two.read_on() and
              all(line["mark"] == "read" for person in (one, two) for line in person.messages() if line["mine"]))
    one.find_all("#entries .mark")[0].click()
    one.until("The details should say when the other person read the message",
              lambda: "Read" in one.find("#dialog-body .people").text)
    one.find("#dialog-close").click()


def check_recall(one, two, written):
    """The first person takes the first message back; both pages show so and the text is gone."""
    one.find_all("#entries .mark")[0].click()
    one.until("Taking back should be offered", lambda: one.visible("#dialog-body .danger")).click()
    for person in (one, two):
        person.until("The message should be shown as taken back",
                     lambda: any(line["kind"] == "recalled-message" for line in person.lines()))
        if any(line["text"] == written[0][0] for line in person.lines()):
            raise Failure("The text of a message that was taken back is still on the page.")


def check_inboxes(one, two, thread, subject):
    two.back()
    for person in (one, two):
        row = person.until("The conversation should be first in the inbox with nothing unread",
                           lambda: next((row for row in person.inbox()[:1]
                                         if row["thread"] == thread and row["unread"] == 0), None))
        if row["title"] != subject or "took back" not in row["last"]:
            raise Failure(f"The inbox row is wrong: {row}.")


def check_page(person, name):
    state, connections = person.state()
    if (state, connections) != ("live", 1):
        raise Failure(f"The {name} page is {state!r} after {connections} connections instead of live after one.")
    if "owned" in person.driver.title:
        raise Failure(f"A message ran as a script on the {name} page.")
    faults = person.faults()
    if faults:
        raise Failure(f"The {name} page has faults: {faults[:5]}.")


if __name__ == "__main__":
    run(main)
