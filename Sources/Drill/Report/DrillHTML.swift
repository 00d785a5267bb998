import Synthetic

extension DrillReport {
    /// The report as one page without scripts and without anything from elsewhere.
    package var html: String {
        let title = String(verdict.outcome.word.prefix(1) + verdict.outcome.word.dropFirst().lowercased())
        let page: HTML = """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
            <title>Failover drill: \(title) (\(record.clock(at: .zero)) UTC)</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <main>
            \(heading)
            \(tiles)
            <section>
            <h2>What people had</h2>
            \(Timeline(self).html)
            </section>
            <section>
            <h2>Interruptions</h2>
            \(interruptionTable)
            </section>
            \(takeoverList)
            <section>
            <h2>What was used before the first failover</h2>
            \(coverageTable)
            </section>
            \(notes)
            \(explanation)
            </main>
            </body>
            </html>

            """
        return page.text
    }

    private var heading: HTML {
        let word = verdict.outcome.word
        let state: HTML
        let sentence: String
        switch verdict.outcome {
        case .passed:
            state = "pass"
            sentence =
                "Nothing was lost, doubled or put out of order, and no gap was longer than "
                + "\(record.plan.longestGap.rounded(1)) s."
        case .failed:
            state = "fail"
            sentence = "Read the reasons below before you rely on this deployment."
        case .stopped:
            state = "stop"
            sentence = "Nothing was wrong until somebody stopped it: run it to its end before you rely on it."
        }
        let reasons: [HTML] = faults.map { "<li>\($0)</li>" }
        return """
            <header class="\(state)">
            <p class="verdict">\(word)</p>
            <div>
            <h1>Failover drill</h1>
            <p>\(sentence)</p>
            <p class="quiet">\(record.clock(at: .zero)) UTC, \(record.plan.duration.rounded(0)) s at \
            \(decimal(record.plan.rate, 1)) messages a second over \(record.paths.count) sessions</p>
            </div>
            </header>
            \(faults.isEmpty ? "" : "<ul class=\"faults\">\(reasons)</ul>" as HTML)
            """
    }

    private var tiles: HTML {
        let tiles: [(String, String, Bool)] = [
            ("Acknowledged", "\(acknowledged) of \(sent)", unanswered + refused > 0),
            ("Lost", "\(audit.lost.count)", !audit.lost.isEmpty),
            ("Doubled", "\(audit.doubled.count)", !audit.doubled.isEmpty),
            ("Out of order", "\(audit.reordered.count)", !audit.reordered.isEmpty),
            ("Not shown live", "\(audit.missedLive.count)", !audit.missedLive.isEmpty),
            ("Longest gap", "\(longestGap.rounded(2)) s", longestGap > record.plan.longestGap),
            ("Reconnects", "\(record.reconnects.count)", false),
            ("Median wait", "\(milliseconds(acknowledgements.quantile(0.5))) ms", false),
        ]
        let items: [HTML] = tiles.map { title, value, isBad in
            "<li class=\"\(isBad ? "bad" : "good")\"><span>\(title)</span><b>\(value)</b></li>"
        }
        return "<ul class=\"tiles\">\(items)</ul>"
    }

    private var interruptionTable: HTML {
        guard !parts.isEmpty else {
            return "<p>There was none: no message waited longer than \(threshold.rounded(2)) s.</p>"
        }
        let rows: [HTML] = parts.enumerated().map { row($1, number: $0 + 1) }
        return """
            <table>
            <thead><tr><th>#</th><th>Began (UTC)</th><th>What stood still</th><th class="n">Gap p50</th>\
            <th class="n">p99</th><th class="n">max</th><th class="n">Sessions</th>\
            <th class="n">Acknow&shy;ledged</th><th class="n">Lost</th><th class="n">Doubled</th>\
            <th class="n">Out of order</th><th class="n">Recon&shy;nects</th></tr></thead>
            <tbody>\(rows)</tbody>
            </table>
            """
    }

    private func row(_ part: Part, number: Int) -> HTML {
        let interruption = part.interruption
        let isLong = interruption.longestGap > record.plan.longestGap || !interruption.isOver
        let gaps = interruption.gapTexts
        func cell(_ value: String, isBad: Bool = false) -> HTML {
            "<td class=\"n\(isBad ? " bad" : "")\">\(value)</td>"
        }
        let actions: [HTML] = part.actions.map {
            "<br><span class=\"quiet\">at +\($0.at.rounded(2)) s: \($0.text)</span>"
        }
        let open = interruption.isOver ? "" : " (not over)"
        return """
            <tr><td><span class="number">\(number)</span></td>\
            <td>\(time(interruption.began))<br><span class="quiet">+\(interruption.began.rounded(2)) s</span></td>\
            <td>\(part.cause.text)\(actions)</td>\
            \(cell(gaps[0] + " s"))\(cell(gaps[1] + " s"))\(cell(gaps[2] + " s" + open, isBad: isLong))\
            \(cell("\(interruption.gaps.count) of \(record.paths.count)"))\
            \(cell("\(part.acknowledged) of \(part.sent)", isBad: part.acknowledged < part.sent))\
            \(cell("\(part.lost)", isBad: part.lost > 0))\(cell("\(part.doubled)", isBad: part.doubled > 0))\
            \(cell("\(part.reordered)", isBad: part.reordered > 0))\(cell("\(part.reconnects)"))</tr>
            """
    }

    private var takeoverList: HTML {
        guard !takeovers.isEmpty else { return "" }
        let items: [HTML] = takeovers.map { takeover in
            "<li><b>+\(takeover.at.rounded(2)) s</b> \(takeover.text)</li>"
        }
        return "<section><h2>Sessions that went over to other servers</h2><ul>\(items)</ul></section>"
    }

    private var coverageTable: HTML {
        func row(_ kind: String, _ name: String, _ detail: String, _ count: Int) -> HTML {
            """
            <tr><td>\(kind)</td><td><code>\(name)</code> <span class="quiet">\(detail)</span></td>\
            <td class="n\(count == 0 ? " bad" : "")">\(count == 0 ? "never used" : "\(count)")</td></tr>
            """
        }
        let webs = coverage.webs.map { web in
            row("Web Service", web.address, web.names.sorted().joined(separator: ", "), web.acknowledged)
        }
        let servers = coverage.servers.map { row("ASM Service", $0.address, "", $0.acknowledged) }
        return """
            <table class="narrow">
            <thead><tr><th>Kind</th><th>Address</th><th class="n">Messages taken</th></tr></thead>
            <tbody>\(webs)\(servers)</tbody>
            </table>
            """
    }

    private var notes: HTML {
        guard !record.notes.isEmpty else { return "" }
        let items: [HTML] = record.notes.map { "<li>\($0)</li>" }
        return "<section><h2>Notes</h2><ul>\(items)</ul></section>"
    }

    private var explanation: HTML {
        """
        <footer class="quiet">
        <p>A gap is the time from the sending of a message that had to wait until its session was answered again, as \
        a person with an app has it. A session sends every \(record.spacing.rounded(2)) s, so gaps and their \
        beginnings are exact to that. Waits below \(threshold.rounded(2)) s are no interruption. In the end every \
        reader read the whole thread at every web address; each acknowledged message must stand there once, in \
        order.</p>
        </footer>
        """
    }

    private func time(_ time: Duration) -> String { String(record.clock(at: time).dropFirst(11)) }

    private func milliseconds(_ nanoseconds: UInt64) -> String { decimal(Double(nanoseconds) / 1e6, 1) }
}
