package state_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
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
		command.SchemePropose:   func() any { return proposal(rapid.IntRange(0, 100).Draw(rt, "weight")) },
		command.SchemeActivate:  func() any { return command.SchemeActivation{Version: rapid.IntRange(0, 3).Draw(rt, "version")} },
		command.DepartmentMoved: func() any {
			return command.Moved{Department: dept, Epoch: bus.Revision(rapid.Uint64Range(1, index).Draw(rt, "epoch"))}
		},
		command.SystemPut: func() any {
			return with(system(bus.SystemID(pick("sample-market", "sample-housing", "x")), dept), func(s *bus.System) { s.Disabled = rapid.Bool().Draw(rt, "disabled") })
		},
		command.DivisionPut: func() any {
			return bus.Division{Code: "440106", Name: "天河区", Level: bus.LevelCounty, Parent: "440100", Authority: bus.USCC(pick("", string(housing), "x"))}
		},
		command.DraftPut:    func() any { return randomContent(rt) },
		command.DraftDelete: func() any { return command.Key{ID: pick("registrations", "licences", "r1")} },
		command.DraftSubmit: func() any { return command.Submission{Drafts: randomRefs(rt, index)} },
		command.DraftReview: func() any {
			return command.Review{Drafts: randomRefs(rt, index), Approve: rapid.Bool().Draw(rt, "approve"), Opinion: pick("", "样例")}
		},
		command.DraftImport: func() any {
			var drafts []bus.DraftContent
			for range rapid.IntRange(0, 5).Draw(rt, "rows") {
				drafts = append(drafts, randomContent(rt))
			}
			return command.Import{Drafts: drafts, Submit: rapid.Bool().Draw(rt, "submit")}
		},
		command.ResourceWithdraw: func() any {
			return command.Withdrawal{Resource: bus.ResourceID(pick("registrations", "licences", "r1")), Reason: pick("", "样例")}
		},
		command.ClaimDecide: func() any {
			return command.Decision{Entity: "firm", Item: "uscc", Resource: bus.ResourceID(pick("registrations", "licences", "r1")), Transfer: rapid.Bool().Draw(rt, "transfer"), Reason: "样例"}
		},
		command.TriggerRecord: func() any {
			return command.Trigger{Resource: bus.ResourceID(pick("registrations", "licences")), Kind: bus.TriggerLaw, At: noon, Description: "样例"}
		},
		command.TriggerExtend: func() any {
			return command.Extension{Resource: "registrations", Number: rapid.IntRange(0, 2).Draw(rt, "number"), Days: 5, Reason: "样例"}
		},
		command.TriggerConsent: func() any {
			return command.Consent{Resource: "registrations", Number: rapid.IntRange(0, 2).Draw(rt, "number"), Approve: true}
		},
		command.CalendarPut: func() any {
			return command.Days{Days: []calendar.Day{{Date: pick("2026-03-05", "2026-03-07", "x"), Kind: calendar.Kind(pick("off", "work", "x"))}}}
		},
		command.LibraryPut:    func() any { return theme(bus.LibraryID(pick("a", "b")), pick("203", "2031", "101")) },
		command.LibraryDelete: func() any { return command.Key{ID: pick("a", "b")} },
		command.GrantPut:      func() any { return grant(bus.GrantID(pick("g1", "g2", "g3"))) },
		command.GrantRevoke: func() any {
			return command.Revoke{Grant: bus.GrantID(pick("g1", "g2", "g3")), Reason: pick("", "样例")}
		},
		command.GrantConfirm:    func() any { return command.Confirm{Grants: []bus.GrantID{bus.GrantID(pick("g1", "g2", "g3"))}} },
		command.SubscriptionPut: func() any { return subscription(bus.SubscriptionID(pick("s1", "s2", "s3"))) },
		command.SubscriptionStep: func() any {
			return command.SubscriptionStepped{Subscription: bus.SubscriptionID(pick("s1", "s2")), Step: bus.SubscriptionStep(pick("pause", "resume", "replay")), From: pick("", "now")}
		},
		command.SubscriptionDelete: func() any {
			return command.Key{ID: pick("s1", "s2", "s3")}
		},
		command.LayerPush: func() any {
			p := push(bus.LayerID(pick("division/440100", "division/440106", "base")))
			for i := range rapid.IntRange(0, 8).Draw(rt, "modules") {
				p.Modules[fmt.Sprint(i, ".rego")] = "package layer"
			}
			return p
		},
		command.LayerActivate: func() any {
			return command.Activation{Layer: bus.LayerID(pick("division/440100", "division/440106")), Note: pick("", "样例")}
		},
		command.LayerDiscard:  func() any { return command.Key{ID: pick("division/440100", "division/440106")} },
		command.AccountPut:    func() any { return account(pick("auditor", "deputy"), bus.Role(pick("auditor", "root"))) },
		command.CheckpointPut: func() any { return checkpoint(bus.NodeID(pick("gz", "th")), int64(index%7), byte(index%2)) },
		command.Tick:          func() any { return command.Empty{} },
		command.CredentialAdd: func() any {
			c := bearer(pick("b1", "b2", "b3"), byte(index%3))
			c.Kind = bus.CredentialKind(pick("bearer", "certificate"))
			return newCredential(bus.SystemID(pick("sample-tax", "sample-market", "sample-x")), c)
		},
		command.CredentialEnd: func() any {
			return command.EndCredential{System: "sample-tax", Credential: bus.CredentialID(pick("first", "b1", "b2"))}
		},
		command.AttachmentPut: func() any {
			return bus.Attachment{Resource: bus.ResourceID(pick("registrations", "licences", "r1")), State: bus.AttachmentState(pick("attached", "failing", "x"))}
		},
		command.CorrectionReport: func() any {
			return command.CorrectionReported{ID: bus.CorrectionID(pick("c1", "c2")), Resource: "registrations", Items: []bus.ItemID{"uscc"}, Description: pick("", "样例")}
		},
		command.CorrectionStep: func() any {
			step := bus.CorrectionStep(pick("confirm", "correct", "explain", "explain", "pass", "fail", "accept", "withdraw", "uphold"))
			return command.CorrectionStepped{Correction: bus.CorrectionID(pick("c1", "c2")), Step: step, Text: "样例"}
		},
		command.DisputeRaise: func() any {
			return command.DisputeRaised{ID: bus.DisputeID(pick("d1", "d2")), About: bus.Subject{Kind: bus.SubjectKind(pick("correction", "grant", "x")), ID: pick("c1", "g1")}, Reason: "样例"}
		},
		command.DisputeStep: func() any {
			return command.DisputeStepped{Dispute: bus.DisputeID(pick("d1", "d2")), Step: bus.DisputeStep(pick("negotiate", "submit", "settle")), Text: "样例"}
		},
		command.DisputeDecide: func() any {
			return command.DisputeDecided{Dispute: bus.DisputeID(pick("d1", "d2")), Upheld: rapid.Bool().Draw(rt, "upheld"), Opinion: "样例"}
		},
	}
	a := ask{
		typ: rapid.SampledFrom(slices.Sorted(maps.Keys(bodies))).Draw(rt, "type"),
		by: rapid.SampledFrom([]bus.Principal{
			bySysadmin, bySysadmin, bySecurity, bySecurity, bySecond, byMarket, byMarket, byHousing, byHousing, byGZ, byTH, byAuditor, {},
			byOperator, byReviewer, byReviewer,
		}).Draw(rt, "by"),
		request: pick("", "", "q1", "q2", "q3"),
	}
	if rapid.Bool().Draw(rt, "change") {
		a.expect = bus.Revision(rapid.Uint64Range(1, index).Draw(rt, "expect"))
	}
	a.body = bodies[a.typ]()
	return a
}

func randomContent(rt *rapid.T) bus.DraftContent {
	code := rapid.SampledFrom([]bus.ResourceCode{"307001/1", "307002/1", "307003/1", "307004/1", "bad"})
	r := resource(rapid.SampledFrom([]bus.ResourceID{"registrations", "licences", "r1", ""}).Draw(rt, "resource"), code.Draw(rt, "code"))
	if rapid.Bool().Draw(rt, "two codes") {
		r.Codes = append(r.Codes, code.Draw(rt, "second code"))
	}
	r.Abstract = rapid.SampledFrom([]string{"", "样例摘要", "样例摘要二"}).Draw(rt, "abstract")
	r.Provider = rapid.SampledFrom([]bus.USCC{market, market, housing}).Draw(rt, "provider")
	r.Secrecy = rapid.SampledFrom([]string{"", "", "", "秘密"}).Draw(rt, "mark")
	r.Items[0].Source = rapid.Bool().Draw(rt, "source")
	r.Entity = rapid.SampledFrom([]bus.EntityID{"", "firm"}).Draw(rt, "entity")
	c := content(r)
	c.Clearance.Consent = rapid.SampledFrom([]string{"样例负责人", ""}).Draw(rt, "consent")
	return c
}

func randomRefs(rt *rapid.T, index uint64) []bus.DraftRef {
	var refs []bus.DraftRef
	for range rapid.IntRange(0, 3).Draw(rt, "drafts") {
		id := rapid.SampledFrom([]bus.ResourceID{"registrations", "licences", "r1", "307003-1"}).Draw(rt, "draft")
		refs = append(refs, bus.DraftRef{ID: id, Revision: bus.Revision(rapid.Uint64Range(1, index).Draw(rt, "revision"))})
	}
	return refs
}
