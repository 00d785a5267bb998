#!/usr/bin/env python3
"""What people do every day beyond writing: paging back, adding, leaving, being offline, looking away, logging out.

Passes when each of the steps behaves as it should; the result names them. Takes a third person where --login3 is given.
"""

import uuid

from messenger import DESKTOP, PHONE, Failure, Messenger, arguments, password, run

HISTORY = 130
OFFLINE = 5


def main():
    parser = arguments(__doc__, people=2)
    parser.add_argument("--login3", help="user name of somebody to add to a conversation; not logged in")
    options = parser.parse_args()
    passed = []
    with Messenger(options.web, DESKTOP, patience=options.patience) as one, \
            Messenger(options.web2 or options.web, PHONE, phone=True, patience=options.patience) as two:
        refuse_wrong_password(one, options)
        passed.append("a wrong password is refused in plain words")
        one.log_in(options.login, password(options.password_file), options.customer)
        two.log_in(options.login2, password(options.password_file2), options.customer)
        title = f"Everyday {uuid.uuid4().hex[:8]}"
        thread = one.start_thread([options.login2], title)
        two.open_thread(thread)

        read_only_when_visible(one, two)
        passed.append("what arrives in a hidden tab is delivered but not read")
        write_offline(one, two)
        passed.append("messages written offline are sent once, in order")
        page_back(one, two)
        passed.append("earlier messages load upwards, without holes")
        if options.login3:
            add_person(one, two, options.login3)
            passed.append("somebody can be added")
        leave(one, two)
        passed.append("somebody can leave, and cannot write any more")
        log_out(one)
        passed.append("logging out leaves nothing in the browser")
        for person, name in ((one, "first"), (two, "second")):
            faults = person.faults(ignore_network=True)
            if faults:
                raise Failure(f"The {name} page has faults: {faults[:5]}.")
    return {"thread": thread, "passed": passed}


def refuse_wrong_password(person, options):
    try:
        person.log_in(options.login, "certainly not " + uuid.uuid4().hex, options.customer)
    except Failure as refusal:
        if not str(refusal).startswith("The log-in was refused: "):
            raise
        person.faults()  # The browser itself notes the 401 in its console.
        return
    raise Failure("A wrong password was accepted.")


def read_only_when_visible(one, two):
    """The second person looks at another tab while a message comes."""
    window = two.driver.current_window_handle
    two.driver.switch_to.new_window("tab")
    other = two.driver.current_window_handle
    one.send("Are you looking?")
    one.until("The message should be delivered to the hidden tab", lambda: last_mark(one) == "delivered")
    if last_mark(one) == "read":
        raise Failure("A message in a hidden tab was marked read.")
    two.driver.switch_to.window(other)
    two.driver.close()
    two.driver.switch_to.window(window)
    one.until("The message should be read once the tab is visible", lambda: last_mark(one) == "read")


def last_mark(person):
    own = [line for line in person.messages() if line["mine"]]
    return own[-1]["mark"] if own else None


def write_offline(one, two):
    one.driver.set_network_conditions(offline=True, latency=0, throughput=10_000_000)
    texts = [f"written offline {number}" for number in range(OFFLINE)]
    for text in texts:
        one.send(text)
    one.until("The page should say that it is offline", lambda: one.visible("#connection"))
    one.driver.set_network_conditions(offline=False, latency=0, throughput=10_000_000)
    one.until("Everything should be sent once the network is back", lambda: not one.find_all("#pending > li"), 60)
    two.until("The second person should get what was written offline",
              lambda: len([line for line in two.messages() if not line["mine"]]) >= OFFLINE + 1)
    for person in (one, two):
        shown = [line["text"] for line in person.messages() if line["text"].startswith("written offline")]
        if shown != texts:
            raise Failure(f"Written offline were {texts}, but shown is {shown}.")


def page_back(one, two):
    """More than a page is written; the second person opens the conversation anew and goes back to its beginning."""
    for number in range(HISTORY):
        one.send(f"history {number}")
    one.until("The history should be sent", lambda: not one.find_all("#pending > li"), 60)
    two.driver.refresh()
    two.until("The conversation should open again", lambda: two.visible("#entries > li"))
    first = two.lines()[0]["number"]
    if first == 1:
        raise Failure("The whole history was loaded at once.")

    def at_beginning():
        two.script("document.getElementById('history').scrollTop = 0")
        return two.lines()[0]["number"] == 1

    two.until("Going up should load the beginning", at_beginning)
    numbers = [line["number"] for line in two.lines()]
    if numbers != list(range(1, len(numbers) + 1)):
        raise Failure("The history has holes or doubles after going up.")


def add_person(one, two, login):
    one.find("#people-open").click()
    one.until("Adding should be offered", lambda: one.visible("#dialog-body .primary")).click()
    one.until("The search should appear", lambda: one.visible("#people-search")).send_keys(login)
    one.until("The person should be found", lambda: one.visible(f".people input[data-login='{login}']")).click()
    one.find("#dialog-body > .primary").click()
    for person in (one, two):
        person.until("The page should say who was added",
                     lambda: any(line["kind"] == "added" and "Someone" not in line["text"] for line in person.lines()))
        person.until("Three people should be in the conversation",
                     lambda: person.find("#thread-people").text.startswith("3 people"))


def leave(one, two):
    two.find("#people-open").click()
    two.until("Leaving should be offered", lambda: two.visible("#dialog-body .danger")).click()
    two.until("Leaving should be asked about", lambda: two.visible("#dialog-body .plain"))
    two.find("#dialog-body > .danger").click()
    two.until("The page should say that one has left", lambda: two.visible("#thread-notice") and not two.visible("#composer"))
    one.until("The other page should say who left", lambda: any(line["kind"] == "left" for line in one.lines()))


def log_out(person):
    person.find("#log-out").click()
    person.until("The log-in form should appear", lambda: person.visible("#login-name"))
    kept = person.script("return [...Object.keys(sessionStorage), ...Object.keys(localStorage)]")
    shown = person.script("return document.querySelectorAll('#entries > li, #threads > li').length")
    if kept or shown:
        raise Failure(f"After logging out the browser still keeps {kept} and shows {shown} lines.")


if __name__ == "__main__":
    run(main)
