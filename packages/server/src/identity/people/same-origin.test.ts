import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSameOrigin, type RequestHeaders } from './same-origin.ts';

const PUBLIC_URL = 'https://gate.example.test/base';
const json = { 'content-type': 'application/json' };

test('a page of ours that sends JSON passes', () => {
  const accepted: RequestHeaders[] = [
    { ...json, origin: 'https://gate.example.test' },
    { ...json, origin: 'https://gate.example.test', 'sec-fetch-site': 'same-origin' },
    { ...json, 'sec-fetch-site': 'same-origin' },
    { origin: 'https://gate.example.test', 'content-type': 'application/json; charset=utf-8' },
  ];
  for (const headers of accepted) checkSameOrigin(headers, PUBLIC_URL);
});

test('a page of another origin is refused, however it presents itself', () => {
  const refused: RequestHeaders[] = [
    {},
    { origin: 'https://evil.example.test' },
    { origin: 'http://gate.example.test' },
    { origin: 'https://gate.example.test:8443' },
    { origin: 'https://gate.example.test.evil.example.test' },
    { origin: 'null' },
    { origin: '' },
    { origin: ['https://gate.example.test', 'https://evil.example.test'] },
    { origin: 'https://gate.example.test', 'sec-fetch-site': 'same-site' },
    { origin: 'https://gate.example.test', 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': ['same-origin', 'cross-site'] },
  ];
  for (const headers of refused) {
    assert.throws(() => checkSameOrigin({ ...json, ...headers }, PUBLIC_URL), { code: 'request.cross-origin' });
  }
});

test('what a plain HTML form can send is refused, even from our own origin', () => {
  for (const type of [
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain; application/json',
    'application/jsonp',
  ]) {
    const headers = { origin: 'https://gate.example.test', 'content-type': type };
    assert.throws(() => checkSameOrigin(headers, PUBLIC_URL), { code: 'request.not-json' });
  }
});
