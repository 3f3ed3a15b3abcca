package audit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/raced"
)

// export is the export of f as lines: the header, then leaves and checkpoints.
func export(f *fixture) []string {
	f.Helper()
	var file bytes.Buffer
	f.view(func(tx *bbolt.Tx) error { return f.log.Export(&file, tx, f.key) })
	return strings.SplitAfter(strings.TrimSuffix(file.String(), "\n"), "\n")
}

func verifyLines(t testing.TB, f *fixture, lines []string, known ...bus.Checkpoint) audit.Report {
	t.Helper()
	r, err := audit.VerifyExport(strings.NewReader(strings.Join(lines, "")), known, f.key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestExportVerifiesAsTheLogDoes(t *testing.T) {
	f, held := filled(t)
	f.append(administered("not signed yet"))
	lines := export(f)
	if got, want := verifyLines(t, f, lines, held...), f.verify(held...); got != want || !got.Verified {
		t.Errorf("export %+v\n  log %+v", got, want)
	}
	if empty := newFixture(t); !verifyLines(t, empty, export(empty)).Verified {
		t.Error("an empty log does not verify")
	}
}

func TestExportCarriesTheExactBytes(t *testing.T) {
	f, _ := filled(t)
	odd := []byte("\xff\x00 \r\n<not> \"JSON\" \u2028")
	f.tamper(func(leaves, _, _ *bbolt.Bucket) { leaves.Put(key(3), odd) })
	var data [][]byte
	for _, line := range export(f)[1:] {
		var leaf struct{ Data []byte }
		if err := json.Unmarshal([]byte(line), &leaf); err != nil {
			t.Fatal(err)
		}
		if leaf.Data != nil {
			data = append(data, leaf.Data)
		}
	}
	f.tamper(func(leaves, _, _ *bbolt.Bucket) {
		for n, want := range contents(leaves) {
			if !bytes.Equal(data[n], want) {
				t.Errorf("leaf %d: %q, want %q", n, data[n], want)
			}
		}
	})
}

// TestExportEditsAreNamed edits the lines of an export. Line 0 is the header,
// leaf n of the first seven is line n+1, the checkpoint of size 7 is line 8.
func TestExportEditsAreNamed(t *testing.T) {
	f, held := filled(t)
	lines := export(f)
	checkpoint, leaf9 := 8, 11
	forged := fmt.Sprintf(`{"leaf":9,"data":%q,"hash":`, base64.StdEncoding.EncodeToString([]byte(`{"v":1}`)))
	for name, c := range map[string]struct {
		edit    func(lines []string) []string
		bad     int64
		problem string
	}{
		"leaf deleted":           {func(l []string) []string { return slices.Delete(l, leaf9, leaf9+1) }, 9, "leaf 9 is missing"},
		"leaf doubled":           {func(l []string) []string { return slices.Insert(l, leaf9, l[leaf9]) }, 10, "foreign entry"},
		"leaves swapped":         {func(l []string) []string { l[leaf9], l[leaf9+1] = l[leaf9+1], l[leaf9]; return l }, 9, "leaf 9 is missing"},
		"leaf of another number": {func(l []string) []string { l[leaf9] = strings.Replace(l[leaf9], `:9,`, `:-9,`, 1); return l }, 9, "foreign entry"},
		"data of another leaf": {func(l []string) []string {
			l[leaf9] = strings.Replace(l[leaf9+1], `:10,`, `:9,`, 1)
			return l
		}, -1, "a leaf from 7 to 15 was changed"},
		"hash of another leaf": {func(l []string) []string {
			l[leaf9] = forged + l[leaf9][strings.Index(l[leaf9], `"hash":`)+7:]
			return l
		}, 9, "does not match its hash"},
		"no hash":              {func(l []string) []string { l[leaf9] = forged[:len(forged)-8] + "}\n"; return l }, 9, "line 12 of the export cannot be read"},
		"null hash":            {func(l []string) []string { l[leaf9] = forged + "null}\n"; return l }, 9, "line 12 of the export cannot be read"},
		"not base64":           {func(l []string) []string { l[leaf9] = strings.Replace(l[leaf9], `"data":"`, `"data":"!`, 1); return l }, 9, "cannot be read"},
		"unknown field":        {func(l []string) []string { l[leaf9] = `{"note":1,` + l[leaf9][1:]; return l }, 9, "cannot be read"},
		"two values on a line": {func(l []string) []string { l[leaf9] = strings.TrimSuffix(l[leaf9], "\n") + l[leaf9+1]; return l }, 9, "cannot be read"},
		"leaf and checkpoint":  {func(l []string) []string { l[leaf9] = `{"checkpoint":"x",` + l[leaf9][1:]; return l }, 9, "cannot be read"},
		"empty line":           {func(l []string) []string { return slices.Insert(l, leaf9, "\n") }, 9, "cannot be read"},
		"line without an end":  {func(l []string) []string { l[leaf9] = strings.Repeat("x", 1<<20); return l }, 9, "cannot be read"},
		"over 64 KiB": {func(l []string) []string {
			l[leaf9] = strings.Replace(l[leaf9], `"data":"`, `"data":"`+strings.Repeat("AAAA", audit.MaxLeaf/3+1), 1)
			return l
		}, 9, "cannot be read"},
		"cut short":            {func(l []string) []string { return l[:leaf9] }, 9, "states 21 leaves"},
		"cut within a line":    {func(l []string) []string { l[leaf9] = l[leaf9][:40]; return l[:leaf9+1] }, 9, "cannot be read"},
		"cut, header to suit":  {func(l []string) []string { return append(headed(l, 9), l[1:leaf9]...) }, 9, "that others hold covers 21"},
		"header states fewer":  {func(l []string) []string { return append(headed(l, 20), l[1:]...) }, 20, "beyond the size"},
		"header states more":   {func(l []string) []string { return append(headed(l, 1<<62), l[1:]...) }, 21, "states 4611686018427387904"},
		"checkpoint moved":     {func(l []string) []string { l[checkpoint], l[checkpoint+1] = l[checkpoint+1], l[checkpoint]; return l }, -1, "not in its place"},
		"checkpoint too early": {func(l []string) []string { l[checkpoint-1], l[checkpoint] = l[checkpoint], l[checkpoint-1]; return l }, 6, "covers 7 leaves"},
		"checkpoint edited": {func(l []string) []string {
			l[checkpoint] = strings.Replace(l[checkpoint], `\n7\n`, `\n8\n`, 1)
			return l
		}, -1, "does not verify"},
		"checkpoint of any length": {func(l []string) []string {
			l[checkpoint] = `{"checkpoint":"` + strings.Repeat("A", 20<<10) + "\"}\n"
			return l
		}, -1, "does not verify"},
		"checkpoint emptied": {func(l []string) []string { l[checkpoint] = "{\"checkpoint\":\"\"}\n"; return l }, -1, "does not verify"},
	} {
		t.Run(name, func(t *testing.T) {
			edited := c.edit(slices.Clone(lines))
			r := verifyLines(t, f, edited, held[1:]...)
			if r.Verified || r.BadLeaf != c.bad || !strings.Contains(r.Problem.EN, c.problem) {
				t.Errorf("%+v", r)
			}
		})
	}
	if r := verifyLines(t, f, slices.Delete(slices.Clone(lines), checkpoint, checkpoint+1), held...); !r.Verified || r.Checkpoints != 5 {
		t.Errorf("a checkpoint left out that others hold: %+v", r)
	}
}

// headed gives the header of lines with another size.
func headed(lines []string, size int64) []string {
	return []string{strings.Replace(lines[0], `"size":21`, fmt.Sprintf(`"size":%d`, size), 1)}
}

// TestExportWithAByteFlippedIsNeverAnotherLog flips each byte of an export: what
// still verifies has the same root.
func TestExportWithAByteFlippedIsNeverAnotherLog(t *testing.T) {
	raced.Later(t)
	f := newFixture(t)
	f.append(decided("d-1"), forwarded(1, 10))
	held := f.checkpoint()
	file := []byte(strings.Join(export(f), ""))
	for at := range file {
		for _, flip := range []byte{1, 0x20, 0x80} {
			edited := slices.Clone(file)
			edited[at] ^= flip
			r, err := audit.VerifyExport(bytes.NewReader(edited), []bus.Checkpoint{held}, f.key)
			if err == nil && r.Verified && string(r.Root[:]) != string(held.Root) {
				t.Fatalf("byte %d: %+v", at, r)
			}
			if err == nil && !r.Verified && r.Problem.ZH == "" {
				t.Fatalf("byte %d: no reason: %+v", at, r)
			}
		}
	}
}

func TestVerifyExportRefusesWhatIsNoExport(t *testing.T) {
	f, held := filled(t)
	lines := export(f)
	body := strings.Join(lines[1:], "")
	header := func(old, new string) string { return strings.Replace(lines[0], old, new, 1) + body }
	_, otherKey, _ := audit.GenerateKey(origin)
	for name, c := range map[string]struct {
		file  string
		keys  []string
		field string
	}{
		"empty":                    {"", []string{f.key}, "header"},
		"garbage":                  {"\x00\x01\x02", []string{f.key}, "header"},
		"no header":                {body, []string{f.key}, "header"},
		"another format":           {header("evidence/2", "evidence/4"), []string{f.key}, "header"},
		"negative size":            {header(`"size":21`, `"size":-1`), []string{f.key}, "header"},
		"no origin":                {header(origin, ""), []string{f.key}, "header"},
		"endless first line":       {strings.Repeat("x", 1<<20), []string{f.key}, "header"},
		"no key":                   {header("", ""), nil, "key"},
		"another log":              {header(`"origin":"`+origin, `"origin":"gxbus/sample/n440300`), []string{f.key}, "key"},
		"its own word for the key": {header(f.key, otherKey), []string{otherKey}, "known[0]"},
	} {
		r, err := audit.VerifyExport(strings.NewReader(c.file), held, c.keys...)
		if bus.CodeOf(err) != bus.CodeInvalid || !strings.Contains(err.Error(), c.field) || r.Verified {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
}

func TestExportFailuresOfTheStreamAreErrors(t *testing.T) {
	f, _ := filled(t)
	broken := errors.New("broken pipe")
	for _, n := range []int{0, 100, 5000} {
		file := strings.Join(export(f), "")[:n]
		r, err := audit.VerifyExport(io.MultiReader(strings.NewReader(file), failing{broken}), nil, f.key)
		if !errors.Is(err, broken) || r.Verified {
			t.Errorf("read breaks after %d bytes: %+v %v", n, r, err)
		}
	}
	f.view(func(tx *bbolt.Tx) error {
		if err := f.log.Export(failing{broken}, tx, f.key); !errors.Is(err, broken) {
			t.Errorf("write breaks: %v", err)
		}
		if err := f.log.Export(io.Discard, tx, "x"); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("bad key: %v", err)
		}
		return nil
	})
}

// TestEndlessLineIsNotRead bounds what a hostile export can make the verifier take in.
func TestEndlessLineIsNotRead(t *testing.T) {
	f, _ := filled(t)
	for name, start := range map[string]string{"header": "", "leaf": strings.Join(export(f)[:3], "")} {
		endless := &counting{}
		r, err := audit.VerifyExport(io.MultiReader(strings.NewReader(start), endless), nil, f.key)
		if r.Verified || endless.read > 1<<20 {
			t.Errorf("%s: %d bytes read, %+v %v", name, endless.read, r, err)
		}
	}
}

func FuzzVerifyExport(f *testing.F) {
	fix := newFixture(f)
	fix.append(decided("d-1"), forwarded(1, 10), administered("x"))
	held := fix.checkpoint()
	lines := export(fix)
	f.Add([]byte(strings.Join(lines, "")))
	f.Add([]byte(strings.Join(lines[:2], "")))
	f.Add([]byte(lines[0] + `{"leaf":0,"data":"","hash":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}`))
	f.Add([]byte(lines[0] + `{"checkpoint":"` + origin + `\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := audit.VerifyExport(bytes.NewReader(file), []bus.Checkpoint{held}, fix.key)
		if err != nil {
			if bus.CodeOf(err) != bus.CodeInvalid {
				t.Error(err)
			}
			return
		}
		if r.Verified && r.Signed < held.Size || r.Verified == (r.Problem.EN != "") || r.From > r.To {
			t.Errorf("%+v", r)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// counting is an endless stream of one letter.
type counting struct{ read int }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	c.read += len(p)
	return len(p), nil
}
