import type { Approval, GrantRequest } from '@gatehouse/protocol';
import { Button, NumberInput, Select, Textarea, TextInput } from '@mantine/core';
import { IconFingerprint } from '@tabler/icons-react';
import { type FormEvent, useState } from 'react';
import { type Draft, draftsOf, isAmount, type Kind, kindsOf, requestOf } from '../../lib/grant-request.ts';
import classes from './approval.module.css';

const kindWords: Record<Kind, string> = {
  exactly: 'exactly',
  'one-of': 'one of',
  between: 'from … to',
  under: 'under',
};

/** More calls like the one that waits, signed together with the yes to it. The bounds start as exactly this call. */
export function GrantMore({
  approval,
  pending,
  give,
  close,
}: {
  approval: Approval;
  pending: boolean;
  give: (request: GrantRequest) => void;
  close: () => void;
}) {
  const most = approval.decision.grantable ?? { calls: 1, seconds: 60 };
  const mostMinutes = Math.floor(most.seconds / 60);
  const [drafts, setDrafts] = useState<Draft[]>(() => draftsOf(approval.arguments));
  const [calls, setCalls] = useState(Math.min(5, most.calls));
  const [minutes, setMinutes] = useState(Math.min(60, mostMinutes));
  const [sumOf, setSumOf] = useState('');
  const [sumMax, setSumMax] = useState('');
  const change = (index: number, to: Partial<Draft>) =>
    setDrafts((all) => all.map((draft, at) => (at === index ? { ...draft, ...to } : draft)));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    give(requestOf(drafts, { calls, minutes, sumOf, sumMax }));
  };
  const amounts = drafts.filter(isAmount).map(({ at }) => at.join('.'));
  return (
    <form onSubmit={submit} className={classes.grant} aria-label="Allow more of these">
      <p className="gh-quiet">
        Your yes runs this call, and then as many more of this task as you say, without asking: the same tool, and every
        argument exactly as here unless you loosen it. It can be revoked on the task’s page.
      </p>
      {drafts.map((draft, index) => (
        <div key={draft.at.join('.')} className={classes.bound}>
          <Select
            label={draft.at.join('.')}
            data={kindsOf(draft).map((value) => ({ value, label: kindWords[value] }))}
            value={draft.kind}
            onChange={(kind) => kind && change(index, { kind: kind as Kind })}
            allowDeselect={false}
            size="xs"
          />
          <BoundInput draft={draft} change={(to) => change(index, to)} />
        </div>
      ))}
      <div className={classes.bound}>
        <NumberInput
          label={`More calls (at most ${most.calls})`}
          value={calls}
          onChange={(value) => setCalls(Number(value) || 1)}
          min={1}
          max={most.calls}
          allowDecimal={false}
          size="xs"
        />
        <NumberInput
          label={`For minutes (at most ${mostMinutes}, or until the task ends)`}
          value={minutes}
          onChange={(value) => setMinutes(Number(value) || 1)}
          min={1}
          max={mostMinutes}
          allowDecimal={false}
          size="xs"
        />
      </div>
      {amounts.length > 0 && (
        <div className={classes.bound}>
          <Select
            label="Sum of (optional)"
            data={amounts}
            value={sumOf || null}
            onChange={(value) => setSumOf(value ?? '')}
            clearable
            size="xs"
          />
          {sumOf !== '' && (
            <TextInput
              label="at most, over all of them"
              value={sumMax}
              onChange={(event) => setSumMax(event.currentTarget.value)}
              required
              size="xs"
            />
          )}
        </div>
      )}
      <div className={classes.buttons}>
        <Button type="submit" size="sm" leftSection={<IconFingerprint size={17} />} loading={pending}>
          Approve this and {calls} more with passkey
        </Button>
        <Button size="sm" variant="default" onClick={close}>
          Only this one
        </Button>
      </div>
    </form>
  );
}

function BoundInput({ draft, change }: { draft: Draft; change: (to: Partial<Draft>) => void }) {
  const name = draft.at.join('.');
  switch (draft.kind) {
    case 'exactly':
      return <code className={classes.exactly}>{JSON.stringify(draft.value)}</code>;
    case 'one-of':
      return (
        <Textarea
          label="one on each line"
          aria-label={`${name}: one of`}
          value={draft.values}
          onChange={(event) => change({ values: event.currentTarget.value })}
          autosize
          minRows={2}
          size="xs"
        />
      );
    case 'between':
      return (
        <>
          <TextInput
            label="from"
            aria-label={`${name}: from`}
            value={draft.least}
            onChange={(event) => change({ least: event.currentTarget.value })}
            size="xs"
          />
          <TextInput
            label="to"
            aria-label={`${name}: to`}
            value={draft.most}
            onChange={(event) => change({ most: event.currentTarget.value })}
            size="xs"
          />
        </>
      );
    case 'under':
      return (
        <TextInput
          label="ends in /"
          aria-label={`${name}: under`}
          value={draft.under}
          onChange={(event) => change({ under: event.currentTarget.value })}
          size="xs"
        />
      );
  }
}
