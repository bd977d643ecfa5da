import type { Place, PolicyFileView, PolicyProblem } from '@gatehouse/protocol';
import { Button, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { call } from '../../api/client.ts';
import { ApiError } from '../../api/problem.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { notify } from '../../ui/notices.tsx';
import { Failure, Section } from '../../ui/page.tsx';
import classes from './cedar.module.css';
import { CedarText, goTo, Problems } from './cedar-text.tsx';
import { Rehearse } from './rehearse.tsx';

interface EditProps {
  file: PolicyFileView;
  leave: () => void;
  /** There is none of this name yet. */
  isNew?: boolean;
  /** False while a new one has no name that it could have. */
  isNamed?: boolean;
}

/** Checked while it is typed, rehearsed on what was recorded, and proposed; nothing is in force before that. */
export function EditPolicy({ file, leave, isNew = false, isNamed = true }: EditProps) {
  const session = useSession();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const field = useRef<HTMLTextAreaElement>(null);
  const [cedar, setCedar] = useState(file.cedar);
  const [note, setNote] = useState('');
  const check = useCheck(file, cedar);
  const problems = check.problems ?? [];
  const isFine = check.problems !== undefined && problems.every(({ severity }) => severity !== 'error');
  const hasChanged = isNamed && (isNew || cedar !== file.cedar);
  const manifests = [{ kind: 'Policy' as const, name: file.name, cedar, mode: file.mode }];

  const propose = useMutation({
    mutationFn: async () => {
      const now = await current(file.name);
      if (isNew && now) throw new Error(`There is a policy file ${file.name} already. Give this one another name.`);
      if (!isNew && (now?.cedar !== file.cedar || now.mode !== file.mode))
        throw new Error(
          'Somebody has changed this policy since you began. Leave, look at it again, and repeat your change.',
        );
      return call('POST /apply', { body: { manifests, note } });
    },
    onSuccess: ({ proposed }) => {
      for (const key of ['policies', 'versions', 'proposals']) void queries.invalidateQueries({ queryKey: [key] });
      if (proposed) {
        void navigate({ to: '/policy/proposals/$number', params: { number: String(proposed.number) } });
        return;
      }
      notify({
        color: 'green',
        title: 'In force',
        message: `${file.name} decides ${isNew ? 'from now on' : 'in its new form'}.`,
      });
      leave();
    },
  });
  const obstacle = needsRole(session, ['admin'], 'Changing a policy');

  return (
    <>
      <Section title="Text">
        <p className={classes.note}>Nothing of this is in force until it is proposed. Escape leaves the field.</p>
        <CedarText
          text={cedar}
          label={`Text of ${file.name}`}
          places={placesOf(problems, file.name)}
          field={field}
          onChange={setCedar}
        />
        <p className={classes.state} role="status">
          {check.error
            ? null
            : check.problems === undefined
              ? 'Checking…'
              : problems.length === 0
                ? 'Nothing is wrong with it.'
                : `${problems.length} to look at:`}
        </p>
        {check.error !== null && <Failure error={check.error} />}
        {problems.length > 0 && (
          <Problems problems={problems} file={file.name} go={(place) => goTo(field.current, place)} />
        )}
      </Section>
      <Section title="Before it is shipped">
        <Rehearse change={{ manifests }} ready={isFine && hasChanged} />
      </Section>
      <Section title="Propose">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (isFine && hasChanged && obstacle === null) propose.mutate();
          }}
          style={{ display: 'grid', gap: 12, maxWidth: 640 }}
        >
          <TextInput
            label="Why (for whoever ships it, and for who reads the versions later)"
            value={note}
            onChange={(event) => setNote(event.currentTarget.value)}
            maxLength={1_000}
          />
          <div style={{ display: 'flex', gap: 8 }}>
            <AllowedButton
              type="submit"
              variant="filled"
              obstacle={obstacle}
              loading={propose.isPending}
              disabled={!isFine || !hasChanged}
              title="In production what could let through what is stopped waits for a second person; the rest is applied at once"
            >
              Propose
            </AllowedButton>
            <Button variant="default" onClick={leave}>
              Leave without changing it
            </Button>
          </div>
          {propose.error && <Failure error={propose.error} />}
        </form>
      </Section>
    </>
  );
}

/** As it is now; undefined where there is none. */
async function current(name: string): Promise<PolicyFileView | undefined> {
  try {
    return await call('GET /policies/:name', { params: { name } });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

const placesOf = (problems: readonly PolicyProblem[], file: string): Place[] =>
  problems.flatMap(({ place, kind, name }) => (place && kind === 'Policy' && name === file ? [place] : []));

const CHECK_AFTER_MS = 400;

/** What is wrong with the text as it was when typing last paused; undefined while that is not known. */
function useCheck({ name, mode }: PolicyFileView, cedar: string) {
  const [settled, setSettled] = useState(cedar);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(cedar), CHECK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [cedar]);
  const check = useQuery({
    queryKey: ['policy-check', name, mode, settled],
    queryFn: ({ signal }) => call('POST /policy/check', { body: { name, mode, cedar: settled }, signal }),
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  return { problems: settled === cedar ? check.data?.problems : undefined, error: check.error };
}
