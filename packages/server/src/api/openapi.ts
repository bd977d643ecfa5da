import { z } from 'zod';
import type { Route } from './route.ts';
import { VERSION } from './version.ts';

/** OpenAPI 3.1 of the control API, made from the route table and its schemas. */
export function openApi(routes: Route[], publicUrl: string): object {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const [method = '', path = ''] = route.name.split(' ');
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name);
    const query = route.query ? jsonSchema(route.query) : { properties: {} };
    const target = path.replaceAll(/:(\w+)/g, '{$1}');
    paths[target] ??= {};
    paths[target][method.toLowerCase()] = {
      summary: route.summary,
      'x-action': route.access,
      parameters: [
        ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
        ...Object.entries((query.properties ?? {}) as Record<string, unknown>).map(([name, schema]) => ({
          name,
          in: 'query',
          schema,
        })),
      ],
      ...(route.body && {
        requestBody: { required: true, content: { 'application/json': { schema: jsonSchema(route.body) } } },
      }),
      responses: {
        200: { description: 'Done', content: { 'application/json': {} } },
        default: { description: 'RFC 9457 problem details', content: { 'application/problem+json': {} } },
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Gatehouse control API',
      version: VERSION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: `${publicUrl}/api/v1` }],
    paths,
  };
}

function jsonSchema(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
}
