package server_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk mounts 96 MiB of memory as a disk; it skips the test where it cannot.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skip("no small disk: mounting one needs Linux and root: ", err, string(out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Error(err, string(out))
		}
	})
	return dir
}

// fillDisk takes the room of a disk away, all but leave bytes, and returns what
// gives it back.
func fillDisk(t *testing.T, dir string, leave int64) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	check(t, err)
	size := int64(0)
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		n, err := f.Write(chunk)
		size += int64(n)
		if errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2]
		} else {
			check(t, err)
		}
	}
	check(t, errors.Join(f.Truncate(max(0, size-leave)), f.Close()))
	return func() { check(t, os.Remove(path)) }
}
