package identity

import (
	"context"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestFullGateHoldsBackUntilASlotIsFree(t *testing.T) {
	gate := NewPasswordGate(1)
	gate.slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := gate.Hash(ctx, "correct horse battery")
		result <- err
	}()
	cancel()
	if err := <-result; bus.CodeOf(err) != bus.CodeUnavailable {
		t.Errorf("error = %v", err)
	}
	gate.leave()
	if _, err := gate.Hash(t.Context(), "correct horse battery"); err != nil {
		t.Error(err)
	}
	if len(gate.slots) != 0 {
		t.Error("a slot was not given back")
	}
}
