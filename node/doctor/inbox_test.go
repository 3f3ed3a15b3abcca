package doctor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/doctor"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/exchange"
)

func TestFullInboxesAreNamedWithWhoHasToEmptyThem(t *testing.T) {
	full := exchange.Inboxes{Bytes: 3 << 20, Full: []bus.Subscription{{ID: "firms", System: "th-approval"}, {ID: "permits", System: "th-archive"}}}
	for _, tt := range []struct {
		now   exchange.Inboxes
		err   error
		state client.CheckState
		told  string
	}{
		{exchange.Inboxes{Bytes: 3 << 20}, nil, client.CheckOK, "3 MiB"},
		{full, nil, client.CheckWarn, "firms (th-approval), permits (th-archive)"},
		{exchange.Inboxes{}, errors.New("the file is gone"), client.CheckFail, "the file is gone"},
	} {
		c := doctor.Inboxes(tt.now, tt.err)
		if c.State != tt.state || !strings.Contains(c.Detail.EN, tt.told) || !strings.Contains(c.Detail.ZH, tt.told) {
			t.Errorf("%+v", c)
		}
	}
}
