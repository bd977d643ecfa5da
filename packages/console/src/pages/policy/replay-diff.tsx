import type { ReplayCount, ReplayDifference, ReplayExample, ReplayResult } from '@gatehouse/protocol';
import { IconBan, IconHourglassHigh, IconPlayerPlay } from '@tabler/icons-react';
import { plural } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Fact, Facts } from '../../ui/page.tsx';
import { PlainText, ToolName } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './replay.module.css';

const kinds = [
  { of: 'runs', title: 'would newly run', about: 'waited or was refused', hue: 'red', icon: IconPlayerPlay },
  { of: 'stops', title: 'would newly stop', about: 'ran or waited', hue: 'orange', icon: IconBan },
  { of: 'waits', title: 'would newly wait', about: 'ran or was refused', hue: 'amber', icon: IconHourglassHigh },
] as const;

/** What would differ; what would newly run comes first, because nobody would be asked any more. */
export function ReplayDiff({ result }: { result: ReplayResult }) {
  const { since, until, decisions, replayed, unchanged, otherTier, cannotReplay, notPolicy, decidedOtherwise } = result;
  return (
    <div className={classes.diff}>
      <ul className={classes.counts} aria-label="What would differ">
        {kinds.map(({ of, title, about, hue, icon }) => (
          <li key={of} className={classes.count}>
            <strong className="gh-numbers">{result[of].count.toLocaleString('en')}</strong>
            <Badge hue={result[of].count > 0 ? hue : 'gray'} icon={icon}>
              {title}
            </Badge>
            <small>{about}</small>
          </li>
        ))}
        <li className={classes.count}>
          <strong className="gh-numbers">{unchanged.toLocaleString('en')}</strong>
          <Badge hue="gray">unchanged</Badge>
          <small>{plural(otherTier, 'other')} only at another tier</small>
        </li>
      </ul>
      {kinds.map(
        ({ of, title }) =>
          result[of].count > 0 && <Difference key={of} title={`${capital(title)}`} difference={result[of]} />,
      )}
      <Facts>
        <Fact name="Recorded">
          <When at={since} /> to <When at={until} />: {plural(decisions, 'decision')}, {replayed.toLocaleString('en')}{' '}
          decided again
        </Fact>
        {cannotReplay.length > 0 && <Fact name="Cannot be decided again">{counted(cannotReplay)}</Fact>}
        {notPolicy.length > 0 && <Fact name="Refused for what no policy decides">{counted(notPolicy)}</Fact>}
        {decidedOtherwise.count > 0 && (
          <Fact name="Decided otherwise then">
            {plural(decidedOtherwise.count, 'decision')}: policies, tools or people have changed since
          </Fact>
        )}
        {result.basis.map((line) => (
          <Fact key={line} name="Rests on">
            {line}
          </Fact>
        ))}
      </Facts>
    </div>
  );
}

function Difference({ title, difference }: { title: string; difference: ReplayDifference }) {
  return (
    <section className={classes.difference} aria-label={title}>
      <h3>
        {title}: {difference.count.toLocaleString('en')}
      </h3>
      <Facts>
        <Fact name="By">{counted(difference.policies)}</Fact>
        <Fact name="Tools">{counted(difference.tools)}</Fact>
        <Fact name="Agents">{counted(difference.agents)}</Fact>
        <Fact name="Templates">{counted(difference.templates)}</Fact>
      </Facts>
      <DataTable
        label={`Examples: ${title}`}
        rows={difference.examples}
        rowKey={({ actionId }) => actionId}
        link={({ actionId }) => ({ to: '/actions/$id', params: { id: actionId } })}
        columns={exampleColumns}
        empty={null}
      />
    </section>
  );
}

const effects = { allow: 'runs', deny: 'is refused', 'needs-approval': 'waits' } as Record<string, string>;
const effectWords = (effect: string): string => effects[effect] ?? effect;
const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
const counted = (counts: readonly ReplayCount[]) =>
  counts.map(({ name, count }) => `${name} (${count.toLocaleString('en')})`).join(', ') || 'none';

const exampleColumns: Column<ReplayExample>[] = [
  { header: 'Tool', cell: ({ tool }) => <ToolName tool={tool} />, width: '20%' },
  { header: 'Agent', cell: ({ agent }) => agent },
  { header: 'Now', cell: ({ before }) => <Badge hue="gray">{effectWords(before.effect)}</Badge> },
  { header: 'Then', cell: ({ after }) => <Badge hue="blue">{effectWords(after.effect)}</Badge> },
  { header: 'Because', cell: ({ after }) => <PlainText text={after.reason} />, width: '36%', hide: 'medium' },
  { header: 'When', cell: ({ time }) => <When at={time} />, align: 'end' },
];
