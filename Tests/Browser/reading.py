#!/usr/bin/env python3
"""What is unread, urgent and read, on a phone and on a desktop of the same person; and a message that cannot be sent.

The first person writes through the interface, the second one reads in two browsers. Passes when a conversation opens at
its first unread message, nothing is called read that was not on screen in a window in front, badges, order and rows are
the server's after a reload, on the other device, after a recall and after a resync, and one bad message blocks no other.
"""

import json
import os
import threading
import time
import urllib.request
import uuid

import websocket

from line import Line
from messenger import DESKTOP, PHONE, Failure, Messenger, arguments, password, run

ROUTINE = 60
LIVES = 10_000
THREADS = 60
PER_THREAD = 35
# A window in front is what the test says; and texts that begin with these words leave the page as frames that no server takes.
HANDS = """
    window.looking = false;
    document.hasFocus = () => window.looking;
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
      const frame = JSON.parse(data);
      if (frame.text?.startsWith("beyond every frame")) data += " ".repeat(4_000_000);
      if (frame.text?.startsWith("beyond every text")) data = JSON.stringify({ ...frame, text: "x".repeat(66_000) });
      return send.call(this, data);
    };
"""


class Author:
    """The first person, through the interface for programs."""

    def __init__(self, web, login, secret, customer):
        self.web = web.rstrip("/")
        self.token = None
        body = {"login": login, "password": secret} | ({"customer": customer} if customer else {})
        answer = self.ask("POST", "/v1/sessions", body)
        self.token, self.id = answer["token"], answer["user"]["id"]

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.web + path, method=method, headers={"Content-Type": "application/json"})
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def find(self, login):
        return self.ask("GET", f"/v1/users?logins={login}")["users"][0]["id"]

    def start(self, reader, subject):
        body = {"clientId": str(uuid.uuid4()), "participants": [reader], "subject": subject}
        return self.ask("POST", "/v1/threads", body)["thread"]["id"]

    def write(self, messages):
        """Sends (thread, text, priority) in this order, all at once, and waits for the answers; answers the last number."""
        live = websocket.create_connection(self.web.replace("http", "ws", 1) + "/v1/live", timeout=30)
        live.send(json.dumps({"kind": "hello", "token": self.token}))
        number = 0

        def push():
            for thread, text, priority in messages:
                live.send(json.dumps({"kind": "send", "ref": "m", "clientId": str(uuid.uuid4()), "thread": thread,
                                      "text": text, "priority": priority}))

        sender = threading.Thread(target=push)
        sender.start()
        waiting = len(messages)
        while waiting:
            frame = json.loads(live.recv())
            if frame["kind"] in ("refused", "bye"):
                raise Failure(f"The first person's message was refused: {frame}.")
            if frame["kind"] == "ack":
                waiting, number = waiting - 1, frame["number"]
        sender.join()
        live.close()
        return number

    def read_by(self, thread, reader):
        people = self.ask("GET", f"/v1/threads/{thread}")["thread"]["participants"]
        return next(person["read"] for person in people if person["id"] == reader)

    def is_read(self, thread, number):
        receipts = self.ask("GET", f"/v1/threads/{thread}/messages/{number}")["receipts"]
        return any("readAt" in receipt for receipt in receipts)

    def recall(self, thread, number):
        self.ask("POST", f"/v1/threads/{thread}/messages/{number}/recall", {"clientId": str(uuid.uuid4())})


class Reader(Messenger):
    """The second person's browser, whose owner looks at it when the test says so."""

    def __init__(self, *parameters, **named):
        super().__init__(*parameters, **named)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": HANDS})

    def look(self, looking=True):
        self.script("looking = arguments[0]; dispatchEvent(new Event(looking ? 'focus' : 'blur'))", looking)

    def row(self, thread):
        return next((row for row in self.inbox() if row["thread"] == thread), None)

    def row_becomes(self, what, thread, **wanted):
        def right():
            row = self.row(thread)
            return row and all(row[key] == value for key, value in wanted.items())

        try:
            self.until(what, right)
        except Failure as late:
            raise Failure(f"{late} The row is {self.row(thread)}.") from late

    def on_screen(self):
        """The numbers of the lines that are on screen as a whole."""
        return self.script("""
            const screen = document.getElementById("history").getBoundingClientRect();
            return Array.from(document.querySelectorAll("#entries > li:not([hidden])")).filter((row) => {
              const box = row.lastElementChild.getBoundingClientRect();
              return box.top >= screen.top && box.bottom <= screen.bottom;
            }).map((row) => Number(row.dataset.number));
        """)

    def new_line(self):
        return self.script("""
            const line = document.querySelector("#entries .new-line");
            return line && [Number(line.parentElement.dataset.number), line.textContent];
        """)

    def jump(self):
        button = self.visible("#jump")
        return button.text if button else None

    def reload(self):
        self.driver.refresh()
        self.until("The page should be live again", lambda: self.state()[0] == "live" and self.inbox())


def main():
    options = arguments(__doc__, people=2).parse_args()
    started = time.monotonic()
    author = Author(options.web, options.login, password(options.password_file), options.customer)
    reader = author.find(options.login2)
    passed = []
    with Line(options.web2 or options.web) as line, \
            Reader(line.address, PHONE, phone=True, patience=options.patience) as phone, \
            Reader(options.web, DESKTOP, dark=True, patience=options.patience) as desktop:
        bed = author.start(reader, "Bed 7")
        author.write([(bed, "Bed 7 potassium 7.1", "urgent")] + routine(bed))
        for person in (phone, desktop):
            person.log_in(options.login2, password(options.password_file2), options.customer)
        scenes = [
            ("the count of urgent messages is right in whatever order things are told", lambda: model(desktop)),
            ("a conversation opens at its first unread message", lambda: opens_at_first_unread(phone, author, bed, reader, options)),
            ("nothing that was skipped is read, and urgent messages are reached by one button",
             lambda: skipping_is_not_reading(phone, author, bed, reader, options)),
            ("badges are right after a reload and on the other device", lambda: badges(phone, desktop, author, bed, reader)),
            ("an urgent message that was taken back counts no more", lambda: recall(phone, desktop, author, reader)),
            ("a new conversation shows its message at once", lambda: new_row(phone, desktop, author, reader)),
            ("a long message is read when its end was seen", lambda: long_message(desktop, author, reader)),
            ("the list is ordered by what people see", lambda: order(desktop, author, reader)),
            ("a message that cannot be sent blocks no other", lambda: unsendable(desktop, author, bed, options)),
            ("a resync replaces every row that was loaded", lambda: resync(phone, line, author, reader)),
        ]
        for name, scene in scenes:
            begun = time.monotonic()
            scene()
            passed.append(f"{name} ({time.monotonic() - begun:.1f} s)")
        for person, name in ((phone, "phone"), (desktop, "desktop")):
            faults = person.faults(ignore_network=True)
            if faults:
                raise Failure(f"The {name} page has faults: {faults[:5]}.")
    return {"passed": passed, "seconds": round(time.monotonic() - started, 1)}


def routine(thread, count=ROUTINE):
    return [(thread, f"routine line {index}", "normal") for index in range(count)]


def model(person):
    """Random lives of a thread, on the page's own modules."""
    with open(os.path.join(os.path.dirname(__file__), "urgent_model.js"), encoding="utf-8") as file:
        source = file.read()
    seed = int(time.time())
    wrong = person.driver.execute_async_script(source, seed, LIVES)
    if wrong:
        raise Failure(f"With seed {seed}, {wrong}.")


def opens_at_first_unread(phone, author, bed, reader, options):
    """62 are unread, of which the second is urgent; nobody looks yet."""
    phone.row_becomes("The row should count what is unread", bed, unread=ROUTINE + 2, urgent=True)
    phone.open_thread(bed)
    line = phone.until("A line should be above the first unread message", phone.new_line)
    if line != [1, f"{ROUTINE + 2} new messages"]:
        raise Failure(f"The line above what is new is {line}.")
    phone.until("The first unread message should be on screen", lambda: 1 in phone.on_screen())
    phone.screenshot(options.screenshots, "reading-first-unread")
    if ROUTINE + 2 in phone.on_screen():
        raise Failure("The conversation was opened at its end.")


def skipping_is_not_reading(phone, author, bed, reader, options):
    time.sleep(1.6)  # Longer than a message must be on screen to count as seen, in a window that is not in front.
    if author.read_by(bed, reader) != 0:
        raise Failure("Messages in a window that is not in front were marked read.")
    phone.find("#newer").click()
    phone.until("The end should be on screen", lambda: ROUTINE + 2 in phone.on_screen())
    phone.until("The urgent message above should be counted", lambda: phone.jump() == "1 urgent above")
    phone.look()
    phone.screenshot(options.screenshots, "reading-urgent-above")
    time.sleep(1.6)  # Long enough for the end to be seen.
    phone.send("On my way", with_button=True)
    own = ROUTINE + 3
    phone.until("The own message should be sent", lambda: own in [line["number"] for line in phone.lines()])
    if author.read_by(bed, reader) != 0 or author.is_read(bed, 2):
        raise Failure("Jumping to the end marked skipped messages read.")
    phone.find("#jump").click()
    phone.until("The urgent message should be on screen", lambda: 2 in phone.on_screen())
    phone.until("The urgent message should be read once it was seen", lambda: author.read_by(bed, reader) >= 2)
    seen = max(phone.on_screen())
    time.sleep(1.0)
    read = author.read_by(bed, reader)
    if not 2 <= read <= seen or author.is_read(bed, seen + 1):
        raise Failure(f"On screen were the messages to {seen}, but read is {read}.")
    if phone.jump() not in (None, "Unread above"):
        raise Failure(f"An urgent message that was read is still offered: {phone.jump()}.")
    phone.look(False)


def badges(phone, desktop, author, bed, reader):
    """What the phone has read is read on the desktop; what is unread is so after a reload, wherever that is."""
    read = author.read_by(bed, reader)
    own = ROUTINE + 3
    for person in (phone, desktop):
        person.row_becomes("The badge should go with the urgent message", bed, unread=own - read, urgent=False)
    author.write([(bed, "Bed 7 is worse", "urgent"), (bed, "routine again", "normal")])
    for person in (phone, desktop):
        person.row_becomes("A new urgent message should be counted", bed, unread=own + 2 - read, urgent=True)
    desktop.reload()
    desktop.row_becomes("The badge should be there after a reload", bed, unread=own + 2 - read, urgent=True)
    phone.look()
    phone.until("The rest should be read as it is seen", lambda: read_on(phone) and author.read_by(bed, reader) == own + 2)
    phone.look(False)
    for person in (phone, desktop):
        person.row_becomes("Nothing should be unread once all was seen", bed, unread=0, urgent=False)
    desktop.reload()
    desktop.row_becomes("Nothing should be unread after a reload", bed, unread=0, urgent=False)


def read_on(person):
    """Goes on by a part of the screen when what is on it was seen, as a person does who reads."""
    time.sleep(1.5)
    person.script("const h = document.getElementById('history'); h.scrollTop += h.clientHeight * 0.85")
    return True


def recall(phone, desktop, author, reader):
    thread = author.start(reader, "Theatre 2")
    first = author.write([(thread, "Come at once", "urgent")])
    author.write([(thread, "Really at once", "urgent")] + routine(thread, 5))
    desktop.reload()  # Its badge comes from the inbox, and it has none of these messages.
    for person in (phone, desktop):
        person.row_becomes("Two urgent messages should be shown", thread, unread=8, urgent=True)
    author.recall(thread, first)
    author.recall(thread, first + 1)
    for person in (phone, desktop):
        person.row_becomes("No urgent message should be left once both were taken back", thread, unread=10, urgent=False)
    desktop.reload()
    desktop.row_becomes("No urgent message should be left after a reload", thread, unread=10, urgent=False)


def new_row(phone, desktop, author, reader):
    thread = author.start(reader, "Bed 12")
    author.write([(thread, "The results are in.", "normal")])
    for person in (phone, desktop):
        person.row_becomes("A new conversation should show its message", thread, last="The results are in.", unread=2)
        when = person.script("return document.querySelector(`[data-thread='${arguments[0]}'] .row-when`).textContent", thread)
        if not when:
            raise Failure("A new conversation shows no time.")
    phone.back()


def long_message(desktop, author, reader):
    """It begins collapsed, and is higher than the screen when it is not."""
    thread = author.start(reader, "Findings")
    author.write([(thread, "\n".join(f"finding {index}" for index in range(80)), "normal")])
    desktop.open_thread(thread)
    desktop.look()
    for showing in ("collapsed", "with its beginning on screen"):
        time.sleep(1.6)  # Longer than a message must be on screen to count as seen.
        if author.read_by(thread, reader) >= 2:
            raise Failure(f"A long message was read {showing}.")
        desktop.expand_all()
    desktop.script("document.getElementById('history').scrollTop = 1e9")
    desktop.until("A long message should be read once its end was seen", lambda: author.is_read(thread, 2))
    desktop.look(False)


def order(desktop, author, reader):
    """Receipts of a conversation come after another one's message: they must not move it."""
    threads = [author.start(reader, f"Order {number}") for number in range(3)]
    for thread in threads:
        author.write([(thread, "please", "normal")])
    wanted = list(reversed(threads))
    desktop.until("The newest message should be first", lambda: [row["thread"] for row in desktop.inbox()[:3]] == wanted)
    desktop.open_thread(threads[0])
    desktop.look()
    desktop.until("The oldest should be read", lambda: author.is_read(threads[0], 2))
    desktop.look(False)
    for reload in (False, True):
        if reload:
            desktop.reload()
        rows = [row["thread"] for row in desktop.inbox()]
        if rows[:3] != wanted:
            raise Failure("A conversation moved up because somebody read it.")


def unsendable(desktop, author, bed, options):
    """The first of three is larger than any server takes, the second than any text may be: the third is sent."""
    desktop.open_thread(bed)
    desktop.until("The conversation should be there", desktop.lines)
    for text in ("beyond every frame", "beyond every text", "a good one"):
        desktop.send(text)
    desktop.until("What waits behind a message that cannot be sent should be sent",
                  lambda: any(line["text"] == "a good one" for line in desktop.messages()))
    failed = desktop.until("Both others should be shown as not sent",
                           lambda: len(rows := desktop.find_all("#pending .failed")) == 2 and [row.text for row in rows])
    if not all(text.startswith("Not sent. ") and text.splitlines()[0] != "Not sent. " for text in failed):
        raise Failure(f"It is not said why messages were not sent: {failed}.")
    desktop.screenshot(options.screenshots, "reading-not-sent")
    connections = desktop.state()[1]
    desktop.reload()
    desktop.until("They should be there after a reload", lambda: len(desktop.find_all("#pending .failed")) == 2)
    desktop.find("#pending .failed button").click()
    desktop.until("The text should be back where it was written",
                  lambda: desktop.find("#text").get_property("value") == "beyond every frame")
    if len(desktop.find_all("#pending .failed")) != 1 or connections > 3:
        raise Failure(f"After editing one, too many are left, or the page connected {connections} times.")


def resync(phone, line, author, reader):
    """More happens than a client is told at once, while the phone has no connection and shows more than one page."""
    threads = [author.start(reader, f"Ward {number}") for number in range(THREADS)]
    author.write([(thread, "before", "normal") for thread in threads])
    phone.reload()
    phone.until("Older conversations should be offered", lambda: phone.visible("#inbox-more")).click()
    phone.until("They should be shown", lambda: len(phone.inbox()) > THREADS)
    line.cut()
    phone.until("The page should have lost its connection", lambda: phone.state()[0] != "live")
    author.write([(thread, f"missed {index}", "urgent" if index == 3 else "normal")
                  for index in range(PER_THREAD) for thread in threads])
    line.mend()
    phone.until("The page should be live again", lambda: phone.state()[0] == "live", 40)
    last = f"missed {PER_THREAD - 1}"

    def wrong():
        rows = {row["thread"]: row for row in phone.inbox()}
        return [row for thread in threads if not (row := rows.get(thread)) or
                (row["last"], row["unread"], row["urgent"]) != (last, PER_THREAD + 2, True)]

    try:
        phone.until("Every row should show what was missed", lambda: not wrong())
    except Failure as late:
        raise Failure(f"{late} {len(wrong())} of {THREADS} are wrong, such as {wrong()[0]}.") from late


if __name__ == "__main__":
    run(main)
