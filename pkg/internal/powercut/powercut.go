// Package powercut gives a test a small ext4 disk whose power it can cut, so
// that a promise to have something on disk is tried where it counts: what was
// not flushed is gone.
//
// It is for tests only. It needs Linux, root and a loop device; where one of
// them is missing the test is skipped and says why. It does not tear single
// sectors and does not reorder writes: it loses all that the kernel still held
// in memory, which is what a missing fsync loses.
package powercut
