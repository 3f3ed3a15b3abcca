package audit_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/raced"
)

func TestSoundLogVerifies(t *testing.T) {
	f, held := filled(t)
	r := f.verify(held...)
	if !r.Verified || r.Leaves != 21 || r.Signed != 21 || r.Checkpoints != 6 || r.BadLeaf != -1 || r.Origin != origin || r.Problem != (bus.Text{}) {
		t.Errorf("%+v", r)
	}
	if string(r.Root[:]) != string(held[2].Root) {
		t.Errorf("root %s", r.Root)
	}
	if reversed := f.verify(held[2], held[0], held[1]); reversed != r {
		t.Errorf("known in another order: %+v", reversed)
	}
	f.append(administered("not signed yet"))
	if r := f.verify(); !r.Verified || r.Leaves != 22 || r.Signed != 21 {
		t.Errorf("%+v", r)
	}
	if r := newFixture(t).verify(); !r.Verified || r.Leaves != 0 || r.BadLeaf != -1 {
		t.Errorf("empty: %+v", r)
	}
}

// TestS51EachEditedByteNamesItsLeaf flips every byte of some leaves, in three
// ways; among them are edits that leave the JSON equal in meaning.
func TestS51EachEditedByteNamesItsLeaf(t *testing.T) {
	raced.Later(t)
	f, held := filled(t)
	for _, n := range []int64{0, 6, 7, 20} {
		var original []byte
		f.tamper(func(leaves, _, _ *bbolt.Bucket) { original = slices.Clone(leaves.Get(key(n))) })
		for at := range original {
			edited := slices.Clone(original)
			edited[at] ^= []byte{1, 0x20, 0x80}[at%3]
			checkEdit(t, f, n, edited, held)
		}
		for _, edited := range [][]byte{
			append(slices.Clone(original), ' '),
			bytes.Replace(original, []byte(`"v":1`), []byte(`"V":1`), 1),
			bytes.Replace(original, []byte(`"kind"`), []byte(`"k\u0069nd"`), 1),
			original[:len(original)-1],
			{},
			nil,
			[]byte("null"),
			[]byte("\xff\xfe"),
			bytes.Repeat([]byte("["), 1<<17),
		} {
			checkEdit(t, f, n, edited, held)
		}
		f.tamper(func(leaves, _, _ *bbolt.Bucket) { leaves.Put(key(n), original) })
		if r := f.verify(held...); !r.Verified {
			t.Fatalf("put back: %+v", r)
		}
	}
}

// checkEdit verifies the log and its export with leaf n edited, in a transaction
// that is then rolled back.
func checkEdit(t *testing.T, f *fixture, n int64, edited []byte, held []bus.Checkpoint) {
	t.Helper()
	tx, err := f.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	tx.Bucket([]byte("evidence")).Bucket([]byte("leaves")).Put(key(n), edited)
	inPlace, exported := verifyBoth(t, f, tx, held)
	for _, r := range []audit.Report{inPlace, exported} {
		if r.Verified || r.BadLeaf != n || r.From != n || r.To != n+1 {
			t.Fatalf("leaf %d edited to %.80q: %+v", n, edited, r)
		}
	}
}

func verifyBoth(t *testing.T, f *fixture, tx *bbolt.Tx, held []bus.Checkpoint) (inPlace, exported audit.Report) {
	t.Helper()
	inPlace, err := f.log.Verify(tx, held, f.key)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := f.log.Export(&file, tx, f.key); err != nil {
		t.Fatal(err)
	}
	if exported, err = audit.VerifyExport(&file, held, f.key); err != nil {
		t.Fatal(err)
	}
	return inPlace, exported
}

// tampering is a change below the log and what verification must say of it.
type tampering struct {
	name     string
	change   func(leaves, hashes, checkpoints *bbolt.Bucket)
	bad      int64 // BadLeaf
	from, to int64
	problem  string // part of the English text
	unheld   bool   // seen without the copies that others hold, too
}

// whole makes a forgery that fits its own hashes.
func whole(forge func(all [][]byte) [][]byte) func(leaves, hashes, _ *bbolt.Bucket) {
	return func(leaves, hashes, _ *bbolt.Bucket) { restore(leaves, hashes, forge(contents(leaves))) }
}

func forget(checkpoints *bbolt.Bucket, sizes ...int64) {
	for _, size := range sizes {
		checkpoints.Delete(key(size))
	}
}

var tamperings = []tampering{
	{"S51 deleted", func(l, _, _ *bbolt.Bucket) { l.Delete(key(5)) }, 5, 5, 6, "leaf 5 is missing", true},
	{"S51 first deleted", func(l, _, _ *bbolt.Bucket) { l.Delete(key(0)) }, 0, 0, 1, "leaf 0 is missing", true},
	{"S51 deleted and closed up", func(l, _, _ *bbolt.Bucket) {
		all := contents(l)
		for n := 5; n < 20; n++ {
			l.Put(key(int64(n)), all[n+1])
		}
		l.Delete(key(20))
	}, 5, 5, 6, "does not match its hash", true},
	{"S51 swapped", func(l, _, _ *bbolt.Bucket) {
		all := contents(l)
		l.Put(key(3), all[9])
		l.Put(key(9), all[3])
	}, 3, 3, 4, "does not match its hash", true},
	{"S51 inserted between keys", func(l, _, _ *bbolt.Bucket) {
		l.Put(append(key(4), 0), encoded(administered("forged")))
	}, 5, 5, 6, "foreign entry", true},
	{"S51 inserted at the end", func(l, h, _ *bbolt.Bucket) {
		l.Put(key(21), encoded(administered("forged")))
	}, 21, 21, 22, "does not match its hash", true},
	{"S51 inserted under a key of no leaf", func(l, _, _ *bbolt.Bucket) {
		l.Put([]byte("z"), encoded(administered("forged")))
	}, 21, 21, 22, "foreign entry", true},
	{"S51 edited with its hash", whole(func(all [][]byte) [][]byte {
		all[9] = encoded(administered("forged"))
		return all
	}), -1, 7, 16, "a leaf from 7 to 15 was changed", true},
	{"S51 inserted with hashes", whole(func(all [][]byte) [][]byte {
		return slices.Insert(all, 18, encoded(administered("forged")))
	}), -1, 16, 21, "a leaf from 16 to 20 was changed", true},
	{"S51 deleted with hashes", whole(func(all [][]byte) [][]byte { return slices.Delete(all, 0, 1) }), -1, 0, 7, "a leaf from 0 to 6 was changed", true},
	{"S51 swapped with hashes", whole(func(all [][]byte) [][]byte {
		all[7], all[8] = all[8], all[7]
		return all
	}), -1, 7, 16, "a leaf from 7 to 15 was changed", true},
	{"undecodable with its hash", whole(func(all [][]byte) [][]byte {
		all[4] = []byte("\x00\xff not JSON")
		return all
	}), 4, 4, 5, "cannot be read", true},
	{"of a later version with its hash", whole(func(all [][]byte) [][]byte {
		all[4] = bytes.Replace(all[4], []byte(`"v":1`), []byte(`"v":2`), 1)
		return all
	}), 4, 4, 5, "cannot be read", true},
	{"truncated, checkpoints kept", whole(func(all [][]byte) [][]byte { return all[:18] }), 18, 18, 21, "leaf 18 is missing", true},
	{"emptied, checkpoints kept", whole(func([][]byte) [][]byte { return nil }), 0, 0, 7, "leaf 0 is missing", true},
	{"S52 truncated, checkpoints too", func(l, h, c *bbolt.Bucket) {
		whole(func(all [][]byte) [][]byte { return all[:16] })(l, h, c)
		forget(c, 21)
	}, 16, 16, 21, "that others hold covers 21 leaves", false},
	{"S52 emptied, checkpoints too", func(l, h, c *bbolt.Bucket) {
		whole(func([][]byte) [][]byte { return nil })(l, h, c)
		forget(c, 7, 16, 21)
	}, 0, 0, 21, "that others hold covers 21 leaves", false},
	{"checkpoint edited", func(_, _, c *bbolt.Bucket) {
		c.Put(key(16), bytes.Replace(c.Get(key(16)), []byte("\n16\n"), []byte("\n15\n"), 1))
	}, -1, 16, 16, "the checkpoint kept before leaf 16 does not verify", true},
	{"checkpoint emptied", func(_, _, c *bbolt.Bucket) { c.Put(key(16), nil) }, -1, 16, 16, "does not verify", true},
	{"checkpoint moved up", func(_, _, c *bbolt.Bucket) {
		c.Put(key(17), slices.Clone(c.Get(key(16))))
	}, -1, 16, 17, "size 16 is not in its place", true},
	{"checkpoint under a key of no size", func(_, _, c *bbolt.Bucket) {
		c.Put([]byte("z"), slices.Clone(c.Get(key(16))))
	}, -1, 16, 21, "size 16 is not in its place", true},
}

func TestTamperingIsNamed(t *testing.T) {
	for _, c := range tamperings {
		t.Run(c.name, func(t *testing.T) {
			f, held := filled(t)
			f.tamper(c.change)
			f.view(func(tx *bbolt.Tx) error {
				inPlace, exported := verifyBoth(t, f, tx, held)
				for where, r := range map[string]audit.Report{"in place": inPlace, "exported": exported} {
					if r.Verified || r.BadLeaf != c.bad || r.From != c.from || r.To != c.to || !strings.Contains(r.Problem.EN, c.problem) || r.Problem.ZH == "" {
						t.Errorf("%s: %+v", where, r)
					}
				}
				alone, _ := verifyBoth(t, f, tx, nil)
				if alone.Verified == c.unheld {
					t.Errorf("without held copies: %+v", alone)
				}
				return nil
			})
		})
	}
}

// TestS52SignedAgain rewrites history, drops every checkpoint and signs anew with
// the node's own key: the node's file is then sound, the copy elsewhere proves it.
func TestS52SignedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		forge    func(all [][]byte) [][]byte
		bad      int64
		from, to int64
	}{
		"truncated": {func(all [][]byte) [][]byte { return all[:18] }, 18, 18, 21},
		"edited":    {func(all [][]byte) [][]byte { all[2] = encoded(administered("forged")); return all }, -1, 0, 7},
		"truncated and refilled": {func(all [][]byte) [][]byte {
			return append(all[:18], encoded(administered("a")), encoded(administered("b")), encoded(administered("c")), encoded(administered("d")))
		}, -1, 16, 21},
	} {
		t.Run(name, func(t *testing.T) {
			f, held := filled(t)
			f.tamper(func(l, h, checkpoints *bbolt.Bucket) {
				restore(l, h, c.forge(contents(l)))
				forget(checkpoints, 7, 16, 21)
			})
			f.update(func(tx *bbolt.Tx) error { // an index to fit
				top := tx.Bucket([]byte("evidence"))
				for _, b := range []string{"ranges", "decisions"} {
					top.DeleteBucket([]byte(b))
					top.CreateBucket([]byte(b))
				}
				all := contents(top.Bucket([]byte("leaves")))
				for _, b := range []string{"leaves", "hashes"} {
					top.DeleteBucket([]byte(b))
					top.CreateBucket([]byte(b))
				}
				return reappend(f, tx, all)
			})
			f.checkpoint()
			if r := f.verify(); !r.Verified {
				t.Fatalf("the forgery is not sound in itself: %+v", r)
			}
			r := f.verify(held...)
			if r.Verified || r.BadLeaf != c.bad || r.From != c.from || r.To != c.to || !strings.Contains(r.Problem.EN, "that others hold") {
				t.Errorf("%+v", r)
			}
			if r := f.verify(held[2]); r.Verified {
				t.Errorf("the last held copy alone: %+v", r)
			}
		})
	}
}

func TestHashesEditedAreNamed(t *testing.T) {
	f, held := filled(t)
	cases := []struct {
		leaf     int64
		at       int
		bad      int64
		from, to int64
	}{
		{6, 0, 6, 6, 7},   // the leaf's own
		{7, 32, -1, 6, 8}, // above two
		{7, 64, -1, 4, 8}, // above four
		{15, 159, -1, 0, 16},
	}
	for _, c := range cases {
		tx, err := f.db.Begin(true)
		if err != nil {
			t.Fatal(err)
		}
		hashes := tx.Bucket([]byte("evidence")).Bucket([]byte("hashes"))
		edited := slices.Clone(hashes.Get(key(c.leaf)))
		edited[c.at] ^= 1
		hashes.Put(key(c.leaf), edited)
		r, err := f.log.Verify(tx, held, f.key)
		if err != nil || r.Verified || r.BadLeaf != c.bad || r.From != c.from || r.To != c.to {
			t.Errorf("hash of leaf %d, byte %d: %+v %v", c.leaf, c.at, r, err)
		}
		for name, change := range map[string]func(){
			"cut":     func() { hashes.Put(key(c.leaf), edited[:len(edited)-1]) },
			"longer":  func() { hashes.Put(key(c.leaf), append(edited, edited...)) },
			"dropped": func() { hashes.Delete(key(c.leaf)) },
			"beyond":  func() { hashes.Put(key(21), edited) },
		} {
			change()
			if r, err := f.log.Verify(tx, held, f.key); err != nil || r.Verified {
				t.Errorf("%s: %+v %v", name, r, err)
			}
		}
		tx.Rollback()
	}
	var right []byte
	f.tamper(func(_, hashes, _ *bbolt.Bucket) {
		right = slices.Clone(hashes.Get(key(9)))
		hashes.Put(key(9), append(slices.Clone(right), right...))
	})
	if r := f.verify(held...); r.Verified || r.BadLeaf != 9 {
		t.Errorf("hashes added behind the right ones: %+v", r)
	}
	f.tamper(func(_, hashes, _ *bbolt.Bucket) {
		hashes.Put(key(9), right)
		hashes.Put(key(21), make([]byte, 64))
	})
	if r := f.verify(); r.Verified || r.BadLeaf != 21 || !strings.Contains(r.Problem.EN, "leaf 21 is missing") {
		t.Errorf("%+v", r)
	}
}

// TestS51ByteEditedInTheFile edits the database file itself, every copy of the
// leaf in it.
func TestS51ByteEditedInTheFile(t *testing.T) {
	f, held := filled(t)
	path := f.db.Path()
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	leaf := encoded(forwarded(141, 150)) // the fifth of the second batch
	if bytes.Count(file, leaf) == 0 {
		t.Fatal("the leaf is not in the file")
	}
	edited := bytes.Replace(slices.Clone(leaf), []byte(`"events":10`), []byte(`"events":90`), 1)
	if err := os.WriteFile(path, bytes.ReplaceAll(file, leaf, edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if f.db, err = bbolt.Open(path, 0o600, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.db.Close() })
	f.view(func(tx *bbolt.Tx) error {
		log, err := audit.OpenExisting(tx)
		if err != nil {
			return err
		}
		r, err := log.Verify(tx, held, f.key)
		if r.Verified || r.BadLeaf != 11 {
			t.Errorf("%+v", r)
		}
		return err
	})
}

func TestVerifyTakesNothingOnTrust(t *testing.T) {
	f, held := filled(t)
	_, otherKey, _ := audit.GenerateKey(origin)
	_, foreignKey, _ := audit.GenerateKey("gxbus/sample/n440300")
	lied := held[0]
	lied.Size = 8
	wrongRoot := held[0]
	wrongRoot.Root = make([]byte, 32)
	unsigned := held[0]
	unsigned.Note = strings.Replace(unsigned.Note, "\n7\n", "\n6\n", 1)
	for name, c := range map[string]struct {
		known []bus.Checkpoint
		keys  []string
		field string
	}{
		"no key":                      {nil, nil, "key"},
		"not a key":                   {nil, []string{"x"}, "key"},
		"key of another log":          {nil, []string{foreignKey}, "key"},
		"known of another size":       {[]bus.Checkpoint{held[1], lied}, []string{f.key}, "known[1]"},
		"known of another root":       {[]bus.Checkpoint{wrongRoot}, []string{f.key}, "known[0]"},
		"known not signed with a key": {held, []string{otherKey}, "known[0]"},
		"known changed after the pen": {[]bus.Checkpoint{unsigned}, []string{f.key}, "known[0]"},
	} {
		f.view(func(tx *bbolt.Tx) error {
			_, err := f.log.Verify(tx, c.known, c.keys...)
			if bus.CodeOf(err) != bus.CodeInvalid || !strings.Contains(err.Error(), c.field) {
				t.Errorf("%s: %v", name, err)
			}
			return nil
		})
	}
	f.view(func(tx *bbolt.Tx) error {
		if r, err := f.log.Verify(tx, nil, otherKey); err != nil || r.Verified || !strings.Contains(r.Problem.EN, "does not verify") {
			t.Errorf("signed with another key: %+v %v", r, err)
		}
		if r, err := f.log.Verify(tx, held, otherKey, f.key); err != nil || !r.Verified {
			t.Errorf("after a change of keys: %+v %v", r, err)
		}
		return nil
	})
}

// reappend appends leaves anew through the log itself.
func reappend(f *fixture, tx *bbolt.Tx, all [][]byte) error {
	records, err := decodeAll(all)
	if err != nil {
		return err
	}
	if _, err := f.log.Append(tx, records...); err != nil {
		return fmt.Errorf("append anew: %w", err)
	}
	return nil
}
