package state_test

import (
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func TestTheProvidersNodeSaysHowAResourceIsAttached(t *testing.T) {
	w := newWorld(t)
	attached := bus.Attachment{Resource: "registrations", Node: "gz", State: bus.Attached, Since: noon.Add(time.Hour), Heartbeat: noon.Add(time.Hour)}
	checkRefusals(t, w, []refusal{
		{"another node", ask{by: byGZ, typ: command.AttachmentPut, body: attached}, bus.CodeForbidden, ""},
		{"somebody else", ask{by: bySysadmin, typ: command.AttachmentPut, body: attached}, bus.CodeForbidden, ""},
		{"no such resource", ask{by: byTH, typ: command.AttachmentPut, body: bus.Attachment{Resource: "absent", State: bus.Attached}}, bus.CodeNotFound, "resource"},
		{"no such state", ask{by: byTH, typ: command.AttachmentPut, body: bus.Attachment{Resource: "registrations", State: "x"}}, bus.CodeInvalid, "state"},
	})
	w.must(byTH, command.AttachmentPut, 0, attached)
	w.view(func(tx *state.Tx) {
		a, ok := tx.Attachment("registrations")
		if !ok || a.Node != "th" || a.State != bus.Attached || a.Since.After(noon.Add(time.Minute)) || a.Heartbeat.After(noon.Add(time.Minute)) || a.Revision == 0 {
			t.Errorf("%+v", a)
		}
		if _, ok := tx.Attachment("licences"); ok {
			t.Error("one that nobody spoke of is attached")
		}
	})
}
