import { createInterface } from 'node:readline';
import { answerTo } from './echo-messages.ts';

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === '') continue;
  const answer = answerTo(JSON.parse(line));
  if (answer) process.stdout.write(`${JSON.stringify(answer)}\n`);
}
