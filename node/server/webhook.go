package server

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"net/netip"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/webhook"
)

// webhookNetworks reads the private networks that events may be taken to.
func (c Config) webhookNetworks() (networks []netip.Prefix, defects []bus.Defect) {
	for text := range strings.SplitSeq(c.WebhookNetworks, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil || network.Masked() != network {
			defects = append(defects, bus.Defect{Field: "webhook_networks", Problem: bus.Text{ZH: "不是网段：" + text, EN: "not a network: " + text}, Allowed: "such as 10.20.0.0/16, separated by commas"})
			continue
		}
		networks = append(networks, network)
	}
	return networks, defects
}

// webhooks makes the client that takes events to agencies. It never dials where the
// node itself listens.
func (s *Server) webhooks() *webhook.Client {
	networks, _ := s.config.webhookNetworks() // checked when the configuration was read
	guard := webhook.Guard{Networks: networks, Own: webhook.Interfaces, OwnPorts: s.ownPorts()}
	c := webhook.New(webhook.Config{Guard: guard, Now: s.now})
	s.onClose(func() error { c.Close(); return nil })
	return c
}

// ownPorts are those that the node listens at.
func (s *Server) ownPorts() (ports []uint16) {
	for _, listen := range []string{s.config.APIListen, s.config.PeerListen, s.config.MetricsListen, s.APIAddress(), s.PeerAddress()} {
		if at, err := netip.ParseAddrPort(listen); err == nil {
			ports = append(ports, at.Port())
		}
	}
	return ports
}

// sinkSeal is what the sinks of subscriptions are encrypted with at the node whose
// signing keys are made from root.
func sinkSeal(root identity.Secret) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, root[:], nil, "gxbus sinks", 32)
	if err != nil {
		return nil, err
	}
	return identity.Secret(key).Sealer(), nil
}
