/** The verifier as a page: drop a receipt, a directory of tiles or an address on it. Everything is computed in the browser. */

import type { TileSource } from './confirmed.ts';
import { absentLog, logsNamedIn, type NamedLog } from './named-logs.ts';
import { parseVerifierKey } from './note.ts';
import { type Policy, parsePolicy, quorumOf } from './policy.ts';
import { type PublishedReport, verifyPublished } from './published.ts';
import { parseReceiptFile, verifyReceiptFile } from './receipt-file.ts';
import { type Removal, removalsInWords, verifyTogether } from './removals.ts';
import { countSecondYeses, createSecondYesReader, type SecondYesReader, secondYesLines } from './second-yes.ts';
import { fetchSource } from './sources.ts';

export type PageOptions = {
  /** What is there to begin with; who uses the page may change it. */
  keys?: string;
  address?: string;
};

interface Found {
  named: NamedLog[];
  here: NamedLog[];
  areIntact: boolean;
  /** By log. */
  yeses: Map<string, SecondYesReader>;
}

const MAX_FILES = 200_000;

/** Puts the form into `root`. Returns the way to take it out again. */
export function mountVerifier(root: HTMLElement, { keys = '', address = '' }: PageOptions = {}): () => void {
  const keyField = field('textarea', 'Keys of logs (NAME+HASH+KEY), one a line', keys);
  const witnessField = field(
    'textarea',
    'Witnesses: a policy (c2sp.org/tlog-policy), or their keys, all of which are needed',
    '',
  );
  const addressField = field('input', 'Address of a published log', address);
  const checkpointField = field('textarea', 'A checkpoint that you have kept', '');
  const drop = element('label', { className: 'verify-drop' }, [
    element('span', {}, ['Drop receipts here, or choose them']),
    element('input', { type: 'file', multiple: true, className: 'verify-files' }),
  ]);
  const folder = element('label', { className: 'verify-drop' }, [
    element('span', {}, ['Or choose a directory that a log was published to']),
    element('input', { type: 'file', multiple: true, className: 'verify-folder' }),
  ]);
  const folderInput = folder.querySelector('input') as HTMLInputElement;
  folderInput.webkitdirectory = true;
  const button = element('button', { type: 'button' }, ['Verify the address']) as HTMLButtonElement;
  const results = element('ol', { className: 'verify-results' });
  results.setAttribute('aria-live', 'polite');
  const form = element('div', { className: 'verify-form' }, [
    keyField.label,
    witnessField.label,
    drop,
    folder,
    addressField.label,
    checkpointField.label,
    button,
    results,
  ]);
  root.append(form);

  const say = (ok: boolean | null, text: string): HTMLElement => {
    const line = element('li', { className: ok === null ? 'verify-running' : ok ? 'verify-ok' : 'verify-bad' }, [
      element('strong', {}, [ok === null ? 'Verifying' : ok ? 'Proven' : 'Not proven']),
      ` ${text}`,
    ]);
    results.prepend(line);
    return line;
  };
  const lines = (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  const trusted = (): { keys: string[]; policy: Policy | undefined } => {
    const text = witnessField.value();
    const given = lines(text);
    const policy =
      given.length === 0
        ? undefined
        : /^\s*quorum /m.test(text)
          ? parsePolicy(text)
          : quorumOf(given.length, given.map(parseVerifierKey));
    const named = lines(keyField.value());
    named.forEach(parseVerifierKey);
    return { keys: named, policy };
  };
  const attempt = async (what: string, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      say(false, `${what}: ${(error as Error).message}`);
    }
  };

  async function receipts(files: readonly File[]): Promise<void> {
    for (const file of files)
      await attempt(file.name, async () => {
        const { keys: given, policy } = trusted();
        if (given.length === 0)
          throw new Error('give the key of the log above; the one in the receipt vouches for nothing');
        const parsed = parseReceiptFile(await file.text());
        for (const { ok, what, detail } of await verifyReceiptFile(parsed, { keys: given, ...(policy && { policy }) }))
          say(ok, `${file.name}: ${what}: ${detail}`);
      });
  }

  /** All of one place: what one of them names is to be among the others. */
  async function logs(places: readonly [string, TileSource][]): Promise<void> {
    const found: Found = { named: [], here: [], areIntact: true, yeses: new Map() };
    const kept = checkpointField.value().trimStart();
    const begun = await Promise.all(places.map(([what, source]) => begin(what, source, { kept, found })));
    const opened = begun.filter((each) => each !== undefined);
    for (const [at, report] of (await verifyTogether(opened.map(({ verify }) => verify))).entries())
      opened[at]?.tell(report);
    if (found.areIntact) {
      const count = await countSecondYeses([...found.yeses.values()], { isWhole: found.yeses.size > 1 });
      for (const line of secondYesLines(count)) say(true, line);
      for (const fault of count.faults) say(false, `a second person’s yes: ${fault}`);
    }
    const absent = absentLog({
      checkpoints: kept === '' ? [] : [kept],
      named: found.areIntact ? found.named : [],
      here: found.here,
    });
    if (absent !== null) say(false, `log-missing: ${absent}`);
  }

  /** Undefined, and said, where nothing can be verified at all. */
  async function begin(what: string, source: TileSource, { kept, found }: { kept: string; found: Found }) {
    try {
      const { keys: given, policy } = trusted();
      const origin = new TextDecoder().decode((await source('checkpoint')) ?? new Uint8Array()).split('\n', 1)[0] ?? '';
      if (origin === '') throw new Error('there is no file "checkpoint"');
      const vkey = given.find((key) => key.startsWith(`${origin}+`));
      if (vkey === undefined) throw new Error(`give the key of ${origin} above`);
      return { verify: (removals: readonly Removal[]) => verify(removals), tell };

      async function verify(removals: readonly Removal[]): Promise<PublishedReport | { ok: false; unread: string }> {
        const running = say(null, what);
        const yes = createSecondYesReader();
        found.yeses.set(origin, yes);
        try {
          return await verifyPublished({
            ...{ source, vkey: vkey as string, removals },
            checkpoints: kept.startsWith(`${origin}\n`) ? [kept] : [],
            ...(policy && { policy }),
            onEntry(entry) {
              found.named.push(...logsNamedIn(entry));
              yes.note(entry);
            },
            onProgress: ({ verified, total }) => {
              running.lastChild?.replaceWith(` ${what}: ${verified} of ${total} records`);
            },
          });
        } catch (error) {
          return { ok: false, unread: (error as Error).message };
        } finally {
          running.remove();
        }
      }

      function tell(report: PublishedReport | { ok: false; unread: string }): void {
        found.areIntact &&= report.ok;
        found.here.push({ id: origin, vkey: vkey as string, size: report.ok ? report.size : 0 });
        if (report.ok) {
          const by = report.witnessedBy.map((name) => `, cosigned by ${name}`).join('');
          say(true, `${origin}: all ${report.size} records are as they were signed${by}`);
          for (const line of removalsInWords(origin, report)) say(true, `${origin}: ${line}`);
        } else if ('unread' in report) say(false, `${what}: ${report.unread}`);
        else {
          const { kind, detail, from, to } = report.fault;
          const where = from === undefined ? '' : ` [records ${from} to ${(to ?? from + 1) - 1}]`;
          say(false, `${origin}: ${kind}: ${detail}${where}`);
        }
      }
    } catch (error) {
      say(false, `${what}: ${(error as Error).message}`);
      return undefined;
    }
  }

  const filesOf = (input: EventTarget | null) => [...((input as HTMLInputElement).files ?? [])];
  drop.querySelector('input')?.addEventListener('change', ({ target }) => void receipts(filesOf(target)));
  folderInput.addEventListener('change', () => {
    const files = filesOf(folderInput).slice(0, MAX_FILES);
    const paths = new Map(files.map((file) => [file.webkitRelativePath.split('/').slice(1).join('/'), file]));
    // Of several logs in the directory each has its own below it.
    const prefixes = [...paths.keys()].flatMap((path) => /^(?:(.*)\/)?checkpoint$/.exec(path)?.slice(1) ?? []);
    if (prefixes.length === 0) say(false, 'there is no file "checkpoint" in this directory');
    const places = [...new Set(prefixes.map((each) => each ?? ''))].map((prefix): [string, TileSource] => [
      prefix || 'the directory',
      async (path) => {
        const file = paths.get(prefix === '' ? path : `${prefix}/${path}`);
        return file && new Uint8Array(await file.arrayBuffer());
      },
    ]);
    if (places.length > 0) void logs(places);
  });
  drop.addEventListener('dragover', (event) => event.preventDefault());
  drop.addEventListener('drop', (event) => {
    event.preventDefault();
    void receipts([...((event as DragEvent).dataTransfer?.files ?? [])]);
  });
  button.addEventListener('click', () => void logs([[addressField.value(), fetchSource(addressField.value().trim())]]));
  return () => form.remove();
}

function field(tag: 'input' | 'textarea', name: string, value: string) {
  const control = element(tag, { value, spellcheck: false }) as HTMLInputElement;
  return { label: element('label', {}, [element('span', {}, [name]), control]), value: () => control.value };
}

function element(tag: string, properties: object = {}, children: (Node | string)[] = []): HTMLElement {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
