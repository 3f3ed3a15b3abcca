package peer

import (
	"bytes"
	"io"
	"testing"
)

func TestHeaderRoundTripsAndLeavesTheRest(t *testing.T) {
	for _, proto := range []Protocol{Raft, HTTP, "a", "sixteen-letters-"} {
		header, err := proto.header()
		if err != nil {
			t.Fatal(err)
		}
		r := bytes.NewReader(append(header, "rest"...))
		got, err := readHeader(r)
		if rest, _ := io.ReadAll(r); err != nil || got != proto || string(rest) != "rest" {
			t.Errorf("%q: read %q, %v, left %q", proto, got, err, rest)
		}
	}
}

func TestReadHeaderRefuses(t *testing.T) {
	for _, bad := range []string{"", "\x00", "\x04", "\x04htt", "\x04HTTP", "\x02a b", "\x11seventeen-letters", "\xff", "\x01\x00", "\x03é"} {
		if proto, err := readHeader(bytes.NewReader([]byte(bad))); err == nil {
			t.Errorf("%q read as %q", bad, proto)
		}
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add([]byte("\x04httpGET /"))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		proto, err := readHeader(r)
		if read := len(data) - r.Len(); read > 17 {
			t.Fatalf("read %d bytes", read)
		}
		if err != nil {
			return
		}
		header, err := proto.header()
		if err != nil || !bytes.HasPrefix(data, header) || len(data)-r.Len() != len(header) {
			t.Fatalf("%q read as %q", data, proto)
		}
	})
}
