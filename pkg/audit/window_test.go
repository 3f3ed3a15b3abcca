package audit_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// hourly is a log of 40 leaves, an hour apart, signed at 13 and 37.
func hourly(t testing.TB) (*fixture, []bus.Checkpoint) {
	f := newFixture(t)
	var held []bus.Checkpoint
	for n := range 40 {
		r := administered(fmt.Sprint(n))
		if n%5 == 0 {
			r = grounded(fmt.Sprint("d-", n), input{call: `{}`, facts: facts})
		}
		r.At = noon.Add(time.Duration(n) * time.Hour)
		f.append(r)
		if n == 12 || n == 36 {
			held = append(held, f.checkpoint())
		}
	}
	return f, held
}

func window(f *fixture, from, to int) []string {
	f.Helper()
	var file bytes.Buffer
	hour := func(n int) time.Time {
		if n < 0 {
			return time.Time{}
		}
		return noon.Add(time.Duration(n) * time.Hour)
	}
	f.view(func(tx *bbolt.Tx) error { return f.log.ExportWindow(&file, tx, f.key, hour(from), hour(to)) })
	return strings.SplitAfter(strings.TrimSuffix(file.String(), "\n"), "\n")
}

// TestEveryWindowVerifiesAlone takes every window of a log: it verifies, says what it
// covers, and how far that is signed.
func TestEveryWindowVerifiesAlone(t *testing.T) {
	f, held := hourly(t)
	for from := -1; from <= 41; from += 3 {
		for to := max(from, 0); to <= 41; to += 5 {
			r := verifyLines(t, f, window(f, from, to), held...)
			first, end := int64(min(max(from, 0), 40)), int64(min(to, 40))
			signed := end
			if end > 37 {
				signed = max(37, first)
			}
			if !r.Verified || r.First != first || r.Leaves != end || r.Signed != signed {
				t.Errorf("%d to %d: %+v", from, to, r)
			}
		}
	}
}

// S51: of a window, too, no leaf is changed, left out, added or moved unseen.
func TestS51_AWindowThatWasTamperedWithIsNamed(t *testing.T) {
	f, held := hourly(t)
	lines := window(f, 6, 21) // 6 to 20: a checkpoint of 13 within, one of 37 after
	leaf := func(n int) int {
		return slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, fmt.Sprintf(`{"leaf":%d,`, n)) })
	}
	for name, edit := range map[string]func([]string) []string{
		"first left out":     func(l []string) []string { return slices.Delete(l, leaf(6), leaf(6)+1) },
		"one left out":       func(l []string) []string { return slices.Delete(l, leaf(9), leaf(9)+1) },
		"last left out":      func(l []string) []string { return slices.Delete(l, leaf(20), leaf(20)+1) },
		"swapped":            func(l []string) []string { l[leaf(7)], l[leaf(8)] = l[leaf(8)], l[leaf(7)]; return l },
		"twice":              func(l []string) []string { return slices.Insert(l, leaf(8), l[leaf(7)]) },
		"another edge":       func(l []string) []string { l[0] = strings.Replace(l[0], `"edge":["`, `"edge":["AAAA`, 1); return l },
		"an edge of another": func(l []string) []string { l[0] = strings.Replace(l[0], `"from":6`, `"from":5`, 1); return l },
		"begins elsewhere": func(l []string) []string {
			l[0] = strings.Replace(l[0], `"from":6`, `"from":3`, 1)
			return l
		},
		"the end elsewhere": func(l []string) []string { l[0] = strings.Replace(l[0], `"size":21`, `"size":20`, 1); return l },
		"another proof": func(l []string) []string {
			at := len(l) - 1
			l[at] = strings.Replace(l[at], `"proof":["`, `"proof":["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","`, 1)
			return l
		},
		"a leaf with its hash": func(l []string) []string {
			l[leaf(20)] = strings.Replace(l[leaf(19)], `"leaf":19`, `"leaf":20`, 1)
			return l
		},
	} {
		r, err := audit.VerifyExport(strings.NewReader(strings.Join(edit(slices.Clone(lines)), "")), held, f.key)
		if r.Verified || err == nil && r.Problem.EN == "" {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
}
