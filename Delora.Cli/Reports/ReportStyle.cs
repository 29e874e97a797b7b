namespace Delora.Cli;

/// <summary>The style sheet of <see cref="HtmlReport"/>, in colors that stay apart for readers who see some of them alike.</summary>
internal static class ReportStyle
{
    /// <summary>Free of &lt;, &gt; and &amp;, which XML would escape and HTML's style element would not read back.</summary>
    public const string Css = """

        :root {
          --ground: #ffffff; --card: #f6f7f9; --text: #1b2430; --soft: #566273; --rule: #dfe4ea; --edge: #9aa5b4;
          --c0: #0b65c2; --c1: #c2500a; --c2: #0b7f5b; --c3: #7a45c4; --c4: #b0286e;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #12161c; --card: #1a2029; --text: #e8ecf1; --soft: #a3afbd; --rule: #2b3441; --edge: #5d6a7a;
            --c0: #6db3ff; --c1: #ffa05a; --c2: #4cd0a0; --c3: #bc9cff; --c4: #ff8cc0;
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0; background: var(--ground); color: var(--text);
          font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
        }
        main { max-width: 76rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
        h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 .5rem; }
        h2 {
          font-size: 1.25rem; letter-spacing: -0.01em; margin: 2.75rem 0 .75rem; padding-top: 1.25rem;
          border-top: 1px solid var(--rule);
        }
        p { max-width: 46rem; margin: .5rem 0; }
        .lead { color: var(--soft); font-size: 1.1rem; }
        .figures {
          display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1rem; margin: 1.25rem 0;
        }
        .figures div {
          display: flex; flex-direction: column-reverse; justify-content: flex-end; background: var(--card);
          border-radius: 10px; padding: .9rem 1.1rem;
        }
        .figures dt { color: var(--soft); font-size: .875rem; line-height: 1.35; }
        .figures dd {
          margin: 0; font-size: 1.6rem; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums;
        }
        .scroll { overflow-x: auto; margin: 1.25rem 0; }
        table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
        caption { text-align: left; color: var(--soft); font-size: .875rem; padding-bottom: .5rem; }
        th, td { padding: .5rem .75rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
        th:first-child { text-align: left; padding-left: 0; }
        thead th {
          font-size: .8125rem; font-weight: 600; color: var(--soft); vertical-align: bottom;
          border-bottom: 1px solid var(--edge); white-space: normal;
        }
        tbody th { font-weight: 600; }
        .charts {
          display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1.25rem;
          margin: 1.25rem 0;
        }
        figure { margin: 0; background: var(--card); border-radius: 10px; padding: 1rem 1.1rem .75rem; }
        figcaption { font-weight: 600; }
        figure svg { display: block; width: 100%; height: auto; }
        .legend {
          display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; margin: .35rem 0 .6rem; padding: 0; list-style: none;
          color: var(--soft); font-size: .875rem;
        }
        .legend li { display: flex; align-items: center; gap: .4rem; }
        .legend .key { width: 28px; height: 12px; flex: none; }
        .grid { stroke: var(--rule); fill: none; }
        .axis { stroke: var(--edge); fill: none; }
        .tick { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
        .name { fill: var(--soft); font-size: 12.5px; }
        .line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
        .limit { stroke-width: 1.5; stroke-dasharray: 5 5; }
        .band { fill: var(--c); fill-opacity: .16; stroke: none; }
        .mark { fill: var(--c); stroke: var(--card); stroke-width: 1.25; }
        .c0 {
          --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3);
          } .c4 { --c: var(--c4);
        }
        @media print { body { font-size: 11pt; } figure, .figures div { break-inside: avoid; } }

        """;
}
