package state_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func bearer(id string, of byte) bus.Credential {
	return bus.Credential{ID: bus.CredentialID(id), Kind: bus.CredentialBearer, Hash: bytes.Repeat([]byte{of}, 32)}
}

func certificate(id string, of byte) bus.Credential {
	c := bearer(id, of)
	c.Kind = bus.CredentialCertificate
	return c
}

func newCredential(id bus.SystemID, c bus.Credential) command.NewCredential {
	return command.NewCredential{System: id, Credential: c}
}

// credentials tells of a system's credentials which there are and how long each is
// good, from noon on.
func (w *world) credentials(id bus.SystemID) (all []string) {
	w.view(func(tx *state.Tx) {
		s, _ := tx.System(id)
		for _, c := range s.Credentials {
			life := "for good"
			if !c.Expires.IsZero() {
				life = c.Expires.Sub(noon).String()
			}
			all = append(all, fmt.Sprint(c.ID, " ", life))
		}
	})
	return all
}

func TestASystemsFirstBearerIsTheHashItIsCreatedWith(t *testing.T) {
	w := newWorld(t)
	w.view(func(tx *state.Tx) {
		s, _ := tx.System("sample-tax")
		c, ok := s.Credential(bus.FirstCredential)
		if !ok || !bytes.Equal(c.Hash, secret) || s.SecretHash != nil || !c.Created.Equal(noon) {
			t.Errorf("%+v", s)
		}
	})
	revision := w.must(bySysadmin, command.CredentialAdd, 0, newCredential("sample-tax", bearer("b2", 9)))
	put := with(system("sample-tax", tax), func(s *bus.System) { s.Name, s.SecretHash = "新名称", nil })
	revision = w.must(bySysadmin, command.SystemPut, revision, put)
	if got := w.credentials("sample-tax"); !slices.Equal(got, []string{"first for good", "b2 for good"}) {
		t.Errorf("a put without a hash left %v", got)
	}
	put.SecretHash = secret
	revision = w.must(bySysadmin, command.SystemPut, revision, put)
	if got := w.credentials("sample-tax"); len(got) != 2 {
		t.Errorf("a put of an older node, with the hash that is there, left %v", got)
	}
	put.SecretHash = bytes.Repeat([]byte{7}, 32)
	w.must(bySysadmin, command.SystemPut, revision, put)
	if got := w.credentials("sample-tax"); !slices.Equal(got, []string{"first for good"}) {
		t.Errorf("a rotation by an older node left %v", got)
	}
}

func TestASystemOfAnOlderFileIsReadWithItsBearer(t *testing.T) {
	w := newWorld(t)
	stored := fmt.Sprintf(`{"id":"sample-tax","department":%q,"name":"样例系统","secret_hash":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","revision":3}`, tax)
	if err := w.store.Corrupt(state.Systems, "sample-tax", stored); err != nil {
		t.Fatal(err)
	}
	if got := w.credentials("sample-tax"); !slices.Equal(got, []string{"first for good"}) {
		t.Errorf("read as %v", got)
	}
	w.must(bySysadmin, command.CredentialEnd, 0, command.EndCredential{System: "sample-tax", Credential: bus.FirstCredential})
	if got := w.credentials("sample-tax"); len(got) != 0 {
		t.Errorf("retired, and there are %v", got)
	}
}

func TestACredentialIsRotatedWithOverlap(t *testing.T) {
	w := newWorld(t)
	rotate := newCredential("sample-tax", bearer("b2", 9))
	rotate.Overlap = noon.Add(time.Hour)
	w.must(bySysadmin, command.CredentialAdd, 0, rotate)
	if got := w.credentials("sample-tax"); !slices.Equal(got, []string{"first 1h0m0s", "b2 for good"}) {
		t.Errorf("after the rotation: %v", got)
	}
	checkRefusals(t, w, []refusal{
		{"a third", ask{by: bySysadmin, typ: command.CredentialAdd, body: newCredential("sample-tax", bearer("b3", 8))}, bus.CodeInUse, "kind"},
		{"the same id", ask{by: bySysadmin, typ: command.CredentialAdd, body: newCredential("sample-tax", certificate("b2", 8))}, bus.CodeExists, "id"},
	})
	w.must(bySysadmin, command.CredentialAdd, 0, newCredential("sample-tax", certificate("c1", 8))) // of another kind
	w.now = noon.Add(2 * time.Hour)
	longer := newCredential("sample-tax", bearer("b3", 8))
	longer.Overlap = noon.Add(3 * time.Hour)
	w.must(bySysadmin, command.CredentialAdd, 0, longer) // the first has ended
	if got := w.credentials("sample-tax"); !slices.Equal(got, []string{"b2 3h0m0s", "c1 for good", "b3 for good"}) {
		t.Errorf("after the second: %v", got)
	}
	w.must(bySysadmin, command.CredentialEnd, 0, command.EndCredential{System: "sample-tax", Credential: "b2"})
	if got := w.credentials("sample-tax"); !slices.Equal(got, []string{"c1 for good", "b3 for good"}) {
		t.Errorf("retired: %v", got)
	}
}

func TestACertificatesKeyIsOneSystems(t *testing.T) {
	w := newWorld(t)
	registered := certificate("c1", 8)
	fingerprint, _ := registered.Certificate()
	owner := func() (id bus.SystemID) {
		w.view(func(tx *state.Tx) {
			s, ok := tx.Certified(fingerprint)
			if ok != tx.Certificates() {
				t.Errorf("the index has any: %v", tx.Certificates())
			}
			id = s.ID
		})
		return id
	}
	w.must(bySysadmin, command.CredentialAdd, 0, newCredential("sample-tax", registered))
	checkRefusals(t, w, []refusal{
		{"another's", ask{by: bySysadmin, typ: command.CredentialAdd, body: newCredential("sample-market", registered)}, bus.CodeInvalid, "certificate"},
	})
	if owner() != "sample-tax" || faultsOf(w) != "" {
		t.Errorf("registered for %q %s", owner(), faultsOf(w))
	}
	w.reopen()
	w.must(bySysadmin, command.CredentialEnd, 0, command.EndCredential{System: "sample-tax", Credential: "c1"})
	if owner() != "" || faultsOf(w) != "" {
		t.Errorf("retired, and it is %q's %s", owner(), faultsOf(w))
	}
	registered.Expires = noon.Add(time.Minute)
	w.must(bySysadmin, command.CredentialAdd, 0, newCredential("sample-market", registered))
	w.now = noon.Add(time.Hour)
	w.must(bySysadmin, command.CredentialAdd, 0, newCredential("sample-market", bearer("b2", 3))) // forgets what has expired
	if owner() != "" || faultsOf(w) != "" {
		t.Errorf("expired, and it is %q's %s", owner(), faultsOf(w))
	}
	w.must(bySysadmin, command.CredentialAdd, 0, newCredential("sample-tax", certificate("c2", 8)))
	if _, err := w.store.Refound(refounding()); err != nil {
		t.Fatal(err)
	}
	if owner() != "" || faultsOf(w) != "" {
		t.Errorf("after a restore it is %q's %s", owner(), faultsOf(w))
	}
}

func TestCredentialRefusals(t *testing.T) {
	w := newWorld(t)
	add := func(change func(*bus.Credential)) ask {
		return ask{by: bySysadmin, typ: command.CredentialAdd, body: newCredential("sample-tax", with(bearer("b2", 9), change))}
	}
	checkRefusals(t, w, []refusal{
		{"of nobody", ask{by: bySysadmin, typ: command.CredentialAdd, body: newCredential("nobody", bearer("b2", 9))}, bus.CodeNotFound, "system"},
		{"everything missing", add(func(c *bus.Credential) { *c = bus.Credential{} }), bus.CodeInvalid, "id kind"},
		{"of no kind", add(func(c *bus.Credential) { c.Kind = "password" }), bus.CodeInvalid, "hash kind"},
		{"a short hash", add(func(c *bus.Credential) { c.Hash = c.Hash[1:] }), bus.CodeInvalid, "hash"},
		{"a hash of a signing key", add(func(c *bus.Credential) { c.Kind, c.Node = bus.CredentialSigning, "gz" }), bus.CodeInvalid, "hash"},
		{"a signing key of no node", add(func(c *bus.Credential) { c.Kind, c.Hash = bus.CredentialSigning, nil }), bus.CodeInvalid, "node"},
		{"a bearer of a node", add(func(c *bus.Credential) { c.Node = "gz" }), bus.CodeInvalid, "node"},
		{"expired", add(func(c *bus.Credential) { c.Expires = noon }), bus.CodeInvalid, "expires"},
		{"for eleven years", add(func(c *bus.Credential) { c.Expires = noon.AddDate(11, 0, 0) }), bus.CodeInvalid, "expires"},
		{"ended of nobody", ask{by: bySysadmin, typ: command.CredentialEnd, body: command.EndCredential{System: "nobody", Credential: "b2"}}, bus.CodeNotFound, "system"},
		{"ended that is not there", ask{by: bySysadmin, typ: command.CredentialEnd, body: command.EndCredential{System: "sample-tax", Credential: "b2"}}, bus.CodeNotFound, "credential"},
		{"put whole", ask{by: bySysadmin, typ: command.SystemPut, expect: w.revision["sample-tax"], body: with(system("sample-tax", tax), func(s *bus.System) {
			s.Credentials = []bus.Credential{bearer("b9", 9)}
		})}, bus.CodeInvalid, "credentials"},
	})
}
