package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/bus"
)

// A cosignature (C2SP tlog-cosignature, Ed25519) says that a witness saw a head, at
// a time, as the largest of a log that only ever grew. A node cosigns with the key
// of its own log: the first line of what is signed keeps the two uses apart.
const (
	algEd25519     = 1
	algCosignature = 4
	stampSize      = 8 // bytes of the time that a cosignature begins with
)

// Cosigner cosigns heads of other logs.
type Cosigner struct {
	signer note.Signer
	key    cosigningKey
}

// NewCosigner makes a cosigner of the key of a node's own log.
func NewCosigner(signer note.Signer, verifier string) (*Cosigner, error) {
	key, err := cosigning(verifier)
	if err != nil {
		return nil, err
	}
	return &Cosigner{signer, key}, nil
}

// cosign gives the signature line over the text of a checkpoint.
func (c *Cosigner) cosign(text string, at time.Time) (string, error) {
	stamp := uint64(max(at.Unix(), 0))
	signature, err := c.signer.Sign(cosigned(stamp, []byte(text)))
	if err != nil {
		return "", fmt.Errorf("cosign: %w", err)
	}
	line := binary.BigEndian.AppendUint32(nil, c.key.hash)
	line = append(binary.BigEndian.AppendUint64(line, stamp), signature...)
	return fmt.Sprintf("— %s %s\n", c.key.name, base64.StdEncoding.EncodeToString(line)), nil
}

// cosigned is what a cosignature signs.
func cosigned(stamp uint64, text []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", stamp), text...)
}

// cosigningKey verifies cosignatures; it is a note.Verifier.
type cosigningKey struct {
	name   string
	hash   uint32
	public ed25519.PublicKey
}

// cosigning gives the key that a node cosigns with, from the key of its log.
func cosigning(verifier string) (cosigningKey, error) {
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return cosigningKey{}, badKey("witness").Because(err)
	}
	// NewVerifier has checked name+hash+base64(algorithm, key).
	key, err := base64.StdEncoding.DecodeString(strings.SplitN(verifier, "+", 3)[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != algEd25519 {
		return cosigningKey{}, badKey("witness")
	}
	sum := sha256.Sum256(append([]byte(v.Name()+"\n"), append([]byte{algCosignature}, key[1:]...)...))
	return cosigningKey{v.Name(), binary.BigEndian.Uint32(sum[:]), key[1:]}, nil
}

// Name implements note.Verifier.
func (k cosigningKey) Name() string { return k.name }

// KeyHash implements note.Verifier.
func (k cosigningKey) KeyHash() uint32 { return k.hash }

// Verify implements note.Verifier.
func (k cosigningKey) Verify(text, signature []byte) bool {
	if len(signature) != stampSize+ed25519.SignatureSize {
		return false
	}
	stamp := binary.BigEndian.Uint64(signature)
	return stamp <= math.MaxInt64 && ed25519.Verify(k.public, cosigned(stamp, text), signature[stampSize:])
}

// Cosignature is the word of a witness for a head.
type Cosignature struct {
	Witness bus.NodeID `json:"witness"`
	At      time.Time  `json:"at"` // by the witness's clock, to the second
}

// Cosignatures returns who of the nodes with these keys cosigned a checkpoint. What
// else is signed below it does not count.
func Cosignatures(signed string, keys ...string) ([]Cosignature, error) {
	list := make([]note.Verifier, len(keys))
	for i, key := range keys {
		v, err := cosigning(key)
		if err != nil {
			return nil, err
		}
		list[i] = v
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(list...))
	if _, none := err.(*note.UnverifiedNoteError); none {
		return nil, nil
	}
	if err != nil {
		return nil, badCheckpoint("note").Because(err)
	}
	found := make([]Cosignature, len(opened.Sigs))
	for i, s := range opened.Sigs {
		node, err := parseOrigin(s.Name)
		if err != nil {
			return nil, err
		}
		found[i] = Cosignature{node, stampOf(s)}
	}
	return found, nil
}

// stampOf reads the time of a cosignature.
func stampOf(s note.Signature) time.Time {
	data, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(data) < 4+stampSize {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(data[4:])), 0).UTC()
}
