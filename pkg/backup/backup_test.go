package backup_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/raced"
)

var info = backup.Info{Cluster: "gx-a", Node: "guangzhou", Division: "440100", Release: "test", Taken: time.Date(2026, 3, 4, 2, 30, 0, 0, time.UTC)}

const canary = "CANARY-of-a-secret-that-must-not-leak"

func TestWhatWasBackedUpComesBack(t *testing.T) {
	key, large := newKey(t), random(t, 3<<20+17)
	file := written(t, key, large)
	got := map[string][]byte{}
	c, err := backup.Open(bytes.NewReader(file), key, func(p backup.Part, r io.Reader) error {
		data, err := io.ReadAll(r)
		got[p.Name] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"directory": large, "node.key": []byte(canary), "empty": nil} {
		if !bytes.Equal(got[name], want) {
			t.Errorf("%s: %d bytes, want %d", name, len(got[name]), len(want))
		}
	}
	sum := sha256.Sum256(file)
	if c.SHA256 != hex.EncodeToString(sum[:]) || !c.Opened || c.Info != info || len(c.Parts) != 3 {
		t.Errorf("%+v", c)
	}
	if p := c.Parts[0]; p.Index != 42 || p.Plain != int64(len(large)) || p.Stored < p.Plain/2 {
		t.Errorf("%+v", p)
	}
}

func TestAFileIsCheckedWithoutTheKey(t *testing.T) {
	key := newKey(t)
	c, err := backup.Verify(bytes.NewReader(written(t, key, random(t, 100))), nil)
	if err != nil || c.Opened || c.Recipient != key.Public().Fingerprint() || len(c.Parts) != 3 || c.Parts[0].Index != 42 {
		t.Errorf("%+v, %v", c, err)
	}
}

// S55: nothing of a part can be read in the file, and no other key opens it.
func TestS55AStolenBackupTellsNothing(t *testing.T) {
	key := newKey(t)
	file := written(t, key, bytes.Repeat([]byte(canary), 1000))
	if bytes.Contains(file, []byte(canary)) || bytes.Contains(file, []byte(canary[:8])) {
		t.Error("the canary stands in the file")
	}
	if at := bytes.Index(file, []byte{0x1f, 0x8b, 8}); at >= 0 { // a gzip stream in the open
		t.Errorf("something compressed, not sealed, at byte %d", at)
	}
	other := newKey(t)
	if _, err := backup.Verify(bytes.NewReader(file), &other); bus.CodeOf(err) != bus.CodeForbidden {
		t.Errorf("another key: %v", err)
	}
}

// Damage anywhere is noticed with the key and without.
func TestDamageIsNoticed(t *testing.T) {
	raced.Later(t)
	key := newKey(t)
	file := written(t, key, random(t, 5000))
	for _, with := range []*backup.PrivateKey{nil, &key} {
		for at := range file {
			bad := bytes.Clone(file)
			bad[at] ^= 0x10
			if _, err := backup.Verify(bytes.NewReader(bad), with); err == nil {
				t.Fatalf("byte %d changed, key %v: not noticed", at, with != nil)
			}
		}
		for at := range file {
			if _, err := backup.Verify(bytes.NewReader(file[:at]), with); err == nil {
				t.Fatalf("cut at %d, key %v: not noticed", at, with != nil)
			}
		}
		if _, err := backup.Verify(io.MultiReader(bytes.NewReader(file), strings.NewReader("x")), with); err == nil {
			t.Error("what follows is not noticed")
		}
	}
}

// Who forges checksums too, but has no key, is caught by the seals: a part that is
// not in its place does not open.
func TestPartsCannotBeMovedBetweenBackups(t *testing.T) {
	key := newKey(t)
	one, two := sections(t, written(t, key, random(t, 100))), sections(t, written(t, key, random(t, 100)))
	mixed := [][]byte{one[0], two[1], one[2], one[3]}
	swapped := [][]byte{one[0], one[2], one[1], one[3]}
	for name, parts := range map[string][][]byte{"of another backup": mixed, "in another order": swapped} {
		file := bytes.Join(parts, nil)
		sum := sha256.Sum256(file)
		file = append(file, sum[:]...)
		if _, err := backup.Verify(bytes.NewReader(file), nil); err != nil {
			t.Fatalf("%s: the forgery is clumsy: %v", name, err)
		}
		if _, err := backup.Verify(bytes.NewReader(file), &key); err == nil {
			t.Errorf("%s: a part opens", name)
		}
	}
}

func TestWhoTakesAPartIsHeard(t *testing.T) {
	key := newKey(t)
	own := errors.New("no room here")
	_, err := backup.Open(bytes.NewReader(written(t, key, nil)), key, func(backup.Part, io.Reader) error { return own })
	if !errors.Is(err, own) {
		t.Errorf("got %v", err)
	}
}

func TestABackupThatFailedIsNotWhole(t *testing.T) {
	key, broken := newKey(t), errors.New("disk")
	var file bytes.Buffer
	w, err := backup.NewWriter(&file, key.Public(), info)
	if err != nil {
		t.Fatal(err)
	}
	fail := func(io.Writer) error { return broken }
	if err := w.Add(backup.Part{Name: "directory"}, fail); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); !errors.Is(err, broken) {
		t.Errorf("closed with %v", err)
	}
	if _, err := backup.Verify(&file, nil); err == nil {
		t.Error("it passes for whole")
	}
}

func TestKeysAreReadAsWritten(t *testing.T) {
	key := newKey(t)
	private, err := backup.ParsePrivate(key.Reveal() + "\n")
	if err != nil || private.Public().String() != key.Public().String() {
		t.Errorf("private: %v", err)
	}
	public, err := backup.ParsePublic(key.Public().String())
	if err != nil || public.Fingerprint() != key.Public().Fingerprint() {
		t.Errorf("public: %v", err)
	}
	if strings.Contains(key.String(), key.Reveal()[12:]) {
		t.Error("printing the key reveals it")
	}
	for _, bad := range []string{"", key.Reveal(), key.Public().String() + "A", "gxr-public-AAAA", strings.ToUpper(key.Public().String())} {
		if _, err := backup.ParsePublic(bad); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("public %q: %v", bad, err)
		}
	}
	slip := []byte(key.Reveal())
	slip[20] ^= 1
	if _, err := backup.ParsePrivate(string(slip)); bus.CodeOf(err) != bus.CodeInvalid || strings.Contains(err.Error(), string(slip[12:])) {
		t.Errorf("a slip of the pen: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	key, err := backup.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	file := written(f, key, []byte("x"))
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := backup.Verify(bytes.NewReader(data), &key)
		if err == nil && !bytes.Equal(data, file) {
			t.Errorf("another file passes: %+v", c)
		}
		_, _ = backup.Verify(bytes.NewReader(data), nil)
	})
}

// written is a backup of three parts.
func written(tb testing.TB, key backup.PrivateKey, directory []byte) []byte {
	tb.Helper()
	var file bytes.Buffer
	w, err := backup.NewWriter(&file, key.Public(), info)
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range []struct {
		backup.Part
		data []byte
	}{
		{backup.Part{Name: "directory", Index: 42, Size: int64(len(directory))}, directory},
		{backup.Part{Name: "node.key"}, []byte(canary)},
		{backup.Part{Name: "empty"}, nil},
	} {
		if err := w.Add(p.Part, func(w io.Writer) error { _, err := w.Write(p.data); return err }); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return file.Bytes()
}

// sections cuts a backup of three parts into its head with the first part, the
// second, the third, and the end without the checksum.
func sections(t *testing.T, file []byte) [][]byte {
	t.Helper()
	cut := func(name string) int {
		at := bytes.Index(file, []byte(`{"name":"`+name+`"`))
		if at < 5 {
			t.Fatalf("no part %s", name)
		}
		return at - 5
	}
	end := bytes.LastIndex(file, []byte(`{"parts":`)) - 5
	return [][]byte{file[:cut("node.key")], file[cut("node.key"):cut("empty")], file[cut("empty"):end], file[end : len(file)-sha256.Size]}
}

func newKey(t *testing.T) backup.PrivateKey {
	t.Helper()
	key, err := backup.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}
