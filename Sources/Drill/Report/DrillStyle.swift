extension DrillReport {
    /// The look of the page: light, dark and on paper.
    static let style: HTML = """
        :root{--back:#f6f7f9;--card:#fff;--text:#1c2430;--quiet:#667085;--line:#e3e7ed;--good:#12805c;--bad:#c8323f;
        --goodback:#e7f5ef;--badback:#fdecee;--stop:#8a5a00;--stopback:#fdf4e0;--band:#c8323f22;--c0:#2f6fde;--c1:#e08a1e;--c2:#0f9a94;--c3:#8a56d8;
        --c4:#c2488f;--c5:#6b8e23}
        @media(prefers-color-scheme:dark){:root{--back:#12161c;--card:#1a2029;--text:#e6e9ee;--quiet:#98a2b3;
        --line:#2d3643;--good:#4cc38a;--bad:#ff7b86;--goodback:#12352a;--badback:#43202a;--stop:#f0ab52;--stopback:#3a2d12;--band:#ff7b8633;
        --c0:#6ea8ff;--c1:#f0ab52;--c2:#4fd1c9;--c3:#b794f6;--c4:#f08cc0;--c5:#b4d455}}
        @media print{:root{--back:#fff;--card:#fff;--text:#000;--quiet:#555;--line:#bbb;--good:#0b6b4b;--bad:#b01828;
        --goodback:#fff;--badback:#fff;--stop:#8a5a00;--stopback:#fff;--band:#b0182822;--c0:#2f6fde;--c1:#e08a1e;--c2:#0f9a94;--c3:#8a56d8}
        main{max-width:none!important;padding:0!important}section,header,.tiles li{break-inside:avoid;box-shadow:none!important}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--back);color:var(--text);
        font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
        -webkit-print-color-adjust:exact;print-color-adjust:exact}
        main{max-width:1100px;margin:0 auto;padding:28px 20px}
        h1{font-size:24px;line-height:1.2;margin:0 0 4px}h2{font-size:16px;margin:0 0 12px}p{margin:0}
        .quiet{color:var(--quiet);font-size:13px}code{font:13px ui-monospace,"Noto Sans Mono",monospace}
        header{display:flex;gap:20px;align-items:center;padding:20px;border-radius:12px;background:var(--goodback);
        border:1px solid var(--good)}
        header.fail{background:var(--badback);border-color:var(--bad)}
        .verdict{font-weight:700;font-size:26px;letter-spacing:.06em;padding:10px 18px;border-radius:8px;color:#fff;
        background:#12805c}
        .fail .verdict{background:#c8323f}
        header.stop{background:var(--stopback);border-color:var(--stop)}.stop .verdict{background:#8a5a00}
        .faults{margin:12px 0 0;padding:14px 14px 14px 34px;border-left:4px solid var(--bad);background:var(--card);
        border-radius:0 8px 8px 0}
        .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(118px,1fr));gap:10px;list-style:none;
        padding:0;margin:16px 0}
        .tiles li{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 12px}
        .tiles span{display:block;color:var(--quiet);font-size:12px;white-space:nowrap}
        .tiles b{font-size:18px;font-variant-numeric:tabular-nums;white-space:nowrap}
        .tiles .bad{border-color:var(--bad)}.tiles .bad b{color:var(--bad)}
        section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:18px;margin:16px 0;
        overflow-x:auto}
        section ul{margin:0;padding-left:20px}
        table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
        table.narrow{width:auto;min-width:60%}
        th{color:var(--quiet);font-weight:600;font-size:12px;text-align:left;vertical-align:bottom}
        th,td{padding:7px 10px 7px 0;border-bottom:1px solid var(--line)}td{vertical-align:top}
        tbody tr:last-child td{border-bottom:0}.n{text-align:right}td.n{white-space:nowrap}
        td.bad{color:var(--bad);font-weight:600}
        .number{display:inline-block;min-width:22px;padding:0 6px;border-radius:11px;background:#c8323f;color:#fff;
        font-size:12px;line-height:22px;text-align:center;font-weight:600}
        svg{display:block;width:100%;min-width:720px;height:auto;font:11px system-ui,"Noto Sans",sans-serif}
        svg text{fill:var(--quiet)}svg .name{fill:var(--text)}svg .grid{stroke:var(--line)}
        svg .row{stroke:var(--line)}svg .band{fill:var(--band)}svg .gap{stroke:var(--bad);stroke-width:5;
        stroke-linecap:round}
        svg .badge{fill:#c8323f}svg .badgetext{fill:#fff;font-weight:600}
        svg .act{stroke:var(--text);stroke-dasharray:3 3}svg .acttext{fill:var(--text)}
        svg .join{fill:var(--card);stroke:var(--text);stroke-width:1.5}
        svg .bar{fill:var(--quiet)}svg .limit{stroke:var(--bad);stroke-dasharray:5 4}
        svg path{stroke-width:1.6}svg .bar{stroke-width:0}
        svg .s0{stroke:var(--c0)}svg .s1{stroke:var(--c1)}svg .s2{stroke:var(--c2)}svg .s3{stroke:var(--c3)}
        svg .s4{stroke:var(--c4)}svg .s5{stroke:var(--c5)}
        .legend{display:flex;flex-wrap:wrap;gap:6px 18px;margin-top:10px;font-size:12.5px;color:var(--quiet)}
        .legend svg{display:inline-block;width:22px;min-width:0;height:12px;vertical-align:-1px;margin-right:4px}
        footer{margin:20px 4px}.tiles .bad b::before,td.bad::before{content:"\\2717\\a0"}
        @media print{section{overflow:visible;padding:10px}svg{min-width:0}table{font-size:9.5px}th{font-size:9px}
        th,td{padding:4px 5px 4px 0}.verdict,.fail .verdict,.stop .verdict{color:#000;background:#fff;border:2px solid}
        .number{color:#000;background:#fff;border:1px solid}svg .badge{fill:#fff;stroke:#000}svg .badgetext{fill:#000}}
        """
}
