#!/usr/bin/env node
import { existsSync } from 'node:fs';

const built = new URL('../../../dist/gatehouse-witness.mjs', import.meta.url);
await import(existsSync(built) ? built.href : new URL('../src/main.ts', import.meta.url).href);
