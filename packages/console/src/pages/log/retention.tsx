import type { RecordRemoval, RetentionClass, RetentionPeriod } from '@gatehouse/protocol';
import { retentionStatement } from '@gatehouse/protocol/second-yes-statement';
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { retentionQuery } from '../../api/queries.ts';
import { plural } from '../../lib/words.ts';
import { Card, Fact, Facts, Failure, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { Decide } from './keeping.tsx';
import classes from './log.module.css';

const SHOWN = 5;

/** What is kept for how long, what was removed, and what would go next. */
export function Retention() {
  const { data } = useQuery(retentionQuery);
  if (!data || (data.classes.length === 0 && data.removals.length === 0)) return null;
  const { classes: kept, defaultArgumentsDays, minimumDays, next, removed, removals, underWay } = data;
  return (
    <Section title="Kept for how long">
      {kept.map((each) => (
        <Card key={each.name}>
          <p className={classes.advice}>
            <strong>
              <PlainText text={each.name} />:
            </strong>{' '}
            <PlainText text={selectors(each)} />
          </p>
          <Facts>
            <Fact name="Records">{days(each.records, 'as other classes say, or for ever')}</Fact>
            <Fact name="Arguments">{days(each.arguments, inDays(defaultArgumentsDays))}</Fact>
          </Facts>
          {each.belowMinimum && (
            <p className={classes.advice}>
              Fewer than {minimumDays} days: “
              <PlainText text={each.belowMinimum.reason} />”
            </p>
          )}
          {each.belowMinimum && !each.belowMinimum.agreed && (
            <Decide
              what={`Until somebody else than who applied it agrees, its records are kept for ${minimumDays} days. What is removed does not come back.`}
              statement={retentionStatement(each)}
              agree={(body) => call('POST /retention/:name/agree', { params: { name: each.name }, body })}
              refresh="retention"
            />
          )}
          {each.belowMinimum?.agreed && <Withdraw name={each.name} />}
        </Card>
      ))}
      <Card>
        <Facts>
          <Fact name="Everything else">
            Records for ever, arguments {inDays(defaultArgumentsDays)}. Of all classes that fit the longest counts.
          </Fact>
          <Fact name="Would go next">
            {plural(next.due, 'record')} of {next.of} looked at{!next.complete && ', and more are old enough to be'};{' '}
            {next.held} kept by a hold, {next.needed} by what is not over or kept for ever
            {next.waitsFor.map((sink) => (
              <span key={sink}>; what the sink {sink} has not taken waits for it</span>
            ))}
          </Fact>
          {data.pausedUntil !== null && (
            <Fact name="Paused">
              The server’s clock has leapt, or it was away: no record goes before <When at={data.pausedUntil} />
            </Fact>
          )}
          {data.problem !== null && (
            <Fact name="Stopped">
              <PlainText text={data.problem} />. No record goes until that is mended.
            </Fact>
          )}
          {underWay > 0 && <Fact name="Under way">{plural(underWay, 'record')}, whose removal is on record</Fact>}
          <Fact name="Removed so far">{plural(removed.records, 'record')}</Fact>
        </Facts>
        {removals.length > 0 && (
          <ul>
            {removals.slice(0, SHOWN).map((each) => (
              <Removal key={each.id} removal={each} />
            ))}
          </ul>
        )}
      </Card>
    </Section>
  );
}

function Withdraw({ name }: { name: string }) {
  const withdraw = useChange(() => call('POST /retention/:name/withdraw', { params: { name } }), {
    refresh: ['retention'],
  });
  return (
    <>
      <Button variant="default" loading={withdraw.form.pending} onClick={withdraw.form.submit}>
        Withdraw the agreement
      </Button>
      {withdraw.form.error && <Failure error={withdraw.form.error} />}
    </>
  );
}

function Removal({ removal: { records, kept, log, rule, recorded } }: { removal: RecordRemoval }) {
  return (
    <li className="gh-quiet">
      <When at={recorded.at} />: {plural(records - kept, 'record')} of <PlainText text={log} />,{' '}
      <PlainText text={rule} />; record {recorded.sequence} of <PlainText text={recorded.log} /> says so
      {kept > 0 && `; ${kept} kept after all`}
    </li>
  );
}

const inDays = (number: number | null) => (number === null ? 'for ever' : `for ${number} days`);

const days = (period: RetentionPeriod | null, none: string) =>
  period === null ? none : inDays(period === 'forever' ? null : period);

const selectors = ({ of }: RetentionClass) =>
  Object.entries(of)
    .map(([name, values]) => `${name} ${values?.join(', ')}`)
    .join('; ') || 'every action';
