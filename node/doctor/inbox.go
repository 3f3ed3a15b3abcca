package doctor

import (
	"fmt"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// Inboxes judges whether consumers take what waits for them here.
func Inboxes(now exchange.Inboxes, err error) client.Check {
	const name = "inboxes"
	if err != nil {
		return Fail(name, err.Error(), err.Error(), bus.Text{})
	}
	if len(now.Full) == 0 {
		return OK(name, fmt.Sprintf("%d MiB 待取", now.Bytes>>20), fmt.Sprintf("%d MiB wait to be taken", now.Bytes>>20))
	}
	words := make([]string, len(now.Full))
	for i, s := range now.Full {
		words[i] = fmt.Sprintf("%s (%s)", s.ID, s.System)
	}
	list := strings.Join(words, ", ")
	return Warn(name, "收件箱已满，不再接收："+list, "full, nothing more is taken: "+list,
		bus.Text{ZH: "通知这些系统取走并确认，或暂停、删除订阅；其余订阅不受影响", EN: "have these systems pull and acknowledge, or pause or delete the subscriptions; others are not affected"})
}
