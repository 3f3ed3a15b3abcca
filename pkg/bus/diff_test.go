package bus_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestDifferencesOfVersions(t *testing.T) {
	was := completeResource()
	is := completeResource()
	is.Version, is.Published, is.Revision = 2, time.Unix(1, 0), 9
	if got := bus.Diff(was, is); got != nil {
		t.Errorf("what publication sets is compared: %+v", got)
	}
	is.Name, is.OpenTerms = "企业基本信息（示例）", "注册"
	is.Codes = is.Codes[:1]
	is.Sharing.Range = "全省"
	is.Items = []bus.Item{is.Items[1], {ID: "phone", Name: "电话", Type: "C", Grade: 3}} // moved, one gone, one new
	is.Items[0].Grade = 4
	is.Matters = []string{}
	want := []bus.Difference{
		{Field: "codes", Was: `["102001/1","3070120001/000123"]`, Is: `["102001/1"]`},
		{Field: "name", Was: "企业登记信息（示例）", Is: "企业基本信息（示例）"},
		{Field: "items[name]", Was: `{"id":"name","name":"企业名称","type":"C","length":100,"grade":1}`, Is: ""},
		{Field: "items[legal_id].grade", Was: "3", Is: "4"},
		{Field: "items[phone]", Was: "", Is: `{"id":"phone","name":"电话","type":"C","grade":3}`},
		{Field: "sharing.range", Was: "本省各级部门", Is: "全省"},
		{Field: "open_terms", Was: "", Is: "注册"},
	}
	if got := bus.Diff(was, is); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
