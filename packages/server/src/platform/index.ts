export { type AddressKind, AddressRefused, addressKind, checkAddress, guardedLookup } from './address.ts';
export { awsCredentials } from './aws-credentials.ts';
export { assumeRole, assumeRoleWithWebIdentity, type StsRefusal, stsUrl, type TakenRole } from './aws-sts.ts';
export { clientAddress, noteClientAddress, type TrustedProxies, trustedProxies } from './client-address.ts';
export { type Clock, systemClock } from './clock.ts';
export { type Config, limits } from './config.ts';
export { connectionLimits } from './connection-limits.ts';
export { type ErrorKind, errorKinds, GatehouseError, isUnavailable, retryAfter, toProblem } from './errors.ts';
export { type IdPrefix, newId, timeOfId } from './ids.ts';
export {
  canonicalJson,
  digestJson,
  isCanonical,
  isJsonObject,
  type Json,
  type JsonObject,
  parseStrictJson,
  sha256Hex,
} from './json.ts';
export { keyFile } from './key-file.ts';
export { createLane, type Lane } from './lane.ts';
export { type Listener, type ListenOptions, openListener, tlsOptions } from './listener.ts';
export { createLog, type Log, type LogLevel } from './log.ts';
export { NodeSha256 } from './node-sha256.ts';
export { createObjectStorage, type ObjectStorage } from './object-storage.ts';
export { createOutbound, type Outbound, type OutboundAnswer, type OutboundRequest } from './outbound.ts';
export { type BodyLimits, readBody } from './request-body.ts';
export { putObject, type S3Place } from './s3.ts';
export { newSalt, recordable, salted, saltedDigest } from './salted.ts';
export { constantTimeEqual, Secret } from './secret.ts';
export {
  type IdentitySource,
  openIdentityFiles,
  openOwnIdentity,
  type RenewedIdentity,
  type ServerIdentity,
} from './server-identity.ts';
export { signWebhook, verifyWebhook, type WebhookHeaders } from './standard-webhooks.ts';
export { isTimeZone, type LocalTime, localTime, momentOf } from './time-zone.ts';
export {
  noTracing,
  openTracing,
  readTraceparent,
  type Span,
  type SpanAttributes,
  type TraceContext,
  type Tracing,
  traceparentOf,
} from './tracing.ts';
