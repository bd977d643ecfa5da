import { ActionIcon, CopyButton } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { Fragment } from 'react';
import { revealHidden } from '../lib/hidden-text.ts';
import { mixedWords } from '../lib/mixed-scripts.ts';
import { shortDigest, shortId } from '../lib/words.ts';
import classes from './text.module.css';

/** Text that somebody else wrote: whole, never as markup, and with characters that hide made visible. */
/** In a table. */
export function Name({ of }: { of: string }) {
  return (
    <span className={`gh-name ${of.length > 22 ? '' : 'gh-nowrap'}`} {...(of.length > 22 && { 'data-long': '' })}>
      {of}
    </span>
  );
}

export function PlainText({ text, mono = false }: { text: string; mono?: boolean }) {
  let at = 0;
  return (
    <span className={`${classes.plain} ${mono ? 'gh-mono' : ''}`}>
      {revealHidden(text).map((piece) => {
        const key = at++;
        return piece.hidden ? (
          <span key={key} className={classes.hidden} title={`${piece.code}: ${piece.name}`}>
            {piece.code}
          </span>
        ) : (
          <Fragment key={key}>{piece.text}</Fragment>
        );
      })}
    </span>
  );
}

/** `server/tool_name`, which breaks at its joints when it has to. */
export function ToolName({ tool }: { tool: string }) {
  return (
    <span className="gh-mono">
      {tool.split(/(?<=[/_.-])/).map((part, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: parts of one name, in their order
        <Fragment key={index}>
          {part}
          <wbr />
        </Fragment>
      ))}
    </span>
  );
}

export function Copy({ value, what }: { value: string; what: string }) {
  return (
    <CopyButton value={value} timeout={1_500}>
      {({ copied, copy }) => (
        <ActionIcon
          size={22}
          className={classes.copy}
          onClick={copy}
          title={`Copy ${what}`}
          aria-label={copied ? 'Copied' : `Copy ${what}`}
        >
          {copied ? <IconCheck size={14} color="var(--gh-green-fg)" /> : <IconCopy size={14} />}
        </ActionIcon>
      )}
    </CopyButton>
  );
}

/** An identifier or digest: shortened if wished, whole on hover and in the clipboard. */
export function Identifier({ value, what, short = false }: { value: string; what: string; short?: boolean }) {
  const shown = short ? (value.startsWith('sha256-') ? shortDigest(value) : shortId(value)) : value;
  return (
    <span className={classes.copyable}>
      <code title={value}>{shown}</code>
      <Copy value={value} what={what} />
    </span>
  );
}

export function Command({ children }: { children: string }) {
  return (
    <div className={classes.command}>
      <code>{children}</code>
      <Copy value={children} what="command" />
    </div>
  );
}

/** Every argument of a call, in full: whoever approves must not have to guess what was cut off. */
export function Arguments({ value }: { value: unknown }) {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const members = isObject ? Object.entries(value) : [['', value] as const];
  if (members.length === 0 || value === undefined || value === null)
    return <p className={classes.none}>{value === null ? 'No arguments were kept.' : 'No arguments.'}</p>;
  return (
    <table className={classes.arguments} aria-label="Arguments">
      <tbody>
        {members.map(([name, member]) => (
          <tr key={name}>
            {isObject && (
              <th scope="row">
                <PlainText text={name} />
              </th>
            )}
            <td>
              <Value text={typeof member === 'string' ? member : JSON.stringify(member, null, 2)} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Beyond this a value has a frame of its own, so that it can't push what follows off the page. */
const LONG_CHARS = 2_000;

function Value({ text }: { text: string }) {
  const mixed = mixedWords(text);
  return (
    <>
      {text.length > LONG_CHARS ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys
        <section className={classes.long} tabIndex={0} aria-label="Long value">
          <PlainText text={text} />
        </section>
      ) : (
        <PlainText text={text} />
      )}
      {text.length > LONG_CHARS && (
        <small className={classes.remark}>{text.length.toLocaleString('en')} characters: scroll to read all</small>
      )}
      {mixed.length > 0 && (
        <small className={classes.remark}>
          mixes alphabets that look alike: <PlainText text={mixed.join(', ')} />
        </small>
      )}
    </>
  );
}

export function Json({ value }: { value: unknown }) {
  return (
    <pre style={{ margin: 0, fontSize: 12.5 }}>
      <PlainText text={JSON.stringify(value, null, 2) ?? ''} mono />
    </pre>
  );
}
