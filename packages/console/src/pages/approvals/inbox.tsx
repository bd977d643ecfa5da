import type { Approval } from '@gatehouse/protocol';
import { columnsOf, kindOf } from '@gatehouse/protocol/approval-kind';
import { Button, Checkbox, Skeleton, TextInput } from '@mantine/core';
import { IconGavel } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { inboxQuery } from '../../api/queries.ts';
import { Card, Empty, Failure, Section } from '../../ui/page.tsx';
import classes from './approval.module.css';
import { ApprovalCard } from './approval-card.tsx';
import { ListCard } from './list-card.tsx';

/** Of one list; what one gesture can sign. */
const MOST = 50;
const MOST_COLUMNS = 6;

/** What waits, the gravest first; what is of one kind and may be signed together, as a list. */
export function Inbox() {
  const [mine, setMine] = useState(false);
  const [text, setText] = useState('');
  const inbox = useInfiniteQuery(inboxQuery(mine ? { mine: 'true' } : {}));
  const all = inbox.data?.pages.flatMap(({ items }) => items);
  const waiting = all?.filter((each) => isFound(each, text));
  const entries = waiting && grouped(waiting);
  return (
    <Section title="Waiting" count={waiting?.length}>
      <div className={classes.filters}>
        <TextInput
          size="sm"
          aria-label="Filter what waits"
          placeholder="Agent, tool, template, argument …"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          data-filter=""
        />
        <Checkbox
          label="Only what I can answer"
          checked={mine}
          onChange={(event) => setMine(event.currentTarget.checked)}
        />
      </div>
      {inbox.error && !all && <Failure error={inbox.error} retry={() => void inbox.refetch()} />}
      {!all && !inbox.error && <Skeleton height={260} radius="md" />}
      {waiting?.length === 0 && (
        <Card padded={false}>
          <Empty
            icon={IconGavel}
            title={all?.length === 0 ? 'Nothing waits for a person' : 'Nothing that waits fits the filter'}
            about={
              all?.length === 0
                ? 'When an agent calls a tool of tier 3, or a policy asks for it, the call waits here, and this page shows it at once.'
                : 'Take the filter out to see the rest.'
            }
          />
        </Card>
      )}
      <div className={classes.stack}>
        {entries?.map((each) =>
          each.length > 1 ? (
            <ListCard key={each.map(({ id }) => id).join()} approvals={each} />
          ) : (
            each.map((approval) => <ApprovalCard key={approval.id} approval={approval} />)
          ),
        )}
      </div>
      {inbox.hasNextPage && (
        <Button mt="md" variant="default" loading={inbox.isFetchingNextPage} onClick={() => void inbox.fetchNextPage()}>
          More that waits
        </Button>
      )}
    </Section>
  );
}

function isFound(approval: Approval, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return true;
  const { agent, tool, template, intent, arguments: args } = approval;
  return [agent, tool, template, intent, JSON.stringify(args)].some((each) => each.toLowerCase().includes(wanted));
}

/** Each list stands where its gravest stands. */
function grouped(waiting: readonly Approval[]): Approval[][] {
  const entries: Approval[][] = [];
  const lists = new Map<string, Approval[]>();
  for (const approval of waiting) {
    const list = approval.alone === null ? lists.get(kindOf(approval)) : undefined;
    const columns = list && columnsOf([...list, approval]);
    if (list && list.length < MOST && columns && columns.length <= MOST_COLUMNS) list.push(approval);
    else {
      const entry = [approval];
      entries.push(entry);
      if (approval.alone === null) lists.set(kindOf(approval), entry);
    }
  }
  return entries;
}
