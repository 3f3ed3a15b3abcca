package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
)

// agencies gives two systems what the programs of docs/examples need to speak for
// them: the names in those, a grant, and a file each with where the node is and the
// credential.
func (s *story) agencies(ctx context.Context) (told bus.Text, err error) {
	for _, a := range []struct {
		file   string
		at     bus.NodeID
		system bus.System
	}{
		{"provider.env", "shenzhen", bus.System{ID: "market-registry", Department: sample.ShenzhenMarket.ID, Name: "市场登记系统（样例）"}},
		{"consumer.env", "tianhe", bus.System{ID: "tianhe-permits", Department: sample.TianheServices.ID, Name: "天河审批系统（样例）"}},
	} {
		credential, err := s.as("sysadmin").Systems().Put(ctx, a.system)
		if err != nil {
			return told, err
		}
		n := s.fleet.Node(a.at)
		text := fmt.Sprintf("export NODE='https://%s' CA='%s' TOKEN='%s'\n", n.API, n.CA(), credential.Bearer)
		if err := os.WriteFile(filepath.Join(s.Dir, a.file), []byte(text), 0o600); err != nil {
			return told, err
		}
	}
	_, agreed := s.as("secadmin").Grants().Put(ctx, sample.Grant("tianhe-registration", sample.EnterpriseRegistration(), sample.TianheServices))
	status, err := s.as("sysadmin").Status(ctx, false)
	if err = errors.Join(agreed, err); err != nil {
		return told, err
	}
	return bus.Text{
		ZH: "provider.env 和 consumer.env 存有两个系统的节点地址和凭证，docs/examples 的程序照此即可运行",
		EN: "provider.env and consumer.env have the node and the credential of a system each, for the programs of docs/examples",
	}, fleet.Until(ctx, "every node to know them", func(ctx context.Context) error { return s.applied(ctx, status.AppliedIndex) })
}
