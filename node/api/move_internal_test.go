package api

import (
	"context"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Who is turned away because a department moves is told when to come back.
func TestAMovingDepartmentIsRetriedLater(t *testing.T) {
	p := problemOf(context.Background(), bus.E(bus.CodeMoving))
	if p.Status != 503 || p.GetHeaders().Get("Retry-After") != "2" {
		t.Errorf("%d, %v", p.Status, p.GetHeaders())
	}
	limited := bus.E(bus.CodeRateLimited)
	limited.RetryAfter = 1500 * time.Millisecond
	if p := problemOf(context.Background(), limited); p.Status != 429 || p.GetHeaders().Get("Retry-After") != "2" {
		t.Errorf("%d, %v", p.Status, p.GetHeaders())
	}
	if other := problemOf(context.Background(), bus.E(bus.CodeNoLeader)); len(other.GetHeaders()) > 0 {
		t.Errorf("%v", other.GetHeaders())
	}
}
