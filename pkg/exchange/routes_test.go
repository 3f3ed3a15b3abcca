package exchange_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/policy"
)

// What is kept of the directory for decisions is as good as reading it each time.
func TestWhatIsDecidedOnFollowsTheDirectory(t *testing.T) {
	w, d := fake(t)
	w.bound = answering(200, threeFirms)
	var seen policy.Input
	d.follow(func(in policy.Input) bus.Decision {
		seen = in
		return bus.Decision{Allow: true, Obligations: bus.Obligations{Items: []bus.ItemID{"name"}}}
	})
	ask := func() policy.Input {
		t.Helper()
		_, _, err := w.ask(puller, "", inquiry(`{}`))
		must(t, err)
		return seen
	}
	first := ask()
	if again := ask(); again.Directory.Index != first.Directory.Index || again.Grant.Revoked {
		t.Errorf("asked twice: %+v", again)
	}
	w.write(secadmin, command.GrantRevoke, 0, command.Revoke{Grant: grant, Reason: "示例理由"})
	if after := ask(); !after.Grant.Revoked || after.Directory.Index <= first.Directory.Index {
		t.Errorf("a revoked grant is %+v at index %d", after.Grant, after.Directory.Index)
	}
	q := inquiry(`{}`)
	q.Grant = "another"
	if _, _, err := w.ask(puller, "", q); err != nil || seen.Grant != nil {
		t.Errorf("on another grant: %+v, %v", seen.Grant, err)
	}
}
