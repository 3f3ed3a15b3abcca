package audit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// input is a policy input as Split gives it.
type input struct {
	call, facts string
	err         error
}

func (i input) Split() (call, facts []byte, masked []string, err error) {
	return []byte(i.call), []byte(i.facts), []string{"/case"}, i.err
}

func grounded(id string, in input) audit.Record {
	r := decided(id)
	r.Decision.Grounds = &bus.Grounds{
		Input: in, Base: "sha256:" + strings.Repeat("0", 64), Took: time.Millisecond,
		Verdicts: []bus.Verdict{{Layer: bus.BaseLayer, Allow: true, Items: []bus.ItemID{}}, {Layer: "division/440000", Revision: 7}},
	}
	return r
}

const facts = `{"consumer":{},"provider":{}}`

func TestTheLeafOfADecisionNamesWhatItWasMadeOf(t *testing.T) {
	f := newFixture(t)
	record := grounded("d-1", input{call: `{"version":1}`, facts: facts})
	f.append(record, grounded("d-2", input{call: `{"version":1,"purpose":"reference"}`, facts: facts}))
	if record.Grounds != nil {
		t.Error("the caller's record was changed")
	}
	f.view(func(tx *bbolt.Tx) error {
		reader, err := f.log.Reader(tx)
		if err != nil {
			return err
		}
		leaf, err := reader.Decision("d-2")
		if err != nil {
			return err
		}
		g := leaf.Record.Grounds
		if g == nil || string(g.Call) != `{"version":1,"purpose":"reference"}` || !slices.Equal(g.Masked, []string{"/case"}) || g.Took != 1e6 {
			t.Fatalf("grounds %+v", g)
		}
		if text, err := reader.Part(g.Facts); err != nil || string(text) != facts {
			t.Errorf("facts %s %v", text, err)
		}
		text, err := reader.Part(g.Verdicts)
		var v audit.Verdicts
		if err != nil || json.Unmarshal(text, &v) != nil || len(v.Verdicts) != 2 || v.Verdicts[0].Items == nil || v.Verdicts[1].Items != nil {
			t.Errorf("verdicts %s %v: an empty list of items is not none", text, err)
		}
		if n := tx.Bucket([]byte("evidence")).Bucket([]byte("parts")).Stats().KeyN; n != 2 {
			t.Errorf("%d parts of two decisions that share them, want 2", n)
		}
		return nil
	})
	if r := f.verify(f.checkpoint()); !r.Verified {
		t.Errorf("%+v", r)
	}
}

func TestADecisionIsRecordedWhateverItsGroundsAre(t *testing.T) {
	f := newFixture(t)
	huge := strings.Repeat("x", audit.MaxPart)
	f.append(grounded("d-1", input{err: errors.New("no JSON")}), grounded("d-2", input{call: `{}`, facts: `"` + huge + `"`}), decided("d-3"))
	f.view(func(tx *bbolt.Tx) error {
		for n := range int64(3) {
			if r, err := f.log.Record(tx, n); err != nil || r.Decision == nil || r.Grounds != nil {
				t.Errorf("leaf %d: %+v %v", n, r, err)
			}
		}
		return nil
	})
}

func TestGroundsEditedOnTheDiskAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		edit    func(parts *bbolt.Bucket, key []byte) error
		problem string
	}{
		"changed": {func(parts *bbolt.Bucket, key []byte) error {
			return parts.Put(key, []byte(`{"consumer":{"department":"x"}}`))
		}, "do not match"},
		"deleted": {func(parts *bbolt.Bucket, key []byte) error { return parts.Delete(key) }, "not there"},
	} {
		f := newFixture(t)
		f.append(administered("first"), grounded("d-1", input{call: `{}`, facts: facts}))
		held := f.checkpoint()
		f.update(func(tx *bbolt.Tx) error {
			parts := tx.Bucket([]byte("evidence")).Bucket([]byte("parts"))
			key, _ := parts.Cursor().First()
			return c.edit(parts, bytes.Clone(key))
		})
		if r := f.verify(held); r.Verified || r.BadLeaf != 1 || !strings.Contains(r.Problem.EN, c.problem) {
			t.Errorf("%s: %+v", name, r)
		}
		if r := verifyLines(t, f, export(f), held); r.Verified || r.BadLeaf != 1 {
			t.Errorf("%s, exported: %+v", name, r)
		}
	}
}

func TestGroundsEditedInAnExportAreFound(t *testing.T) {
	f := newFixture(t)
	f.append(administered("first"), grounded("d-1", input{call: `{"purpose":"reference"}`, facts: facts}), grounded("d-2", input{call: `{}`, facts: facts}))
	held := f.checkpoint()
	lines := export(f)
	var at []int // the parts
	for i, line := range lines {
		if strings.HasPrefix(line, `{"part":`) {
			at = append(at, i)
		}
	}
	if len(at) != 2 || at[0] != 2 {
		t.Fatalf("parts at lines %v, want two before the first leaf that names them", at)
	}
	forged := base64.StdEncoding.EncodeToString([]byte(`{"base":"x","verdicts":[{"layer":"base","revision":0,"allow":true}]}`))
	for name, edit := range map[string]func(l []string) []string{
		"a layer's verdict dropped": func(l []string) []string {
			l[at[1]] = l[at[1]][:strings.Index(l[at[1]], `"text":`)] + `"text":"` + forged + "\"}\n"
			return l
		},
		"a part dropped":     func(l []string) []string { return slices.Delete(l, at[0], at[0]+1) },
		"a part moved down":  func(l []string) []string { l[at[1]], l[at[1]+1] = l[at[1]+1], l[at[1]]; return l },
		"under another name": func(l []string) []string { l[at[0]] = strings.Replace(l[at[0]], "sha256:", "sha256:0", 1); return l },
		"part and leaf in one": func(l []string) []string {
			l[at[0]] = strings.Replace(l[at[0]], `{"part"`, `{"leaf":1,"part"`, 1)
			return l
		},
		"the call edited": func(l []string) []string {
			var leaf struct{ Data []byte }
			if err := json.Unmarshal([]byte(l[at[1]+1]), &leaf); err != nil {
				t.Fatal(err)
			}
			edited := bytes.Replace(leaf.Data, []byte("reference"), []byte("otherwise"), 1)
			l[at[1]+1] = strings.Replace(l[at[1]+1], base64.StdEncoding.EncodeToString(leaf.Data), base64.StdEncoding.EncodeToString(edited), 1)
			return l
		},
	} {
		if r := verifyLines(t, f, edit(slices.Clone(lines)), held); r.Verified || r.BadLeaf != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := verifyLines(t, f, lines, held); !r.Verified {
		t.Errorf("unedited: %+v", r)
	}
}

// A file of a release without grounds is read, verified and appended to.
func TestALogOfBeforeThereWereGrounds(t *testing.T) {
	f, held := filled(t)
	f.update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("evidence")).DeleteBucket([]byte("parts")) })
	if r := f.verify(held...); !r.Verified {
		t.Errorf("%+v", r)
	}
	former := export(f)
	former[0] = strings.Replace(former[0], audit.ExportFormat, "gxbus-evidence/1", 1)
	if r := verifyLines(t, f, former, held...); !r.Verified {
		t.Errorf("exported: %+v", r)
	}
	f.append(grounded("d-9", input{call: `{}`, facts: facts}))
	if r := f.verify(held...); !r.Verified {
		t.Errorf("appended to: %+v", r)
	}
}

// Whatever an export holds, reading its decisions ends, with an error or the end.
func FuzzReadExport(f *testing.F) {
	fix := newFixture(f)
	fix.append(grounded("d-1", input{call: `{}`, facts: facts}), forwarded(1, 10))
	file := strings.Join(export(fix), "")
	f.Add([]byte(file))
	f.Add([]byte(file[:len(file)-40]))
	f.Add([]byte(strings.Replace(file, `"text":"`, `"text":"AAAA`, 1)))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := audit.OpenExport(bytes.NewReader(file))
		if err != nil {
			return
		}
		for {
			leaf, err := r.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				if bus.CodeOf(err) != bus.CodeInvalid {
					t.Error(err)
				}
				return
			}
			if leaf.Record.Decision == nil {
				t.Errorf("%+v is no decision", leaf)
			}
			if g := leaf.Record.Grounds; g != nil {
				if text, err := r.Part(g.Facts); err == nil && audit.PartDigest(text) != g.Facts {
					t.Errorf("%s is not %s", text, g.Facts)
				}
			}
		}
	})
}
