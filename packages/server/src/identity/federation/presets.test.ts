import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Manifest, trustRuleManifest } from '@gatehouse/protocol';
import { type ForeignIssuer, openForeignIssuer } from '../testing/foreign-issuer.ts';
import { agentManifest, type House, openHouse } from '../testing/house.ts';

/**
 * The claims that platforms publish, signed by a test issuer: the platforms themselves cannot run here. `near` are tokens of the same
 * platform that must not pass.
 */
const platforms = [
  {
    preset: 'github-actions',
    rule: { sub: 'repo:acme/web:environment:production', repository_id: '74', ref: 'refs/heads/main' },
    token: {
      sub: 'repo:acme/web:environment:production',
      repository: 'acme/web',
      repository_id: '74',
      repository_owner: 'acme',
      repository_owner_id: '65',
      repository_visibility: 'private',
      environment: 'production',
      ref: 'refs/heads/main',
      ref_type: 'branch',
      sha: 'abc',
      actor: 'octocat',
      actor_id: '12',
      event_name: 'push',
      workflow: 'deploy',
      job_workflow_ref: 'acme/web/.github/workflows/deploy.yml@refs/heads/main',
      run_id: '1',
      run_number: '10',
      run_attempt: '2',
      runner_environment: 'github-hosted',
      head_ref: '',
      base_ref: '',
    },
    near: [
      { sub: 'repo:acme/web:pull_request' },
      { sub: 'repo:acme/web:environment:production', ref: 'refs/heads/other' },
      { repository_id: 74 },
      { repository_id: '75' },
    ],
  },
  {
    preset: 'gitlab',
    rule: { project_path: 'acme/web', ref: 'main', ref_protected: 'true' },
    token: {
      sub: 'project_path:acme/web:ref_type:branch:ref:main',
      namespace_id: '72',
      namespace_path: 'acme',
      project_id: '20',
      project_path: 'acme/web',
      user_id: '1',
      user_login: 'sample',
      user_email: 'sample@acme.example',
      pipeline_id: '574',
      pipeline_source: 'push',
      job_id: '302',
      ref: 'main',
      ref_type: 'branch',
      ref_path: 'refs/heads/main',
      ref_protected: 'true',
      environment: 'production',
      environment_protected: 'true',
      runner_id: 1,
      runner_environment: 'self-hosted',
      sha: 'abc',
    },
    near: [{ ref: 'feature' }, { ref_protected: 'false' }, { ref_protected: true }, { project_path: 'acme/web/fork' }],
  },
  {
    preset: 'kubernetes',
    rule: { '/kubernetes.io/namespace': 'agents', '/kubernetes.io/serviceaccount/name': 'support' },
    token: {
      sub: 'system:serviceaccount:agents:support',
      'kubernetes.io': {
        namespace: 'agents',
        node: { name: 'node-1', uid: 'u1' },
        pod: { name: 'support-1', uid: 'u2' },
        serviceaccount: { name: 'support', uid: 'u3' },
        warnafter: 1,
      },
    },
    near: [
      { 'kubernetes.io': { namespace: 'other', serviceaccount: { name: 'support' } } },
      { 'kubernetes.io': { namespace: 'agents' } },
      { 'kubernetes.io': 'agents' },
      { 'kubernetes.io': undefined, namespace: 'agents' },
    ],
  },
  {
    preset: 'gcp',
    rule: { email: 'support@acme.iam.gserviceaccount.com', email_verified: true },
    token: {
      sub: '110248495921238986420',
      azp: '110248495921238986420',
      email: 'support@acme.iam.gserviceaccount.com',
      email_verified: true,
      google: { compute_engine: { project_id: 'acme', zone: 'europe-west1-b', instance_name: 'vm-1' } },
    },
    near: [{ email_verified: false }, { email_verified: 'true' }, { email: 'support@evil.iam.gserviceaccount.com' }],
  },
  {
    preset: 'azure',
    rule: { oid: '00000000-0000-0000-0000-0000000000a1', tid: '00000000-0000-0000-0000-0000000000b1' },
    token: {
      sub: '00000000-0000-0000-0000-0000000000a1',
      oid: '00000000-0000-0000-0000-0000000000a1',
      tid: '00000000-0000-0000-0000-0000000000b1',
      appid: '00000000-0000-0000-0000-0000000000c1',
      idtyp: 'app',
      ver: '1.0',
      xms_mirid: '/subscriptions/s/resourcegroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/support',
    },
    near: [{ tid: '00000000-0000-0000-0000-0000000000b2' }, { oid: undefined }],
  },
] as const;

describe('claims as platforms publish them, by a test issuer', () => {
  let house: House;
  const issuers = new Map<string, ForeignIssuer>();
  before(async () => {
    house = await openHouse();
    await house.furnish();
    const manifests: Manifest[] = [];
    for (const { preset, rule } of platforms) {
      const issuer = await openForeignIssuer(house.publicUrl);
      issuers.set(preset, issuer);
      manifests.push(
        agentManifest(`agent-${preset}`),
        trustRuleManifest.parse({
          kind: 'TrustRule',
          name: preset,
          issuer: { type: 'oidc', preset, url: issuer.url, allowPrivateAddress: true },
          claims: rule,
          agent: `agent-${preset}`,
        }),
      );
    }
    await house.apply(...manifests);
  });
  after(async () => {
    for (const issuer of issuers.values()) await issuer.close();
    await house.close();
  });

  for (const { preset, token, near } of platforms) {
    /** @proves federation.presets */
    test(`of ${preset} stand for the one agent of its rule, and tokens that are almost those for nobody`, async () => {
      const issuer = issuers.get(preset) as ForeignIssuer;
      const explain = async (claims: object) =>
        house.identity.federation.explain({ token: await issuer.sign({ ...claims }) });
      const { match, problem } = await explain(token);
      assert.equal(match?.agent, `agent-${preset}`, String(problem));
      for (const change of near) {
        const other = await explain({ ...token, ...change });
        assert.equal(other.match, null, JSON.stringify(change));
        assert.match(String(other.problem), new RegExp(`The nearest is "${preset}"`));
      }
      const svid = await explain({ ...token, sub: 'spiffe://partner.example/orders' });
      assert.equal(svid.match, null, 'a SPIFFE ID is of a trust domain, and of no platform');
    });
  }
});
