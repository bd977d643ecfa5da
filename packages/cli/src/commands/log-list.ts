import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

export const list: Run<ServerOptions> = async ({ options, out }) => {
  const found = await operatorOf(options).call('GET /logs');
  if (out.json) return out.printJson(found);
  for (const { id, vkey, size, cosigned } of found.items)
    out.facts([
      ['Log', id],
      ['Records', size],
      ['Cosigned', cosigned && `${cosigned.size} records at ${timeOf(cosigned.at)}`],
      ['Key', vkey],
    ]);
  for (const { name, size, problem } of found.witnessing?.witnesses ?? [])
    out.note(`witness ${clean(name)}: ${problem === null ? `has cosigned ${size} records` : clean(problem)}`);
  const { publishing, problem } = found;
  if (publishing)
    out.note(
      `published: ${publishing.size} records at ${clean(publishing.place)}${publishing.problem ? `: ${clean(publishing.problem)}` : ''}`,
    );
  if (problem !== null) out.note(clean(problem));
};

export const checkpoint: Run<ServerOptions & { log?: string; output?: string }> = async ({ options, out }) => {
  const operator = operatorOf(options);
  const { items } = await operator.call('GET /logs');
  const wanted = items.filter(({ id }) => options.log === undefined || id === options.log);
  if (wanted.length === 0) throw new CliFailure('noInput', 'log.unknown', `There is no log "${options.log ?? ''}".`);
  const directory = options.output ?? '.';
  mkdirSync(directory, { recursive: true });
  const written: { log: string; size: number; file: string }[] = [];
  for (const { id } of wanted) {
    const note = await operator.bytes(`/log/${encodeURIComponent(id)}/checkpoint`);
    if (!note) continue;
    const text = Buffer.from(note).toString('utf8');
    const size = Number(text.split('\n')[1]);
    const file = join(directory, `${id.replaceAll(/[^A-Za-z0-9.-]+/g, '-')}-${size}.checkpoint`);
    writeFileSync(file, text);
    written.push({ log: id, size, file });
  }
  if (out.json) out.printJson({ items: written });
  else for (const { log, size, file } of written) out.print(`${size} records of ${clean(log)} in ${file}`);
  return written.length > 0 ? exitCodes.ok : exitCodes.failed;
};
