package state_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func (r *replica) snapshot() []byte {
	r.t.Helper()
	snapshot, err := r.store.Snapshot()
	if err != nil {
		r.t.Fatal(err)
	}
	var stream bytes.Buffer
	n, err := snapshot.WriteTo(&stream)
	if err != nil || n != int64(stream.Len()) {
		r.t.Fatalf("wrote %d of %d bytes: %v", n, stream.Len(), err)
	}
	if err := snapshot.Close(); err != nil {
		r.t.Fatal(err)
	}
	return stream.Bytes()
}

func (r *replica) restoreFrom(stream []byte) {
	r.t.Helper()
	if err := r.store.Restore(bytes.NewReader(stream)); err != nil {
		r.t.Fatal(err)
	}
	r.checkNothingAside()
}

func (r *replica) checkNothingAside() {
	r.t.Helper()
	files, err := os.ReadDir(filepath.Dir(r.path))
	files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return strings.HasSuffix(f.Name(), ".mark.new") }) // on its way to be its mark
	if err != nil || len(files) != 2 {                                                                             // itself and its mark
		r.t.Errorf("beside the directory there is %v: %v", files, err)
	}
}

func TestRestoreGivesTheSameState(t *testing.T) {
	w, other := newWorld(t), newReplica(t)
	w.ask(ask{by: bySysadmin, typ: command.DepartmentPut, request: "r1", body: department(freeDepartment)})
	_, moved := other.store.Applied()
	other.restoreFrom(w.snapshot())
	if other.hash() != w.hash() {
		t.Error("the restored state is another")
	}
	select {
	case <-moved:
	default:
		t.Error("who waited for the index was not woken")
	}
	if applied, _ := other.store.Applied(); applied != bus.Revision(w.index) {
		t.Errorf("applied %d, want %d", applied, w.index)
	}
	other.reopen()
	if other.hash() != w.hash() {
		t.Error("after a restart the restored state is another")
	}
	other.index = w.index
	other.must(bySysadmin, command.DepartmentPut, w.revision[string(tax)], department(tax))
}

// A snapshot is of the moment it was taken, and gives way to nobody.
func TestASnapshotStaysAsItWasTaken(t *testing.T) {
	w := newWorld(t)
	before, index := w.hash(), w.index
	snapshot, err := w.store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	w.must(byGZ, command.Tick, 0, command.Empty{})
	hash, err := snapshot.Hash()
	if err != nil || string(hash) != before || snapshot.Index() != bus.Revision(index) {
		t.Errorf("it moved on to %d: %v", snapshot.Index(), err)
	}
	if w.hash() == before {
		t.Error("a write did not change the hash")
	}
	if err := snapshot.Close(); err != nil {
		t.Error(err)
	}
}

func TestADamagedSnapshotLeavesTheOldState(t *testing.T) {
	w := newWorld(t)
	good := w.snapshot()
	w.must(bySysadmin, command.DepartmentPut, 0, department(freeDepartment))
	before := w.hash()
	plain := unzip(t, good)
	damaged := map[string][]byte{
		"nothing":              nil,
		"not compressed":       plain,
		"another format":       sealed(t, strings.Replace(body(plain), "directory 1", "directory 2", 1)),
		"an unknown table":     sealed(t, strings.Replace(body(plain), "\x00\x00\x00\x05nodes", "\x00\x00\x00\x05moons", 1)),
		"a table left out":     sealed(t, body(plain)[:len(body(plain))-4]),
		"an enormous length":   sealed(t, "gxbus directory 1\n\x7f\xff\xff\xff"),
		"another checksum":     zip(t, append([]byte(body(plain)), make([]byte, sha256.Size)...)),
		"no checksum":          zip(t, []byte(body(plain))),
		"one letter changed":   zip(t, bytes.Replace(plain, []byte("样例资源"), []byte("样例资漂"), 1)),
		"more than a snapshot": zip(t, append(bytes.Clone(plain), 0)),
		"a half of the end":    good[:len(good)-1],
		"an empty key":         sealed(t, "gxbus directory 1\n\x00\x00\x00\x09divisions\x00\x00\x00\x00\x00\x00\x00\x00"),
		"a page of an image":   bytes.Repeat([]byte{0xff, 0xd8}, 4096),
	}
	for _, at := range []int{1, 9, len(good) / 2, len(good) - 9} {
		damaged[fmt.Sprint("cut at ", at)] = good[:at]
	}
	for name, stream := range damaged {
		if err := w.store.Restore(bytes.NewReader(stream)); err == nil {
			t.Errorf("%s: it was restored", name)
		}
		if w.hash() != before {
			t.Fatalf("%s: the old state is gone", name)
		}
		w.checkNothingAside()
	}
	w.must(byGZ, command.Tick, 0, command.Empty{}) // and it goes on
	w.restoreFrom(good)                            // the undamaged one is good
}

func TestAReaderThatFailsLeavesTheOldState(t *testing.T) {
	w := newWorld(t)
	before, good := w.hash(), w.snapshot()
	if err := w.store.Restore(io.MultiReader(bytes.NewReader(good[:len(good)/2]), broken{})); err == nil {
		t.Error("half a stream was restored")
	}
	if w.hash() != before {
		t.Error("the old state is gone")
	}
	w.checkNothingAside()
}

// A crash in the middle of a restore leaves a file that no one needs.
func TestOpenClearsWhatARestoreLeft(t *testing.T) {
	w := newWorld(t)
	before := w.hash()
	if err := os.WriteFile(w.path+".restore", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	w.checkNothingAside()
	if w.hash() != before {
		t.Error("the state is another")
	}
}

func TestASnapshotThatCannotBeWrittenSaysSo(t *testing.T) {
	w := newWorld(t)
	snapshot, err := w.store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.WriteTo(broken{}); err == nil {
		t.Error("it was written to nowhere")
	}
	if err := snapshot.Close(); err != nil {
		t.Error(err)
	}
}

// FuzzBuild feeds the reader of snapshots with what a damaged stream may hold
// behind its compression; the checksum is made right, for it hides all else.
func FuzzBuild(f *testing.F) {
	w := newWorld(f)
	f.Add([]byte(body(unzip(f, w.snapshot()))))
	f.Add([]byte("gxbus directory 1\n"))
	path := filepath.Join(f.TempDir(), "built.db")
	f.Fuzz(func(t *testing.T, plain []byte) {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := state.Build(path, bytes.NewReader(sealed(t, string(plain)))); err != nil {
			return
		}
		store, err := state.Open(path)
		if err != nil {
			t.Fatal("a state was built that cannot be opened: ", err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func unzip(t testing.TB, stream []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// body is a plain stream without its checksum.
func body(plain []byte) string { return string(plain[:len(plain)-sha256.Size]) }

// sealed is a body with its checksum, compressed.
func sealed(t testing.TB, body string) []byte {
	sum := sha256.Sum256([]byte(body))
	return zip(t, append([]byte(body), sum[:]...))
}

func zip(t testing.TB, plain []byte) []byte {
	t.Helper()
	var stream bytes.Buffer
	w := gzip.NewWriter(&stream)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return stream.Bytes()
}

// broken neither reads nor writes.
type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, io.ErrUnexpectedEOF }
func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
