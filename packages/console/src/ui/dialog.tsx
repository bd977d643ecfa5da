import { Button, Modal, TextInput } from '@mantine/core';
import { type FormEvent, type ReactNode, useState } from 'react';
import classes from './dialog.module.css';
import { Failure } from './page.tsx';
import { Command } from './text.tsx';

interface DialogProps {
  title: string;
  close: () => void;
  children: ReactNode;
  size?: 'md' | 'lg';
}

export function Dialog({ title, close, children, size = 'md' }: DialogProps) {
  return (
    <Modal opened onClose={close} title={title} size={size}>
      <div className={classes.form}>{children}</div>
    </Modal>
  );
}

interface FormDialogProps extends DialogProps {
  button: string;
  /** What can't be undone is red. */
  grave?: boolean;
  ready?: boolean;
  pending: boolean;
  error: unknown;
  submit: () => void;
}

export function FormDialog(props: FormDialogProps) {
  const { title, close, children, size = 'md', button, grave = false, ready = true, pending, error, submit } = props;
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (ready) submit();
  };
  return (
    <Modal opened onClose={close} title={title} size={size}>
      <form onSubmit={onSubmit} className={classes.form}>
        {children}
        {error !== null && error !== undefined && <Failure error={error} />}
        <div className={classes.buttons}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" {...(grave && { color: 'red.9' })} loading={pending} disabled={!ready}>
            {button}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

interface ConfirmProps extends Omit<FormDialogProps, 'ready' | 'grave'> {
  /** To be typed first, where it hits many or can't be undone. */
  word?: string;
}

/** Asks before what can't be undone. The children say what will happen. */
export function Confirm({ word, children, ...rest }: ConfirmProps) {
  const [typed, setTyped] = useState('');
  return (
    <FormDialog {...rest} grave ready={word === undefined || typed === word}>
      {children}
      {word !== undefined && <TypedWord word={word} typed={typed} setTyped={setTyped} />}
    </FormDialog>
  );
}

function TypedWord({ word, typed, setTyped }: { word: string; typed: string; setTyped: (typed: string) => void }) {
  return (
    <TextInput
      label={
        <>
          Type <code>{word}</code> to confirm
        </>
      }
      value={typed}
      onChange={(event) => setTyped(event.currentTarget.value)}
      error={typed !== '' && !word.startsWith(typed) ? 'This is something else' : undefined}
      autoComplete="off"
      spellCheck={false}
      classNames={{ input: 'gh-mono' }}
      data-autofocus
    />
  );
}

interface ShownOnceProps {
  title: string;
  value: string;
  about: ReactNode;
  close: () => void;
  /** What to do with it. */
  children?: ReactNode;
}

/** A secret that only this answer has. */
export function ShownOnce({ title, value, about, close, children }: ShownOnceProps) {
  return (
    <Dialog title={title} close={close} size="lg">
      <p>{about}</p>
      <Command>{value}</Command>
      {children}
      <div className={classes.buttons}>
        <Button onClick={close}>Done, I have it</Button>
      </div>
    </Dialog>
  );
}
