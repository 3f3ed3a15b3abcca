package server

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// A node is reported once when it has been silent for a minute, and once when it
// is back or gone.
func TestSilenceIsReportedOnce(t *testing.T) {
	s := silences{}
	for _, step := range []struct {
		silent time.Duration // of foshan; -1: no member
		want   string
	}{
		{0, "[] []"}, {59 * time.Second, "[] []"}, {time.Minute, "[foshan] []"}, {5 * time.Minute, "[] []"},
		{time.Second, "[] [foshan]"}, {0, "[] []"}, {2 * time.Minute, "[foshan] []"}, {-1, "[] [foshan]"}, {-1, "[] []"},
	} {
		now := map[bus.NodeID]time.Duration{"guangzhou": 0}
		if step.silent >= 0 {
			now["foshan"] = step.silent
		}
		fell, back := s.update(now)
		slices.Sort(fell)
		if got := fmt.Sprint(fell, back); got != step.want {
			t.Errorf("silent for %v: fell and came back %s, want %s", step.silent, got, step.want)
		}
	}
}
