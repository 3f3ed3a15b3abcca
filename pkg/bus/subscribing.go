package bus

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The members of a CloudEvents Subscriptions object (Subscriptions API 1.0) that say how
// events are taken to their consumer. Here that is the sink, which is a resource of its
// own: they are taken when a subscription is put, and shown there.
const (
	ProtocolHTTP = "HTTP" // the events are posted to a sink
	ProtocolPull = "pull" // they are pulled, or streamed

	maxTypes = 64
)

// Delivering is what may be put with a subscription beside it.
type Delivering struct {
	Protocol   string          `json:"protocol,omitempty" doc:"HTTP, where there is a sink, or pull"`
	Settings   map[string]any  `json:"protocolsettings,omitempty" doc:"of HTTP: method, which is POST; nothing else"`
	Config     map[string]any  `json:"config,omitempty" doc:"nothing: what can be set of a delivery is set of the sink"`
	Sink       string          `json:"sink,omitempty" writeOnly:"true" doc:"URL of a webhook: short for putting the sink afterwards"`
	Credential *SinkCredential `json:"sinkcredential,omitempty" writeOnly:"true"`
}

// SinkCredential is what a delivery is authorized by. It is kept as the sink is, and
// never shown.
type SinkCredential struct {
	Type        string `json:"credentialtype" doc:"PLAIN or ACCESSTOKEN"`
	Identifier  string `json:"identifier,omitempty" doc:"of PLAIN"`
	Secret      string `json:"secret,omitempty" doc:"of PLAIN"`
	AccessToken string `json:"accesstoken,omitempty" doc:"of ACCESSTOKEN"`
	TokenType   string `json:"accesstokentype,omitempty" doc:"bearer"`
	Expires     string `json:"accesstokenexpiresutc,omitempty" doc:"RFC 3339; the node sends the token until the sink is put again"`
}

// Wanted gives the sink that is asked for, and the defects that show; ok is false where
// the events are pulled.
func (d Delivering) Wanted() (s Sink, ok bool, defects []Defect) {
	add := func(field, zh, en, allowed string) {
		defects = append(defects, Defect{Field: field, Problem: Text{ZH: zh, EN: en}, Allowed: allowed})
	}
	if len(d.Config) > 0 {
		add("config", "不支持订阅配置", "is not supported", "none; batch and max_attempts are set with the sink")
	}
	for _, name := range slices.Sorted(maps.Keys(d.Settings)) {
		if d.Protocol != ProtocolHTTP || name != "method" || d.Settings[name] != "POST" {
			add("protocolsettings."+name, "不支持该协议设置", "is not supported", `{"method":"POST"}, with protocol HTTP`)
		}
	}
	switch {
	case d.Protocol == ProtocolHTTP && d.Sink == "":
		add("sink", "HTTP 协议须有推送地址", "protocol HTTP wants one", "a URL; or protocol pull, and the sink put afterwards")
	case d.Protocol == ProtocolPull && d.Sink != "":
		add("sink", "拉取方式没有推送地址", "protocol pull has none", "none; or protocol HTTP")
	case d.Protocol != "" && d.Protocol != ProtocolHTTP && d.Protocol != ProtocolPull:
		add("protocol", "不支持该协议", "is not supported", ProtocolHTTP+", "+ProtocolPull)
	}
	if d.Sink == "" {
		if d.Credential != nil {
			add("sinkcredential", "没有推送地址", "there is no sink", "none")
		}
		return s, false, defects
	}
	s = Sink{URL: d.Sink}
	if d.Credential != nil {
		var bad []Defect
		s.Authorization, bad = d.Credential.header()
		defects = append(defects, bad...)
	}
	for _, defect := range s.Check() { // by the names that were used
		switch defect.Field {
		case "url":
			defect.Field = "sink"
		case "authorization":
			defect.Field = "sinkcredential"
		}
		defects = append(defects, defect)
	}
	return s, true, defects
}

// header is the value of the header Authorization.
func (c SinkCredential) header() (value string, defects []Defect) {
	const at = "sinkcredential."
	given := func(field, value string, wanted bool) {
		switch {
		case wanted && value == "":
			defects = append(defects, missing(at+field))
		case !wanted && value != "":
			defects = append(defects, Defect{Field: at + field, Problem: Text{ZH: "不属于该凭证类型", EN: "is not of this credentialtype"}, Allowed: "none"})
		}
	}
	plain, token := c.Type == "PLAIN", c.Type == "ACCESSTOKEN"
	if !plain && !token {
		return "", oneOf(at+"credentialtype", c.Type, []string{"PLAIN", "ACCESSTOKEN"})
	}
	given("identifier", c.Identifier, plain)
	given("secret", c.Secret, plain)
	given("accesstoken", c.AccessToken, token)
	if token && c.TokenType != "" && c.TokenType != "bearer" || plain && c.TokenType != "" {
		defects = append(defects, Defect{Field: at + "accesstokentype", Problem: Text{ZH: "不支持该令牌类型", EN: "is not supported"}, Allowed: "bearer, of ACCESSTOKEN"})
	}
	if _, err := time.Parse(time.RFC3339, c.Expires); c.Expires != "" && (err != nil || plain) {
		defects = append(defects, Defect{Field: at + "accesstokenexpiresutc", Problem: Text{ZH: "不是时间", EN: "is not a time of this credentialtype"}, Allowed: "RFC 3339, of ACCESSTOKEN"})
	}
	if plain {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Identifier+":"+c.Secret)), defects
	}
	return "Bearer " + c.AccessToken, defects
}

// Matching is which events a subscription is for, all of it as filters.
func (s Subscription) Matching() []Filter {
	var filters []Filter
	if s.Source != "" {
		filters = append(filters, Filter{Exact: map[string]string{"source": s.Source}})
	}
	if len(s.Types) > 0 {
		any := make([]Filter, len(s.Types))
		for i, t := range s.Types {
			any[i] = Filter{Exact: map[string]string{"type": t}}
		}
		filters = append(filters, Filter{Any: any})
	}
	return append(filters, s.Filters...)
}

func (s Subscription) checkSource() (defects []Defect) {
	if len(s.Source) > maxFilterText {
		defects = append(defects, Defect{Field: "source", Problem: Text{ZH: "过长", EN: "is too long"}, Allowed: fmt.Sprintf("at most %d bytes", maxFilterText)})
	}
	if len(s.Types) > maxTypes {
		defects = append(defects, Defect{Field: "types", Problem: Text{ZH: "类型过多", EN: "are too many"}, Allowed: fmt.Sprint(maxTypes)})
	}
	for i, t := range s.Types {
		if t == "" || len(t) > maxFilterText {
			defects = append(defects, Defect{Field: fmt.Sprintf("types[%d]", i), Problem: Text{ZH: "为空或过长", EN: "is empty or too long"}, Allowed: fmt.Sprintf("1–%d bytes", maxFilterText)})
		}
	}
	return defects
}
