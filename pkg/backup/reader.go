package backup

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Verify reads a backup to its end and says what it holds. Without a key it checks
// every checksum; with one it also opens every part. What is damaged, cut off or
// followed by something is CodeInvalid; a key that is not the recipient's is
// CodeForbidden.
func Verify(r io.Reader, key *PrivateKey) (Contents, error) {
	if key == nil {
		return readAll(r, nil, nil)
	}
	return Open(r, *key, func(Part, io.Reader) error { return nil })
}

// Open reads a backup to its end and hands every part to take, in order. What take
// leaves is read for it. Its errors end the reading. Until Open has returned nil
// nothing is certain but that each byte was sealed to the key.
func Open(r io.Reader, key PrivateKey, take func(Part, io.Reader) error) (Contents, error) {
	return readAll(r, &key, take)
}

// source is the file with the digest of what was read of it.
type source struct {
	in     *bufio.Reader
	digest hash.Hash
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	s.digest.Write(p[:n])
	return n, err
}

func (s *source) frame() (tag byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return 0, nil, damaged("frame", err)
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, nil, damaged("frame", errors.New("too long"))
	}
	data = make([]byte, size)
	if _, err := io.ReadFull(s, data); err != nil {
		return 0, nil, damaged("frame", err)
	}
	return head[0], data, nil
}

func readAll(r io.Reader, key *PrivateKey, take func(Part, io.Reader) error) (c Contents, err error) {
	s := &source{bufio.NewReaderSize(r, 64<<10), sha256.New()}
	start := make([]byte, len(magic))
	if _, err := io.ReadFull(s, start); err != nil || string(start) != magic {
		return c, bus.E(bus.CodeInvalid, bus.Defect{Field: "backup", Problem: bus.Text{ZH: "不是 gxbus 备份文件", EN: "not a backup of gxbus"}, Allowed: "a file that gxbus backup wrote"}).Because(err)
	}
	tag, head, err := s.frame()
	if err != nil || tag != tagHeader {
		return c, damaged("header", err)
	}
	h, err := decodeFrame[header](head)
	if err != nil {
		return c, err
	}
	c.Info, c.Recipient, c.Opened = h.Info, h.Recipient, key != nil
	var secret []byte
	if key != nil {
		if secret, err = h.open(*key); err != nil {
			return c, err
		}
	}
	for {
		tag, data, err := s.frame()
		if err != nil {
			return c, err
		}
		switch tag {
		case tagPart:
			entry, err := s.part(secret, head, data, len(c.Parts), take)
			if err != nil {
				return c, err
			}
			c.Parts = append(c.Parts, entry)
		case tagEnd:
			e, err := decodeFrame[end](data)
			if err == nil && e.Parts != len(c.Parts) {
				err = damaged("number of parts", nil)
			}
			if err != nil {
				return c, err
			}
			c.SHA256, err = s.finish()
			return c, err
		default:
			return c, damaged("frame", nil)
		}
	}
}

// open derives the key of the parts.
func (h header) open(key PrivateKey) ([]byte, error) {
	if h.Suite != suite {
		return nil, bus.E(bus.CodeUnsupported, bus.Defect{Field: "backup", Problem: bus.Text{ZH: "不支持的密码套件", EN: "a cipher suite of another release"}, Allowed: suite})
	}
	if key.Public().Fingerprint() != h.Recipient {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "recovery_key", Problem: bus.Text{ZH: "不是该备份的恢复密钥", EN: "not the recovery key of this backup"}, Allowed: "the key with fingerprint " + h.Recipient,
		})
	}
	secret, err := key.receive(h.Encapsulated)
	if err != nil {
		return nil, damaged("header", err)
	}
	return secret, nil
}

// finish compares the digest of the file; its own last bytes are not in it.
func (s *source) finish() (string, error) {
	want := s.digest.Sum(nil)
	have := make([]byte, len(want))
	if _, err := io.ReadFull(s, have); err != nil || subtle.ConstantTimeCompare(want, have) != 1 {
		return "", damaged("checksum", err)
	}
	if _, err := s.in.ReadByte(); err != io.EOF {
		return "", damaged("end", errors.New("something follows"))
	}
	return hex.EncodeToString(s.digest.Sum(nil)), nil
}

// part reads one part; without a secret it only checks its sum.
func (s *source) part(secret, head, data []byte, number int, take func(Part, io.Reader) error) (Entry, error) {
	p, err := decodeFrame[Part](data)
	if err != nil {
		return Entry{}, err
	}
	chunks := &chunkReader{in: s, digest: sha256.New()}
	plain := int64(-1)
	if secret != nil {
		if chunks.seal, err = newSealer(secret, head, data, number); err != nil {
			return Entry{}, err
		}
		if plain, err = open(chunks, p, take); err != nil {
			return Entry{}, inPart(number, p, err)
		}
	}
	if _, err := io.Copy(io.Discard, chunks); err != nil {
		return Entry{}, inPart(number, p, err)
	}
	tag, data, err := s.frame()
	if err != nil || tag != tagSum {
		return Entry{}, damaged(partName(number, p), err)
	}
	sum, err := decodeFrame[Sum](data)
	if err != nil {
		return Entry{}, err
	}
	if sum.SHA256 != hex.EncodeToString(chunks.digest.Sum(nil)) || sum.Stored != chunks.stored || plain >= 0 && plain != sum.Plain {
		return Entry{}, damaged(partName(number, p), errors.New("the checksum does not match"))
	}
	return Entry{p, sum}, nil
}

// inPart tells damage from what take said.
func inPart(number int, p Part, err error) error {
	if e, ok := errors.AsType[*taken](err); ok {
		return e.error
	}
	return damaged(partName(number, p), err)
}

// taken is an error of who takes a part.
type taken struct{ error }

func open(chunks io.Reader, p Part, take func(Part, io.Reader) error) (int64, error) {
	zip, err := gzip.NewReader(chunks)
	if err != nil {
		return 0, err
	}
	in := &countingReader{r: zip}
	if err := take(p, in); err != nil {
		if in.err != nil && in.err != io.EOF {
			return 0, in.err // it only passed on that the part is damaged
		}
		return 0, &taken{err}
	}
	_, err = io.Copy(io.Discard, in)
	return in.n, err
}

type countingReader struct {
	r   io.Reader
	n   int64
	err error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n, c.err = c.n+int64(n), err
	return n, err
}

// chunkReader reads the chunks of a part: opened where it has a sealer, else as
// they are.
type chunkReader struct {
	in     io.Reader
	seal   *sealer
	digest hash.Hash
	stored int64
	number uint64
	next   []byte // read ahead: whether a chunk is the last shows in what follows it
	begun  bool
	ended  bool
	buf    []byte
}

func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.buf) == 0 {
		if c.ended {
			return 0, io.EOF
		}
		if err := c.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buf)
	c.buf = c.buf[n:]
	return n, nil
}

// advance makes the next chunk readable.
func (c *chunkReader) advance() (err error) {
	if !c.begun {
		c.begun = true
		if c.next, err = c.fetch(); err != nil {
			return err
		}
		if c.next == nil {
			return errors.New("a part without a chunk")
		}
	}
	chunk := c.next
	if c.next, err = c.fetch(); err != nil {
		return err
	}
	c.ended = c.next == nil
	if c.seal == nil {
		c.buf = chunk
		return nil
	}
	c.buf, err = c.seal.aead.Open(chunk[:0], c.seal.place(c.number, c.ended), chunk, c.seal.bound[:])
	c.number++
	return err
}

// fetch reads one stored chunk, nil at the end of the part.
func (c *chunkReader) fetch() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size == 0 {
		return nil, nil
	}
	if size > chunkSize+64 {
		return nil, errors.New("a chunk is too long")
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(c.in, data); err != nil {
		return nil, err
	}
	c.digest.Write(length[:])
	c.digest.Write(data)
	c.stored += int64(len(data) + len(length))
	return data, nil
}
