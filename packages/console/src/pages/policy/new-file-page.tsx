import { TextInput } from '@mantine/core';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { Page, Section } from '../../ui/page.tsx';
import { EditPolicy } from './edit-policy.tsx';

/** Something that is right as it stands and decides nothing yet. */
const starter = `// What this is for.
@id("first")
@mode("observe")
forbid (principal, action, resource)
when { context.flow.untrusted };
`;

const nameShape = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

export function NewPolicyFilePage() {
  const navigate = useNavigate();
  const [name, setName] = useState('');
  const isNamed = nameShape.test(name);
  const problem = name === '' || isNamed ? null : 'Small letters, digits and single hyphens, beginning with a letter.';
  return (
    <Page
      title="New policy file"
      crumb={
        <Link to="/policy/files" className="gh-link">
          Policies
        </Link>
      }
    >
      <Section title="Name">
        <TextInput
          label="What it is called in decisions"
          value={name}
          onChange={(event) => setName(event.currentTarget.value.trim())}
          error={problem}
          maxLength={64}
          autoFocus
          style={{ maxWidth: 400 }}
        />
      </Section>
      <EditPolicy
        file={{ name: isNamed ? name : 'new-policy', builtIn: false, mode: 'enforce', cedar: starter }}
        isNew
        isNamed={isNamed}
        leave={() => void navigate({ to: '/policy/files' })}
      />
    </Page>
  );
}
