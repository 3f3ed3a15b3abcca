package audit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// proven is a proof of one event of three, under a checkpoint that a parent
// cosigned, with the keys that are needed to check it.
func proven(t *testing.T) (file []byte, keys []string) {
	t.Helper()
	f, p := newFixture(t), newParent(t)
	var events [][32]byte
	var texts []string
	for i := range 3 {
		events = append(events, sha256.Sum256([]byte{byte(i)}))
		texts = append(texts, hex.EncodeToString(events[i][:]))
	}
	accepted := forwarded(1, 3)
	accepted.Kind, accepted.Subscription, accepted.Digest = audit.KindAccepted, "", audit.Digest(events...)
	f.append(decided("d-0"), accepted, forwarded(1, 3), administered("x"))
	c := f.checkpoint()
	line, _, refused := p.witness(f, f.submission(c, 0))
	if refused != nil {
		t.Fatal(refused)
	}
	var log audit.LogProof
	f.update(func(tx *bbolt.Tx) (err error) {
		if c, err = f.log.Cosigned(tx, c, line, f.key, p.key); err == nil {
			log, err = f.log.Prove(tx, c, []int64{0, 1, 2})
		}
		return err
	})
	log.Leaves[1].Events, log.Leaves[1].Place = texts, 2
	proof := audit.Proof{
		Event: "e-2", Made: noon, Node: "n440100", Logs: []audit.LogProof{log}, Grants: []bus.Grant{{ID: "g-1"}}, Silent: []bus.NodeID{"n440300"},
	}
	file, err := proof.Seal(f.signer)
	if err != nil {
		t.Fatal(err)
	}
	return file, []string{f.key, p.key}
}

func TestAProofTellsTheWholeStoryWithTheKeysAlone(t *testing.T) {
	file, keys := proven(t)
	p, err := audit.CheckProof(file, keys...)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte{1})
	if p.Event != "e-2" || p.Node != "n440100" || p.Digest != hex.EncodeToString(digest[:]) || len(p.Grants) != 1 || len(p.Silent) != 1 || len(p.Steps) != 3 {
		t.Errorf("%+v", p)
	}
	for i, s := range p.Steps {
		if s.Leaf != int64(i) || s.Of != 4 || len(s.Witnesses) != 1 || s.Witnesses[0].Witness != "n440000" {
			t.Errorf("%+v", s)
		}
	}
	if _, err := audit.CheckProof(file, keys[1]); bus.CodeOf(err) != bus.CodeEvidence {
		t.Errorf("without the node's key: %v", err)
	}
	if p, err := audit.CheckProof(file, keys[0]); err != nil || len(p.Steps[0].Witnesses) != 0 {
		t.Errorf("without the witness's key: %v", err)
	}
}

// TestAProofWithAByteChangedFails flips a bit of every byte of a proof file, and of
// its signature every bit: none verifies.
func TestAProofWithAByteChangedFails(t *testing.T) {
	file, keys := proven(t)
	for at := range file {
		for bit := range 8 {
			if bit != at%8 && at < len(file)-120 {
				continue
			}
			file[at] ^= 1 << bit
			if _, err := audit.CheckProof(file, keys...); bus.CodeOf(err) != bus.CodeEvidence {
				t.Fatalf("byte %d, bit %d: %v", at, bit, err)
			}
			file[at] ^= 1 << bit
		}
	}
	for name, changed := range map[string]string{
		"cut": string(file[:len(file)-1]), "longer": string(file) + "\n", "empty": "", "twice": string(file) + string(file),
		"signed twice": string(file) + signatureOf(file), "a signature more": string(file) + "— other AAAAAAAA\n",
	} {
		if _, err := audit.CheckProof([]byte(changed), keys...); bus.CodeOf(err) != bus.CodeEvidence {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// signatureOf is the signature line of a file.
func signatureOf(file []byte) string {
	lines := strings.SplitAfter(string(file), "\n")
	return lines[len(lines)-2]
}

// TestANodeCannotProveWhatItsLogDoesNotHold: the node signs the file itself, so what
// it claims of its log and of others has to stand on the trees.
func TestANodeCannotProveWhatItsLogDoesNotHold(t *testing.T) {
	f := newFixture(t)
	f.append(decided("d-0"), forwarded(1, 1), administered("x"))
	c := f.checkpoint()
	other := newFixtureOf(t, above)
	other.append(forwarded(1, 1))
	for name, lie := range map[string]func(*audit.Proof){
		"another leaf":  func(p *audit.Proof) { p.Logs[0].Leaves[0].Data = encoded(administered("y")) },
		"another place": func(p *audit.Proof) { p.Logs[0].Leaves[0].Leaf = 0 },
		"another digest": func(p *audit.Proof) {
			p.Logs[0].Leaves[0].Events, p.Logs[0].Leaves[0].Place = []string{strings.Repeat("0", 64)}, 1
		},
		"no such place":          func(p *audit.Proof) { p.Logs[0].Leaves[0].Place = 9 },
		"an unsigned checkpoint": func(p *audit.Proof) { p.Logs[0].Checkpoint = strings.Replace(c.Note, "3\n", "4\n", 1) },
		"another's checkpoint":   func(p *audit.Proof) { p.Logs[0].Checkpoint = strings.ReplaceAll(c.Note, origin, above) },
		"another's name":         func(p *audit.Proof) { p.Node = "n440000" },
		"nothing":                func(p *audit.Proof) { p.Logs = nil },
	} {
		var log audit.LogProof
		f.view(func(tx *bbolt.Tx) (err error) {
			log, err = f.log.Prove(tx, c, []int64{1})
			return err
		})
		p := audit.Proof{Event: "e", Made: noon, Node: "n440100", Logs: []audit.LogProof{log}}
		lie(&p)
		file, err := p.Seal(f.signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := audit.CheckProof(file, f.key, other.key); bus.CodeOf(err) != bus.CodeEvidence {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.view(func(tx *bbolt.Tx) error {
		if _, err := f.log.Prove(tx, c, []int64{3}); bus.CodeOf(err) != bus.CodeNotFound {
			t.Errorf("a leaf that is not there: %v", err)
		}
		return nil
	})
}

func FuzzCheckProof(f *testing.F) {
	fix := newFixture(f)
	f.Add([]byte(fmt.Sprintf("{\"format\":%q}\n\n— %s AAAA\n", audit.ProofFormat, origin)))
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := audit.CheckProof(file, fix.key); bus.CodeOf(err) != bus.CodeEvidence && bus.CodeOf(err) != bus.CodeTooLarge {
			t.Error(err)
		}
	})
}
