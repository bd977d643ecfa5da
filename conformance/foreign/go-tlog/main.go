// Transparency-log programs of others, held against Gatehouse's: each verb prints one JSON line for each thing that was tried.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"github.com/transparency-dev/tessera/storage/posix"
	"github.com/transparency-dev/witness/persistence/inmemory"
	"github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	verbs := map[string]func(context.Context, []string) error{
		"fsck": check, "receipt": receipt, "consistency": consistency, "witness": serveWitness, "append": appendWitnessed,
	}
	run, ok := verbs[os.Args[1]]
	if !ok {
		fmt.Fprintln(os.Stderr, "unknown verb")
		os.Exit(64)
	}
	if err := run(context.Background(), os.Args[2:]); err != nil {
		say(map[string]any{"problem": err.Error()})
		os.Exit(1)
	}
}

func say(line map[string]any) {
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

// check DIRECTORY VKEY: Tessera's integrity check of everything that was published.
func check(ctx context.Context, args []string) error {
	verifier, err := note.NewVerifier(args[1])
	if err != nil {
		return err
	}
	bundle := func(raw []byte) ([][]byte, error) {
		eb := api.EntryBundle{}
		if err := eb.UnmarshalText(raw); err != nil {
			return nil, err
		}
		hashes := make([][]byte, 0, len(eb.Entries))
		for _, entry := range eb.Entries {
			hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
		}
		return hashes, nil
	}
	return fsck.New(verifier.Name(), verifier, client.FileFetcher{Root: args[0]}, bundle, fsck.Opts{N: 2}).Check(ctx)
}

// receipt FILE LOG-VKEY WITNESS-VKEY: one receipt, by Go's own note and tlog and the cosignature verifier of transparency-dev.
func receipt(_ context.Context, args []string) error {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var given struct{ Entry, Proof string }
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	logVerifier, err := note.NewVerifier(args[1])
	if err != nil {
		return err
	}
	witnessVerifier, err := fnote.NewVerifierForCosignatureV1(args[2])
	if err != nil {
		return err
	}
	head, checkpoint, found := strings.Cut(given.Proof, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return fmt.Errorf("this is no tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	opened, err := note.Open([]byte(checkpoint), note.VerifierList(logVerifier, witnessVerifier))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != 2 {
		return fmt.Errorf("%d of 2 keys have signed", len(opened.Sigs))
	}
	var parsed log.Checkpoint
	if _, err := parsed.Unmarshal([]byte(opened.Text)); err != nil {
		return err
	}
	return tlog.CheckRecord(proof, int64(parsed.Size), tlog.Hash(parsed.Hash), index, tlog.RecordHash([]byte(given.Entry)))
}

// consistency FILE: { old, new (checkpoints), proof (base64 hashes) }.
func consistency(_ context.Context, args []string) error {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var given struct {
		Old, New string
		Proof    []string
	}
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	var before, after log.Checkpoint
	if _, err := before.Unmarshal([]byte(given.Old)); err != nil {
		return err
	}
	if _, err := after.Unmarshal([]byte(given.New)); err != nil {
		return err
	}
	var proof tlog.TreeProof
	for _, line := range given.Proof {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	return tlog.CheckTree(proof, int64(after.Size), tlog.Hash(after.Hash), int64(before.Size), tlog.Hash(before.Hash))
}

// witness LOG-VKEY: transparency-dev's witness, on a free port until it is killed.
func serveWitness(ctx context.Context, args []string) error {
	logVerifier, err := note.NewVerifier(args[0])
	if err != nil {
		return err
	}
	skey, vkey, err := generateKey("witness.example/go")
	if err != nil {
		return err
	}
	signer, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		return err
	}
	w, err := witness.New(ctx, witness.Opts{
		Persistence: inmemory.New(),
		Signers:     []note.Signer{signer},
		VerifierForLog: func(_ context.Context, origin string) (note.Verifier, bool, error) {
			return logVerifier, origin == logVerifier.Name(), nil
		},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/add-checkpoint", witness.NewHTTPHandler(w).AddCheckpoint)
	say(map[string]any{"url": "http://" + listener.Addr().String(), "vkey": vkey})
	return http.Serve(listener, mux)
}

// append DIRECTORY WITNESS-VKEY WITNESS-URL SKEY-FILE: a Tessera log whose checkpoints need the cosignature of the witness given.
func appendWitnessed(ctx context.Context, args []string) error {
	skey, err := os.ReadFile(args[3])
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(skey)))
	if err != nil {
		return err
	}
	address, err := url.Parse(args[2])
	if err != nil {
		return err
	}
	witness, err := tessera.NewWitness(args[1], address)
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: args[0]})
	if err != nil {
		return err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(64, 50*time.Millisecond).
		WithCheckpointInterval(200*time.Millisecond).
		WithWitnesses(tessera.NewWitnessGroup(1, witness), nil)
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return err
	}
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 50*time.Millisecond)
	for at := range 300 {
		future := appender.Add(ctx, tessera.NewEntry([]byte(fmt.Sprintf("entry %d", at))))
		if at%100 != 99 {
			continue
		}
		waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if _, _, err := awaiter.Await(waiting, future); err != nil {
			return err
		}
	}
	return shutdown(ctx)
}

func generateKey(name string) (string, string, error) {
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", "", err
	}
	// The same key, typed as that of a witness (0x04).
	parts := strings.SplitN(vkey, "+", 3)
	material, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return "", "", err
	}
	material[0] = 4
	id := sha256.Sum256(append([]byte(name+"\n"), material...))
	return skey, fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(material)), nil
}
