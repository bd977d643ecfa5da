import { z } from 'zod';
import type { CredentialKind, Narrowed } from './kind.ts';
import { meetOf, nothingLeft } from './meet-of.ts';

const principal = z
  .string()
  .max(64)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/, 'is of letters, digits, `.`, `_` and `-`');
/** In the form that sshd reads; which ranges lie in which is left to people who write both. */
const sourceAddress = z
  .string()
  .max(50)
  .regex(/^[0-9a-f.:]+(\/\d{1,3})?$/, 'is an address or a range in CIDR notation');
const extension = z.enum([
  ...(['permit-agent-forwarding', 'permit-port-forwarding', 'permit-pty'] as const),
  ...(['permit-user-rc', 'permit-X11-forwarding'] as const),
]);
const forceCommand = z.string().min(1).max(1_000);

export const sshSource = z.strictObject({
  type: z.literal('ssh'),
  /** Users of the hosts, or what `AuthorizedPrincipalsFile` there names, for whom certificates may be. */
  principals: z.array(principal).min(1).max(50),
  /** Certificates are only good from there. Without it from anywhere. */
  sourceAddresses: z.array(sourceAddress).min(1).max(50).optional(),
  /** The one command that sessions run, whatever the client asks for. Without it any. */
  forceCommand: forceCommand.optional(),
  /** What sessions may do beyond running a command. */
  extensions: z.array(extension).max(5).default([]),
});
export type SshSource = z.infer<typeof sshSource>;

/** What of it is asked for: all that the provider may issue where it says nothing. */
const sshScope = z.strictObject({
  principals: z.array(principal).min(1).max(50).optional(),
  sourceAddresses: z.array(sourceAddress).min(1).max(50).optional(),
  forceCommand: forceCommand.optional(),
  extensions: z.array(extension).max(5).optional(),
});
export type SshScope = z.infer<typeof sshScope>;

export const sshKind: CredentialKind<SshSource, SshScope> = {
  from: sshSource,
  scope: sshScope,
  parts: () => ['privateKey', 'certificate'],
  narrow(allowed, { principals = allowed.principals, extensions = allowed.extensions, ...asked }) {
    const { sourceAddresses = allowed.sourceAddresses, forceCommand = allowed.forceCommand } = asked;
    const missing =
      principals.find((each) => !allowed.principals.includes(each)) ??
      extensions.find((each) => !allowed.extensions.includes(each)) ??
      sourceAddresses?.find((each) => allowed.sourceAddresses && !allowed.sourceAddresses.includes(each)) ??
      (allowed.forceCommand !== undefined && forceCommand !== allowed.forceCommand ? forceCommand : undefined);
    return missing === undefined
      ? { scope: { principals, extensions, ...bounds(sourceAddresses, forceCommand) } }
      : { problem: `This provider issues no ${missing}. Ask for less, or have it added to what it may issue.` };
  },
  meet(a, b): Narrowed<SshScope> {
    const principals = meetOf(a.principals ?? [], b.principals ?? []);
    if (principals.length === 0) return nothingLeft('principal');
    const sourceAddresses =
      a.sourceAddresses && b.sourceAddresses
        ? meetOf(a.sourceAddresses, b.sourceAddresses)
        : (a.sourceAddresses ?? b.sourceAddresses);
    if (sourceAddresses?.length === 0) return nothingLeft('source address');
    if (a.forceCommand !== undefined && b.forceCommand !== undefined && a.forceCommand !== b.forceCommand)
      return nothingLeft('command');
    const extensions = meetOf(a.extensions ?? [], b.extensions ?? []);
    return { scope: { principals, extensions, ...bounds(sourceAddresses, a.forceCommand ?? b.forceCommand) } };
  },
};

/** What is left out bounds nothing, so that it is never there with nothing in it. */
const bounds = (sourceAddresses: string[] | undefined, forceCommand: string | undefined) => ({
  ...(sourceAddresses && { sourceAddresses }),
  ...(forceCommand !== undefined && { forceCommand }),
});
