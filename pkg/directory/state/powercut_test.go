package state_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/internal/powercut"
)

// A file that was closed is on the disk, and so is what Restore has; one that was
// open when the power went is thrown away, and its mark tells what to build again.
func TestPowerCut(t *testing.T) {
	disk := powercut.Mount(t)
	r := &replica{t: t, path: filepath.Join(disk.Dir, "directory.db"), now: noon}
	r.open()
	for _, a := range founding() {
		if err := r.ask(a).Err(); err != nil {
			t.Fatal(err)
		}
	}
	want := r.hash()
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	disk.Cut()
	r.anotherBoot()
	r.open()
	if applied, _ := r.store.Applied(); applied != bus.Revision(r.index) || r.hash() != want {
		t.Fatalf("closed in order: applied %d of %d", applied, r.index)
	}

	w := newWorld(t)
	w.must(bySysadmin, "department.put", 0, department(freeDepartment))
	if err := r.store.Restore(bytes.NewReader(w.snapshot())); err != nil {
		t.Fatal(err)
	}
	r.cut(disk)
	r.open() // as after a kill: the file a restore put there is whole
	if applied, _ := r.store.Applied(); applied != bus.Revision(w.index) || r.hash() != w.hash() {
		t.Fatalf("after a restore: applied %d of %d", applied, w.index)
	}

	r.cut(disk)
	r.anotherBoot()
	r.open()
	applied, _ := r.store.Applied()
	if committed := r.store.Committed(); applied != 0 || committed < bus.Revision(r.index) {
		t.Errorf("open when the power went: applied %d, to be built again to %d of %d", applied, committed, r.index)
	}
	if err := r.store.Close(); err != nil {
		t.Error(err)
	}
}

// cut takes the power and gives it back.
func (r *replica) cut(disk *powercut.Disk) {
	r.t.Helper()
	disk.Cut()
	mark, err := os.ReadFile(r.path + ".mark")
	if err != nil {
		r.t.Fatal(err)
	}
	_ = r.store.Close() // of the dead disk; it leaves its distrust on the new one
	if err := os.WriteFile(r.path+".mark", mark, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// anotherBoot makes it look as if the machine had been started since.
func (r *replica) anotherBoot() {
	r.t.Helper()
	data, err := os.ReadFile(r.path + ".mark")
	if err != nil {
		r.t.Fatal(err)
	}
	changed := regexp.MustCompile(`"boot":"[^"]*"`).ReplaceAll(data, []byte(`"boot":"an earlier one"`))
	if err := os.WriteFile(r.path+".mark", changed, 0o600); err != nil {
		r.t.Fatal(err)
	}
}
