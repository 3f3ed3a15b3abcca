package api

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

const (
	sessionPrefix  = "gxa_"
	sessionLife    = 8 * time.Hour
	sessionIdle    = 30 * time.Minute
	sessionsAtMost = 1000
)

// sessions are the signed-in accounts of this node. They live in memory: after a
// restart people sign in again.
type sessions struct {
	now func() time.Time

	mu   sync.Mutex
	open map[string]*session // by token
}

type session struct {
	account  bus.Principal
	revision bus.Revision // of the account: a session ends when its password changes
	expires  time.Time
	used     time.Time
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, open: map[string]*session{}}
}

func (s *sessions) begin(account bus.Account) (token string, expires time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for t, se := range s.open {
		if !se.alive(now) {
			delete(s.open, t)
		}
	}
	if len(s.open) >= sessionsAtMost {
		return "", time.Time{}, bus.E(bus.CodeRateLimited)
	}
	token = sessionPrefix + rand.Text() + rand.Text()
	s.open[token] = &session{account.Principal(), account.Revision, now.Add(sessionLife), now}
	return token, now.Add(sessionLife), nil
}

func (s *session) alive(now time.Time) bool {
	return now.Before(s.expires) && now.Sub(s.used) < sessionIdle
}

// find returns the session of a token; used keeps it from ending of idleness.
func (s *sessions) find(token string, used bool) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	se, ok := s.open[token]
	if !ok || !se.alive(s.now()) {
		delete(s.open, token)
		return session{}, false
	}
	if used {
		se.used = s.now()
	}
	return *se, true
}

func (s *sessions) end(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, token)
}

// signedIn returns the account of a session, zero where there is none.
func (a *API) signedIn(token string, used bool) (bus.Principal, error) {
	se, ok := a.sessions.find(token, used)
	if !ok {
		return bus.Principal{}, nil
	}
	var account bus.Account
	err := a.Directory.View(func(tx *state.Tx) error {
		account, _ = tx.Account(se.account.Account)
		return nil
	})
	if err != nil || account.Revision != se.revision {
		a.sessions.end(token)
		return bus.Principal{}, err
	}
	return se.account, nil
}
