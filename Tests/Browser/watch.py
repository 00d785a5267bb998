#!/usr/bin/env python3
"""Logs in, opens a conversation, and records every message line shown for a while.

Prints one JSON object: `lines` in the order of the page, `connections` (how many WebSockets the page opened),
`doubled` and `missing` numbers, and `ordered`. Meant to run while servers are killed: passes when nothing shown is
doubled, missing or out of order and, unless --allow-reconnects is given, when the page connected once.
"""

import time
from collections import Counter

from messenger import DESKTOP, Failure, Messenger, arguments, password, run


def main():
    parser = arguments(__doc__)
    parser.add_argument("--thread", help="id of the conversation (default: the first in the inbox)")
    parser.add_argument("--title", help="subject of the conversation, waited for until it is in the inbox")
    parser.add_argument("--seconds", type=float, default=60, help="watch for at most this long (default 60)")
    parser.add_argument("--count", type=int, help="end as soon as this many messages are shown and none came for --settle")
    parser.add_argument("--settle", type=float, default=2, help="seconds of quiet that end a watch with --count (default 2)")
    parser.add_argument("--ready-file", help="written once the conversation is open and live")
    parser.add_argument("--allow-reconnects", action="store_true", help="do not fail when the page connected again")
    options = parser.parse_args()
    with Messenger(options.web, DESKTOP, patience=options.patience) as person:
        person.log_in(options.login, password(options.password_file), options.customer)
        thread = person.open_thread(options.thread, options.title, patience=options.seconds)
        if options.ready_file:
            with open(options.ready_file, "w", encoding="utf-8") as file:
                file.write(thread + "\n")
        states = watch(person, options)
        person.expand_all()
        person.screenshot(options.screenshots, "watch")
        result = report(person, thread, states)
    check(result, options)
    return result


def watch(person, options):
    """Waits for the end; answers the states of the connection that were seen."""
    end = time.monotonic() + options.seconds
    states = Counter()
    shown, since = -1, time.monotonic()
    while time.monotonic() < end:
        states[person.state()[0]] += 1
        count = person.script("return document.querySelectorAll(\"#entries > li[data-kind='message']\").length")
        if count != shown:
            shown, since = count, time.monotonic()
        if options.count and shown >= options.count and time.monotonic() - since >= options.settle:
            break
        time.sleep(0.1)
    return states


def report(person, thread, states):
    everything = person.lines()
    numbers = [line["number"] for line in everything]
    lines = [{key: line[key] for key in ("number", "mine", "text")} for line in everything if line["kind"] == "message"]
    present = set(numbers)
    return {
        "thread": thread,
        "connections": person.state()[1],
        "states": dict(states),
        "messages": len(lines),
        "ordered": numbers == sorted(numbers),
        "doubled": [number for number, times in Counter(numbers).items() if times > 1],
        "missing": [number for number in range(min(numbers, default=0), max(numbers, default=-1) + 1)
                    if number not in present],
        "faults": person.faults(ignore_network=True),
        "lines": lines,
    }


def check(result, options):
    problems = []
    if result["doubled"]:
        problems.append(f"numbers shown twice: {result['doubled'][:10]}")
    if result["missing"]:
        problems.append(f"numbers missing: {result['missing'][:10]}")
    if not result["ordered"]:
        problems.append("lines out of order")
    if options.count and result["messages"] < options.count:
        problems.append(f"{result['messages']} messages shown instead of {options.count}")
    if result["connections"] != 1 and not options.allow_reconnects:
        problems.append(f"the page connected {result['connections']} times instead of once")
    if result["faults"]:
        problems.append(f"faults on the page: {result['faults'][:3]}")
    if problems:
        failure = Failure("While watching: " + "; ".join(problems) + ".")
        failure.result = result
        raise failure


if __name__ == "__main__":
    run(main)
