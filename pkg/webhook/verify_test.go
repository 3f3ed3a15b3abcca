package webhook_test

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/webhook"
)

func TestVerifyTakesWhatTheNodeSignedLatelyAndNothingElse(t *testing.T) {
	secret, body, now := []byte("0123456789abcdef"), `{"id":"1"}`, time.Unix(1_800_000_000, 0)
	signed := func(at time.Time) http.Header {
		seconds := strconv.FormatInt(at.Unix(), 10)
		h := http.Header{}
		h.Set("webhook-id", "s.1")
		h.Set("webhook-timestamp", seconds)
		h.Set("webhook-signature", "v1,"+webhook.Sign(secret, "s.1", seconds, body))
		return h
	}
	with := func(name, value string) http.Header {
		h := signed(now)
		h.Set(name, value)
		return h
	}
	two := with("webhook-signature", "v1,b2xk "+signed(now).Get("webhook-signature"))
	for name, c := range map[string]struct {
		secret []byte
		h      http.Header
		body   string
		ok     bool
	}{
		"as it was sent":           {secret, signed(now), body, true},
		"of a clock that is late":  {secret, signed(now.Add(-4 * time.Minute)), body, true},
		"with an older secret too": {secret, two, body, true},
		"another body":             {secret, signed(now), `{"id":"2"}`, false},
		"another secret":           {[]byte("0123456789abcdeg"), signed(now), body, false},
		"no secret":                {nil, signed(now), body, false},
		"another id":               {secret, with("webhook-id", "s.2"), body, false},
		"another time":             {secret, with("webhook-timestamp", "1800000001"), body, false},
		"no number for a time":     {secret, with("webhook-timestamp", "now"), body, false},
		"sent again":               {secret, signed(now.Add(-6 * time.Minute)), body, false},
		"from the future":          {secret, signed(now.Add(6 * time.Minute)), body, false},
		"no signature":             {secret, with("webhook-signature", ""), body, false},
		"another version":          {secret, with("webhook-signature", "v2,"+signed(now).Get("webhook-signature")[3:]), body, false},
	} {
		if err := webhook.Verify(c.secret, c.h, c.body, now); (err == nil) != c.ok || err != nil && !errors.Is(err, webhook.ErrNotSigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
