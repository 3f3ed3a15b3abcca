package audit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A segment is a zstd file in the seekable format: frames that each decompress alone,
// and at the end a skippable frame with the size of each. Any zstd reads the whole.
// https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md
const (
	skippableMagic = 0x184D2A5E
	seekableMagic  = 0x8F92EAB1
	seekFooter     = 9       // bytes: frames, descriptor, magic
	maxFrame       = 1 << 30 // bytes of one frame, either way
	maxSeekTable   = 8 << 20
)

// framed writes such a file.
type framed struct {
	out   io.Writer
	zip   *zstd.Encoder
	frame bytes.Buffer // what the next frame will hold
	table []byte
	count uint32
}

func newFramed(out io.Writer) (*framed, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderCRC(true))
	return &framed{out: out, zip: zip}, err
}

func (f *framed) Write(p []byte) (int, error) { return f.frame.Write(p) }

// cut ends a frame.
func (f *framed) cut() error {
	packed := f.zip.EncodeAll(f.frame.Bytes(), nil)
	f.table = binary.LittleEndian.AppendUint32(f.table, uint32(len(packed)))
	f.table = binary.LittleEndian.AppendUint32(f.table, uint32(f.frame.Len()))
	f.count++
	f.frame.Reset()
	_, err := f.out.Write(packed)
	return err
}

// close ends the last frame and writes the table.
func (f *framed) close() error {
	if err := f.cut(); err != nil {
		return err
	}
	tail := binary.LittleEndian.AppendUint32(nil, skippableMagic)
	tail = binary.LittleEndian.AppendUint32(tail, uint32(len(f.table)+seekFooter))
	tail = append(tail, f.table...)
	tail = binary.LittleEndian.AppendUint32(tail, f.count)
	tail = append(tail, 0) // no checksums: the frames have their own
	tail = binary.LittleEndian.AppendUint32(tail, seekableMagic)
	_, err := f.out.Write(tail)
	return err
}

// frameAt is where a frame lies.
type frameAt struct {
	offset int64
	packed int
}

// readTable reads where the frames of a file of so many bytes lie.
func readTable(file io.ReaderAt, size int64) ([]frameAt, error) {
	footer := make([]byte, seekFooter)
	if _, err := file.ReadAt(footer, size-seekFooter); err != nil {
		return nil, fmt.Errorf("read seek table: %w", err)
	}
	count := int64(binary.LittleEndian.Uint32(footer))
	if binary.LittleEndian.Uint32(footer[5:]) != seekableMagic || footer[4] != 0 || count*8 > maxSeekTable || count*8+seekFooter+8 > size {
		return nil, fmt.Errorf("not a seek table of %d frames", count)
	}
	table := make([]byte, count*8)
	if _, err := file.ReadAt(table, size-seekFooter-count*8); err != nil {
		return nil, fmt.Errorf("read seek table: %w", err)
	}
	frames, at := make([]frameAt, count), int64(0)
	for i := range frames {
		frames[i] = frameAt{at, int(binary.LittleEndian.Uint32(table[8*i:]))}
		at += int64(frames[i].packed)
	}
	if at != size-seekFooter-count*8-8 {
		return nil, fmt.Errorf("the frames are not as long as the seek table says")
	}
	return frames, nil
}

// newUnpacker reads single frames.
func newUnpacker() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame))
}
