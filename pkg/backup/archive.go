// Package backup is the file that a node's backup is: parts in a fixed order, each
// compressed, sealed to a recovery key and checksummed, with a table in the open
// that says what they are.
//
// It knows nothing of what the parts hold, nor where they come from or go.
//
//	magic
//	'H' header   JSON: whose backup, of when, sealed to which key
//	'P' part     JSON: name, and the index or size that it is at
//	    chunks   each with its length, closed by the length 0; gzip, then AES-256-GCM
//	'S' sum      JSON: sizes, and the SHA-256 of the part's chunks
//	…
//	'E' end      JSON: how many parts
//	SHA-256      of all before it
//
// The key of the parts comes out of HPKE (RFC 9180) with the public half of the
// recovery key; nobody without the private half reads any of them, the node that
// wrote them included. A chunk is bound to its place, its part and the header: what
// is cut off, exchanged or reordered does not open. What the checksums add is that
// damage is noticed without the key. A backup is not signed: whoever has the public
// key can make one up, so keep the digest that was printed when it was taken.
package backup

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	magic     = "gxbus backup 1\n"
	chunkSize = 1 << 20 // bytes before sealing
	maxFrame  = 64 << 10

	tagHeader = 'H'
	tagPart   = 'P'
	tagSum    = 'S'
	tagEnd    = 'E'
)

// Info says whose backup a file is.
type Info struct {
	Cluster  string           `json:"cluster"`
	Node     bus.NodeID       `json:"node"`
	Division bus.DivisionCode `json:"division"`
	Release  string           `json:"release"`
	Taken    time.Time        `json:"taken"`
}

// header is Info with what opens the file.
type header struct {
	Info
	Suite        string `json:"suite"`
	Recipient    string `json:"recipient"` // fingerprint of the recovery key
	Encapsulated []byte `json:"encapsulated"`
}

// Part is one thing in a backup. The order of parts is the writer's.
type Part struct {
	Name   string       `json:"name"`
	Index  bus.Revision `json:"index,omitempty"`  // of a directory: the applied index that it is at
	Leaves int64        `json:"leaves,omitempty"` // of a file with an evidence log: its size
	Size   int64        `json:"size,omitempty"`   // bytes that are expected, for a progress bar; 0: not known
}

// Sum is what a part came to.
type Sum struct {
	Plain  int64  `json:"plain"`  // bytes of the thing itself
	Stored int64  `json:"stored"` // bytes in the file
	SHA256 string `json:"sha256"` // hex, of the stored bytes
}

// Entry is a part with its sum.
type Entry struct {
	Part
	Sum
}

// Contents is what a whole, undamaged file holds.
type Contents struct {
	Info
	Recipient string  `json:"recipient"` // fingerprint of the recovery key that opens it
	Parts     []Entry `json:"parts"`
	SHA256    string  `json:"sha256"` // hex, of the file
	Opened    bool    `json:"opened"` // every part was decrypted, not only checksummed
}

type end struct {
	Parts int `json:"parts"`
}

// sealer seals or opens the chunks of one part.
type sealer struct {
	aead  cipher.AEAD
	nonce [12]byte // part (4), chunk (7), 1 for the last
	bound [sha256.Size]byte
}

func newSealer(key, header, part []byte, number int) (*sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	s := &sealer{}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(s.nonce[:4], uint32(number))
	h := sha256.New()
	for _, b := range [][]byte{header, part} {
		sum := sha256.Sum256(b)
		h.Write(sum[:])
	}
	h.Sum(s.bound[:0])
	return s, nil
}

// place moves to the chunk with this number.
func (s *sealer) place(chunk uint64, last bool) []byte {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], chunk)
	copy(s.nonce[4:11], number[1:])
	s.nonce[11] = 0
	if last {
		s.nonce[11] = 1
	}
	return s.nonce[:]
}

func damaged(what string, cause error) error {
	return bus.E(bus.CodeInvalid, bus.Defect{
		Field: "backup", Problem: bus.Text{ZH: "备份文件已损坏或不完整：" + what, EN: "the backup is damaged or cut off: " + what}, Allowed: "a whole file as gxbus backup wrote it",
	}).Because(cause)
}

// decodeFrame reads the JSON of a frame.
func decodeFrame[T any](data []byte) (v T, err error) {
	if err := json.Unmarshal(data, &v); err != nil {
		return v, damaged("frame", err)
	}
	return v, nil
}

func partName(n int, p Part) string { return fmt.Sprintf("part %d, %.40q", n+1, p.Name) }
