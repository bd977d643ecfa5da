import { cleanMessage } from '../packages/server/src/enforcement/results/clean.ts';
import { placeholdersOf } from '../packages/server/src/enforcement/results/mask.ts';
import { createTally } from '../packages/server/src/enforcement/results/tally.ts';
import { slowInputs } from '../packages/server/src/enforcement/results/testing/slow-inputs.ts';
import type { Json } from '../packages/server/src/platform/index.ts';
import { type Measure, median, table } from './measure.ts';

interface Row {
  result: string;
  mask: string;
  kilobytes: number;
  /** Processor time of looking at it once, for each thousand bytes of it. */
  microsecondsPerKilobyte: number;
}

const order = (id: number) => ({
  id,
  customer: { name: `Customer ${id}`, email: `customer${id}@example.com`, phone: '+49 30 901820' },
  total: { amount: id * 17.5, currency: 'EUR' },
  note: id % 7 === 0 ? 'Please deliver after 17:00, ring twice.' : null,
});
const prose = 'The gate looks at each result before the agent gets it, and takes out what a person would not see. ';
const section = (at: number) =>
  `## Section ${at}\n\n${prose.repeat(4)}See [the page](https://docs.example.com/${at}) and ![figure](/img/${at}.png).\n\n- one\n- \`two\`\n\n`;
const article = (at: number) =>
  `<article class="a"><h2>Part ${at}</h2><p>${prose.repeat(3)}</p><a href="https://docs.example.com/${at}">more</a></article>\n`;
const logLine = (at: number) =>
  `2026-11-27T10:${String(at % 60).padStart(2, '0')}:03.120Z INFO shop.api request=${at} path=/orders/${at} status=200 ms=${at % 90}\n`;
const code = (at: number) =>
  `export function load${at}(id: string, token = process.env.TOKEN): Promise<Order> {\n  return request(\`/orders/\${id}\`, { token, retries: ${at} });\n}\n\n`;
const many = (count: number, make: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => make(at)).join('');
const text = (said: string): Json => ({ content: [{ type: 'text', text: said }] });

const orders = { rows: Array.from({ length: 100 }, (_, id) => order(id)) };
const realistic: Record<string, Json> = {
  'a short answer': text('Order 1042 was shipped on 2026-11-26.'),
  'orders, structured and as text': { ...(text(JSON.stringify(orders)) as object), structuredContent: orders },
  Markdown: text(many(40, section)),
  HTML: text(many(40, article)),
  'log lines': text(many(200, logLine)),
  'source code': text(many(120, code)),
};

function cost(body: Json, mask: ReadonlySet<string>, atLeastMs: number): number {
  const rules = {
    markup: { allowedHosts: [], keep: false },
    mask,
    fields: [],
    whole: null,
    placeholder: placeholdersOf(new Uint8Array(32), 'tsk_bench'),
  };
  let times = 0;
  let spent = 0;
  const from = process.cpuUsage();
  do {
    cleanMessage(body, rules, createTally());
    times++;
    const { user, system } = process.cpuUsage(from);
    spent = user + system;
  } while (spent < atLeastMs * 1_000);
  return spent / times;
}

const masks: Record<string, ReadonlySet<string>> = {
  credentials: new Set(['credentials']),
  'credentials, personal, financial': new Set(['credentials', 'personal', 'financial']),
};

export const measure: Measure = {
  heading: 'Result filters',
  options: { rounds: '3', milliseconds: '200', slowest: '8', slowBytes: '262144' },
  async run({ rounds, milliseconds, slowest, slowBytes }) {
    const rowOf = (result: string, body: Json, mask: string, atLeastMs: number, times: number): Row => {
      const kilobytes = Buffer.byteLength(JSON.stringify(body)) / 1_000;
      const costs = Array.from({ length: times }, () => cost(body, masks[mask] as ReadonlySet<string>, atLeastMs));
      return { result, mask, kilobytes, microsecondsPerKilobyte: median(costs) / kilobytes };
    };
    const names = Object.keys(masks);
    for (const body of Object.values(realistic)) cost(body, masks[names.at(-1) as string] as ReadonlySet<string>, 50);
    const rows = Object.entries(realistic).flatMap(([result, body]) =>
      names.map((mask) => rowOf(result, body, mask, Number(milliseconds), Number(rounds))),
    );
    const slow = [...slowInputs]
      .map(([name, make]) => rowOf(name, text(make(Number(slowBytes))), names.at(-1) as string, 0, 1))
      .sort((a, b) => b.microsecondsPerKilobyte - a.microsecondsPerKilobyte);
    const cells = ({ result, kilobytes, microsecondsPerKilobyte }: Row) => [
      `\`${result.replaceAll('|', '\\|')}\``,
      kilobytes.toFixed(1),
      microsecondsPerKilobyte.toFixed(1),
    ];
    return {
      rows: [...rows, ...slow],
      how: `Processor time of one process for looking at a result (hidden text, characters, markup, secrets, personal data), the median of ${rounds} rounds of ${milliseconds} ms each. Left out: flow labels, detectors of the operator, sealing. Below, the ${slowest} slowest of ${slowInputs.size} texts that are made to be slow, each looked at once.`,
      tables: [
        table(
          ['result', 'kB', ...names.map((name) => `${name} masked: µs/kB`)],
          Object.keys(realistic).map((result) => {
            const own = rows.filter((row) => row.result === result);
            return [
              result,
              own[0]?.kilobytes.toFixed(1) ?? '',
              ...own.map(({ microsecondsPerKilobyte }) => microsecondsPerKilobyte.toFixed(1)),
            ];
          }),
        ),
        table(['made to be slow', 'kB', 'everything masked: µs/kB'], slow.slice(0, Number(slowest)).map(cells)),
      ].join('\n\n'),
    };
  },
};
