package bus

import (
	"fmt"
	"time"
)

// Sink is where the events of a subscription are taken to (推送地址). It is kept at the
// consumer's node, encrypted, and nothing but that node reads its secrets again.
type Sink struct {
	URL           string `json:"url"`
	Authorization string `json:"authorization,omitempty" writeOnly:"true" doc:"sent as the header Authorization"`
	Secret        string `json:"secret,omitempty" writeOnly:"true" doc:"deliveries are signed with it, HMAC-SHA256"`
	Batch         int    `json:"batch,omitempty" doc:"events of one request, 1-100; 1 where left out"`
	MaxAttempts   int    `json:"max_attempts,omitempty" doc:"after which an event is a dead letter, 1-50; 12 where left out"`
}

const (
	maxSinkBatch    = 100
	maxSinkAttempts = 50
	sinkAttempts    = 12
)

// Check returns the defects of s that show without asking the endpoint.
func (s Sink) Check() (defects []Defect) {
	add := func(field, zh, en, allowed string) {
		defects = append(defects, Defect{Field: field, Problem: Text{ZH: zh, EN: en}, Allowed: allowed})
	}
	if s.URL == "" {
		defects = append(defects, missing("url"))
	}
	if n := len(s.Secret); s.Secret != "" && (n < 16 || n > 256) {
		add("secret", "长度不符", "is too short or too long", "16-256 bytes")
	}
	if len(s.Authorization) > 4096 || !printable(s.Authorization) {
		add("authorization", "不是请求头的取值", "is not the value of a header", "printable ASCII, at most 4096 bytes")
	}
	if s.Batch < 0 || s.Batch > maxSinkBatch {
		add("batch", "超出范围", "out of range", fmt.Sprintf("1-%d", maxSinkBatch))
	}
	if s.MaxAttempts < 0 || s.MaxAttempts > maxSinkAttempts {
		add("max_attempts", "超出范围", "out of range", fmt.Sprintf("1-%d", maxSinkAttempts))
	}
	return defects
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// Settled is s with what holds where nothing is said.
func (s Sink) Settled() Sink {
	s.Batch = max(s.Batch, 1)
	if s.MaxAttempts == 0 {
		s.MaxAttempts = sinkAttempts
	}
	return s
}

// SinkState is what is shown of a sink: no secret, and of the URL no query.
type SinkState struct {
	URL         string    `json:"url"`
	Protocol    string    `json:"protocol"`         // of the deliveries: HTTP
	Active      bool      `json:"active"`           // events are taken there
	Why         string    `json:"why,omitempty"`    // not
	Rate        int       `json:"rate,omitempty"`   // requests a minute that the endpoint allows; none: any
	Authorized  bool      `json:"authorized"`       // an Authorization header is sent
	Signed      bool      `json:"signed"`           // deliveries are
	Batch       int       `json:"batch"`            // events of one request
	MaxAttempts int       `json:"max_attempts"`     // after which an event is a dead letter
	Since       time.Time `json:"since"`            // it was put
	Number      uint64    `json:"number,omitempty"` // of the event that is tried again
	Attempts    []Attempt `json:"attempts,omitempty"`
}

// Attempt is one try to deliver an event, which failed.
type Attempt struct {
	At      time.Time `json:"at"`
	Status  int       `json:"status,omitempty"` // that the endpoint answered
	Problem string    `json:"problem,omitempty"`
}

// DeadLetter is an event that could not be delivered after all attempts, without its
// data.
type DeadLetter struct {
	Number   uint64    `json:"number"` // in its resource's log
	Source   string    `json:"source"`
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	At       time.Time `json:"at"` // given up
	Attempts []Attempt `json:"attempts"`
}
