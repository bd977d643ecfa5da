import { openHouse } from '../packages/server/src/identity/testing/house.ts';
import { createCsr } from '../packages/server/src/identity/testing/svid-client.ts';
import { ECDSA_P256, loadX509 } from '../packages/server/src/identity/trust-domain/x509.ts';
import { type Measure, median, quantile, table } from './measure.ts';

export const measure: Measure = {
  heading: 'P5: an X.509-SVID',
  options: { seconds: '3', rounds: '3', concurrency: '1,32,128' },
  async run({ seconds, rounds, concurrency = '' }) {
    const { targets, close } = await prepare();
    try {
      const found = new Map<string, Rate[]>();
      for (let round = 0; round < Number(rounds); round++)
        for (const atOnce of concurrency.split(',').map(Number))
          for (const [name, work] of Object.entries(targets)) {
            const key = `${name}\n${atOnce}`;
            found.set(key, [...(found.get(key) ?? []), await rateOf(work, atOnce, Number(seconds))]);
          }
      const rows = [...found].map(([key, all]) => {
        const [target = '', atOnce = ''] = key.split('\n');
        const of = (member: keyof Rate) => median(all.map((each) => each[member]));
        return { target, atOnce: Number(atOnce), perSecond: of('perSecond'), p50Ms: of('p50Ms'), p99Ms: of('p99Ms') };
      });
      return {
        rows,
        how: `One process, SQLite. Each SVID is for a new request whose proof of possession is checked; Gatehouse's is recorded (fsync) with its agent unchanged before it
is given out, the other row records nothing. ${rounds} rounds of ${seconds} s.`,
        tables: table(
          ['target', 'at once', 'SVIDs/s', 'p50 ms', 'p99 ms'],
          rows.map((row) => [
            row.target,
            row.atOnce,
            Math.round(row.perSecond),
            row.p50Ms.toFixed(2),
            row.p99Ms.toFixed(2),
          ]),
        ),
      };
    } finally {
      await close();
    }
  },
};

type Work = (turn: number) => Promise<unknown>;

interface Rate {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

async function prepare(): Promise<{ targets: Record<string, Work>; close(): Promise<void> }> {
  const house = await openHouse();
  await house.furnish();
  await house.enrol('agent-bench');
  const agent = house.registry.snapshot().agents.get('agent-bench');
  if (!agent) throw new Error('no agent');
  const requests = Array.from({ length: 256 }, () => createCsr().der);
  const requestOf = (turn: number) => requests[turn % requests.length] as Buffer;
  const x509 = await loadX509();
  const signer = await crypto.subtle.generateKey(ECDSA_P256, false, ['sign', 'verify']);
  return {
    close: house.close,
    targets: {
      'Gatehouse: checked, signed and recorded': (turn) =>
        house.identity.trustDomain.issueX509({ subject: { agent, task: null }, csr: requestOf(turn), via: 'bench' }),
      '@peculiar/x509: checked and signed': async (turn) => {
        const request = new x509.Pkcs10CertificateRequest(new Uint8Array(requestOf(turn)));
        if (!(await request.verify())) throw new Error('not signed');
        return x509.X509CertificateGenerator.create({
          subject: 'O=Gatehouse',
          issuer: 'CN=bench',
          publicKey: request.publicKey,
          signingKey: signer.privateKey,
          signingAlgorithm: ECDSA_P256,
          extensions: [
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
            new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
            new x509.BasicConstraintsExtension(false, undefined, true),
            new x509.SubjectAlternativeNameExtension([{ type: 'url', value: agent.spiffeId }]),
            await x509.SubjectKeyIdentifierExtension.create(request.publicKey),
          ],
        });
      },
    },
  };
}

async function rateOf(work: Work, atOnce: number, seconds: number): Promise<Rate> {
  const until = performance.now() + seconds * 1_000;
  const times: number[] = [];
  const began = performance.now();
  let turn = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (performance.now() < until) {
        const at = performance.now();
        await work(turn++);
        times.push(performance.now() - at);
      }
    }),
  );
  times.sort((a, b) => a - b);
  const perSecond = (times.length * 1_000) / (performance.now() - began);
  return { perSecond, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
}
