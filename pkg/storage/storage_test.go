package storage_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gxbus/gxbus/pkg/storage"
)

func TestFullTellsAWriteFromASync(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"a write that found no room", fmt.Errorf("commit: %w", &fs.PathError{Op: "write", Err: syscall.ENOSPC}), true},
		{"a write over the quota", &fs.PathError{Op: "write", Err: syscall.EDQUOT}, true},
		{"a sync that failed for want of room", &fs.PathError{Op: "sync", Err: syscall.ENOSPC}, false},
		{"fdatasync, which bbolt calls by itself", syscall.ENOSPC, false},
		{"a disk that is going", &fs.PathError{Op: "write", Err: syscall.EIO}, false},
		{"no error", nil, false},
	} {
		if got := storage.Full(c.err); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestUntilRoomWaitsAndNeverPretends(t *testing.T) {
	full := &fs.PathError{Op: "write", Err: syscall.ENOSPC}
	tries := 0
	var told []bool
	err := storage.UntilRoom(nil, func(waits bool) { told = append(told, waits) }, func() error {
		if tries++; tries < 3 {
			return full
		}
		return nil
	})
	if err != nil || tries != 3 || len(told) != 2 || !told[0] || told[1] {
		t.Errorf("%v after %d tries, told %v", err, tries, told)
	}
	stop := make(chan struct{})
	close(stop)
	if err := storage.UntilRoom(stop, nil, func() error { return full }); !errors.Is(err, storage.ErrStopped) {
		t.Errorf("called off: %v", err)
	}
	if err := storage.UntilRoom(nil, nil, func() error { return syscall.EIO }); !errors.Is(err, syscall.EIO) {
		t.Errorf("another failure: %v", err)
	}
}

func TestCheckNamesWhatIsBroken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	fill(t, db, 1<<20)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if faults, err := storage.Check(path); err != nil || len(faults) > 0 {
		t.Fatalf("a sound file: %v, %v", faults, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	junk := make([]byte, 64<<10)
	for i := range junk {
		junk[i] = 0xa5
	}
	if _, err := f.WriteAt(junk, 20*4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if faults, err := storage.Check(path); err == nil && len(faults) == 0 {
		t.Error("a file with 16 pages of rubbish passes")
	}
	if _, err := storage.Check(filepath.Join(t.TempDir(), "none.db")); err == nil {
		t.Error("a file that is not there passes")
	}
}

func TestFreeMeasuresTheDisk(t *testing.T) {
	free, total, err := storage.Free(t.TempDir())
	if err != nil || free == 0 || free > total {
		t.Errorf("%d of %d, %v", free, total, err)
	}
}
