package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leisure is how many bytes a node allocates between two garbage collections, at
// least. By Go's own rule, as many as are in use, a node with a small heap, as most
// have, spends a fifth of its processor time under load on collecting it.
const leisure = 64 << 20

// collectAtLeisure has garbage collected less often while the heap is small. An
// operator who sets GOGC is left alone.
func collectAtLeisure() {
	if os.Getenv("GOGC") == "" {
		pace(usual)
	}
}

const usual = 100 // percent of the heap in use that is allocated between collections: Go's own rule

// pace sets the collector's percent by the heap that the last collection left, and
// again after the next one.
func pace(percent int) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	next := percentFor(live[0].Value.Uint64())
	if next != percent {
		debug.SetGCPercent(next)
	}
	runtime.AddCleanup(&struct{ _ *byte }{}, pace, next) // is garbage at once, so told of by the next collection
}

// percentFor gives the percent of a heap with so many bytes in use, in steps: setting
// it stops all goroutines for a moment.
func percentFor(live uint64) int {
	const step = 20
	percent := leisure * usual / max(live, leisure/10)
	return max(usual, int(percent)/step*step)
}
