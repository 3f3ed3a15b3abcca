package state_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"pgregory.net/rapid"
)

// Replicas take one log in different batches, and some restart, restore or see
// entries again on the way. They must come to the same bytes and answers.
func TestReplicasOfOneLogAreEqual(t *testing.T) {
	if testing.Short() {
		t.Skip("writes many files")
	}
	rapid.Check(t, func(rt *rapid.T) {
		author, plain, troubled := &replica{t: t, now: noon}, newReplica(t), newReplica(t)
		log := randomLog(rt, author)
		want := plain.applyInBatches(rt, log, nil)
		got := troubled.applyInBatches(rt, log, func() {
			switch rapid.SampledFrom([]string{"", "", "reopen", "restore", "repeat"}).Draw(rt, "trouble") {
			case "reopen":
				troubled.reopen()
			case "restore":
				troubled.restoreFrom(troubled.snapshot())
			case "repeat":
				applied, _ := troubled.store.Applied()
				if _, err := troubled.store.Apply(log[:applied]); err != nil {
					rt.Fatal(err)
				}
			}
		})
		if !reflect.DeepEqual(want, got) {
			rt.Fatalf("answers differ:\n%+v\n%+v", want, got)
		}
		if plain.hash() != troubled.hash() {
			rt.Fatal("states differ")
		}
		first, _ := plain.store.Applied()
		second, _ := troubled.store.Applied()
		if first != second || first != bus.Revision(len(log)) {
			rt.Fatalf("applied %d and %d of %d", first, second, len(log))
		}
	})
}

func (r *replica) applyInBatches(rt *rapid.T, log []state.Log, between func()) []state.Result {
	var results []state.Result
	for rest := log; len(rest) > 0; {
		n := rapid.IntRange(1, min(25, len(rest))).Draw(rt, "batch")
		batch, err := r.store.Apply(rest[:n])
		if err != nil {
			rt.Fatal(err)
		}
		results, rest = append(results, batch...), rest[n:]
		if between != nil {
			between()
		}
	}
	return results
}

// randomLog is the sample world, then writes good and bad. Revisions are guessed
// from the log, so that many hit.
func randomLog(rt *rapid.T, author *replica) []state.Log {
	var log []state.Log
	for _, a := range founding() {
		log = append(log, author.log(a))
	}
	for range rapid.IntRange(1, 60).Draw(rt, "length") {
		a := randomAsk(rt, author.index)
		author.now = noon.Add(time.Duration(rapid.IntRange(0, 100).Draw(rt, "minute")) * time.Minute)
		log = append(log, author.log(a))
	}
	return log
}

func randomAsk(rt *rapid.T, index uint64) ask {
	pick := func(words ...string) string { return rapid.SampledFrom(words).Draw(rt, "word") }
	dept := rapid.SampledFrom([]bus.USCC{market, housing, tax, freeDepartment}).Draw(rt, "department")
	bodies := map[command.Type]func() any{
		command.ClusterInit: func() any { return command.Init{Cluster: "other", Node: node("gz", "440100")} },
		command.TokenCreate: func() any { return token(bus.TokenID(pick("t1", "t2")), bus.NodeID(pick("a", "b", "th"))) },
		command.NodeJoin: func() any {
			return join(bus.TokenID(pick("t1", "t2", "t-new")), bus.NodeID(pick("a", "b", "new")), []byte(pick(string(key), string(secret))))
		},
		command.NodePut: func() any {
			return with(node(bus.NodeID(pick("gz", "th")), "440106"), func(n *bus.Node) { n.APIAddress = pick("gz.example:7443", "x.example:1") })
		},
		command.DepartmentPut:    func() any { return department(dept) },
		command.DepartmentDelete: func() any { return command.Key{ID: string(dept)} },
		command.DepartmentMove: func() any {
			return command.Move{Department: dept, To: bus.NodeID(pick("gz", "th", "a")), Abandon: rapid.Bool().Draw(rt, "abandon")}
		},
		command.DepartmentAbort: func() any { return command.Key{ID: string(dept)} },
		command.DepartmentMoved: func() any {
			return command.Moved{Department: dept, Epoch: bus.Revision(rapid.Uint64Range(1, index).Draw(rt, "epoch"))}
		},
		command.SystemPut: func() any {
			return with(system(bus.SystemID(pick("sample-market", "sample-housing", "x")), dept), func(s *bus.System) { s.Disabled = rapid.Bool().Draw(rt, "disabled") })
		},
		command.ResourcePut: func() any {
			return resource(bus.ResourceID(pick("registrations", "licences", "r1")), bus.ResourceCode(pick("307001/1", "307002/1", "307003/1")), "307004/1")
		},
		command.ResourceDelete: func() any { return command.Key{ID: pick("registrations", "licences", "r1")} },
		command.GrantPut:       func() any { return grant(bus.GrantID(pick("g1", "g2", "g3"))) },
		command.GrantRevoke: func() any {
			return command.Revoke{Grant: bus.GrantID(pick("g1", "g2", "g3")), Reason: pick("", "样例")}
		},
		command.GrantConfirm:    func() any { return command.Confirm{Grants: []bus.GrantID{bus.GrantID(pick("g1", "g2", "g3"))}} },
		command.SubscriptionPut: func() any { return subscription(bus.SubscriptionID(pick("s1", "s2", "s3"))) },
		command.SubscriptionDelete: func() any {
			return command.Key{ID: pick("s1", "s2", "s3")}
		},
		command.LayerPut: func() any {
			l := layer(bus.LayerID(pick("division/440100", "division/440106", "base")))
			for i := range rapid.IntRange(0, 8).Draw(rt, "modules") {
				l.Modules[fmt.Sprint(i, ".rego")] = "package layer"
			}
			return l
		},
		command.LayerDelete:   func() any { return command.Key{ID: pick("division/440100", "division/440106")} },
		command.AccountPut:    func() any { return account(pick("auditor", "deputy"), bus.Role(pick("auditor", "root"))) },
		command.CheckpointPut: func() any { return checkpoint(bus.NodeID(pick("gz", "th")), int64(index%7), byte(index%2)) },
		command.Tick:          func() any { return command.Empty{} },
	}
	a := ask{
		typ: rapid.SampledFrom(slices.Sorted(maps.Keys(bodies))).Draw(rt, "type"),
		by: rapid.SampledFrom([]bus.Principal{
			bySysadmin, bySysadmin, bySecurity, bySecurity, byMarket, byMarket, byHousing, byHousing, byGZ, byTH, byAuditor, {},
		}).Draw(rt, "by"),
		request: pick("", "", "q1", "q2", "q3"),
	}
	if rapid.Bool().Draw(rt, "change") {
		a.expect = bus.Revision(rapid.Uint64Range(1, index).Draw(rt, "expect"))
	}
	a.body = bodies[a.typ]()
	return a
}
