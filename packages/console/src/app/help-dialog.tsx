import { Kbd, Modal } from '@mantine/core';
import classes from './help-dialog.module.css';
import { destinations } from './navigation.ts';

const keys: [string[], string][] = [
  [['?'], 'This help'],
  [['Ctrl', 'K'], 'Jump to an agent, tool, page or id'],
  [['Shift', 'K'], 'Kill switch'],
  [['j'], 'Next in the list'],
  [['k'], 'Previous in the list'],
  [['Enter'], 'Open it'],
  [['/'], 'Filter the list'],
  [['a'], 'Approve what is in focus, with your passkey'],
  [['d'], 'Deny what is in focus'],
  [['e'], 'Revoke the credential in focus now'],
  [['p'], 'Pause or resume live activity'],
  [['Esc'], 'Close, or leave the field'],
];

export function HelpDialog({ opened, close }: { opened: boolean; close: () => void }) {
  return (
    <Modal opened={opened} onClose={close} title="Keys" size="lg">
      <div className={classes.columns}>
        <dl className={classes.keys}>
          {keys.map(([combination, does]) => (
            <Row key={does} combination={combination} does={does} />
          ))}
        </dl>
        <dl className={classes.keys}>
          {destinations.map(({ key, label }) => (
            <Row key={label} combination={['g', key]} does={label} />
          ))}
        </dl>
      </div>
    </Modal>
  );
}

function Row({ combination, does }: { combination: string[]; does: string }) {
  return (
    <div>
      <dt>
        {combination.map((key) => (
          <Kbd key={key} size="xs">
            {key}
          </Kbd>
        ))}
      </dt>
      <dd>{does}</dd>
    </div>
  );
}
