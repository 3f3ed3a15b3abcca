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
	*Input
	Consumer *struct{} `json:"consumer,omitempty"`
	Provider *struct{} `json:"provider,omitempty"`
	Resource *struct{} `json:"resource,omitempty"`
	Grant    *struct{} `json:"grant,omitempty"`
}

// Facts are what the directory said at the index of a call; many calls share them.
type Facts struct {
	Consumer Party    `json:"consumer"`
	Provider Party    `json:"provider"`
	Resource Resource `json:"resource"`
	Grant    *Grant   `json:"grant,omitempty"`
}

// Split implements [bus.Splitter]. Masked are the case number, the operator and every
// event attribute that may be about a person: all but specversion, type, source, time,
// datacontenttype and dataschema.
func (in Input) Split() (call, facts []byte, masked []string, err error) {
	if facts, err = json.Marshal(Facts{in.Consumer, in.Provider, in.Resource, in.Grant}); err != nil {
		return nil, nil, nil, fmt.Errorf("record policy input: %w", err)
	}
	masked = in.mask()
	if call, err = json.Marshal(callPart{Input: &in}); err != nil {
		return nil, nil, nil, fmt.Errorf("record policy input: %w", err)
	}
	return call, facts, masked, nil
}

// mask replaces what is not to be recorded, in a copy where it is shared, and
// returns the JSON pointers.
func (in *Input) mask() (masked []string) {
	for name, value := range map[string]*string{"/case": &in.Case, "/operator": &in.Operator} {
		if *value != "" {
			*value = MaskedValue
			masked = append(masked, name)
		}
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

// ReadFacts reads the facts that Split gave, strictly.
func ReadFacts(data []byte) (Facts, error) {
	var f Facts
	err := strict(data, &f)
	return f, err
}

// Input makes the input again of the facts and of the call that Split gave beside
// them, strictly. It shares the memory of the facts.
func (f Facts) Input(call []byte) (Input, error) {
	in := Input{Consumer: f.Consumer, Provider: f.Provider, Resource: f.Resource, Grant: f.Grant}
	err := strict(call, &callPart{Input: &in})
	return in, err
}

func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("recorded policy input: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("recorded policy input: more than one document")
	}
	return nil
}

// pointer is a JSON pointer as a path of keys; attribute names need no escapes.
func pointer(p string) []string { return strings.Split(strings.TrimPrefix(p, "/"), "/") }

var _ bus.Splitter = Input{}
