package evaluation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// Reports and rollups are signed with the evidence key of the node that made them,
// as a note (C2SP signed-note) of two lines: what it is, and the digest of the rest.

// Encode gives the JSON of a report, indented for reading.
func (r Report) Encode() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	return out.Bytes(), nil
}

// DecodeReport reads a report, strictly; CodeInvalid where it is none.
func DecodeReport(data []byte) (Report, error) {
	r, err := decodeStrictly[Report](data, "report", "不是评价报告", "not a report")
	if err == nil && r.Format != ReportFormat {
		err = badFormat("report", r.Format, ReportFormat)
	}
	return r, err
}

// DecodeRollup reads a rollup, strictly; CodeInvalid where it is none.
func DecodeRollup(data []byte) (Rollup, error) {
	r, err := decodeStrictly[Rollup](data, "rollup", "不是日汇总", "not a rollup")
	if err == nil {
		err = r.Check()
	}
	return r, err
}

// Check refuses, with CodeInvalid, a rollup of another format, and one that counts less
// than nothing: that would take away from what other nodes say.
func (r *Rollup) Check() error {
	if r.Format != RollupFormat {
		return badFormat("rollup", r.Format, RollupFormat)
	}
	for i := range r.Rows {
		if x := &r.Rows[i]; x.Count < 0 || x.Events < 0 || x.Bytes < 0 {
			return bus.E(bus.CodeInvalid, bus.Defect{
				Field: fmt.Sprintf("rollup.rows[%d]", i), Problem: bus.Text{ZH: "计数不得为负", EN: "counts less than nothing"}, Allowed: "0 or more",
			})
		}
	}
	return nil
}

func decodeStrictly[T any](data []byte, field, zh, en string) (v T, err error) {
	if err := strictjson.Decode(data, strictjson.Limits{}, &v); err != nil {
		return v, bus.E(bus.CodeInvalid, bus.Defect{Field: field, Problem: bus.Text{ZH: zh, EN: en}}).Because(err)
	}
	return v, nil
}

func badFormat(field, got, want string) error {
	return bus.E(bus.CodeInvalid, bus.Defect{
		Field: field + ".format", Problem: bus.Text{ZH: "格式不受支持：" + got, EN: "a format that is not supported: " + got}, Allowed: want,
	})
}

// Seal is what a publication keeps of a signed report.
func (r Report) Seal() bus.ReportSeal {
	return bus.ReportSeal{
		ID: r.ID, Format: r.Format, From: r.Window.From, To: r.Window.To, Node: r.Node, Scheme: r.Scheme.Version, Digest: r.Digest(), Signature: r.Signature, Restates: r.Restates,
	}
}

// Digest names the content of a report, its signature aside.
func (r Report) Digest() string {
	r.Signature = ""
	return digestOf(r)
}

// Digest names the content of a rollup, its signature aside.
func (r Rollup) Digest() string {
	r.Signature = ""
	return digestOf(r)
}

// Sign returns r signed.
func (r Report) Sign(key note.Signer) (Report, error) {
	signature, err := sign(key, ReportFormat, r.Digest())
	r.Signature = signature
	return r, err
}

// Sign returns r signed.
func (r Rollup) Sign(key note.Signer) (Rollup, error) {
	signature, err := sign(key, RollupFormat, r.Digest())
	r.Signature = signature
	return r, err
}

// Verify reports whether the signature of r is that of one of the node's evidence
// keys, in verifier text form; CodeEvidence where it is not.
func (r Report) Verify(keys ...string) error {
	return verify(r.Signature, "report", ReportFormat, r.Digest(), r.Node, keys)
}

// Verify is as [Report.Verify].
func (r Rollup) Verify(keys ...string) error {
	return verify(r.Signature, "rollup", RollupFormat, r.Digest(), r.Node, keys)
}

func sign(key note.Signer, format, digest string) (string, error) {
	signed, err := note.Sign(&note.Note{Text: format + "\n" + digest + "\n"}, key)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return string(signed), nil
}

func verify(signature, field, format, digest string, node bus.NodeID, keys []string) error {
	var known []note.Verifier
	for _, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil || !strings.HasSuffix(v.Name(), "/"+string(node)) {
			return bus.E(bus.CodeInvalid, bus.Defect{Field: "key", Problem: bus.Text{ZH: "不是该节点的存证密钥", EN: "not an evidence key of node " + string(node)}})
		}
		known = append(known, v)
	}
	opened, err := note.Open([]byte(signature), note.VerifierList(known...))
	if err == nil && opened.Text != format+"\n"+digest+"\n" {
		err = fmt.Errorf("the signature is over %q, the content is %s", opened.Text, digest)
	}
	if err != nil {
		return bus.E(bus.CodeEvidence, bus.Defect{
			Field: field, Problem: bus.Text{ZH: "签名与内容不符：内容在签署后被改动，或者不是该节点签署", EN: "the signature does not fit: it was changed after it was signed, or signed by another"},
		}).Because(err)
	}
	return nil
}
