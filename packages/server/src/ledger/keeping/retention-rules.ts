import {
  type ActionRecord,
  type KeepingScope,
  RETENTION_MINIMUM_DAYS,
  type RetentionManifest,
  type RetentionPeriod,
  toolPatternMatches,
} from '@gatehouse/protocol';
import { digestJson, type Json } from '../../platform/index.ts';
import { appliedDigest } from '../../registry/index.ts';
import type { Database, DatabaseTransaction } from '../../storage/index.ts';
import type { OnRecord } from './retention-record.ts';

/** What others rest on: enrolments by which a yes is verified, what names logs and removals, who decides by which policy, keys, what was sealed once. */
const NEVER =
  /^(passkey|hold|erasure|retention|key|key-encryption|policy|manifest|grant|break-glass|deputy|workspace|trust-domain|evidence|seal|log\.(open|seen))\b|\.seal$/;
/** What is said of an action goes with the action, and only then. */
const OF_AN_ACTION = /^(approval\.|action\.resolve$)/;

export interface RetentionRule {
  manifest: RetentionManifest;
  appliedBy: string;
  /** Who stands behind it as it is now, beside whoever applied it. */
  agreedBy: string[];
  /** Of what is agreed to. */
  digest: string;
  agreed: boolean;
}

/** How long a record is kept: `by` the classes that say so. `days` is Infinity for what is kept for ever. */
export interface Kept {
  days: number;
  by: RetentionManifest[];
}

export interface RetentionRules {
  rules: RetentionRule[];
  version: string;
  /** Why nothing may go by them: they are not what is on record. */
  problem: string | null;
  /** Marks of logs that were looked through by them, since a hold has ended last. */
  marks: string;
  /** What is held by what is on record. */
  holds: KeepingScope[];
  /** Null: the record goes with its action, if that goes. */
  recordKept(record: ActionRecord): Kept | null;
  argumentsDays(record: ActionRecord): number;
  /** Each number of days after which anything could go. */
  recordsPeriods: number[];
  argumentsPeriods: number[];
}

/**
 * As they stand in the database: a class that somebody has just made longer counts in the same transaction. Where records go by them, only what
 * the logs say was applied and agreed to counts.
 */
export async function readRules(
  db: Database | DatabaseTransaction,
  defaultArgumentsDays: number | null,
  onRecord?: OnRecord,
): Promise<RetentionRules> {
  const rows = await db
    .selectFrom('objects')
    .select(['name', 'body', 'updated_at'])
    .where('kind', '=', 'Retention')
    .execute();
  const agreements = await db.selectFrom('retention_agreements').selectAll().orderBy('at').execute();
  const rules = rows
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((row): RetentionRule => {
      const { manifest, appliedBy } = JSON.parse(row.body) as { manifest: RetentionManifest; appliedBy: string };
      const digest = appliedDigest(row);
      const isOnRecord = ({ id, person }: { id: string; person: string }) => {
        const said = onRecord?.agreements.get(id);
        return !onRecord || (said?.digest === digest && said.person === person);
      };
      const agreedBy = agreements
        .filter((each) => each.class === manifest.name && each.digest === digest && each.person !== appliedBy)
        .filter(isOnRecord)
        .map(({ person }) => person);
      // The host's token is nobody in particular.
      const wanted = appliedBy.startsWith('person:') ? 1 : 2;
      return { manifest, appliedBy, agreedBy, digest, agreed: agreedBy.length >= wanted };
    });
  const standing = rules.map(({ manifest, agreed }) => ({
    ...manifest,
    records: atLeastMinimum(manifest.records, manifest.belowMinimum !== undefined && agreed),
  }));
  const otherwise = defaultArgumentsDays ?? Number.POSITIVE_INFINITY;
  const version = digestJson([otherwise === Number.POSITIVE_INFINITY ? 0 : otherwise, ...standing] as unknown as Json);
  return {
    rules,
    version,
    problem: onRecord ? differenceOf(rules, onRecord) : null,
    marks: `${version} ${onRecord?.ended.size ?? 0}`,
    holds: onRecord?.holds ?? [],
    recordKept(record) {
      if (record.kind === 'change' && OF_AN_ACTION.test(record.operation)) return null;
      if (record.kind === 'change' && NEVER.test(record.operation)) return { days: Number.POSITIVE_INFINITY, by: [] };
      return longest(standing, record, 'records') ?? { days: Number.POSITIVE_INFINITY, by: [] };
    },
    argumentsDays: (record) => longest(standing, record, 'arguments')?.days ?? otherwise,
    recordsPeriods: periods(standing.map(({ records }) => records)),
    argumentsPeriods: periods([defaultArgumentsDays ?? undefined, ...standing.map((each) => each.arguments)]),
  };
}

function differenceOf(rules: RetentionRule[], { classes }: OnRecord): string | null {
  const forged = rules.find(({ manifest, digest }) => classes.get(manifest.name) !== digest);
  if (forged) return `class ${forged.manifest.name} is not the one that the log says was applied last`;
  const gone = [...classes.keys()].find((name) => !rules.some(({ manifest }) => manifest.name === name));
  return gone === undefined ? null : `class ${gone}, which the log says was applied, is not in the database`;
}

const atLeastMinimum = (period: RetentionPeriod | undefined, isAgreed: boolean): RetentionPeriod | undefined =>
  typeof period === 'number' && !isAgreed ? Math.max(period, RETENTION_MINIMUM_DAYS) : period;

const daysOf = (period: RetentionPeriod) => (period === 'forever' ? Number.POSITIVE_INFINITY : period);

const periods = (of: (RetentionPeriod | undefined)[]): number[] =>
  [...new Set(of.filter((period): period is number => typeof period === 'number'))].sort((a, b) => a - b);

/** Of all classes that say something of it and that it fits, the longest. */
function longest(classes: RetentionManifest[], record: ActionRecord, what: 'records' | 'arguments'): Kept | undefined {
  let found: Kept | undefined;
  for (const each of classes) {
    const period = each[what];
    if (period === undefined || !fits(each.of, record)) continue;
    const days = daysOf(period);
    if (!found || days > found.days) found = { days, by: [each] };
    else if (days === found.days) found.by.push(each);
  }
  return found;
}

function fits(of: RetentionManifest['of'], record: ActionRecord): boolean {
  const { kinds, operations, environments, agents, templates, tools, tiers, labels } = of;
  const named = (list: readonly string[] | undefined, value: string | null) =>
    list === undefined || (value !== null && list.includes(value));
  // A change is meant where it is named, and not by what fits everything.
  if (record.kind === 'change' && !(kinds?.includes('change') && operations)) return false;
  return (
    (kinds?.includes(record.kind) ?? true) &&
    (operations?.some((pattern) => fitsOperation(pattern, record.operation)) ?? true) &&
    named(environments, record.environment) &&
    named(agents, record.agent) &&
    named(templates, record.template) &&
    (tools === undefined ||
      (record.tool !== null && tools.some((each) => toolPatternMatches(each, record.tool ?? '')))) &&
    (tiers === undefined || (record.decision !== null && tiers.includes(record.decision.tier))) &&
    (labels?.some((label) => record.labels.includes(label)) ?? true)
  );
}

const fitsOperation = (pattern: string, operation: string) =>
  pattern.endsWith('*') ? operation.startsWith(pattern.slice(0, -1)) : operation === pattern;
