import type { ShownChange } from '@gatehouse/protocol';
import { Badge } from '../../ui/badge.tsx';
import { Card, Fact, Facts } from '../../ui/page.tsx';
import { Json, PlainText } from '../../ui/text.tsx';

const words = { create: 'created', update: 'updated', delete: 'deleted', unchanged: 'unchanged' } as const;

/** A plan as it would be carried out. Nothing of a change is left out or shortened. */
export function ShownChanges({ changes }: { changes: ShownChange[] }) {
  return changes.map((change) => (
    <Card key={`${change.kind}/${change.name}`}>
      <h3>
        {change.kind} <PlainText text={change.name} />{' '}
        <Badge hue={hues[change.operation]}>{words[change.operation]}</Badge>
      </h3>
      {change.note && <p>{change.note}</p>}
      <Facts>
        {(change.differences ?? []).map(({ path, before, after }) => (
          <Fact key={path} name={path || 'all of it'}>
            <Value value={before} /> → <Value value={after} />
          </Fact>
        ))}
      </Facts>
      {change.after !== undefined && <Json value={change.after} />}
    </Card>
  ));
}

const hues = { create: 'green', update: 'orange', delete: 'red', unchanged: 'gray' } as const;

const Value = ({ value }: { value: unknown }) => (
  <PlainText text={value === undefined ? 'nothing' : JSON.stringify(value)} mono />
);
