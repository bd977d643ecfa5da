import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ToolSetting, toolSetting } from '@gatehouse/protocol';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Suite } from './suite.ts';

/** What an operator says of a tool when registering it. */
export type Labels = ReadonlyMap<string, ToolSetting>;

/** Labels by tool name: those here, and those that lie beside a suite (`labels/*.yaml`), which go before. */
export function loadLabels(suite: Suite): Labels {
  const labels = new Map<string, ToolSetting>();
  for (const directory of [join(import.meta.dirname, 'labels'), join(suite.directory, 'labels')]) {
    if (!existsSync(directory)) continue;
    for (const file of readdirSync(directory).filter((each) => each.endsWith('.yaml'))) {
      const settings = z.record(z.string(), toolSetting).parse(parse(readFileSync(join(directory, file), 'utf8')));
      for (const [tool, setting] of Object.entries(settings)) labels.set(tool, setting);
    }
  }
  const missing = suite.tools.filter(({ name }) => !labels.has(name)).map(({ name }) => name);
  if (missing.length > 0)
    throw new Error(
      `Nothing is said of ${missing.join(', ')} of suite ${suite.name}. Say it in ${join(suite.directory, 'labels')}/*.yaml, by tool, as under \`tools\` in a ToolServer manifest.`,
    );
  return labels;
}

/** Somebody outside could have written a part of its results. */
export function canCarry(setting: ToolSetting | undefined): boolean {
  const { trust = 'untrusted', fields = {} } = setting?.returns ?? {};
  return trust === 'untrusted' || Object.values(fields).some((field) => field.trust === 'untrusted');
}

export function readsOnly(setting: ToolSetting | undefined): boolean {
  return setting?.effects.every((effect) => effect === 'read') ?? false;
}
