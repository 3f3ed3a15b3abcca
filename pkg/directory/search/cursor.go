package search

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// place is where an entry stands in an order: by number, the greatest first, then by
// text, then by key. It depends on the entry alone, so that whoever goes on after a
// place misses none and sees none twice of the entries that stay as they are,
// whatever happens to the others.
type place struct {
	number uint64
	text   string
	key    string
}

func (p place) compare(other place) int {
	if p.number != other.number { // most differ here, and a search compares a great many
		return cmp.Compare(other.number, p.number)
	}
	if c := strings.Compare(p.text, other.text); c != 0 {
		return c
	}
	return strings.Compare(p.key, other.key)
}

const (
	cursorVersion  = 1
	cursorChecksum = 8   // bytes
	maxCursor      = 800 // characters; no name or key makes a longer one
)

// encodeCursor writes a place for the page after it. It is bound to its query.
func encodeCursor(p place, query [sha256.Size]byte) string {
	data := binary.AppendUvarint([]byte{cursorVersion}, p.number)
	data = binary.AppendUvarint(data, uint64(len(p.text)))
	data = append(append(data, p.text...), p.key...)
	return base64.RawURLEncoding.EncodeToString(append(data, checksum(data, query)...))
}

// decodeCursor reads a place; ok is false for a cursor that is damaged or of
// another query.
func decodeCursor(cursor string, query [sha256.Size]byte) (p place, ok bool) {
	if len(cursor) > maxCursor {
		return p, false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	end := len(data) - cursorChecksum
	if err != nil || end < 1 || data[0] != cursorVersion {
		return p, false
	}
	if subtle.ConstantTimeCompare(data[end:], checksum(data[:end], query)) != 1 {
		return p, false
	}
	rest := data[1:end]
	number, n := binary.Uvarint(rest)
	if n <= 0 {
		return p, false
	}
	rest = rest[n:]
	length, n := binary.Uvarint(rest)
	if n <= 0 || length > uint64(len(rest)-n) {
		return p, false
	}
	rest = rest[n:]
	return place{number, string(rest[:length]), string(rest[length:])}, true
}

func checksum(data []byte, query [sha256.Size]byte) []byte {
	sum := sha256.Sum256(append(query[:], data...))
	return sum[:cursorChecksum]
}
