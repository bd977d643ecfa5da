import type { ConsentTool } from '@gatehouse/protocol';
import { Button, Checkbox } from '@mantine/core';
import { EffectBadges, TierBadge } from '../../ui/badge.tsx';
import { Card, Section } from '../../ui/page.tsx';
import { PlainText, ToolName } from '../../ui/text.tsx';
import classes from './consent.module.css';

interface ToolsProps {
  tools: ConsentTool[];
  kept: ReadonlySet<string>;
  onChange: (kept: ReadonlySet<string>) => void;
}

/** Every tool that such a task may use, in words; each can be taken away. */
export function ConsentTools({ tools, kept, onChange }: ToolsProps) {
  const toggle = (ref: string) => {
    const next = new Set(kept);
    if (!next.delete(ref)) next.add(ref);
    onChange(next);
  };
  const asking = tools.filter(({ tier }) => tier === 3).length;
  return (
    <Section
      title="It may use"
      count={`${kept.size} of ${tools.length}`}
      actions={
        <>
          <Button size="compact-xs" variant="default" onClick={() => onChange(new Set(tools.map(({ ref }) => ref)))}>
            All
          </Button>
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => onChange(new Set(tools.filter(isReading).map(({ ref }) => ref)))}
          >
            Reading only
          </Button>
        </>
      }
    >
      <Card padded={false}>
        <ul className={classes.tools}>
          {tools.map((tool) => (
            <li key={tool.ref}>
              <Checkbox
                checked={kept.has(tool.ref)}
                onChange={() => toggle(tool.ref)}
                label={<ToolName tool={tool.ref} />}
                description={<Described tool={tool} />}
              />
              <span className={classes.badges}>
                <EffectBadges effects={tool.effects} />
                <TierBadge tier={tool.tier} />
              </span>
            </li>
          ))}
        </ul>
      </Card>
      <p className={classes.note}>
        {asking === 1 ? '1 tool among them needs' : `${asking === 0 ? 'No' : asking} tools among them need`} a person’s
        approval each time. Policies of this workspace may forbid more than is shown here, never less.
      </p>
    </Section>
  );
}

const isReading = ({ effects }: ConsentTool) => effects.every((effect) => effect === 'read');

function Described({ tool }: { tool: ConsentTool }) {
  const limits = tool.when.every((when) => Object.keys(when).length > 0)
    ? tool.when.map((when) =>
        Object.entries(when)
          .map(([name, value]) => `${name} is ${inWords(value)}`)
          .join(' and '),
      )
    : [];
  return (
    <>
      {tool.description && <PlainText text={tool.description} />}
      {!tool.yours && (
        <span className={classes.limit}> None of your groups allows you this, so it would be refused.</span>
      )}
      {limits.length > 0 && <span className={classes.limit}> Only where {limits.join(', or ')}.</span>}
    </>
  );
}

const inWords = (value: string | number | boolean) =>
  typeof value === 'string' && value.startsWith('$') ? `the task’s ${value.slice(1)}` : JSON.stringify(value);
