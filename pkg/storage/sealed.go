package storage

import (
	"crypto/cipher"
	"errors"

	"go.etcd.io/bbolt"
)

// Sealed is a bucket of a node's file whose values are encrypted with a key that
// does not leave the node. A value is bound to its key in the bucket: under another
// one it cannot be opened.
type Sealed struct {
	Bucket []byte // by name; it is made by who opens it
	AEAD   cipher.AEAD
}

// ErrSealed says that a value cannot be opened: it was altered, or sealed with
// another key.
var ErrSealed = errors.New("it cannot be decrypted with this node's key")

// Get opens a value; nil where there is none.
func (s Sealed) Get(tx *bbolt.Tx, key []byte) ([]byte, error) {
	value := tx.Bucket(s.Bucket).Get(key)
	if value == nil {
		return nil, nil
	}
	return s.Open(key, value)
}

// Open opens a value as it lies in the bucket.
func (s Sealed) Open(key, value []byte) ([]byte, error) {
	data, err := s.AEAD.Open(nil, nil, value, key)
	if err != nil {
		return nil, ErrSealed // the cause says no more
	}
	return data, nil
}

// Reseal seals all values anew, with the key of another node. Keys of values that
// cannot be opened are returned; those stay as they lie.
func (s Sealed) Reseal(tx *bbolt.Tx, with cipher.AEAD) (unreadable []string, err error) {
	bucket := tx.Bucket(s.Bucket)
	if bucket == nil {
		return nil, nil
	}
	opened := map[string][]byte{}
	err = bucket.ForEach(func(key, value []byte) error {
		data, err := s.Open(key, value)
		if err != nil {
			unreadable = append(unreadable, string(key))
			return nil
		}
		opened[string(key)] = data
		return nil
	})
	if err != nil {
		return nil, err
	}
	anew := Sealed{Bucket: s.Bucket, AEAD: with}
	for key, data := range opened {
		if err := anew.Put(tx, []byte(key), data); err != nil {
			return nil, err
		}
	}
	return unreadable, nil
}

// Put seals a value.
func (s Sealed) Put(tx *bbolt.Tx, key, data []byte) error {
	return tx.Bucket(s.Bucket).Put(key, s.AEAD.Seal(nil, nil, data, key))
}
