package state_test

import (
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/directory/state"
)

// awaiting is a world with a draft that awaits its review and a registered certificate.
func awaiting(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.submit(byMarket, resource("awaiting", "307001/9"))
	return w
}

// aged takes from a file what an older release did not write: young tables, and the
// number of the layout.
func aged(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, table := range []string{"reviews", "attachments", "schemes", "reports"} {
			if err := tx.DeleteBucket([]byte(table)); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte("meta")).Delete([]byte("layout"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func checkAsBefore(t *testing.T, w *world, before string) {
	t.Helper()
	if w.hash() != before {
		t.Error("the state is another")
	}
	if faults := faultsOf(w); faults != "" {
		t.Error(faults)
	}
	n := 0
	w.view(func(tx *state.Tx) {
		for range tx.Reviews() {
			n++
		}
	})
	if n != 1 {
		t.Errorf("%d drafts await their review, want 1", n)
	}
}

func TestAFileOfAnOlderReleaseGetsItsIndexesAndTables(t *testing.T) {
	w := awaiting(t)
	before := w.hash()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	aged(t, w.path)
	if _, err := state.OpenReadOnly(w.path); err == nil || !strings.Contains(err.Error(), "another release") {
		t.Errorf("looked at: %v", err)
	}
	w.open()
	checkAsBefore(t, w, before)
}

// An index that another release made otherwise has another number.
func TestAnIndexOfAnotherLayoutIsMadeAnew(t *testing.T) {
	w := awaiting(t)
	before := w.hash()
	for _, c := range [][3]string{{"reviews", "ghost", "yes"}, {"certificates", "ab", "sample-tax"}, {"meta", "layout", "0"}} {
		if err := w.store.Corrupt(state.Table(c[0]), c[1], c[2]); err != nil {
			t.Fatal(err)
		}
	}
	w.reopen()
	checkAsBefore(t, w, before)
}

func TestASnapshotOfAnOlderReleaseIsRestored(t *testing.T) {
	w := awaiting(t)
	before := w.hash()
	old := body(unzip(t, w.snapshot()))
	for _, part := range []string{
		"\x00\x00\x00\x07reviews\x00\x00\x00\x08awaiting\x00\x00\x00\x04true\xff\xff\xff\xff",
		"\x00\x00\x00\x0battachments\xff\xff\xff\xff",
		"\x00\x00\x00\x07schemes\xff\xff\xff\xff", "\x00\x00\x00\x07reports\xff\xff\xff\xff", "\x00\x00\x00\x06layout\x00\x00\x00\x011",
	} {
		if strings.Count(old, part) != 1 {
			t.Fatalf("%q is not in the snapshot", part)
		}
		old = strings.Replace(old, part, "", 1)
	}
	w.restoreFrom(sealed(t, old))
	checkAsBefore(t, w, before)
	w.reopen()
	checkAsBefore(t, w, before)
	missing := strings.Replace(old, "\x00\x00\x00\x07retired\xff\xff\xff\xff", "", 1)
	if missing == old {
		t.Fatal("nothing was taken out")
	}
	if err := w.store.Restore(strings.NewReader(string(sealed(t, missing)))); err == nil || !strings.Contains(err.Error(), `lacks table "retired"`) {
		t.Errorf("a table that no release was without: %v", err)
	}
}
