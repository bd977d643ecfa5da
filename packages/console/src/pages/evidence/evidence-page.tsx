import type { Evidence, EvidenceControl, EvidenceFramework } from '@gatehouse/protocol';
import { Button, Select, TextInput } from '@mantine/core';
import { IconCertificate, IconDownload } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { saveAs, saveFile } from '../../lib/save.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { Card, Empty, Fact, Facts, Failure, Page, Section, Toolbar } from '../../ui/page.tsx';
import { Identifier } from '../../ui/text.tsx';
import { Check } from './check.tsx';
import classes from './evidence.module.css';
import { EvidenceState } from './evidence-state.tsx';

const frameworks: { value: EvidenceFramework; label: string }[] = [
  { value: 'questions', label: 'Five questions of a security review' },
  { value: 'soc2', label: 'SOC 2' },
  { value: 'iso27001', label: 'ISO/IEC 27001' },
  { value: 'hipaa', label: 'HIPAA' },
  { value: 'eu-ai-act', label: 'EU AI Act' },
  { value: 'owasp-asi', label: 'OWASP Agentic Top 10' },
];
const DAY_MS = 86_400_000;
const PERIOD_DAYS = 90;
const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10);

export function EvidencePage() {
  const [framework, setFramework] = useState<EvidenceFramework>('questions');
  const [from, setFrom] = useState(() => dayOf(Date.now() - PERIOD_DAYS * DAY_MS));
  const [to, setTo] = useState(() => dayOf(Date.now()));
  // The last day is in the period.
  const make = useMutation({
    mutationFn: () => call('POST /evidence', { body: { framework, from, to: String(Date.parse(to) + DAY_MS) } }),
  });
  return (
    <Page
      title="Evidence"
      about="What this workspace’s own data shows of the controls that auditors ask about: each row has what was asked and what came of it, or says that it is not covered."
    >
      <Toolbar>
        <Select
          aria-label="Framework"
          data={frameworks}
          value={framework}
          onChange={(value) => value && setFramework(value as EvidenceFramework)}
          allowDeselect={false}
        />
        <TextInput
          type="date"
          aria-label="From"
          value={from}
          max={to}
          onChange={(event) => setFrom(event.currentTarget.value)}
        />
        <TextInput
          type="date"
          aria-label="To"
          value={to}
          min={from}
          onChange={(event) => setTo(event.currentTarget.value)}
        />
        <Button loading={make.isPending} disabled={!from || !to} onClick={() => make.mutate()}>
          Make the report
        </Button>
      </Toolbar>
      {make.error && <Failure error={make.error} retry={() => make.mutate()} />}
      {make.data ? (
        <Report evidence={make.data} />
      ) : (
        !make.error && (
          <Card padded={false}>
            <Empty
              icon={IconCertificate}
              title="No report yet"
              about="Choose a framework and a period (days are in UTC). A report that is made is itself on record."
            />
          </Card>
        )
      )}
    </Page>
  );
}

function Report({ evidence }: { evidence: Evidence }) {
  const { report, digest, receipt, receipts, html, pdf } = evidence;
  const { framework, from, to, controls, checks } = report;
  const name = `evidence-${framework.id}-${from.slice(0, 10)}-${to.slice(0, 10)}`;
  const findings = new Map(checks.map((check) => [check.id, check]));
  const open = (id: string) => document.getElementById(`check-${id}`)?.scrollIntoView({ behavior: 'smooth' });
  return (
    <>
      <Section
        title={framework.title}
        count={`${controls.filter(({ status }) => status === 'met').length} of ${controls.length} met`}
        actions={
          <>
            <Save
              label="PDF"
              save={() =>
                saveFile(
                  `${name}.pdf`,
                  Uint8Array.from(atob(pdf), (each) => each.charCodeAt(0)),
                  'application/pdf',
                )
              }
            />
            <Save label="HTML" save={() => saveFile(`${name}.html`, html, 'text/html')} />
            <Save label="JSON" save={() => saveAs('evidence.json', report)} />
            <Save
              label="Receipts"
              save={() =>
                saveAs('receipts.json', { format: 'gatehouse-evidence-receipts/1', digest, receipt, receipts })
              }
            />
          </>
        }
      >
        <DataTable
          label="Controls"
          rows={controls}
          rowKey={({ id }) => id}
          empty={null}
          columns={[
            {
              header: 'Control',
              width: '34%',
              cell: ({ id, title }: EvidenceControl) => (
                <>
                  <strong>{id}</strong> {title}
                </>
              ),
            },
            { header: 'Status', width: '9rem', cell: ({ status }) => <EvidenceState status={status} /> },
            {
              header: 'What the data shows',
              cell: ({ checks: own, remark }) => (
                <>
                  {own.map((each) => (
                    <button key={each} type="button" className={classes.finding} onClick={() => open(each)}>
                      {findings.get(each)?.finding}
                    </button>
                  ))}
                  {remark !== null && <p className={classes.remark}>{remark}</p>}
                </>
              ),
            },
          ]}
        />
      </Section>
      <Section title="What was asked">
        {checks.map((check) => (
          <Check key={check.id} check={check} />
        ))}
      </Section>
      <Section title="On record">
        <Card>
          <Facts>
            <Fact name="Digest">
              <Identifier value={digest} what="digest of the report" />
            </Fact>
            <Fact name="Receipt">
              {receipt
                ? `Record ${receipt.sequence} of ${receipt.log}`
                : 'None: the log is broken, and proves nothing.'}
            </Fact>
          </Facts>
        </Card>
      </Section>
    </>
  );
}

function Save({ label, save }: { label: string; save: () => void }) {
  return (
    <Button variant="default" leftSection={<IconDownload size={14} />} onClick={save}>
      {label}
    </Button>
  );
}
