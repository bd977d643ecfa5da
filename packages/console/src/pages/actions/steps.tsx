import type { ActionRecord, ActionView, SequencedRecord } from '@gatehouse/protocol';
import {
  type Icon,
  IconBan,
  IconCircleCheck,
  IconGavel,
  IconMessageQuestion,
  IconNotebook,
  IconSend,
} from '@tabler/icons-react';
import { duration } from '../../lib/time.ts';
import { actorName, type Hue } from '../../lib/words.ts';
import { StatusBadge } from '../../ui/badge.tsx';
import { Identifier, PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { LogPosition } from './receipt.tsx';
import classes from './steps.module.css';

/** Request, decision, approval, dispatch, outcome: each with its place in the log. */
export function Steps({ view }: { view: ActionView }) {
  const startedAt = Date.parse(view.records[0]?.record.time ?? '');
  return (
    <ol className={classes.steps}>
      {view.records.map((entry, index) => {
        const { icon: Glyph, hue, title, about } = describe(entry);
        const after = Date.parse(entry.record.time) - startedAt;
        return (
          <li key={`${entry.log}/${entry.sequence}`} className={classes.step} data-hue={hue}>
            <span className={classes.mark}>
              <Glyph size={15} stroke={2} aria-hidden />
            </span>
            <div className={classes.content}>
              <div className={classes.head}>
                <strong>{title}</strong>
                {entry.record.kind === 'outcome' && entry.record.result && <StatusBadge status={entry.record.result} />}
                <span className={classes.time}>
                  <When at={entry.record.time} />
                  {index > 0 && <small> +{duration(after)}</small>}
                </span>
              </div>
              {about && (
                <p>
                  <PlainText text={about} />
                </p>
              )}
              {entry.record.kind === 'change' && <Changes of={entry.record} />}
              <LogPosition entry={entry} />
            </div>
          </li>
        );
      })}
    </ol>
  );
}

function describe({ record }: SequencedRecord): { icon: Icon; hue: Hue; title: string; about: string | null } {
  const by = record.actor_chain[0]?.sub;
  switch (record.kind) {
    case 'request':
      return record.decision?.effect === 'deny'
        ? { icon: IconBan, hue: 'red', title: 'Asked, and refused', about: record.decision.reason }
        : {
            icon: IconMessageQuestion,
            hue: 'amber',
            title: 'Asked; a person has to approve',
            about: record.decision?.reason ?? null,
          };
    case 'dispatch':
      return {
        icon: IconSend,
        hue: 'blue',
        title: record.approval ? 'Sent to the tool, using the approval' : 'Allowed, and sent to the tool',
        about: record.approval ? null : (record.decision?.reason ?? null),
      };
    case 'outcome':
      return { icon: IconCircleCheck, hue: outcomeHue(record.result), title: 'Outcome', about: record.detail };
    case 'change':
      return {
        icon: record.operation.startsWith('approval.') ? IconGavel : IconNotebook,
        hue: record.operation === 'approval.approve' ? 'green' : record.operation === 'approval.deny' ? 'red' : 'gray',
        title: `${changeTitles[record.operation] ?? record.operation}${by && by !== 'gatehouse' ? ` by ${actorName(by)}` : ''}`,
        about: record.detail,
      };
  }
}

/** What an administrative record says was changed; digests in short, whole in the clipboard. */
function Changes({ of: { changes, operation } }: { of: ActionRecord }) {
  // That an approval is now what the record's title says is not worth a line.
  const lines = operation.startsWith('approval.') ? changes.filter((line) => !/^approval \w+$/.test(line)) : changes;
  return lines.map((line) => {
    const [, what, digest] = /^(.*?)(sha256-[0-9a-f]{64})$/.exec(line) ?? [];
    return (
      <p key={line}>
        <PlainText text={what ?? line} />
        {digest && <Identifier value={digest} what="digest" short />}
      </p>
    );
  });
}

const changeTitles: Record<string, string> = {
  'action.resolve': 'Found out what came of it',
  'approval.request': 'Put before approvers',
  'approval.approve': 'Approved with a passkey',
  'approval.deny': 'Denied',
  'approval.expire': 'The approval ran out',
  'approval.cancel': 'The approval was cancelled',
  'approval.approve.refuse': 'An approval was refused',
  'approval.deny.refuse': 'A denial was refused',
};

const outcomeHue = (result: string | null): Hue =>
  result === 'success' ? 'green' : result === 'failure' ? 'orange' : 'violet';
