const JWT = 'urn:ietf:params:oauth:token-type:jwt';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** The grant of each way in which that server is told who a task's person is, with what it is sent. */
export const assertedGrants = {
  id_jag: (assertion: string) => ({
    grantType: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    parameters: { assertion },
  }),
  token_exchange: (assertion: string) => ({
    grantType: 'urn:ietf:params:oauth:grant-type:token-exchange',
    parameters: { subject_token: assertion, subject_token_type: JWT, requested_token_type: ACCESS_TOKEN },
  }),
};
