// A SPIFFE workload on go-spiffe, which knows nothing of Gatehouse but what SPIFFE says:
//
//	go-client SOCKET GATE_MTLS_URL TRUST_DOMAIN SPIFFE_ID TEMPLATE
//
// Writes one line of JSON for each case. After the line "watching" it waits for the authorities to be replaced.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

const (
	audience   = "db.example"
	stepLimit  = 20 * time.Second
	watchLimit = 3 * time.Minute
)

type workload struct {
	client   *workloadapi.Client
	source   *workloadapi.X509Source
	gate     string
	id       spiffeid.ID
	gateID   spiffeid.ID
	template string
}

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: go-client SOCKET GATE_MTLS_URL TRUST_DOMAIN SPIFFE_ID TEMPLATE")
		os.Exit(64)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(socket, gate, trustDomain, id, template string) error {
	ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
	defer cancel()
	td, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return err
	}
	address := workloadapi.WithAddr("unix://" + socket)
	client, err := workloadapi.New(ctx, address)
	if err != nil {
		return err
	}
	defer client.Close()
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(address))
	if err != nil {
		return err
	}
	defer source.Close()
	w := &workload{
		client: client, source: source, gate: gate, template: template,
		id: spiffeid.RequireFromString(id), gateID: spiffeid.RequireFromPath(td, "/gatehouse"),
	}
	report("an X.509-SVID, which its bundle verifies", w.x509(ctx))
	report("a JWT-SVID, which its bundle verifies for its audience and no other", w.jwt(ctx))
	report("ValidateJWTSVID takes that JWT-SVID, and refuses it for another audience", w.validate(ctx))
	report("mutual TLS: a token by the X.509-SVID alone, and the MCP door with it", w.call(ctx))
	report("mutual TLS: a server that is somebody else is not spoken to", w.stranger(ctx))
	report("after the authorities were replaced: a new SVID and bundle arrive by themselves, and only they open the gate", w.rotation())
	return nil
}

func report(name string, err error) {
	line := map[string]string{"case": name}
	if err != nil {
		line["problem"] = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

func (w *workload) x509(ctx context.Context) error {
	svid, err := w.client.FetchX509SVID(ctx)
	if err != nil {
		return err
	}
	bundles, err := w.client.FetchX509Bundles(ctx)
	if err != nil {
		return err
	}
	id, _, err := x509svid.Verify(svid.Certificates, bundles)
	if err != nil {
		return err
	}
	return same(id, w.id)
}

func (w *workload) jwt(ctx context.Context) error {
	svid, err := w.client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return err
	}
	bundles, err := w.client.FetchJWTBundles(ctx)
	if err != nil {
		return err
	}
	parsed, err := jwtsvid.ParseAndValidate(svid.Marshal(), bundles, []string{audience})
	if err != nil {
		return err
	}
	if _, err := jwtsvid.ParseAndValidate(svid.Marshal(), bundles, []string{"other.example"}); err == nil {
		return errors.New("it was taken for another audience")
	}
	return same(parsed.ID, w.id)
}

func (w *workload) validate(ctx context.Context) error {
	svid, err := w.client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return err
	}
	validated, err := w.client.ValidateJWTSVID(ctx, svid.Marshal(), audience)
	if err != nil {
		return err
	}
	if _, err := w.client.ValidateJWTSVID(ctx, svid.Marshal(), "other.example"); err == nil {
		return errors.New("it was taken for another audience")
	}
	return same(validated.ID, w.id)
}

func (w *workload) call(ctx context.Context) error {
	return w.callWith(ctx, w.source, w.source, w.gateID)
}

func (w *workload) stranger(ctx context.Context) error {
	other := spiffeid.RequireFromPath(w.gateID.TrustDomain(), "/somebody/else")
	if err := w.callWith(ctx, w.source, w.source, other); err == nil {
		return errors.New("the connection was made")
	}
	return nil
}

// rotation: what was held before is tried again with what has come since.
func (w *workload) rotation() error {
	ctx, cancel := context.WithTimeout(context.Background(), watchLimit)
	defer cancel()
	before, err := w.source.GetX509SVID()
	if err != nil {
		return err
	}
	oldBundle, err := w.source.GetX509BundleForTrustDomain(w.id.TrustDomain())
	if err != nil {
		return err
	}
	oldBundle = oldBundle.Clone()
	fmt.Println(`{"watching":true}`)
	for {
		svid, err := w.source.GetX509SVID()
		if err != nil {
			return err
		}
		bundle, err := w.source.GetX509BundleForTrustDomain(w.id.TrustDomain())
		if err != nil {
			return err
		}
		isNew := svid.Certificates[0].SerialNumber.Cmp(before.Certificates[0].SerialNumber) != 0
		if isNew && !bundle.Equal(oldBundle) {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("new SVID: %t, new bundle: %t after %s", isNew, !bundle.Equal(oldBundle), watchLimit)
		case <-w.source.Updated():
		}
	}
	if err := w.call(ctx); err != nil {
		return fmt.Errorf("with the new ones: %w", err)
	}
	if err := w.callWith(ctx, before, w.source, w.gateID); err == nil {
		return errors.New("the SVID of before still opens the gate")
	}
	if err := w.callWith(ctx, w.source, oldBundle, w.gateID); err == nil {
		return errors.New("the bundle of before still verifies the gate")
	}
	return nil
}

// callWith gets a token of a task with nothing but the SVID, and opens the MCP door with it over the same identity.
func (w *workload) callWith(ctx context.Context, svid x509svid.Source, bundle x509bundle.Source, gate spiffeid.ID) error {
	transport := &http.Transport{TLSClientConfig: tlsconfig.MTLSClientConfig(svid, bundle, tlsconfig.AuthorizeID(gate))}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	details, _ := json.Marshal([]map[string]string{
		{"type": "urn:gatehouse:task", "template": w.template, "intent": "try go-spiffe"},
	})
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {w.id.String()}, "authorization_details": {string(details)},
	}
	body, err := post(ctx, client, w.gate+"/oauth/token", "application/x-www-form-urlencoded", "", []byte(form.Encode()))
	if err != nil {
		return err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	initialize := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},` +
		`"clientInfo":{"name":"go-client","version":"1"}}}`
	_, err = post(ctx, client, w.gate+"/mcp", "application/json", "Bearer "+answer.AccessToken, []byte(initialize))
	return err
}

func post(ctx context.Context, client *http.Client, address, contentType, authorization string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("content-type", contentType)
	request.Header.Set("accept", "application/json, text/event-stream")
	if authorization != "" {
		request.Header.Set("authorization", authorization)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", address, response.Status, answer)
	}
	return answer, err
}

func same(got, wanted spiffeid.ID) error {
	if got != wanted {
		return fmt.Errorf("it is %s, not %s", got, wanted)
	}
	return nil
}
