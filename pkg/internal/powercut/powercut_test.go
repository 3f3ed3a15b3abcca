package powercut_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/gxbus/gxbus/pkg/internal/powercut"
)

func TestCutKeepsWhatWasSyncedAndLosesTheRest(t *testing.T) {
	disk := powercut.Mount(t)
	synced := create(t, disk, "synced")
	if err := synced.Sync(); err != nil {
		t.Fatal(err)
	}
	create(t, disk, "unsynced")

	disk.Cut()

	if data, err := os.ReadFile(filepath.Join(disk.Dir, "synced")); err != nil || string(data) != "content" {
		t.Errorf("the synced file holds %q after the cut: %v", data, err)
	}
	if data, err := os.ReadFile(filepath.Join(disk.Dir, "unsynced")); !errors.Is(err, fs.ErrNotExist) && len(data) != 0 {
		t.Errorf("the unsynced file holds %q after the cut: %v", data, err)
	}
	if _, err := synced.WriteString("more"); err == nil {
		if err := synced.Sync(); err == nil {
			t.Error("a file open since before the cut still takes writes")
		}
	}
}

func TestCutAgainAndAgain(t *testing.T) {
	disk := powercut.Mount(t)
	for _, name := range []string{"first", "second", "third"} {
		if err := create(t, disk, name).Sync(); err != nil {
			t.Fatal(err)
		}
		disk.Cut()
		if _, err := os.Stat(filepath.Join(disk.Dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// create leaves the file open, as a process that loses power does.
func create(t *testing.T, disk *powercut.Disk, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(disk.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	return f
}
