import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { EvidenceCheck, EvidenceReport, EvidenceStatus } from '@gatehouse/protocol';
import pdfmake from 'pdfmake';
import type { Content, TableCell, TDocumentDefinitions } from 'pdfmake/interfaces.js';
import { dateOf, howToVerify, statusWords, tallyOf } from './words.ts';

const fonts = join(dirname(createRequire(import.meta.url).resolve('pdfmake/package.json')), 'fonts', 'Roboto');
pdfmake.setFonts({
  Roboto: {
    normal: join(fonts, 'Roboto-Regular.ttf'),
    bold: join(fonts, 'Roboto-Medium.ttf'),
    italics: join(fonts, 'Roboto-Italic.ttf'),
    bolditalics: join(fonts, 'Roboto-MediumItalic.ttf'),
  },
});
// A report is made of text: nothing is fetched for it, and no file but its fonts is read.
pdfmake.setUrlAccessPolicy(() => false);
pdfmake.setLocalAccessPolicy((path) => path.startsWith(fonts));

const colours: Record<EvidenceStatus, string> = {
  met: '#1a7f4b',
  'not-met': '#b3261e',
  'no-data': '#6b7280',
  'not-covered': '#8a6d1a',
};
const SOFT = '#5b6570';
const LINE = '#d9dee3';
const MAX_SHOWN = 8;

/** The report on A4, to be read and filed. The whole of it, queries included, is in its JSON and HTML. */
export function toPdf(report: EvidenceReport, digest: string): Promise<Buffer> {
  const { framework, workspace, from, to, madeAt, madeBy, controls, checks, logs } = report;
  const byId = new Map(checks.map((check) => [check.id, check]));
  const rows: TableCell[][] = controls.map(({ id, title, status, checks: own, remark }) => [
    { stack: [{ text: id, bold: true }, { text: title }] },
    { text: statusWords[status], bold: true, color: colours[status] },
    {
      stack: [
        ...own.flatMap((each) => {
          const check = byId.get(each);
          return check
            ? [
                {
                  text: check.finding,
                  color: colours[check.status],
                  margin: [0, 0, 0, 2] as [number, number, number, number],
                },
              ]
            : [];
        }),
        ...(remark === null ? [] : [{ text: remark, color: SOFT, italics: true }]),
      ],
    },
  ]);
  const document: TDocumentDefinitions = {
    pageSize: 'A4',
    pageMargins: [44, 48, 44, 52],
    info: {
      title: `${framework.title}, ${dateOf(from)} to ${dateOf(to)}`,
      creator: 'Gatehouse',
      producer: 'Gatehouse',
    },
    defaultStyle: { font: 'Roboto', fontSize: 9.5, lineHeight: 1.2, color: '#1b1f24' },
    footer: (page, pages) => ({
      columns: [
        { text: `${digest.slice(0, 23)}…`, color: SOFT },
        { text: `${page} / ${pages}`, alignment: 'right', color: SOFT },
      ],
      margin: [44, 16, 44, 0],
      fontSize: 8,
    }),
    content: [
      { text: 'Gatehouse · evidence', color: SOFT },
      { text: framework.title, fontSize: 19, bold: true, margin: [0, 2, 0, 4] },
      { text: `${workspace} · ${dateOf(from)} to ${dateOf(to)} · made ${madeAt} by ${madeBy}`, color: SOFT },
      {
        columns: tallyOf(report).map(({ status, number }) => ({
          stack: [
            { text: String(number), fontSize: 17, bold: true, color: colours[status] },
            { text: statusWords[status], color: SOFT },
          ],
        })),
        margin: [0, 12, 0, 14],
      },
      {
        table: {
          headerRows: 1,
          dontBreakRows: true,
          widths: [150, 62, '*'],
          body: [['Control', 'Status', 'What the data shows'].map((head) => ({ text: head, color: SOFT })), ...rows],
        },
        layout: {
          hLineWidth: (line) => (line === 0 ? 0 : 0.6),
          vLineWidth: () => 0,
          hLineColor: () => LINE,
          paddingTop: () => 5,
          paddingBottom: () => 5,
        },
      },
      { text: 'What was looked at', fontSize: 14, bold: true, margin: [0, 22, 0, 6] },
      ...checks.map(sectionOf),
      { text: 'How to verify this', fontSize: 14, bold: true, margin: [0, 16, 0, 6] },
      { text: howToVerify },
      { text: digest, margin: [0, 6, 0, 6] },
      ...logs.map(({ id, vkey, size }): Content => ({ text: `Log ${id}, ${size} records, key ${vkey}`, color: SOFT })),
    ],
  };
  return pdfmake.createPdf(document).getBuffer();
}

function sectionOf({ claim, status, finding, figures, examples, records }: EvidenceCheck): Content {
  const numbers = Object.entries(figures)
    .map(([name, value]) => `${name} ${value ?? '–'}`)
    .join(' · ');
  const more = examples.length > MAX_SHOWN ? ' …' : '';
  return {
    stack: [
      { text: claim, bold: true },
      { text: [{ text: `${statusWords[status]}. `, bold: true, color: colours[status] }, finding] },
      ...(numbers ? [{ text: numbers, color: SOFT }] : []),
      ...(examples.length > 0 ? [{ text: examples.slice(0, MAX_SHOWN).join(', ') + more, color: SOFT }] : []),
      ...(records.length > 0
        ? [{ text: `Receipts: ${records.map(({ log, sequence }) => `${log} ${sequence}`).join(', ')}`, color: SOFT }]
        : []),
    ],
    unbreakable: true,
    margin: [0, 0, 0, 9],
  };
}
