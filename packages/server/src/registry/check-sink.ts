import type { SinkFormat, SinkManifest } from '@gatehouse/protocol';
import type { ObjectManifest } from './objects.ts';

/** What a receiver can take in; the others take any text. */
const takes: { [Type in SinkManifest['to']['type']]?: readonly SinkFormat[] } = {
  elastic: ['ecs', 'ocsf', 'json-lines', 'cloud-events'],
  'otlp-http': ['otlp'],
};

export function checkSink(
  objects: ReadonlyMap<string, ObjectManifest>,
  sink: SinkManifest,
): { path: string; message: string }[] {
  const { format, to, filter, batchRecords } = sink;
  const problems: { path: string; message: string }[] = [];
  const formats = takes[to.type];
  if (formats && !formats.includes(format))
    problems.push({ path: 'format', message: `"${to.type}" takes ${formats.join(', ')}, not "${format}".` });
  if (to.type === 'file')
    for (const other of objects.values())
      if (other.kind === 'Sink' && other.name < sink.name && other.to.type === 'file' && other.to.file === to.file)
        problems.push({ path: 'to.file', message: `"${other.name}" writes this file already.` });
  // A batch of calls with large arguments has to fit into the memory of the gate and into what receivers take.
  if (sink.bodies === 'arguments' && batchRecords > 1_000)
    problems.push({ path: 'batchRecords', message: 'At most 1000 where arguments are sent as well.' });
  filter?.environments?.forEach((environment, at) => {
    if (!objects.has(`Environment/${environment}`))
      problems.push({
        path: `filter.environments[${at}]`,
        message: `There is no Environment "${environment}". Declare it, or correct the name.`,
      });
  });
  return problems;
}
