import type { ConsentChoice, ConsentView, TaskParameters } from '@gatehouse/protocol';
import { Button, Checkbox, NativeSelect, NumberInput, Switch, Textarea, TextInput } from '@mantine/core';
import { IconBan, IconCheck, IconFingerprint } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { call } from '../../api/client.ts';
import { consentWithPasskey } from '../../api/passkeys.ts';
import { ApiError } from '../../api/problem.ts';
import { EnvironmentBadge } from '../../ui/badge.tsx';
import { Card, Fact, Facts, Failure, Section } from '../../ui/page.tsx';
import { Warning } from '../../ui/warning.tsx';
import classes from './consent.module.css';
import { ConsentTools } from './consent-tools.tsx';

interface FormProps {
  consent: ConsentView;
  onDone: (answer: 'yes' | 'no') => void;
  /** What was shown is not what is there any more. */
  again: () => void;
}

const keyOf = ({ agent, template }: ConsentChoice) => `${agent} ${template}`;

/** Chooses agent and template; everything below belongs to that choice, and starts anew with another one. */
export function ConsentForm({ consent, onDone, again }: FormProps) {
  const [key, setKey] = useState(() => keyOf(consent.choices[0] as ConsentChoice));
  const choice = consent.choices.find((each) => keyOf(each) === key) ?? (consent.choices[0] as ConsentChoice);
  return (
    <>
      <Section title="Acts as">
        <Card>
          {consent.choices.length > 1 && (
            <NativeSelect
              label="Agent and kind of task"
              mb="md"
              value={key}
              onChange={(event) => setKey(event.currentTarget.value)}
              data={consent.choices.map((each) => ({
                value: keyOf(each),
                label: `${each.agent}: ${each.template} (${each.environment})`,
              }))}
            />
          )}
          <Facts>
            <Fact name="Agent">{choice.agent}</Fact>
            <Fact name="It is there for">{choice.purpose}</Fact>
            <Fact name="Environment">
              <EnvironmentBadge name={choice.environment} />
            </Fact>
            <Fact name="Owner">{choice.owner}</Fact>
            <Fact name="Kind of task">
              {choice.template}
              {choice.description && `: ${choice.description}`}
            </Fact>
          </Facts>
          {choice.bearerOnly && (
            <Warning>
              Its tokens are not bound to a key: whoever gets hold of one can use it for as long as it lives (15 minutes
              at most).
            </Warning>
          )}
        </Card>
      </Section>
      <Answer key={choice.digest} consent={consent} choice={choice} onDone={onDone} again={again} />
    </>
  );
}

function Answer({ consent, choice, onDone, again }: FormProps & { choice: ConsentChoice }) {
  const wish = consent.wish?.template === choice.template ? consent.wish : null;
  const [parameters, setParameters] = useState<TaskParameters>(wish?.parameters ?? {});
  const [intent, setIntent] = useState(wish?.intent ?? '');
  const [kept, setKept] = useState<ReadonlySet<string>>(
    () => new Set(choice.tools.filter(({ yours }) => yours).map(({ ref }) => ref)),
  );
  const [minutes, setMinutes] = useState(Math.floor(choice.ttlSeconds / 60));

  // Off, whatever was asked for: only the person says so.
  const [days, setDays] = useState<number | null>(null);

  const leave = (answer: 'yes' | 'no', redirect: string | null) => {
    // Only an address that the server gave: back to the client.
    if (redirect === null) onDone(answer);
    else location.assign(redirect);
  };
  const onError = (error: Error) => {
    if (error instanceof ApiError && error.code === 'consent.changed') again();
  };
  const approve = useMutation({
    mutationFn: () => {
      const answer = {
        agent: choice.agent,
        template: choice.template,
        digest: choice.digest,
        parameters,
        intent: intent.trim(),
        tools: [...kept],
        ttlSeconds: Math.min(minutes * 60, choice.ttlSeconds),
        ...(days !== null && { standing: { days } }),
      };
      return consent.kind === 'backchannel'
        ? consentWithPasskey(consent.id, answer)
        : call('POST /consents/:id/approve', { params: { id: consent.id }, body: answer });
    },
    onSuccess: ({ redirect }) => leave('yes', redirect),
    onError,
  });
  const deny = useMutation({
    mutationFn: () => call('POST /consents/:id/deny', { params: { id: consent.id } }),
    onSuccess: ({ redirect }) => leave('no', redirect),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    approve.mutate();
  };
  const busy = approve.isPending || deny.isPending;

  return (
    <form onSubmit={submit} className={classes.form}>
      <Section title="For this task">
        <Card>
          <div className={classes.fields}>
            <Textarea
              label="What for"
              description="Stands in the record of everything that is done."
              value={intent}
              onChange={(event) => setIntent(event.currentTarget.value)}
              required
              maxLength={2_000}
              autosize
              minRows={1}
            />
            {Object.entries(choice.parameters).map(([name, declared]) => (
              <Parameter
                key={name}
                name={name}
                declared={declared}
                value={parameters[name]}
                onChange={(value) => setParameters((before) => withParameter(before, name, value))}
              />
            ))}
            <NumberInput
              label="For how many minutes"
              description={`At most ${Math.floor(choice.ttlSeconds / 60)}. Then it has to ask again.`}
              value={minutes}
              onChange={(value) => setMinutes(Number(value))}
              min={1}
              max={Math.floor(choice.ttlSeconds / 60)}
              required
            />
          </div>
        </Card>
      </Section>
      <ConsentTools tools={choice.tools} kept={kept} onChange={setKept} />
      {consent.standing && (
        <Standing agent={choice.agent} mostDays={consent.standing.mostDays} days={days} onChange={setDays} />
      )}
      <div className={classes.buttons}>
        <Button
          type="submit"
          size="sm"
          leftSection={consent.kind === 'backchannel' ? <IconFingerprint size={17} /> : <IconCheck size={17} />}
          loading={approve.isPending}
          disabled={busy || kept.size === 0}
        >
          {consent.kind === 'backchannel' ? 'Allow with passkey' : 'Allow'}
        </Button>
        <Button
          size="sm"
          variant="default"
          leftSection={<IconBan size={16} />}
          loading={deny.isPending}
          disabled={busy}
          onClick={() => deny.mutate()}
        >
          Deny
        </Button>
      </div>
      {approve.error && <Failure error={approve.error} />}
      {deny.error && <Failure error={deny.error} />}
    </form>
  );
}

interface StandingProps {
  agent: string;
  mostDays: number;
  /** Null: nothing is left standing. */
  days: number | null;
  onChange: (days: number | null) => void;
}

function Standing({ agent, mostDays, days, onChange }: StandingProps) {
  return (
    <Section title="When you are not there">
      <Card>
        <div className={classes.fields}>
          <Checkbox
            label={`Also let ${agent} act for me without me`}
            description="It may then start such tasks by itself, for whatever reason, with the same values and tools and no others. You can revoke that at any time under Delegations."
            checked={days !== null}
            onChange={(event) => onChange(event.currentTarget.checked ? 7 : null)}
          />
          {days !== null && (
            <NumberInput
              label="For how many days"
              description={`At most ${mostDays}. In between you are asked whether it shall stand.`}
              value={days}
              onChange={(value) => onChange(Number(value))}
              min={1}
              max={mostDays}
              allowDecimal={false}
              required
            />
          )}
        </div>
      </Card>
    </Section>
  );
}

type Value = TaskParameters[string] | undefined;

function withParameter(before: TaskParameters, name: string, value: Value): TaskParameters {
  const { [name]: _, ...others } = before;
  return value === undefined ? others : { ...others, [name]: value };
}

function Parameter({
  name,
  declared,
  value,
  onChange,
}: {
  name: string;
  declared: ConsentChoice['parameters'][string];
  value: Value;
  onChange: (value: Value) => void;
}) {
  const common = { label: name, description: declared.description };
  if (declared.type === 'boolean')
    return <Switch {...common} checked={value === true} onChange={(event) => onChange(event.currentTarget.checked)} />;
  if (declared.type === 'integer')
    return (
      <NumberInput
        {...common}
        required={declared.required}
        allowDecimal={false}
        value={typeof value === 'number' ? value : ''}
        onChange={(next) => onChange(next === '' ? undefined : Number(next))}
      />
    );
  return (
    <TextInput
      {...common}
      required={declared.required}
      maxLength={1_000}
      value={typeof value === 'string' ? value : ''}
      onChange={(event) => onChange(event.currentTarget.value === '' ? undefined : event.currentTarget.value)}
    />
  );
}
