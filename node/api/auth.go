package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
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

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// authenticate finds the principal of a request: zero where it carries no
// credential, an error where it carries one that is not good. A system that
// proved itself and is disabled is returned with the error.
func (a *API) authenticate(r *http.Request) (bus.Principal, error) { return a.principal(r, true) }

// principal is authenticate; used tells whether somebody at work stands behind
// the request, or only an answer that goes on.
func (a *API) principal(r *http.Request, used bool) (bus.Principal, error) {
	if r.Header.Get("Authorization") == "" {
		return bus.Principal{}, nil
	}
	refused := bus.E(bus.CodeUnauthenticated, bus.Defect{
		Field: "Authorization", Problem: bus.Text{ZH: "凭证无效、已停用或已过期", EN: "unknown, disabled or expired credential"},
	})
	token := bearer(r)
	if strings.HasPrefix(token, sessionPrefix) {
		p, err := a.signedIn(token, used)
		if err == nil && p == (bus.Principal{}) {
			err = refused
		}
		return p, err
	}
	credential, err := identity.ParseCredential(token)
	if err != nil {
		return bus.Principal{}, refused
	}
	var system bus.System
	err = a.Directory.View(func(tx *state.Tx) error {
		system, _ = tx.System(credential.System)
		return nil
	})
	if err != nil {
		return bus.Principal{}, err
	}
	if !credential.Secret.Matches(system.SecretHash) {
		return bus.Principal{}, refused
	}
	p := bus.Principal{System: system.ID, Department: system.Department}
	if system.Disabled {
		return p, refused
	}
	return p, nil
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

// signIn opens a session for an account. A one-time password opens none until it
// is replaced. Wrong name and wrong password look and take the same.
func (a *API) signIn(ctx context.Context, in client.SignIn) (client.Session, error) {
	var account bus.Account
	err := a.Directory.View(func(tx *state.Tx) error {
		account, _ = tx.Account(in.Account)
		return nil
	})
	if err != nil {
		return client.Session{}, err
	}
	stored := account.PasswordHash
	if stored == "" {
		stored = a.decoy
	}
	good, err := a.passwords.Verify(ctx, stored, in.Password)
	if err != nil {
		return client.Session{}, err
	}
	if account.Name == "" {
		good = false
	} else {
		good = good && !account.Disabled
		callerOf(ctx).known = account.Principal()
	}
	if !good {
		return client.Session{}, bus.E(bus.CodeUnauthenticated, bus.Defect{Field: "password", Problem: bus.Text{ZH: "账号或口令错误", EN: "wrong account or password"}})
	}
	p := callerOf(ctx).known
	if in.NewPassword == "" && account.MustChange {
		return client.Session{}, bus.E(bus.CodePasswordChange, bus.Defect{Field: "new_password", Problem: bus.Text{ZH: "必填", EN: "required"}, Allowed: "at least 12 characters, not the present one"})
	}
	if in.NewPassword != "" {
		if account.Revision, err = a.changePassword(ctx, p, account, in); err != nil {
			return client.Session{}, err
		}
	}
	if err := a.record(ctx, p, audit.KindAdministered, "", "sign-in"); err != nil {
		return client.Session{}, err
	}
	token, expires, err := a.sessions.begin(account)
	return client.Session{Token: token, Account: account.Name, Role: account.Role, Department: account.Department, Expires: expires}, err
}

// changePassword returns the account's new revision.
func (a *API) changePassword(ctx context.Context, p bus.Principal, account bus.Account, in client.SignIn) (bus.Revision, error) {
	defects := identity.CheckPassword("new_password", in.NewPassword)
	if in.NewPassword == in.Password {
		defects = append(defects, bus.Defect{Field: "new_password", Problem: bus.Text{ZH: "不能与原口令相同", EN: "must differ from the present one"}})
	}
	if err := bus.Invalid(defects); err != nil {
		return 0, err
	}
	hash, err := a.passwords.Hash(ctx, in.NewPassword)
	if err != nil {
		return 0, err
	}
	expect := account.Revision
	account.PasswordHash, account.MustChange = hash, false
	result, err := a.write(ctx, p, command.AccountPut, expect, account, "change own password")
	return result.Revision, err
}
