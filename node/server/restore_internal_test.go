package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/backup"
)

// S45: a part of a backup is put where its kind belongs, and nowhere that its name leads.
func TestS45NoPartOfABackupLeavesTheDataDirectory(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := &restoring{Restoration: Restoration{Dir: DataDir(dir)}, files: map[string][]byte{}}
	for _, name := range []string{"../x", "/x", partArchive + "../../x", partArchive + "/x", partArchive + "0-1.jsonl.zst/../../../x", partArchive + "..\\x", "node.json/../../x"} {
		err := w.take(backup.Part{Name: name}, strings.NewReader("x"))
		if archived := strings.HasPrefix(name, partArchive); archived != (err != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, d := range []string{outside, dir} {
		entries, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "data" {
				t.Errorf("%s is in %s", e.Name(), d)
			}
		}
	}
}
