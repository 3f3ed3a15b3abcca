package state

import (
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
	"go.etcd.io/bbolt"
)

// Table names one kind of directory entry, and its bucket.
type Table string

// The tables.
const (
	Divisions     Table = "divisions"
	Nodes         Table = "nodes"
	Homes         Table = "homes" // division → the node that serves it: its first
	Tokens        Table = "tokens"
	Departments   Table = "departments"
	Systems       Table = "systems"
	Resources     Table = "resources"
	Codes         Table = "resource-codes" // directory code → resource, of drafts and of what is withdrawn too
	Drafts        Table = "drafts"
	reviews       Table = "reviews"  // resource of a draft that awaits its review
	Versions      Table = "versions" // resource/number → a published version
	Triggers      Table = "triggers" // resource/number
	Claims        Table = "claims"   // entity/item
	Libraries     Table = "libraries"
	Calendar      Table = "calendar" // date → an announced day
	Grants        Table = "grants"
	Applications  Table = "applications"
	Corrections   Table = "corrections"
	Disputes      Table = "disputes"
	Subscriptions Table = "subscriptions"
	Layers        Table = "layers" // in force
	LayerDrafts   Table = "layer-drafts"
	LayerHistory  Table = "layer-history" // layer/revision → one that is or was in force
	Accounts      Table = "accounts"
	certificates  Table = "certificates" // fingerprint of a client certificate's key → the system that registered it
	Checkpoints   Table = "checkpoints"
	Schemes       Table = "schemes" // number → a version of the evaluation scheme
	Reports       Table = "reports" // id → an evaluation report that was published
	Attachments   Table = "attachments"
	retired       Table = "retired"   // ids that were deleted: never used again, so that queues keyed by them are nobody else's
	cluster       Table = "cluster"   // cluster id, CA certificate
	revisions     Table = "revisions" // table → index of its last change
	journal       Table = "journal"   // index → what that entry was answered, and changed in the watched tables
	meta          Table = "meta"      // applied index, tick, where the journal begins
)

// A table is in one of two lists: in watched, if the journal tells who asks
// which of its entries changed, else in unwatched.
var (
	watched = []Table{
		Divisions, Nodes, Departments, Systems, Resources, Drafts, Libraries, Grants, Applications, Subscriptions, Layers, Checkpoints, LayerDrafts,
		Corrections, Disputes,
	}
	unwatched = []Table{
		Homes, Tokens, Codes, reviews, Versions, Triggers, Claims, Calendar, Accounts, certificates, LayerHistory, Schemes, Reports,
		Attachments, retired, cluster, revisions, journal, meta,
	}
	tables = slices.Concat(watched, unwatched)
)

// Watched lists the tables whose changes can be followed.
func Watched() []Table { return slices.Clone(watched) }

// Tx reads the directory as of one applied index.
type Tx struct {
	tx *bbolt.Tx

	// planned is what the rows of a bulk entry before this one will have written;
	// only lookups by key see it.
	planned map[Table]map[string][]byte
}

func (t *Tx) bytes(table Table, key string) []byte {
	if value, ok := t.planned[table][key]; ok {
		return value
	}
	return t.tx.Bucket([]byte(table)).Get([]byte(key))
}

// over returns a reader to which what is planned can be added.
func (t *Tx) over() *Tx { return &Tx{tx: t.tx, planned: map[Table]map[string][]byte{}} }

// add makes lookups see changes that are planned.
func (t *Tx) add(changes []Change) {
	for _, c := range changes {
		if t.planned[c.Table] == nil {
			t.planned[c.Table] = map[string][]byte{}
		}
		t.planned[c.Table][c.Key] = c.Value
	}
}

// read decodes one value; ok is false where there is none.
func read[V any](t *Tx, table Table, key string) (v V, ok bool) {
	data := t.bytes(table, key)
	if data == nil {
		return v, false
	}
	return decoded[V](table, key, data), true
}

// decoded reads what was stored under a key. These are our own bytes: where they
// cannot be read, the file is damaged.
func decoded[V any](table Table, key string, data []byte) (v V) {
	if err := strictjson.Own(data, &v); err != nil {
		panic(fmt.Sprintf("directory table %s, key %q: %v", table, key, err)) // our own bytes: the file is damaged
	}
	return v
}

// all decodes every value of a table in key order.
func all[V any](t *Tx, table Table) iter.Seq[V] { return from[V](t, table, "") }

// from decodes the values of a table from a key on, in key order.
func from[V any](t *Tx, table Table, first string) iter.Seq[V] {
	return func(yield func(V) bool) {
		cursor := t.tx.Bucket([]byte(table)).Cursor()
		for key, data := cursor.Seek([]byte(first)); key != nil; key, data = cursor.Next() {
			if !yield(decoded[V](table, string(key), data)) {
				return
			}
		}
	}
}

// Count returns how many entries a table has; it walks the keys.
func (t *Tx) Count(table Table) int {
	n := 0
	cursor := t.tx.Bucket([]byte(table)).Cursor()
	for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
		n++
	}
	return n
}

// Division returns the division with this code.
func (t *Tx) Division(code bus.DivisionCode) (bus.Division, bool) {
	return read[bus.Division](t, Divisions, string(code))
}

// Divisions yields all divisions by code.
func (t *Tx) Divisions() iter.Seq[bus.Division] { return all[bus.Division](t, Divisions) }

// Node returns the node with this id.
func (t *Tx) Node(id bus.NodeID) (bus.Node, bool) { return read[bus.Node](t, Nodes, string(id)) }

// Nodes yields all nodes by id.
func (t *Tx) Nodes() iter.Seq[bus.Node] { return all[bus.Node](t, Nodes) }

// Department returns the department with this code.
func (t *Tx) Department(id bus.USCC) (bus.Department, bool) {
	return read[bus.Department](t, Departments, string(id))
}

// Departments yields all departments by code.
func (t *Tx) Departments() iter.Seq[bus.Department] { return all[bus.Department](t, Departments) }

// Resource returns the resource with this id.
func (t *Tx) Resource(id bus.ResourceID) (bus.Resource, bool) {
	return read[bus.Resource](t, Resources, string(id))
}

// Resources yields all resources by id.
func (t *Tx) Resources() iter.Seq[bus.Resource] { return all[bus.Resource](t, Resources) }

// ResourcesAfter yields the resources after id, in the order of their ids.
func (t *Tx) ResourcesAfter(id bus.ResourceID) iter.Seq[bus.Resource] {
	return from[bus.Resource](t, Resources, string(id)+"\x00")
}

// Draft returns the draft of a resource.
func (t *Tx) Draft(id bus.ResourceID) (bus.Draft, bool) {
	return read[bus.Draft](t, Drafts, string(id))
}

// DraftsAfter yields the drafts of resources after id, in the order of their ids.
func (t *Tx) DraftsAfter(id bus.ResourceID) iter.Seq[bus.Draft] {
	return from[bus.Draft](t, Drafts, string(id)+"\x00")
}

// Reviews yields the drafts that await their review, in the order of their ids; it
// reads no other.
func (t *Tx) Reviews() iter.Seq[bus.Draft] {
	return func(yield func(bus.Draft) bool) {
		cursor := t.tx.Bucket([]byte(reviews)).Cursor()
		for id, _ := cursor.First(); id != nil; id, _ = cursor.Next() {
			if d, _ := t.Draft(bus.ResourceID(id)); !yield(d) {
				return
			}
		}
	}
}

// Version returns a published version of a resource, numbered from 1.
func (t *Tx) Version(id bus.ResourceID, number int) (bus.Version, bool) {
	return read[bus.Version](t, Versions, versionKey(id, number))
}

// Versions yields the published versions of a resource, the first one first; those
// of one that was withdrawn too.
func (t *Tx) Versions(id bus.ResourceID) iter.Seq[bus.Version] {
	return func(yield func(bus.Version) bool) {
		for v := range from[bus.Version](t, Versions, string(id)+"/") {
			if v.Resource.ID != id || !yield(v) {
				return
			}
		}
	}
}

// AllVersions yields the published versions of all resources, by resource and number.
func (t *Tx) AllVersions() iter.Seq[bus.Version] { return all[bus.Version](t, Versions) }

// Provider returns the department that provides, or provided, a resource.
func (t *Tx) Provider(id bus.ResourceID) bus.USCC {
	if r, ok := t.Resource(id); ok {
		return r.Provider
	}
	first, _ := t.Version(id, 1)
	return first.Resource.Provider
}

func versionKey(id bus.ResourceID, number int) string { return fmt.Sprintf("%s/%06d", id, number) }

// Token returns the join token with this id, used or not.
func (t *Tx) Token(id bus.TokenID) (bus.Token, bool) { return read[bus.Token](t, Tokens, string(id)) }

// Grant returns the grant with this id.
func (t *Tx) Grant(id bus.GrantID) (bus.Grant, bool) { return read[bus.Grant](t, Grants, string(id)) }

// Grants yields all grants by id.
func (t *Tx) Grants() iter.Seq[bus.Grant] { return all[bus.Grant](t, Grants) }

// Subscription returns the subscription with this id.
func (t *Tx) Subscription(id bus.SubscriptionID) (bus.Subscription, bool) {
	return read[bus.Subscription](t, Subscriptions, string(id))
}

// Subscriptions yields all subscriptions by id.
func (t *Tx) Subscriptions() iter.Seq[bus.Subscription] {
	return all[bus.Subscription](t, Subscriptions)
}

// Layer returns the policy layer with this id.
func (t *Tx) Layer(id bus.LayerID) (bus.Layer, bool) { return read[bus.Layer](t, Layers, string(id)) }

// Layers yields all policy layers by id.
func (t *Tx) Layers() iter.Seq[bus.Layer] { return all[bus.Layer](t, Layers) }

// LayerDraft returns the draft of a policy layer.
func (t *Tx) LayerDraft(id bus.LayerID) (bus.LayerDraft, bool) {
	return read[bus.LayerDraft](t, LayerDrafts, string(id))
}

// LayerDrafts yields all drafts of policy layers by id.
func (t *Tx) LayerDrafts() iter.Seq[bus.LayerDraft] { return all[bus.LayerDraft](t, LayerDrafts) }

// LayerRevision returns a revision of a policy layer that is or was in force.
func (t *Tx) LayerRevision(id bus.LayerID, revision bus.Revision) (bus.LayerRevision, bool) {
	return read[bus.LayerRevision](t, LayerHistory, layerKey(id, revision))
}

// LayerRevisions yields the revisions of a policy layer, the first one first; those
// of one that was removed too.
func (t *Tx) LayerRevisions(id bus.LayerID) iter.Seq[bus.LayerRevision] {
	return func(yield func(bus.LayerRevision) bool) {
		for r := range from[bus.LayerRevision](t, LayerHistory, string(id)+"/") {
			if r.Draft.ID != id || !yield(r) {
				return
			}
		}
	}
}

func layerKey(id bus.LayerID, revision bus.Revision) string {
	return fmt.Sprintf("%s/%020d", id, revision)
}

// Account returns the account with this name.
func (t *Tx) Account(name string) (bus.Account, bool) { return read[bus.Account](t, Accounts, name) }

// Accounts yields all accounts by name.
func (t *Tx) Accounts() iter.Seq[bus.Account] { return all[bus.Account](t, Accounts) }

// Checkpoint returns the newest evidence checkpoint known of a node.
func (t *Tx) Checkpoint(id bus.NodeID) (bus.Checkpoint, bool) {
	return read[bus.Checkpoint](t, Checkpoints, string(id))
}

// Checkpoints yields the newest evidence checkpoint of every node.
func (t *Tx) Checkpoints() iter.Seq[bus.Checkpoint] { return all[bus.Checkpoint](t, Checkpoints) }

// Chain returns code and its ancestors, nearest first; empty for an unknown code.
func (t *Tx) Chain(code bus.DivisionCode) []bus.DivisionCode {
	var chain []bus.DivisionCode
	for d, ok := t.Division(code); ok; d, ok = t.Division(d.Parent) {
		chain = append(chain, d.Code)
	}
	return chain
}

// Home returns the node that serves a department: its own, else that of its
// division, else that of the nearest division above (the department is then a
// tenant of that node). ok is false where there is none.
func (t *Tx) Home(d bus.Department) (home bus.NodeID, ok bool) {
	if d.Node != "" {
		return d.Node, true
	}
	for _, code := range t.Chain(d.Division) {
		if id := t.bytes(Homes, string(code)); id != nil {
			return bus.NodeID(id), true
		}
	}
	return "", false
}

// Cluster returns the cluster's id and its CA certificate in PEM; empty before
// the first entry.
func (t *Tx) Cluster() (id, ca string) {
	return string(t.bytes(cluster, "id")), string(t.bytes(cluster, "ca"))
}

// Revision returns the index at which a table last changed.
func (t *Tx) Revision(table Table) bus.Revision {
	return t.number(revisions, string(table))
}

// number reads a revision, 0 where there is none: each decision asks for several.
func (t *Tx) number(table Table, key string) bus.Revision {
	data := t.bytes(table, key)
	if data == nil {
		return 0
	}
	n, err := strconv.ParseUint(string(data), 10, 64)
	if err != nil {
		return decoded[bus.Revision](table, key, data) // which tells what is wrong
	}
	return bus.Revision(n)
}

// Index returns the applied index that the transaction reads at.
func (t *Tx) Index() bus.Revision {
	return t.number(meta, keyApplied)
}
