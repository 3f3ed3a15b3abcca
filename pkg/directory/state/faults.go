package state

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/gxbus/gxbus/pkg/bus"
)

// maxFaults is how many faults are told; a file with one has often thousands.
const maxFaults = 20

// Faults compares the tables with each other: keys with what they hold, indexes
// with what they are made from, references with what they point at. It returns at
// most 20 faults, none for a sound directory. Only a damaged file, or a defect of
// this program, has any.
func (t *Tx) Faults() []string {
	f := &faultFinder{tx: t}
	for _, check := range []func(){f.keys, f.codes, f.reviews, f.certificates, f.homes, f.references, f.journal, f.layers, f.revisions} {
		f.guarded(check)
	}
	return f.found
}

type faultFinder struct {
	tx    *Tx
	found []string
}

// guarded turns the panic over a value that cannot be read into a fault.
func (f *faultFinder) guarded(check func()) {
	defer func() {
		if p := recover(); p != nil {
			f.add("%v", p)
		}
	}()
	check()
}

func (f *faultFinder) add(format string, args ...any) {
	if len(f.found) < maxFaults {
		f.found = append(f.found, fmt.Sprintf(format, args...))
	}
}

// keys holds each key against the id within.
func (f *faultFinder) keys() {
	for table, id := range map[Table]string{
		Divisions: "code", Nodes: "id", Tokens: "id", Departments: "id", Systems: "id", Resources: "id", Drafts: "id", Grants: "id",
		Subscriptions: "id", Layers: "id", LayerDrafts: "id", Accounts: "name", Checkpoints: "node", Attachments: "resource",
		Reports: "id",
	} {
		_ = f.tx.tx.Bucket([]byte(table)).ForEach(func(key, data []byte) error { // only our own errors, and there are none
			var v map[string]json.RawMessage
			var have string
			if json.Unmarshal(data, &v) != nil || json.Unmarshal(v[id], &have) != nil || have != string(key) {
				f.add("%s %q holds %q", table, key, have)
			}
			return nil
		})
	}
}

// codes holds the index of codes against the entries in force, the drafts, and what
// is withdrawn, whose codes nobody else gets.
func (f *faultFinder) codes() {
	listed := map[bus.ResourceCode]bool{}
	list := func(id bus.ResourceID, codes []bus.ResourceCode) {
		for _, code := range codes {
			listed[code] = true
			if owner := f.tx.bytes(Codes, string(code)); string(owner) != string(id) {
				f.add("code %s of resource %s is indexed for %q", code, id, owner)
			}
		}
	}
	for r := range f.tx.Resources() {
		list(r.ID, r.Codes)
	}
	for d := range all[bus.Draft](f.tx, Drafts) {
		list(d.ID, d.Resource.Codes)
	}
	_ = f.tx.tx.Bucket([]byte(Codes)).ForEach(func(code, owner []byte) error { // only our own errors, and there are none
		if !listed[bus.ResourceCode(code)] && !f.withdrawn(bus.ResourceID(owner)) {
			f.add("code %s is indexed for %q, which has no such code", code, owner)
		}
		return nil
	})
}

// reviews holds the index of what awaits its review against the drafts.
func (f *faultFinder) reviews() {
	for d := range f.tx.DraftsAfter("") {
		if listed := f.tx.bytes(reviews, string(d.ID)) != nil; listed != d.Awaits() {
			f.add("draft %s is %s, and listed for review: %v", d.ID, d.State, listed)
		}
	}
	for d := range f.tx.Reviews() {
		if d.ID == "" {
			f.add("a draft is listed for review that is not there")
		}
	}
}

func (f *faultFinder) withdrawn(id bus.ResourceID) bool {
	return f.tx.bytes(retired, string(Resources)+"/"+string(id)) != nil
}

// certificates holds the index of registered certificates against the systems.
func (f *faultFinder) certificates() {
	listed := map[string]bool{}
	for s := range f.tx.Systems() {
		for _, c := range s.Credentials {
			if fingerprint, ok := c.Certificate(); ok {
				listed[fingerprint] = true
				if owner := f.tx.bytes(certificates, fingerprint); string(owner) != string(s.ID) {
					f.add("certificate %s of system %s is indexed for %q", fingerprint, s.ID, owner)
				}
			}
		}
	}
	_ = f.tx.tx.Bucket([]byte(certificates)).ForEach(func(fingerprint, owner []byte) error { // only our own errors, and there are none
		if !listed[string(fingerprint)] {
			f.add("certificate %s is indexed for %q, which has no such certificate", fingerprint, owner)
		}
		return nil
	})
}

func (f *faultFinder) homes() {
	for d := range f.tx.Divisions() {
		id := f.tx.bytes(Homes, string(d.Code))
		if n, ok := f.tx.Node(bus.NodeID(id)); id != nil && (!ok || n.Division != d.Code) {
			f.add("division %s is served by %q, which is not a node of it", d.Code, id)
		}
	}
	for n := range f.tx.Nodes() {
		if n.Division != "" && f.tx.bytes(Homes, string(n.Division)) == nil {
			f.add("no node serves division %s of node %s", n.Division, n.ID)
		}
	}
}

func (f *faultFinder) references() {
	for d := range f.tx.Departments() {
		if _, ok := f.tx.Division(d.Division); !ok {
			f.add("department %s is of division %s, which is not there", d.ID, d.Division)
		}
	}
	for s := range f.tx.Systems() {
		if _, ok := f.tx.Department(s.Department); !ok {
			f.add("system %s is of department %s, which is not there", s.ID, s.Department)
		}
	}
	for r := range f.tx.Resources() {
		if _, ok := f.tx.Department(r.Provider); !ok {
			f.add("resource %s is of department %s, which is not there", r.ID, r.Provider)
		}
	}
	for s := range f.tx.Subscriptions() {
		if _, ok := f.tx.Resource(s.Resource); !ok && !f.withdrawn(s.Resource) {
			f.add("subscription %s is to resource %s, which is not there", s.ID, s.Resource)
		}
		if _, ok := f.tx.System(s.System); !ok {
			f.add("subscription %s is of system %s, which is not there", s.ID, s.System)
		}
	}
}

// journal holds the entries that are kept against where they are.
func (f *faultFinder) journal() {
	floor, index := f.tx.ChangesFloor(), f.tx.Index()
	if floor > index {
		f.add("changes are kept from %d on, beyond the applied index %d", floor, index)
	}
	cursor := f.tx.tx.Bucket([]byte(journal)).Cursor()
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		if len(key) != len(place{}) {
			f.add("the journal has an entry at %x", key)
			return
		}
		if at := place(key).index(); at > index || at <= floor && floor > 0 {
			f.add("the journal has an entry at %d, kept are %d to %d", at, floor, index)
		}
		_ = decodeJournalled(key, value) // panics over one that cannot be read
	}
}

// layers holds the policies in force against the newest revision of each that was
// kept: a text that nobody activated is one.
func (f *faultFinder) layers() {
	newest := map[bus.LayerID]bus.LayerRevision{}
	for r := range all[bus.LayerRevision](f.tx, LayerHistory) {
		newest[r.Draft.ID] = r // in the order of their revisions
		if _, ok := f.tx.LayerRevision(r.Draft.ID, r.Revision); !ok {
			f.add("revision %d of layer %s is kept as another", r.Revision, r.Draft.ID)
		}
	}
	for l := range f.tx.Layers() {
		last, ok := newest[l.ID]
		kept, inForce := last.Layer()
		if !ok || !inForce || kept.Revision != l.Revision || !maps.Equal(kept.Modules, l.Modules) {
			f.add("layer %s at %d is not what was activated last, at %d", l.ID, l.Revision, kept.Revision)
		}
		delete(newest, l.ID)
	}
	for id, r := range newest {
		if _, ok := r.Layer(); ok {
			f.add("layer %s is not in force, though revision %d is", id, r.Revision)
		}
	}
}

func (f *faultFinder) revisions() {
	index := f.tx.Index()
	for _, table := range tables {
		if r := f.tx.Revision(table); r > index {
			f.add("table %s changed at %d, beyond the applied index %d", table, r, index)
		}
	}
}
