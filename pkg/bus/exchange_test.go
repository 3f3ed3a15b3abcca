package bus_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestEveryCodeIsSomebodysFault(t *testing.T) {
	for code, want := range map[bus.Code]bus.Fault{
		"": "", bus.CodeDenied: bus.FaultPolicy, bus.CodeHeld: bus.FaultPolicy, bus.CodeInvalid: bus.FaultCaller, bus.CodeRateLimited: bus.FaultCaller,
		bus.CodeProviderUnreachable: bus.FaultProvider, bus.CodeLate: bus.FaultProvider, bus.CodePeerUnreachable: bus.FaultNetwork, bus.CodeEndpointUnreachable: bus.FaultNetwork, bus.CodeEndpointRefused: bus.FaultCaller,
		bus.CodeUnavailable: bus.FaultBus, bus.CodeInternal: bus.FaultBus, bus.CodeStorageFull: bus.FaultBus,
	} {
		if got := bus.FaultOf(code); got != want {
			t.Errorf("%q is the fault of %q, want %q", code, got, want)
		}
	}
}
