import type { TaskParameters, TemplateManifest } from '@gatehouse/protocol';
import { isAllowedBy } from '@gatehouse/protocol/tool-pattern';
import { Button, Checkbox, NumberInput, Select, Switch, TextInput } from '@mantine/core';
import { IconUserShare } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { call } from '../../api/client.ts';
import { agentIdentityQuery, agentQuery, agentsQuery, templatesQuery, toolsQuery } from '../../api/queries.ts';
import { EnvironmentBadge, TierBadge } from '../../ui/badge.tsx';
import { notify } from '../../ui/notices.tsx';
import { Card, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Warning } from '../../ui/warning.tsx';
import classes from './delegations.module.css';

const MOST_DAYS = 90;

/** A person lets an agent act for them. Only what they choose here counts: an address fills the form in and no more. */
export function GrantPage() {
  const asked = useSearch({ from: '/house/delegations/new' });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [agent, setAgent] = useState(asked.agent ?? '');
  const [template, setTemplate] = useState(asked.template ?? '');
  const [parameters, setParameters] = useState<Record<string, string>>({});
  const [some, setSome] = useState(false);
  const [tools, setTools] = useState<ReadonlySet<string>>(new Set());
  const [perDay, setPerDay] = useState<number | string>('');
  const [days, setDays] = useState<number | string>(30);
  const agents = useQuery(agentsQuery);
  const identity = useQuery({ ...agentIdentityQuery(agent), enabled: agent !== '', retry: false });
  const templates = useQuery(templatesQuery).data?.items;
  const declared = templates?.find(({ name }) => name === template);
  const allowed = useToolsOf(declared);
  const isReady = agent !== '' && template !== '' && typeof days === 'number' && (!some || tools.size > 0);

  const grant = useMutation({
    mutationFn: () =>
      call('POST /delegations', {
        body: {
          agent,
          template,
          parameters: typed(declared, parameters),
          days: Number(days),
          ...(some && { tools: [...tools] }),
          ...(typeof perDay === 'number' && { maxTasksPerDay: perDay }),
        },
      }),
    onSuccess: (made) => {
      void queries.invalidateQueries({ queryKey: ['delegations'] });
      notify({ message: `${made.agent} may act for you now. Its id is ${made.id}.` });
      void navigate({ to: '/delegations' });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) grant.mutate();
  };

  return (
    <Page
      title="Let an agent act for me"
      crumb={
        <Link to="/delegations" className="gh-link">
          Delegations
        </Link>
      }
      about="While this stands, the agent can start such tasks in your name without asking. What it does is recorded as done for you."
    >
      <form onSubmit={submit} className={classes.form}>
        <Section title="Who, and for what">
          <Card>
            <div className={classes.fields}>
              {agents.data ? (
                <Select
                  label="Agent"
                  placeholder="Which one?"
                  data={agents.data.filter(({ state }) => state !== 'retired').map(({ name }) => name)}
                  value={agent === '' ? null : agent}
                  onChange={(chosen) => {
                    setAgent(chosen ?? '');
                    setTemplate('');
                  }}
                  searchable
                  required
                />
              ) : (
                <TextInput
                  label="Agent"
                  value={agent}
                  onChange={(event) => setAgent(event.currentTarget.value)}
                  required
                />
              )}
              {identity.data ? (
                <Select
                  label="Kind of task (template)"
                  placeholder={identity.data.templates.length === 0 ? 'It may start none' : 'Which one?'}
                  data={identity.data.templates}
                  value={template === '' ? null : template}
                  onChange={(chosen) => {
                    setTemplate(chosen ?? '');
                    setParameters({});
                    setTools(new Set());
                  }}
                  required
                />
              ) : (
                <TextInput
                  label="Kind of task (template)"
                  value={template}
                  onChange={(event) => setTemplate(event.currentTarget.value)}
                  required
                />
              )}
              {declared?.description && <p className={classes.about}>{declared.description}</p>}
            </div>
            {agent !== '' && <AboutAgent name={agent} />}
          </Card>
        </Section>

        {declared && Object.keys(declared.parameters).length > 0 && (
          <Section title="Only where">
            <Card>
              <div className={classes.fields}>
                {Object.entries(declared.parameters).map(([name, { type, description }]) => (
                  <TextInput
                    key={name}
                    label={name}
                    description={description ?? `Empty: the agent chooses (${type})`}
                    value={parameters[name] ?? ''}
                    onChange={(event) => setParameters({ ...parameters, [name]: event.currentTarget.value })}
                    inputMode={type === 'integer' ? 'numeric' : undefined}
                  />
                ))}
              </div>
            </Card>
          </Section>
        )}

        {declared && (
          <Section title="Tools">
            <Card>
              <Switch
                size="sm"
                label="Only some of what this kind of task allows"
                checked={some}
                onChange={(event) => setSome(event.currentTarget.checked)}
              />
              {some && (
                <ul className={classes.tools}>
                  {allowed.map(({ ref, tier, description }) => (
                    <li key={ref}>
                      <Checkbox
                        size="sm"
                        label={ref}
                        description={description}
                        checked={tools.has(ref)}
                        onChange={() => {
                          const next = new Set(tools);
                          if (!next.delete(ref)) next.add(ref);
                          setTools(next);
                        }}
                      />
                      {tier && <TierBadge tier={tier} />}
                    </li>
                  ))}
                </ul>
              )}
            </Card>
          </Section>
        )}

        <Section title="How long, how often">
          <Card>
            <div className={classes.fields}>
              <NumberInput
                size="xs"
                label="Runs out after"
                description={`At most ${MOST_DAYS} days; you are asked in between whether it shall stand`}
                value={days}
                onChange={setDays}
                min={1}
                max={MOST_DAYS}
                suffix=" days"
                allowDecimal={false}
                hideControls
                required
              />
              <NumberInput
                size="xs"
                label="Tasks a day, at most"
                description="Empty: as many as the agent may start"
                value={perDay}
                onChange={setPerDay}
                min={1}
                max={10_000}
                allowDecimal={false}
                hideControls
              />
            </div>
          </Card>
        </Section>

        {grant.error && <Failure error={grant.error} />}
        <div className={classes.buttons}>
          <Button
            type="submit"
            size="sm"
            leftSection={<IconUserShare size={16} />}
            disabled={!isReady}
            loading={grant.isPending}
          >
            Let it act for me
          </Button>
        </div>
      </form>
    </Page>
  );
}

function AboutAgent({ name }: { name: string }) {
  const agent = useQuery({ ...agentQuery(name), retry: false });
  if (!agent.data) return null;
  const { purpose, environment, owner, bearerOnly } = agent.data.manifest;
  return (
    <div className={classes.agent}>
      <Facts>
        <Fact name="It is there for">{purpose}</Fact>
        <Fact name="Environment">
          <EnvironmentBadge name={environment} />
        </Fact>
        <Fact name="Owner">{owner}</Fact>
      </Facts>
      {bearerOnly && (
        <Warning>
          Its tokens are not bound to a key: whoever gets hold of one can use it for as long as it lives (15 minutes at
          most).
        </Warning>
      )}
    </div>
  );
}

/** What the template allows, as far as it is known here. */
function useToolsOf(template: TemplateManifest | undefined) {
  const known = useQuery(toolsQuery).data?.items ?? [];
  const patterns = template?.allow.flatMap((allow) => allow.tools ?? []) ?? [];
  return [
    ...known
      .filter((tool) => template?.allow.some((allow) => isAllowedBy(allow, tool)))
      .map(({ ref, tier, description }) => ({ ref, tier, description })),
    ...[...new Set(patterns)]
      .filter((each) => each.includes('#'))
      .map((ref) => ({ ref, tier: null, description: null })),
  ];
}

/** What is empty binds nothing; the rest has the type that the template gives it, or is refused by the server. */
function typed(template: TemplateManifest | undefined, given: Record<string, string>): TaskParameters {
  return Object.fromEntries(
    Object.entries(given)
      .filter(([, value]) => value.trim() !== '')
      .map(([name, value]) => {
        const type = template?.parameters[name]?.type;
        if (type === 'integer' && /^-?\d+$/.test(value.trim())) return [name, Number(value)];
        if (type === 'boolean' && /^(true|false)$/.test(value.trim())) return [name, value.trim() === 'true'];
        return [name, value];
      }),
  );
}
