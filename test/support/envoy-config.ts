export type EnvoyClient = 'grpc' | 'http';

/** Envoy in front of one upstream, that asks Gatehouse about every request with its own X.509-SVID. The guide shows the same as a file. */
export function envoyConfig({
  client,
  listen,
  behind,
  gatehouse,
  files,
  trustDomain,
  bodies = 'whole',
}: {
  client: EnvoyClient;
  listen: number;
  behind: number;
  gatehouse: number;
  files: { cert: string; key: string; ca: string };
  trustDomain: string;
  /** What nobody should say: `begun` asks about the beginning of a body, `none` about none. */
  bodies?: 'whole' | 'begun' | 'none';
}): object {
  const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });
  const endpoint = (port: number, name: string) => ({
    cluster_name: name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
  });
  const inline = (text: string) => ({ inline_string: text });
  const forwarded = ['authorization', 'dpop', 'content-type', 'content-encoding', 'x-http-method-override'].map(
    (exact) => ({ exact }),
  );
  const service =
    client === 'grpc'
      ? { transport_api_version: 'V3', grpc_service: { envoy_grpc: { cluster_name: 'gatehouse' }, timeout: '5s' } }
      : {
          http_service: {
            server_uri: { uri: 'https://gatehouse', cluster: 'gatehouse', timeout: '5s' },
            path_prefix: '/ext-authz',
            authorization_response: {
              allowed_upstream_headers: { patterns: [{ exact: 'x-gatehouse-action' }] },
              allowed_client_headers: {
                patterns: ['content-type', 'www-authenticate', 'dpop-nonce'].map((exact) => ({ exact })),
              },
            },
          },
          allowed_headers: { patterns: [...forwarded, { prefix: 'mcp-' }] },
        };
  return {
    static_resources: {
      listeners: [
        {
          name: 'edge',
          address: address(listen),
          filter_chains: [
            {
              filters: [
                {
                  name: 'envoy.filters.network.http_connection_manager',
                  typed_config: {
                    '@type':
                      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
                    stat_prefix: 'edge',
                    route_config: {
                      virtual_hosts: [
                        {
                          name: 'all',
                          domains: ['*'],
                          routes: [{ match: { prefix: '/' }, route: { cluster: 'behind' } }],
                        },
                      ],
                    },
                    http_filters: [
                      {
                        name: 'envoy.filters.http.ext_authz',
                        typed_config: {
                          '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
                          ...service,
                          failure_mode_allow: false,
                          ...(bodies !== 'none' && {
                            with_request_body: {
                              max_request_bytes: 65_536,
                              allow_partial_message: bodies === 'begun',
                              pack_as_bytes: true,
                            },
                          }),
                        },
                      },
                      {
                        name: 'envoy.filters.http.router',
                        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
                      },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        { name: 'behind', type: 'STATIC', load_assignment: endpoint(behind, 'behind') },
        {
          name: 'gatehouse',
          type: 'STATIC',
          load_assignment: endpoint(gatehouse, 'gatehouse'),
          ...(client === 'grpc' && {
            typed_extension_protocol_options: {
              'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
                '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
                explicit_http_config: { http2_protocol_options: {} },
              },
            },
          }),
          transport_socket: {
            name: 'envoy.transport_sockets.tls',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
              sni: 'localhost',
              common_tls_context: {
                alpn_protocols: client === 'grpc' ? ['h2'] : ['http/1.1'],
                tls_certificates: [{ certificate_chain: inline(files.cert), private_key: inline(files.key) }],
                validation_context: {
                  trusted_ca: inline(files.ca),
                  match_typed_subject_alt_names: [
                    { san_type: 'URI', matcher: { exact: `spiffe://${trustDomain}/gatehouse` } },
                  ],
                },
              },
            },
          },
        },
      ],
    },
  };
}
