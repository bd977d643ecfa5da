import type { EvidenceCheck, EvidenceControl, EvidenceReport } from '@gatehouse/protocol';
import { dateOf, howToVerify, statusWords, tallyOf } from './words.ts';

/** One page that stands alone: no script, nothing from elsewhere, good on paper. Everything that is not ours is escaped. */
export function toHtml(report: EvidenceReport, digest: string): string {
  const { framework, workspace, from, to, madeAt, madeBy, controls, checks, logs } = report;
  const byId = new Map(checks.map((check) => [check.id, check]));
  const tally = tallyOf(report)
    .map(({ status, number }) => `<li class="${status}"><b>${number}</b> ${statusWords[status]}</li>`)
    .join('');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${text(framework.title)}, ${dateOf(from)} to ${dateOf(to)}</title><style>${style}</style></head><body>
<header><p class="brand">Gatehouse · evidence</p><h1>${text(framework.title)}</h1>
<p>${text(workspace)} · ${dateOf(from)} to ${dateOf(to)} · made ${text(madeAt)} by ${text(madeBy)}</p>
<ul class="tally">${tally}</ul></header>
<main><table><thead><tr><th>Control</th><th>Status</th><th>What the data shows</th></tr></thead><tbody>
${controls.map((control) => rowOf(control, byId)).join('\n')}
</tbody></table>
<h2>What was asked</h2>
${checks.map(sectionOf).join('\n')}
<h2>How to verify this</h2><p>${text(howToVerify)}</p>
<dl><dt>Digest</dt><dd><code>${text(digest)}</code></dd>${logs
    .map(
      ({ id, vkey, size }) =>
        `<dt>Log</dt><dd><code>${text(id)}</code>, ${size} records, key <code>${text(vkey)}</code></dd>`,
    )
    .join('')}</dl></main></body></html>
`;
}

function rowOf(
  { id, title, status, checks, remark }: EvidenceControl,
  byId: ReadonlyMap<string, EvidenceCheck>,
): string {
  const findings = checks.flatMap((each) => {
    const check = byId.get(each);
    return check ? [`<li class="${check.status}"><a href="#${text(check.id)}">${text(check.finding)}</a></li>`] : [];
  });
  const shown = findings.length > 0 ? `<ul>${findings.join('')}</ul>` : '';
  return `<tr class="${status}"><th scope="row">${text(id)}<span>${text(title)}</span></th><td>${statusWords[status]}</td><td>${shown}${
    remark === null ? '' : `<p class="remark">${text(remark)}</p>`
  }</td></tr>`;
}

function sectionOf({ id, claim, status, finding, figures, examples, queries, records }: EvidenceCheck): string {
  const numbers = Object.entries(figures).map(
    ([name, value]) => `<dt>${text(name)}</dt><dd>${text(String(value ?? '–'))}</dd>`,
  );
  return `<section id="${text(id)}" class="${status}"><h3>${text(claim)}</h3><p><b>${statusWords[status]}.</b> ${text(finding)}</p>
${numbers.length > 0 ? `<dl>${numbers.join('')}</dl>` : ''}
${examples.length > 0 ? `<p>${examples.map((each) => `<code>${text(each)}</code>`).join(' ')}</p>` : ''}
${records.length > 0 ? `<p>Receipts: ${records.map(({ log, sequence }) => `<code>${text(log)} ${sequence}</code>`).join(', ')}</p>` : ''}
${queries.length > 0 ? `<details><summary>${queries.length === 1 ? 'The query' : `The ${queries.length} queries`}</summary>${queries.map((query) => `<pre>${text(query)}</pre>`).join('')}</details>` : '<p class="remark">From the registry, without a query.</p>'}
</section>`;
}

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const text = (raw: string) => raw.replace(/[&<>"']/g, (character) => escapes[character] ?? '');

const style = `
:root{--ink:#1b1f24;--soft:#5b6570;--line:#d9dee3;--met:#1a7f4b;--not:#b3261e;--none:#6b7280;--out:#8a6d1a}
body{margin:0 auto;max-width:62rem;padding:2rem 1.5rem;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:#fff}
h1{margin:.2rem 0;font-size:1.7rem}h2{margin-top:2.5rem}h3{margin:0 0 .3rem;font-size:1rem}
.brand,.remark{color:var(--soft)}.tally{display:flex;flex-wrap:wrap;gap:1.2rem;padding:0;list-style:none}.tally b{font-size:1.4rem}
table{width:100%;border-collapse:collapse}th,td{padding:.6rem .5rem;border-top:1px solid var(--line);text-align:left;vertical-align:top}
thead th{border:0;color:var(--soft);font-weight:500}th span{display:block;font-weight:400}td ul{margin:0;padding-left:1.1rem}
td:nth-child(2){white-space:nowrap;font-weight:600}a{color:inherit}section{padding:1rem 0;border-top:1px solid var(--line)}
.met>td:nth-child(2),li.met,section.met b{color:var(--met)}.not-met>td:nth-child(2),li.not-met,section.not-met b{color:var(--not)}
.no-data>td:nth-child(2),li.no-data{color:var(--none)}.not-covered>td:nth-child(2),.tally .not-covered{color:var(--out)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.4rem 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
pre{overflow:auto;padding:.6rem;background:#f6f8fa;white-space:pre-wrap;font-size:12px}code{font-size:12.5px;overflow-wrap:anywhere}
@media print{body{padding:0}details[open] pre{white-space:pre-wrap}tr,section{break-inside:avoid}}`;
