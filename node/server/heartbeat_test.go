package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/evaluation"
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

// An hour goes on record once it is over, while the node runs, and B2 counts it: a
// realtime entry that answered in the first minutes of a day, and was asked no more until
// 01:05, has these minutes of 1,440 of that day, and none of the next.
func TestHeartbeatMinutesComeIntoTheFigure(t *testing.T) {
	k := &clock{at: time.Now()}
	day := calendar.DateOf(k.Now()) + 1
	s := tellWith(t, nodetest.Options{Now: k.Now, Config: func(c *server.Config) { c.ProbeInterval = time.Second }}, fleet.Province()[0])
	live := s.resource
	live.ID, live.Codes, live.Modes = "enterprise-live", []bus.ResourceCode{"3010010001/000009"}, []string{"interface"}
	s.Publish(live)
	to := newService(t)
	ctx := context.Background()
	k.advance(day.Start().Add(time.Minute).Sub(k.Now()))
	_, err := s.provider.PutBinding(ctx, binding.Binding{Resource: live.ID, HTTP: &binding.HTTP{URL: to.URL + "/firms/{name}", Probe: "/health"}})
	check(t, err)
	asked := func(after time.Duration) { // at a time of which the probe has surely begun, and ended
		k.advance(after)
		before := to.asked.Load()
		nodetest.Eventually(t, "the service is asked", func() error {
			if n := to.asked.Load() - before; n < 3 {
				return fmt.Errorf("%d times", n)
			}
			return nil
		})
	}
	asked(0)
	asked(4 * time.Minute) // 00:05
	asked(time.Hour)       // 01:05: of what is between nobody knows anything
	nodetest.Eventually(t, "the hour is on record", func() error {
		for _, r := range leavesOf(t, s.Client("auditor")) {
			if r.Kind == audit.KindHeartbeat && r.Resource == live.ID {
				if want := "-" + strings.Repeat("1", 5) + strings.Repeat("-", 54); r.Heartbeat.Minutes != want {
					t.Errorf("%s, want %s", r.Heartbeat.Minutes, want)
				}
				return nil
			}
		}
		return errors.New("not yet")
	})
	check(t, s.provider.DeleteBinding(ctx, live.ID))
	k.advance((day + 2).Start().Add(3 * time.Hour).Sub(k.Now()))
	data, err := s.provider.EvaluationCases(ctx, client.CaseQuery{Indicator: "B2", From: day.String(), To: (day + 2).String()})
	check(t, err)
	var cases []evaluation.Case
	check(t, json.Unmarshal(data, &cases))
	var told []string
	for _, c := range cases {
		told = append(told, fmt.Sprintf("%s %d/%d %s", c.Ref, c.MetN, c.N, c.Text.EN))
	}
	want := []string{
		fmt.Sprintf("rollup/guangdong/%s resource/enterprise-live 5/1440 up in 5 of 1440 minutes", day), // 01:05 goes on record when the day is closed
		fmt.Sprintf("rollup/guangdong/%s resource/enterprise-live 0/1440 up in 0 of 1440 minutes", day+1),
	}
	if !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
}
