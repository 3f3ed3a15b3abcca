package audit_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

const above = "gxbus/sample/n440000"

// parent is a witness: a node above with a log and a file of its own.
type parent struct {
	*fixture
	cosigner *audit.Cosigner
}

func newParent(t testing.TB) parent {
	f := newFixtureOf(t, above)
	cosigner, err := audit.NewCosigner(f.signer, f.key)
	if err != nil {
		t.Fatal(err)
	}
	return parent{f, cosigner}
}

// witness submits and returns the line, what contradicts, and the refusal.
func (p parent) witness(f *fixture, s audit.Submission) (line string, found *audit.Contradiction, refused error) {
	p.Helper()
	s, err := audit.ParseSubmission(s.Encode()) // as it comes over the wire
	if err != nil {
		p.Fatal(err)
	}
	p.update(func(tx *bbolt.Tx) (err error) {
		line, found, refused, err = p.cosigner.Witness(tx, origin, f.key, s, noon)
		return err
	})
	return line, found, refused
}

func (f *fixture) submission(c bus.Checkpoint, old int64) (s audit.Submission) {
	f.Helper()
	f.view(func(tx *bbolt.Tx) (err error) {
		s, err = f.log.Submission(tx, c, old)
		return err
	})
	return s
}

func TestAParentCosignsWhatExtendsTheHeadItKnows(t *testing.T) {
	f, held := filled(t)
	p := newParent(t)
	old := int64(0)
	for _, c := range held {
		line, found, refused := p.witness(f, f.submission(c, old))
		if refused != nil || found != nil {
			t.Fatalf("size %d: %v %+v", c.Size, refused, found)
		}
		old = c.Size
		if c.Size != 21 {
			continue
		}
		f.update(func(tx *bbolt.Tx) (err error) {
			c, err = f.log.Cosigned(tx, c, line, f.key, p.key)
			return err
		})
		who, err := audit.Cosignatures(c.Note, p.key)
		if err != nil || len(who) != 1 || who[0].Witness != "n440000" || !who[0].At.Equal(noon) {
			t.Errorf("cosigned by %+v, %v", who, err)
		}
		if who, err := audit.Cosignatures(c.Note, f.key); err != nil || len(who) != 0 {
			t.Errorf("the log's own signature counts as a witness: %+v %v", who, err)
		}
		if again := f.checkpoint(); again.Note != c.Note {
			t.Error("the head of an unchanged log lost its cosignature")
		}
		f.view(func(tx *bbolt.Tx) error {
			if last, ok, err := f.log.Witnessed(tx); !ok || err != nil || last.Size != 21 || last.Note != c.Note {
				t.Errorf("witnessed %+v %v %v", last, ok, err)
			}
			return nil
		})
		if r := f.verify(c); !r.Verified {
			t.Errorf("%+v", r)
		}
	}
	line, _, refused := p.witness(f, f.submission(held[2], 21)) // the same head again: it still is the largest
	if refused != nil || !strings.HasPrefix(line, "— "+above+" ") {
		t.Errorf("%q %v", line, refused)
	}
}

// S53: the parent refuses the head of yesterday, and tells which it knows.
func TestS53_TheParentRefusesAnOldHead(t *testing.T) {
	f, held := filled(t)
	p := newParent(t)
	p.witness(f, f.submission(held[1], 0))
	for name, s := range map[string]audit.Submission{
		"the old head":               f.submission(held[0], 0),
		"the old head, with its own": f.submission(held[0], 7),
	} {
		line, found, refused := p.witness(f, s)
		conflict, ok := errors.AsType[*audit.Conflict](refused)
		if line != "" || !ok || conflict.Size != 16 {
			t.Errorf("%s: %q %v", name, line, refused)
		}
		if name == "the old head" && found == nil && len(contradictions(p)) != 1 {
			t.Errorf("%s: nothing is on record", name)
		}
	}
	if c := contradictions(p); len(c) != 1 || c[0].Forked || c[0].Size != 7 || c[0].Witnessed != 16 || c[0].Known != held[1].Note {
		t.Fatalf("on record: %+v", c)
	}
	if _, found, refused := p.witness(f, f.submission(held[2], 16)); refused != nil || found != nil || len(contradictions(p)) != 0 {
		t.Errorf("the log that goes on: %v %+v", refused, found)
	}
	f.append(administered("more"))
	for _, c := range []bus.Checkpoint{held[2], f.checkpoint()} {
		if _, found, refused := p.witness(f, f.submission(c, 0)); refused == nil || found != nil || len(contradictions(p)) != 0 {
			t.Errorf("a node that forgot what was cosigned contradicts nothing: %v %+v", refused, found)
		}
	}
}

// S52: a log cut off and signed again with the node's own key is not the one that the
// parent cosigned, whatever it says; the two notes prove it to anybody.
func TestS52_TheParentProvesALogThatWasCutAndSignedAgain(t *testing.T) {
	f, held := filled(t)
	p := newParent(t)
	p.witness(f, f.submission(held[1], 0))
	forged := newFixture(t)
	forged.signer, forged.key = f.signer, f.key
	forged.append(administered("history as it should have been"))
	for range 29 {
		forged.append(forwarded(1, 10))
	}
	longer := forged.checkpoint()
	same := forgedAt(t, f, 16)
	for name, c := range map[string]struct {
		s    audit.Submission
		code bus.Code
	}{
		"as long":               {f.submission(same, 16), ""},
		"longer, with a proof":  {forged.submission(longer, 16), bus.CodeEvidence},
		"longer, without one":   {audit.Submission{Old: 16, Note: longer.Note}, bus.CodeEvidence},
		"longer, from nothing":  {audit.Submission{Old: 0, Note: longer.Note}, ""},
		"unsigned":              {audit.Submission{Old: 16, Note: strings.Split(longer.Note, "—")[0] + "— " + above + " AAAAAAAA\n"}, bus.CodeForbidden},
		"signed by the parent":  {audit.Submission{Old: 16, Note: newParent(t).checkpoint().Note}, bus.CodeForbidden},
		"a size before its own": {audit.Submission{Old: 31, Note: longer.Note}, bus.CodeInvalid},
	} {
		line, _, refused := p.witness(f, c.s)
		conflict, isConflict := errors.AsType[*audit.Conflict](refused)
		if line != "" || bus.CodeOf(refused) != c.code && !isConflict || c.code == "" && (!isConflict || conflict.Size != 16) {
			t.Errorf("%s: %q %v", name, line, refused)
		}
	}
	on := contradictions(p)
	if len(on) != 1 || !on[0].Forked || on[0].Known != held[1].Note {
		t.Fatalf("on record: %+v", on)
	}
	if _, _, refused := p.witness(f, f.submission(held[2], 16)); refused != nil || len(contradictions(p)) != 1 {
		t.Errorf("the true log goes on, and the fork stays on record: %v %d", refused, len(contradictions(p)))
	}
}

// forgedAt is a head of another root at a size, signed with the key of f.
func forgedAt(t *testing.T, f *fixture, size int) bus.Checkpoint {
	other := newFixture(t)
	other.signer, other.key = f.signer, f.key
	for range size {
		other.append(administered("x"))
	}
	return other.checkpoint()
}

func contradictions(p parent) (found []audit.Contradiction) {
	p.view(func(tx *bbolt.Tx) (err error) {
		found, err = audit.Contradictions(tx)
		return err
	})
	return found
}

// TestCosignatureIsTheC2SPForm takes a cosignature apart as the specification has it.
func TestCosignatureIsTheC2SPForm(t *testing.T) {
	f, held := filled(t)
	p := newParent(t)
	line, _, _ := p.witness(f, f.submission(held[0], 0))
	c := held[0]
	for name, lines := range map[string]string{
		"none":             "",
		"another's":        strings.Replace(line, above, origin, 1),
		"a byte changed":   line[:len(line)-8] + "AAAA" + line[len(line)-4:],
		"not a signature":  "— " + above + " AAAAAAAA\n",
		"something at all": "thanks\n",
	} {
		f.update(func(tx *bbolt.Tx) error {
			if _, err := f.log.Cosigned(tx, c, lines, f.key, p.key); err == nil {
				t.Errorf("%s: taken", name)
			}
			return nil
		})
	}
	if _, err := note.Open([]byte(c.Note+line), note.VerifierList()); err == nil {
		t.Error("opened without a key")
	} else if u, ok := err.(*note.UnverifiedNoteError); !ok || len(u.Note.UnverifiedSigs) != 2 {
		t.Errorf("not a note with two signatures: %v", err)
	}
}

func FuzzParseSubmission(f *testing.F) {
	f.Add([]byte("old 0\n\nx"))
	f.Add([]byte("old 20\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n" + origin + "\n21\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— x AAAA\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := audit.ParseSubmission(body)
		if err == nil && !bytes.Equal(s.Encode(), body) {
			t.Errorf("%q reads as %q", body, s.Encode())
		}
		if err != nil && bus.CodeOf(err) != bus.CodeInvalid {
			t.Error(err)
		}
	})
}
