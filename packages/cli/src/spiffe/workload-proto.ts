/**
 * The SPIFFE Workload API (SPIFFE Workload API §§5–6, workload.proto) as a protobuf descriptor in JSON: services and messages are those
 * of the published specification. `google.protobuf.Struct` is what ValidateJWTSVID gives claims in.
 */
const field = (id: number, type: string, rule?: 'repeated') => ({ id, type, ...(rule && { rule }) });
const map = (id: number) => ({ id, type: 'bytes', keyType: 'string' });
const message = (fields: object) => ({ fields });

export const workloadProto = {
  nested: {
    google: {
      nested: {
        protobuf: {
          nested: {
            Struct: message({ fields: { id: 1, type: 'Value', keyType: 'string' } }),
            Value: {
              oneofs: {
                kind: {
                  oneof: ['null_value', 'number_value', 'string_value', 'bool_value', 'struct_value', 'list_value'],
                },
              },
              fields: {
                null_value: field(1, 'NullValue'),
                number_value: field(2, 'double'),
                string_value: field(3, 'string'),
                bool_value: field(4, 'bool'),
                struct_value: field(5, 'Struct'),
                list_value: field(6, 'ListValue'),
              },
            },
            NullValue: { values: { NULL_VALUE: 0 } },
            ListValue: message({ values: field(1, 'Value', 'repeated') }),
          },
        },
      },
    },
    X509SVIDRequest: message({}),
    X509SVIDResponse: message({
      svids: field(1, 'X509SVID', 'repeated'),
      crl: field(2, 'bytes', 'repeated'),
      federated_bundles: map(3),
    }),
    X509SVID: message({
      spiffe_id: field(1, 'string'),
      x509_svid: field(2, 'bytes'),
      x509_svid_key: field(3, 'bytes'),
      bundle: field(4, 'bytes'),
      hint: field(5, 'string'),
    }),
    X509BundlesRequest: message({}),
    X509BundlesResponse: message({ crl: field(1, 'bytes', 'repeated'), bundles: map(2) }),
    JWTSVIDRequest: message({ audience: field(1, 'string', 'repeated'), spiffe_id: field(2, 'string') }),
    JWTSVIDResponse: message({ svids: field(1, 'JWTSVID', 'repeated') }),
    JWTSVID: message({ spiffe_id: field(1, 'string'), svid: field(2, 'string'), hint: field(3, 'string') }),
    JWTBundlesRequest: message({}),
    JWTBundlesResponse: message({ bundles: map(1) }),
    ValidateJWTSVIDRequest: message({ audience: field(1, 'string'), svid: field(2, 'string') }),
    ValidateJWTSVIDResponse: message({ spiffe_id: field(1, 'string'), claims: field(2, 'google.protobuf.Struct') }),
    SpiffeWorkloadAPI: {
      methods: {
        FetchX509SVID: { requestType: 'X509SVIDRequest', responseType: 'X509SVIDResponse', responseStream: true },
        FetchX509Bundles: {
          requestType: 'X509BundlesRequest',
          responseType: 'X509BundlesResponse',
          responseStream: true,
        },
        FetchJWTSVID: { requestType: 'JWTSVIDRequest', responseType: 'JWTSVIDResponse' },
        FetchJWTBundles: { requestType: 'JWTBundlesRequest', responseType: 'JWTBundlesResponse', responseStream: true },
        ValidateJWTSVID: { requestType: 'ValidateJWTSVIDRequest', responseType: 'ValidateJWTSVIDResponse' },
      },
    },
  },
};
