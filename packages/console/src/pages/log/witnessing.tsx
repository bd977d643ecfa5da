import type { Api } from '@gatehouse/protocol';
import { plural } from '../../lib/words.ts';
import { Card, Fact, Facts, Section } from '../../ui/page.tsx';
import { When } from '../../ui/when.tsx';
import classes from './log.module.css';

type Logs = Api['GET /logs'];

/** Who vouches for this replica's log, where it is published, and since when either is behind. */
export function Witnessing({ logs: { witnessing, publishing, problem } }: { logs: Logs }) {
  if (!witnessing && !publishing && problem === null) return null;
  return (
    <Section title="Seen from outside">
      <Card>
        {problem !== null && (
          <p className={classes.bad} role="alert">
            {problem}
          </p>
        )}
        <Facts>
          {witnessing && (
            <>
              <Fact name="Cosigned">
                {witnessing.cosigned ? (
                  <>
                    {plural(witnessing.cosigned.size, 'record')}, <When at={witnessing.cosigned.at} />
                  </>
                ) : (
                  'nothing yet'
                )}
              </Fact>
              {witnessing.uncosignedSince !== null && (
                <Fact name="Waiting">
                  <span className={witnessing.refuses ? classes.bad : undefined}>
                    since <When at={witnessing.uncosignedSince} />
                    {witnessing.refuses && '; calls are refused'}
                  </span>
                </Fact>
              )}
              <Fact name="Enough are">{witnessing.quorum}</Fact>
              {witnessing.witnesses.map(({ name, key, size, problem: why }) => (
                <Fact key={key} name={`Witness ${name}`}>
                  {why === null ? `has cosigned ${plural(size, 'record')}` : <span className={classes.bad}>{why}</span>}
                </Fact>
              ))}
            </>
          )}
          {publishing && (
            <Fact name="Published">
              {plural(publishing.size, 'record')} at <code>{publishing.place}</code>
              {publishing.problem !== null && <span className={classes.bad}> {publishing.problem}</span>}
            </Fact>
          )}
        </Facts>
      </Card>
    </Section>
  );
}
