package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// aProof is a proof of event e1 that node n1 made, and its key.
func aProof(t *testing.T) (file []byte, key string) {
	t.Helper()
	const origin = "gxbus/c1/n1"
	secret, _, err := audit.GenerateKey(origin)
	must(t, err)
	signer, key, err := audit.OpenKey(secret)
	must(t, err)
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "e.db"), 0o600, nil)
	must(t, err)
	defer db.Close()
	at := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		log, err := audit.Open(tx, origin)
		must(t, err)
		_, err = log.Append(tx, audit.Record{
			Kind: audit.KindForwarded, At: at, Principal: bus.Principal{System: "s1"}, Resource: "r1", Subscription: "sub1", Grant: "g1",
			Consumer: "11440000006939561H", First: 1, Last: 1, Events: 1, Digest: audit.Digest([32]byte{1}), DecisionID: "d1",
		})
		must(t, err)
		head, err := log.Checkpoint(tx, signer)
		must(t, err)
		proof, err := log.Prove(tx, head, []int64{0})
		must(t, err)
		file, err = audit.Proof{Event: "e1", Made: at, Node: "n1", Logs: []audit.LogProof{proof}, Grants: []bus.Grant{{ID: "g1", Resource: "r1"}}}.Seal(signer)
		return err
	}))
	return file, key
}

func TestAProofIsMadeHereAndCheckedElsewhere(t *testing.T) {
	file, key := aProof(t)
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /audit/proofs/e1": give(client.ProofFile{File: string(file)}),
		"GET /nodes":           give(map[string]any{"items": []bus.Node{{ID: "n1", EvidenceKey: key}}}),
	})
	dir := t.TempDir()
	proof, keys := filepath.Join(dir, "e1.proof"), filepath.Join(dir, "keys")
	sh.ok("audit", "prove", "e1", "-f", proof)
	out, _ := sh.ok("audit", "keys")
	must(t, os.WriteFile(keys, []byte("# sample\n"+out), 0o600))
	out, _ = sh.ok("audit", "check", proof, "--keys", keys, "--lang", "zh")
	contains(t, "check", out, "证明有效：事件 e1，由节点 n1", "依授权 g1、裁决 d1 发往部门 11440000006939561H：第 1–1 号事件", "0/1", "未经其他已知节点联署")
	out, _ = sh.ok("audit", "check", proof, "--keys", keys, "--lang", "en")
	contains(t, "check", out, "The proof holds: event e1", "under grant g1, decision d1, sent to department 11440000006939561H")
	if len(sh.seen) > 0 {
		t.Errorf("checking asked a node: %v", sh.seen)
	}
	must(t, os.WriteFile(proof, []byte(strings.Replace(string(file), `"e1"`, `"e2"`, 1)), 0o600))
	if code, _, errs := sh.run("audit", "check", proof, "--keys", keys); code == 0 || !strings.Contains(errs, "evidence-not-verified") && !strings.Contains(errs, "changed") {
		t.Errorf("a changed file: exit %d, %s", code, errs)
	}
	if code, _, _ := sh.run("audit", "check", proof); code != 2 {
		t.Errorf("no keys: exit %d", code)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
