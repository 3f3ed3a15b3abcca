package audit_test

import (
	"bytes"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

var taken = time.Date(2026, 3, 4, 2, 30, 0, 0, time.UTC)

// continued is a log that was restored from a backup, under its new name and key.
func continued(t *testing.T) (f *fixture, former bus.Checkpoint, formerKey string) {
	t.Helper()
	f, held := filled(t)
	former, formerKey = held[len(held)-1], f.key
	secret, verifier, err := audit.GenerateKey(audit.Origin("gx-new", f.log.Node()))
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := audit.OpenKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	f.update(func(tx *bbolt.Tx) error {
		f.log, err = audit.Continue(tx, signer.Name(), f.signer, formerKey, audit.Restored{Epoch: 1, Taken: taken}, taken.Add(time.Hour))
		return err
	})
	f.signer, f.key = signer, verifier
	return f, former, formerKey
}

func TestARestoredLogGoesOnUnderANewName(t *testing.T) {
	f, former, formerKey := continued(t)
	f.append(administered("the first act after the restore"))
	c := f.checkpoint()
	report := f.verify(c)
	if !report.Verified || report.Leaves != 23 || report.Signed != 23 || report.Origin != f.signer.Name() {
		t.Fatalf("%+v", report)
	}
	f.view(func(tx *bbolt.Tx) error {
		r, err := f.log.Record(tx, 21)
		if err != nil {
			return err
		}
		if r.Kind != audit.KindRestored || r.Restored == nil || r.Restored.Size != 21 || r.Restored.Key != formerKey || r.Restored.Epoch != 1 {
			t.Fatalf("%+v", r)
		}
		// What the former log was known by still binds its leaves.
		head, err := audit.OpenCheckpoint(r.Restored.Note, r.Restored.Origin, formerKey)
		if err != nil || head.Size != 21 || former.Size > head.Size {
			t.Errorf("the former head: %+v, %v", head, err)
		}
		in, out := verifyBoth(t, f, tx, []bus.Checkpoint{c})
		if !in.Verified || !out.Verified {
			t.Errorf("in place %+v, exported %+v", in, out)
		}
		return nil
	})
}

// Who rewrites the leaves of before, with all their hashes, and signs with the new
// key, is found out by what the former key signed.
func TestWhatWasRestoredCannotBeRewritten(t *testing.T) {
	f, _, _ := continued(t)
	f.tamper(func(leaves, hashes, _ *bbolt.Bucket) {
		forged := contents(leaves)
		forged[3] = bytes.Replace(forged[3], []byte("2026"), []byte("2025"), 1)
		restore(leaves, hashes, forged)
	})
	f.checkpoint()
	if report := f.verify(); report.Verified || report.BadLeaf != 21 {
		t.Errorf("%+v", report)
	}
}

func TestContinueRefuses(t *testing.T) {
	f, _ := filled(t)
	another, _, err := audit.GenerateKey(audit.Origin("gx-other", "guangzhou"))
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := audit.OpenKey(another)
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func(tx *bbolt.Tx) error{
		"the same name": func(tx *bbolt.Tx) error {
			_, err := audit.Continue(tx, f.log.Origin(), f.signer, f.key, audit.Restored{}, taken)
			return err
		},
		"another node": func(tx *bbolt.Tx) error {
			_, err := audit.Continue(tx, audit.Origin("gx-new", "somebody"), f.signer, f.key, audit.Restored{}, taken)
			return err
		},
		"another's key": func(tx *bbolt.Tx) error {
			_, err := audit.Continue(tx, audit.Origin("gx-new", f.log.Node()), signer, f.key, audit.Restored{}, taken)
			return err
		},
	} {
		if err := f.db.Update(try); err == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
	if report := f.verify(); !report.Verified {
		t.Errorf("after the refusals: %+v", report)
	}
}
