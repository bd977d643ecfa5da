/**
 * The programs that clients run: POSIX sh and curl, which start in milliseconds, where a runtime of our own would take a quarter of a second for each call.
 * Nothing of a credential is on a command line: what is asked goes over standard input, and the answer through the shell's own `printf`.
 */
export interface HelperOptions {
  socket: string;
  provider: string;
  /** Of git and docker: who may be sent the credential. */
  hosts: string[];
  /** Of git: `repository` where it names what is asked for. */
  narrow: boolean;
  /** Of kubectl: the address of the cluster. */
  server: string | undefined;
}

export const helperKinds = ['git', 'docker', 'kubectl', 'aws', 'gcp'] as const;
export type HelperKind = (typeof helperKinds)[number];

/** As each client finds it. */
export const helperName = (kind: HelperKind, provider: string): string =>
  kind === 'docker' ? `docker-credential-gatehouse-${provider}` : `gatehouse-${kind}-${provider}`;

export function helperScript(kind: HelperKind, { socket, provider, hosts, narrow, server }: HelperOptions): string {
  const query = new URLSearchParams([
    ...hosts.map((host): [string, string] => ['host', host]),
    ...(narrow ? [['narrow', 'repository'] as [string, string]] : []),
    ...(server === undefined ? [] : [['server', server] as [string, string]]),
  ]).toString();
  return `#!/bin/sh
# Written by \`gatehouse credentials install\`: asks the process of \`gatehouse credentials serve\` at this socket.
socket=${quoted(socket)}
provider=${quoted(provider)}
query=${quoted(query)}
${ASK}
${bodies[kind]}`;
}

/** For a shell, whatever is in it. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** `ask PATH SECONDS` sends $request, and sets $status and $body. `wait_for PATH` says that a person is asked, and waits for them. */
const ASK = `nl='
'
case \${GATEHOUSE_WAIT_SECONDS:-0} in *[!0-9]*)
  printf 'gatehouse: GATEHOUSE_WAIT_SECONDS is a whole number of seconds, not %s\\n' "$GATEHOUSE_WAIT_SECONDS" >&2
  unset GATEHOUSE_WAIT_SECONDS ;;
esac
ask() {
  answer=$(printf '%s\\n' "$request" | curl -sS --noproxy '*' --unix-socket "$socket" --max-time "$(($2 + 30))" \\
    -H 'Content-Type: text/plain' --data-binary @- -w '\\n%{http_code}' "http://localhost/$1?wait=$2&$query" 2>/dev/null) || answer="nobody answers at $socket: run gatehouse credentials serve\${nl}000"
  status=\${answer##*"$nl"}
  body=\${answer%"$nl"*}
}
tell() { printf 'gatehouse: %s\\n' "$1" >&2; }
wait_for() {
  seconds=\${GATEHOUSE_WAIT_SECONDS:-300}
  ask "$1" 0
  [ "$status" = 202 ] && [ "$seconds" -gt 0 ] || return 0
  tell "$body"
  ask "$1" "$seconds"
  [ "$status" != 202 ] || body="nobody has answered in $seconds s; run it again when it is approved"
}`;

const bodies: Record<HelperKind, string> = {
  // A failure stops git: other helpers and a prompt would only hide it.
  git: `request=$(cat)
case "$1" in
  get) wait_for "git/$provider/get" ;;
  erase) ask "git/$provider/erase" 0 ;;
  *) exit 0 ;;
esac
case "$status" in
  200) printf '%s\\n' "$body" ;;
  204) ;;
  *) printf 'gatehouse: %s\\n' "$body" >&2; printf 'quit=1\\n' ;;
esac
`,
  // docker takes what a helper prints for its error, and shows what it says on standard error as well.
  docker: `case "$1" in
  get) request=$(cat); wait_for "docker/$provider/get" ;;
  erase) request=$(cat); ask "docker/$provider/erase" 0; exit 0 ;;
  list) printf '{}\\n'; exit 0 ;;
  *) printf 'nothing is stored here: gatehouse hands credentials out\\n'; exit 1 ;;
esac
printf '%s\\n' "$body"
[ "$status" = 200 ]
`,
  kubectl: `request=$KUBERNETES_EXEC_INFO
wait_for "kubectl/$provider"
[ "$status" = 200 ] || { printf 'gatehouse: %s\\n' "$body" >&2; exit 1; }
printf '%s\\n' "$body"
`,
  // AWS's clients show what is said here only once it has failed: a person at the terminal is told there, and where there is none it isn't waited
  // unless that is asked for.
  aws: `request=
if ( : >/dev/tty ) 2>/dev/null; then tell() { printf 'gatehouse: %s\\n' "$1" >/dev/tty; }
else GATEHOUSE_WAIT_SECONDS=\${GATEHOUSE_WAIT_SECONDS:-0}; fi
wait_for "aws-process/$provider"
[ "$status" = 200 ] || { printf 'gatehouse: %s\\n' "$body" >&2; exit 1; }
printf '%s\\n' "$body"
`,
  // The library gives up after timeout_millis (30 s unless set) and reads standard output whatever came of it.
  gcp: `request=
seconds=\${GATEHOUSE_WAIT_SECONDS:-20}
[ "$seconds" -le 25 ] || seconds=25
ask "gcp/$provider" "$seconds"
if [ "$status" = 200 ]; then printf '%s\\n' "$body"
else printf '{"version":1,"success":false,"code":"503","message":"nobody answers: run gatehouse credentials serve"}\\n'; fi
`,
};
