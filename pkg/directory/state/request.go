package state

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// keptRequests is for how many entries an answered request is remembered, so
// that a repeated one is answered as before: days of an ordinary province's
// writes.
const keptRequests = 100_000

// answered is what is remembered of a request.
type answered struct {
	Result Result `json:"result"`
	Asked  []byte `json:"asked"` // digest of what it asked for
}

// reused refuses a request id that comes again with something else to do: to
// answer it as the first would lose the second in silence.
var reused = &Refusal{bus.CodeInUse, []bus.Defect{{
	Field:   "request",
	Problem: bus.Text{ZH: "请求标识已用于另一内容的写入", EN: "this request id was used for a write of another content"},
	Allowed: "a new request id",
}}}

// requestKey is where a request is remembered: what it is the same by, in a
// fixed length, for a request id is as long as its maker likes.
func requestKey(e command.Entry) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", e.Principal.String(), e.Type, e.Request))
	return string(sum[:])
}

// digest stands for what an entry asks for. The time it was proposed, and by
// which node, differ between repeats.
func digest(e command.Entry) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %s", e.Version, e.Expect, e.Body))
	return sum[:]
}

// answered finds what an entry's request was answered before.
func (t *Tx) answered(e command.Entry) (answered, bool) {
	if e.Request == "" {
		return answered{}, false
	}
	return read[answered](t, requests, requestKey(e))
}

// remember keeps the answer to a request, and forgets those of more than
// keptRequests entries ago.
func (t *Tx) remember(index bus.Revision, e command.Entry, result Result) error {
	if e.Request == "" {
		return nil
	}
	key := requestKey(e)
	if err := t.put(requests, key, answered{result, digest(e)}); err != nil {
		return err
	}
	order := t.tx.Bucket([]byte(requestOrder))
	if err := order.Put(binary.BigEndian.AppendUint64(nil, uint64(index)), []byte(key)); err != nil {
		return err
	}
	if index <= keptRequests {
		return nil
	}
	horizon := uint64(index - keptRequests)
	cursor := order.Cursor()
	for k, old := cursor.First(); k != nil && binary.BigEndian.Uint64(k) < horizon; k, old = cursor.First() {
		if err := t.tx.Bucket([]byte(requests)).Delete(old); err != nil {
			return err
		}
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	return nil
}
