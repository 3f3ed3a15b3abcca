package bus_test

import (
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestIdentifiers(t *testing.T) {
	for _, good := range []bus.NodeID{"a", "7", "gz", "gz-1", "440100", "a--b", bus.NodeID(strings.Repeat("a", 63))} {
		if defects := bus.CheckID("id", good); defects != nil {
			t.Errorf("%q: %+v", good, defects)
		}
	}
	for name, bad := range map[string]bus.NodeID{
		"empty": "", "too long": bus.NodeID(strings.Repeat("a", 64)), "upper case": "GZ",
		"first hyphen": "-a", "last hyphen": "a-", "only a hyphen": "-",
		"dot": "a.b", "slash": "a/b", "up": "..", "space": "a b", "escape": "a%2eb",
		"line feed": "gz\n", "inner line feed": "gz\nlevel=error", "carriage return": "gz\r", "NUL": "g\x00z", "ANSI": "gz\x1b[31m",
	} {
		defects := bus.CheckID("node", bad)
		if len(defects) != 1 || defects[0].Field != "node" || defects[0].Allowed == "" || defects[0].Problem.ZH == "" || defects[0].Problem.EN == "" {
			t.Errorf("%s: %q: %+v", name, bad, defects)
		}
	}
}

// S13: look-alikes are refused, never folded into what they look like.
func TestConfusablesAreRefusedInCodes(t *testing.T) {
	for name, alike := range map[string]string{
		"Cyrillic а":              "d\u0430ta",
		"Greek ο":                 "n\u03bfde",
		"full-width letter":       "\uff44ata",
		"full-width digit":        "gz\uff11",
		"Arabic-Indic digit":      "gz\u0661",
		"mathematical letter":     "\U0001d41dta",
		"soft hyphen":             "da\u00adta",
		"non-breaking hyphen":     "da\u2011ta",
		"zero-width joiner":       "da\u200dta",
		"zero-width space":        "data\u200b",
		"byte order mark":         "\ufeffdata",
		"right-to-left override":  "da\u202eatad",
		"left-to-right isolate":   "\u2066data\u2069",
		"composed é (NFC)":        "caf\u00e9",
		"decomposed é (NFD)":      "cafe\u0301",
		"ideographic space":       "da\u3000ta",
		"Kelvin sign":             "\u212a1",
		"dotless ı":               "n\u0131c",
		"long s":                  "\u017fz",
		"invalid UTF-8":           "da\xffta",
		"overlong encoding of a":  "d\xc1\xa1ta",
		"encoded surrogate halfs": "d\xed\xa0\xb4ta",
	} {
		if bus.CheckID("id", bus.ResourceID(alike)) == nil {
			t.Errorf("%s: %q is an identifier", name, alike)
		}
		if bus.ItemID(alike).Valid() {
			t.Errorf("%s: %q is an item identifier", name, alike)
		}
		if code := bus.ResourceCode("301001" + alike + "/1"); code.Valid() {
			t.Errorf("%s: %q is a directory code", name, code)
		}
		if bus.System.OwnsSource(bus.System{ID: "a"}, "/systems/a/"+alike) {
			t.Errorf("%s: a source with %q is somebody's", name, alike)
		}
		if bus.CheckAddress("address", alike+".example:443") == nil {
			t.Errorf("%s: %q is a host", name, alike)
		}
	}
}

func TestItemIdentifiers(t *testing.T) {
	for _, good := range []bus.ItemID{"a", "_", "ZJHM", "id_number", "x1", bus.ItemID(strings.Repeat("a", 64))} {
		if !good.Valid() {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []bus.ItemID{"", "1x", "id-number", "a b", "a.b", "身份证号", "a\n", "$a", bus.ItemID(strings.Repeat("a", 65))} {
		if bad.Valid() {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzCheckID(f *testing.F) {
	f.Add("gz-1")
	f.Add("-")
	f.Add("d\u0430ta")
	f.Fuzz(func(t *testing.T, id string) {
		if bus.CheckID("id", bus.NodeID(id)) != nil {
			return
		}
		if len(id) < 1 || len(id) > 63 {
			t.Errorf("%q has %d bytes", id, len(id))
		}
		for _, c := range []byte(id) {
			if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", rune(c)) {
				t.Errorf("%q has %q", id, c)
			}
		}
	})
}

func TestAnOperatorIsAPseudonym(t *testing.T) {
	for text, bad := range map[string]bool{
		"": false, "op-7": false, "GZ.window_03": false, "7": false, strings.Repeat("a", 64): false,
		strings.Repeat("a", 65): true, "张三": true, "Zhang San": true, "zhang@example.org": true, "-7": true, "op\x1b[31m": true, "op\n": true,
		"11010519491231002X": true, "13800000000": true, "op-13800000000": true, "20260304120000": false,
	} {
		defects := bus.CheckOperator("operator", text)
		if got := len(defects) > 0; got != bad {
			t.Errorf("%q: %v, want %v", text, got, bad)
		}
		if len(defects) > 0 && (defects[0].Field != "operator" || defects[0].Allowed == "") {
			t.Errorf("%q: %+v", text, defects)
		}
	}
}
