package audit_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

func TestCheckpointIsASignedC2SPNote(t *testing.T) {
	f, held := filled(t)
	last := held[2]
	text, signature, ok := strings.Cut(last.Note, "\n\n")
	want := fmt.Sprintf("%s\n21\n%s", origin, base64.StdEncoding.EncodeToString(last.Root))
	if !ok || text != want || !strings.HasPrefix(signature, "— "+origin+" ") {
		t.Errorf("note\n%s\nwant text\n%s", last.Note, want)
	}
	if last.Size != 21 || last.Node != "n440100" || !last.At.Equal(noon) {
		t.Errorf("%+v", last)
	}
	opened, err := audit.OpenCheckpoint(last.Note, origin, f.key)
	if err != nil || opened.Size != 21 || string(opened.Root) != string(last.Root) || opened.Node != "n440100" {
		t.Errorf("%+v, %v", opened, err)
	}
}

func TestCheckpointOfAnUnchangedLogIsTheSame(t *testing.T) {
	f := newFixture(t)
	for range 3 {
		first := f.checkpoint()
		f.view(func(tx *bbolt.Tx) error { // no write is needed for it
			again, err := f.log.Checkpoint(tx, f.signer)
			if again.Note != first.Note || again.Size != first.Size || !again.At.Equal(first.At) {
				t.Errorf("%+v, then %+v", first, again)
			}
			return err
		})
		f.append(administered("more"))
	}
	if r := f.verify(); !r.Verified || r.Checkpoints != 3 || r.Signed != 2 || r.Leaves != 3 {
		t.Errorf("%+v", r)
	}
}

func TestCheckpointRefusesToCoverUpAChange(t *testing.T) {
	for name, change := range map[string]func(all [][]byte) [][]byte{
		"edited":    func(all [][]byte) [][]byte { all[3] = encoded(administered("forged")); return all },
		"truncated": func(all [][]byte) [][]byte { return all[:20] },
		"truncated and refilled": func(all [][]byte) [][]byte {
			return append(all[:20], encoded(administered("a")), encoded(administered("b")))
		},
		"replaced at its size": func(all [][]byte) [][]byte { return append(all[:20], encoded(administered("a"))) },
		"emptied":              func([][]byte) [][]byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := filled(t)
			f.tamper(func(leaves, hashes, _ *bbolt.Bucket) {
				all := change(contents(leaves))
				if name == "edited" {
					all = append(all, encoded(administered("later")))
				}
				restore(leaves, hashes, all)
			})
			f.update(func(tx *bbolt.Tx) error {
				if c, err := f.log.Checkpoint(tx, f.signer); err == nil {
					t.Errorf("signed %d leaves", c.Size)
				}
				return nil
			})
		})
	}
}

func TestCheckpointWantsTheKeyOfTheLog(t *testing.T) {
	f := newFixture(t)
	secret, _, err := audit.GenerateKey("gxbus/sample/n440300")
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := audit.OpenKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	f.update(func(tx *bbolt.Tx) error {
		if _, err := f.log.Checkpoint(tx, other); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("err = %v", err)
		}
		return nil
	})
}

func TestOpenCheckpointRefuses(t *testing.T) {
	f, held := filled(t)
	sign := func(text string) string {
		signed, err := note.Sign(&note.Note{Text: text}, f.signer)
		if err != nil {
			t.Fatal(err)
		}
		return string(signed)
	}
	good := held[0].Note
	root := base64.StdEncoding.EncodeToString(held[0].Root)
	if _, err := audit.OpenCheckpoint(sign(origin+"\n7\n"+root+"\nextension\n"), origin, f.key); err != nil {
		t.Errorf("an extension line is allowed: %v", err)
	}
	for name, signed := range map[string]string{
		"empty":            "",
		"unsigned":         strings.SplitAfter(good, "\n\n")[0],
		"edited":           strings.Replace(good, "\n7\n", "\n8\n", 1),
		"too long":         sign(origin + "\n7\n" + root + "\n" + strings.Repeat("extension\n", 2000)),
		"another's":        sign("gxbus/sample/n440300\n7\n" + root + "\n"),
		"leading zero":     sign(origin + "\n07\n" + root + "\n"),
		"negative":         sign(origin + "\n-7\n" + root + "\n"),
		"over 63 bits":     sign(origin + "\n9223372036854775808\n" + root + "\n"),
		"short root":       sign(origin + "\n7\nAAAA\n"),
		"root not strict":  sign(origin + "\n7\n" + root[:42] + "B=\n"),
		"two lines":        sign(origin + "\n7\n"),
		"size with spaces": sign(origin + "\n 7\n" + root + "\n"),
	} {
		if c, err := audit.OpenCheckpoint(signed, origin, f.key); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	_, otherKey, _ := audit.GenerateKey(origin)
	for name, keys := range map[string][]string{
		"no key": nil, "another key": {otherKey}, "not a key": {"x"},
	} {
		if _, err := audit.OpenCheckpoint(good, origin, keys...); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := audit.OpenCheckpoint(good, origin, otherKey, f.key); err != nil {
		t.Errorf("one of several keys: %v", err)
	}
}

func TestOpenKeyGivesTheVerifierOfGenerateKey(t *testing.T) {
	for range 50 { // base64 with and without +
		secret, verifier, err := audit.GenerateKey(origin)
		if err != nil {
			t.Fatal(err)
		}
		signer, got, err := audit.OpenKey(secret)
		if err != nil || got != verifier || signer.Name() != origin {
			t.Fatalf("%q, want %q, %v", got, verifier, err)
		}
		half := secret[:len(secret)-8]
		if _, _, err := audit.OpenKey(half); bus.CodeOf(err) != bus.CodeInvalid || strings.Contains(err.Error(), half[40:]) {
			t.Fatalf("half a key: %v", err)
		}
	}
	if _, _, err := audit.GenerateKey("node 1"); bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("a key for no log: %v", err)
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	fix, held := filled(f)
	for _, c := range held {
		f.Add(c.Note)
	}
	f.Add(origin + "\n7\nAAAA\n\n— x AAAA\n")
	f.Fuzz(func(t *testing.T, signed string) {
		c, err := audit.OpenCheckpoint(signed, origin, fix.key)
		if err == nil && (c.Size < 0 || len(c.Root) != 32) {
			t.Errorf("%+v", c)
		}
		if err != nil && bus.CodeOf(err) != bus.CodeInvalid {
			t.Error(err)
		}
	})
}
