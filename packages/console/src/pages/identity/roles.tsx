import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { rolesQuery } from '../../api/queries.ts';
import { Failure, Section } from '../../ui/page.tsx';
import classes from './identity.module.css';

/** As the policies in force have it: a workspace can narrow and widen them. */
export function Roles() {
  const roles = useQuery(rolesQuery);
  const items = roles.data?.items.filter(({ name }) => name !== 'operator') ?? [];
  const [first] = items;
  const common = first?.may.filter(({ words }) => items.every(({ may }) => may.some((each) => each.words === words)));
  const isCommon = (words: string) => common?.some((each) => each.words === words) ?? false;
  return (
    <Section title="What each role may do">
      {roles.error && <Failure error={roles.error} retry={() => void roles.refetch()} />}
      {roles.isPending && <Skeleton height={220} radius="md" />}
      {!!common?.length && (
        <p className={classes.lead}>Everybody may {common.map(({ words }) => words).join('; ')}. Beyond that:</p>
      )}
      <div className={classes.roles}>
        {roles.data?.items.map(({ name, may }) => (
          <article key={name} className={classes.role}>
            <h3>{name === 'operator' ? 'operator: whoever has this server’s host' : name}</h3>
            <ul>
              {may
                .filter(({ words }) => !isCommon(words))
                .map(({ action, words }) => (
                  <li key={action}>{words}</li>
                ))}
              {may.every(({ words }) => isCommon(words)) && <li>nothing</li>}
            </ul>
          </article>
        ))}
      </div>
    </Section>
  );
}
