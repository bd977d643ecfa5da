import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { checkpointOf, flipBit, newSigner, proofFileOf, recordsOf, signatureBy } from '../test/support.ts';
import {
  formatNote,
  formatTlogProof,
  leafHash,
  parseTlogProof,
  SIGNATURE_TYPE,
  verifyLog,
  verifyReceipt,
} from './index.ts';
import { nodeSha256 } from './node.ts';

const log = newSigner('log.example');
const vkey = log.vkey;
const record = (text: string) => new TextEncoder().encode(text);

async function faultInReceipt(receipt: Parameters<typeof verifyReceipt>[0]) {
  const report = await verifyReceipt(receipt);
  return report.ok ? undefined : report.fault.kind;
}

describe('a receipt', () => {
  const records = recordsOf(11);
  const checkpoint = checkpointOf(records, 11, log);

  it('proves each record of a log, with either SHA-256', async () => {
    for (const [index, entry] of records.entries()) {
      const proof = await proofFileOf(records, index, checkpoint);
      for (const sha256 of [undefined, nodeSha256]) {
        const report = await verifyReceipt({ entry, proof, vkey, sha256 });
        assert.ok(report.ok);
        assert.equal(report.index, index);
        assert.equal(report.checkpoint.size, 11);
      }
    }
  });

  it('fails after any one bit of the record or of the proof file has changed', async () => {
    const entry = records[6] as Uint8Array;
    const proof = await proofFileOf(records, 6, checkpoint);
    for (let bit = 0; bit < entry.length * 8; bit++) {
      assert.equal(await faultInReceipt({ entry: flipBit(entry, bit), proof, vkey }), 'inclusion');
    }
    const bytes = Buffer.from(proof);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const mutated = new TextDecoder().decode(flipBit(bytes, bit));
      assert.ok(await faultInReceipt({ entry, proof: mutated, vkey }), `bit ${bit} of the proof file`);
    }
  });

  it('says what is wrong: the record, the key, the log, the format', async () => {
    const entry = records[2] as Uint8Array;
    const proof = await proofFileOf(records, 2, checkpoint);
    assert.equal(await faultInReceipt({ entry: records[3] as Uint8Array, proof, vkey }), 'inclusion');
    const elsewhere = formatTlogProof({ ...parseTlogProof(proof), index: 3 });
    assert.equal(await faultInReceipt({ entry, proof: elsewhere, vkey }), 'inclusion');
    assert.equal(await faultInReceipt({ entry, proof, vkey: newSigner('log.example').vkey }), 'signature');
    assert.equal(await faultInReceipt({ entry, proof, vkey, origin: 'other.example' }), 'signature');
    assert.equal(await faultInReceipt({ entry, proof: `${proof}\n`, vkey }), 'format');
  });

  it('holds only with as many different witnesses as the reader asks for', async () => {
    const witnesses = [1, 2, 3].map((i) => newSigner(`witness.example/${i}`, SIGNATURE_TYPE.cosignature));
    const [first, second] = witnesses as [(typeof witnesses)[0], (typeof witnesses)[0]];
    const vkeys = witnesses.map((witness) => witness.vkey);
    const entry = records[0] as Uint8Array;
    const proof = await proofFileOf(records, 0, checkpointOf(records, 11, log, first, second, first));
    const report = await verifyReceipt({ entry, proof, vkey, witnesses: { vkeys, quorum: 2 } });
    assert.ok(report.ok);
    assert.deepEqual(report.witnessedBy, ['witness.example/1', 'witness.example/2']);
    assert.equal(await faultInReceipt({ entry, proof, vkey, witnesses: { vkeys, quorum: 3 } }), 'witnesses');
  });

  it('is never judged with a key that cannot be read', async () => {
    const proof = await proofFileOf(records, 0, checkpoint);
    await assert.rejects(verifyReceipt({ entry: records[0] as Uint8Array, proof, vkey: 'log.example' }));
  });
});

describe('an untouched log', () => {
  it('verifies at any size, whatever checkpoints are known, and tells how much is not yet covered', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(40), fc.array(fc.nat(40), { minLength: 1, maxLength: 5 }), async (count, sizes) => {
        const records = recordsOf(count);
        const known = sizes.map((size) => Math.min(size, count));
        const report = await verifyLog({
          entries: records,
          checkpoints: known.map((size) => checkpointOf(records, size, log)),
          vkey,
        });
        assert.ok(report.ok);
        assert.equal(report.size, Math.max(...known));
        assert.equal(report.uncovered, count - Math.max(...known));
      }),
    );
  });

  it('is read as a stream, and its progress told up to the end', async () => {
    const records = recordsOf(25_000);
    const seen: number[] = [];
    async function* stream() {
      yield* records;
    }
    const report = await verifyLog({
      entries: stream(),
      checkpoints: [checkpointOf(records, 25_000, log)],
      vkey,
      sha256: nodeSha256,
      onProgress: ({ verified, total }) => {
        assert.equal(total, 25_000);
        seen.push(verified);
      },
    });
    assert.ok(report.ok);
    assert.deepEqual(seen, [10_000, 20_000, 25_000]);
  });

  it('still verifies when only the stored hashes, which prove nothing, are damaged', async () => {
    const records = recordsOf(20);
    const checkpoints = [checkpointOf(records, 10, log), checkpointOf(records, 20, log)];
    const leafHashAt = (index: number) => (index === 4 ? undefined : leafHash(record(`damaged ${index}`)));
    assert.equal((await verifyLog({ entries: records, checkpoints, vkey, leafHashAt })).ok, true);
  });
});

describe('a tampered log', () => {
  const records = recordsOf(60);
  const hashes = records.map((one) => leafHash(one));
  const checkpoints = [60, 20, 40].map((size) => checkpointOf(records, size, log));
  const leafHashAt = (index: number) => hashes[index];

  async function faultIn(entries: Uint8Array[], more: Partial<Parameters<typeof verifyLog>[0]> = {}) {
    const report = await verifyLog({ entries, checkpoints, vkey, leafHashAt, ...more });
    if (report.ok) return undefined;
    const { kind, from, to } = report.fault;
    return { kind, from, to };
  }

  const forged = record('{"sequence":"forged"}');
  const edges = [0, 1, 19, 20, 21, 38, 39, 40, 58];

  for (const at of [...edges, 59]) {
    it(`is found out where record ${at} was edited, and that record is named`, async () => {
      assert.deepEqual(await faultIn(records.with(at, forged)), { kind: 'edited', from: at, to: at + 1 });
    });

    it(`is found out where a record was inserted before ${at}`, async () => {
      const inserted = records.toSpliced(at, 0, forged);
      assert.deepEqual(await faultIn(inserted), { kind: 'inserted', from: at, to: at + 1 });
    });

    it(`is found out where a copy of an earlier record was inserted before ${at}`, async () => {
      const replayed = records.toSpliced(at, 0, records[Math.max(at - 2, 0)] as Uint8Array);
      const from = at < 2 ? (await faultIn(replayed))?.from : at;
      assert.deepEqual(await faultIn(replayed), { kind: 'inserted', from, to: Number(from) + 1 });
    });
  }

  for (const at of edges) {
    it(`is found out where record ${at} was removed, and that record is named`, async () => {
      assert.deepEqual(await faultIn(records.toSpliced(at, 1)), { kind: 'missing', from: at, to: at + 1 });
    });

    it(`is found out where records ${at} and ${at + 1} were swapped`, async () => {
      const swapped = records.with(at, records[at + 1] as Uint8Array).with(at + 1, records[at] as Uint8Array);
      assert.deepEqual(await faultIn(swapped), { kind: 'reordered', from: at, to: at + 2 });
    });

    it(`is found out where it was cut after ${at} records`, async () => {
      assert.deepEqual(await faultIn(records.slice(0, at)), {
        kind: 'truncated',
        from: at,
        to: at < 20 ? 20 : at < 40 ? 40 : 60,
      });
    });
  }

  it('is found out where several records in a row were removed or inserted', async () => {
    assert.deepEqual(await faultIn(records.toSpliced(7, 5)), { kind: 'missing', from: 7, to: 12 });
    const inserted = records.toSpliced(7, 0, forged, record('another'));
    assert.deepEqual(await faultIn(inserted), { kind: 'inserted', from: 7, to: 9 });
  });

  it('is found out whatever bit of whatever record was flipped', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(59), fc.nat(95), async (at, bit) => {
        const mutated = records.with(at, flipBit(records[at] as Uint8Array, bit));
        assert.deepEqual(await faultIn(mutated), { kind: 'edited', from: at, to: at + 1 });
      }),
    );
  });

  it('is found out after any rearrangement, and nothing before the first change is blamed', async () => {
    const length = { minLength: 1, maxLength: 80 };
    const shuffled = fc.array(fc.nat(59), length).map((order) => order.map((i) => records[i] as Uint8Array));
    await fc.assert(
      fc.asyncProperty(shuffled, fc.nat(60), async (tail, kept) => {
        const changed = [...records.slice(0, kept), ...tail];
        const first = changed.findIndex((one, i) => one !== records[i]);
        const same = first < 0 || first >= 60;
        const fault = await faultIn(changed);
        if (same && changed.length >= 60) assert.equal(fault, undefined);
        else assert.equal(fault?.from, same ? changed.length : first);
      }),
    );
  });

  it('is found out, between its two nearest checkpoints, when the stored hashes were altered as well', async () => {
    const edited = records.with(25, forged);
    const consistent = edited.map((one) => leafHash(one));
    const everywhere = { kind: 'root-mismatch', from: 20, to: 40 };
    assert.deepEqual(await faultIn(edited, { leafHashAt: (index) => consistent[index] }), everywhere);
    assert.deepEqual(await faultIn(edited, { leafHashAt: undefined }), everywhere);
    assert.deepEqual(await faultIn(edited, { leafHashAt: () => undefined }), everywhere);
  });

  it('is found out when it was cut together with its stored hashes', async () => {
    const cut = { leafHashAt: (index: number) => (index < 50 ? hashes[index] : undefined) };
    assert.deepEqual(await faultIn(records.slice(0, 50), cut), { kind: 'truncated', from: 50, to: 60 });
    assert.deepEqual(await faultIn(records.slice(0, 50), { leafHashAt: undefined }), {
      kind: 'truncated',
      from: 50,
      to: 60,
    });
  });

  it('is found out when it was rolled back and grown again differently', async () => {
    const regrown = [...records.slice(0, 30), ...Array.from({ length: 30 }, (_, i) => record(`other ${i}`))];
    const kept = checkpoints.slice(0, 1);
    const current = checkpointOf(regrown, 60, log);
    const own = (index: number) => [...regrown, forged].map((one) => leafHash(one))[index];
    assert.equal((await verifyLog({ entries: regrown, checkpoints: [current], vkey })).ok, true);
    assert.equal((await faultIn(regrown, { checkpoints: kept, leafHashAt: own }))?.kind, 'root-mismatch');
    assert.equal((await faultIn(regrown, { checkpoints: [...kept, current] }))?.kind, 'fork');
    const longer = [...regrown, forged];
    const later = [...kept, checkpointOf(longer, 61, log)];
    assert.equal((await faultIn(longer, { checkpoints: later, leafHashAt: own }))?.kind, 'root-mismatch');
  });

  it('is found out by a checkpoint of the empty log that is not the hash of nothing', async () => {
    const empty = checkpointOf([], 0, log);
    assert.equal(await faultIn(records, { checkpoints: [empty] }), undefined);
    const root = Buffer.from(leafHash(forged)).toString('base64');
    const text = `log.example\n0\n${root}\n`;
    const wrong = formatNote(text, [signatureBy(log, text)]);
    assert.equal((await faultIn(records, { checkpoints: [wrong] }))?.kind, 'root-mismatch');
    assert.equal((await faultIn([], { checkpoints: [wrong] }))?.kind, 'root-mismatch');
  });
});

describe('what a log is compared with', () => {
  const records = recordsOf(4);
  const good = checkpointOf(records, 4, log);

  async function faultWith(checkpoints: string[], more: Partial<Parameters<typeof verifyLog>[0]> = {}) {
    const report = await verifyLog({ entries: records, checkpoints, vkey, ...more });
    return report.ok ? undefined : { kind: report.fault.kind, checkpoint: report.fault.checkpoint };
  }

  it('must be there: without a checkpoint nothing is proven', async () => {
    assert.equal((await faultWith([]))?.kind, 'no-checkpoint');
  });

  it('must be signed by the log, each of them, and the bad one is named', async () => {
    const foreign = checkpointOf(records, 4, newSigner('log.example'));
    assert.deepEqual(await faultWith([good, foreign]), { kind: 'signature', checkpoint: 1 });
    assert.deepEqual(await faultWith([good.replace('\n4\n', '\n3\n'), good]), { kind: 'signature', checkpoint: 0 });
    assert.deepEqual(await faultWith([good, '']), { kind: 'format', checkpoint: 1 });
  });

  it('must be witnessed at the largest size, when the reader asks for witnesses', async () => {
    const witness = newSigner('witness.example', SIGNATURE_TYPE.cosignature);
    const witnesses = { vkeys: [witness.vkey], quorum: 1 };
    const early = checkpointOf(records, 2, log, witness);
    assert.equal((await faultWith([good, early], { witnesses }))?.kind, 'witnesses');
    assert.equal(await faultWith([good, checkpointOf(records, 4, log, witness)], { witnesses }), undefined);
  });
});
