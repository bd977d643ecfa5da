import type { SupposedCall, TemplateManifest } from '@gatehouse/protocol';
import { Button, Checkbox, Select, Textarea, TextInput } from '@mantine/core';
import { IconScale } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { agentsQuery, templatesQuery, toolsQuery } from '../../api/queries.ts';
import type { Obstacle } from '../../app/session.ts';
import { deviations, emptyCall, type Fields, origins, readCall } from '../../lib/supposed-call.ts';
import { Card, Section } from '../../ui/page.tsx';
import classes from './explanation.module.css';

interface CallFormProps {
  template: string | undefined;
  obstacle: Obstacle;
  pending: boolean;
  submit: (supposed: SupposedCall) => void;
}

/** Who would call what, with what, having seen what. */
export function CallForm({ template: given, obstacle, pending, submit }: CallFormProps) {
  const [fields, setFields] = useState<Fields>({ ...emptyCall, template: given ?? null });
  const set = (change: Partial<Fields>) => setFields((before) => ({ ...before, ...change }));
  const agents = useQuery(agentsQuery).data;
  const templates = useQuery(templatesQuery).data?.items;
  const tools = useQuery(toolsQuery).data?.items;
  const handedOut = templates?.flatMap(({ credentials = [] }) =>
    credentials.flatMap(({ provider, direct }) => (direct ? [`${provider}#credential`] : [])),
  );
  const template = templates?.find(({ name }) => name === fields.template);
  const read = readCall(fields, template?.parameters ?? {});
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (read.call && obstacle === null) submit(read.call);
  };
  return (
    <form onSubmit={onSubmit}>
      <Section title="The call">
        <Card>
          <div className={classes.form}>
            <Select
              label="Agent"
              placeholder="Any agent whose blueprint has the template"
              data={agents?.map(({ name }) => name) ?? []}
              value={fields.agent}
              onChange={(agent) => set({ agent })}
              searchable
              clearable
            />
            <Select
              label="Template"
              placeholder="None: the person calls by themselves"
              data={templates?.map(({ name }) => name) ?? []}
              value={fields.template}
              onChange={(name) => set({ template: name, parameters: {} })}
              searchable
              clearable
            />
            <Select
              label="Tool"
              description="Or a credential that the task is handed itself: provider#credential"
              data={[...(tools?.map(({ ref }) => ref) ?? []), ...new Set(handedOut)]}
              value={fields.tool}
              onChange={(tool) => set({ tool })}
              searchable
              withAsterisk
            />
            <TextInput
              label="Person it acts for"
              placeholder="nobody"
              value={fields.user}
              onChange={(event) => set({ user: event.currentTarget.value })}
              type="email"
              autoComplete="off"
            />
            <Parameters template={template} fields={fields} set={set} />
            <Textarea
              className={classes.whole}
              label="Arguments (JSON)"
              value={fields.arguments}
              onChange={(event) => set({ arguments: event.currentTarget.value })}
              error={read.problems.arguments}
              autosize
              minRows={3}
              maxRows={14}
              maxLength={100_000}
              spellCheck={false}
              classNames={{ input: 'gh-mono' }}
            />
          </div>
        </Card>
      </Section>
      <Section title="What is known around it">
        <Card>
          <div className={classes.form}>
            <Checkbox
              label="The task has read untrusted content"
              checked={fields.untrusted}
              onChange={(event) => set({ untrusted: event.currentTarget.checked })}
            />
            <Checkbox
              label="The agent uses this tool for the first time"
              checked={fields.firstUse}
              onChange={(event) => set({ firstUse: event.currentTarget.checked })}
            />
            <Select
              label="What is unusual about it"
              placeholder="Nothing"
              data={deviations}
              value={fields.deviation}
              onChange={(deviation) => set({ deviation })}
              clearable
            />
            <TextInput
              label="Sensitive data it has read"
              placeholder="personal, financial"
              value={fields.sensitive}
              onChange={(event) => set({ sensitive: event.currentTarget.value })}
              autoComplete="off"
            />
            <Select
              label="Where its arguments come from"
              placeholder="From its parameters, or from nowhere known"
              data={origins}
              value={fields.provenance}
              onChange={(provenance) => set({ provenance })}
              clearable
            />
            <TextInput
              label="When"
              type="datetime-local"
              value={fields.now}
              onChange={(event) => set({ now: event.currentTarget.value })}
            />
            <TextInput
              label="From the address"
              placeholder="unknown"
              value={fields.address}
              onChange={(event) => set({ address: event.currentTarget.value })}
              autoComplete="off"
            />
          </div>
        </Card>
      </Section>
      <div className={classes.submit}>
        <Button
          type="submit"
          leftSection={<IconScale size={15} />}
          loading={pending}
          disabled={obstacle !== null || !read.call}
          title={obstacle ?? undefined}
        >
          Decide
        </Button>
        {obstacle && <p className="gh-quiet">{obstacle}</p>}
      </div>
    </form>
  );
}

interface ParametersProps {
  template: TemplateManifest | undefined;
  fields: Fields;
  set: (change: Partial<Fields>) => void;
}

function Parameters({ template, fields, set }: ParametersProps) {
  return Object.entries(template?.parameters ?? {}).map(([name, { type, required, description }]) => (
    <TextInput
      key={name}
      label={name}
      description={description}
      placeholder={type}
      value={fields.parameters[name] ?? ''}
      onChange={(event) => set({ parameters: { ...fields.parameters, [name]: event.currentTarget.value } })}
      withAsterisk={required}
      autoComplete="off"
    />
  ));
}
