package state_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// The sample departments: a provider, a consumer and a third.
const (
	market  bus.USCC = "114400000069401674"
	housing bus.USCC = "11440000006939561H"
	tax     bus.USCC = "11441400007208381Y"
)

// Principals of the sample world.
var (
	byGZ       = bus.Principal{Node: "gz"}
	byTH       = bus.Principal{Node: "th"}
	bySysadmin = bus.Principal{Account: "sysadmin", Role: bus.RoleSystemAdministrator}
	bySecurity = bus.Principal{Account: "security", Role: bus.RoleSecurityAdministrator}
	bySecond   = bus.Principal{Account: "security-2", Role: bus.RoleSecurityAdministrator}
	byAuditor  = bus.Principal{Account: "auditor", Role: bus.RoleAuditor}
	byOperator = bus.Principal{Account: "operator", Role: bus.RoleOperator, Department: market}
	byReviewer = bus.Principal{Account: "reviewer", Role: bus.RoleReviewer, Department: tax}
	byMarket   = bus.Principal{System: "sample-market", Department: market}

	byApplicant = bus.Principal{Account: "applicant", Role: bus.RoleOperator, Department: housing} // files for the consumer
	bySharing   = bus.Principal{Account: "sharing", Role: bus.RoleReviewer, Department: market}    // the provider's sharing office
	byHousing   = bus.Principal{System: "sample-housing", Department: housing}
	byTax       = bus.Principal{System: "sample-tax", Department: tax}
)

var (
	noon   = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	secret = bytes.Repeat([]byte{1}, 32)
	key    = bytes.Repeat([]byte{2}, 32)
)

// replica is a store with a clock and the end of a log.
type replica struct {
	t     testing.TB
	path  string
	store *state.Store
	index uint64
	now   time.Time
}

func newReplica(t testing.TB) *replica {
	t.Helper()
	r := &replica{t: t, path: filepath.Join(t.TempDir(), "directory.db"), now: noon}
	r.open()
	t.Cleanup(func() {
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *replica) open() {
	r.t.Helper()
	store, err := state.Open(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = store
}

func (r *replica) reopen() {
	r.t.Helper()
	if err := r.store.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

// ask is a write that somebody asks for.
type ask struct {
	by      bus.Principal
	typ     command.Type
	expect  bus.Revision
	request string
	body    any
}

// log puts an ask at the end of the log.
func (r *replica) log(a ask) state.Log {
	r.t.Helper()
	e, err := command.New(a.typ, a.by, a.request, a.expect, a.body)
	if err != nil {
		r.t.Fatal(err)
	}
	e.At, e.Node = r.now, "gz"
	data, err := e.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	r.index++
	return state.Log{Index: r.index, Data: data}
}

// ask applies one write and returns what became of it.
func (r *replica) ask(a ask) state.Result {
	r.t.Helper()
	results, err := r.store.Apply([]state.Log{r.log(a)})
	if err != nil {
		r.t.Fatal(err)
	}
	return results[0]
}

// must applies a write that is not refused, and returns its revision.
func (r *replica) must(by bus.Principal, typ command.Type, expect bus.Revision, body any) bus.Revision {
	r.t.Helper()
	result := r.ask(ask{by: by, typ: typ, expect: expect, body: body})
	if err := result.Err(); err != nil {
		r.t.Fatalf("%s: %v", typ, err)
	}
	return result.Revision
}

func (r *replica) view(fn func(tx *state.Tx)) {
	r.t.Helper()
	err := r.store.View(func(tx *state.Tx) error {
		fn(tx)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// contents is all that a replica holds but for its applied index and what it
// remembers of requests and changes, as text by table and key.
func (r *replica) contents() map[string]string {
	r.t.Helper()
	found := map[string]string{}
	err := r.store.Dump(func(table state.Table, key, value []byte) error {
		switch table {
		case "journal":
			return nil
		}
		if string(key) != "applied" {
			found[string(table)+"/"+string(key)] = string(value)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

func (r *replica) hash() string {
	r.t.Helper()
	snapshot, err := r.store.Snapshot()
	if err != nil {
		r.t.Fatal(err)
	}
	hash, err := snapshot.Hash()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := snapshot.Close(); err != nil {
		r.t.Fatal(err)
	}
	return string(hash)
}

// world is a replica of a small province: revisions of what it holds, by id.
type world struct {
	*replica
	revision map[string]bus.Revision
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{newReplica(t), map[string]bus.Revision{}}
	asks := founding()
	log := make([]state.Log, len(asks))
	for i, a := range asks {
		log[i] = w.log(a)
	}
	results, err := w.store.Apply(log)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range asks {
		result := results[i]
		if err := result.Err(); err != nil {
			t.Fatalf("%s: %v", a.typ, err)
		}
		if id := idOf(a.body); id != "" {
			w.revision[id] = result.Revision
		}
	}
	w.revision["gz"], w.revision["sysadmin"] = 1, 1
	return w
}

// copy is a world in the same state.
func (w *world) copy() *world {
	w.t.Helper()
	c := &world{newReplica(w.t), w.revision}
	c.restoreFrom(w.snapshot())
	c.index, c.now = w.index, w.now
	return c
}

// idOf is what the revisions of a world are known by.
func idOf(body any) string {
	switch b := body.(type) {
	case command.Join:
		return string(b.Node.ID)
	case bus.Token:
		return string(b.ID)
	case bus.Department:
		return string(b.ID)
	case bus.System:
		return string(b.ID)
	case command.Review: // the resource's revision is that of its publication
		return string(b.Drafts[0].ID)
	case bus.Grant:
		return string(b.ID)
	case bus.Subscription:
		return string(b.ID)
	case command.Activation:
		return string(b.Layer)
	}
	return ""
}

// founding is the sample world, write by write.
func founding() []ask {
	asks := []ask{{by: byGZ, typ: command.ClusterInit, body: command.Init{
		Cluster: "gd", CA: "pem", Node: node("gz", "440100"),
		Divisions: []bus.Division{
			{Code: "440000", Name: "广东省", Level: bus.LevelProvince, Authority: tax},
			{Code: "440100", Name: "广州市", Level: bus.LevelCity, Parent: "440000"},
			{Code: "440106", Name: "天河区", Level: bus.LevelCounty, Parent: "440100"},
		},
		Libraries: bus.BaseLibraries(),
		Accounts: []bus.Account{
			{Name: "sysadmin", Role: bus.RoleSystemAdministrator}, {Name: "security", Role: bus.RoleSecurityAdministrator},
			{Name: "security-2", Role: bus.RoleSecurityAdministrator}, {Name: "auditor", Role: bus.RoleAuditor},
			{Name: "operator", Role: bus.RoleOperator, Department: market}, {Name: "reviewer", Role: bus.RoleReviewer, Department: tax},
			{Name: "applicant", Role: bus.RoleOperator, Department: housing}, {Name: "sharing", Role: bus.RoleReviewer, Department: market},
		},
	}}}
	add := func(by bus.Principal, typ command.Type, body any) {
		asks = append(asks, ask{by: by, typ: typ, body: body})
	}
	add(bySysadmin, command.TokenCreate, token("t-th", "th"))
	add(byGZ, command.NodeJoin, join("t-th", "th", key))
	add(bySysadmin, command.TokenCreate, token("t-new", "new"))
	for _, d := range []bus.USCC{market, housing, tax} {
		add(bySysadmin, command.DepartmentPut, department(d))
	}
	for _, s := range []bus.System{system("sample-market", market), system("sample-housing", housing), system("sample-tax", tax)} {
		add(bySysadmin, command.SystemPut, s)
	}
	for _, r := range []bus.Resource{resource("registrations", "307001/1"), resource("licences", "307002/1")} {
		add(byMarket, command.DraftPut, content(r))
		add(byMarket, command.DraftSubmit, submission(r.ID, len(asks))) // an entry's revision is its place in the log
		add(byReviewer, command.DraftReview, approval(r.ID, len(asks)))
	}
	add(bySecurity, command.GrantPut, grant("g1"))
	add(byHousing, command.SubscriptionPut, subscription("s1"))
	add(bySecurity, command.LayerPush, push("division/440100"))
	asks = append(asks, ask{by: bySecond, typ: command.LayerActivate, expect: bus.Revision(len(asks)), body: command.Activation{Layer: "division/440100"}})
	return asks
}

func node(id bus.NodeID, division bus.DivisionCode) bus.Node {
	return bus.Node{
		ID: id, Division: division, PeerAddress: string(id) + ".example:7300", APIAddress: string(id) + ".example:7443",
		EvidenceKey: evidenceKeys(id).verifier,
	}
}

func token(id bus.TokenID, node bus.NodeID) bus.Token {
	return bus.Token{ID: id, Node: node, Division: "440106", Voter: true, SecretHash: secret, Expires: noon.Add(time.Hour)}
}

func join(id bus.TokenID, n bus.NodeID, key []byte) command.Join {
	return command.Join{Token: id, SecretHash: secret, KeyHash: key, Node: node(n, "440106")}
}

func department(id bus.USCC) bus.Department {
	return bus.Department{ID: id, Name: "样例部门", Division: "440106"}
}

func system(id bus.SystemID, d bus.USCC) bus.System {
	return bus.System{ID: id, Department: d, Name: "样例系统", SecretHash: secret}
}

func resource(id bus.ResourceID, codes ...bus.ResourceCode) bus.Resource {
	return bus.Resource{
		ID: id, Codes: codes, Name: "样例资源", Abstract: "样例摘要", Class: "样例分类", Provider: market, Format: "database", Modes: []string{"batch"}, Open: "no", UpdateCycle: "daily",
		Items: []bus.Item{{ID: "uscc", Name: "代码", Type: "C", Grade: 1}, {ID: "name", Name: "名称", Type: "C", Grade: 2}},
		Sharing: bus.Sharing{
			Type: bus.Conditional, Range: "样例", Purposes: []bus.Purpose{bus.PurposeReference, bus.PurposeVerification},
		},
	}
}

func content(r bus.Resource) bus.DraftContent {
	return bus.DraftContent{Resource: r, Clearance: bus.Clearance{SecrecyReview: "样例保密审查 1 号", Consent: "样例负责人"}}
}

func draft(id bus.ResourceID, revision int) []bus.DraftRef {
	return []bus.DraftRef{{ID: id, Revision: bus.Revision(revision)}}
}

func submission(id bus.ResourceID, revision int) command.Submission {
	return command.Submission{Drafts: draft(id, revision)}
}

func approval(id bus.ResourceID, revision int) command.Review {
	return command.Review{Drafts: draft(id, revision), Approve: true}
}

// publish puts the next version of a resource in force, and returns its revision.
func (w *world) publish(by bus.Principal, r bus.Resource) bus.Revision {
	w.t.Helper()
	return w.must(byReviewer, command.DraftReview, 0, approval(r.ID, int(w.submit(by, r))))
}

// submit puts a draft up for review, and returns its revision.
func (w *world) submit(by bus.Principal, r bus.Resource) bus.Revision {
	w.t.Helper()
	revision := w.must(by, command.DraftPut, w.draftRevision(r.ID), content(r))
	return w.must(by, command.DraftSubmit, 0, submission(r.ID, int(revision)))
}

func (w *world) draftRevision(id bus.ResourceID) (revision bus.Revision) {
	w.view(func(tx *state.Tx) {
		d, _ := tx.Draft(id)
		revision = d.Revision
	})
	return revision
}

func grant(id bus.GrantID) bus.Grant {
	return bus.Grant{
		ID: id, Resource: "registrations", Consumer: housing, Purposes: []bus.Purpose{bus.PurposeReference},
		Items: []bus.ItemID{"uscc"}, NotBefore: noon, NotAfter: noon.Add(24 * time.Hour), Agreement: "样例协议 1 号",
	}
}

func subscription(id bus.SubscriptionID) bus.Subscription {
	return bus.Subscription{
		ID: id, Resource: "registrations", Consumer: housing, System: "sample-housing", Grant: "g1",
		Purpose: bus.PurposeReference, Items: []bus.ItemID{"uscc"},
	}
}

// push is a text for a layer, as a node that checked it asks for it.
func push(id bus.LayerID) command.Push {
	return command.Push{
		Layer: id, Report: &bus.LayerReport{
			Layer: id, OK: true, Slowest: 1, Tests: []bus.LayerTest{{Name: "test_it", Pass: true, Duration: 1}},
			Coverage: []bus.FileCoverage{{File: "layer.rego", Lines: 2, Covered: 1, Missed: []bus.LineRange{{First: 2, Last: 2}}}},
		},
		LayerPush: bus.LayerPush{Modules: map[string]string{"layer.rego": "package layer"}, Note: "样例"},
	}
}

func account(name string, role bus.Role) bus.Account {
	return bus.Account{Name: name, Role: role, PasswordHash: "$argon2id$"}
}

// checkpoint is a head of a node's log as the node signs it.
func checkpoint(n bus.NodeID, size int64, root byte) bus.Checkpoint {
	c := bus.Checkpoint{Node: n, Size: size, Root: bytes.Repeat([]byte{root}, 32)}
	c.Note = signed(n, n, size, root)
	return c
}

// signed is the note of a head of one node's log, signed by another.
func signed(log, by bus.NodeID, size int64, root byte) string {
	text := fmt.Sprintf("%s\n%d\n%s\n", audit.Origin("gd", log), size, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{root}, 32)))
	message, err := note.Sign(&note.Note{Text: text}, evidenceKeys(by).signer)
	if err != nil {
		panic(err)
	}
	return string(message)
}

type evidenceKey struct {
	signer   note.Signer
	verifier string
}

var madeKeys sync.Map // of evidenceKey, by node

// evidenceKeys are those that a node of the sample world joins with.
func evidenceKeys(n bus.NodeID) evidenceKey {
	if made, ok := madeKeys.Load(n); ok {
		return made.(evidenceKey)
	}
	secret, verifier, err := audit.GenerateKey(audit.Origin("gd", n))
	if err != nil {
		return evidenceKey{verifier: "none"} // no id of a node
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		panic(err)
	}
	made, _ := madeKeys.LoadOrStore(n, evidenceKey{signer, verifier})
	return made.(evidenceKey)
}

// with returns v changed by change.
func with[V any](v V, change func(*V)) V {
	change(&v)
	return v
}

// fields are those that a result's refusal names, in order.
func fields(r state.Result) []string {
	var names []string
	if r.Refusal != nil {
		for _, d := range r.Refusal.Defects {
			names = append(names, d.Field)
		}
	}
	slices.Sort(names)
	return names
}
