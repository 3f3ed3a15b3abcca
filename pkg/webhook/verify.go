package webhook

import (
	"crypto/hmac"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far the clock of a node may be from that of an endpoint; what was
// sent earlier is refused, for somebody may send it again.
const tolerance = 5 * time.Minute

// ErrNotSigned means that a request does not carry a signature over its body that was
// made with the secret, lately.
var ErrNotSigned = errors.New("not signed with the secret of this webhook, or not lately")

// Verify is for endpoints written in Go: it returns ErrNotSigned for a request that no
// node sent which knows the secret, within five minutes of now (Standard Webhooks).
// Without a secret nothing is signed.
func Verify(secret []byte, h http.Header, body string, now time.Time) error {
	at := h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || len(secret) == 0 || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return ErrNotSigned
	}
	expected := []byte("v1," + Sign(secret, h.Get("webhook-id"), at, body))
	for signature := range strings.FieldsSeq(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(signature), expected) {
			return nil
		}
	}
	return ErrNotSigned
}
