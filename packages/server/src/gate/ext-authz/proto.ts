/**
 * Envoy's external authorization service (envoy.service.auth.v3) as a protobuf descriptor in JSON: services, messages and field numbers are those
 * of the published API. What is not read or written here is left out, which protobuf allows.
 */
const field = (id: number, type: string, rule?: 'repeated') => ({ id, type, ...(rule && { rule }) });
const map = (id: number) => ({ id, type: 'string', keyType: 'string' });
const message = (fields: object, nested?: object) => ({ fields, ...(nested && { nested }) });

export const authorizationService = 'envoy.service.auth.v3.Authorization';

export const authorizationProto = {
  nested: {
    google: {
      nested: { rpc: { nested: { Status: message({ code: field(1, 'int32'), message: field(2, 'string') }) } } },
    },
    envoy: {
      nested: {
        type: { nested: { v3: { nested: { HttpStatus: message({ code: field(1, 'int32') }) } } } },
        config: {
          nested: {
            core: {
              nested: {
                v3: {
                  nested: {
                    HeaderValue: message({
                      key: field(1, 'string'),
                      value: field(2, 'string'),
                      raw_value: field(3, 'bytes'),
                    }),
                    HeaderMap: message({ headers: field(1, 'HeaderValue', 'repeated') }),
                    HeaderValueOption: message({ header: field(1, 'HeaderValue'), append_action: field(3, 'int32') }),
                  },
                },
              },
            },
          },
        },
        service: {
          nested: {
            auth: {
              nested: {
                v3: {
                  nested: {
                    AttributeContext: message(
                      { request: field(4, 'Request') },
                      {
                        Request: message({ http: field(2, 'HttpRequest') }),
                        HttpRequest: message({
                          method: field(2, 'string'),
                          headers: map(3),
                          path: field(4, 'string'),
                          host: field(5, 'string'),
                          size: field(9, 'int64'),
                          body: field(11, 'bytes'),
                          raw_body: field(12, 'bytes'),
                          header_map: field(13, 'envoy.config.core.v3.HeaderMap'),
                        }),
                      },
                    ),
                    CheckRequest: message({ attributes: field(1, 'AttributeContext') }),
                    CheckResponse: message({
                      status: field(1, 'google.rpc.Status'),
                      denied_response: field(2, 'DeniedHttpResponse'),
                      ok_response: field(3, 'OkHttpResponse'),
                    }),
                    DeniedHttpResponse: message({
                      status: field(1, 'envoy.type.v3.HttpStatus'),
                      headers: field(2, 'envoy.config.core.v3.HeaderValueOption', 'repeated'),
                      body: field(3, 'string'),
                    }),
                    OkHttpResponse: message({
                      headers: field(2, 'envoy.config.core.v3.HeaderValueOption', 'repeated'),
                      headers_to_remove: field(5, 'string', 'repeated'),
                    }),
                    Authorization: {
                      methods: { Check: { requestType: 'CheckRequest', responseType: 'CheckResponse' } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
};
