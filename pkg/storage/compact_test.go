package storage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/internal/powercut"
	"github.com/gxbus/gxbus/pkg/storage"
)

const killAt = "GXBUS_TEST_KILL_AT"

// steps are all that compaction goes through, in order.
var steps = []string{"begun", "written", "copied", "renamed", "synced"}

// TestMain is the victim where it is told so: it compacts a file and kills itself
// at a step.
func TestMain(m *testing.M) {
	if step := os.Getenv(killAt); step != "" {
		_, err := storage.CompactAt(os.Args[len(os.Args)-1], func(at string) {
			if at == step {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // until it comes
			}
		})
		panic(err) // never: it was to die before
	}
	os.Exit(m.Run())
}

func TestKillAtEachStepLosesNothing(t *testing.T) {
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			want := bloated(t, path)
			victim := exec.Command(os.Args[0], path)
			victim.Env = append(os.Environ(), killAt+"="+step)
			err := victim.Run()
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the victim ended with %v", err)
			}
			if got := digest(t, path); !bytes.Equal(got, want) {
				t.Error("the content is another")
			}
			if _, err := storage.Compact(path, false); err != nil { // as at the next start
				t.Fatal(err)
			}
			if got := digest(t, path); !bytes.Equal(got, want) {
				t.Error("the content is another after the next compaction")
			}
			if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestPowerCutAtEachStepLosesNothing(t *testing.T) {
	disk := powercut.Mount(t)
	for _, step := range steps {
		path := filepath.Join(disk.Dir, step+".db")
		want := bloated(t, path)
		func() {
			defer func() { _ = recover() }()
			_, _ = storage.CompactAt(path, func(at string) {
				if at == step {
					disk.Cut()
					panic("the power is gone") // or it would go on with the disk after the cut
				}
			})
		}()
		if got := digest(t, path); !bytes.Equal(got, want) {
			t.Errorf("%s: the content is another", step)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCompactLeavesAloneWhatIsSmallOrInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if r, err := storage.Compact(path, true); err != nil || r.Done {
		t.Errorf("a file that is not there: %+v, %v", r, err)
	}
	db := open(t, path)
	fill(t, db, 100)
	if _, err := storage.Compact(path, true); err == nil {
		t.Error("a file in use was compacted")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := storage.Compact(path, false); err != nil || r.Done {
		t.Errorf("a small file: %+v, %v", r, err)
	}
	want := digest(t, path)
	if r, err := storage.Compact(path, true); err != nil || !r.Done {
		t.Errorf("a small file when forced: %+v, %v", r, err)
	}
	if !bytes.Equal(digest(t, path), want) {
		t.Error("the content is another")
	}
}

func TestCompactMakesABloatedFileSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	want := bloated(t, path)
	before, err := storage.UsageOf(path)
	if err != nil || !before.Bloated() {
		t.Fatalf("%+v, %v", before, err)
	}
	r, err := storage.Compact(path, false)
	if err != nil || !r.Done || r.After > 2*before.Live+1<<20 {
		t.Errorf("%+v, %v", r, err)
	}
	if !bytes.Equal(digest(t, path), want) {
		t.Error("the content is another")
	}
	if faults, err := storage.Check(path); err != nil || len(faults) > 0 {
		t.Errorf("after it: %v, %v", faults, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if r, err := storage.Compact(path, false); err != nil || r.Done {
		t.Errorf("again: %+v, %v", r, err)
	}
}

// bloated makes a file that holds a tenth of its size, and returns its digest.
func bloated(t *testing.T, path string) []byte {
	t.Helper()
	db := open(t, path)
	fill(t, db, 12<<20)
	err := db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("numbers"))
		for n := range uint64(12 << 10) {
			if n%10 != 0 {
				if err := b.Delete(binary.BigEndian.AppendUint64(nil, n)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return digest(t, path)
}

func open(t *testing.T, path string) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// fill writes about size bytes, and a bucket in a bucket with a sequence.
func fill(t *testing.T, db *bbolt.DB, size int) {
	t.Helper()
	err := db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("numbers"))
		if err != nil {
			return err
		}
		b.FillPercent = 1
		for n := range uint64(size / 1024) {
			if err := b.Put(binary.BigEndian.AppendUint64(nil, n), bytes.Repeat([]byte{byte(n)}, 1000)); err != nil {
				return err
			}
		}
		inner, err := b.CreateBucketIfNotExists([]byte("inner"))
		if err != nil {
			return err
		}
		return errors.Join(inner.SetSequence(42), inner.Put([]byte("k"), []byte("v")))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// digest walks all that a file holds.
func digest(t *testing.T, path string) []byte {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h := sha256.New()
	var walk func(b *bbolt.Bucket) error
	walk = func(b *bbolt.Bucket) error {
		h.Write(binary.BigEndian.AppendUint64(nil, b.Sequence()))
		return b.ForEach(func(k, v []byte) error {
			h.Write(append(append(k[:len(k):len(k)], 0), v...))
			if inner := b.Bucket(k); inner != nil {
				return walk(inner)
			}
			return nil
		})
	}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			h.Write(name)
			return walk(b)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return h.Sum(nil)
}
