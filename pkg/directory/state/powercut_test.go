package state_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/internal/powercut"
)

// What Apply has answered is on the disk, and so is what Restore has.
func TestPowerCutKeepsAppliedEntries(t *testing.T) {
	disk := powercut.Mount(t)
	r := &replica{t: t, path: filepath.Join(disk.Dir, "directory.db"), now: noon}
	r.open()
	// cut takes the power and looks for what was promised.
	cut := func(after string) {
		t.Helper()
		want, old := r.hash(), r.store
		disk.Cut()
		_ = old.Close() // of the dead disk
		r.open()
		if applied, _ := r.store.Applied(); applied != bus.Revision(r.index) {
			t.Fatalf("%s: applied %d, promised %d", after, applied, r.index)
		}
		if r.hash() != want {
			t.Fatalf("%s: the state is another", after)
		}
	}
	for i, a := range founding() {
		if err := r.ask(a).Err(); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			cut(string(a.typ))
		}
	}
	cut("the last entry")

	w := newWorld(t)
	w.must(bySysadmin, "department.put", 0, department(freeDepartment))
	if err := r.store.Restore(bytes.NewReader(w.snapshot())); err != nil {
		t.Fatal(err)
	}
	r.index = w.index
	cut("a restore")
	if err := r.store.Close(); err != nil {
		t.Error(err)
	}
}
