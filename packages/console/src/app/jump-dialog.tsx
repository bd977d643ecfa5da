import { Modal, TextInput } from '@mantine/core';
import { type Icon, IconFileSearch, IconRobot, IconSearch, IconTool } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { type KeyboardEvent, useId, useState } from 'react';
import { agentsQuery, toolsQuery } from '../api/queries.ts';
import classes from './jump-dialog.module.css';
import { destinations } from './navigation.ts';

interface Place {
  key: string;
  label: string;
  about: string;
  icon: Icon;
  path: string;
}

const MOST_PLACES = 9;

export function JumpDialog({ opened, close }: { opened: boolean; close: () => void }) {
  return (
    <Modal
      opened={opened}
      onClose={close}
      withCloseButton={false}
      padding={0}
      size="md"
      yOffset="12vh"
      centered={false}
    >
      <Search close={close} />
    </Modal>
  );
}

function Search({ close }: { close: () => void }) {
  const router = useRouter();
  const listId = useId();
  const [text, setText] = useState('');
  const [chosen, setChosen] = useState(0);
  const agents = useQuery(agentsQuery);
  const tools = useQuery(toolsQuery);
  const places = [
    ...idPlaces(text.trim()),
    ...destinations.map(({ to, label, icon }) => ({ key: to, label, about: 'Page', icon, path: to })),
    ...(agents.data ?? []).map(({ name, manifest }) => ({
      key: `agent:${name}`,
      label: name,
      about: `Agent · ${manifest.environment}`,
      icon: IconRobot,
      path: `/agents/${encodeURIComponent(name)}`,
    })),
    ...(tools.data?.items ?? []).map(({ ref, tier }) => ({
      key: `tool:${ref}`,
      label: ref,
      about: `Tool · tier ${tier}`,
      icon: IconTool,
      path: `/tools?filter=${encodeURIComponent(ref)}`,
    })),
  ].filter(({ label, about }) => about === 'Open' || matches(label, text));
  const shown = places.slice(0, MOST_PLACES);
  const current = Math.min(chosen, shown.length - 1);

  const go = (place: Place | undefined) => {
    if (!place) return;
    close();
    void router.navigate({ href: place.path });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setChosen((current + step + shown.length) % Math.max(shown.length, 1));
    } else if (event.key === 'Enter') go(shown[current]);
  };

  return (
    <>
      <TextInput
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={onKeyDown}
        placeholder="Agent, tool, page, or an id"
        leftSection={<IconSearch size={16} aria-hidden />}
        variant="unstyled"
        size="md"
        data-autofocus
        role="combobox"
        aria-expanded
        aria-controls={listId}
        aria-activedescendant={shown[current] && `${listId}-${current}`}
        aria-label="Jump to"
      />
      <div role="listbox" id={listId} className={classes.list} aria-label="Places">
        {shown.map((place, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the field, which keeps the focus
          <div
            key={place.key}
            id={`${listId}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === current}
            className={classes.place}
            onMouseMove={() => setChosen(index)}
            onClick={() => go(place)}
          >
            <place.icon size={16} stroke={1.6} aria-hidden />
            <span className="gh-ellipsis">{place.label}</span>
            <small>{place.about}</small>
          </div>
        ))}
        {shown.length === 0 && <p className={classes.none}>Nothing is called that.</p>}
      </div>
    </>
  );
}

function idPlaces(text: string): Place[] {
  const kind = { act: ['/actions/', 'Action'], apr: ['/approvals/', 'Approval'], tsk: ['/tasks/', 'Task'] }[
    text.slice(0, 3)
  ];
  if (!kind || !/^[a-z]{3}_[0-9a-z]{8,}$/.test(text)) return [];
  return [{ key: text, label: `${kind[1]} ${text}`, about: 'Open', icon: IconFileSearch, path: kind[0] + text }];
}

/** Every word of the search is somewhere in the label. */
function matches(label: string, text: string): boolean {
  const lower = label.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}
