import SCIMMY from 'scimmy';

/** The draft's own name; no version of it is in force yet, so that all of this stands behind a switch. */
export const AGENT_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:Agent';

const { Attribute, Schema, SchemaDefinition } = SCIMMY.Types;

const definition = new SchemaDefinition('Agent', AGENT_SCHEMA, 'AI agent', [
  new Attribute('string', 'name', { required: true, mutable: 'immutable', caseExact: true, uniqueness: 'server' }),
  new Attribute('string', 'displayName'),
  new Attribute('string', 'description'),
  new Attribute('string', 'agentType', { required: true, mutable: 'immutable', caseExact: true }),
  new Attribute('boolean', 'active'),
  new Attribute('complex', 'owners', { multiValued: true }, [
    new Attribute('string', 'value', { required: true, caseExact: true }),
    new Attribute('reference', '$ref', { mutable: false, referenceTypes: ['User'] }),
    new Attribute('string', 'display', { mutable: false }),
    new Attribute('boolean', 'primary'),
  ]),
]);

/** What counts here of the resource `Agent` of draft-wzdk-scim-agent-resource-00; what it has besides is ignored. */
export class AgentSchema extends Schema {
  static override get definition() {
    return definition;
  }

  constructor(resource: unknown, direction = 'both', basepath?: string, filters?: never) {
    super(resource as never, direction);
    Object.assign(this, definition.coerce(resource as never, direction, basepath as never, filters as never));
  }
}
