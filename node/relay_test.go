package main_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// A county that joins with --relayed by the API of its city, as processes: the
// city is killed, the county comes back by itself.
func TestARelayedCountyComesBackWithItsCity(t *testing.T) {
	ctx := context.Background()
	f, err := fleet.New(buildProgram(t), t.TempDir(),
		fleet.Spec{ID: "guangdong", Division: "440000", Voter: true}, fleet.Spec{ID: "guangzhou", Division: "440100"},
		fleet.Spec{ID: "tianhe", Division: "440106", Relayed: true, Through: "guangzhou"})
	must(t, err)
	t.Cleanup(func() { must(t, f.Stop()) })
	must(t, f.Start(ctx))
	admin, err := f.SignIn(ctx, f.Node("guangdong"), "sysadmin")
	must(t, err)
	county := func(reachable bool) func(context.Context) error {
		return func(ctx context.Context) error {
			status, err := admin.Status(ctx, false)
			if err != nil {
				return err
			}
			for _, m := range status.Members {
				if m.ID == "tianhe" && (m.Reachable != reachable || !m.Relayed) {
					return fmt.Errorf("the county: %+v", m)
				}
			}
			return nil
		}
	}
	must(t, county(true)(ctx))
	must(t, f.Node("guangzhou").Kill())
	must(t, fleet.Until(ctx, "the county to be out of reach", county(false)))
	must(t, f.Node("guangzhou").Start())
	must(t, fleet.Until(ctx, "the county to be back", county(true)))
	inside, err := f.SignIn(ctx, f.Node("tianhe"), "sysadmin")
	must(t, err)
	_, err = inside.Departments().Put(ctx, bus.Department{ID: "11440000006939561H", Name: "经由天河", Division: "440106"})
	if !client.IsCode(err, bus.CodeWrongNode) { // the leader's answer: it does not vote (threat S31)
		t.Errorf("a write through the county: %v", err)
	}
}
