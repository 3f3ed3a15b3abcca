package peer

import (
	"bytes"
	"io"
	"testing"
	"time"
)

func TestRelayRequestRoundTripsAndLeavesTheRest(t *testing.T) {
	for _, r := range []relayRequest{
		{"440106", 7, 10 * time.Second}, {"a", 0, 0}, {"guangzhou-2", maxHops, 49 * 24 * time.Hour},
	} {
		stream := bytes.NewReader(append(r.encode(), "TLS"...))
		got, err := readRelayRequest(stream)
		if err != nil || got != r {
			t.Errorf("read %+v, %v; wrote %+v", got, err, r)
		}
		if rest, _ := io.ReadAll(stream); string(rest) != "TLS" {
			t.Errorf("left %q", rest)
		}
	}
	late := relayRequest{target: "a", budget: -time.Second}
	if got, err := readRelayRequest(bytes.NewReader(late.encode())); err != nil || got.budget != 0 {
		t.Errorf("a budget that is used up arrives as %v, %v", got.budget, err)
	}
}

func FuzzReadRelayRequest(f *testing.F) {
	f.Add(relayRequest{"440106", 7, time.Second}.encode())
	f.Add([]byte("\xff\xff\xff\xff\xff\xff440106"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x02a\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r, err := readRelayRequest(bytes.NewReader(wire))
		if err != nil {
			return
		}
		if r.hops > maxHops {
			t.Fatalf("%d hops", r.hops)
		}
		again := r.encode()
		if !bytes.Equal(again[1:], wire[1:len(again)]) {
			t.Fatalf("read %q as %+v, which is written %q", wire, r, again)
		}
	})
}
