package evaluation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/policies"
)

const maxScheme = 256 << 10

// DefaultScheme is the scheme that ships with the release (policies/evaluation).
func DefaultScheme() bus.Scheme {
	content, err := policies.FS.ReadFile("evaluation/default.yaml")
	if err != nil {
		panic("default scheme: " + err.Error()) // it is embedded: a broken build
	}
	scheme, err := ReadScheme(content)
	if err != nil {
		panic("default scheme: " + err.Error()) // it is embedded, and a test reads it
	}
	return scheme
}

// ReadScheme reads a scheme in YAML or JSON, strictly. An error is CodeInvalid with
// every defect, of form and of sense.
func ReadScheme(content []byte) (bus.Scheme, error) {
	var s bus.Scheme
	if len(content) > maxScheme {
		return s, bus.E(bus.CodeTooLarge, bus.Defect{Field: "scheme", Problem: bus.Text{ZH: "方案文件过大", EN: "the scheme is too large"}, Allowed: "256 KiB"})
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	var defects []bus.Defect
	if err := decoder.Decode(&s); err != nil {
		typed, ok := errors.AsType[*yaml.TypeError](err)
		if !ok {
			return s, bus.E(bus.CodeInvalid, misread(err.Error()))
		}
		for _, line := range typed.Errors { // what could be read was: its defects are told with these
			defects = append(defects, misread(line))
		}
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		defects = append(defects, bus.Defect{Field: "scheme", Problem: bus.Text{ZH: "只能有一个文档", EN: "more than one document"}})
	}
	return s, bus.Invalid(append(defects, s.Check()...))
}

var goType = regexp.MustCompile(` in type bus\.\w+`)

// misread is the defect of something that the decoder stumbled over.
func misread(why string) bus.Defect {
	why = strings.Join(strings.Fields(goType.ReplaceAllString(why, "")), " ")
	return bus.Defect{Field: "scheme", Problem: bus.Text{ZH: "方案文件无法识别：" + why, EN: "the scheme is not understood: " + why}}
}

// SchemeInForce is the scheme that reports are made by: the version that was activated
// last, else the one that ships with the release.
func SchemeInForce(tx *state.Tx) SchemeUsed {
	if v, ok := tx.SchemeInForce(); ok {
		return UsedScheme(v)
	}
	return UsedScheme(bus.SchemeVersion{Scheme: DefaultScheme()})
}

// UsedScheme is a version of a scheme as a report names it.
func UsedScheme(v bus.SchemeVersion) SchemeUsed {
	return SchemeUsed{Version: v.Version, Digest: SchemeDigest(v.Scheme), Scheme: v.Scheme}
}

// SchemeDigest names the content of a scheme.
func SchemeDigest(s bus.Scheme) string { return digestOf(s) }

// digestOf is "sha256:" and the hex SHA-256 of v's JSON, which is canonical: Go
// writes structs in their order and maps by key.
func digestOf(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("digest of %T: %v", v, err)) // none of ours fails
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
