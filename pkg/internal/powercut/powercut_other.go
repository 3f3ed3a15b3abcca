//go:build !linux

package powercut

import "testing"

// Disk is a mounted disk.
type Disk struct {
	Dir string // where it is mounted
}

// Mount skips the test: only Linux can shut a filesystem down.
func Mount(tb testing.TB) *Disk {
	tb.Helper()
	tb.Skip("no power cut: it needs Linux")
	return nil
}

// Cut is never reached.
func (d *Disk) Cut() {}
