package raced

import "testing"

// Later leaves a test, in whose first line it stands, to the run without the race detector
// that `make race` has after the one with it: it takes long there, and in it nothing runs
// beside anything else.
func Later(t *testing.T) {
	t.Helper()
	if Enabled {
		t.Skip("run without the race detector, see make race")
	}
}
