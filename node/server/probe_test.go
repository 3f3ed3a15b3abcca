package server_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// The catalogue shows to everybody who finds a resource whether its service is there,
// and each change is on record, once.
func TestTheCatalogueShowsWhatIsAttached(t *testing.T) {
	s := tellWith(t, nodetest.Options{Config: func(c *server.Config) { c.ProbeInterval = time.Second }}, fleet.Province()[0])
	to := newService(t)
	ctx := context.Background()
	_, err := s.provider.PutBinding(ctx, binding.Binding{Resource: s.resource.ID, HTTP: &binding.HTTP{URL: to.URL + "/firms/{name}", Probe: "/health"}})
	check(t, err)
	become := func(want bus.AttachmentState) (a bus.Attachment) {
		t.Helper()
		nodetest.Eventually(t, "the catalogue says "+string(want), func() error {
			page, err := s.consumer.Search(ctx, client.ResourceQuery{})
			if err != nil || len(page.Items) != 1 || page.Items[0].Attachment == nil {
				return fmt.Errorf("nothing yet: %w", err)
			}
			if a = *page.Items[0].Attachment; a.State != want {
				return fmt.Errorf("it is %s", a.State)
			}
			return nil
		})
		return a
	}
	a := become(bus.Attached)
	if a.Node != "guangdong" || a.Since.IsZero() || a.Heartbeat.IsZero() {
		t.Errorf("%+v", a)
	}
	if r := to.last.Load(); r.URL.Path != "/health" || r.URL.RawQuery != "" || r.ContentLength > 0 {
		t.Errorf("it was asked %s %v", r.Method, r.URL)
	}
	shown, err := s.provider.Binding(ctx, s.resource.ID)
	if check(t, err); shown.Attachment == nil || shown.Attachment.State != bus.Attached {
		t.Errorf("the binding says %+v", shown.Attachment)
	}
	to.Close()
	if failing := become(bus.Failing); !failing.Heartbeat.Equal(a.Heartbeat) || failing.Since.Before(a.Since) {
		t.Errorf("%+v, before %+v", failing, a)
	}
	check(t, s.provider.DeleteBinding(ctx, s.resource.ID))
	become(bus.Detached)
	recorded := map[string]int{}
	for _, r := range leavesOf(t, s.Client("auditor")) {
		if r.Resource == s.resource.ID && r.Principal.Node == "guangdong" {
			recorded[r.Detail]++
		}
	}
	for _, detail := range []string{"binding.attached", "binding.failing", "binding.detached"} {
		if recorded[detail] != 1 {
			t.Errorf("%s is on record %d times", detail, recorded[detail])
		}
	}
}
