package bus_test

import (
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestWhatOfASubscriptionsDeliveryIsTaken(t *testing.T) {
	const url = "https://permits.tianhe.example/events"
	plain := &bus.SinkCredential{Type: "PLAIN", Identifier: "bus", Secret: "样例"}
	for _, tt := range []struct {
		name   string
		put    bus.Delivering
		want   string // fields of the defects
		header string // of the sink
	}{
		{"nothing", bus.Delivering{}, "", ""},
		{"pulled", bus.Delivering{Protocol: "pull"}, "", ""},
		{"a sink", bus.Delivering{Sink: url}, "", ""},
		{"by HTTP", bus.Delivering{Protocol: "HTTP", Sink: url, Settings: map[string]any{"method": "POST"}, Config: map[string]any{}}, "", ""},
		{"with a password", bus.Delivering{Sink: url, Credential: plain}, "", "Basic YnVzOuagt+S+iw=="},
		{"with a token", bus.Delivering{Sink: url, Credential: &bus.SinkCredential{Type: "ACCESSTOKEN", AccessToken: "t-1", TokenType: "bearer", Expires: "2030-01-01T00:00:00Z"}}, "", "Bearer t-1"},

		{"HTTP to nowhere", bus.Delivering{Protocol: "HTTP"}, "sink", ""},
		{"pull with a sink", bus.Delivering{Protocol: "pull", Sink: url}, "sink", ""},
		{"another protocol", bus.Delivering{Protocol: "MQTT", Sink: url}, "protocol", ""},
		{"settings", bus.Delivering{Protocol: "HTTP", Sink: url, Settings: map[string]any{"method": "PUT", "headers": map[string]any{}}}, "protocolsettings.headers protocolsettings.method", ""},
		{"settings of no protocol", bus.Delivering{Settings: map[string]any{"method": "POST"}}, "protocolsettings.method", ""},
		{"config", bus.Delivering{Config: map[string]any{"batch": 1}}, "config", ""},
		{"a credential for nothing", bus.Delivering{Credential: plain}, "sinkcredential", ""},
		{"no type", bus.Delivering{Sink: url, Credential: &bus.SinkCredential{Secret: "x"}}, "sinkcredential.credentialtype", ""},
		{"a refresh token", bus.Delivering{Sink: url, Credential: &bus.SinkCredential{Type: "REFRESHTOKEN"}}, "sinkcredential.credentialtype", ""},
		{"half a password", bus.Delivering{Sink: url, Credential: &bus.SinkCredential{Type: "PLAIN", Identifier: "bus", AccessToken: "t"}}, "sinkcredential.secret sinkcredential.accesstoken", ""},
		{"another token", bus.Delivering{Sink: url, Credential: &bus.SinkCredential{Type: "ACCESSTOKEN", AccessToken: "t", TokenType: "mac", Expires: "soon"}}, "sinkcredential.accesstokentype sinkcredential.accesstokenexpiresutc", ""},
		{"a token of two lines", bus.Delivering{Sink: url, Credential: &bus.SinkCredential{Type: "ACCESSTOKEN", AccessToken: "t\r\nX: 1"}}, "sinkcredential", ""},
	} {
		s, pushed, defects := tt.put.Wanted()
		if got := fields(defects); got != tt.want {
			t.Errorf("%s: defects in %q, want %q", tt.name, got, tt.want)
		}
		for _, d := range defects {
			if d.Problem.ZH == "" || d.Problem.EN == "" || strings.Contains(d.Problem.EN, "样例") {
				t.Errorf("%s: %+v", tt.name, d)
			}
		}
		if pushed != (tt.put.Sink != "") || s.URL != tt.put.Sink || tt.want == "" && s.Authorization != tt.header {
			t.Errorf("%s: %v %+v", tt.name, pushed, s)
		}
	}
}

func TestSourceAndTypesAreFilters(t *testing.T) {
	s := bus.Subscription{Source: "/systems/a", Types: []string{"x", "y"}, Filters: []bus.Filter{{SQL: "EXISTS urgent"}}}
	want := []bus.Filter{
		{Exact: map[string]string{"source": "/systems/a"}},
		{Any: []bus.Filter{{Exact: map[string]string{"type": "x"}}, {Exact: map[string]string{"type": "y"}}}},
		{SQL: "EXISTS urgent"},
	}
	got := s.Matching()
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if !got[i].Equal(want[i]) {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	if got := (bus.Subscription{}).Matching(); len(got) > 0 {
		t.Errorf("%+v of nothing", got)
	}
	bad := bus.Subscription{ID: "s-1", Resource: "r", System: "s", Purpose: bus.PurposeReference, Source: strings.Repeat("x", 257), Types: []string{"x", ""}}
	if got := fields(bad.Check()); got != "source types[1]" {
		t.Errorf("defects in %q", got)
	}
}
