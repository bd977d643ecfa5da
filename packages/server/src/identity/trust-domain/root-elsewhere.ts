import { createPrivateKey, generateKeyPairSync, hash, type KeyObject, X509Certificate } from 'node:crypto';
import { type Clock, GatehouseError, Secret } from '../../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../../storage/index.ts';
import type { Authorities } from './authorities.ts';
import { authorityOf, intermediateProblem, makeAuthorityCsr } from './authority-certificates.ts';
import { type Authority, BACKDATE_MS, idOf, insertAuthority, type Sealed, sealContext } from './authority-rows.ts';
import { PUBLISH_LEAD_MS } from './limits.ts';

interface Dependencies {
  storage: Storage;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  trustDomain: string;
  roots(): Authority[];
  intermediates(): Authority[];
  currentRoot(): Authority | undefined;
  refresh(): Promise<void>;
}

/** An imported intermediate that lives for less would have to be replaced at once. */
const IMPORT_MIN_LIFE_MS = 24 * 3_600_000;
const MIN_PASSPHRASE_CHARS = 12;
const MAX_CHAIN_CHARS = 32_768;

/** A root whose key leaves this house, and intermediates that it signs elsewhere. */
export function keepElsewhere({
  storage,
  recordChange,
  sealer,
  clock,
  trustDomain,
  roots,
  intermediates,
  currentRoot,
  refresh,
}: Dependencies): Pick<Authorities, 'requestIntermediate' | 'importIntermediate' | 'exportRoot' | 'forgetRootKey'> {
  return {
    async requestIntermediate({ by }) {
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const csr = await makeAuthorityCsr(trustDomain, keys);
      const id = hash('sha256', keys.publicKey.export({ type: 'spki', format: 'der' }), 'base64url');
      const pem = new Secret(keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
      await storage.transaction(async (transaction) => {
        await recordChange(transaction, {
          operation: 'key.request',
          by,
          changes: [`signing request for an X.509 intermediate made, key ${id}`],
        });
        // The last one counts: a request that nobody has signed must not leave keys behind for ever.
        await transaction.deleteFrom('signing_keys').where('purpose', '=', 'x509-request').execute();
        await transaction
          .insertInto('signing_keys')
          .values({
            kid: id,
            purpose: 'x509-request',
            algorithm: 'ES256',
            public_jwk: '{}',
            sealed_private: sealer.seal(pem, sealContext(id)),
            state: 'requested',
            created_at: clock.now(),
          })
          .execute();
      });
      return { id, csr };
    },
    async importIntermediate({ by, chain }) {
      const [intermediate, root] = parseChain(chain);
      const request = await storage.db
        .selectFrom('signing_keys')
        .select(['kid', 'sealed_private'])
        .where('purpose', '=', 'x509-request')
        .executeTakeFirst();
      if (!request) throw refused('nothing was requested: make a signing request first');
      const key = createPrivateKey(sealer.open(request.sealed_private, sealContext(request.kid)).reveal());
      await checkImport({ intermediate, root, key, trustDomain, now: clock.now() });
      await refresh();
      const now = clock.now();
      const signsFrom = (intermediates().at(-1)?.notAfter ?? 0) <= now ? now : now + PUBLISH_LEAD_MS;
      const rootCertificate = await authorityOf(root.raw);
      const certificate = await authorityOf(intermediate.raw);
      const [id, rootId] = [idOf(intermediate.raw), idOf(root.raw)];
      await storage.transaction(async (transaction) => {
        await recordChange(transaction, {
          operation: 'key.import',
          by,
          changes: [
            `X.509 intermediate ${id} under root ${rootId}, which is held elsewhere, signs from ${new Date(signsFrom).toISOString()}`,
          ],
        });
        await transaction.deleteFrom('signing_keys').where('kid', '=', request.kid).execute();
        await insertAuthority(
          { transaction, sealer, clock },
          { kind: 'root', certificate: rootCertificate, key: null, issuer: null, signsFrom },
        );
        await insertAuthority(
          { transaction, sealer, clock },
          { kind: 'intermediate', certificate, key, issuer: rootId, signsFrom },
        );
        await storage.announce(transaction, 'key', id, now);
      });
      await refresh();
      return { id, signsFrom };
    },
    async exportRoot({ by, passphrase }) {
      if (passphrase.length < MIN_PASSPHRASE_CHARS)
        throw new GatehouseError(
          'bad-request',
          'trust-domain.passphrase',
          `A passphrase for the root has at least ${MIN_PASSPHRASE_CHARS} characters.`,
        );
      await refresh();
      const root = currentRoot();
      if (!root?.key) throw notHeld();
      const { id, certificate } = root;
      const key = root.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }).toString();
      await storage.transaction((transaction) =>
        recordChange(transaction, { operation: 'key.export', by, changes: [`key of the X.509 root ${id} exported`] }),
      );
      return { id, certificate: certificate.toString(), key };
    },
    async forgetRootKey({ by, id }) {
      await refresh();
      const root = roots().find((each) => each.id === id);
      if (!root?.key) throw notHeld();
      const { name, keyId } = await authorityOf(root.der);
      const sealed: Sealed = {
        certificate: root.der.toString('base64'),
        key: null,
        issuer: null,
        signsFrom: root.signsFrom,
        name: name.toString('base64'),
        keyId: keyId.toString('base64'),
      };
      await storage.transaction(async (transaction) => {
        const change = `key of the X.509 root ${id} removed; its certificate stays`;
        await recordChange(transaction, { operation: 'key.forget', by, changes: [change] });
        await transaction
          .updateTable('signing_keys')
          .set({ sealed_private: sealer.seal(new Secret(JSON.stringify(sealed)), sealContext(id)), state: 'external' })
          .where('kid', '=', id)
          .execute();
        await storage.announce(transaction, 'key', id, clock.now());
      });
      await refresh();
    },
  };
}

function parseChain(text: string): [X509Certificate, X509Certificate] {
  const blocks =
    text.length <= MAX_CHAIN_CHARS
      ? text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g)
      : null;
  if (blocks?.length !== 2) throw refused('give the PEM of two certificates: the signed intermediate, then its root');
  try {
    const [intermediate, root] = blocks.map((block) => new X509Certificate(block));
    return [intermediate as X509Certificate, root as X509Certificate];
  } catch (cause) {
    throw refused('it is not the PEM of two certificates', cause);
  }
}

interface Import {
  intermediate: X509Certificate;
  root: X509Certificate;
  key: KeyObject;
  trustDomain: string;
  now: number;
}

async function checkImport({ intermediate, root, key, trustDomain, now }: Import): Promise<void> {
  if (!intermediate.checkPrivateKey(key)) throw refused('the intermediate is not for the key of the last request');
  if (!root.ca || !root.verify(root.publicKey)) throw refused('the root is not a self-signed authority');
  if (!intermediate.checkIssued(root) || !intermediate.verify(root.publicKey))
    throw refused('the intermediate was not signed by that root');
  const problem = await intermediateProblem(intermediate.raw, trustDomain);
  if (problem) throw refused(`of the intermediate: ${problem}`);
  for (const certificate of [intermediate, root]) {
    if (certificate.validFromDate.getTime() > now + BACKDATE_MS) throw refused('a certificate is not valid yet');
    if (certificate.validToDate.getTime() < now + PUBLISH_LEAD_MS + IMPORT_MIN_LIFE_MS)
      throw refused('a certificate expires within a day');
  }
}

const refused = (reason: string, cause?: unknown) =>
  new GatehouseError('bad-request', 'trust-domain.import', `The certificates are refused: ${reason}.`, { cause });

const notHeld = () =>
  new GatehouseError('conflict', 'trust-domain.root-elsewhere', 'The key of that root is not held here.');
