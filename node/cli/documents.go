package cli

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gxbus/gxbus/pkg/bus"
)

// maxDocuments bounds a file of entries.
const maxDocuments = 64 << 20

// open opens a file for reading; "-" is the standard input.
func (a *app) open(file string) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(a.In), nil
	}
	return os.Open(file)
}

// readDocuments reads a file of YAML documents or JSON values.
func readDocuments[V any](a *app, file string) ([]V, error) {
	in, err := a.open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	content, err := io.ReadAll(io.LimitReader(in, maxDocuments+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxDocuments {
		return nil, bus.E(bus.CodeTooLarge, bus.Defect{Field: file, Problem: bus.Text{ZH: "文件过大", EN: "the file is too large"}, Allowed: "64 MiB"})
	}
	return decodeDocuments[V](content)
}

// decodeDocuments decodes YAML documents, of which JSON values are a kind; a
// top-level list is as many documents. Keys are those of V's JSON form and no
// others, each once, without anchors or merges. All defects are told at once.
func decodeDocuments[V any](content []byte) ([]V, error) {
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var values []V
	var found []bus.Defect
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, bus.E(bus.CodeInvalid, bus.Defect{Problem: bus.Text{ZH: "不是 YAML 或 JSON", EN: "neither YAML nor JSON"}}).Because(err)
		}
		for _, n := range entriesOf(&doc) {
			var v V
			d := decoder{}
			d.decode(n, reflect.ValueOf(&v).Elem(), "")
			values = append(values, v)
			found = append(found, numbered(len(values), d.defects)...)
		}
	}
	if len(values) == 0 {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Problem: bus.Text{ZH: "文件中没有内容", EN: "the file holds nothing"}})
	}
	return values, bus.Invalid(found)
}

// entriesOf gives the entries of a document; an empty one has none.
func entriesOf(doc *yaml.Node) []*yaml.Node {
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil
	}
	if top := doc.Content[0]; top.Kind == yaml.SequenceNode {
		return top.Content
	}
	return doc.Content
}

// numbered says which document a defect is in, from the second on.
func numbered(n int, defects []bus.Defect) []bus.Defect {
	if n > 1 {
		for i := range defects {
			defects[i].Field = fmt.Sprintf("#%d %s", n, defects[i].Field)
		}
	}
	return defects
}

// decoder fills a Go value from a YAML tree and collects what does not fit.
// Unlike a YAML decoder it takes what is written for a string as it is written,
// so that 440100 is a division code without quotes.
type decoder struct{ defects []bus.Defect }

func (d *decoder) refuse(n *yaml.Node, path, zh, en, allowed string) {
	d.defects = append(d.defects, bus.Defect{Field: path, Allowed: allowed, Problem: bus.Text{
		ZH: fmt.Sprintf("第 %d 行：%s", n.Line, zh), EN: fmt.Sprintf("line %d: %s", n.Line, en),
	}})
}

func (d *decoder) decode(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.refuse(n, path, "不支持锚点和引用", "anchors and aliases are not taken", "written out")
		return
	}
	if n.Tag == "!!null" {
		return
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if n.Kind != yaml.ScalarNode || text.UnmarshalText([]byte(n.Value)) != nil {
			d.refuse(n, path, "格式不正确", "not well-formed", "RFC 3339, 2026-01-01T00:00:00+08:00")
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), path)
	case reflect.Struct:
		d.decodeStruct(n, v, path)
	case reflect.Map:
		d.decodeMap(n, v, path)
	case reflect.Slice:
		d.decodeSlice(n, v, path)
	default:
		d.decodeScalar(n, v, path)
	}
}

func (d *decoder) decodeStruct(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.refuse(n, path, "应为键值", "must be keys and values", "key: value")
		return
	}
	fields := jsonFields(v.Type())
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, at := n.Content[i], join(path, n.Content[i].Value)
		at = printable(at)
		f := slices.IndexFunc(fields, func(f jsonField) bool { return f.name == key.Value })
		switch {
		case f < 0:
			d.refuse(key, at, "未知的键", "unknown key", strings.Join(names, ", "))
		case seen[key.Value]:
			d.refuse(key, at, "键重复", "the key is there twice", "each key once")
		default:
			d.decode(n.Content[i+1], v.Field(fields[f].index), at)
		}
		seen[key.Value] = true
	}
}

type jsonField struct {
	name  string
	index int
}

func jsonFields(t reflect.Type) []jsonField {
	var fields []jsonField
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			fields = append(fields, jsonField{name, i})
		}
	}
	return fields
}

func (d *decoder) decodeMap(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.refuse(n, path, "应为键值", "must be keys and values", "key: value")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := reflect.ValueOf(n.Content[i].Value).Convert(v.Type().Key())
		value := reflect.New(v.Type().Elem()).Elem()
		if v.MapIndex(key).IsValid() {
			d.refuse(n.Content[i], path, "键重复", "the key is there twice", "each key once")
		}
		d.decode(n.Content[i+1], value, join(path, printable(n.Content[i].Value)))
		v.SetMapIndex(key, value)
	}
}

func (d *decoder) decodeSlice(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.refuse(n, path, "应为列表", "must be a list", "- value")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, child := range n.Content {
		d.decode(child, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

func (d *decoder) decodeScalar(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.refuse(n, path, "应为单个值", "must be one value", v.Kind().String())
		return
	}
	var err error
	switch {
	case v.Kind() == reflect.String:
		v.SetString(n.Value)
	case v.Kind() == reflect.Bool:
		if n.Value != "true" && n.Value != "false" {
			err = strconv.ErrSyntax
		}
		v.SetBool(n.Value == "true")
	case v.CanInt():
		var i int64
		i, err = strconv.ParseInt(n.Value, 10, v.Type().Bits())
		v.SetInt(i)
	case v.CanUint():
		var u uint64
		u, err = strconv.ParseUint(n.Value, 10, v.Type().Bits())
		v.SetUint(u)
	default:
		err = errors.ErrUnsupported
	}
	if err != nil {
		d.refuse(n, path, "取值不正确", "not a value of this key", v.Kind().String())
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
