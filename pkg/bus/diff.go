package bus

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Difference is a field that two versions of a resource do not have alike. Was or
// Is is empty where a version does not have it; what is no text is JSON.
type Difference struct {
	Field string `json:"field"` // path, items by their id: "items[uscc].grade"
	Was   string `json:"was"`
	Is    string `json:"is"`
}

// Diff compares two versions of a resource field by field, items by their id, in
// the order of the fields. What publication itself sets is left out.
func Diff(was, is Resource) []Difference {
	return diff("", reflect.ValueOf(was), reflect.ValueOf(is))
}

// notCompared are the fields of a resource that every version has its own of.
var notCompared = map[string]bool{"version": true, "published": true, "revision": true}

func diff(path string, was, is reflect.Value) []Difference {
	if a, ok := was.Interface().([]Item); ok {
		return diffItems(path, a, is.Interface().([]Item))
	}
	if was.Kind() == reflect.Struct {
		var all []Difference
		for i := range was.NumField() {
			name, _, _ := strings.Cut(was.Type().Field(i).Tag.Get("json"), ",")
			if path == "" && notCompared[name] {
				continue
			}
			if path != "" {
				name = path + "." + name
			}
			all = append(all, diff(name, was.Field(i), is.Field(i))...)
		}
		return all
	}
	if a, b := shown(was), shown(is); a != b {
		return []Difference{{path, a, b}}
	}
	return nil
}

func diffItems(path string, was, is []Item) []Difference {
	var all []Difference
	find := func(items []Item, id ItemID) (Item, bool) { return Resource{Items: items}.Item(id) }
	for _, a := range was {
		at := path + "[" + string(a.ID) + "]"
		if b, ok := find(is, a.ID); ok {
			all = append(all, diff(at, reflect.ValueOf(a), reflect.ValueOf(b))...)
		} else {
			all = append(all, Difference{Field: at, Was: shown(reflect.ValueOf(a))})
		}
	}
	for _, b := range is {
		if _, ok := find(was, b.ID); !ok {
			all = append(all, Difference{Field: path + "[" + string(b.ID) + "]", Is: shown(reflect.ValueOf(b))})
		}
	}
	return all
}

// shown is a value as text; "" stands for what is empty.
func shown(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.String:
		return v.String()
	case v.IsZero(), v.Kind() == reflect.Slice && v.Len() == 0:
		return ""
	}
	text, err := json.Marshal(v.Interface())
	if err != nil {
		panic("a field of a resource is not JSON: " + err.Error()) // all are
	}
	return string(text)
}
