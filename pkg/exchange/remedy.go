package exchange

import (
	"github.com/gxbus/gxbus/pkg/bus"
	words "github.com/gxbus/gxbus/pkg/decision"
	"github.com/gxbus/gxbus/pkg/policy"
)

// remedy says what to do about a reason.
func (f flow) remedy(r bus.Reason, action policy.Action) bus.Text {
	about := words.About{Action: string(action), Purposes: f.resource.Sharing.Purposes}
	if f.input.Grant != nil {
		about.From = f.input.Grant.NotBefore.Time
	}
	return words.Remedy(r, about)
}
