package oidc

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/identity"
)

// flow is what a sign-in that was begun must come back with.
type flow struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Redirect string    `json:"redirect"`
	Expires  time.Time `json:"expires"`
}

const maxFlow = 4 << 10

// flows seals sign-ins that have begun and leaves them with who began, so that those
// that begin and never end cost nothing. Which were completed is remembered until
// they would have expired.
type flows struct {
	now  func() time.Time
	aead cipher.AEAD

	mu   sync.Mutex
	used map[string]time.Time // by state: until when
}

func newFlows(now func() time.Time) *flows {
	return &flows{now: now, aead: identity.NewSecret().Sealer(), used: map[string]time.Time{}}
}

func (s *flows) seal(f flow) (string, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("encode sign-in: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, data, nil)), nil
}

// open reads what seal gave, for a state and once.
func (s *flows) open(sealed, state string) (f flow, err error) {
	if len(sealed) > maxFlow {
		return f, errors.New("not a sign-in of this node")
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(sealed) // one spelling
	if err != nil {
		return f, err
	}
	if data, err = s.aead.Open(nil, nil, data, nil); err != nil {
		return f, fmt.Errorf("not a sign-in of this node since it started: %w", err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, err
	}
	now := s.now()
	if subtle.ConstantTimeCompare([]byte(state), []byte(f.State)) != 1 {
		return f, errors.New("the state is not this sign-in's")
	}
	if !now.Before(f.Expires) {
		return f, errors.New("the sign-in has expired")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, until := range s.used {
		if !now.Before(until) {
			delete(s.used, old)
		}
	}
	if _, again := s.used[f.State]; again {
		return f, errors.New("the sign-in was completed before")
	}
	s.used[f.State] = f.Expires
	return f, nil
}

// capped bounds what is read of a provider's answers.
type capped struct{ http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &limited{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

type limited struct {
	io.Reader
	io.Closer
}
