package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// However nodes cut their answers, the pages together are every leaf once, each node's
// in the order of its log, and all in the order of time.
func TestPagesOfATimelineLeaveNothingOut(t *testing.T) {
	noon := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		logs := map[bus.NodeID][]client.TraceStep{}
		total := 0
		for i := range rapid.IntRange(1, 4).Draw(rt, "nodes") {
			id, at := bus.NodeID(fmt.Sprint("n", i)), noon
			for leaf := range rapid.IntRange(0, 20).Draw(rt, "leaves") {
				at = at.Add(time.Duration(rapid.IntRange(0, 5).Draw(rt, "pause")) * time.Second)
				record, err := json.Marshal(map[string]any{"at": at})
				if err != nil {
					rt.Fatal(err)
				}
				logs[id] = append(logs[id], client.TraceStep{Leaf: int64(leaf), Record: record})
				total++
			}
		}
		limit := rapid.IntRange(1, 8).Draw(rt, "limit")
		var told []client.TraceStep
		page := ""
		for round := 0; ; round++ {
			if round > 200 {
				rt.Fatalf("%d of %d leaves after %d pages", len(told), total, round)
			}
			at, err := readPlace(page)
			if err != nil {
				rt.Fatal(err)
			}
			line := timeline[client.TraceStep]{place: at, limit: limit}
			for _, id := range slices.Sorted(maps.Keys(logs)) {
				a := answered(rt, logs[id], at, id, limit)
				steps, err := toldBy(id, a.Steps)
				if err != nil {
					rt.Fatal(err)
				}
				line.add(source[client.TraceStep]{id, steps, a.Through, a.More})
			}
			told = append(told, line.merge()...)
			if page = line.place.String(); !line.more {
				break
			}
		}
		if len(told) != total {
			rt.Fatalf("%d of %d leaves", len(told), total)
		}
		seen := map[bus.NodeID]int64{}
		for i, step := range told {
			if step.Leaf != seen[step.Node] {
				rt.Fatalf("leaf %d of %s where %d is due", step.Leaf, step.Node, seen[step.Node])
			}
			if seen[step.Node]++; i > 0 && string(step.Record) < string(told[i-1].Record) {
				rt.Fatalf("%s after %s", step.Record, told[i-1].Record)
			}
		}
	})
}

// answered is what a node says that stops after some leaves, or has looked at some
// and found none.
func answered(rt *rapid.T, log []client.TraceStep, at place, id bus.NodeID, limit int) (a mesh.EvidenceAnswer) {
	after := at.after(id)
	rest := log[after+1:]
	a.Steps = slices.Clone(rest[:min(len(rest), rapid.IntRange(1, limit).Draw(rt, "told"))])
	a.Through, a.More = after+int64(len(a.Steps)), len(a.Steps) < len(rest)
	return a
}

func TestAPageThatIsNoneIsRefused(t *testing.T) {
	for _, page := range []string{"x", "!!", "WzFd"} {
		if _, err := readPlace(page); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%q: %v", page, err)
		}
	}
}
