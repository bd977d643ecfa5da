import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWTPayload } from 'jose';
import { type FakeSessions, sessionOf } from './aws-roles-anywhere.ts';
import { verifyAssertion } from './identity-assertion.ts';

/** What a role's trust policy says: `sub` as it would stand there, with `*`. */
export interface FakeTrust {
  issuer: string;
  audience: string;
  subject: string;
}

/**
 * A fake of STS in front of a real moto, which takes any token: this one looks at it as AWS documents that STS does (the issuer's discovery and
 * keys, `RS256`, audience, subject, session tags, source identity), and hands on to moto what a role's trust policy would let through.
 */
export async function startFakeSts(
  moto: string,
  trust: () => FakeTrust,
  /** Who may take the role with a session of their own, and which have been given. */
  broker?: { role: string; sessions: FakeSessions },
) {
  const taken: { claims: JWTPayload; form: Record<string, string> }[] = [];
  const chained: Record<string, string>[] = [];
  const trouble: { answer?: 'lost' } = {};
  const handOn = async ({ headers }: IncomingMessage, body: string, response: ServerResponse) => {
    // moto finds the service by the credential's scope.
    const { authorization } = headers;
    const answer = await fetch(moto, {
      ...{
        method: 'POST',
        body,
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...(authorization && { authorization }) },
      },
    });
    if (trouble.answer === 'lost') return response.destroy();
    return response.writeHead(answer.status, { 'content-type': 'text/xml' }).end(await answer.text());
  };
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const form = Object.fromEntries(new URLSearchParams(body));
    const refuse = (status: number, code: string, message: string) =>
      response
        .writeHead(status, { 'content-type': 'text/xml' })
        .end(
          `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
        );
    if (form.Action === 'AssumeRole' && broker) {
      const isBroker = sessionOf(request, body, broker.sessions)?.role === broker.role;
      if (!isBroker) return refuse(403, 'AccessDenied', 'Not authorized to perform sts:AssumeRole');
      chained.push(form);
      return handOn(request, body, response);
    }
    if (form.Action !== 'AssumeRoleWithWebIdentity') return refuse(400, 'InvalidAction', 'There is no such action.');
    const { issuer, audience, subject } = trust();
    let claims: JWTPayload;
    try {
      claims = await verifyAssertion(form.WebIdentityToken ?? '', issuer, audience);
    } catch (error) {
      return refuse(400, 'InvalidIdentityToken', (error as Error).message);
    }
    const tags = claims['https://aws.amazon.com/tags'] as { principal_tags?: Record<string, string[]> } | undefined;
    const isTagged = Object.values(tags?.principal_tags ?? {}).every(
      (values) => Array.isArray(values) && values.length === 1 && /^[\w .:/=+@-]{0,256}$/.test(values[0] ?? ''),
    );
    if (!isTagged) return refuse(400, 'InvalidIdentityToken', 'Session tags are not in the correct format.');
    const source = claims['https://aws.amazon.com/source_identity'];
    if (typeof source !== 'string' || !/^[\w+=,.@-]{2,64}$/.test(source))
      return refuse(400, 'ValidationError', 'The source identity is not valid.');
    const seconds = Number(form.DurationSeconds);
    if (!/^[\w+=,.@-]{2,64}$/.test(form.RoleSessionName ?? '') || !(seconds >= 900 && seconds <= 3_600))
      return refuse(400, 'ValidationError', 'The session’s name or its duration is not valid.');
    if ((form.Policy ?? '').length > 2_048) return refuse(400, 'ValidationError', 'The policy is too long.');
    const trusted = new RegExp(`^${subject.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`);
    if (!trusted.test(claims.sub ?? ''))
      return refuse(403, 'AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity');
    taken.push({ claims, form });
    return handOn(request, body, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    ...{ taken, chained, trouble },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
export type FakeSts = Awaited<ReturnType<typeof startFakeSts>>;
