package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

const handledMatter = "440106001000" // that Tianhe asks for

// query has the provider bind the resource to a service of its own, and Tianhe ask it
// for one enterprise under an older agreement, for what it applied for is to have events:
// without a case it is denied, with one it is answered, masked.
func (s *story) query(ctx context.Context) (told bus.Text, err error) {
	resource := sample.EnterpriseRegistration()
	url, err := s.serveRegister()
	if err != nil {
		return told, err
	}
	provider, err := s.system("shenzhen", sample.ShenzhenMarket)
	if err != nil {
		return told, err
	}
	if _, err := provider.PutBinding(ctx, binding.Binding{Resource: resource.ID, HTTP: &binding.HTTP{URL: url + "/enterprises/{uscc}", Probe: "/"}}); err != nil {
		return told, err
	}
	agreed, err := s.as("secadmin").Grants().Put(ctx, sample.Grant("agreement-tianhe", resource, sample.TianheServices))
	if err != nil {
		return told, err
	}
	if err := fleet.Until(ctx, "every node to know of the agreement", func(ctx context.Context) error { return s.applied(ctx, agreed.Revision) }); err != nil {
		return told, err
	}
	consumer, err := s.system("tianhe", sample.TianheServices)
	if err != nil {
		return told, err
	}
	asked := client.Query{
		Grant: agreed.ID, Purpose: bus.PurposeAdministrativeBasis, Matter: handledMatter,
		Parameters: json.RawMessage(fmt.Sprintf(`{"uscc":%q}`, sample.USCC("440300", 7))),
	}
	_, err = consumer.Query(ctx, resource.ID, asked)
	reason, err := s.expectDenied(err, bus.BaseLayer)
	if err != nil {
		return told, err
	}
	asked.Case = "2026-000123"
	answer, err := consumer.Query(ctx, resource.ID, asked)
	if err != nil {
		return told, err
	}
	var rows []map[string]any
	if err := json.Unmarshal(answer.Data, &rows); err != nil || len(rows) != 1 {
		return told, fmt.Errorf("the answer is %s: %w", answer.Data, err)
	}
	if err := s.checkMasked(rows[0], sample.Event(s.registration(), 7)); err != nil {
		return told, fmt.Errorf("the answer to a query: %w", err)
	}
	s.report.Queries++
	return bus.Text{
		ZH: fmt.Sprintf("未填办件号：%s填写后由深圳的接口实时答复，手机号 %s", reason.ZH, rows[0]["phone"]),
		EN: fmt.Sprintf("without a case: %s With one, Shenzhen's service answers, the phone as %s", reason.EN, rows[0]["phone"]),
	}, nil
}

// serveRegister starts what stands for the provider's own service, until the demo is closed.
func (s *story) serveRegister() (url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /enterprises/{uscc}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "[%s]", sample.Event(s.registration(), 7).Data())
	})
	s.service = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.service.Serve(listener) }() // until it is closed
	return "http://" + listener.Addr().String(), nil
}
