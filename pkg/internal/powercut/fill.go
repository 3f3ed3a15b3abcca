package powercut

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Fill takes the room of a mounted disk away, all but leave bytes, and returns
// what gives it back.
func (d *Disk) Fill(tb testing.TB, leave int64) (free func()) {
	tb.Helper()
	path := filepath.Join(d.Dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	size := int64(0)
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		n, err := f.Write(chunk)
		size += int64(n)
		switch {
		case errors.Is(err, syscall.ENOSPC):
			chunk = chunk[:len(chunk)/2]
		case err != nil:
			tb.Fatal(err)
		}
	}
	if err := errors.Join(f.Sync(), f.Truncate(max(0, size-leave)), f.Sync()); err != nil {
		tb.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			tb.Error(err)
		}
	}
}
