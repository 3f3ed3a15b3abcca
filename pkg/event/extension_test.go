package event_test

import (
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
)

func TestATraceStateIsOneThatAHeaderCanBe(t *testing.T) {
	for state, want := range map[string]bus.Code{
		"vendor=1,other=2": "", strings.Repeat("a", 512): "", "": bus.CodeMalformedEvent, "状态": bus.CodeMalformedEvent, strings.Repeat("a", 513): bus.CodeMalformedEvent,
	} {
		_, err := event.Unmarshal([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","tracestate":"` + state + `"}`))
		if got := bus.CodeOf(err); got != want {
			t.Errorf("%q: %q, want %q", state, got, want)
		}
	}
}
