package exchange_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestCommitThatFailsOtherwiseBringsTheNodeDown(t *testing.T) {
	b := openBox(t, filepath.Join(t.TempDir(), "x.db"))
	// The step that spoils the file stands for a disk that is going: every
	// commit from then on fails below bbolt.
	err := b.Commit(context.Background(), func(tx *bbolt.Tx) error {
		if err := put("x")(tx); err != nil {
			return err
		}
		return closeBelow(tx)
	})
	wantCode(t, err, bus.CodeInternal)
	if b.halted.Load() != 1 {
		t.Errorf("halt was called %d times", b.halted.Load())
	}
	_ = b.Close() // the file is closed already
}

// closeBelow closes the file of a transaction's database under it.
func closeBelow(tx *bbolt.Tx) error {
	target, err := os.Stat(tx.DB().Path())
	if err != nil {
		return err
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return err
		}
		if at, err := os.Stat("/proc/self/fd/" + entry.Name()); err == nil && os.SameFile(at, target) {
			null, err := os.Open(os.DevNull) // opened for reading: a write fails with EBADF
			if err != nil {
				return err
			}
			defer null.Close()
			return syscall.Dup3(int(null.Fd()), fd, syscall.O_CLOEXEC)
		}
	}
	return errors.New("the database has no open file")
}
