package audit_test

import (
	"crypto/sha256"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// treeHead is RFC 6962 §2.1 word for word, to hold the stored tree against.
func treeHead(leaves [][]byte) [sha256.Size]byte {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		left, right := treeHead(leaves[:k]), treeHead(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
	}
}

func TestRootIsThatOfRFC6962WhateverTheBatches(t *testing.T) {
	f := newFixture(t)
	var want [][]byte
	for n := range 70 {
		batch := make([]audit.Record, n%5)
		for i := range batch {
			batch[i] = forwarded(uint64(n+1), uint64(n+i+1))
			want = append(want, encoded(batch[i]))
		}
		if n%7 == 0 { // two appends in one transaction
			f.update(func(tx *bbolt.Tx) error {
				r := administered("once more")
				want = append(want, encoded(r))
				if _, err := f.log.Append(tx, r); err != nil {
					return err
				}
				_, err := f.log.Append(tx, batch...)
				return err
			})
			last := len(want) - 1
			if len(batch) > 0 { // the extra record went first
				extra := want[last]
				copy(want[last-len(batch)+1:], want[last-len(batch):last])
				want[last-len(batch)] = extra
			}
		} else if first := f.append(batch...); first != int64(len(want)-len(batch)) {
			t.Fatalf("first = %d, want %d", first, len(want)-len(batch))
		}
		f.view(func(tx *bbolt.Tx) error {
			root, err := f.log.Root(tx)
			if root != treeHead(want) {
				t.Fatalf("root at %d leaves differs from RFC 6962", len(want))
			}
			return err
		})
	}
}

func TestProofOfEachLeafHolds(t *testing.T) {
	f, _ := filled(t)
	f.view(func(tx *bbolt.Tx) error {
		hashes, err := f.log.Hashes(tx)
		if err != nil {
			return err
		}
		root, _ := f.log.Root(tx)
		for n, data := range contents(tx.Bucket([]byte("evidence")).Bucket([]byte("leaves"))) {
			proof, err := tlog.ProveRecord(21, int64(n), hashes)
			if err != nil {
				return err
			}
			if err := tlog.CheckRecord(proof, 21, root, int64(n), tlog.RecordHash(data)); err != nil {
				t.Errorf("leaf %d: %v", n, err)
			}
		}
		return nil
	})
}

func TestRollbackLeavesTheLogRight(t *testing.T) {
	f, held := filled(t)
	stop := errors.New("stop")
	err := f.db.Update(func(tx *bbolt.Tx) error {
		if _, err := f.log.Append(tx, administered("never was"), administered("nor this")); err != nil {
			t.Fatal(err)
		}
		if _, err := f.log.Checkpoint(tx, f.signer); err != nil {
			t.Fatal(err)
		}
		return stop
	})
	if err != stop {
		t.Fatal(err)
	}
	if first := f.append(administered("was")); first != 21 {
		t.Fatalf("first = %d, want 21", first)
	}
	if r := f.verify(held...); !r.Verified || r.Leaves != 22 {
		t.Fatalf("%+v", r)
	}
}

func TestRecordsComeBackAsAppended(t *testing.T) {
	f := newFixture(t)
	want := []audit.Record{forwarded(1, 5), decided("d-1"), administered("grant g-1 created <ok> & \x1b[31m")}
	f.append(want...)
	f.view(func(tx *bbolt.Tx) error {
		n := 0
		for leaf, err := range f.log.Records(tx, -1, math.MaxInt64) {
			if err != nil {
				return err
			}
			if leaf.Index != int64(n) || string(encoded(leaf.Record)) != string(encoded(want[n])) {
				t.Errorf("leaf %d: %+v", n, leaf)
			}
			if r := leaf.Record; r.V != 1 || r.Node != "n440100" || r.At.Location() != time.UTC || !r.At.Equal(noon) {
				t.Errorf("leaf %d is stamped %d %s %s", n, r.V, r.Node, r.At)
			}
			n++
		}
		if n != len(want) {
			t.Errorf("%d records, want %d", n, len(want))
		}
		for leaf := range f.log.Records(tx, 1, 2) {
			if leaf.Index != 1 {
				t.Errorf("leaf %d from [1, 2)", leaf.Index)
			}
		}
		if _, err := f.log.Record(tx, 3); bus.CodeOf(err) != bus.CodeNotFound {
			t.Errorf("leaf beyond the end: %v", err)
		}
		return nil
	})
}

func TestAppendRefuses(t *testing.T) {
	with := func(change func(r *audit.Record)) audit.Record {
		r := forwarded(1, 10)
		change(&r)
		return r
	}
	cases := map[string]struct {
		record audit.Record
		code   bus.Code
		field  string
	}{
		"unknown kind":            {with(func(r *audit.Record) { r.Kind = "lost" }), bus.CodeInvalid, "kind"},
		"no time":                 {with(func(r *audit.Record) { r.At = time.Time{} }), bus.CodeInvalid, "at"},
		"another node":            {with(func(r *audit.Record) { r.Node = "n440300" }), bus.CodeInvalid, "node"},
		"range backwards":         {with(func(r *audit.Record) { r.First = 11 }), bus.CodeInvalid, "first"},
		"range without a first":   {with(func(r *audit.Record) { r.First = 0 }), bus.CodeInvalid, "first"},
		"range without a last":    {with(func(r *audit.Record) { r.Last = 0 }), bus.CodeInvalid, "first"},
		"more events than range":  {with(func(r *audit.Record) { r.Events = 11 }), bus.CodeInvalid, "events"},
		"negative events":         {with(func(r *audit.Record) { r.Events = -1 }), bus.CodeInvalid, "events"},
		"range of no resource":    {with(func(r *audit.Record) { r.Resource = "" }), bus.CodeInvalid, "resource"},
		"NUL in an index key":     {with(func(r *audit.Record) { r.Subscription = "a\x00b" }), bus.CodeInvalid, "subscription"},
		"digest of no suite":      {with(func(r *audit.Record) { r.Digest = "ab" }), bus.CodeInvalid, "digest"},
		"digest in capitals":      {with(func(r *audit.Record) { r.Digest = "sha256:" + strings.Repeat("AB", 32) }), bus.CodeInvalid, "digest"},
		"decision left out":       {with(func(r *audit.Record) { r.Kind = audit.KindDecision }), bus.CodeInvalid, "decision"},
		"decision of another":     {with(func(r *audit.Record) { r.Decision = decided("d").Decision }), bus.CodeInvalid, "decision"},
		"decision without an id":  {decided(""), bus.CodeInvalid, "decision.id"},
		"decision id of a novel":  {decided(strings.Repeat("d", audit.MaxDecisionID+1)), bus.CodeInvalid, "decision.id"},
		"refusal without a code":  {audit.Record{Kind: audit.KindRefused, At: noon}, bus.CodeInvalid, "code"},
		"administered, no detail": {administered(""), bus.CodeInvalid, "detail"},
		"over 64 KiB":             {administered(strings.Repeat("x", audit.MaxLeaf)), bus.CodeTooLarge, ""},
	}
	f := newFixture(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f.update(func(tx *bbolt.Tx) error {
				_, err := f.log.Append(tx, administered("a good one first"), c.record)
				var e *bus.Error
				if !errors.As(err, &e) || e.Code != c.code {
					t.Fatalf("err = %v, want %s", err, c.code)
				}
				if c.field != "" && e.Defects[0].Field != "records[1]."+c.field {
					t.Errorf("field %q, want %q", e.Defects[0].Field, c.field)
				}
				size, err := f.log.Size(tx)
				if size != 0 {
					t.Errorf("%d leaves were written", size)
				}
				return err
			})
		})
	}
}

func TestOpenKeepsToItsOrigin(t *testing.T) {
	f := newFixture(t)
	for given, want := range map[string]bus.Code{
		origin:                 "",
		"gxbus/other/n440100":  bus.CodeForeignCluster,
		"gxbus/sample/n440300": bus.CodeForeignCluster,
		"gxbus/sample":         bus.CodeInvalid,
		"gxbus/sample/N 1":     bus.CodeInvalid,
		"bus/sample/n440100":   bus.CodeInvalid,
	} {
		f.view(func(tx *bbolt.Tx) error {
			if _, err := audit.Open(tx, given); bus.CodeOf(err) != want {
				t.Errorf("%s: %v, want %q", given, err, want)
			}
			return nil
		})
	}
	f.update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("evidence")) })
	f.view(func(tx *bbolt.Tx) error {
		if _, err := audit.Open(tx, origin); bus.CodeOf(err) != bus.CodeNotInitialized {
			t.Errorf("open for reading where there is nothing: %v", err)
		}
		if _, err := f.log.Size(tx); bus.CodeOf(err) != bus.CodeNotInitialized {
			t.Errorf("size where there is nothing: %v", err)
		}
		return nil
	})
	f.view(func(tx *bbolt.Tx) error {
		if audit.Origin("sample", "n440100") != origin || f.log.Origin() != origin {
			t.Error("origin is spelt otherwise")
		}
		return nil
	})
}

func TestReadOnlyTransactionAppendsNothing(t *testing.T) {
	f := newFixture(t)
	f.view(func(tx *bbolt.Tx) error {
		if _, err := f.log.Append(tx, administered("x")); err == nil {
			t.Error("appended in a read-only transaction")
		}
		return nil
	})
}

// TestGoldenLeaf holds the bytes of version 1: a change here is a new version.
func TestGoldenLeaf(t *testing.T) {
	f := newFixture(t)
	f.append(forwarded(1, 10), decided("d-1"))
	want := []string{
		`{"v":1,"kind":"forwarded","at":"2026-03-02T04:00:00Z","node":"n440100","principal":{"node":"n440100"},` +
			`"resource":"enterprise-registration","subscription":"s-440106","grant":"g-1","provider":"114400000069401674",` +
			`"consumer":"11440000006939561H","purpose":"verification","matter":"11440106000000000X4000101001001",` +
			`"first":1,"last":10,"events":10,"digest":"sha256:` + goldenDigest + `","decision_id":"d-0"}`,
		`{"v":1,"kind":"decision","at":"2026-03-02T04:00:00Z","node":"n440100","resource":"enterprise-registration",` +
			`"decision":{"id":"d-1","action":"forward","at":"2026-03-02T12:00:00+08:00","allow":true,` +
			`"obligations":{"items":["name"],"masks":{"name":{"method":"surname"}}},"layers":{"base":1,"division/440000":7},"index":9}}`,
	}
	f.tamper(func(leaves, _, _ *bbolt.Bucket) {
		for n, got := range contents(leaves) {
			if string(got) != want[n] {
				t.Errorf("leaf %d\n got %s\nwant %s", n, got, want[n])
			}
		}
	})
}

// goldenDigest is sha256(sha256("event")), by another tool.
const goldenDigest = "2bff07c5c3f9b9dc2d5b28b02f05f2e2962af437219b50e237dead450f910f42"
