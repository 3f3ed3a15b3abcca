package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// browserTimeout is how long somebody may take to sign in at the provider.
const browserTimeout = 5 * time.Minute

// loginFederated signs in at the node's identity provider: it shows the address to
// open, and waits on loopback for the browser to come back (RFC 8252).
func (a *app) loginFederated(ctx context.Context, c *client.Client) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	came := make(chan client.OIDCAnswer, 1)
	server := &http.Server{Handler: a.callback(came), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		_ = server.Close() // the browser has its page
		<-served
	}()
	begun, err := c.BeginOIDC(ctx, "http://"+listener.Addr().String()+"/callback")
	if err != nil {
		return err
	}
	a.notice("请在浏览器中打开以下地址登录：", "open this address in a browser and sign in:")
	fmt.Fprintln(a.Err, begun.AuthorizationURL)
	ctx, cancel := context.WithTimeout(ctx, browserTimeout)
	defer cancel()
	back, err := cameBack(ctx, came, begun.AuthorizationURL)
	if err != nil {
		return err
	}
	back.Flow = begun.Flow
	session, err := c.CompleteOIDC(ctx, back)
	if err != nil {
		return err
	}
	return a.keep(c.Server(), session)
}

// cameBack waits for the browser that was sent to an authorization URL. What carries
// another state is from somebody else, and passed over.
func cameBack(ctx context.Context, came <-chan client.OIDCAnswer, authorization string) (client.OIDCAnswer, error) {
	at, err := url.Parse(authorization)
	if err != nil {
		return client.OIDCAnswer{}, err
	}
	for {
		select {
		case back := <-came:
			if back.State == at.Query().Get("state") {
				return back, nil
			}
		case <-ctx.Done():
			return client.OIDCAnswer{}, bus.E(bus.CodeUnauthenticated, bus.Defect{
				Field: "oidc", Problem: bus.Text{ZH: "等待浏览器登录超时或已中断", EN: "nobody came back from the browser"}, Allowed: "gxbus login --oidc again, on the machine with the browser",
			}).Because(ctx.Err())
		}
	}
}

// callback takes what browsers bring back. What it says goes to the node,
// which alone can tell whether it is good.
func (a *app) callback(came chan<- client.OIDCAnswer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		switch {
		case r.Method != http.MethodGet || r.URL.Path != "/callback" || q.Get("state") == "":
			w.WriteHeader(http.StatusNotFound)
		case q.Get("code") == "":
			fmt.Fprintln(w, a.say("统一身份认证未通过，请回到命令行重试", "the identity provider did not let you in; try again on the command line"))
		default:
			select {
			case came <- client.OIDCAnswer{State: q.Get("state"), Code: q.Get("code")}:
			case <-r.Context().Done():
			}
			fmt.Fprintln(w, a.say("可以关闭此页，回到命令行", "you can close this page and go back to the command line"))
		}
	})
}
