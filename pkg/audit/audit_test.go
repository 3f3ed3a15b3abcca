package audit_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

const origin = "gxbus/sample/n440100"

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.FixedZone("CST", 8*3600))

// fixture is a log in a real file with the key of its node.
type fixture struct {
	testing.TB
	db     *bbolt.DB
	log    *audit.Log
	signer note.Signer
	key    string
}

func newFixture(t testing.TB) *fixture { return newFixtureOf(t, origin) }

func newFixtureOf(t testing.TB, origin string) *fixture {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "exchange.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f := &fixture{TB: t, db: db}
	secret, _, err := audit.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	if f.signer, f.key, err = audit.OpenKey(secret); err != nil {
		t.Fatal(err)
	}
	f.update(func(tx *bbolt.Tx) error {
		f.log, err = audit.Open(tx, origin)
		return err
	})
	return f
}

func (f *fixture) update(do func(tx *bbolt.Tx) error) {
	f.Helper()
	if err := f.db.Update(do); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) view(do func(tx *bbolt.Tx) error) {
	f.Helper()
	if err := f.db.View(do); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) append(records ...audit.Record) (first int64) {
	f.Helper()
	f.update(func(tx *bbolt.Tx) (err error) {
		first, err = f.log.Append(tx, records...)
		return err
	})
	return first
}

func (f *fixture) checkpoint() (c bus.Checkpoint) {
	f.Helper()
	f.update(func(tx *bbolt.Tx) (err error) {
		c, err = f.log.Checkpoint(tx, f.signer)
		return err
	})
	return c
}

func (f *fixture) verify(known ...bus.Checkpoint) (r audit.Report) {
	f.Helper()
	f.view(func(tx *bbolt.Tx) (err error) {
		r, err = f.log.Verify(tx, known, f.key)
		return err
	})
	return r
}

// tamper changes the file below the log, as someone with the disk would.
func (f *fixture) tamper(do func(leaves, hashes, checkpoints *bbolt.Bucket)) {
	f.Helper()
	f.update(func(tx *bbolt.Tx) error {
		top := tx.Bucket([]byte("evidence"))
		do(top.Bucket([]byte("leaves")), top.Bucket([]byte("hashes")), top.Bucket([]byte("checkpoints")))
		return nil
	})
}

// filled is a log of 21 leaves signed at 7, 16 and 21; it returns the copies of
// the checkpoints that others hold.
func filled(t testing.TB) (*fixture, []bus.Checkpoint) {
	f := newFixture(t)
	var held []bus.Checkpoint
	for i, size := range []int{7, 9, 5} {
		batch := make([]audit.Record, size)
		for j := range batch {
			batch[j] = forwarded(uint64(100*i+10*j+1), uint64(100*i+10*j+10))
		}
		batch[0] = decided(fmt.Sprintf("d-%d", i))
		f.append(batch...)
		held = append(held, f.checkpoint())
	}
	return f, held
}

func forwarded(first, last uint64) audit.Record {
	return audit.Record{
		Kind: audit.KindForwarded, At: noon, Principal: bus.Principal{Node: "n440100"},
		Resource: "enterprise-registration", Subscription: "s-440106", Grant: "g-1",
		Provider: "114400000069401674", Consumer: "11440000006939561H",
		Purpose: bus.PurposeVerification, Matter: "11440106000000000X4000101001001",
		First: first, Last: last, Events: int(last - first + 1),
		Digest: audit.Digest(sha256.Sum256([]byte("event"))), DecisionID: "d-0",
	}
}

func decided(id string) audit.Record {
	return audit.Record{
		Kind: audit.KindDecision, At: noon, Resource: "enterprise-registration",
		Decision: &bus.Decision{
			ID: id, Action: "forward", At: noon, Allow: true,
			Obligations: bus.Obligations{Items: []bus.ItemID{"name"}, Masks: map[bus.ItemID]bus.Mask{"name": {Method: bus.MaskSurname}}},
			Layers:      map[bus.LayerID]bus.Revision{bus.BaseLayer: 1, "division/440000": 7}, Index: 9,
		},
	}
}

func administered(detail string) audit.Record {
	return audit.Record{Kind: audit.KindAdministered, At: noon, Detail: detail}
}

func key(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// restore writes a log of leaves with hashes that fit them, as a forger who
// knows the form would.
func restore(leaves, hashes *bbolt.Bucket, forged [][]byte) {
	for _, b := range []*bbolt.Bucket{leaves, hashes} {
		c := b.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.First() {
			b.Delete(k)
		}
	}
	var flat []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = flat[index]
		}
		return found, nil
	})
	for n, data := range forged {
		stored, err := tlog.StoredHashes(int64(n), data, read)
		if err != nil {
			panic(err)
		}
		flat = append(flat, stored...)
		var entry []byte
		for _, h := range stored {
			entry = append(entry, h[:]...)
		}
		leaves.Put(key(int64(n)), data)
		hashes.Put(key(int64(n)), entry)
	}
}

// contents copies the leaves out of the bucket.
func contents(leaves *bbolt.Bucket) [][]byte {
	var all [][]byte
	leaves.ForEach(func(_, data []byte) error {
		all = append(all, append([]byte(nil), data...))
		return nil
	})
	return all
}

func encoded(r audit.Record) []byte {
	r.V, r.Node, r.At = audit.RecordVersion, "n440100", r.At.UTC()
	data, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return data
}

func decodeAll(all [][]byte) ([]audit.Record, error) {
	records := make([]audit.Record, len(all))
	for n, data := range all {
		if err := json.Unmarshal(data, &records[n]); err != nil {
			return nil, err
		}
	}
	return records, nil
}
