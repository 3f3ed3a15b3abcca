package state

import (
	"bytes"
	"crypto/sha256"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// System returns the system with this id.
func (t *Tx) System(id bus.SystemID) (bus.System, bool) {
	s, ok := read[bus.System](t, Systems, string(id))
	return s.Current(), ok
}

// Systems yields all systems by id.
func (t *Tx) Systems() iter.Seq[bus.System] {
	return func(yield func(bus.System) bool) {
		for s := range all[bus.System](t, Systems) {
			if !yield(s.Current()) {
				return
			}
		}
	}
}

// Certified returns the system that registered a client certificate's key, by its
// fingerprint; see [bus.Credential.Certificate].
func (t *Tx) Certified(fingerprint string) (bus.System, bool) {
	owner := t.bytes(certificates, fingerprint)
	if owner == nil {
		return bus.System{}, false
	}
	return t.System(bus.SystemID(owner))
}

// Certificates reports whether any system has registered a client certificate.
func (t *Tx) Certificates() bool {
	key, _ := t.tx.Bucket([]byte(certificates)).Cursor().First()
	return key != nil
}

// planSystemPut sets what a system is called and whether it may call. Its
// credentials have entries of their own, but for the bearer that it is created with.
func planSystemPut(tx *Tx, r request[bus.System]) ([]Change, error) {
	s := r.body
	have, _ := tx.System(s.ID)
	defects := s.Check()
	if _, ok := tx.Department(s.Department); s.Department != "" && !ok {
		defects = append(defects, unknown("department", string(s.Department)))
	}
	if n := len(s.SecretHash); n != sha256.Size && (n != 0 || have.Revision == 0) {
		defects = append(defects, wrongHash("secret_hash"))
	}
	if len(s.Credentials) > 0 {
		defects = append(defects, bus.Defect{Field: "credentials", Problem: bus.Text{ZH: "凭证须逐一登记", EN: "credentials are added one by one"}, Allowed: "none"})
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	if err := expect(r.Expect, have.Revision, "system", string(s.ID)); err != nil {
		return nil, err
	}
	if have.Revision != 0 && have.Department != s.Department {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "department", Problem: bus.Text{ZH: "系统所属部门不可变更", EN: "a system's department never changes"}, Allowed: string(have.Department),
		})
	}
	s.Credentials = afterPut(have.Credentials, s.SecretHash, r.At)
	s.SecretHash, s.Revision = nil, r.index
	return set(Systems, string(s.ID), s)
}

// afterPut gives a system's credentials after a put with this hash. One that is
// among them changes nothing; another is a new first bearer, in place of all
// bearers: so a release without credentials' own entries replaced the one it knew.
func afterPut(have []bus.Credential, hash []byte, at time.Time) []bus.Credential {
	bearer := func(c bus.Credential) bool { return c.Kind == bus.CredentialBearer }
	known := slices.ContainsFunc(have, func(c bus.Credential) bool { return bearer(c) && bytes.Equal(c.Hash, hash) })
	if len(hash) == 0 || known {
		return have
	}
	first := bus.Credential{ID: bus.FirstCredential, Kind: bus.CredentialBearer, Hash: hash, Created: at}
	return append([]bus.Credential{first}, slices.DeleteFunc(slices.Clone(have), bearer)...)
}

// planCredentialAdd puts a credential beside those that a system has. What has
// expired by then is forgotten.
func planCredentialAdd(tx *Tx, r request[command.NewCredential]) ([]Change, error) {
	s, ok := tx.System(r.body.System)
	if !ok {
		return nil, bus.NotFound("system", string(r.body.System))
	}
	added := r.body.Credential
	added.Created = r.At
	defects := added.Check(r.At)
	fingerprint, registered := added.Certificate()
	if owner, taken := tx.Certified(fingerprint); registered && taken {
		defects = append(defects, bus.Defect{
			Field: "certificate", Problem: bus.Text{ZH: "该证书的密钥已由系统 " + string(owner.ID) + " 登记", EN: "system " + string(owner.ID) + " has registered this certificate's key"},
			Allowed: "a key of its own for each system",
		})
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	if _, taken := s.Credential(added.ID); taken {
		return nil, bus.E(bus.CodeExists, bus.Defect{Field: "id", Problem: bus.Text{ZH: "已存在：" + string(added.ID), EN: string(added.ID) + " exists already"}, Allowed: "a new id"})
	}
	var changes []Change
	var alike []string
	var kept []bus.Credential
	for _, c := range s.Credentials {
		if !c.Live(r.At) {
			changes = append(changes, unregister(c)...)
			continue
		}
		if c.Kind == added.Kind {
			alike = append(alike, string(c.ID))
			if end := r.body.Overlap; !end.IsZero() && c.Live(end) {
				c.Expires = end
			}
		}
		kept = append(kept, c)
	}
	if len(alike) >= bus.LiveAtMost {
		return nil, bus.E(bus.CodeInUse, bus.Defect{
			Field:   "kind",
			Problem: bus.Text{ZH: "同类凭证已有两个有效：" + strings.Join(alike, "、"), EN: "two of this kind are live: " + strings.Join(alike, ", ")},
			Allowed: "retire one of them first",
		})
	}
	if registered {
		changes = append(changes, Change{certificates, fingerprint, []byte(s.ID)})
	}
	s.Credentials, s.Revision = append(kept, added), r.index
	put, err := set(Systems, string(s.ID), s)
	return append(put, changes...), err
}

// planCredentialEnd ends a credential at once.
func planCredentialEnd(tx *Tx, r request[command.EndCredential]) ([]Change, error) {
	s, ok := tx.System(r.body.System)
	if !ok {
		return nil, bus.NotFound("system", string(r.body.System))
	}
	ended, ok := s.Credential(r.body.Credential)
	if !ok {
		return nil, bus.NotFound("credential", string(r.body.Credential))
	}
	s.Credentials = slices.DeleteFunc(slices.Clone(s.Credentials), func(c bus.Credential) bool { return c.ID == ended.ID })
	s.Revision = r.index
	put, err := set(Systems, string(s.ID), s)
	return append(put, unregister(ended)...), err
}

// unregister makes the changes that take certificates out of the index.
func unregister(ended ...bus.Credential) []Change {
	var changes []Change
	for _, c := range ended {
		if fingerprint, ok := c.Certificate(); ok {
			changes = append(changes, Change{certificates, fingerprint, nil})
		}
	}
	return changes
}
