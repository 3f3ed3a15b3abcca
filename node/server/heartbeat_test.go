package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
)

// What a realtime service answered is on record when the node stops within the hour, and
// the hour goes on when it starts again; of what comes as events alone nothing is.
func TestHeartbeatsAreOnRecord(t *testing.T) {
	s := tellWith(t, nodetest.Options{Config: func(c *server.Config) { c.ProbeInterval = time.Second }}, fleet.Province()[0])
	live := s.resource
	live.ID, live.Codes, live.Modes = "enterprise-live", []bus.ResourceCode{"3010010001/000009"}, []string{"interface"}
	s.Publish(live)
	to := newService(t)
	ctx := context.Background()
	for _, r := range []bus.Resource{s.resource, live} {
		_, err := s.provider.PutBinding(ctx, binding.Binding{Resource: r.ID, HTTP: &binding.HTTP{URL: to.URL + "/firms/{name}", Probe: "/health"}})
		check(t, err)
	}
	attached := func(want bus.AttachmentState) {
		t.Helper()
		nodetest.Eventually(t, "the catalogue says "+string(want), func() error {
			shown, err := s.provider.Binding(ctx, live.ID)
			if err != nil || shown.Attachment == nil || shown.Attachment.State != want {
				return fmt.Errorf("not yet: %w", err)
			}
			return nil
		})
	}
	attached(bus.Attached)
	heard := func() (beats []audit.Record) {
		s.First.Stop()
		s.First.Start()
		for _, r := range leavesOf(t, s.Client("auditor")) {
			if r.Kind == audit.KindHeartbeat {
				beats = append(beats, r)
			}
		}
		return beats
	}
	beats := heard()
	if len(beats) == 0 {
		t.Fatal("no heartbeat is on record")
	}
	for _, r := range beats { // two where an hour ended meanwhile
		if r.Resource != live.ID || r.Provider != live.Provider || r.Principal.Node != "guangdong" || r.Heartbeat.Up() == 0 || strings.Contains(r.Heartbeat.Minutes, "0") {
			t.Errorf("%+v %+v", r, r.Heartbeat)
		}
		if r.At.Before(r.Heartbeat.Hour) || r.At.Sub(r.Heartbeat.Hour) > 61*time.Minute {
			t.Errorf("of %v, recorded %v", r.Heartbeat.Hour, r.At)
		}
	}
	to.Close()
	attached(bus.Failing)
	again := heard()
	if last := again[len(again)-1]; len(again) <= len(beats) || !strings.Contains(last.Heartbeat.Minutes, "0") && last.Heartbeat.Up() > 1 {
		t.Errorf("after it failed: %d leaves, %s", len(again), last.Heartbeat.Minutes)
	}
}
