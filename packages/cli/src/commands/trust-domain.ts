import { readFile, writeFile } from 'node:fs/promises';
import { CliFailure } from '../failure.ts';
import { timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

export const showTrustDomain: Run<ServerOptions> = async ({ options, out }) => {
  const view = await operatorOf(options).call('GET /trust-domain');
  if (out.json) return out.printJson(view);
  out.facts([
    ['Trust domain', view.name],
    ['Bundle', `sequence ${view.sequence}, to be fetched every ${view.refreshHintSeconds} s`],
  ]);
  out.table(
    ['KEY', 'STATE', 'SIGNS FROM', 'EXPIRES', 'ID'],
    [
      ...view.authorities.map(({ id, kind, state, signsFrom, notAfter, keyHeldHere }) => [
        kind === 'root' && !keyHeldHere ? 'root (held elsewhere)' : kind,
        state,
        timeOf(signsFrom) ?? '',
        timeOf(notAfter) ?? '',
        id,
      ]),
      ...view.jwtKeys.map(({ id, state, signsFrom }) => ['JWT-SVID key', state, timeOf(signsFrom) ?? '', '', id]),
    ],
  );
  if (view.federated.length === 0) return;
  out.table(
    ['FEDERATED WITH', 'STATE', 'SEQUENCE', 'ROOTS', 'JWT KEYS', 'FETCHED', 'PROBLEM'],
    view.federated.map((each) => [
      each.name,
      each.state,
      String(each.sequence ?? ''),
      String(each.x509Roots),
      String(each.jwtKeys),
      timeOf(each.fetchedAt) ?? 'never',
      each.problem ?? '',
    ]),
  );
};

interface Rotate extends ServerOptions {
  jwt?: boolean;
  compromised?: boolean;
}

export const rotate: Run<Rotate> = async ({ options, out }) => {
  const { jwt = false, compromised = false } = options;
  const body = { keys: jwt ? 'jwt' : 'x509', compromised };
  const made = await operatorOf(options).call('POST /trust-domain/rotate', { body });
  if (out.json) return out.printJson(made);
  out.print(`${jwt ? 'JWT-SVID key' : 'Intermediate'} ${made.id} signs from ${timeOf(made.signsFrom)}.`);
  if (compromised) out.print('Those of before are destroyed: what they signed is refused here from now on.');
};

export const requestIntermediate: Run<ServerOptions & { out?: string }> = async ({ options, out }) => {
  const made = await operatorOf(options).call('POST /trust-domain/intermediate/request');
  if (options.out !== undefined) await writeFile(options.out, made.csr);
  if (out.json) return out.printJson(made);
  if (options.out === undefined) out.print(made.csr.trimEnd());
  out.note('Next: sign it with the root as an authority (pathlen 0), and import the answer with its root.');
};

export const importIntermediate: Run<ServerOptions> = async ({ args: [file = ''], options, out }) => {
  const chain = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CliFailure('noInput', 'file.unreadable', `${file} cannot be read (${cause.code}).`, { cause });
  });
  const made = await operatorOf(options).call('POST /trust-domain/intermediate/import', { body: { chain } });
  if (out.json) return out.printJson(made);
  out.print(`Intermediate ${made.id} signs from ${timeOf(made.signsFrom)}.`);
};

export const exportRoot: Run<ServerOptions & { out: string; passphraseFile: string }> = async ({ options, out }) => {
  const passphrase = (
    await readFile(options.passphraseFile, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new CliFailure('noInput', 'file.unreadable', `${options.passphraseFile} cannot be read (${cause.code}).`, {
        cause,
      });
    })
  ).replace(/\r?\n$/, '');
  const { id, certificate, key } = await operatorOf(options).call('POST /trust-domain/root/export', {
    body: { passphrase },
  });
  await writeFile(options.out, certificate + key, { mode: 0o600, flag: 'wx' }).catch((cause: NodeJS.ErrnoException) => {
    throw new CliFailure('noInput', 'file.exists', `${options.out} cannot be made (${cause.code}).`, { cause });
  });
  if (out.json) return out.printJson({ id, file: options.out });
  out.print(`Certificate and encrypted key of the root are in ${options.out}.`);
  out.note(`Next, when it is safe elsewhere: gatehouse trust-domain forget-root ${id}`);
};

export const forgetRoot: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const done = await operatorOf(options).call('POST /trust-domain/root/forget', { body: { id } });
  if (out.json) return out.printJson(done);
  out.print('The key of the root is not held here any more; its certificate stays.');
};
