#!/usr/bin/env python3
"""Logs in and reloads the page some times: it must be live soon each time, at its first attempt.

Meant to run through a load balancer: whatever connection that one sends the upgrade on, it is answered.
"""

import time

from messenger import DESKTOP, Failure, Messenger, arguments, password, run


def main():
    parser = arguments(__doc__)
    parser.add_argument("--reloads", type=int, default=4, help="how often the page is loaded again (default 4)")
    parser.add_argument("--within", type=float, default=10, help="seconds in which it must be live (default 10)")
    options = parser.parse_args()
    with Messenger(options.web, DESKTOP, patience=options.patience, any_certificate=True) as person:
        person.log_in(options.login, password(options.password_file), options.customer)
        check(person)
        seconds = []
        for _ in range(options.reloads):
            person.driver.refresh()
            start = time.monotonic()
            person.until("The page should be live again", lambda: person.state()[0] == "live", patience=options.within)
            seconds.append(round(time.monotonic() - start, 2))
            check(person)
        return {"seconds": seconds, "faults": person.faults(ignore_network=True)}


def check(person):
    attempts = person.state()[1]
    if attempts != 1:
        raise Failure(f"The page needed {attempts} connections to be live instead of one.")


if __name__ == "__main__":
    run(main)
