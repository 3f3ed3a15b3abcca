package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// MaskedValue stands in a recorded input where a value was masked. That there was
// one can still be seen.
const MaskedValue = "(masked)"

// openAttributes are the event attributes that are recorded as they are: they say
// what an event is and where it comes from, not whom it is about.
var openAttributes = []string{"specversion", "type", "source", "time", "datacontenttype", "dataschema"}

// callPart is an input without the facts: the empty pointers hide its fields of
// these names.
type callPart struct {
	Input
	Consumer *struct{} `json:"consumer,omitempty"`
	Provider *struct{} `json:"provider,omitempty"`
	Resource *struct{} `json:"resource,omitempty"`
	Grant    *struct{} `json:"grant,omitempty"`
}

// factsPart is what the directory said at the index of the call.
type factsPart struct {
	Consumer Party    `json:"consumer"`
	Provider Party    `json:"provider"`
	Resource Resource `json:"resource"`
	Grant    *Grant   `json:"grant,omitempty"`
}

// Split implements [bus.Splitter]. Masked are the case number and every event
// attribute that may be about a person: all but specversion, type, source, time,
// datacontenttype and dataschema.
func (in Input) Split() (call, facts []byte, masked []string, err error) {
	if facts, err = json.Marshal(factsPart{in.Consumer, in.Provider, in.Resource, in.Grant}); err != nil {
		return nil, nil, nil, fmt.Errorf("record policy input: %w", err)
	}
	masked = in.mask()
	if call, err = json.Marshal(callPart{Input: in}); err != nil {
		return nil, nil, nil, fmt.Errorf("record policy input: %w", err)
	}
	return call, facts, masked, nil
}

// mask replaces what is not to be recorded, in a copy where it is shared, and
// returns the JSON pointers.
func (in *Input) mask() (masked []string) {
	if in.Case != "" {
		in.Case = MaskedValue
		masked = append(masked, "/case")
	}
	in.Event = maps.Clone(in.Event)
	for name := range in.Event {
		if !slices.Contains(openAttributes, name) {
			in.Event[name] = MaskedValue
			masked = append(masked, "/event/"+name)
		}
	}
	slices.Sort(masked)
	return masked
}

// Join makes an input of the parts that Split gave, strictly.
func Join(call, facts []byte) (in Input, err error) {
	for _, part := range [][]byte{facts, call} {
		d := json.NewDecoder(bytes.NewReader(part))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return Input{}, fmt.Errorf("recorded policy input: %w", err)
		}
		if _, err := d.Token(); err != io.EOF {
			return Input{}, errors.New("recorded policy input: more than one document")
		}
	}
	return in, nil
}

// pointer is a JSON pointer as a path of keys; attribute names need no escapes.
func pointer(p string) []string { return strings.Split(strings.TrimPrefix(p, "/"), "/") }

var _ bus.Splitter = Input{}
