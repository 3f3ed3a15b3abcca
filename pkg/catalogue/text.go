package catalogue

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"

	"github.com/gxbus/gxbus/pkg/bus"
)

var bom = []byte("\ufeff")

// decoded returns a reader of a text file as UTF-8 without its byte order mark.
// What is not UTF-8 throughout is taken for GB18030, of which GBK and GB 2312
// are parts; what is neither is refused, and so are UTF-16 and NUL.
func decoded(file io.ReadSeeker) (io.Reader, error) {
	plain, err := examine(file)
	if err != nil {
		return nil, err
	}
	if plain {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		r := bufio.NewReaderSize(file, 64<<10)
		if head, _ := r.Peek(len(bom)); bytes.Equal(head, bom) {
			_, _ = r.Discard(len(bom))
		}
		return r, nil
	}
	for range 2 { // once to see that all of it is GB18030, once to read it
		if _, err = file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		r := transform.NewReader(bufio.NewReaderSize(file, 64<<10), simplifiedchinese.GB18030.NewDecoder())
		if plain {
			return r, nil
		}
		if err := wellFormed(r); err != nil {
			return nil, err
		}
		plain = true
	}
	return nil, io.ErrUnexpectedEOF // not reached
}

// examine reads a file through and reports whether all of it is UTF-8.
func examine(file io.ReadSeeker) (utf8Throughout bool, err error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	utf8Throughout = true
	err = blocks(file, func(block []byte, first bool) error {
		if first && (bytes.HasPrefix(block, []byte{0xff, 0xfe}) || bytes.HasPrefix(block, []byte{0xfe, 0xff})) {
			return unusable("", bus.Text{ZH: "编码为 UTF-16", EN: "the encoding is UTF-16"}, "UTF-8, GB18030")
		}
		if bytes.IndexByte(block, 0) >= 0 {
			return unusable("", bus.Text{ZH: "含有 NUL 字节，不是文本文件", EN: "holds NUL bytes: not a text file"}, "UTF-8, GB18030")
		}
		utf8Throughout = utf8Throughout && utf8.Valid(block)
		return nil
	})
	return utf8Throughout, err
}

func wellFormed(r io.Reader) error {
	return blocks(r, func(block []byte, _ bool) error {
		if bytes.Contains(block, []byte("\ufffd")) {
			return unusable("", bus.Text{ZH: "编码无法识别", EN: "the encoding is not known"}, "UTF-8, GB18030")
		}
		return nil
	})
}

// blocks reads r through in blocks that end where a UTF-8 character does.
func blocks(r io.Reader, do func(block []byte, first bool) error) error {
	buffer := make([]byte, 64<<10)
	kept := 0
	for first := true; ; first = false {
		n, err := io.ReadFull(r, buffer[kept:])
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			return err
		}
		block := buffer[:kept+n]
		end := len(block)
		if !ended {
			end = wholeRunes(block)
		}
		if err := do(block[:end], first); err != nil || ended {
			return err
		}
		kept = copy(buffer, block[end:])
	}
}

// wholeRunes returns where the last character that may be cut off begins.
func wholeRunes(block []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(block); i++ {
		if at := len(block) - i; utf8.RuneStart(block[at]) {
			if !utf8.FullRune(block[at:]) {
				return at
			}
			break
		}
	}
	return len(block)
}
