import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TemplateManifest, templateManifest } from '@gatehouse/protocol';
import { givenOf } from './task-credential.ts';

const template: TemplateManifest = templateManifest.parse({
  kind: 'Template',
  name: 'invoices',
  parameters: { customer: { type: 'string' } },
  credentials: [
    { provider: 'files', scope: { buckets: [{ bucket: 'data', prefix: '$customer' }], names: ['$customer'] } },
  ],
});
const given = (customer: string) =>
  givenOf({ templates: new Map([['invoices', template]]) }, 'files', [
    { template: 'invoices', parameters: { customer } },
  ]);

test('a parameter that fills a prefix stands for one folder, and not for all that begin with it', () => {
  for (const customer of ['1', '1/'])
    assert.deepEqual(given(customer), {
      within: [{ buckets: [{ bucket: 'data', prefix: '1/' }], names: [customer] }],
    });
});

test('a parameter that could stand for more than one thing gives nothing', () => {
  for (const customer of ['*', 'a?', '[ab]', 'a\\b', ''])
    assert.match((given(customer) as { problem: string }).problem, /must name one thing/, customer);
});
