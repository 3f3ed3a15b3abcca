package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/bus"
)

// GenerateKey makes an Ed25519 evidence key for the log named origin, in the
// text forms of x/mod/sumdb/note: the signer's, which is secret, and the
// verifier's, which bus.Node carries as EvidenceKey. Keeping the secret is the
// caller's.
func GenerateKey(origin string) (signer, verifier string, err error) {
	if _, err := parseOrigin(origin); err != nil {
		return "", "", err
	}
	return note.GenerateKey(rand.Reader, origin)
}

// OpenKey reads the secret text that GenerateKey made and returns the signer
// with the verifier's text. No error repeats any of the secret.
func OpenKey(secret string) (note.Signer, string, error) {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, "", badKey("signer").Because(err)
	}
	// NewSigner has checked PRIVATE+KEY+name+hash+base64(algorithm, seed).
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(secret, "+", 5)[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return nil, "", badKey("signer")
	}
	public := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	verifier, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return nil, "", badKey("signer").Because(err)
	}
	return signer, verifier, nil
}

// verifiers reads the verifier keys that checkpoints of origin may be signed
// with. There must be one: nothing is taken on trust.
func verifiers(origin string, keys []string) (note.Verifiers, error) {
	if len(keys) == 0 {
		return nil, badKey("key").Because(errors.New("no verifier key given"))
	}
	list := make([]note.Verifier, len(keys))
	for i, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, badKey("key").Because(err)
		}
		if v.Name() != origin {
			return nil, badKey("key").Because(fmt.Errorf("it is the key of %q, the log is %q", v.Name(), origin))
		}
		list[i] = v
	}
	return note.VerifierList(list...), nil
}

func badKey(field string) *bus.Error {
	return bus.E(bus.CodeInvalid, bus.Defect{
		Field: field, Problem: bus.Text{ZH: "存证密钥不正确", EN: "not an evidence key of this log"}, Allowed: "an Ed25519 note key named after the log",
	})
}
