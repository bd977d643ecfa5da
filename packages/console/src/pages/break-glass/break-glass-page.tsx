import type { BreakGlass } from '@gatehouse/protocol';
import { Button, Textarea } from '@mantine/core';
import { IconFingerprint, IconPlayerStop, IconShieldCheck } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { call } from '../../api/client.ts';
import { breakGlassWithPasskey } from '../../api/passkeys.ts';
import { breakGlassQuery } from '../../api/queries.ts';
import { actorName, type Hue } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { Card, Empty, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './break-glass.module.css';

const hues: Record<BreakGlass['state'], Hue> = {
  asked: 'amber',
  signed: 'amber',
  open: 'red',
  over: 'gray',
  ended: 'gray',
  lapsed: 'gray',
};
const words: Record<BreakGlass['state'], string> = {
  asked: 'waits for two people',
  signed: 'waits for a second person',
  open: 'open',
  over: 'over',
  ended: 'ended',
  lapsed: 'never opened',
};

/** Emergencies: two people sign, everybody sees it, and somebody else says afterwards what was done. */
export function BreakGlassPage() {
  const glasses = useQuery(breakGlassQuery);
  return (
    <Page
      title="Break-glass"
      about="In an emergency two people let one task use named tools without an approval, for minutes. Tier 4 and what a policy forbids stay so. Every call is marked, and somebody else reviews it."
    >
      {glasses.error && <Failure error={glasses.error} retry={() => void glasses.refetch()} />}
      {glasses.data?.items.length === 0 && (
        <Empty
          icon={IconShieldCheck}
          title="The glass was never broken"
          about="`gatehouse break-glass ask` asks for it."
        />
      )}
      {glasses.data?.items.map((glass) => (
        <Section key={glass.id} title={`${glass.incident} · ${glass.agent}`}>
          <Card>
            <Glass glass={glass} />
          </Card>
        </Section>
      ))}
    </Page>
  );
}

function Glass({ glass }: { glass: BreakGlass }) {
  const { state, firstBy, secondBy } = glass;
  return (
    <div className={classes.card}>
      <Facts>
        <Fact name="State">
          <Badge hue={hues[state]}>{words[state]}</Badge> {glass.until !== null && <When at={glass.until} as="both" />}
        </Fact>
        <Fact name="Tools">
          <code>{glass.tools.join(', ')}</code>
        </Fact>
        <Fact name="Task">
          <Link to="/tasks/$id" params={{ id: glass.task }} className="gh-link">
            {glass.task}
          </Link>
        </Fact>
        <Fact name="For">{glass.seconds / 60} minutes from the second signature</Fact>
        <Fact name="Why">
          <PlainText text={glass.reason} />
        </Fact>
        <Fact name="Asked by">
          {actorName(glass.requestedBy)}, <When at={glass.requestedAt} as="both" />
        </Fact>
        <Fact name="Signed by">
          {[firstBy, secondBy].filter((each) => each !== null).join(' and ') || 'nobody yet'}
        </Fact>
        {glass.review !== null && (
          <Fact name="Review">
            {glass.reviewedBy}: “<PlainText text={glass.review} />”
          </Fact>
        )}
      </Facts>
      {(state === 'asked' || state === 'signed') && <Sign glass={glass} />}
      {state === 'open' && <End glass={glass} />}
      {glass.needsReview && state !== 'open' && <Review glass={glass} />}
    </div>
  );
}

function useGlass<Input>(run: (input: Input) => Promise<unknown>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: run,
    onSettled: () => void queries.invalidateQueries({ queryKey: ['break-glass'] }),
  });
}

function Sign({ glass }: { glass: BreakGlass }) {
  const sign = useGlass(() => breakGlassWithPasskey(glass));
  const end = useGlass(() => call('POST /break-glass/:id/end', { params: { id: glass.id } }));
  return (
    <>
      <div className={classes.buttons}>
        <Button
          size="sm"
          color="red.9"
          leftSection={<IconFingerprint size={17} />}
          loading={sign.isPending}
          onClick={() => sign.mutate(undefined)}
        >
          {glass.state === 'asked' ? 'Sign as the first of two' : 'Sign as the second, and open it'}
        </Button>
        <Button size="sm" variant="default" loading={end.isPending} onClick={() => end.mutate(undefined)}>
          Refuse
        </Button>
      </div>
      {sign.error && <Failure error={sign.error} />}
      {end.error && <Failure error={end.error} />}
    </>
  );
}

function End({ glass }: { glass: BreakGlass }) {
  const end = useGlass(() => call('POST /break-glass/:id/end', { params: { id: glass.id } }));
  return (
    <>
      <div className={classes.buttons}>
        <Button
          size="sm"
          variant="default"
          leftSection={<IconPlayerStop size={16} />}
          loading={end.isPending}
          onClick={() => end.mutate(undefined)}
        >
          End it now
        </Button>
        <Link to="/actions" className="gh-link">
          What has run
        </Link>
      </div>
      {end.error && <Failure error={end.error} />}
    </>
  );
}

function Review({ glass }: { glass: BreakGlass }) {
  const [note, setNote] = useState('');
  const review = useGlass(() => call('POST /break-glass/:id/review', { params: { id: glass.id }, body: { note } }));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    review.mutate(undefined);
  };
  return (
    <form onSubmit={submit} className={classes.review}>
      <Textarea
        label="What was done under it, and was it needed?"
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
        minLength={10}
        maxLength={2_000}
        required
        autosize
        minRows={2}
      />
      <div className={classes.buttons}>
        <Button type="submit" size="sm" loading={review.isPending}>
          Close with this review
        </Button>
      </div>
      {review.error && <Failure error={review.error} />}
    </form>
  );
}
