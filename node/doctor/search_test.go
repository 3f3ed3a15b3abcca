package doctor_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/doctor"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/search"
)

func TestTheSearchIndexIsJudged(t *testing.T) {
	whole := search.Progress{Index: 90, Complete: true, Indexed: 7, Total: 7}
	for _, tt := range []struct {
		check client.Check
		state client.CheckState
		says  string
	}{
		{doctor.Search(whole, false, nil), client.CheckOK, "7 entries, of the directory at 90"},
		{doctor.Search(whole, true, nil), client.CheckWarn, "behind"},
		{doctor.Search(search.Progress{Indexed: 3, Total: 7}, true, nil), client.CheckWarn, "3 of 7"},
		{doctor.Search(search.Progress{}, true, errors.New("no room")), client.CheckFail, "no room"},
		{doctor.SearchFiles(nil), client.CheckOK, "sound"},
		{doctor.SearchFiles(&fs.PathError{Err: fs.ErrNotExist}), client.CheckWarn, "missing"},
		{doctor.SearchFiles(errors.New("damaged: 1.zap")), client.CheckWarn, "damaged: 1.zap"},
	} {
		c := tt.check
		if c.State != tt.state || !strings.Contains(c.Detail.EN, tt.says) || c.Detail.ZH == "" || (c.Next.EN == "") != (c.State == client.CheckOK) {
			t.Errorf("%+v, want %s with %q", c, tt.state, tt.says)
		}
	}
}
