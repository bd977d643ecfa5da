import type { Workspace } from './workspace.ts';

/** A company's directory, as far as it speaks SCIM. The workspace and its token are there when it first speaks. */
export function createScimClient(of: () => { workspace: Pick<Workspace, 'url'>; token: string }) {
  return async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const { workspace, token } = of();
    const response = await fetch(`${workspace.url}/scim/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    // biome-ignore lint/suspicious/noExplicitAny: resources have whatever attributes a directory gave them
    return { status: response.status, headers: response.headers, body: (text === '' ? null : JSON.parse(text)) as any };
  };
}
