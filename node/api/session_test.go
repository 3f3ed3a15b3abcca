package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestSessions(t *testing.T) {
	w := newWorld(t)
	signIn := func(t *testing.T, in client.SignIn) reply {
		w.t = t
		return w.ask(request{method: "POST", path: "/api/v1/sessions", body: text(asJSON(t, in))})
	}
	status := func(t *testing.T, who string) int {
		w.t = t
		return w.ask(request{method: "GET", path: "/api/v1/status", who: who}).status
	}
	wrong := func(t *testing.T, in client.SignIn, code bus.Code, field string) {
		t.Helper()
		got := signIn(t, in)
		if got.problem.Code != code || len(got.problem.Defects) == 0 || got.problem.Defects[0].Field != field {
			t.Errorf("answered %d %s, want %s of %s", got.status, got.body, code, field)
		}
		for _, secret := range []string{in.Password, in.NewPassword} {
			if secret != "" && strings.Contains(got.body, secret) {
				t.Errorf("S44 the answer repeats a password: %s", got.body)
			}
		}
	}
	t.Run("wrong password and unknown account look alike, the first is recorded", func(t *testing.T) {
		w.t = t
		before := len(w.leaves())
		wrong(t, client.SignIn{Account: "auditor", Password: "canary-wrong-password"}, bus.CodeUnauthenticated, "password")
		wrong(t, client.SignIn{Account: "nobody-of-that-name", Password: "canary-wrong-password"}, bus.CodeUnauthenticated, "password")
		leaves := w.leaves()[before:]
		if len(leaves) != 1 || leaves[0].Kind != audit.KindRefused || leaves[0].Principal.Account != "auditor" {
			t.Errorf("want one refusal of auditor on record, got %+v", leaves)
		}
	})
	t.Run("a short new password is refused", func(t *testing.T) {
		wrong(t, client.SignIn{Account: "auditor", Password: w.Passwords["auditor"], NewPassword: "canary-short"[:11]}, bus.CodeInvalid, "new_password")
	})
	t.Run("the same password again is refused", func(t *testing.T) {
		wrong(t, client.SignIn{Account: "auditor", Password: w.Passwords["auditor"], NewPassword: w.Passwords["auditor"]}, bus.CodeInvalid, "new_password")
	})
	t.Run("signing out ends the session and no other", func(t *testing.T) {
		w.bearers["second"] = w.SignIn(w.First, "auditor")
		if got := w.ask(request{method: "DELETE", path: "/api/v1/sessions", who: "second"}); got.status != http.StatusNoContent {
			t.Fatalf("sign-out: %d", got.status)
		}
		if first, second := status(t, auditor), status(t, "second"); first != 200 || second != 401 {
			t.Errorf("after the second signed out: first %d, second %d", first, second)
		}
	})
	t.Run("a changed password ends the sessions of the old one", func(t *testing.T) {
		got := signIn(t, client.SignIn{Account: "secadmin", Password: w.Passwords["secadmin"], NewPassword: "another long password"})
		if got.status != 200 || status(t, secadmin) != 401 {
			t.Errorf("change: %d, the old session is answered %d, want 401", got.status, status(t, secadmin))
		}
		w.Passwords["secadmin"] = "another long password"
		w.bearers[secadmin] = w.SignIn(w.First, "secadmin")
		if status(t, secadmin) != 200 {
			t.Error("the new password does not open a session that works")
		}
	})
	t.Run("an idle session ends", func(t *testing.T) {
		w.clock.advance(29 * time.Minute)
		if status(t, sysadmin) != 200 {
			t.Fatal("ended before its time")
		}
		w.clock.advance(29 * time.Minute)
		if status(t, sysadmin) != 200 {
			t.Fatal("use does not keep it open")
		}
		w.clock.advance(30 * time.Minute)
		if status(t, sysadmin) != 401 {
			t.Error("still open after 30 idle minutes")
		}
	})
	t.Run("a used session ends too", func(t *testing.T) {
		w.bearers[sysadmin] = w.SignIn(w.First, "sysadmin")
		for range 16*2 - 1 {
			w.clock.advance(15 * time.Minute)
			if status(t, sysadmin) != 200 {
				t.Fatal("ended before its time")
			}
		}
		w.clock.advance(15 * time.Minute)
		if status(t, sysadmin) != 401 {
			t.Error("still open after 8 hours")
		}
	})
}

func TestAOneTimePasswordOpensNothingUntilItIsChanged(t *testing.T) {
	ctx := context.Background()
	n := nodetest.NewNode(t, nodetest.Options{}, fleet.Province()[0])
	passwords, err := server.Init(ctx, n.Founding())
	check(t, err)
	n.Start()
	api := n.Client("")
	for _, p := range passwords {
		if _, err := api.SignIn(ctx, client.SignIn{Account: p.Account, Password: p.Password}); !client.IsCode(err, bus.CodePasswordChange) {
			t.Errorf("%s signs in with the one-time password: %v", p.Account, err)
		}
		s, err := api.SignIn(ctx, client.SignIn{Account: p.Account, Password: p.Password, NewPassword: "a password of my own"})
		check(t, err)
		if s.Role != p.Role {
			t.Errorf("%s has role %s, want %s", p.Account, s.Role, p.Role)
		}
		if _, err := api.SignIn(ctx, client.SignIn{Account: p.Account, Password: p.Password}); !client.IsCode(err, bus.CodeUnauthenticated) {
			t.Errorf("%s: the one-time password still works: %v", p.Account, err)
		}
	}
}
