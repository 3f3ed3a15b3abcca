package command_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// The bytes in testdata are in the logs of nodes that run: a test that fails
// here is never mended by changing them.

func TestGoldenBytesOfEveryType(t *testing.T) {
	for _, typ := range declaredTypes(t) {
		t.Run(string(typ), func(t *testing.T) {
			body, ok := bodies[typ]
			if !ok {
				t.Fatal("there is no sample body of this type")
			}
			golden, err := os.ReadFile(filepath.Join("testdata", string(typ)+".v1.json"))
			if err != nil {
				t.Fatal("an entry type needs its golden bytes: ", err)
			}
			if got := encode(t, entry(t, typ, body)); !bytes.Equal(got, golden) {
				t.Errorf("an entry is written as\n%s\nand was written as\n%s", got, golden)
			}
		})
	}
}

func TestGoldenBytesAreReadWhole(t *testing.T) {
	files, err := filepath.Glob("testdata/*.v1.json")
	if err != nil || len(files) != len(bodies) {
		t.Fatalf("%d golden files for %d types: %v", len(files), len(bodies), err)
	}
	for _, file := range files {
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		e, err := command.Decode(golden)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if again := encode(t, e); !bytes.Equal(again, golden) {
			t.Errorf("%s: written again it is\n%s", file, again)
		}
		body := reflect.New(reflect.TypeOf(bodies[e.Type]))
		if err := e.DecodeBody(body.Interface()); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if again, err := json.Marshal(body.Elem().Interface()); err != nil || !bytes.Equal(again, e.Body) {
			t.Errorf("%s: its body written again is\n%s", file, again)
		}
	}
}

func TestEncodeRefusesWhatIsTooLarge(t *testing.T) {
	fits := func(n int) error {
		e := entry(t, command.LayerPush, push(strings.Repeat("x", n)))
		_, err := e.Encode()
		return err
	}
	overhead := len(encode(t, entry(t, command.LayerPush, push(""))))
	if err := fits(command.MaxSize - overhead); err != nil {
		t.Errorf("an entry of exactly the cap: %v", err)
	}
	err := fits(command.MaxSize - overhead + 1)
	if bus.CodeOf(err) != bus.CodeTooLarge {
		t.Errorf("one byte over the cap: %v", err)
	}
}

// The tab and the line feed are what stands between the parts of the log.
func TestEncodeRefusesABodyThatReachesIntoWhatFollows(t *testing.T) {
	for name, body := range map[string]string{
		"nothing": "", "a second entry": "{}\n{}", "a second body": "{}\t{}", "laid out": "{\n\t\"id\": 1\n}",
	} {
		if _, err := (command.Entry{Type: command.Tick, Version: 1, Body: json.RawMessage(body)}).Encode(); err == nil {
			t.Errorf("%s was encoded", name)
		}
	}
	if _, err := command.New(command.Tick, bus.Principal{}, "", 0, make(chan int)); err == nil {
		t.Error("a channel became a body")
	}
	e := entry(t, command.ResourceWithdraw, command.Withdrawal{Resource: "a", Reason: "one\ttwo\nthree"})
	if again, err := command.Decode(encode(t, e)); err != nil || len(command.Split(encode(t, e))) != 1 || !bytes.Equal(again.Body, e.Body) {
		t.Errorf("a text with a tab and a line feed: %v", err)
	}
}

// An older release stops at what it does not know: had it dropped a field, its
// replica would differ from the others.
func TestDecodeRefusesWhatItWouldDrop(t *testing.T) {
	good := string(encode(t, entry(t, command.Tick, command.Empty{})))
	for name, data := range map[string]string{
		"nothing":             "",
		"half an entry":       good[:len(good)-2],
		"half a head":         good[:len(good)/2],
		"two entries":         good + good,
		"an entry and more":   good + "}",
		"an unknown field":    strings.Replace(good, `"v":1`, `"v":1,"priority":2`, 1),
		"a field twice":       strings.Replace(good, `"v":1`, `"v":1,"v":1`, 1),
		"another case":        strings.Replace(good, `"v":1`, `"V":1`, 1),
		"a version in words":  strings.Replace(good, `"v":1`, `"v":"one"`, 1),
		"a negative revision": strings.Replace(good, `"v":1`, `"v":1,"expect":-1`, 1),
		"no object":           "[]\t{}",
	} {
		e, err := command.Decode([]byte(data))
		if err == nil {
			err = e.DecodeBody(new(command.Empty))
		}
		if !errors.Is(err, command.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, body := range map[string]string{
		"an unknown field":         `{"resource":{"id":"a"},"colour":"red"}`,
		"half of it":               `{"resource":`,
		"an unknown field, nested": `{"resource":{"id":"a","sharing":{"type":"none","until":"tomorrow"}}}`,
		"two values":               `{} {}`,
		"nothing":                  ``,
		"another shape":            `{"resource":{"id":7}}`,
	} {
		e := command.Entry{Type: command.DraftPut, Body: json.RawMessage(body)}
		if err := e.DecodeBody(new(bus.DraftContent)); !errors.Is(err, command.ErrUnknown) {
			t.Errorf("body with %s: %v", name, err)
		}
	}
}

func TestDecodeLeavesTypeAndVersionToTheState(t *testing.T) {
	e, err := command.Decode([]byte(`{"type":"moon.put","v":9,"at":"2026-01-02T03:04:05Z","node":"gz","by":{}}` + "\t" + `{"phase":1}`))
	if err != nil || e.Type != "moon.put" || e.Version != 9 {
		t.Errorf("%+v: %v", e, err)
	}
}

func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.v1.json")
	for _, file := range files {
		golden, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(golden)
	}
	f.Add([]byte("{\"type\":\"tick\"}\tnull"))
	f.Add([]byte("{\"BY\":{\"account\":\"a\"},\"by\":null}\t{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := command.Decode(data)
		if err != nil {
			if !errors.Is(err, command.ErrUnknown) {
				t.Fatal(err)
			}
			return
		}
		first, err := e.Encode()
		if err != nil {
			return // too large, or without a body
		}
		again, err := command.Decode(first)
		if err != nil {
			t.Fatalf("%q cannot be read again: %v", first, err)
		}
		if second := encode(t, again); !bytes.Equal(first, second) {
			t.Fatalf("%q became %q", first, second)
		}
	})
}

// declaredTypes reads the constants of type Type out of the source.
func declaredTypes(t *testing.T) []command.Type {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "command.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var types []command.Type
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "Type" {
			return true
		}
		for _, value := range spec.Values {
			word, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, command.Type(word))
		}
		return true
	})
	if len(types) < 18 {
		t.Fatalf("only %d types found in the source", len(types))
	}
	return types
}

func entry(t testing.TB, typ command.Type, body any) command.Entry {
	t.Helper()
	by := bus.Principal{System: "sample-registry", Department: "114400000069401674"}
	e, err := command.New(typ, by, "request-1", 7, body)
	if err != nil {
		t.Fatal(err)
	}
	e.At, e.Node = noon, "gz"
	return e
}

func push(text string) command.Push {
	return command.Push{LayerPush: bus.LayerPush{Modules: map[string]string{"a.rego": text}}}
}

func encode(t testing.TB, e command.Entry) []byte {
	t.Helper()
	data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var (
	noon = time.Date(2026, 3, 4, 12, 0, 0, 123456789, time.UTC)
	hash = bytes.Repeat([]byte{0xab}, 32)

	node = bus.Node{
		ID: "gz", Division: "440100", PeerAddress: "10.0.0.1:7300", APIAddress: "10.0.0.1:7443",
		Voter: true, CA: true, EvidenceKey: "gz+00000000+AAAA", Joined: noon, Revision: 3,
	}
	account = bus.Account{Name: "sysadmin", Role: bus.RoleSystemAdministrator, PasswordHash: "$argon2id$", MustChange: true, Revision: 3}

	content = bus.DraftContent{
		Resource: bus.Resource{
			ID: "registrations", Codes: []bus.ResourceCode{"307001/1"}, Name: "样例登记", Abstract: "样例 <&>", Provider: "114400000069401674",
			Office: "样例处", Contact: "样例电话", Format: "database", Subtype: "样例库", Entity: "legal-entity", Items: []bus.Item{{
				ID: "uscc", Name: "统一社会信用代码", English: "code", Type: "C", Length: 18, Grade: 1, Sharing: bus.Conditional, Open: true,
				Semantic: bus.SemanticUSCC, Personal: true, Source: true,
			}},
			Sharing: bus.Sharing{
				Type: bus.Conditional, Range: "样例", Purposes: []bus.Purpose{bus.PurposeReference}, Reason: "样例",
				Basis: &bus.Basis{Kind: "law", Citation: "样例法第一条"},
			},
			Modes: []string{"batch"}, Open: "conditional", OpenTerms: "样例", Class: "样例", Secrecy: "样例", UpdateCycle: "daily",
			Network: "government", Scenario: "other", System: "样例系统", Matters: []string{"m1"}, Related: []bus.ResourceCode{"307002/1"},
			Version: 2, Published: noon, Revision: 3,
		},
		Clearance: bus.Clearance{SecrecyReview: "样例 1", Assessment: "样例 2", Consent: "样例 3"},
	}

	// bodies has one body of every type, with every field set.
	bodies = map[command.Type]any{
		command.ClusterInit: command.Init{
			Cluster: "gd", CA: "-----BEGIN CERTIFICATE-----\n", Node: node, Accounts: []bus.Account{account},
			Divisions: []bus.Division{{Code: "440100", Name: "广州市", Level: bus.LevelCity, Parent: "440000"}},
			Calendar:  []calendar.Day{{Date: "2026-10-01", Name: "国庆节", Kind: calendar.KindOff}}, Libraries: bus.BaseLibraries()[:1],
		},
		command.TokenCreate: bus.Token{
			ID: "t1", Node: "th", Division: "440106", Voter: true, SecretHash: hash, Expires: noon, UsedBy: hash, Revision: 3,
		},
		command.NodeJoin:         command.Join{Token: "t1", SecretHash: hash, KeyHash: hash, Node: node},
		command.NodePut:          node,
		command.NodePlace:        command.Place{Node: "gz", Voter: true, Draining: true},
		command.NodeRemove:       command.Key{ID: "gz"},
		command.DivisionAssign:   command.Assign{Division: "440106", Node: "gz"},
		command.RootAdd:          bus.Root{Fingerprint: "ab", Certificate: hash, Holder: "gz", Cross: hash, Added: noon, Revision: 3},
		command.RootCross:        command.Cross{Fingerprint: "ab", Certificate: hash},
		command.RootRetire:       command.RetireRoot{Fingerprint: "ab", Force: true},
		command.DepartmentPut:    bus.Department{ID: "114400000069401674", Name: "样例部门", Division: "440100", Node: "gz", Revision: 3},
		command.DepartmentDelete: command.Key{ID: "114400000069401674"},
		command.DepartmentMove:   command.Move{Department: "114400000069401674", To: "gz", Abandon: true},
		command.DepartmentAbort:  command.Key{ID: "114400000069401674"},
		command.DepartmentMoved:  command.Moved{Department: "114400000069401674", Epoch: 7},
		command.SystemPut: bus.System{
			ID: "sample-registry", Department: "114400000069401674", Name: "样例系统", SecretHash: hash, Disabled: true, Revision: 3,
		},
		command.DivisionPut:      bus.Division{Code: "440100", Name: "广州市", Level: bus.LevelCity, Parent: "440000", Authority: "114400000069401674", Revision: 3},
		command.DraftPut:         content,
		command.DraftDelete:      command.Key{ID: "registrations"},
		command.DraftSubmit:      command.Submission{Drafts: []bus.DraftRef{{ID: "registrations", Revision: 7}}},
		command.DraftReview:      command.Review{Drafts: []bus.DraftRef{{ID: "registrations", Revision: 7}}, Approve: true, Opinion: "样例"},
		command.DraftImport:      command.Import{Drafts: []bus.DraftContent{content}, Submit: true},
		command.ResourceWithdraw: command.Withdrawal{Resource: "registrations", Reason: "样例"},
		command.ClaimDecide:      command.Decision{Entity: "legal-entity", Item: "uscc", Resource: "licences", Transfer: true, Reason: "样例"},
		command.TriggerRecord:    command.Trigger{Resource: "registrations", Kind: bus.TriggerLaw, At: noon, Description: "样例"},
		command.TriggerExtend:    command.Extension{Resource: "registrations", Number: 1, Days: 5, Reason: "样例"},
		command.TriggerConsent:   command.Consent{Resource: "registrations", Number: 1, Approve: true, Opinion: "样例"},
		command.CalendarPut:      command.Days{Days: []calendar.Day{{Date: "2027-10-01", Name: "国庆节", Kind: calendar.KindOff}}},
		command.LibraryPut:       bus.Library{ID: "health", Kind: bus.LibraryTheme, Name: "样例", Prefix: "203", Lead: "114400000069401674", Revision: 3, Resources: 4},
		command.LibraryDelete:    command.Key{ID: "health"},
		command.GrantPut: bus.Grant{
			ID: "g1", Resource: "registrations", Consumer: "11440000006939561H", Purposes: []bus.Purpose{bus.PurposeReference},
			Items: []bus.ItemID{"uscc"}, Matters: []string{"m1"}, NotBefore: noon, NotAfter: noon.Add(time.Hour), Revoked: "r", Revision: 3,
		},
		command.GrantRevoke:  command.Revoke{Grant: "g1", Reason: "样例"},
		command.GrantConfirm: command.Confirm{Grants: []bus.GrantID{"g1", "g2"}},
		command.SubscriptionPut: bus.Subscription{
			ID: "s1", Resource: "registrations", Consumer: "11440000006939561H", System: "sample-housing", Grant: "g1",
			Purpose: bus.PurposeReference, Matter: "m1", Items: []bus.ItemID{"uscc"}, Created: noon, Revision: 3,
		},
		command.SubscriptionDelete: command.Key{ID: "s1"},
		command.SubscriptionStep:   command.SubscriptionStepped{Subscription: "s1", Step: bus.SubscriptionReplay, From: "2026-03-01T00:00:00Z"},
		command.LayerPush: command.Push{
			Layer:     "division/440100",
			LayerPush: bus.LayerPush{Modules: map[string]string{"b.rego": "package b", "a.rego": "package a"}, Rollback: 3, Remove: true, Note: "样例"},
			Report: &bus.LayerReport{
				Layer: "division/440100", OK: true, Slowest: 1_000_000,
				Problems: []bus.LayerProblem{{File: "a.rego", Row: 1, Col: 2, Code: "parse-error", Message: bus.Text{ZH: "样例", EN: "sample"}}},
				Tests:    []bus.LayerTest{{Name: "a_test.test_a", Pass: true, Duration: 1_000_000, Output: "样例"}},
				Coverage: []bus.FileCoverage{{File: "a.rego", Lines: 3, Covered: 1, Missed: []bus.LineRange{{First: 2, Last: 3}}}},
			},
		},
		command.LayerActivate: command.Activation{Layer: "division/440100", Note: "样例"},
		command.LayerDiscard:  command.Key{ID: "division/440100"},
		command.AccountPut:    account,
		command.CheckpointPut: bus.Checkpoint{Node: "gz", Size: 9, Root: hash, Note: "gz evidence\n9\n", At: noon, Revision: 3},
		command.Tick:          command.Empty{},
		command.CredentialAdd: command.NewCredential{System: "sample-registry", Overlap: noon, Credential: bus.Credential{
			ID: "c1", Kind: bus.CredentialSigning, Hash: hash, Node: "gz", Created: noon, Expires: noon.Add(time.Hour),
		}},
		command.CredentialEnd: command.EndCredential{System: "sample-registry", Credential: "c1"},

		command.ApplicationPut: command.Application{ID: "a1", Content: bus.ApplicationContent{
			Department: "11440000006939561H", Resource: "registrations", Version: 2, Basis: "样例", Scenario: "样例", Items: []bus.ItemID{"uscc"},
			Division: "440106", Mode: "batch", Purposes: []bus.Purpose{bus.PurposeReference}, Matters: []string{"m1"}, From: noon, Until: noon.Add(time.Hour), Renews: "g1",
		}},
		command.ApplicationDelete:   command.Key{ID: "a1"},
		command.ApplicationSubmit:   command.Key{ID: "a1"},
		command.ApplicationWithdraw: command.ApplicationWithdrawal{Application: "a1", Reason: "样例"},
		command.ApplicationExtend:   command.MoreTime{Application: "a1", Days: 10, Reason: "样例"},
		command.ApplicationConsent:  command.MoreTimeConsent{Application: "a1", Approve: true, Opinion: "样例"},
		command.ApplicationAnswer: command.Answer{
			Application: "a1", Verdict: command.VerdictApprove, Opinion: "样例",
			Terms: bus.Terms{Items: []bus.ItemID{"uscc"}, Division: "440106", Purposes: []bus.Purpose{bus.PurposeReference}, Matters: []string{"m1"}, Until: noon},
		},
		command.GrantStop:      command.Stop{Grant: "g1", Step: bus.GrantRectify, Reason: "样例", Days: 5},
		command.GrantDelivered: command.Delivered{Grant: "g1", At: noon},
		command.AttachmentPut:  bus.Attachment{Resource: "registrations", Node: "gz", State: bus.Attached, Since: noon, Heartbeat: noon, Revision: 7},
		command.CorrectionReport: command.CorrectionReported{
			ID: "c1", Resource: "registrations", Items: []bus.ItemID{"uscc"}, Record: "r-1", Description: "样例", Event: "e1",
		},
		command.CorrectionStep: command.CorrectionStepped{Correction: "c1", Step: bus.CorrectionCorrect, Text: "样例"},
		command.DisputeRaise:   command.DisputeRaised{ID: "d1", About: bus.Subject{Kind: bus.SubjectCorrection, ID: "c1"}, Reason: "样例"},
		command.DisputeStep:    command.DisputeStepped{Dispute: "d1", Step: bus.DisputeSubmit, Text: "样例"},
		command.DisputeDecide:  command.DisputeDecided{Dispute: "d1", Upheld: true, Opinion: "样例"},
		command.SchemePropose: bus.SchemeProposal{Note: "样例", Scheme: bus.Scheme{
			Name: "样例方案", Cap: 10, RankedFrom: 50,
			Indicators: []bus.Indicator{{
				ID: "G1", Name: bus.Text{ZH: "样例", EN: "sample"}, Weight: 100, Numerator: bus.CountApplicationsMet, Denominator: bus.CountApplicationsDue,
				Where: map[string][]string{"sharing": {"conditional"}},
			}},
			Deductions: []bus.Deduction{{ID: "K1", Name: bus.Text{ZH: "样例", EN: "sample"}, Points: 3, Count: bus.CountStopsUnreasoned}},
			Bands:      []bus.Band{{Name: bus.Text{ZH: "样例", EN: "sample"}, From: 0}},
		}},
		command.SchemeActivate: command.SchemeActivation{Version: 1, Note: "样例"},
		command.ReportPublish: command.Publication{Note: "样例", Report: bus.ReportSeal{
			ID: "2026-q1-r1", Format: "gxbus-evaluation/1", From: noon, To: noon.Add(time.Hour), Node: "gz", Scheme: 1,
			Digest: "sha256:" + strings.Repeat("0", 64), Signature: "样例", Restates: "2026-q1",
		}},
	}
)
