import type { SinkManifest } from '@gatehouse/protocol';
import { nothing, type OfKind, type Verdict } from './verdict.ts';

type Sink = OfKind<'Sink'>;

const listed = ['operations', 'agents', 'environments', 'decisions', 'labels'] as const;

/** Each list that is there narrows; one that was there has to stay wide enough. */
function narrowed(before: Sink['filter'], after: Sink['filter']): boolean {
  return listed.some((name) => {
    const is = after?.[name] as readonly string[] | undefined;
    const was = before?.[name] as readonly string[] | undefined;
    return is !== undefined && (was === undefined || was.some((each) => !is.includes(each)));
  });
}

const hostOf = ({ to }: SinkManifest) => ('url' in to ? new URL(to.url).host : `the file ${to.file}`);

/** Who watches sees less where one goes or sends less, and somebody new sees the record where it goes elsewhere. */
export const sink: Verdict<Sink> = {
  created: (after) => [`records are sent to ${hostOf(after)}`],
  gone: (before) => [`records are no longer sent to ${hostOf(before)}`],
  members: {
    description: 'words',
    format: 'decides',
    to: (_, after) => [`where records are sent is changed: ${hostOf(after)}`],
    filter: (before, after) => (narrowed(before.filter, after.filter) ? ['fewer records are sent'] : []),
    bodies: (_, { bodies }) => (bodies === 'none' ? [] : ['arguments of calls are sent as well']),
    // Of a new one only.
    from: nothing,
    batchRecords: nothing,
    timeoutMs: nothing,
    warnAfterSeconds: ({ warnAfterSeconds: before }, { warnAfterSeconds: after }) =>
      after > before ? [`a backlog is warned of after ${after} s instead of ${before} s`] : [],
    allowPrivateAddress: 'decides',
    ca: 'decides',
  },
};
