package client

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Error gives the problem as one line.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(string(p.Code) + ": " + p.Title)
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	for _, d := range p.Defects {
		b.WriteString("; " + d.In(bus.English))
	}
	if p.DecisionID != "" {
		b.WriteString(" (decision " + p.DecisionID + ")")
	}
	// What a server sent must not forge a second log line.
	return strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(b.String())
}

// CodeOf returns the stable code of err: that of a node's Problem or of a
// bus.Error made on this side. It is "" for nil and for other errors, such as
// a broken connection.
func CodeOf(err error) bus.Code {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Code
	}
	if e, ok := errors.AsType[*bus.Error](err); ok {
		return e.Code
	}
	return ""
}

// IsCode reports whether err has the given stable code.
func IsCode(err error, code bus.Code) bool { return err != nil && CodeOf(err) == code }

// maxProblem bounds what is read of an error answer.
const maxProblem = 1 << 20

// problemOf reads an error answer. One that is not a gxbus problem, such as a
// proxy's page, becomes a problem without its text.
func problemOf(resp *http.Response) *Problem {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.Header.Get(HeaderAnsweredBy) == ByProvider {
		return providerProblem(resp.StatusCode, body)
	}
	p := &Problem{}
	if media == "application/problem+json" && json.Unmarshal(body, p) == nil && p.Code != "" {
		p.Status = resp.StatusCode
		return p
	}
	return &Problem{
		Type:   "about:blank",
		Title:  http.StatusText(resp.StatusCode),
		Status: resp.StatusCode,
		Code:   codeOfStatus(resp.StatusCode),
		Detail: "the answer is not from a gxbus node: " + resp.Status,
	}
}

// providerProblem is a refusal of a provider's system, which a query met: its status,
// and what it says of itself.
func providerProblem(status int, body []byte) *Problem {
	var said struct{ Title, Message, Msg, Detail string }
	_ = json.Unmarshal(body, &said) // it may say nothing, or something else
	title := cmp.Or(said.Title, said.Message, said.Msg, http.StatusText(status))
	return &Problem{
		Type: "about:blank", Title: title, Status: status,
		Code: bus.CodeProviderAnswer, Detail: strings.TrimSpace(strconv.Itoa(status) + " " + title + " " + said.Detail),
	}
}

func codeOfStatus(status int) bus.Code {
	switch status {
	case http.StatusUnauthorized:
		return bus.CodeUnauthenticated
	case http.StatusForbidden:
		return bus.CodeForbidden
	case http.StatusNotFound:
		return bus.CodeNotFound
	case http.StatusRequestEntityTooLarge:
		return bus.CodeTooLarge
	case http.StatusTooManyRequests:
		return bus.CodeRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return bus.CodeUnavailable
	default:
		return bus.CodeInternal
	}
}
