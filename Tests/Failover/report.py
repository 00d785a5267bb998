"""report.py RESULTS OUTPUT: writes docs/failover.md from what the rows of the failover suite found."""

import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

ROWS = (
    "F01 F02 F03 F04 F05 F06 F07 F08 F09 F11 F13 F14 F15 F16 F18 F19 F20 F22 F23 F24 F29 F30 F33 F34 F35 F36 F38 F39 "
    "F40 F41 F43 F44 F46 F49 F50 F51 F52 F58"
).split()


def said(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "?"


def seconds(milliseconds):
    return f"{milliseconds / 1000:.2f} s"


def times(value):
    if not value or not value["count"]:
        return "–"
    return " / ".join(seconds(value[key]) for key in ("p50", "p99", "max"))


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    debian = pathlib.Path("/etc/debian_version").read_text().strip()
    version = lambda package: said("dpkg-query", "-W", "-f=${Version}", package)
    return (
        f"{os.cpu_count()} cores ({cpu.group(1) if cpu else platform.machine()}), Linux {platform.release()}, "
        f"Debian {debian}; PostgreSQL {version('postgresql-15')}, Patroni {version('patroni')}, "
        f"etcd {version('etcd-server')}, HAProxy {version('haproxy')}"
    )


def elsewhere(log):
    """Tests of the whole system that prove rows on loopback: {row: [(sentence, outcome, seconds)]}."""
    proofs = {}
    if not log.exists():
        return proofs
    pattern = re.compile(r'[✔✘] Test "(.*?)" (?:with \d+ test cases )?(passed|failed) after ([\d.]+) seconds')
    # The log may hold several runs: a test's last one counts, and only while there is such a test.
    last = {sentence: (verdict, time) for sentence, verdict, time in pattern.findall(log.read_text())}
    tests = pathlib.Path(__file__).resolve().parents[1] / "SystemTests"
    source = "".join(path.read_text() for path in sorted(tests.rglob("*.swift")))
    for sentence, (verdict, time) in last.items():
        for row in re.findall(r"F\d\d", sentence) if sentence in source else ():
            proofs.setdefault(row, []).append((sentence, verdict, time))
    return proofs


def proof_section(row, proofs):
    lines = [f"### {row}" , ""] if proofs else []
    for sentence, verdict, time in proofs:
        lines.append(f"- “{sentence}”: {verdict} in {float(time):.0f} s (process test on loopback, debug build).")
    return "\n".join(lines) + "\n"


def outcome(row):
    text = "passed" if not row["failures"] else "**failed**: " + "; ".join(row["failures"])
    return text.replace("|", "\\|").replace("\n", " ")


def section(row):
    lines = [f"### {row['row']}", "", f"- Injected: {row['injected']}.", f"- Expected: {row['expected']}."]
    counts = (
        f"{row['acknowledged']} of {row['sent']} messages acknowledged, {row['refused']} refused, "
        f"{row['unknown']} without an answer; {row['lost']} lost, {row['doubled']} doubled, "
        f"{row['reordered']} reordered, {row['otherBreaks']} other breaks; {row['reconnects']} reconnects"
    )
    if row["sent"]:
        rate = f", at {row['rate']} messages/s" if row.get("rate") else ""
        lines.append(f"- Measured{rate}: {counts}.")
        lines.append(
            f"- Gap per person and injection, p50 / p99 / max: {times(row.get('gap'))}; nobody acknowledged: "
            f"{times(row.get('silence'))}; away: {times(row.get('away'))}."
        )
        if row.get("visible"):
            lines.append(
                f"- From an acknowledgement until the last of those connected had the message live, p50 / p99 / max: "
                f"{times(row['visible'])}."
            )
    lines += [f"- {note}." for note in row["notes"]]
    lines.append(
        f"- {outcome(row)}; {row['build']} build, {row['at']}, {row['seconds']} s. "
        f"Again: `make failover ROWS={row['row']}{' BUILD=debug' if row['build'] == 'debug' else ''}`"
    )
    return "\n".join(lines) + "\n"


def main():
    results, output = map(pathlib.Path, sys.argv[1:3])
    rows = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("F*.json"))}
    for path in sorted(results.glob("F*.json")):
        rows[path.stem].setdefault("notes", [])
    proofs = elsewhere(results / "elsewhere.log")
    missing = [row for row in ROWS if row not in rows and row not in proofs]
    table = ["| row | injected | lost | doubled | reordered | gap p50 / p99 / max | reconnects | |", "|" + "---|" * 8]
    for name, row in rows.items():
        table.append(
            f"| {name} | {row['injected']} | {row['lost']} | {row['doubled']} | {row['reordered']} | "
            f"{times(row.get('gap'))} | {row['reconnects']} | {'passed' if not row['failures'] else '**failed**'} |"
        )
    page = pathlib.Path(__file__).with_name("page.template").read_text()
    missing_text = f"Not in this run: {', '.join(missing)}." if missing else "Every row of the matrix was run."
    builds = " and ".join(sorted({row["build"] for row in rows.values()}))
    values = {
        "date": datetime.date.today().isoformat(),
        "commit": said("git", "rev-parse", "--short", "HEAD"),
        "machine": machine(),
        "build": builds,
        "missing": missing_text,
        "table": "\n".join(table),
        "rows": "\n".join(section(row) for row in rows.values()),
        "elsewhere": "\n".join(proof_section(row, proofs[row]) for row in sorted(proofs)),
    }
    for key, value in values.items():
        page = page.replace("{{" + key + "}}", value)
    output.write_text(page)
    print(f"{output}: {len(rows)} rows, {sum(1 for row in rows.values() if row['failures'])} of them failed.")


main()
