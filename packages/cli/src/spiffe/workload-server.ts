import * as grpc from '@grpc/grpc-js';

export { createWorkloadApi } from './workload-api.ts';

/** The socket's directory is what protects it; TLS would have nobody to prove. */
export const credentialsOf = () => grpc.ServerCredentials.createInsecure();

/** Binds with a mask that lets nobody else in, also for the moment between making the socket and setting its mode. */
export async function listen(server: grpc.Server, path: string, credentials: grpc.ServerCredentials): Promise<void> {
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${path}`, credentials, (error) => (error ? reject(error) : resolve()));
    });
  } finally {
    process.umask(before);
  }
}
