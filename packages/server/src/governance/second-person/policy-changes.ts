import type { ProposalView } from '@gatehouse/protocol';
import { readManifestsOf } from '../../registry/index.ts';
import { applyWorkspace } from '../apply-workspace.ts';
import { asksForSecondPerson, type Deciders, decidersOf } from './deciders.ts';
import {
  type ProposalRow,
  readProposal,
  replayOf,
  shownChanges,
  shownOf,
  stateOf,
  urlOf,
  withoutValues,
  workOf,
} from './proposal-rows.ts';
import { propose, SecondPersonNeeded } from './propose.ts';
import { relaxationsOf } from './relaxations.ts';
import { createShipping } from './ship.ts';
import type { PolicyChanges, PolicyChangesDependencies } from './types.ts';
import { whyNotShip } from './who-ships.ts';

/**
 * Changes of what decides. One that could let through what was stopped waits, in workspaces that ask for it, until somebody else than its
 * author has shipped it with a passkey over exactly what was shown. What this room does not do: say who may apply at all.
 */
export function createPolicyChanges(deps: PolicyChangesDependencies): PolicyChanges {
  const { registry, storage, clock, publicUrl } = deps;

  /**
   * A workspace in which nobody could ship anything, nor could lately, is one that is being set up. All is read in the transaction: what
   * another replica has just applied may not be known here yet.
   */
  const consider: PolicyChanges['consider'] = async (steps, transaction) => {
    const relaxes = relaxationsOf(
      steps,
      await readManifestsOf(transaction, 'Policy'),
      await readManifestsOf(transaction, 'ApprovalRule'),
    );
    if (relaxes.length === 0) return;
    const environments = await readManifestsOf(transaction, 'Environment');
    const servers = await readManifestsOf(transaction, 'ToolServer');
    if (!asksForSecondPerson({ environments, servers }, relaxes, steps)) return;
    if ((await decidersOf(transaction, clock.now())).lately.size > 0) throw new SecondPersonNeeded(steps, relaxes);
  };

  async function viewOf(row: ProposalRow, viewer: string, deciders: Deciders): Promise<ProposalView> {
    const state = await stateOf(storage.db, row, clock.now());
    const why = whyNotShip(row, state, viewer.replace(/^person:/, ''), deciders);
    return {
      number: row.number,
      state,
      author: row.author,
      note: row.note,
      base: row.base,
      ...shownOf(row),
      createdAt: row.created_at,
      expiresAt: row.expires_at,
      agreedBy: row.agreed_by,
      decidedAt: row.decided_at,
      decidedBy: row.decided_by,
      reason: row.reason,
      digest: row.digest,
      url: urlOf(publicUrl, row.number),
      replay: replayOf(row),
      mayShip: { may: why === null, why: why?.message ?? null },
    };
  }

  return {
    ...createShipping(deps),
    consider,

    async change(request) {
      const { manifests, prune, remove = [], rollbackTo, note, by, describe, mayChange, first } = request;
      const version = { ...(note && { note }), ...(rollbackTo !== undefined && { rollbackTo }) };
      try {
        return await applyWorkspace({ registry, describe }, manifests, {
          prune,
          remove,
          by,
          version,
          consider,
          ...(mayChange && { mayChange }),
          ...(first && { first }),
        });
      } catch (error) {
        if (!(error instanceof SecondPersonNeeded)) throw error;
        return { changes: shownChanges(error.steps), problems: [], proposed: await propose(deps, request, error) };
      }
    },

    async list({ before, limit }, viewer) {
      let select = storage.db.selectFrom('policy_proposals').selectAll().orderBy('number', 'desc').limit(limit);
      if (before !== undefined) select = select.where('number', '<', before);
      const deciders = await decidersOf(storage.db, clock.now());
      return Promise.all((await select.execute()).map((row) => viewOf(row, viewer, deciders)));
    },

    async get(number, viewer) {
      const row = await readProposal(storage.db, number);
      const view = await viewOf(row, viewer, await decidersOf(storage.db, clock.now()));
      return { ...view, manifests: withoutValues(workOf(row).manifests) };
    },

    work: async (number) => workOf(await readProposal(storage.db, number)),

    async keepReplay(number, result) {
      await storage.transaction((transaction) =>
        transaction
          .updateTable('policy_proposals')
          .set({ replay: JSON.stringify(result) })
          .where('number', '=', number)
          .execute(),
      );
    },
  };
}
