package cli

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// signingKeyPrefix tells a signing key from a bearer: with it requests are signed.
const signingKeyPrefix = "gxk_"

// connect makes the client of a command, as fresh as --consistent asks.
func (a *app) connect(more ...func(*client.Config)) (*client.Client, error) {
	c, err := a.connectAs(more...)
	if err == nil && a.consistent {
		c = c.Consistent()
	}
	return c, err
}

// connectAs makes a client: flags before the environment before
// what the last login left. A stored session goes only to the node it is of.
func (a *app) connectAs(more ...func(*client.Config)) (*client.Client, error) {
	saved, err := a.loadCredentials()
	if err != nil {
		return nil, err
	}
	cfg := client.Config{
		Server:          cmp.Or(a.server, a.Env("GXBUS_SERVER"), saved.Current),
		CAFile:          cmp.Or(a.ca, a.Env("GXBUS_CA")),
		Token:           cmp.Or(a.token, a.Env("GXBUS_TOKEN")),
		CertificateFile: cmp.Or(a.certificate, a.Env("GXBUS_CERT")),
		KeyFile:         cmp.Or(a.key, a.Env("GXBUS_KEY")),
		Language:        a.lang,
		Timeout:         a.timeout,
		UserAgent:       "gxbus/" + a.build.Version,
	}
	if strings.HasPrefix(cfg.Token, signingKeyPrefix) {
		cfg.SigningKey, cfg.Token = cfg.Token, ""
	}
	if cfg.Server == "" {
		return nil, errNoServer
	}
	for _, change := range more {
		change(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		return nil, err
	}
	login, ok := saved.Servers[c.Server()]
	if !ok {
		return c, nil
	}
	if cfg.CAFile == "" && login.CA != "" {
		cfg.CAPEM = []byte(login.CA)
		if c, err = client.New(cfg); err != nil {
			return nil, err
		}
	}
	asSystem := cfg.SigningKey != "" || cfg.CertificateFile != ""
	if cfg.Token == "" && !asSystem && a.Now().Before(login.Expires) {
		c = c.WithToken(login.Token)
	}
	return c, nil
}

// remote makes a command's body that speaks to a node.
func (a *app) remote(do func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd.Context(), c, cmd, args)
	}
}

// errNoServer asks for a node.
var errNoServer = bus.E(bus.CodeInvalid, bus.Defect{
	Field:   "server",
	Problem: bus.Text{ZH: "未指定节点", EN: "no node was named"},
	Allowed: "--server, GXBUS_SERVER, gxbus login",
})
