import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { consentsQuery } from '../../api/queries.ts';
import { Card, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { TimeLeft } from '../../ui/when.tsx';
import classes from './consent.module.css';

/** What agents ask this person out of band; nothing where nothing waits. */
export function WaitingConsents() {
  const { data } = useQuery(consentsQuery);
  if (!data || data.items.length === 0) return null;
  return (
    <Section title="Agents that want to act for you" count={data.items.length}>
      <Card padded={false}>
        <ul className={classes.tools}>
          {data.items.map(({ id, client, bindingMessage, wish, expiresAt }) => (
            <li key={id}>
              <span>
                <Link to="/consent/$id" params={{ id }} className="gh-link">
                  {client.name}
                </Link>{' '}
                <PlainText text={bindingMessage ?? wish?.intent ?? ''} />
              </span>
              <span className={classes.badges}>
                <TimeLeft until={expiresAt} />
              </span>
            </li>
          ))}
        </ul>
      </Card>
    </Section>
  );
}
