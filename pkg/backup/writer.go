package backup

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/gxbus/gxbus/pkg/storage"
)

// Writer writes a backup. One that is not closed, or whose Add failed, leaves what
// no reader takes for whole.
type Writer struct {
	out    *bufio.Writer
	digest hash.Hash // of all that was written
	header []byte
	key    []byte
	parts  int
	broken error
}

// NewWriter begins a backup that only the holder of the private half of to can open.
func NewWriter(w io.Writer, to PublicKey, info Info) (*Writer, error) {
	encapsulated, key, err := to.send()
	if err != nil {
		return nil, fmt.Errorf("seal backup: %w", err)
	}
	b := &Writer{digest: sha256.New(), key: key}
	b.out = bufio.NewWriterSize(io.MultiWriter(w, b.digest), 64<<10)
	if _, err := b.out.WriteString(magic); err != nil {
		return nil, err
	}
	b.header, err = b.frame(tagHeader, header{Info: info, Suite: suite, Recipient: to.Fingerprint(), Encapsulated: encapsulated})
	return b, err
}

// frame writes a tag and JSON, and returns that.
func (b *Writer) frame(tag byte, v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(data) > maxFrame {
		return nil, fmt.Errorf("backup: a frame of %d bytes", len(data))
	}
	head := binary.BigEndian.AppendUint32([]byte{tag}, uint32(len(data)))
	_, err = b.out.Write(append(head, data...))
	return data, err
}

// Add writes one part with what fill writes.
func (b *Writer) Add(part Part, fill func(io.Writer) error) error {
	if b.broken != nil {
		return b.broken
	}
	if err := b.add(part, fill); err != nil {
		b.broken = fmt.Errorf("back up %s: %w", part.Name, err)
	}
	return b.broken
}

func (b *Writer) add(part Part, fill func(io.Writer) error) error {
	head, err := b.frame(tagPart, part)
	if err != nil {
		return err
	}
	seal, err := newSealer(b.key, b.header, head, b.parts)
	if err != nil {
		return err
	}
	chunks := &chunkWriter{out: b.out, seal: seal, digest: sha256.New()}
	zip, err := gzip.NewWriterLevel(chunks, gzip.BestSpeed)
	if err != nil {
		return err
	}
	plain := &storage.Counter{W: zip}
	if err := errors.Join(fill(plain), zip.Close()); err != nil {
		return err
	}
	if err := chunks.close(); err != nil {
		return err
	}
	b.parts++
	_, err = b.frame(tagSum, Sum{Plain: plain.N, Stored: chunks.stored, SHA256: hex.EncodeToString(chunks.digest.Sum(nil))})
	return err
}

// Close ends the backup; only then is it whole.
func (b *Writer) Close() error {
	if b.broken != nil {
		return b.broken
	}
	if _, err := b.frame(tagEnd, end{b.parts}); err != nil {
		return err
	}
	if err := b.out.Flush(); err != nil {
		return err
	}
	if _, err := b.out.Write(b.digest.Sum(nil)); err != nil {
		return err
	}
	return b.out.Flush()
}

// chunkWriter seals what it is given in chunks.
type chunkWriter struct {
	out    io.Writer
	seal   *sealer
	digest hash.Hash
	stored int64
	number uint64
	buf    []byte
}

func (c *chunkWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(c.buf) == chunkSize { // more follows: this is not the last
			if err := c.put(false); err != nil {
				return 0, err
			}
		}
		take := min(chunkSize-len(c.buf), len(p))
		c.buf, p = append(c.buf, p[:take]...), p[take:]
	}
	return n, nil
}

func (c *chunkWriter) put(last bool) error {
	sealed := c.seal.aead.Seal(nil, c.seal.place(c.number, last), c.buf, c.seal.bound[:])
	c.number, c.buf = c.number+1, c.buf[:0]
	framed := append(binary.BigEndian.AppendUint32(nil, uint32(len(sealed))), sealed...)
	c.stored += int64(len(framed))
	c.digest.Write(framed)
	_, err := c.out.Write(framed)
	return err
}

func (c *chunkWriter) close() error {
	if err := c.put(true); err != nil {
		return err
	}
	_, err := c.out.Write(make([]byte, 4))
	return err
}
